// The parameters of one use of a sub-graph: what is given, put in place of `${name}`. A text that is nothing but one
// `${name}` becomes the value itself, of whatever type; inside a longer text the value is written out. `$${` is a `${`.

/// One use's parameters with their values.
struct Arguments {
    struct Argument {
        let value: JSON
        /// What comes before the names of nodes where the value was written: a reference that is given as a parameter
        /// is followed from there.
        let scope: String
    }
    private var values: [String: Argument] = [:]

    subscript(name: String) -> Argument? {
        get { values[name] }
        set { values[name] = newValue }
    }
    var names: [String] { values.keys.sorted() }

    enum Piece: Equatable {
        case text(String)
        case parameter(String)
    }

    /// Takes a text apart; nil where it holds neither a parameter nor an escape.
    static func pieces(_ text: String) -> [Piece]? {
        guard text.utf8.contains(UInt8(ascii: "$")) else { return nil }
        var pieces: [Piece] = []
        var plain = ""
        var rest = text[...]
        while let dollar = rest.firstIndex(of: "$") {
            plain += rest[..<dollar]
            rest = rest[dollar...]
            if rest.hasPrefix("$${") {
                plain += "${"
                rest = rest.dropFirst(3)
            } else if rest.hasPrefix("${"), let end = rest.firstIndex(of: "}") {
                if !plain.isEmpty { pieces.append(.text(plain)) }
                plain = ""
                pieces.append(.parameter(String(rest[rest.index(rest.startIndex, offsetBy: 2)..<end])))
                rest = rest[rest.index(after: end)...]
            } else {
                plain.append("$")
                rest = rest.dropFirst()
            }
        }
        plain += rest
        if !plain.isEmpty || pieces.isEmpty { pieces.append(.text(plain)) }
        return pieces
    }
}

/// Puts values in place of parameters, and keeps what is wrong. What it makes is bounded, since values that stand in
/// one another could otherwise double a document at every level.
struct Filling {
    enum Trouble: Equatable {
        case unknown(String)
        case tooMuch
    }
    /// Values and bytes of text that one document's parameters may bring in.
    static let limit = 1_000_000

    let arguments: Arguments
    var budget: Int
    private(set) var troubles: [(Trouble, JSONPointer)] = []

    init(_ arguments: Arguments, budget: Int) { (self.arguments, self.budget) = (arguments, budget) }

    mutating func filled(_ json: JSON, at path: JSONPointer) -> JSON {
        switch json {
        case .string(let text): return filled(text, at: path).value
        case .array(let elements):
            var result: [JSON] = []
            for (i, element) in elements.enumerated() { result.append(filled(element, at: path / "\(i)")) }
            return .array(result)
        case .object(let object):
            var result: [JSONObject.Member] = []
            for (key, value) in object.members { result.append((key, filled(value, at: path / key))) }
            return .object(JSONObject(result))
        default: return json
        }
    }

    /// The value of a text, and the scope of the first parameter in it.
    mutating func filled(_ text: String, at path: JSONPointer) -> (value: JSON, scope: String?) {
        guard let pieces = Arguments.pieces(text) else { return (.string(text), nil) }
        var result = ""
        var scope: String?
        for piece in pieces {
            switch piece {
            case .text(let text): result += text
            case .parameter(let name):
                guard let argument = arguments[name] else {
                    troubles.append((.unknown(name), path))
                    continue
                }
                budget -= argument.value.count(upTo: max(budget, 0))
                let written = pieces.count == 1 ? "" : argument.value.string ?? argument.value.compact
                budget -= written.utf8.count
                guard budget >= 0 else {
                    troubles.append((.tooMuch, path))
                    return (.null, nil)
                }
                if pieces.count == 1 { return (argument.value, argument.scope) }
                scope = scope ?? argument.scope
                result += written
            }
        }
        return (.string(result), scope)
    }
}
