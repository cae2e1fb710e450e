// Raw pictures or sound on their way through a `source.fault`: each grain is leased where it lies, and copied or changed
// into the outlet's ring. On the node's lane.
import AV
import CRingLayout
import Engine
import Media
import Rings
import Synchronization

final class RawFaultWork: FaultWork {
    private let inlet: Inlet
    private let outlet: Outlet
    private let context: NodeContext
    private var format: StreamFormat?
    private var fit: PictureFit?
    private var black: StillPicture?
    private var lease: FrameLease?
    /// The picture that is shown again while pictures are frozen.
    private var frozen: FrameLease?

    let impossible: [FaultKind] = []

    init(_ inlet: Inlet, _ outlet: Outlet, _ context: NodeContext) {
        (self.inlet, self.outlet, self.context) = (inlet, outlet, context)
        // One that waits, one that is frozen, one that is being taken.
        inlet.declare(leases: 3)
    }

    var waiting: Grain? { lease?.grain }

    func begin(_ format: StreamFormat) throws(NodeFault) {
        // What waits or is frozen has the old one.
        stop()
        self.format = format
        try declare(format)
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

    func faultsChanged(_ faults: FaultsInForce) -> Bool {
        if !faults.has(.freeze) { frozen = nil }
        return false
    }

    func take() -> BacklogTake {
        switch inlet.takeFrame() {
        case .nothing: return .nothing
        case .lapped: return .lapped
        case .frame(let taken):
            let grain = taken.grain
            lease = consume taken
            return .taken(grain)
        }
    }

    func skip() { lease = nil }

    func pass(_ faults: FaultsInForce, _ verdict: FaultVerdict, _ dice: inout FaultDice) -> FaultTurn {
        guard let format else {
            skip()
            return .busy
        }
        let target = faults.has(.format) ? format.broken : format
        do throws(NodeFault) { if outlet.format != target { try declare(target) } } catch { return .failed(error) }
        // Its readers may have to join first.
        guard outlet.isReady else { return .idle }
        publish(target, faults, verdict, &dice)
        return .busy
    }

    private func publish(
        _ target: StreamFormat, _ faults: FaultsInForce, _ verdict: FaultVerdict, _ dice: inout FaultDice
    ) {
        guard let lease = self.lease.take(), let claim = outlet.claim() else { return }
        var grain = lease.grain
        if verdict.isBroken { grain.isDiscontinuity = true }
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
        if verdict.isSpoilt {
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

    func stop() {
        lease = nil
        frozen = nil
    }
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
