// `control.failover`: keeps a switch on an input that is well. The actor reads what inputs do from their rings' headers,
// feeds the machine, and carries out what it says; nothing is decided here.
//
// It sleeps until the instant at which the newest grain of some input will be too old: then it looks, and mostly finds
// newer ones. An outlet that says "no signal" wakes it at once. So silence is found within the time of a wake-up, and an
// input that lives costs ten looks a second at a timeout of 100 ms.
package import Engine
package import Graph
import Media

/// Drives a switch.
package actor FailoverNode: ControlNode {
    package static let kind = KindDeclaration(
        "control.failover", "Keeps a switch on the best of its inputs that is well.",
        settings: FailoverSettings.declarations, check: FailoverSettings.faults,
        checkBeside: { FailoverSettings.faults($0, beside: $1) }, keeps: FailoverSettings.kept,
        companion: "look")

    /// How often inputs are looked at that have something to prove, nanoseconds.
    private static let shortestLook: Int64 = 10_000_000
    private static let longestLook: Int64 = 100_000_000

    let context: ControlContext
    private(set) var settings: FailoverSettings
    private(set) var machine = FailoverMachine()
    private var conditions = ConditionMachine()
    private(set) var watches: [InputWatch] = []
    private var listening: SignalListening?
    /// While a condition asks what the inputs show.
    private var contentWatches: [ContentWatch] = []
    private var holdUps = HoldUps()
    private var mustFind = true
    /// What the engine was told to keep open.
    private var needed: Set<String> = []
    /// Cold inputs that are being tried: until when, monotonic nanoseconds.
    private var probes: [String: Int64] = [:]
    private(set) var hasEnded = false
    /// Whether faults are being tried on it.
    var isDrilling = false
    /// What the switch was told last.
    private var given: String?
    private var isGiving = false
    private var why: Why?
    /// Decisions are written down one after the other, behind what they did.
    private var recording: Task<Void, Never>?
    /// What the document was asked for to look at key frames with.
    var keyframeMeter: JSON?
    /// The choice that outlives the engine.
    private var kept: String?
    /// How long the history was that a successor would have.
    private var left = 0
    private var nextRequest: UInt64 = 0
    private var asked: [UInt64: CheckedContinuation<FailoverMachine.ChoiceOutcome, Never>] = [:]
    private var outcomes: [(UInt64, FailoverMachine.ChoiceOutcome)] = []
    private(set) var switches: [SwitchReason: UInt64] = [:]
    private(set) var exhaustions: UInt64 = 0

    /// What a switch was made by.
    private struct Why {
        let reason: String
        let inputs: JSON
    }

    package static func interest(_ settings: FailoverSettings) -> EventFilter {
        EventFilter(types: [.graphCommitted, .nodeStarted, .nodeFailed, .nodeFinished, .nodeStopped, .signal])
    }

    package init(_ settings: FailoverSettings, in context: ControlContext) {
        (self.settings, self.context) = (settings, context)
        conditions.rules = settings.conditions
    }

    /// The id of the switch.
    var driven: String { Identifier.beside(context.id, settings.driven) }

    // MARK: What happens

    package func began() async {
        if let past = context.legacy as? FailoverHistory { machine = FailoverMachine(past) }
        await find()
        if let chosen = context.memory?["choice"]?.string {
            perform(machine.handle(.remembered(chosen), at: context.now))
        }
        perform(machine.handle(.configured(settings.inputs, settings.timing), at: context.now))
        await due()
    }

    package func happened(_ posted: PostedEvent) async {
        if posted.type == .graphCommitted { noteCommit(posted.data) }
        // Whatever comes in the same moment is looked at together. What was woken is seen once it delivers.
        if posted.type != .signal || settings.inputs.contains(where: { $0.keep != .hot }) { mustFind = true }
        context.wake(at: context.now)
    }

    package func missed(_ count: UInt64?) async {
        mustFind = true
        context.wake(at: context.now)
    }

    package func due() async {
        let now = context.now
        if let length = holdUps.look(at: now, tolerance: settings.timing.lateness) {
            perform(machine.handle(.heldUp(length), at: now))
        }
        if mustFind || isWaking { await find() }
        look()
        await open()
        await give()
        arm()
    }

    /// Whether something has been woken and is not seen to deliver yet: nobody may tell that it does.
    private var isWaking: Bool {
        settings.inputs.contains { input in
            input.keep != .hot && needed.contains(input.name) && machine.health(input.name)?.isReady == false
        }
    }

    /// Has the engine open what is needed, and no more.
    private func open() async {
        let wanted = machine.needed.union(probes.keys)
        guard wanted != needed, !hasEnded else { return }
        needed = wanted
        // What rests says nothing, and what is woken says other things.
        mustFind = true
        await context.need(wanted, of: driven)
    }

    package func apply(_ settings: FailoverSettings) async {
        self.settings = settings
        conditions.rules = settings.conditions
        mustFind = true
        await find()
        perform(machine.handle(.configured(settings.inputs, settings.timing), at: context.now))
        await due()
    }

    package func ended() async {
        hasEnded = true
        listening = nil
        contentWatches = []
        for (_, continuation) in asked { continuation.resume(returning: .didNotStart) }
        asked = [:]
    }

    /// Finds the outlets behind the inputs.
    private func find() async {
        mustFind = false
        let sights = await context.sights(of: driven)
        let old = Dictionary(uniqueKeysWithValues: watches.map { ($0.name, $0) })
        watches = settings.inputs.map { input in
            var watch = InputWatch(input.name, sights)
            if let before = old[input.name] { watch.goOn(from: before) }
            return watch
        }
        listening = context.listen(to: sights)
        contentWatches =
            settings.conditions.demand.map { demand in sights.map { $0.outlet.watchContent(demand) } } ?? []
        watchKeyframes(sights)
    }

    private func look() {
        let now = context.now
        var (heard, failed): ([String: Int64], [String: String]) = ([:], [:])
        var changes: [ConditionMachine.Change] = []
        var ready: [String] = []
        for i in watches.indices {
            let reading = watches[i].look(at: now)
            let watch = watches[i]
            settleProbe(watch.name, reading, now)
            // What is closed is known by its probes alone.
            guard let health = machine.health(watch.name), health.isOpen else {
                watches[i].knownTrouble = nil
                changes += conditions.forget(watch.name)
                continue
            }
            // A source that is being opened has no signal yet.
            if health.isOpening, !reading.isOver {
                heard[watch.name] = reading.arrived
                continue
            }
            if reading.isAtEdge, reading.arrived != nil, !health.isReady { ready.append(watch.name) }
            heard[watch.name] = reading.arrived
            if let trouble = reading.trouble, trouble != watch.knownTrouble { failed[watch.name] = trouble }
            watches[i].knownTrouble = reading.trouble
            changes +=
                reading.arrived == nil
                ? conditions.forget(watch.name) : conditions.look(watch.name, at: now) { watch.value(of: $0, at: now) }
        }
        perform(machine.handle(.observed(heard, failed: failed), at: now))
        for name in ready { perform(machine.handle(.readied(name), at: now)) }
        for change in changes {
            switch change {
            case .raised(let input, let condition, let kind, let detail):
                perform(machine.handle(.raised(input, condition: condition, kind, detail: detail), at: now))
            case .cleared(let input, let condition):
                perform(machine.handle(.cleared(input, condition: condition), at: now))
            }
        }
    }

    // MARK: Probes

    /// Tries to open a cold input. One that is tried for less long than it takes to open, each time at the same place of a
    /// GOP, would never be found well.
    private func probe(_ name: String) {
        probes[name] = context.now + probeLength
        context.stir()
    }

    /// As long as one that is shown may take to open.
    private var probeLength: Int64 { max(settings.timing.silence, settings.timing.probe).nanoseconds }

    private func settleProbe(_ name: String, _ reading: InputWatch.Reading, _ now: Int64) {
        guard let end = probes[name] else { return }
        let begin = end - probeLength
        let isHeard = reading.arrived.map { $0 > begin } ?? false
        guard isHeard || reading.isOver || now >= end else { return }
        probes[name] = nil
        let detail = isHeard ? "" : "it did not deliver when it was tried"
        perform(machine.handle(.probed(name, succeeded: isHeard, detail: detail), at: now))
    }

    private func arm() {
        let now = context.now
        var instants = [machine.deadline, conditions.nextInstant].compactMap(\.self)
        if watches.contains(where: { machine.health($0.name)?.isWell != true }) {
            let pause = settings.timing.silence.nanoseconds / (machine.isExhausted ? 10 : 2)
            instants.append(now + min(max(pause, Self.shortestLook), Self.longestLook))
        }
        if let rule = settings.conditions.min(by: { $0.look < $1.look }) { instants.append(now + rule.look) }
        if mustFind { instants.append(now) }
        if isWaking { instants.append(now + Self.longestLook) }
        instants += probes.values
        context.wake(at: instants.min())
        // What was waited for meanwhile is nobody's hold-up.
        holdUps.plan(instants.min().map { max($0, now) })
    }

    // MARK: What is done

    private func perform(_ actions: [FailoverMachine.Action]) {
        for action in actions {
            switch action {
            case .show(let name, let record): note(name, record)
            case .exhausted:
                exhaustions += 1
                context.log(.error, "every input is degraded; the switch holds its last picture, then its slate")
                context.tell(.failoverExhausted, cause: "every input is degraded", data: measurements)
            case .restored:
                context.tell(
                    .failoverRestored, cause: machine.active.map { "\($0) is well" },
                    data: ["switch": .string(driven), "input": machine.active.map(JSON.string) ?? .null])
            case .answer(let request, let outcome): outcomes.append((request, outcome))
            case .choiceExpired(let name):
                context.log(.warning, "\(name) was chosen and has been degraded for too long: chosen no more")
            case .probe(let name): probe(name)
            // `open` has the engine do what the machine needs.
            case .open, .close: continue
            }
        }
        if machine.entries != left {
            left = machine.entries
            context.leave(machine.legacy)
        }
        guard machine.choice != kept else { return }
        kept = machine.choice
        context.keep(kept.map { ["choice": .string($0)] })
    }

    private func note(_ name: String, _ record: SwitchRecord?) {
        guard let record else {
            why = Why(reason: "\(name) is the first", inputs: measurements)
            return
        }
        switches[record.reason, default: 0] += 1
        let reason = "from \(record.from ?? "nothing") to \(name): \(record.reason.rawValue), \(record.detail)"
        why = Why(reason: reason, inputs: measurements)
        context.log(record.reason.isAutomatic ? .warning : .info, reason)
        context.tell(
            .failoverSwitched, cause: record.detail,
            data: [
                "switch": .string(driven), "from": record.from.map(JSON.string) ?? .null, "to": .string(name),
                "reason": .string(record.reason.rawValue),
            ])
    }

    /// What is known of each input, for those who ask why.
    var measurements: JSON {
        let now = context.now
        return .object(
            JSONObject(
                watches.map { watch in
                    var members: [JSONObject.Member] = [
                        ("state", machine.state(of: watch.name).map { .string($0.rawValue) } ?? .null),
                        ("silentMilliseconds", watch.lastArrival.map { .milliseconds(now - $0) } ?? .null),
                    ]
                    if let trouble = watch.knownTrouble { members.append(("trouble", .string(trouble))) }
                    if let rate = watch.rate { members.append(("rate", .rounded(rate))) }
                    if let loss = watch.loss, loss > 0 { members.append(("lossPercent", .rounded(loss))) }
                    return (watch.name, .object(JSONObject(members)))
                }))
    }

    /// Makes the switch show what the machine has selected: the newest selection, whatever came in between.
    private func give() async {
        guard !isGiving else { return }
        isGiving = true
        while let wanted = machine.active, wanted != given, !hasEnded {
            let change = LiveChange(node: driven, setting: "active", value: .string(wanted))
            let (why, wall) = (why ?? Why(reason: "\(wanted) is selected", inputs: measurements), context.wall)
            let token = await context.giveAhead(change)
            given = wanted
            record(
                Decision(
                    node: context.id, wall: wall, reason: why.reason, inputs: why.inputs, patch: [], cause: nil,
                    depth: 1), change, token)
        }
        isGiving = false
        let answers = outcomes
        outcomes = []
        for (request, outcome) in answers { asked.removeValue(forKey: request)?.resume(returning: outcome) }
    }

    func record(_ decision: Decision, _ change: LiveChange, _ token: UInt64?) {
        afterRecords { [context] in
            let result = await context.record(decision, of: change, token)
            if case .refused = result.outcome { await self.refused(change) }
        }
    }

    /// Returns when all that was decided so far is written down.
    func recorded() async { await recording?.value }

    /// Runs behind all that is to be written down.
    func afterRecords(_ work: @escaping @Sendable () async -> Void) {
        let before = recording
        recording = Task {
            await before?.value
            await work()
        }
    }

    /// The document did not take it, so that the switch has gone back: it is told again.
    private func refused(_ change: LiveChange) {
        guard !hasEnded, change.node == driven, change.value.string == given else { return }
        given = nil
        context.wake(at: context.now + Self.refusalPause)
    }
    private static let refusalPause: Int64 = 1_000_000_000

    // MARK: Choices

    /// Puts an input on air whatever its priority, and returns when it is, or when it could not be.
    package func choose(_ name: String) async -> FailoverMachine.ChoiceOutcome {
        guard !hasEnded else { return .didNotStart }
        nextRequest += 1
        let request = nextRequest
        return await withCheckedContinuation { continuation in
            asked[request] = continuation
            perform(machine.handle(.chosen(name, request: request), at: context.now))
            Task { await settle() }
        }
    }

    /// Nobody's choice holds any more.
    package func release() async {
        perform(machine.handle(.released, at: context.now))
        await settle()
    }

    private func settle() async {
        await open()
        await give()
        context.stir()
    }

    package var inputNames: [String] { settings.inputs.map(\.name) }

    /// The names of inputs with a priority.
    package func inputs(ofPriority priority: Int) -> [String] {
        settings.inputs.filter { $0.priority == priority }.map(\.name)
    }
}

extension ConditionRule {
    /// How often it is looked at, nanoseconds: content each two pictures at 50 Hz.
    fileprivate var look: Int64 { measure.kind == .content ? 40_000_000 : 250_000_000 }
}
