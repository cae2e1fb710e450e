// The sound of a switch between raw inputs: carries out what SoundSwitch decides. On the node's lane.
import AV
import CRingLayout
import Engine
import Graph
import Media
import Rings
import Synchronization

final class RawSound {
    private var feeds: [SoundFeed?] = []
    private let outlet: Outlet
    private let context: NodeContext
    private var settings: SwitchSettings
    private var machine: SoundSwitch
    private var target: AudioFormat?
    private var hasNews = true

    init(
        _ inputs: SwitchInputs, active: Int, _ outlet: Outlet, _ settings: SwitchSettings, _ context: NodeContext
    ) {
        (self.outlet, self.settings, self.context) = (outlet, settings, context)
        machine = SoundSwitch(
            inputs: inputs.names.count, active: active, rules: settings.soundRules(isPaced: !context.isUnpaced))
        follow(inputs)
    }

    /// Inputs have come or gone.
    func follow(_ inputs: SwitchInputs) {
        for (i, inlet) in inputs.audio.enumerated() {
            if i == feeds.count { feeds.append(nil) } else if feeds[i]?.inlet === inlet, inlet != nil { continue }
            feeds[i]?.drop()
            feeds[i] = inlet.map { SoundFeed(inputs.name(i), $0) }
            inlet?.declareStart(at: machine.end.map { $0 &- Self.overlap })
            machine.replace(i, isThere: inlet != nil)
        }
        hasNews = true
    }

    func uses(_ input: Int) -> Bool { machine.uses(input) }

    /// Whether no input will give sound any more, and none waits.
    var hasEnded: Bool { feeds.allSatisfy { $0?.inlet.hasEnded ?? true } && machine.isDrained }

    /// Where an input that comes begins before the next sample, nanoseconds: longer than blocks are.
    private static let overlap: Int64 = 100_000_000

    // MARK: News

    func changed(_ input: Int, _ news: InletNews) {
        guard let feed = feeds[input] else { return }
        hasNews = true
        switch news {
        case .format(.rawAudio(let format)):
            feed.changed(format, target: target, converts: settings.converts)
            if feed.refusal != nil { machine.fellSilent(input) }
        case .noSignal, .absent, .ended: machine.fellSilent(input)
        case .format, .rewired: break
        }
    }

    func apply(_ settings: SwitchSettings) {
        self.settings = settings
        machine.rules = settings.soundRules(isPaced: !context.isUnpaced)
    }

    /// Before when an input that has come just now has no sound, nanoseconds on the timeline; nil for others.
    func begin(of input: Int) -> Int64? { machine.begin(of: input) }

    func select(_ input: Int, at time: Int64?) { machine.select(input, at: time) }

    // MARK: Steps

    func step(horizon: Int64?) -> SwitchTurn {
        var hasTaken = takeBlocks()
        if hasNews { show() }
        guard !machine.hasBegun || outlet.isReady else {
            return hasTaken ? .busy : .idle
        }
        while true {
            switch machine.move(at: context.timeline.now.nanoseconds, horizon: horizon) {
            case .begin(let leader):
                do throws(NodeFault) { try begin(leader) } catch { return .failed(error) }
                // Its readers may have to join first.
                return .busy
            case .drop(let input):
                feeds[input]?.drop()
                // Another block may be there already, and nobody would ring for it.
                hasTaken = true
            case .make(let chunk):
                publish(chunk)
                return .busy
            case .wait: return hasTaken ? .busy : .idle
            case .until(let time): return hasTaken ? .busy : .until(time)
            }
        }
    }

    /// At most one block of each input, where none waits.
    private func takeBlocks() -> Bool {
        var hasTaken = false
        for (i, feed) in feeds.enumerated() {
            guard let feed, !machine.hasBlock(i) else { continue }
            switch feed.look() {
            case .nothing: break
            case .taken: hasTaken = true
            case .block(let time, let samples, let rate):
                hasTaken = true
                machine.arrived(i, time, samples: samples, rate: rate, at: context.timeline.now.nanoseconds)
            }
        }
        return hasTaken
    }

    /// Settles what the output is: as the first input's sound, where the settings leave it open.
    private func begin(_ leader: Int) throws(NodeFault) {
        guard let format = feeds[leader]?.format else {
            throw NodeFault(.internalError, "sound came before its format")
        }
        let target = settings.target(format)
        try outlet.declare(.rawAudio(target))
        self.target = target
        machine.begin(leader, rate: target.sampleRate, longest: target.blockSamples)
        for (i, feed) in feeds.enumerated() {
            guard let feed else { continue }
            feed.fit(to: target, converts: settings.converts)
            if feed.refusal != nil { machine.fellSilent(i) }
            guard feed.hasUnfitLease else { continue }
            // Blocks of the output's format follow it.
            feed.drop()
            machine.forgetBlock(i)
        }
        hasNews = true
    }

    // MARK: Grains

    private func publish(_ chunk: SoundSwitch.Chunk) {
        guard let target, let claim = outlet.claim(), let base = claim.bytes.baseAddress else { return }
        let room = SampleTarget(base: base, format: target, count: chunk.count)
        if let faded = chunk.faded {
            room.fade(
                from: source(chunk.outgoing), to: source(chunk.part), faded: faded, of: machine.fadeSamples)
        } else if let (block, offset) = source(chunk.part) {
            room.copy(block, from: offset)
        } else {
            room.silence()
            context.counters.filled.wrappingAdd(1, ordering: .relaxed)
        }
        outlet.countCopy()
        outlet.publish(claim, grain(chunk, target))
    }

    private func source(_ part: SoundSwitch.Part?) -> (SampleBlock, offset: Int)? {
        guard let part, let block = feeds[part.input]?.block else { return nil }
        return (block, part.offset)
    }

    private func grain(_ chunk: SoundSwitch.Chunk, _ target: AudioFormat) -> Grain {
        var grain = Grain.empty()
        grain.pts = machine.time(of: chunk.position)
        grain.duration = machine.time(of: chunk.position + Int64(chunk.count)) - grain.pts
        if let part = chunk.part ?? chunk.outgoing, let source = feeds[part.input]?.grain {
            grain.inherit(from: source)
            // Of the first sample: an origin belongs to a time.
            if source.origin != .min, source.pts != .min { grain.origin = source.origin &+ (grain.pts &- source.pts) }
        } else {
            grain.origin = context.timeline.instant(of: MediaTime(nanoseconds: grain.pts))
        }
        grain.isKey = true
        grain.isDiscontinuity = chunk.isDiscontinuity
        (grain.samples, grain.size) = (UInt32(chunk.count), UInt32(target.bufferSize))
        return grain
    }

    private func show() {
        hasNews = false
        let members = feeds.compactMap { feed -> JSONObject.Member? in
            guard let feed else { return nil }
            return (
                feed.name,
                [
                    "format": feed.format.map { .string("\($0)") } ?? .null,
                    "conversion": feed.conversion.map(JSON.string) ?? .null,
                    "refused": feed.refusal.map(JSON.string) ?? .null,
                ]
            )
        }
        context.show("audio", .object(JSONObject(members)))
    }

    func stop() { for feed in feeds { feed?.drop() } }
}
