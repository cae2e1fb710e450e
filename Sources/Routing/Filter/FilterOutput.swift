// What comes out of filters, into the outlet's ring: declared when it changes, copied, with what its grain carried.
import AV
import CRingLayout
import Engine
import Media
import Rings
import Synchronization

final class FilterOutput {
    private let outlet: Outlet
    private let context: NodeContext
    private var sideData = SideDataWriter(capacity: 4096)
    private var video: VideoFormat?
    private var audio: AudioFormat?
    /// There was another graph before this one.
    private var isDiscontinuity = false

    init(_ outlet: Outlet, _ context: NodeContext) { (self.outlet, self.context) = (outlet, context) }

    /// A new graph's output follows.
    func begin() { isDiscontinuity = video != nil || audio != nil }

    // MARK: Pictures

    func publish(picture graph: borrowing FilterGraph, _ carried: GrainMemory) -> SwitchTurn {
        let picture = graph.picture
        guard let format = graph.pictureFormat else {
            return .failed(
                NodeFault(.unsupported, "the filters give pictures that rings don't carry", isTransient: false))
        }
        if format != video {
            do throws(NodeFault) { try outlet.declare(.rawVideo(format)) } catch { return .failed(error) }
            video = format
        }
        guard outlet.isReady else { return .idle }
        guard let claim = outlet.claim() else { return .busy }
        for plane in 0..<format.pixelFormat.planeCount {
            guard let (source, stride) = picture.plane(plane) else { continue }
            let line = format.pixelFormat.lineSize(plane: plane, width: format.picture.size.width)
            for y in 0..<format.pixelFormat.lineCount(plane: plane, height: format.picture.size.height) {
                let target = format.planes.offsets[plane] + y * format.planes.strides[plane]
                UnsafeMutableRawBufferPointer(rebasing: claim.bytes[target..<(target + line)]).copyMemory(
                    from: UnsafeRawBufferPointer(start: source + y * stride, count: line))
            }
        }
        outlet.countCopy()
        sideData.clear()
        if let captions = picture.captions { sideData.add(.captions, captions) }
        if let active = picture.activeFormat { withUnsafeBytes(of: active) { sideData.add(.activeFormat, $0) } }
        outlet.publish(claim, grain(for: picture, format, carried), sideData: sideData.bytes)
        isDiscontinuity = false
        return .busy
    }

    private func grain(for picture: DecodedPicture, _ format: VideoFormat, _ carried: GrainMemory) -> Grain {
        var grain = inherited(picture.token, carried)
        grain.pts = picture.pts ?? .min
        grain.duration = format.picture.rate?.period.nanoseconds ?? picture.duration
        if picture.isInterlaced { grain.flags |= PBR_GRAIN_INTERLACED }
        if picture.isInterlaced, picture.isTopFieldFirst { grain.flags |= PBR_GRAIN_TOP_FIELD_FIRST }
        grain.size = UInt32(format.planes.size)
        return grain
    }

    private func inherited(_ token: Int64, _ carried: GrainMemory) -> Grain {
        var grain = Grain.empty()
        if let source = carried.recall(token) {
            grain.inherit(from: source)
            grain.flags |= source.flags & (PBR_GRAIN_DISCONTINUITY | PBR_GRAIN_CORRUPT)
        }
        if isDiscontinuity { grain.isDiscontinuity = true }
        grain.isKey = true
        return grain
    }

    // MARK: Sound

    func publish(sound graph: borrowing FilterGraph, _ carried: GrainMemory) -> SwitchTurn {
        guard let block = graph.block else {
            return .failed(NodeFault(.unsupported, "the filters give sound that rings don't carry", isTransient: false))
        }
        do throws(NodeFault) { try declare(block) } catch { return .failed(error) }
        guard outlet.isReady, let audio else { return .idle }
        guard let claim = outlet.claim() else { return .busy }
        for plane in 0..<audio.planeCount {
            guard let source = block.plane(plane) else { continue }
            let target = plane * audio.planeSize
            UnsafeMutableRawBufferPointer(rebasing: claim.bytes[target..<(target + source.count)]).copyMemory(
                from: source)
        }
        outlet.countCopy()
        var grain = inherited(block.token, carried)
        grain.pts = block.pts ?? .min
        grain.samples = UInt32(block.samples)
        grain.duration = MediaTime(ticks: Int64(block.samples), timeBase: audio.timeBase).nanoseconds
        grain.size = UInt32(audio.bufferSize)
        outlet.publish(claim, grain)
        isDiscontinuity = false
        return .busy
    }

    /// Filters give blocks of different lengths: there is room for the longest so far.
    private func declare(_ block: FilteredSound) throws(NodeFault) {
        var format = block.format
        format.blockSamples = max(format.blockSamples, 2048)
        if let audio {
            var same = format
            same.blockSamples = audio.blockSamples
            if same == audio, format.blockSamples <= audio.blockSamples { return }
        }
        try outlet.declare(.rawAudio(format))
        audio = format
    }
}
