// The pictures of a switch between raw inputs: carries out what PictureSwitch decides. On the node's lane.
//
// Each picture is copied or converted once, into the outlet's ring. Inputs keep their buffers only while a picture waits,
// and while it is the newest that was shown: that one is shown again when nothing comes.
import AV
import CRingLayout
import Engine
import Graph
import Media
import Rings
import Synchronization

final class RawPictures {
    private var feeds: [PictureFeed?] = []
    private let outlet: Outlet
    private let context: NodeContext
    private var settings: SwitchSettings
    private var machine: PictureSwitch
    private var target: VideoFormat?
    private var newest: HeldPicture?
    /// The slate as it was read, and in the output's format.
    private var still: StillPicture?
    private var slate: StillPicture?
    /// Inputs have changed in a way that is to be shown.
    private var hasNews = true

    init(
        _ inputs: SwitchInputs, active: Int, _ outlet: Outlet, _ settings: SwitchSettings, _ context: NodeContext
    ) {
        (self.outlet, self.settings, self.context) = (outlet, settings, context)
        machine = PictureSwitch(
            inputs: inputs.names.count, active: active, rules: settings.pictureRules(isPaced: !context.isUnpaced))
        follow(inputs)
    }

    /// Inputs have come or gone. The newest picture stays, whosever it was.
    func follow(_ inputs: SwitchInputs) {
        for (i, inlet) in inputs.video.enumerated() {
            if i == feeds.count { feeds.append(nil) } else if feeds[i]?.inlet === inlet, inlet != nil { continue }
            feeds[i]?.close()
            feeds[i] = inlet.map { PictureFeed(inputs.name(i), $0) }
            // The switch may be behind its inputs: what its next period needs has gone by.
            inlet?.declareStart(at: machine.end.map { $0 &- Self.overlap })
            machine.replace(i, isThere: inlet != nil)
        }
        hasNews = true
    }

    func uses(_ input: Int) -> Bool { machine.uses(input) }

    /// Reads the slate. Blocks.
    func prepare() throws(NodeFault) {
        guard let path = settings.slate else { return }
        do throws(AVFault) { still = try StillPicture.read(path, interruption: context) } catch {
            throw NodeFault(.badInput, "the slate \(path) can't be read: \(error.message)", isTransient: false)
        }
    }

    /// End of what has gone out, nanoseconds on the timeline; nil while sound need not wait for pictures.
    var horizon: Int64? { hasEnded ? nil : machine.end }

    /// Whether no input will give pictures any more, and none wait.
    var hasEnded: Bool { feeds.allSatisfy { $0?.inlet.hasEnded ?? true } && machine.isDrained }

    /// Where an input that comes begins before the next period, nanoseconds: its pictures lie beside the grid.
    private static let overlap: Int64 = 40_000_000

    // MARK: News

    func changed(_ input: Int, _ news: InletNews) {
        guard let feed = feeds[input] else { return }
        hasNews = true
        switch news {
        case .format(.rawVideo(let format)):
            if feed.fit == nil { dropAll(input, feed) }
            feed.changed(format, target: target, converts: settings.converts)
            if feed.refusal != nil { machine.fellSilent(input) }
        case .noSignal, .absent, .ended: machine.fellSilent(input)
        case .format, .rewired: break
        }
    }

    private func dropAll(_ input: Int, _ feed: PictureFeed) {
        while !machine.isEmpty(input) {
            machine.removeOldest(input)
            _ = feed.takeOldest()
        }
    }

    func apply(_ settings: SwitchSettings) {
        self.settings = settings
        machine.rules = settings.pictureRules(isPaced: !context.isUnpaced)
    }

    /// - Returns: when the first picture of the new input begins, nanoseconds on the timeline; nil before any went out.
    func select(_ input: Int, notBefore start: Int64?) -> Int64? { machine.select(input, notBefore: start) }

    // MARK: Steps

    func step() -> SwitchTurn {
        var hasTaken = takePictures()
        if hasNews { show() }
        guard !machine.hasBegun || outlet.isReady else { return hasTaken ? .busy : .idle }
        while true {
            switch machine.move(at: context.timeline.now.nanoseconds) {
            case .begin(let leader):
                do throws(NodeFault) { try begin(leader) } catch { return .failed(error) }
                // Its readers may have to join first.
                return .busy
            case .drop(let input, let wasLate):
                _ = feeds[input]?.takeOldest()
                // Another picture may be there already, and nobody would ring for it.
                hasTaken = true
                if wasLate { context.counters.skipped.wrappingAdd(1, ordering: .relaxed) }
            case .show(let input, let period, let isDiscontinuity):
                publish(input, period, isDiscontinuity)
                return .busy
            case .fill(let period, let filler, let isDiscontinuity):
                fill(period, filler, isDiscontinuity)
                return .busy
            case .wait: return hasTaken ? .busy : .idle
            case .until(let time): return hasTaken ? .busy : .until(time)
            }
        }
    }

