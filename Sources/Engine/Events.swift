// What an event is: something that happened to the graph, said once, in one form for everybody who listens. Values; any
// thread. How events are kept and handed out is EventBus.swift.
package import Graph

/// Everything that an engine tells of. Names are in the past tense; raw values are what `/v1/events` calls them.
package enum EventType: String, Sendable, CaseIterable {
    /// The graph is another one now.
    case graphCommitted
    /// A change of the graph was refused, and nothing happened.
    case graphRefused
    /// A node runs: at first, after a restart, or after it was made anew.
    case nodeStarted
    /// A node has left the graph.
    case nodeStopped
    /// A node broke and will be started again.
    case nodeRestarting
    /// A node broke for good.
    case nodeFailed
    /// A node had nothing more to do.
    case nodeFinished
    /// An outlet has nothing to give: its source is silent, or has no such track.
    case noSignal
    /// An outlet gives grains, at first or again.
    case signal
    /// What an outlet gives has another format.
    case formatChanged
    /// Grains reach a node later than its budget allows.
    case budgetBroken
    /// Grains reach a node within its budget again.
    case budgetKept
    /// A slot of the frame cache has come.
    case slotAdded
    /// A slot of the frame cache has gone.
    case slotRemoved
    /// What is to outlast the process can't be stored.
    case storeFailed
    /// What is to outlast the process can be stored again.
    case storeRecovered
    /// A control node decided something.
    case decided
    /// A chain of rules that triggered itself was cut.
    case chainCut
    /// A failover put another input on air.
    case failoverSwitched
    /// Every input of a failover is degraded.
    case failoverExhausted
    /// An input of a failover is well again after all were degraded.
    case failoverRestored
    /// An input that was to go on air has no key frame: the old one stays.
    case spliceRefused
    /// What a meter was told to look for has gone on for as long as it was told.
    case conditionBegan
    /// It is over.
    case conditionEnded

    /// One sentence for people.
    package var documentation: String {
        switch self {
        case .graphCommitted: "The graph is another one now."
        case .graphRefused: "A change of the graph was refused, and nothing happened."
        case .nodeStarted: "A node runs."
        case .nodeStopped: "A node has left the graph."
        case .nodeRestarting: "A node broke and will be started again."
        case .nodeFailed: "A node broke for good."
        case .nodeFinished: "A node had nothing more to do."
        case .noSignal: "An outlet has nothing to give."
        case .signal: "An outlet gives grains, at first or again."
        case .formatChanged: "What an outlet gives has another format."
        case .budgetBroken: "Grains reach a node later than its budget allows."
        case .budgetKept: "Grains reach a node within its budget again."
        case .slotAdded: "A slot of the frame cache has come."
        case .slotRemoved: "A slot of the frame cache has gone."
        case .storeFailed: "What is to outlast the process can't be stored."
        case .storeRecovered: "What is to outlast the process can be stored again."
        case .decided: "A control node decided something."
        case .chainCut: "A chain of rules that triggered itself was cut."
        case .failoverSwitched: "A failover put another input on air."
        case .failoverExhausted: "Every input of a failover is degraded."
        case .failoverRestored: "An input of a failover is well again after all were degraded."
        case .spliceRefused: "An input that was to go on air has no key frame: the old one stays."
        case .conditionBegan: "What a meter looks for has gone on for long enough."
        case .conditionEnded: "What a meter looks for is over."
        }
    }
}

/// What happened.
package struct Event: Sendable, Equatable {
    package let type: EventType
    /// The node that it happened to, nil for what concerns the whole engine.
    package let node: String?
    /// Why, in words.
    package let cause: String?
    /// What else is known, as an object.
    package let data: JSON

    /// Bytes that a cause or data may have in an event; what is longer is cut or left out, so that the outbox is bounded.
    package static let longestCause = 1000
    package static let longestData = 8 << 10
    /// Of data that is too long, bytes that a member may have and stay.
    package static let longestMember = 512

    package init(_ type: EventType, node: String? = nil, cause: String? = nil, data: JSON = [:]) {
        self.type = type
        self.node = node
        self.cause = cause
        self.data = data
    }
}

extension Event {
    /// The JSON form behind the id, which is given under the outbox's lock: `"type":"…","at":"…",…}`.
    /// - Parameters:
    ///   - wall: CLOCK_REALTIME nanoseconds since 1970: a label.
    ///   - monotonic: CLOCK_MONOTONIC nanoseconds: for durations.
    func members(wall: Int64, monotonic: Int64) -> [UInt8] {
        var members: [JSONObject.Member] = [
            ("type", .string(type.rawValue)), ("at", .string(iso8601(wallNanoseconds: wall))),
            ("monotonicNanoseconds", .count(monotonic)),
        ]
        if let node { members.append(("node", .string(node))) }
        if let cause { members.append(("cause", .string(Self.cut(cause)))) }
        var text = JSON.object(JSONObject(members)).utf8(pretty: false)
        text.removeFirst()
        text.removeLast()
        return text + Array(",\"data\":".utf8) + dataText + [UInt8(ascii: "}")]
    }

    /// What is too long is left out: of an object its long members, so that who did it and when can still be read.
    private var dataText: [UInt8] {
        let whole = data.utf8(pretty: false)
        guard whole.count > Self.longestData else { return whole }
        func omitted(_ text: [UInt8]) -> JSON { ["omittedBytes": .count(text.count)] }
        let short = (data.object?.members ?? []).map { key, value in
            let text = value.utf8(pretty: false)
            return (key: key, value: text.count > Self.longestMember ? omitted(text) : value)
        }
        let cut = JSON.object(JSONObject(short)).utf8(pretty: false)
        return short.isEmpty || cut.count > Self.longestData ? omitted(whole).utf8(pretty: false) : cut
    }

    private static func cut(_ text: String) -> String {
        guard text.utf8.count > longestCause else { return text }
        var bytes = 0
        return String(
            text.prefix { character in
                bytes += character.utf8.count
                return bytes < longestCause
            }) + "…"
    }
}

/// Which events somebody wants.
package struct EventFilter: Sendable, Equatable {
    /// Nil for all.
    package var types: Set<EventType>?
    /// Node ids; that of a sub-graph stands for all in it. Nil for all, and for those of no node.
    package var nodes: Set<String>?

    package init(types: Set<EventType>? = nil, nodes: Set<String>? = nil) {
        self.types = types
        self.nodes = nodes
    }

    package func admits(_ type: EventType, node: @autoclosure () -> String?) -> Bool {
        if let types, !types.contains(type) { return false }
        guard let nodes else { return true }
        guard let node = node() else { return false }
        return nodes.contains(node) || nodes.contains { node.hasPrefix($0 + "/") }
    }
}
