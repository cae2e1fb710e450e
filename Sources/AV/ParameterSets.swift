// Keeps the parameter sets of one H.264 or HEVC track, and puts them in front of key frames that come without.
//
// dump_extra of libav can't do this: it puts sets before an access unit delimiter, and outdated ones before new ones.
internal import CFFmpeg
internal import Media

struct ParameterSets {
    private let codec: NALCodec
    /// Annex B, in the order video, sequence, picture parameter sets.
    private(set) var bytes: [UInt8]
    /// Reused while scanning, so that an unchanged packet allocates nothing.
    private var found: [UInt8] = []

    init(_ codec: NALCodec, extradata: [UInt8]) {
        self.codec = codec
        bytes = extradata.starts(with: [0, 0, 1]) || extradata.starts(with: [0, 0, 0, 1]) ? extradata : []
        found.reserveCapacity(max(1024, bytes.count))
    }

    enum Outcome {
        case complete, changed
        case missing(insertAt: Int)
    }

    /// Looks at the head of a key frame's access unit, up to its first slice.
    mutating func scan(_ unit: UnsafeRawBufferPointer) -> Outcome {
        found.removeAll(keepingCapacity: true)
        var (hasSequence, hasPicture, insertAt) = (false, false, 0)
        var units = AnnexB(unit)
        while let nal = units.next() {
            guard !nal.payload.isEmpty else { continue }
            let kind = NALKind(unit[nal.payload.lowerBound], codec)
            if kind == .slice { break }
            if kind == .delimiter { insertAt = nal.payload.upperBound }
            guard kind.isParameterSet else { continue }
            if kind == .sequence { hasSequence = true }
            if kind == .picture { hasPicture = true }
            append(UnsafeRawBufferPointer(rebasing: unit[nal.payload]))
        }
        guard hasSequence, hasPicture else { return .missing(insertAt: insertAt) }
        guard found != bytes else { return .complete }
        let isSame = Self.isSame(found, bytes, codec)
        bytes = found
        return isSame ? .complete : .changed
    }

    private mutating func append(_ set: UnsafeRawBufferPointer) {
        guard found.count + set.count < 1 << 16 else { return }
        for byte: UInt8 in (0..<4).lazy.map({ $0 == 3 ? 1 : 0 }) { found.append(byte) }
        found.append(contentsOf: set)
    }

    /// Whether two groups hold the same sets, whatever their start codes and supplements.
    private static func isSame(_ a: [UInt8], _ b: [UInt8], _ codec: NALCodec) -> Bool {
        for kind in [NALKind.video, .sequence, .picture]
        where AnnexB.first(kind, in: a, codec) != AnnexB.first(kind, in: b, codec) { return false }
        return true
    }

    /// Makes the key frame in `packet` begin with parameter sets. `scratch` is empty before and after.
    /// Returns whether the track's sets have changed.
    mutating func complete(
        _ packet: UnsafeMutablePointer<AVPacket>, scratch: UnsafeMutablePointer<AVPacket>
    ) throws(AVFault) -> Bool {
        let unit = UnsafeRawBufferPointer(start: packet.pointee.data, count: Int(packet.pointee.size))
        switch scan(unit) {
        case .complete: return false
        case .changed: return true
        case .missing(let position):
            guard !bytes.isEmpty else { return false }
            try insert(at: position, unit, packet, scratch)
            return false
        }
    }

    private func insert(
        at position: Int, _ unit: UnsafeRawBufferPointer, _ packet: UnsafeMutablePointer<AVPacket>,
        _ scratch: UnsafeMutablePointer<AVPacket>
    ) throws(AVFault) {
        try check(av_new_packet(scratch, Int32(unit.count + bytes.count)), "put parameter sets before a key frame")
        let target = UnsafeMutableRawBufferPointer(start: scratch.pointee.data, count: unit.count + bytes.count)
        target.copyBytes(from: unit[..<position])
        UnsafeMutableRawBufferPointer(rebasing: target[position...]).copyBytes(from: bytes)
        UnsafeMutableRawBufferPointer(rebasing: target[(position + bytes.count)...]).copyBytes(from: unit[position...])
        let copied = av_packet_copy_props(scratch, packet)
        guard copied >= 0 else {
            av_packet_unref(scratch)
            throw AVFault(operation: "put parameter sets before a key frame", code: copied)
        }
        av_packet_unref(packet)
        av_packet_move_ref(packet, scratch)
    }
}