    /// At most one picture of each input.
    private func takePictures() -> Bool {
        var hasTaken = false
        for (i, feed) in feeds.enumerated() {
            guard let feed else { continue }
            if !machine.hasRoom(i) {
                guard machine.mayDropOldest(i), feed.inlet.isNearlyLapped else { continue }
                machine.removeOldest(i)
                _ = feed.takeOldest()
            }
            if take(i, feed) { hasTaken = true }
        }
        return hasTaken
    }

    private func take(_ input: Int, _ feed: PictureFeed) -> Bool {
        switch feed.inlet.takeFrame() {
        case .nothing: return false
        case .lapped: return true
        case .frame(let lease):
            // An input that can't be shown counts as having nothing.
            if target != nil, feed.fit == nil { return true }
            guard let time = lease.grain.presentation else {
                context.counters.errors.wrappingAdd(1, ordering: .relaxed)
                return true
            }
            feed.append(lease)
            machine.arrived(input, time.nanoseconds, at: context.timeline.now.nanoseconds)
            return true
        }
    }

    /// Settles what the output is: as the first input's pictures, where the settings leave it open.
    private func begin(_ leader: Int) throws(NodeFault) {
        guard let format = feeds[leader]?.format else {
            throw NodeFault(.internalError, "a picture came before its format")
        }
        let target = settings.target(format)
        try outlet.declare(.rawVideo(target))
        do throws(AVFault) {
            if let still { slate = try still.fitted(to: target) } else { slate = try .black(target) }
        } catch {
            throw NodeFault(.unsupported, "no slate can be made for \(target): \(error.message)", isTransient: false)
        }
        self.target = target
        machine.begin(leader, rate: target.picture.rate ?? SwitchSettings.usualRate)
        for (i, feed) in feeds.enumerated() {
            guard let feed else { continue }
            feed.fit(to: target, converts: settings.converts)
            guard feed.refusal != nil else { continue }
            dropAll(i, feed)
            machine.fellSilent(i)
        }
        hasNews = true
    }

    // MARK: Grains

    private func publish(_ input: Int, _ period: Int64, _ isDiscontinuity: Bool) {
        guard let feed = feeds[input], let held = feed.takeOldest(), let fit = held.fit ?? feed.fit else { return }
        var grain = grain(of: held.lease.grain, period)
        grain.isDiscontinuity = isDiscontinuity
        if let claim = outlet.claim() {
            if fit.write(held.lease.bytes, into: claim.bytes) {
                if !fit.isConversion { outlet.countCopy() }
                outlet.publish(claim, grain, sideData: held.lease.sideData)
            } else {
                context.counters.errors.wrappingAdd(1, ordering: .relaxed)
            }
        }
        newest = HeldPicture(lease: held.lease, fit: fit)
    }

    private func grain(of source: Grain, _ period: Int64) -> Grain {
        var grain = Grain.empty()
        grain.inherit(from: source)
        grain.flags |= source.flags & (PBR_GRAIN_CORRUPT | PBR_GRAIN_INTERLACED | PBR_GRAIN_TOP_FIELD_FIRST)
        grain.pts = machine.time(of: period)
        grain.duration = machine.time(of: period + 1) - grain.pts
        grain.isKey = true
        grain.size = UInt32(target?.planes.size ?? 0)
        return grain
    }

    /// The newest picture again, without its captions and its timecode, or the slate.
    private func fill(_ period: Int64, _ filler: PictureSwitch.Filler, _ isDiscontinuity: Bool) {
        context.counters.filled.wrappingAdd(1, ordering: .relaxed)
        guard let claim = outlet.claim() else { return }
        var grain = grain(of: .empty(), period)
        grain.isDiscontinuity = isDiscontinuity
        grain.origin = context.timeline.instant(of: MediaTime(nanoseconds: grain.pts))
        if filler == .slate { newest = nil }
        if let held = newest.take() {
            grain.flags |= held.lease.grain.flags & (PBR_GRAIN_INTERLACED | PBR_GRAIN_TOP_FIELD_FIRST)
            _ = held.fit?.write(held.lease.bytes, into: claim.bytes)
            newest = consume held
        } else if let slate, let target {
            target.copy(from: slate.bytes, as: target.planes, into: claim.bytes)
        }
        outlet.countCopy()
        outlet.publish(claim, grain)
    }

    /// Tells of inputs that are converted or refused: whoever looks at the node should know.
    private func show() {
        hasNews = false
        let members = feeds.compactMap { feed -> JSONObject.Member? in
            guard let feed else { return nil }
            let conversion = feed.fit.flatMap { $0.isConversion ? $0.description : nil }
            return (
                feed.name,
                [
                    "format": feed.format.map { .string("\($0)") } ?? .null,
                    "conversion": conversion.map(JSON.string) ?? .null,
                    "refused": feed.refusal.map(JSON.string) ?? .null,
                ]
            )
        }
        context.show("video", .object(JSONObject(members)))
    }

    func stop() {
        newest = nil
        for feed in feeds { feed?.close() }
    }
}
