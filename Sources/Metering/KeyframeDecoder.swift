// Decodes the key frames of coded pictures, each by itself, to look at them: what a warm input shows costs a picture a
// GOP. On the node's lane.
import AV
import CRingLayout
import Engine
import Media
import Meters
import Rings

struct KeyframeDecoder: ~Copyable {
    enum Outcome {
        case look(PictureLook.Finding)
        /// It was overwritten while it was copied.
        case nothing
        /// It could not be decoded.
        case failed
    }

    private var decoder: VideoDecoder
    private let masks: [PictureMeter.Mask]
    private var format: VideoFormat?
    private var look: PictureLook?

    /// Nil without a decoder for the format.
    init?(_ format: CodedFormat, masks: [PictureMeter.Mask]) {
        do throws(AVFault) { decoder = try VideoDecoder(format, threads: 1, isLowDelay: true) } catch { return nil }
        self.masks = masks
    }

    /// Takes the packet that was looked at, decodes it and looks at its picture.
    /// - Parameter arrival: monotonic nanoseconds.
    mutating func take(_ grain: Grain, from inlet: Inlet, _ arrival: Int64) -> Outcome {
        guard let room = decoder.reserve(Int(grain.size)) else {
            inlet.skipPacket()
            return .failed
        }
        guard inlet.take(grain, into: room.paddedToWords(grain.size)) else { return .nothing }
        // With the end behind it the picture comes at once.
        defer { decoder.flush() }
        guard case .taken = decoder.send(size: Int(grain.size), pts: grain.pts, dts: nil, isKey: true),
            case .taken = decoder.finish(), case .picture = decoder.receive()
        else { return .failed }
        return finding(grain.pts, arrival)
    }

    private mutating func finding(_ pts: Int64, _ arrival: Int64) -> Outcome {
        guard let known = decoder.bufferFormat, !decoder.picture.isCorrupt else { return .failed }
        if known != format { (format, look) = (known, PictureLook(sparse: known, masks: masks)) }
        guard let index = look?.plane, let plane = decoder.picture.plane(index), plane.stride > 0,
            let found = look?.look(atPlane: plane.start, stride: plane.stride, pts: pts, arrival)
        else { return .failed }
        return .look(found)
    }
}
