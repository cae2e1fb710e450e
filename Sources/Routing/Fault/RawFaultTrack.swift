// Raw pictures or sound on their way through a `source.fault`: each grain is leased where it lies, and copied or changed
// into the outlet's ring. On the node's lane.
import AV
import CRingLayout
import Engine
import Media
import Rings
import Synchronization

final class RawFaultTrack: FaultTrack {
    let inlet: Inlet
    let outlet: Outlet
    private let context: NodeContext
    private var dice: FaultDice
    private var delay = FaultDelay()
    private var format: StreamFormat?
    private var fit: PictureFit?
    private var black: StillPicture?
    private var waiting: FrameLease?
    /// Whether the dice have been thrown for the one that waits.
    private var isJudged = false
    /// The picture that is shown again while pictures are frozen.
    private var frozen: FrameLease?
    /// What goes out next does not join on to what went out.
    private var isBroken = false

    let impossible: [FaultKind] = []

    init(_ inlet: Inlet, _ outlet: Outlet, _ context: NodeContext, _ dice: FaultDice) {
        (self.inlet, self.outlet, self.context, self.dice) = (inlet, outlet, context, dice)
        // One that waits, one that is frozen, one that is being taken.
        inlet.declare(leases: 3)
    }

    func changed(_ news: InletNews) throws(NodeFault) {
        switch news {
        case .format(let format):
            // What waits or is frozen has the old one.
            letGo()
            self.format = format
            try declare(format)
        case .noSignal: outlet.set(.noSignal)
        case .absent: outlet.set(.absent)
        case .rewired: isBroken = true
        case .ended: break
        }
    }

    /// Has the outlet give `target`.
    private func declare(_ target: StreamFormat) throws(NodeFault) {
        try outlet.declare(target)
        (fit, black) = (nil, nil)
        guard case .rawVideo(let from)? = format, case .rawVideo(let to) = target else { return }
        do throws(AVFault) { fit = try PictureFit(from: from, to: to) } catch {
            throw NodeFault(.unsupported, "\(from) can't be made \(to): \(error.message)", isTransient: false)
        }
    }

    func faultsChanged(_ faults: FaultsInForce) {
        if !faults.has(.freeze) { frozen = nil }
        if faults.has(.disconnect) { outlet.set(.noSignal) }
    }

    func take() -> FaultTake {
        if waiting == nil {
            switch inlet.takeFrame() {
            case .nothing: return .nothing
            case .lapped:
                isBroken = true
                return .again
            case .frame(let lease): waiting = consume lease
            }
            isJudged = false
            delay.next(waiting?.grain, at: context.now)
        }
        return .waits(waiting?.grain.pts ?? .min)
    }

    func pass(_ faults: FaultsInForce, at now: Int64) -> FaultTurn {
        if !context.isUnpaced, let due = delay.due(faults.delay, &dice), now < due { return .until(due) }
        if !isJudged {
            isJudged = true
            if faults.blocks || faults.has(.drop) && dice.fraction() < faults.lost {
                isBroken = isBroken || faults.blocks
                return skip()
            }
        }
        guard let format else { return skip() }
        let target = faults.has(.format) ? format.broken : format
        do throws(NodeFault) { if outlet.format != target { try declare(target) } } catch { return .failed(error) }
        // Its readers may have to join first.
        guard outlet.isReady else { return .idle }
        publish(target, faults)
        return .busy
    }

    private func skip() -> FaultTurn {
        waiting = nil
        context.counters.skipped.wrappingAdd(1, ordering: .relaxed)
        return .busy
    }

