// When a node that failed is started again: a pure machine. Back-off doubles from half a second to 30 s; a node that ran
// well for a minute starts from the beginning; more than 20 faults in ten minutes end it until somebody asks again.
package import Media

/// What is to be done about a fault.
package enum RestartDecision: Equatable, Sendable {
    case restart(after: MediaTime)
    case giveUp
}

/// The restarts of one node. Times are monotonic nanoseconds.
package struct Supervision: Sendable {
    package static let firstDelay = MediaTime.milliseconds(500)
    package static let longestDelay = MediaTime.seconds(30)
    package static let budget = 20
    package static let budgetWindow = MediaTime.seconds(600)
    /// A node that has run this long counts as well again.
    package static let calm = MediaTime.seconds(60)

    private var faults: [Int64] = []
    private var delay = Supervision.firstDelay

    package init() {}

    /// - Parameters:
    ///   - startedAt: when the node that failed was started.
    ///   - isTransient: whether the node thinks that trying again may help.
    package mutating func failed(at now: Int64, startedAt: Int64, isTransient: Bool) -> RestartDecision {
        if now - startedAt >= Self.calm.nanoseconds { delay = Self.firstDelay }
        faults.removeAll { now - $0 > Self.budgetWindow.nanoseconds }
        faults.append(now)
        guard isTransient, faults.count <= Self.budget else { return .giveUp }
        defer { delay = min(delay + delay, Self.longestDelay) }
        return .restart(after: delay)
    }
}
