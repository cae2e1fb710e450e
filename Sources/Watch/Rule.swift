// A rule of `control.watch`, and how it is read: every part is checked, and what is wrong is named with the place where it
// stands. Values: any thread.
package import Engine
package import Graph
package import Media

/// What a rule waits for.
package enum Condition: Sendable, Equatable {
    /// An event. It goes on until its opposite, where it has one.
    case event(EventType)
    /// No outlet of the node may give nothing for longer than `for`.
    case silence
    /// A metric beyond a threshold: a gauge as it is, a counter by how much it grew within `window`.
    case metric(WatchedMetric, Threshold, window: MediaTime)

    package enum Threshold: Sendable, Equatable {
        case above(Double)
        case below(Double)

        package func holds(_ value: Double) -> Bool {
            switch self {
            case .above(let limit): value > limit
            case .below(let limit): value < limit
            }
        }
    }

    /// Whether it has to be looked at again and again.
    package var isMeasured: Bool { if case .event = self { false } else { true } }
}

/// One rule.
package struct Rule: Sendable, Equatable {
    package let condition: Condition
    /// The node that it is about; nil: any, for events.
    package let node: String?
    /// How long the condition must hold.
    package let holding: MediaTime
    /// At least so long after it fired before it fires again; nil: once for each time that the condition begins.
    package let every: MediaTime?
    package let patch: JSONPatch
    /// The patch as the document has it.
    package let then: JSON

    /// In words.
    package var sentence: String {
        let subject = node.map { " at \($0)" } ?? ""
        let time = holding > .zero ? " for \(holding.durationText)" : ""
        switch condition {
        case .event(let type): return "\(type.rawValue)\(subject)\(time)"
        case .silence: return "silence\(subject)\(time)"
        case .metric(let metric, let threshold, _): return "\(metric.rawValue)\(subject) \(threshold)\(time)"
        }
    }
}

extension Condition.Threshold: CustomStringConvertible {
    package var description: String {
        switch self {
        case .above(let limit): "above \(JSON.double(limit).compact)"
        case .below(let limit): "below \(JSON.double(limit).compact)"
        }
    }
}

extension EventType {
    /// The event that ends what this one began; nil where nothing goes on.
    package var opposite: Set<EventType> {
        switch self {
        case .noSignal: [.signal, .nodeStopped]
        case .signal: [.noSignal, .nodeStopped]
        case .nodeRestarting, .nodeFailed, .nodeFinished: [.nodeStarted, .nodeStopped]
        case .nodeStarted: [.nodeRestarting, .nodeFailed, .nodeFinished, .nodeStopped]
        case .nodeStopped: [.nodeStarted]
        case .budgetBroken: [.budgetKept, .nodeStopped]
        case .budgetKept: [.budgetBroken, .nodeStopped]
        case .storeFailed: [.storeRecovered]
        case .storeRecovered: [.storeFailed]
        case .slotAdded: [.slotRemoved]
        case .slotRemoved: [.slotAdded]
        case .failoverExhausted: [.failoverRestored, .nodeStopped]
        case .failoverRestored: [.failoverExhausted, .nodeStopped]
        case .conditionBegan: [.conditionEnded, .nodeStopped]
        case .conditionEnded: [.conditionBegan, .nodeStopped]
        default: []
        }
    }
}

/// What is wrong with a rule, below the setting.
package struct RuleFault: Error, Sendable, Equatable {
    package var path: [String]
    package let found: String
    package let expected: String
    package let remedy: String
}

