// Prometheus' text format 0.0.4, written family by family. A value; any thread.

/// Metrics as text.
package struct Exposition {
    package enum Kind: String { case counter, gauge, summary }

    package private(set) var text = ""

    package init() {}

    /// Begins a family; its samples must follow before the next one begins.
    package mutating func family(_ name: String, _ kind: Kind, _ help: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
    }

    package mutating func sample(_ name: String, _ labels: [(String, String)] = [], _ value: some BinaryInteger) {
        line(name, labels, String(value))
    }

    /// Nanoseconds, written as seconds: the base unit that Prometheus asks for.
    package mutating func sample(_ name: String, _ labels: [(String, String)] = [], nanoseconds: Int64) {
        line(name, labels, "\(Double(nanoseconds) / 1e9)")
    }

    /// A share, a level, a rate that is no whole number.
    package mutating func sample(_ name: String, _ labels: [(String, String)] = [], decimal: Double) {
        line(name, labels, "\(decimal)")
    }

    /// A family of one sample without labels.
    package mutating func single(_ name: String, _ kind: Kind, _ help: String, _ value: some BinaryInteger) {
        family(name, kind, help)
        sample(name, [], value)
    }

    private mutating func line(_ name: String, _ labels: [(String, String)], _ value: String) {
        text += name
        if !labels.isEmpty {
            text += "{" + labels.map { "\($0.0)=\"\(Self.escaped($0.1))\"" }.joined(separator: ",") + "}"
        }
        text += " \(value)\n"
    }

    private static func escaped(_ value: String) -> String {
        var result = ""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\\": result += #"\\"#
            case "\"": result += #"\""#
            case "\n": result += #"\n"#
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
