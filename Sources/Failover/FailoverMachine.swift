// Which input is on air: the decisions of `control.failover`, without clock or I/O. Events in, state and actions out; one
// thread at a time.
//
// What is known of each input is a level, not an edge: silence, errors and conditions make it degraded, the first grain
// after them (of a closed one: a probe) makes it a candidate again, and how long it has been well since is counted from
// there. After each event `settle` compares what is selected with what should be, so nothing that happened while a
// switch had to wait is forgotten.
import Graph
import Media

/// The state machine of one failover.
package struct FailoverMachine: Sendable {
    /// What happens to it. Instants are monotonic nanoseconds.
    package enum Event: Sendable {
        /// The inputs and times that rule from now on; also the first event.
        case configured([FailoverInput], FailoverTiming)
        /// The newest grain of each input that has one.
        case heard([String: Int64])
        /// The same, and errors that are not worth waiting for, of one look.
        case observed([String: Int64], failed: [String: String])
        /// An error that is not worth waiting for.
        case failed(String, detail: String)
        case raised(String, condition: String, ConditionKind, detail: String)
        case cleared(String, condition: String)
        /// What came of `.probe`.
        case probed(String, succeeded: Bool, detail: String)
        /// A warm input is decoded, since it was `needed`: it could be shown with the next frame.
        case readied(String)
        /// The input began anew (its settings changed): measured from nothing.
        case restarted(String)
        /// Somebody chooses; `request` comes back with the answer.
        case chosen(String, request: UInt64)
        /// Somebody had chosen it when the engine ran before. Comes before the first `configured`.
        case remembered(String)
        /// Nobody's choice holds any more.
        case released
        /// Nobody could look for so long, nanoseconds: the machine was held up, and maybe its inputs with it.
        case heldUp(Int64)
        /// Time went by.
        case ticked
    }

    /// What is to be done, in this order.
    package enum Action: Sendable, Hashable {
        case open(String)
        case close(String)
        /// Try to open a closed input, tell what came of it, close it.
        case probe(String)
        case show(String, SwitchRecord?)
        /// Every input is degraded: what is shown holds, then slate or black.
        case exhausted
        case restored
        case answer(request: UInt64, ChoiceOutcome)
        case choiceExpired(String)
    }

    /// What became of a choice.
    package enum ChoiceOutcome: Sendable, Hashable {
        case shown
        case unknownInput
        /// It did not deliver in time; what was shown is still shown.
        case didNotStart
        /// A newer choice came.
        case replaced
    }

    struct Pending: Sendable {
        let name: String
        let request: UInt64
        let until: Int64
    }

    var inputs: [InputHealth] = []
    package private(set) var timing = FailoverTiming()
    /// What is selected.
    package private(set) var active: String?
    /// What somebody chose.
    package private(set) var choice: String?
    package private(set) var isExhausted = false
    private(set) var past: FailoverHistory
    var pending: Pending?
    /// Whether that still holds, within one event.
    var isReadyingWanted = false
    /// What is to be shown as soon as it delivers frames; what is shown is well meanwhile.
    var readying: (name: String, since: Int64)?
    /// Since it was held up: silence lasts so much longer, until then.
    var excuse: (length: MediaTime, until: Int64)?
    private var lastAutomatic: Int64?
    private var damping = MediaTime.zero
    /// When something will be due that no event tells.
    package private(set) var deadline: Int64?

    /// - Parameter past: what happened before the node was made anew.
    package init(_ past: FailoverHistory = FailoverHistory()) { self.past = past }

    /// Takes one event in; `now` never goes back.
    package mutating func handle(_ event: Event, at now: Int64) -> [Action] {
        var actions: [Action] = []
        take(event, now, &actions)
        settle(now, &actions)
        return actions
    }

    // MARK: Events

    private mutating func take(_ event: Event, _ now: Int64, _ actions: inout [Action]) {
        switch event {
        case .configured(let inputs, let timing): configure(inputs, timing, now, &actions)
        case .heard(let instants): hear(instants, now)
        case .observed(let instants, let failed):
            hear(instants, now)
            for (name, detail) in failed { change(name) { $0.fail(detail, now) } }
        case .failed(let name, let detail): change(name) { $0.fail(detail, now) }
        case .raised(let name, let condition, let kind, let detail):
            change(name) { $0.raise(condition, kind, detail, now) }
        case .cleared(let name, let condition):
            let silence = timing.silence
            change(name) { $0.clear(condition, silence, now) }
        case .probed(let name, let succeeded, let detail):
            let next = now + timing.probe.nanoseconds
            change(name) { $0.probed(succeeded, detail, next, now) }
        case .readied(let name):
            if needed.contains(name) { change(name) { $0.hasBeenReadied = true } }
        case .restarted(let name): change(name) { if $0.isOpen { $0.restart(now) } }
        case .chosen(let name, let request): choose(name, request, now, &actions)
        case .remembered(let name): choice = choice ?? name
        case .released:
            choice = nil
            endPending(.replaced, &actions)
        case .heldUp(let length): excuse(length, now)
        case .ticked: break
        }
    }

    private mutating func hear(_ instants: [String: Int64], _ now: Int64) {
        for index in inputs.indices {
            if let instant = instants[inputs[index].input.name] { inputs[index].hear(min(instant, now)) }
        }
    }

    mutating func change(_ name: String, _ body: (inout InputHealth) -> Void) {
        guard let index = inputs.firstIndex(where: { $0.input.name == name }) else { return }
        body(&inputs[index])
    }

    package func state(of name: String) -> InputState? {
        health(name).map { $0.isDegraded ? .degraded : name == active ? .active : .idle }
    }

    func health(_ name: String) -> InputHealth? { inputs.first { $0.input.name == name } }

    private mutating func configure(
        _ wanted: [FailoverInput], _ timing: FailoverTiming, _ now: Int64, _ actions: inout [Action]
    ) {
        self.timing = timing
        damping = min(max(damping, timing.dwell), timing.longestDamping)
        let isFirst = inputs.isEmpty && active == nil
        let old = Dictionary(uniqueKeysWithValues: inputs.map { ($0.input.name, $0) })
        inputs = wanted.map { input in
            var health = old[input.name] ?? InputHealth(input, past.take(input.name))
            health.isNew = health.isNew || old[input.name] == nil && !isFirst
            health.input = input
            return health
        }
        inputs.sort { $0.isBetter(than: $1) }
        for (name, gone) in old.sorted(by: { $0.key < $1.key }) where health(name) == nil {
            past.keep(gone)
            if gone.isOpen { actions.append(.close(name)) }
            if pending?.name == name { endPending(.unknownInput, &actions) }
        }
        if let chosen = choice, health(chosen) == nil { choice = nil }
        for input in inputs where input.input.keep != .cold && !input.isOpen { open(input.input.name, now, &actions) }
        closeNeedless(&actions)
    }

    mutating func open(_ name: String, _ now: Int64, _ actions: inout [Action]) {
        if !(health(name)?.isOpen ?? true) { actions.append(.open(name)) }
        change(name) { $0.expect(from: now) }
    }

    /// Cold inputs that are neither shown nor about to be.
    private mutating func closeNeedless(_ actions: inout [Action]) {
        for input in inputs where input.input.keep == .cold && input.isOpen {
            let name = input.input.name
            guard name != active, name != pending?.name, name != readying?.name else { continue }
            change(name) { $0.close() }
            actions.append(.close(name))
        }
    }

    // MARK: Choices

    private mutating func choose(_ name: String, _ request: UInt64, _ now: Int64, _ actions: inout [Action]) {
        guard let input = health(name) else {
            actions.append(.answer(request: request, .unknownInput))
            return
        }
        endPending(.replaced, &actions)
        if name == active || input.isWell && input.isReady {
            choice = name
            if name != active { show(name, .manual, "chosen", now, &actions) }
            actions.append(.answer(request: request, .shown))
        } else {
            pending = Pending(
                name: name, request: request, until: now + max(timing.probe, timing.silence).nanoseconds)
            if !input.isOpen { open(name, now, &actions) }
        }
    }

    private mutating func endPending(_ outcome: ChoiceOutcome, _ actions: inout [Action]) {
        guard let ended = pending else { return }
        pending = nil
        actions.append(.answer(request: ended.request, outcome))
        closeNeedless(&actions)
    }

    private mutating func settlePending(_ now: Int64, _ actions: inout [Action]) {
        guard let pending, let input = health(pending.name) else { return }
        if input.isWell, input.isOpen, input.isReady {
            self.pending = nil
            choice = pending.name
            if pending.name != active { show(pending.name, .manual, "chosen", now, &actions) }
            actions.append(.answer(request: pending.request, .shown))
        } else if now >= pending.until {
            endPending(.didNotStart, &actions)
        }
    }

    // MARK: What should be

    private mutating func settle(_ now: Int64, _ actions: inout [Action]) {
        if let excuse, now >= excuse.until { self.excuse = nil }
        for index in inputs.indices {
            inputs[index].checkSilence(patience(for: inputs[index]), now)
            inputs[index].recover()
        }
        settlePending(now, &actions)
        expireChoice(now, &actions)
        let before = readying?.name
        isReadyingWanted = false
        select(now, &actions)
        if !isReadyingWanted { readying = nil }
        if before != readying?.name { closeNeedless(&actions) }
        forgetReadiness()
        // Judged: from now on it is one of them.
        for index in inputs.indices where inputs[index].isWell && inputs[index].input.name != readying?.name {
            inputs[index].isNew = false
        }
        probe(now, &actions)
        deadline = nextInstant(now)
    }

    /// A choice that has been degraded for longer than the quiet period holds no more.
    private mutating func expireChoice(_ now: Int64, _ actions: inout [Action]) {
        guard let chosen = choice, let since = health(chosen)?.degradedSince,
            now - since >= timing.quiet.nanoseconds
        else { return }
        choice = nil
        actions.append(.choiceExpired(chosen))
    }

    private mutating func select(_ now: Int64, _ actions: inout [Action]) {
        guard let active else { return selectFirst(now, &actions) }
        guard let current = health(active) else { return replaceRemoved(active, now, &actions) }
        guard current.isDegraded else {
            // Well again before anybody else was: it is shown already.
            if isExhausted { show(active, .recovery, "it is well again", now, &actions) }
            return returnToBetter(current, now, &actions)
        }
        guard let next = candidate(besides: active) else { return exhaust(&actions) }
        let error = current.lastError
        guard isFree(now) else { return }
        if isExhausted {
            show(next, .recovery, "the first that is well again", now, &actions)
        } else {
            show(next, error?.reason ?? .error, error?.detail ?? "", now, &actions)
        }
    }

    private mutating func selectFirst(_ now: Int64, _ actions: inout [Action]) {
        guard let first = candidate(besides: nil) else { return }
        restore(first, &actions)
        open(first, now, &actions)
        active = first
        actions.append(.show(first, nil))
    }

    private mutating func replaceRemoved(_ removed: String, _ now: Int64, _ actions: inout [Action]) {
        guard let next = candidate(besides: removed) ?? inputs.first?.input.name else {
            active = nil
            return exhaust(&actions)
        }
        show(next, .inputRemoved, "\(removed) was removed", now, &actions)
    }

    /// From an input that is well to one that is better: the chosen one, a new one, or one that has been well for long.
    private mutating func returnToBetter(_ current: InputHealth, _ now: Int64, _ actions: inout [Action]) {
        if let choice, choice != current.input.name {
            guard health(choice)?.isWell ?? false, isFree(now), isReady(choice, now, &actions) else { return }
            return show(choice, .failback, "the chosen input is well again", now, &actions)
        }
        guard choice == nil, let better = inputs.first(where: { $0.isWell && $0.isBetter(than: current) }) else {
            return
        }
        if better.isNew {
            guard isReady(better.input.name, now, &actions) else { return }
            return show(better.input.name, .inputAdded, "it is better", now, &actions)
        }
        guard let since = better.wellSince, now - since >= timing.quiet.nanoseconds, isFree(now),
            isReady(better.input.name, now, &actions)
        else { return }
        show(better.input.name, .failback, "well for \(timing.quiet)", now, &actions)
    }

    private mutating func exhaust(_ actions: inout [Action]) {
        guard !isExhausted else { return }
        isExhausted = true
        actions.append(.exhausted)
    }

    private mutating func restore(_ name: String, _ actions: inout [Action]) {
        guard isExhausted, !(health(name)?.isDegraded ?? true) else { return }
        isExhausted = false
        actions.append(.restored)
    }

    /// What to show instead: the chosen one, else the best that is well, else the best of which nothing is known.
    private func candidate(besides name: String?) -> String? {
        let others = inputs.filter { !$0.isDegraded && $0.input.name != name }
        if let chosen = others.first(where: { $0.input.name == choice }) { return chosen.input.name }
        return (others.first(where: \.isWell) ?? others.first)?.input.name
    }

    /// Whether the last switch that nobody asked for is long enough ago.
    private func isFree(_ now: Int64) -> Bool { lastAutomatic.map { now - $0 >= damping.nanoseconds } ?? true }

    private mutating func show(
        _ name: String, _ reason: SwitchReason, _ detail: String, _ now: Int64, _ actions: inout [Action]
    ) {
        let record = SwitchRecord(at: now, from: active, to: name, reason: reason, detail: detail)
        past.add(record)
        restore(name, &actions)
        if reason.isAutomatic, name != active { damp(now) }
        change(name) { $0.isNew = false }
        open(name, now, &actions)
        active = name
        actions.append(.show(name, record))
        closeNeedless(&actions)
    }

    private mutating func damp(_ now: Int64) {
        let isFlapping = lastAutomatic.map { now - $0 < 2 * timing.longestDamping.nanoseconds } ?? false
        damping = isFlapping ? min(damping + damping, timing.longestDamping) : timing.dwell
        lastAutomatic = now
    }

    // MARK: Time

    private mutating func probe(_ now: Int64, _ actions: inout [Action]) {
        for index in inputs.indices where inputs[index].input.keep == .cold && !inputs[index].isOpen {
            guard inputs[index].isDegraded || isWorthProbing(inputs[index]) else {
                inputs[index].nextProbe = nil
                continue
            }
            let due = inputs[index].nextProbe ?? now + timing.probe.nanoseconds
            inputs[index].nextProbe = due
            guard now >= due else { continue }
            // Once this one is over it is said when the next begins.
            inputs[index].nextProbe = now + 3 * timing.probe.nanoseconds
            actions.append(.probe(inputs[index].input.name))
        }
    }

    /// A cold input that is better than what is shown must have been well for the quiet period before it is shown.
    private func isWorthProbing(_ input: InputHealth) -> Bool {
        guard choice == nil, let active, let current = health(active) else { return false }
        return input.isBetter(than: current)
    }

    /// The next instant at which something could be due; events that come before move it.
    private func nextInstant(_ now: Int64) -> Int64? {
        var instants = inputs.compactMap { $0.silenceEnd(patience(for: $0)) } + inputs.compactMap(\.nextProbe)
        if let pending { instants.append(pending.until) }
        if let excuse { instants.append(excuse.until) }
        if let readying { instants.append(readying.since + max(timing.probe, timing.silence).nanoseconds) }
        if let since = choice.flatMap({ health($0)?.degradedSince }) {
            instants.append(since + timing.quiet.nanoseconds)
        }
        if let lastAutomatic { instants.append(lastAutomatic + damping.nanoseconds) }
        instants += inputs.compactMap { $0.wellSince.map { $0 + timing.quiet.nanoseconds } }
        return instants.filter { $0 > now }.min()
    }
}
