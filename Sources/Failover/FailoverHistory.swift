// What has happened to a failover: its switches, and what went wrong with each input, newest first. It lives as long as the
// node is in the graph: other settings, an input that is taken out and put back, and a restart of the node are no end of
// it. A value.
package struct FailoverHistory: Sendable, Hashable {
    /// So many switches are kept.
    package static let longest = 100
    /// So many inputs that are no more are remembered: as many as there may be.
    private static let mostFormer = FailoverReader.mostInputs

    /// Newest first.
    package private(set) var switches: [SwitchRecord] = []
    /// Errors of inputs that were taken out, by name; of all inputs in what is left to a successor.
    private var errors: [String: [InputError]] = [:]
    /// Entries that were made here, of inputs that were taken out too.
    private(set) var entries = 0

    package init() {}

    mutating func add(_ record: SwitchRecord) {
        switches.insert(record, at: 0)
        if switches.count > Self.longest { switches.removeLast() }
        entries += 1
    }

    /// An input is taken out.
    mutating func keep(_ health: InputHealth) {
        entries += health.errorsMade
        guard !health.errors.isEmpty else { return }
        errors[health.input.name] = health.errors
        guard errors.count > Self.mostFormer else { return }
        // The one of which nothing was heard for longest.
        let oldest = errors.min { ($0.value.first?.at ?? .min, $0.key) < ($1.value.first?.at ?? .min, $1.key) }
        if let oldest { errors[oldest.key] = nil }
    }

    /// An input is put in, for the first time or again: what is known of it.
    mutating func take(_ name: String) -> [InputError] { errors.removeValue(forKey: name) ?? [] }
}

extension FailoverMachine {
    /// Switches, newest first.
    package var history: [SwitchRecord] { past.switches }

    /// Grows with every entry of the history.
    var entries: Int { inputs.reduce(past.entries) { $0 + $1.errorsMade } }

    /// All that is known, for the machine that may be made in this one's place.
    package var legacy: FailoverHistory {
        var all = past
        for input in inputs { all.keep(input) }
        return all
    }
}