/// The rules of one node: read whole, so that all that is wrong is said at once.
package struct RuleReader {
    package static let mostRules = 200
    /// Longer holds nothing that anybody waits for.
    private static let longest = MediaTime.seconds(7 * 24 * 3600)
    package private(set) var rules: [Rule] = []
    package private(set) var faults: [RuleFault] = []
    private var path: [String] = []

    package init(_ json: JSON) {
        guard let list = json.array else {
            add("found \(json.phrase)", "expected a list of rules", "write [ … ]")
            return
        }
        guard list.count <= Self.mostRules else {
            add("found \(list.count) rules", "expected at most \(Self.mostRules)", "use several nodes")
            return
        }
        for (i, element) in list.enumerated() {
            path = ["\(i)"]
            if let rule = read(element) { rules.append(rule) }
        }
    }

    private mutating func add(_ found: String, _ expected: String, _ remedy: String, at key: String? = nil) {
        faults.append(
            RuleFault(path: path + (key.map { [$0] } ?? []), found: found, expected: expected, remedy: remedy))
    }

    private mutating func read(_ json: JSON) -> Rule? {
        guard let object = json.object else {
            add("found \(json.phrase)", "expected a rule", "write { \"when\": …, \"then\": [ … ] }")
            return nil
        }
        let before = faults.count
        let known = ["when", "node", "for", "every", "then"]
        for key in object.keys where !known.contains(key) {
            add("unknown key \"\(key)\"", "expected one of \(known.joined(separator: ", "))", "remove it", at: key)
        }
        let node = readNode(object["node"])
        let condition = readCondition(object["when"])
        let holding = readTime(object["for"], "for") ?? .zero
        let every = readTime(object["every"], "every")
        let patch = readPatch(object["then"])
        guard faults.count == before, let condition, let patch else { return nil }
        check(condition, node: node ?? object["when"]?["node"]?.string, holding)
        guard faults.count == before else { return nil }
        return Rule(
            condition: condition, node: node ?? object["when"]?["node"]?.string, holding: holding, every: every,
            patch: patch, then: object["then"] ?? [])
    }

    /// What only together is wrong.
    private mutating func check(_ condition: Condition, node: String?, _ holding: MediaTime) {
        switch condition {
        case .silence:
            if node == nil { add("\"node\" is missing", "silence is that of a node", "add \"node\"") }
            if holding < .milliseconds(500) {
                add(
                    "found \(holding.durationText)", "silence is measured four times a second: expected 500ms at least",
                    "add \"for\": \"5s\"", at: "for")
            }
        case .metric:
            if node == nil { add("\"node\" is missing", "a metric is that of a node", "add \"node\"") }
        case .event(let type):
            if holding > .zero, type.opposite.isEmpty {
                add("found \"for\"", "\(type.rawValue) happens and does not last", "remove it", at: "for")
            }
        }
    }

    private mutating func readNode(_ json: JSON?) -> String? {
        guard let json else { return nil }
        if let node = json.string,
            node.split(separator: "/", omittingEmptySubsequences: false).allSatisfy({ Identifier.isValid(String($0)) })
        {
            return node
        }
        add("found \(json.phrase)", "expected the id of a node", "write \"node\": \"in\"", at: "node")
        return nil
    }

    private mutating func readTime(_ json: JSON?, _ key: String) -> MediaTime? {
        guard let json else { return nil }
        if let time = MediaTime(setting: json), time > .zero, time <= Self.longest { return time }
        add("found \(json.phrase)", "expected a duration such as \"5s\", at most a week", "leave it out", at: key)
        return nil
    }

    private mutating func readPatch(_ json: JSON?) -> JSONPatch? {
        guard let json else {
            add("\"then\" is missing", "expected a JSON Patch", "write \"then\": [ { \"op\": … } ]")
            return nil
        }
        do throws(PatchFault) {
            let patch = try JSONPatch(json: json)
            guard !json.writesMask else {
                add("found \"\(Secret.mask)\"", "expected the secret that it stands for", "write that", at: "then")
                return nil
            }
            guard patch.operations.isEmpty else { return patch }
            add("found no operation", "expected one at least", "say what is to be done", at: "then")
        } catch {
            add(
                error.operation.map { "operation \($0): \(error.message)" } ?? error.message, "expected a JSON Patch",
                "see RFC 6902", at: "then")
            if let operation = error.operation { faults[faults.count - 1].path.append("\(operation)") }
        }
        return nil
    }

    // MARK: Conditions

    private mutating func readCondition(_ json: JSON?) -> Condition? {
        switch json {
        case nil:
            add("\"when\" is missing", "expected a type of event, \"silence\", or a metric", "add \"when\"")
        case .string("silence")?: return .silence
        case .string(let name)?:
            if let type = EventType(rawValue: name) { return .event(type) }
            let known = ["silence"] + EventType.allCases.map(\.rawValue)
            add(
                "unknown type of event \"\(name.prefix(80))\"", "expected one of \(known.joined(separator: ", "))",
                "rename it", at: "when")
        case .object(let object)?: return readMetric(object)
        case let other?:
            add("found \(other.phrase)", "expected a type of event, \"silence\", or a metric", "change it", at: "when")
        }
        return nil
    }

    private mutating func readMetric(_ object: JSONObject) -> Condition? {
        path.append("when")
        defer { path.removeLast() }
        let known = ["metric", "above", "below", "within", "node"]
        for key in object.keys where !known.contains(key) {
            add("unknown key \"\(key)\"", "expected one of \(known.joined(separator: ", "))", "remove it", at: key)
        }
        let name = object["metric"]?.string ?? ""
        guard let metric = WatchedMetric(rawValue: name) else {
            let names = WatchedMetric.allCases.map(\.rawValue).joined(separator: ", ")
            add("unknown metric \"\(name.prefix(80))\"", "expected one of \(names)", "rename it", at: "metric")
            return nil
        }
        _ = readNode(object["node"])
        let window = readTime(object["within"], "within")
        if window != nil, !metric.isCounter {
            add("found \"within\"", "\(name) is a gauge and judged as it is", "remove it", at: "within")
        }
        switch (object["above"], object["below"]) {
        case (let above?, nil):
            if let limit = above.double { return .metric(metric, .above(limit), window: window ?? .seconds(60)) }
        case (nil, let below?):
            if let limit = below.double { return .metric(metric, .below(limit), window: window ?? .seconds(60)) }
        default: break
        }
        add("no threshold", "expected \"above\" or \"below\" with a number", "write \"above\": 10")
        return nil
    }
}
