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

    package init(_ type: EventType, node: String? = nil, cause: String? = nil, data: JSON = [:]) {
        self.type = type
        self.node = node
        self.cause = cause
        self.data = data
    }
}

/// An event that has a place among all others.
package struct PostedEvent: Sendable {
    /// Larger than that of every event before, over restarts of the engine too.
    package let id: UInt64
    package let event: Event
    /// CLOCK_REALTIME nanoseconds since 1970: a label.
    package let wall: Int64
    /// CLOCK_MONOTONIC nanoseconds: for durations.
    package let monotonic: Int64
    /// `json`, compact UTF-8 without a line break; made once, sent to everybody.
    package let text: [UInt8]

    init(id: UInt64, _ event: Event, _ instant: EventInstant, _ members: [UInt8]) {
        self.id = id
        self.event = event
        (wall, monotonic) = (instant.wall, instant.monotonic)
        text = Array("{\"id\":\(id),".utf8) + members
    }
}

/// When an event was posted.
struct EventInstant {
    let wall: Int64
    let monotonic: Int64
}

extension Event {
    /// The JSON form behind the id, which is given under the outbox's lock: `"type":"…","at":"…",…}`.
    func members(at instant: EventInstant) -> [UInt8] {
        var members: [JSONObject.Member] = [
            ("type", .string(type.rawValue)), ("at", .string(iso8601(wallNanoseconds: instant.wall))),
            ("monotonicNanoseconds", .count(instant.monotonic)),
        ]
        if let node { members.append(("node", .string(node))) }
        if let cause { members.append(("cause", .string(Self.cut(cause)))) }
        var text = JSON.object(JSONObject(members)).utf8(pretty: false)
        text.removeFirst()
        text.removeLast()
        var data = data.utf8(pretty: false)
        if data.count > Self.longestData { data = Array("{\"omittedBytes\":\(data.count)}".utf8) }
        return text + Array(",\"data\":".utf8) + data + [UInt8(ascii: "}")]
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

    package func admits(_ event: Event) -> Bool {
        if let types, !types.contains(event.type) { return false }
        guard let nodes else { return true }
        guard let node = event.node else { return false }
        return nodes.contains(node) || nodes.contains { node.hasPrefix($0 + "/") }
    }
}
