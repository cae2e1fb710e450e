// A drill as somebody asks for it: faults of inputs, each with its time, and what is to come of it. Values: any thread.
package import Graph
import Media

/// Why a script is none.
package struct DrillFault: Error, Equatable, Sendable {
    /// A JSON Pointer into the script.
    package let pointer: String
    package let message: String
}

/// One fault of a script.
package struct DrillStep: Sendable {
    /// What is to come of it.
    package enum Expectation: String, Sendable, CaseIterable {
        /// The input is left.
        case `switch`
        /// It stays on air.
        case stay
    }
    package let input: String
    package let kind: String
    /// Nanoseconds since the drill began.
    package let begin: Int64
    package let end: Int64
    /// Nil: whatever the kind and its length let expect.
    package let expectation: Expectation?
    /// As `source.fault` takes it.
    let fault: JSON
}

/// Faults, in the order of their beginnings.
package struct DrillScript: Sendable {
    static let mostSteps = 100
    /// Nanoseconds.
    static let longest: Int64 = 600_000_000_000
    package let steps: [DrillStep]

    /// When the last fault is over, nanoseconds since the drill began.
    package var end: Int64 { steps.map(\.end).max() ?? 0 }
    /// The inputs that faults come to, in the order of their first ones.
    package var inputs: [String] {
        var seen: Set<String> = []
        return steps.map(\.input).filter { seen.insert($0).inserted }
    }

    package init(_ json: JSON) throws(DrillFault) {
        guard let object = json.object, object.keys == ["faults"], let list = object["faults"]?.array,
            (1...Self.mostSteps).contains(list.count)
        else {
            throw DrillFault(
                pointer: "",
                message: "expected { \"faults\": [ … ] } with 1 to \(Self.mostSteps) of { \"input\": \"NAME\", "
                    + "\"kind\": \"stall\", \"at\": \"1s\", \"for\": \"3s\" }")
        }
        var steps: [DrillStep] = []
        for (i, json) in list.enumerated() { steps.append(try DrillStep(json, at: "/faults/\(i)")) }
        // Of equal beginnings the one that was written first.
        self.steps = steps.enumerated().sorted { ($0.element.begin, $0.offset) < ($1.element.begin, $1.offset) }
            .map(\.element)
    }
}

extension DrillStep {
    fileprivate init(_ json: JSON, at pointer: String) throws(DrillFault) {
        guard let object = json.object else {
            throw DrillFault(pointer: pointer, message: "found \(json.phrase), expected a fault")
        }
        guard let input = object["input"]?.string else {
            throw DrillFault(pointer: pointer + "/input", message: "expected the name of an input")
        }
        guard let kind = object["kind"]?.string else {
            throw DrillFault(pointer: pointer + "/kind", message: "expected a kind of fault such as \"stall\"")
        }
        func time(_ key: String, _ range: ClosedRange<Int64>) throws(DrillFault) -> Int64? {
            guard let json = object[key] else { return nil }
            if let time = MediaTime(setting: json)?.nanoseconds, range.contains(time) { return time }
            throw DrillFault(
                pointer: "\(pointer)/\(key)",
                message: "found \(json.phrase), expected a duration such as \"3s\", at most ten minutes")
        }
        let begin = try time("at", 0...DrillScript.longest) ?? 0
        guard let length = try time("for", 1_000_000...DrillScript.longest) else {
            throw DrillFault(
                pointer: pointer + "/for", message: "\"for\" is missing: a fault of a drill is over some day")
        }
        var expectation: Expectation?
        if let json = object["expect"] {
            expectation = json.string.flatMap(Expectation.init(rawValue:))
            if expectation == nil {
                throw DrillFault(
                    pointer: pointer + "/expect", message: "found \(json.phrase), expected \"switch\" or \"stay\"")
            }
        }
        (self.input, self.kind, self.begin, self.end) = (input, kind, begin, begin + length)
        self.expectation = expectation
        fault = .object(JSONObject(object.members.filter { !["input", "expect"].contains($0.key) }))
    }
}
