// Static HDR metadata in the bitstream itself: many encoders tell the container nothing of it.
//
// Supplemental enhancement information of ITU-T H.264 and H.265, annex D: mastering display colour volume (payload
// type 137) and content light level (144), the same in both.
internal import Media

extension HDRMetadata {
    /// What the messages of one access unit say; empty where they say nothing. Looks no further than the first slice,
    /// and allocates only where a message is.
    init(accessUnit: UnsafeRawBufferPointer, _ codec: NALCodec) {
        self.init()
        var units = AnnexB(accessUnit)
        while let unit = units.next() {
            guard !unit.payload.isEmpty else { continue }
            switch NALKind(accessUnit[unit.payload.lowerBound], codec) {
            case .slice: return
            case .supplement:
                let header = codec == .h264 ? 1 : 2
                read(UnsafeRawBufferPointer(rebasing: accessUnit[unit.payload].dropFirst(header)))
            default: break
            }
        }
    }

    /// The messages of one NAL unit: type and size in bytes of 255 and a last one, then the payload.
    private mutating func read(_ messages: UnsafeRawBufferPointer) {
        var position = 0
        func number() -> Int? {
            var value = 0
            while position < messages.count {
                let byte = messages[position]
                position += 1
                value += Int(byte)
                if byte != 255 { return value }
            }
            return nil
        }
        while let type = number(), let size = number() {
            // Emulation prevention lengthens what follows: at most by half.
            let end = min(messages.count, position + size * 3 / 2 + 1)
            if type == 137 || type == 144 {
                take(type, AnnexB.unescaped(Array(messages[position..<end])).prefix(size))
            }
            position = min(messages.count, skipping(size, from: position, in: messages))
        }
    }

    /// The position behind `size` bytes of payload, emulation prevention bytes not counted.
    private func skipping(_ size: Int, from start: Int, in bytes: UnsafeRawBufferPointer) -> Int {
        var (position, left, zeros) = (start, size, 0)
        while left > 0, position < bytes.count {
            if zeros >= 2, bytes[position] == 3 {
                zeros = 0
            } else {
                zeros = bytes[position] == 0 ? zeros + 1 : 0
                left -= 1
            }
            position += 1
        }
        return position
    }

    private mutating func take(_ type: Int, _ payload: ArraySlice<UInt8>) {
        let bytes = Array(payload)
        func word(_ index: Int) -> UInt16 { UInt16(bytes[2 * index]) << 8 | UInt16(bytes[2 * index + 1]) }
        func point(_ index: Int) -> Chromaticity { Chromaticity(x: word(index), y: word(index + 1)) }
        func long(_ index: Int) -> UInt32 { UInt32(word(index)) << 16 | UInt32(word(index + 1)) }
        if type == 137, bytes.count == 24 {
            // In the order green, blue, red, white (H.265 section D.3.28).
            masteringDisplay = MasteringDisplay(
                red: point(4), green: point(0), blue: point(2), white: point(6), maximumLuminance: long(8),
                minimumLuminance: long(10))
        }
        if type == 144, bytes.count == 4 {
            contentLight = ContentLight(maximum: word(0), maximumAverage: word(1))
        }
    }
}
