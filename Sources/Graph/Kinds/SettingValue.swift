// The types that settings can have, and how each is read from and written as JSON. One file says all: what a type
// accepts, how messages and documentation call it, its JSON Schema. Any thread.
package import Media

/// A type that a setting can have.
package protocol SettingValue: Sendable, Equatable {
    /// As documentation calls it: `bit rate`.
    static var typeName: String { get }
    /// As messages say what they want: `a bit rate such as "4M"`.
    static var expectation: String { get }
    /// JSON Schema of what is accepted.
    static var schema: JSON { get }
    /// Whether values must never be shown.
    static var isSecret: Bool { get }
    /// Whether null is a value.
    static var isOptional: Bool { get }
    /// Reads a value; nil for what is not one.
    init?(setting json: JSON)
    /// The value as a document has it; a secret as `"***"`.
    var settingJSON: JSON { get }
    /// What a command line's text means, before it is read.
    static func settingJSON(fromText text: String) -> JSON
}

extension SettingValue {
    package static var isSecret: Bool { false }
    package static var isOptional: Bool { false }
    package static func settingJSON(fromText text: String) -> JSON { .string(text) }
}

extension Optional: SettingValue where Wrapped: SettingValue {
    package static var typeName: String { Wrapped.typeName }
    package static var expectation: String { Wrapped.expectation }
    package static var schema: JSON { ["anyOf": [Wrapped.schema, ["type": "null"]]] }
    package static var isSecret: Bool { Wrapped.isSecret }
    package static var isOptional: Bool { true }
    package init?(setting json: JSON) {
        if json.isNull {
            self = .none
        } else {
            guard let value = Wrapped(setting: json) else { return nil }
            self = .some(value)
        }
    }
    package var settingJSON: JSON { self?.settingJSON ?? .null }
    package static func settingJSON(fromText text: String) -> JSON {
        text == "null" ? .null : Wrapped.settingJSON(fromText: text)
    }
}

// MARK: Plain values

extension String: SettingValue {
    package static var typeName: String { "text" }
    package static var expectation: String { "a text" }
    package static var schema: JSON { ["type": "string"] }
    /// Text ends up in C strings, so it must not contain NUL, and is held to 64 KiB.
    package init?(setting json: JSON) {
        guard let text = json.string, text.utf8.count <= 65536, !text.utf8.contains(0) else { return nil }
        self = text
    }
    package var settingJSON: JSON { .string(self) }
}

extension Bool: SettingValue {
    package static var typeName: String { "true or false" }
    package static var expectation: String { "true or false" }
    package static var schema: JSON { ["type": "boolean"] }
    package init?(setting json: JSON) {
        guard let value = json.bool else { return nil }
        self = value
    }
    package var settingJSON: JSON { .bool(self) }
    package static func settingJSON(fromText text: String) -> JSON {
        switch text {
        case "true", "yes", "on": .bool(true)
        case "false", "no", "off": .bool(false)
        default: .string(text)
        }
    }
}

extension Int: SettingValue {
    package static var typeName: String { "integer" }
    package static var expectation: String { "a whole number" }
    package static var schema: JSON { ["type": "integer"] }
    package init?(setting json: JSON) {
        guard let value = json.integer else { return nil }
        self = value
    }
    package var settingJSON: JSON { .number(JSONNumber(self)) }
    package static func settingJSON(fromText text: String) -> JSON {
        JSONNumber(text: text).map(JSON.number) ?? .string(text)
    }
}

extension Double: SettingValue {
    package static var typeName: String { "number" }
    package static var expectation: String { "a number" }
    package static var schema: JSON { ["type": "number"] }
    package init?(setting json: JSON) {
        guard let value = json.double, value.isFinite else { return nil }
        self = value
    }
    package var settingJSON: JSON { .double(self) }
    package static func settingJSON(fromText text: String) -> JSON { Int.settingJSON(fromText: text) }
}

/// A setting with a fixed set of words: an enumeration whose raw values are those of the document.
package protocol SettingChoice: SettingValue, RawRepresentable<String>, CaseIterable {}

extension SettingChoice {
    package static var typeName: String { allCases.map(\.rawValue).joined(separator: " | ") }
    package static var expectation: String {
        "one of " + allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
    }
    package static var schema: JSON { ["enum": .array(allCases.map { .string($0.rawValue) })] }
    package init?(setting json: JSON) {
        guard let text = json.string else { return nil }
        self.init(rawValue: text)
    }
    package var settingJSON: JSON { .string(rawValue) }
}

extension Splice: SettingChoice {}

// MARK: Media values

extension PictureSize: SettingValue {
    package static var typeName: String { "size" }
    package static var expectation: String { "a size such as \"1280x720\", at most 16384 each way" }
    package static var schema: JSON { ["type": "string", "pattern": "^[0-9]+x[0-9]+$"] }
    package init?(setting json: JSON) {
        guard let text = json.string else { return nil }
        self.init(text)
    }
    package var settingJSON: JSON { .string(description) }
}

extension Rational: SettingValue {
    package static var typeName: String { "rate" }
    package static var expectation: String { "a rate such as \"50\" or \"30000/1001\", from one a day to 10000" }
    package static var schema: JSON { ["type": ["string", "number"], "pattern": "^[0-9]+(/[0-9]+|\\.[0-9]+)?$"] }
    package init?(setting json: JSON) {
        guard let rate = json.scalarText.flatMap({ Rational(rate: $0) }), rate.isPositive else { return nil }
        self = rate
    }
    package var settingJSON: JSON { .string(description) }
}

