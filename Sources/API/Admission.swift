// Which connections a listener holds: a pure policy, run on the HTTP thread. A connection that waits for nothing of ours
// (idle, or dribbling a request) gives way to a new one when the listener is full, the one idle longest first; so
// neither forgotten keep-alives nor a slowloris keep others out, and there never are more than the limit.

/// Decides who comes in and who has to go.
struct Admission {
    struct Limits {
        /// Connections in all.
        var connections: Int
        /// Connections from one address; loopback is exempt.
        var connectionsPerAddress: Int
        /// How long a new connection has, at least, to send its request, in nanoseconds.
        var graceNanoseconds: Int64
        /// Connections that may listen to events: they stay, so that there must be others.
        var streams = 256
        /// Silence after which one that listens gets a comment, in nanoseconds.
        var beatNanoseconds: Int64 = 15_000_000_000

        static let standard = Limits(connections: 512, connectionsPerAddress: 64, graceNanoseconds: 1_000_000_000)
    }

    /// Identifies a connection while it is open.
    typealias ID = UInt

    enum Verdict: Equatable {
        case admit
        case admitInstead(of: ID)
        case refuse
    }

    /// Where a connection comes from, as far as limits care.
    enum Origin: Hashable {
        case loopback
        /// An IPv4 address, or the /64 of an IPv6 one: whoever has one address of that, has all.
        case network([UInt8])

        init(_ address: ListenAddress) {
            let octets = address.octets
            if address.isLoopback {
                self = .loopback
            } else if octets.count == 16, octets.prefix(12) != [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff] {
                self = .network(Array(octets.prefix(8)))
            } else {
                self = .network(Array(octets.suffix(4)))
            }
        }
    }

    private struct Entry {
        var origin: Origin
        /// Since when it waits for its client's request; nil while we work for it or send to it.
        var idleSince: Int64?
        var isLeaving = false
    }

    private let limits: Limits
    private var entries: [ID: Entry] = [:]
    private var countsByOrigin: [Origin: Int] = [:]
    private var leaving = 0

    init(_ limits: Limits) { self.limits = limits }

    /// Connections that are to stay.
    var count: Int { entries.count - leaving }

    /// A client has connected; `now` is monotonic nanoseconds. One displaced is taken as closing from here on.
    mutating func arrival(from origin: Origin, at now: Int64) -> Verdict {
        if origin != .loopback, countsByOrigin[origin, default: 0] >= limits.connectionsPerAddress { return .refuse }
        if count < limits.connections { return .admit }
        guard let victim = longestIdle(at: now) else { return .refuse }
        entries[victim]?.isLeaving = true
        leaving += 1
        return .admitInstead(of: victim)
    }

    private func longestIdle(at now: Int64) -> ID? {
        var victim: (id: ID, since: Int64)?
        for (id, entry) in entries {
            guard !entry.isLeaving, let since = entry.idleSince, now - since >= limits.graceNanoseconds,
                since < victim?.since ?? .max
            else { continue }
            victim = (id, since)
        }
        return victim?.id
    }

    mutating func opened(_ id: ID, from origin: Origin, at now: Int64) {
        entries[id] = Entry(origin: origin, idleSince: now)
        countsByOrigin[origin, default: 0] += 1
    }

    /// A request is complete: the connection is ours to serve.
    mutating func began(_ id: ID) { entries[id]?.idleSince = nil }

    /// The answer is out: the connection waits for another request.
    mutating func ended(_ id: ID, at now: Int64) { entries[id]?.idleSince = now }

    mutating func closed(_ id: ID) {
        guard let entry = entries.removeValue(forKey: id) else { return }
        if entry.isLeaving { leaving -= 1 }
        let left = countsByOrigin[entry.origin, default: 1] - 1
        countsByOrigin[entry.origin] = left > 0 ? left : nil
    }
}
