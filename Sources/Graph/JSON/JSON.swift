// A JSON value (RFC 8259). Numbers keep their text and objects the order of their members, so that a document comes
// back as it was written. Values that come from outside are at most `JSONLimits.depth` deep, which is what makes the
// recursion here and in their destruction safe. Plain values: any thread.

/// Any JSON value.
package enum JSON: Sendable {
    case null
    case bool(Bool)
    case number(JSONNumber)
    case string(String)
    case array([JSON])
    case object(JSONObject)
}

/// What is accepted from outside.
package struct JSONLimits: Sendable {
    /// Bytes of text.
    package var bytes: Int
    /// Arrays and objects within one another.
    package var depth: Int

    package init(bytes: Int = 16 << 20, depth: Int = 64) {
        self.bytes = bytes
        self.depth = depth
    }
}

extension JSON {
    package var object: JSONObject? { if case .object(let members) = self { members } else { nil } }
    package var array: [JSON]? { if case .array(let elements) = self { elements } else { nil } }
    package var string: String? { if case .string(let text) = self { text } else { nil } }
    package var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    /// The number where it is a whole one that fits.
    package var integer: Int? { if case .number(let number) = self { number.integer } else { nil } }
    package var double: Double? { if case .number(let number) = self { number.double } else { nil } }
    package var isNull: Bool { if case .null = self { true } else { false } }

    /// The member of an object, nil for anything else.
    package subscript(key: String) -> JSON? { object?[key] }

    /// A finite number, or null.
    package static func double(_ value: Double) -> JSON { JSONNumber(value).map(JSON.number) ?? .null }

    /// As messages say it: `a number`, `an object`, or the value itself where it is short.
    package var phrase: String {
        switch self {
        case .null, .bool, .number: compact.count <= 40 ? compact : "a number"
        case .string(let text): text.utf8.count <= 60 ? compact : "a long text"
        case .array: "an array"
        case .object: "an object"
        }
    }

    /// How many arrays and objects stand within one another: 0 for a scalar.
    package var depth: Int {
        var deepest = 0
        switch self {
        case .array(let elements): for element in elements { deepest = max(deepest, element.depth) }
        case .object(let object): for member in object.members { deepest = max(deepest, member.value.depth) }
        default: return 0
        }
        return deepest + 1
    }

    /// Values in this one, itself included; counting stops past `limit`.
    package func count(upTo limit: Int) -> Int {
        var total = 1
        switch self {
        case .array(let elements):
            for element in elements where total <= limit { total += element.count(upTo: limit - total) }
        case .object(let object):
            for member in object.members where total <= limit { total += member.value.count(upTo: limit - total) }
        default: break
        }
        return total
    }
}

/// Equality as RFC 6902 section 4.6 has it: numbers by value, strings by code points, objects whatever their order.
extension JSON: Equatable {
    package static func == (a: JSON, b: JSON) -> Bool {
        switch (a, b) {
        case (.null, .null): true
        case (.bool(let a), .bool(let b)): a == b
        case (.number(let a), .number(let b)): a == b
        // `==` alone takes canonically equivalent texts for equal.
        case (.string(let a), .string(let b)): a == b && a.utf8.elementsEqual(b.utf8)
        case (.array(let a), .array(let b)): a == b
        case (.object(let a), .object(let b)): a == b
        default: false
        }
    }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByStringInterpolation, ExpressibleByBooleanLiteral,
    ExpressibleByIntegerLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
    package init(stringLiteral value: String) { self = .string(value) }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(integerLiteral value: Int) { self = .number(JSONNumber(value)) }
    package init(arrayLiteral elements: JSON...) { self = .array(elements) }
    package init(dictionaryLiteral elements: (String, JSON)...) {
        self = .object(JSONObject(elements.map { (key: $0.0, value: $0.1) }))
    }
    package init(nilLiteral: ()) { self = .null }
}