/// A duration.
extension MediaTime: SettingValue {
    package static var typeName: String { "duration" }
    package static var expectation: String { "a duration with its unit such as \"2s\" or \"500ms\"" }
    package static var schema: JSON { ["type": "string", "pattern": "^[0-9.]+(ns|us|ms|s|m|h)$"] }
    package init?(setting json: JSON) {
        guard let text = json.string else { return nil }
        self.init(duration: text)
    }
    package var settingJSON: JSON { .string(durationText) }

    /// As people write it, in the largest unit that divides it: `2s`, `1500ms`.
    package var durationText: String {
        let units: [(String, Int64)] = [
            ("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1000),
        ]
        guard nanoseconds != 0 else { return "0s" }
        for (name, length) in units where nanoseconds % length == 0 { return "\(nanoseconds / length)\(name)" }
        return "\(nanoseconds)ns"
    }
}

extension BitRate: SettingValue {
    package static var typeName: String { "bit rate" }
    package static var expectation: String { "a bit rate such as \"4M\" or \"128k\"" }
    package static var schema: JSON { ["type": ["string", "number"], "pattern": "^[0-9.]+[kKMG]?$"] }
    package init?(setting json: JSON) {
        guard let text = json.scalarText else { return nil }
        self.init(text)
    }
    package var settingJSON: JSON { .string(description) }
}

extension PixelFormat: SettingValue {
    package static var typeName: String { "pixel format" }
    package static var expectation: String { "a pixel format by libav's name such as \"yuv420p\" or \"yuv422p10le\"" }
    package static var schema: JSON { ["enum": .array(all.map { .string($0.name) })] }
    package init?(setting json: JSON) {
        guard let text = json.string else { return nil }
        self.init(text)
    }
    package var settingJSON: JSON { .string(name) }
}

extension SampleFormat: SettingChoice {
    package static var typeName: String { "sample format" }
}

extension ChannelLayout: SettingValue {
    package static var typeName: String { "channel layout" }
    package static var expectation: String {
        "a channel layout: one of " + named.map { "\"\($0)\"" }.joined(separator: ", ")
    }
    package static var schema: JSON { ["enum": .array(named.map { .string($0.description) })] }
    package init?(setting json: JSON) {
        guard let text = json.string else { return nil }
        self.init(text)
    }
    package var settingJSON: JSON { .string(description) }
}

extension JSON {
    /// A text, or a number as it was written: rates and bit rates may be given as either.
    fileprivate var scalarText: String? {
        switch self {
        case .string(let text): text
        case .number(let number): number.text
        default: nil
        }
    }
}

// MARK: Values of our own

/// A path in the file system, or below an output root: the kind that uses it says which. Not empty, no NUL.
package struct FilePath: SettingValue, Hashable, CustomStringConvertible {
    package let text: String

    package init(_ text: String) { self.text = text }

    package static var typeName: String { "path" }
    package static var expectation: String { "a path" }
    package static var schema: JSON { ["type": "string", "minLength": 1] }
    package init?(setting json: JSON) {
        guard let text = json.string, (1...4095).contains(text.utf8.count), !text.utf8.contains(0) else { return nil }
        self.text = text
    }
    package var settingJSON: JSON { .string(text) }
    package var description: String { text }
}

/// A text that is never shown: in messages, JSON and debuggers alike it is `***`.
package struct Secret: SettingValue, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// What stands in for every secret.
    package static let mask = "***"

    private let text: String

    package init(_ text: String) { self.text = text }

    /// The secret itself; for the peer that it is meant for, and nobody else.
    package func reveal() -> String { text }

    package static var typeName: String { "secret" }
    package static var expectation: String { "a secret text (not \"\(mask)\", which only stands for one)" }
    package static var schema: JSON { ["type": "string", "writeOnly": true] }
    package static var isSecret: Bool { true }
    package init?(setting json: JSON) {
        guard let text = String(setting: json), text != Self.mask else { return nil }
        self.text = text
    }
    package var settingJSON: JSON { .string(Self.mask) }
    package var description: String { Self.mask }
    package var debugDescription: String { Self.mask }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

/// Names and texts that are handed on as they are, such as a codec's private options. Numbers and booleans are taken
/// as their text.
extension [String: String]: SettingValue {
    package static var typeName: String { "names and values" }
    package static var expectation: String { "an object whose values are texts, numbers or booleans" }
    package static var schema: JSON {
        ["type": "object", "additionalProperties": ["type": ["string", "number", "boolean"]]]
    }
    package init?(setting json: JSON) {
        guard let object = json.object, object.count <= 1000 else { return nil }
        self.init(minimumCapacity: object.count)
        for (key, value) in object.members {
            guard String(setting: .string(key)) != nil else { return nil }
            switch value {
            case .string(let text):
                guard String(setting: value) != nil else { return nil }
                self[key] = text
            case .number(let number): self[key] = number.text
            case .bool(let flag): self[key] = flag ? "1" : "0"
            default: return nil
            }
        }
    }
    package var settingJSON: JSON {
        .object(JSONObject(sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) }))
    }
    /// `name=value,name=value`, or a JSON object.
    package static func settingJSON(fromText text: String) -> JSON {
        if text.utf8.first == UInt8(ascii: "{") {
            do throws(JSONFault) { return try JSONText(text).parse() } catch { return .string(text) }
        }
        var values: [String: String] = [:]
        for pair in text.split(separator: ",") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[0].isEmpty else { return .string(text) }
            values[String(parts[0])] = String(parts[1])
        }
        return values.settingJSON
    }
}