    private func publish(_ target: StreamFormat, _ faults: FaultsInForce) {
        guard let lease = waiting.take(), let claim = outlet.claim() else { return }
        var grain = lease.grain
        if isBroken { grain.isDiscontinuity = true }
        isBroken = false
        switch (format, target) {
        case (.rawVideo, .rawVideo(let video)):
            grain.size = UInt32(video.planes.size)
            write(picture: lease.bytes, video, faults, into: claim.bytes)
        case (.rawAudio(let from), .rawAudio(let to)):
            grain.size = UInt32(to.bufferSize)
            write(sound: lease, from, to, isSilent: faults.has(.silence), into: claim.bytes)
        default: break
        }
        // Whoever looks at what goes out sees another picture than whoever looked before.
        if !faults.isNone { grain.flags &= ~(PBR_GRAIN_BLACK | PBR_GRAIN_FROZEN | PBR_GRAIN_SILENT) }
        if faults.has(.corrupt), dice.fraction() < faults.corrupted {
            dice.spoil(UnsafeMutableRawBufferPointer(rebasing: claim.bytes[..<Int(grain.size)]))
        }
        outlet.publish(claim, grain, sideData: lease.sideData)
        if faults.has(.freeze), frozen == nil, case .rawVideo = target { frozen = consume lease }
    }

    private func write(
        picture bytes: UnsafeRawBufferPointer, _ format: VideoFormat, _ faults: FaultsInForce,
        into room: UnsafeMutableRawBufferPointer
    ) {
        if faults.has(.black), let black = blackPicture(format) {
            format.copy(from: black.bytes, as: format.planes, into: room)
            return outlet.countCopy()
        }
        let source = frozen?.bytes ?? bytes
        if fit?.write(source, into: room) != true { context.counters.errors.wrappingAdd(1, ordering: .relaxed) }
        if fit?.isConversion == false { outlet.countCopy() }
    }

    private func blackPicture(_ format: VideoFormat) -> StillPicture? {
        if black == nil { do throws(AVFault) { black = try .black(format) } catch { return nil } }
        return black
    }

    /// A block as it is, as one of other channels, or without a sound.
    private func write(
        sound lease: borrowing FrameLease, _ from: AudioFormat, _ to: AudioFormat, isSilent: Bool,
        into room: UnsafeMutableRawBufferPointer
    ) {
        let count = min(Int(lease.grain.samples), from.blockSamples)
        let (bytes, size) = (lease.bytes, from.sampleFormat.sampleSize)
        guard bytes.count >= from.extent(ofSamples: count), room.count >= to.extent(ofSamples: count) else { return }
        if isSilent {
            let rest: UInt8 = from.sampleFormat == .u8 || from.sampleFormat == .u8p ? 0x80 : 0
            room.prefix(to.extent(ofSamples: count)).withMemoryRebound(to: UInt8.self) { $0.update(repeating: rest) }
            return
        }
        outlet.countCopy()
        if from == to {
            let extent = from.extent(ofSamples: count)
            UnsafeMutableRawBufferPointer(rebasing: room[..<extent]).copyMemory(
                from: UnsafeRawBufferPointer(rebasing: bytes[..<extent]))
            return
        }
        for channel in 0..<to.layout.channels {
            let source = min(channel, from.layout.channels - 1)
            for sample in 0..<count {
                let target = to.place(ofSample: sample, channel)
                UnsafeMutableRawBufferPointer(rebasing: room[target..<(target + size)]).copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: bytes[from.place(ofSample: sample, source)...].prefix(size)))
            }
        }
    }

    private func letGo() {
        waiting = nil
        frozen = nil
    }

    func stop() { letGo() }
}

extension AudioFormat {
    /// Where a sample of a channel lies, bytes from the beginning of a block.
    fileprivate func place(ofSample sample: Int, _ channel: Int) -> Int {
        let channelPitch = sampleFormat.isPlanar ? planeSize : sampleFormat.sampleSize
        return channel * channelPitch + sample * samplePitch
    }
}

extension StreamFormat {
    /// The same in another format: pictures of half the size, sound of one channel, or of two.
    fileprivate var broken: StreamFormat {
        switch self {
        case .rawVideo(let video):
            var picture = video.picture
            func half(_ length: Int) -> Int { max(16, length / 4 * 2) }
            picture.size = PictureSize(width: half(picture.size.width), height: half(picture.size.height))
            if picture.size == video.picture.size { picture.size = PictureSize(width: 32, height: 32) }
            return .rawVideo(VideoFormat(picture: picture, pixelFormat: video.pixelFormat))
        case .rawAudio(var audio):
            audio.layout = audio.layout.channels == 1 ? .stereo : .mono
            return .rawAudio(audio)
        default: return self
        }
    }
}
