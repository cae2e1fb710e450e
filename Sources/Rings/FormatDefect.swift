// What a format in a ring's header may say, checked by whoever makes or opens the ring. Numbers alone: names of codecs
// and pixel formats mean nothing here.
public import CRingLayout

extension pbr_format {
    /// What no picture or sound can have, or what would lead outside a buffer; nil where there is nothing of the kind.
    /// Type 0 declares nothing.
    /// - Parameter bufferStride: bytes of one buffer; 0 for a packet ring, which raw pictures and sound can't be in.
    public func defect(bufferStride: UInt64) -> RingDefect? {
        guard time_base_num >= 0, time_base_den >= 0 else { return .rate }
        switch Int32(clamping: type) {
        case 0: return nil
        case PBR_TYPE_RAW_VIDEO:
            return video.pictureDefect ?? video.planesDefect(bufferStride: bufferStride)
        case PBR_TYPE_RAW_AUDIO: return audio.soundDefect ?? audio.planesDefect(bufferStride: bufferStride)
        // Of a coded track it may not be known yet what it holds: then nothing is said.
        case PBR_TYPE_CODED_VIDEO:
            let isKnown = video.width != 0 || video.height != 0
            return (isKnown ? video.pictureDefect : nil) ?? codedDefect(bufferStride: bufferStride)
        case PBR_TYPE_CODED_AUDIO:
            let isKnown = audio.sample_rate != 0 || audio.channels != 0
            return (isKnown ? audio.soundDefect : nil) ?? codedDefect(bufferStride: bufferStride)
        case PBR_TYPE_DATA, PBR_TYPE_TRANSPORT: return codedDefect(bufferStride: bufferStride)
        default: return .formatType
        }
    }

    private func codedDefect(bufferStride: UInt64) -> RingDefect? {
        guard bufferStride == 0 else { return .formatType }
        return coded.extradata_size <= UInt32(PBR_EXTRADATA_CAPACITY) ? nil : .extradataSize
    }
}

extension pbr_video {
    fileprivate var pictureDefect: RingDefect? {
        guard (1...16384).contains(width), (1...16384).contains(height), coded_width >= width, coded_width <= 17408,
            coded_height >= height, coded_height <= 17408
        else { return .pictureSize }
        // 0/1 is a rate that is not known, 0/0 and what is negative are no rates.
        guard rate_num >= 0, rate_den > 0, rate_num > 0 || rate_den == 1 else { return .rate }
        return nil
    }

    /// Strides are unsigned here: a negative one is far past the bound.
    fileprivate func planesDefect(bufferStride: UInt64) -> RingDefect? {
        guard frame_size >= 1, frame_size <= bufferStride, (1...4).contains(plane_count) else { return .planes }
        let strides = [stride.0, stride.1, stride.2, stride.3]
        let offsets = [plane_offset.0, plane_offset.1, plane_offset.2, plane_offset.3]
        for plane in 0..<Int(plane_count) {
            let (stride, offset) = (UInt64(strides[plane]), offsets[plane])
            // Of planes behind the first it is not known here how many lines they have.
            let lines = plane == 0 ? UInt64(coded_height) : 1
            guard stride >= 1, stride < 1 << 20, stride % 64 == 0, offset % 64 == 0, offset < frame_size,
                stride * (lines - 1) < frame_size - offset
            else { return .planes }
        }
        return nil
    }
}

extension pbr_audio {
    fileprivate var soundDefect: RingDefect? {
        guard (1...768_000).contains(sample_rate) else { return .rate }
        guard (1...64).contains(channels), layout_mask == 0 || layout_mask.nonzeroBitCount == Int(channels) else {
            return .sound
        }
        return block_samples <= 1 << 20 ? nil : .sound
    }

    fileprivate func planesDefect(bufferStride: UInt64) -> RingDefect? {
        guard (1...64).contains(plane_count), plane_size >= 1, plane_size <= bufferStride / UInt64(plane_count) else {
            return .planes
        }
        return nil
    }
}
