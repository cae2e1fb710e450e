// H.264 and HEVC byte streams (Annex B of ITU-T H.264 and H.265): where NAL units begin and what they are.
//
// Pure, and safe on any bytes: positions never leave the buffer that was given.

/// Which of the two byte streams.
public enum NALCodec: Sendable {
    case h264, hevc

    /// Nil for codecs that have no NAL units.
    public init?(codec: String) {
        switch codec {
        case "h264": self = .h264
        case "hevc": self = .hevc
        default: return nil
        }
    }
}

/// What a NAL unit is for, as far as containers care.
public enum NALKind: Sendable {
    case video, sequence, picture, delimiter, supplement, slice, other

    /// Reads the kind from the first byte of a NAL unit (H.264 table 7-1, H.265 table 7-1).
    @inlinable public init(_ byte: UInt8, _ codec: NALCodec) {
        switch codec {
        case .h264:
            switch byte & 0x1F {
            case 1...5: self = .slice
            case 6: self = .supplement
            case 7: self = .sequence
            case 8: self = .picture
            case 9: self = .delimiter
            default: self = .other
            }
        case .hevc:
            switch byte >> 1 & 0x3F {
            case 0...31: self = .slice
            case 32: self = .video
            case 33: self = .sequence
            case 34: self = .picture
            case 35: self = .delimiter
            case 39, 40: self = .supplement
            default: self = .other
            }
        }
    }

    public var isParameterSet: Bool { self == .video || self == .sequence || self == .picture }
}

/// Walks over the NAL units of a byte stream without copying or allocating.
public struct AnnexB {
    /// One NAL unit in the buffer: `start` is where its start code begins, `payload` the unit without it.
    public struct Unit: Sendable {
        public let start: Int
        public let payload: Range<Int>
    }

    private let bytes: UnsafeRawBufferPointer
    private var code: (start: Int, payload: Int)?

    /// `bytes` must stay valid while the walk lasts.
    public init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
        code = Self.startCode(in: bytes, from: 0)
    }

    /// The next unit, nil behind the last. Zero bytes that trail a unit are not part of it.
    public mutating func next() -> Unit? {
        guard let current = code else { return nil }
        code = Self.startCode(in: bytes, from: current.payload)
        var end = code?.start ?? bytes.count
        while end > current.payload, bytes[end - 1] == 0 { end -= 1 }
        return Unit(start: current.start, payload: current.payload..<end)
    }

    private static func startCode(in bytes: UnsafeRawBufferPointer, from: Int) -> (start: Int, payload: Int)? {
        var i = from + 2
        while i < bytes.count {
            if bytes[i] > 1 {
                i += 3
            } else if bytes[i] == 1 {
                if bytes[i - 1] == 0, bytes[i - 2] == 0 {
                    let start = i - 2
                    return (start > from && bytes[start - 1] == 0 ? start - 1 : start, i + 1)
                }
                i += 3
            } else {
                i += 1
            }
        }
        return nil
    }

    /// The first unit of `kind`, without its start code; nil where there is none.
    public static func first(_ kind: NALKind, in extradata: [UInt8], _ codec: NALCodec) -> [UInt8]? {
        extradata.withUnsafeBytes { bytes in
            var units = AnnexB(bytes)
            while let unit = units.next() {
                guard !unit.payload.isEmpty, NALKind(bytes[unit.payload.lowerBound], codec) == kind else { continue }
                return Array(bytes[unit.payload])
            }
            return nil
        }
    }

    /// `unit` without its emulation prevention bytes (00 00 03 → 00 00).
    public static func unescaped(_ unit: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(unit.count)
        var zeros = 0
        for byte in unit {
            if zeros >= 2, byte == 3 {
                zeros = 0
                continue
            }
            zeros = byte == 0 ? zeros + 1 : 0
            result.append(byte)
        }
        return result
    }
}
