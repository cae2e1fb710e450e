// How one input fares, as the machine keeps it. A value.
import Graph
import Media

struct InputHealth: Sendable {
    /// So many errors are kept, newest first.
    static let errorLimit = 20

    var input: FailoverInput
    /// Instants are monotonic nanoseconds, nil for "not so".
    private(set) var degradedSince: Int64?
    /// Since when it delivers and no condition is raised; of a closed one, since when its probes have succeeded.
    private(set) var wellSince: Int64?
    private(set) var heard: Int64?
    /// Grains up to here say nothing: it failed or was found silent since.
    private var deafUntil = Int64.min
    /// When it was opened or selected: silence is counted from then.
    private(set) var awaitedSince: Int64?
    private(set) var errors: [InputError]
    /// How many were added here.
    private(set) var errorsMade = 0
    /// It was added a while ago and has not been judged yet.
    var isNew = false
    var nextProbe: Int64?
    private var raised: [String: (kind: ConditionKind, detail: String)] = [:]

    /// - Parameter errors: what went wrong with it before, newest first.
    init(_ input: FailoverInput, _ errors: [InputError] = []) { (self.input, self.errors) = (input, errors) }

    var isOpen: Bool { awaitedSince != nil }
    /// A cold one that was opened and has not delivered yet.
    var isOpening: Bool { input.keep == .cold && isOpen && heard == nil && !isDegraded }
    /// What is shown delivers with the next frame: hot ones always, others once they have been made to.
    var isReady: Bool {
        switch input.keep {
        case .hot: true
        case .warm: hasBeenReadied
        case .cold: isOpen && heard != nil
        }
    }
    /// A warm one that is decoded.
    var hasBeenReadied = false
    var isDegraded: Bool { degradedSince != nil }
    var isWell: Bool { wellSince != nil && !isDegraded }
    /// What it was degraded by last.
    var lastError: InputError? { errors.first }

    /// Before every other by priority, then by name.
    func isBetter(than other: InputHealth) -> Bool {
        (input.priority, input.name) < (other.input.priority, other.input.name)
    }

    // MARK: What happens to it

    /// It was opened or selected: silence counts from here.
    mutating func expect(from now: Int64) {
        // What its ring still holds of an earlier time says nothing.
        if input.keep == .cold, !isOpen { deafUntil = max(deafUntil, now) }
        awaitedSince = now
    }

    mutating func close() {
        (awaitedSince, heard, wellSince) = (nil, nil, nil)
        raised = [:]
    }

    /// It began anew: nothing that was measured before counts.
    mutating func restart(_ now: Int64) {
        close()
        awaitedSince = now
    }

    mutating func hear(_ instant: Int64) {
        guard isOpen, instant > max(heard ?? .min, deafUntil) else { return }
        heard = instant
        if raised.isEmpty, wellSince == nil { wellSince = instant }
    }

    mutating func raise(_ condition: String, _ kind: ConditionKind, _ detail: String, _ now: Int64) {
        raised[condition] = (kind, detail)
        wellSince = nil
        degrade(kind.reason, detail, now)
    }

    mutating func clear(_ condition: String, _ silence: MediaTime, _ now: Int64) {
        guard raised.removeValue(forKey: condition) != nil, raised.isEmpty, let heard,
            now - heard < silence.nanoseconds
        else { return }
        wellSince = now
    }

    mutating func fail(_ detail: String, _ now: Int64) {
        (wellSince, heard, deafUntil) = (nil, nil, now)
        degrade(.error, detail, now)
    }

    /// - Parameter next: when the next probe begins, where one is needed.
    mutating func probed(_ succeeded: Bool, _ detail: String, _ next: Int64, _ now: Int64) {
        nextProbe = nextProbe.map { _ in next }
        if succeeded { wellSince = wellSince ?? now } else { fail(detail, now) }
    }

    /// Whether it has been silent for too long by `now`: then it is degraded.
    mutating func checkSilence(_ silence: MediaTime, _ now: Int64) {
        guard let limit = silenceEnd(silence), now >= limit else { return }
        let detail = heard == nil ? "it has not delivered for \(silence)" : "nothing came for \(silence)"
        (wellSince, heard, deafUntil) = (nil, nil, now)
        degrade(.timeout, detail, now)
    }

    /// When silence will be too long; nil where that is known already.
    func silenceEnd(_ silence: MediaTime) -> Int64? {
        guard let awaitedSince, !isDegraded || wellSince != nil else { return nil }
        return max(heard ?? awaitedSince, awaitedSince) + silence.nanoseconds
    }

    private mutating func degrade(_ reason: SwitchReason, _ detail: String, _ now: Int64) {
        isNew = false
        if isDegraded, errors.first?.reason == reason, errors.first?.detail == detail { return }
        errors.insert(InputError(at: now, reason: reason, detail: detail), at: 0)
        if errors.count > Self.errorLimit { errors.removeLast() }
        errorsMade += 1
        degradedSince = degradedSince ?? now
    }

    /// Where it is well again it is a candidate.
    mutating func recover() {
        guard isDegraded, wellSince != nil else { return }
        degradedSince = nil
        nextProbe = nil
    }
}
