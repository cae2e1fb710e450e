// One picture in memory of its own: read from a file, black, or made from another for a ring's format. For slates.
internal import CFFmpeg
package import Media

/// A picture that never changes. Any thread.
///
/// `@unchecked Sendable`: its memory is written while it is made, and only read afterwards.
package final class StillPicture: @unchecked Sendable {
    package let format: VideoFormat
    /// As the format says; `format.planes.size` of them.
    package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(memory) }
    private let memory: UnsafeMutableRawBufferPointer

    private init(_ format: VideoFormat) {
        self.format = format
        memory = .allocate(byteCount: format.planes.size, alignment: 64)
        memory.initializeMemory(as: UInt8.self, repeating: 0)
    }
    deinit { memory.deallocate() }

    /// The first picture of a file: a picture file, or anything else that libavformat reads. Blocks.
    package static func read(
        _ path: String, interruption: (any Interruption)? = nil
    ) throws(AVFault) -> StillPicture {
        var demuxer = try Demuxer.open(path: path, interruption: interruption)
        guard let stream = demuxer.streams.first(where: { $0.type == .codedVideo }) else {
            throw refusal("read \(path)", "there is no picture in it")
        }
        var decoder = try VideoDecoder(stream.format, threads: 1)
        var packet = try DemuxedPacket()
        while true {
            switch decoder.receive() {
            case .picture: return try copy(decoder.picture, path)
            case .none: try feed(&decoder, &demuxer, &packet, stream.index)
            case .end: throw refusal("read \(path)", "no picture in it can be decoded")
            case .failed(let fault): throw fault
            }
        }
    }

    private static func feed(
        _ decoder: inout VideoDecoder, _ demuxer: inout Demuxer, _ packet: inout DemuxedPacket, _ index: Int
    ) throws(AVFault) {
        switch demuxer.read(into: &packet) {
        case .packet:
            guard packet.stream == index else { return }
            let outcome = decoder.send(packet.bytes, pts: 0, dts: 0, isKey: packet.isKey)
            if case .failed(let fault) = outcome { throw fault }
        case .end: _ = decoder.finish()
        case .again: return
        case .interrupted: throw AVFault(operation: "read the picture", code: av_error_exit)
        case .failed(let fault): throw fault
        }
    }

    private static func copy(_ picture: DecodedPicture, _ path: String) throws(AVFault) -> StillPicture {
        guard let pixels = picture.pixelFormat else {
            throw refusal("read \(path)", "its pixel format is one that rings don't carry; save it as RGB")
        }
        var shown = PictureFormat(size: picture.size, rate: nil, sampleAspect: picture.sampleAspect)
        shown.colour = picture.colour
        let still = StillPicture(VideoFormat(picture: shown, pixelFormat: pixels))
        for plane in 0..<pixels.planeCount {
            guard let (source, stride) = picture.plane(plane) else { continue }
            let line = pixels.lineSize(plane: plane, width: picture.size.width)
            for y in 0..<pixels.lineCount(plane: plane, height: picture.size.height) {
                let target = still.format.planes.offsets[plane] + y * still.format.planes.strides[plane]
                UnsafeMutableRawBufferPointer(rebasing: still.memory[target..<(target + line)]).copyMemory(
                    from: UnsafeRawBufferPointer(start: source + y * stride, count: line))
            }
        }
        return still
    }

    /// Black, as a ring's format has it.
    package static func black(_ format: VideoFormat) throws(AVFault) -> StillPicture {
        guard let pixels = PixelFormat("rgb24") else { preconditionFailure("rgb24 is in the table") }
        var colour = ColourTags()
        (colour.matrix, colour.range) = (0, 2)
        let picture = PictureFormat(size: format.picture.size, rate: nil, colour: colour)
        return try StillPicture(VideoFormat(picture: picture, pixelFormat: pixels)).fitted(to: format)
    }

    /// The same picture in another format and size.
    package func fitted(to format: VideoFormat) throws(AVFault) -> StillPicture {
        let scaler = try PictureScaler(from: self.format, to: format)
        let fitted = StillPicture(format)
        guard
            let (source, target) = bytes.baseAddress.flatMap({ source in fitted.memory.baseAddress.map { (source, $0) }
            })
        else { return fitted }
        scaler.convert(source, into: target)
        return fitted
    }
}
