// One edge of a meter: takes its grains, has them measured, keeps what was found where others read it, and tells of
// conditions that begin and end. On the node's lane only.
import CRingLayout
import Engine
import Graph
import Media
import Meters
import Rings
import Synchronization

final class MeteredStream {
    let inlet: Inlet
    let measured: Measurements
    private(set) var flow: FlowMeter
    private let context: NodeContext
    private var settings: MeterSettings
    private var format: StreamFormat?
    private var window = FlowWindow()
    private var content: ContentMeter?
    private var keyframes: KeyframeDecoder?
    private var conditions: HeldConditions
    /// Of what says that it has nothing to give nothing is judged.
    private var isJudged = true

    init(_ inlet: Inlet, _ settings: MeterSettings, _ context: NodeContext) {
        (self.inlet, self.settings, self.context) = (inlet, settings, context)
        measured = inlet.declareMeasuring()
        conditions = HeldConditions(settings.conditions)
        flow = FlowMeter()
    }

    var isVideo: Bool { format?.type.isVideo ?? false }
    var isAudio: Bool { format?.type.isAudio ?? false }

    // MARK: News

    func change(_ news: InletNews) {
        switch news {
        case .format(let format):
            if self.format?.type != format.type {
                flow = FlowMeter(isContinuous: format.type.isVideo || format.type.isAudio, from: flow.totals)
            }
            self.format = format
            begin()
        case .rewired: flow.startAgain()
        case .noSignal, .absent:
            flow.startAgain()
            measured.forgetContent()
            endConditions()
        case .ended:
            // What was found stays to be read.
            look(at: context.now)
            endConditions()
        }
    }

    private func endConditions() {
        tell(conditions.forget(), at: context.now)
        isJudged = false
    }

    func apply(_ settings: MeterSettings) {
        let old = self.settings
        self.settings = settings
        tell(conditions.replace(settings.conditions), at: context.now)
        if old.demand != settings.demand || old.watch != settings.watch { begin() }
    }

    /// Begins to look at content anew.
    private func begin() {
        close()
        measured.forgetContent()
        guard let format else { return }
        content = ContentMeter(format, settings.demand)
        guard settings.watch == .keyframes, case .codedVideo(let coded) = format else { return }
        keyframes = KeyframeDecoder(coded, masks: settings.demand.masks)
        if keyframes == nil {
            context.log(.warning, "\(inlet.id): \(coded.codec) can't be decoded: what it shows is not known")
        }
    }

    func close() {
        content = nil
        keyframes = nil
    }

    // MARK: Grains

    /// Takes at most one grain. False: there is none.
    func take() -> Bool {
        guard !inlet.hasEnded, let format else { return false }
        return format.type.isRaw ? takeFrame(format) : takePacket(format)
    }

    private func takeFrame(_ format: StreamFormat) -> Bool {
        switch inlet.takeFrame() {
        case .nothing: return false
        // It is this node that was too slow.
        case .lapped: flow.startAgain()
        case .frame(let lease):
            let arrival = note(lease.grain, format)
            content?.look(at: lease.bytes, of: lease.grain, arrival, in: measured)
            judge(at: arrival)
        }
        return true
    }

    private func takePacket(_ format: StreamFormat) -> Bool {
        switch inlet.peekPacket() {
        case .nothing: return false
        case .lapped: flow.startAgain()
        case .packet(let grain):
            let arrival = note(grain, format)
            if grain.isKey, keyframes != nil {
                decode(grain, arrival)
            } else {
                inlet.skipPacket()
            }
            judge(at: arrival)
        }
        return true
    }

    private func note(_ grain: Grain, _ format: StreamFormat) -> Int64 {
        // When it was published: this node may be late itself.
        let arrival = grain.latestStamp ?? context.now
        isJudged = true
        flow.take(FlowMeter.Header(grain, bytes: grain.bytes(in: format)), at: arrival)
        measured.note(flow)
        return arrival
    }

    private func decode(_ grain: Grain, _ arrival: Int64) {
        guard let look = keyframes?.take(grain, from: inlet, arrival) else { return }
        switch look {
        case .look(let look): measured.note(look)
        case .nothing: break
        case .failed: context.counters.errors.wrappingAdd(1, ordering: .relaxed)
        }
    }

    // MARK: What was found

    /// What no grain tells.
    func look(at now: Int64) {
        if window.look(flow.totals, at: now), let rates = window.rates { measured.note(rates) }
        content?.readLoudness(into: measured)
        judge(at: now)
    }

    private func judge(at now: Int64) {
        guard isJudged, !conditions.rules.isEmpty else { return }
        let measured = measured
        tell(conditions.look(at: now) { measured.value(of: $0, at: now) }, at: now)
    }

    /// Comes to something only where a condition begins or ends.
    private func tell(_ changes: [HeldConditions.Change], at now: Int64) {
        for change in changes {
            var members: [JSONObject.Member] = [("inlet", .string("\(inlet.id)"))]
            switch change {
            case .began(let rule, let value, let since):
                members += [
                    ("condition", .string(rule.name)), ("value", .rounded(value)),
                    ("heldMilliseconds", .milliseconds(now - since)),
                ]
            case .ended(let rule, let since):
                members += [("condition", .string(rule.name)), ("lastedMilliseconds", .milliseconds(now - since))]
            }
            members.append(("measured", measured.json(at: now)))
            context.services.events.post(
                Event(change.type, node: context.id, cause: change.sentence, data: .object(JSONObject(members))))
        }
    }
}

extension HeldConditions.Change {
    fileprivate var type: EventType { if case .began = self { .conditionBegan } else { .conditionEnded } }
    fileprivate var sentence: String {
        switch self {
        case .began(let rule, let value, _): rule.sentence(value)
        case .ended(let rule, _): rule.name
        }
    }
}
