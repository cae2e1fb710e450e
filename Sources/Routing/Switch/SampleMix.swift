// Samples from block to block: copied, faded, silenced. Pure work on memory; allocates nothing.
import Media

/// A block of sound in memory, laid out as its format says.
struct SampleBlock {
    let base: UnsafeRawPointer
    let format: AudioFormat

    /// The address of a channel's sample, and bytes from one of its samples to the next.
    func place(_ channel: Int, _ sample: Int) -> (UnsafeRawPointer, Int) {
        let size = format.sampleFormat.sampleSize
        guard !format.sampleFormat.isPlanar else { return (base + channel * format.planeSize + sample * size, size) }
        let pitch = size * format.layout.channels
        return (base + sample * pitch + channel * size, pitch)
    }
}

/// What to write: so many samples into a block of `format`, from its beginning.
struct SampleTarget {
    let base: UnsafeMutableRawPointer
    let format: AudioFormat
    let count: Int

    private var block: SampleBlock { SampleBlock(base: base, format: format) }

    /// Samples of `source` from `offset` on.
    func copy(_ source: SampleBlock, from offset: Int) {
        let size = format.sampleFormat.sampleSize
        let (planes, width) =
            format.sampleFormat.isPlanar ? (format.layout.channels, size) : (1, size * format.layout.channels)
        for plane in 0..<planes {
            (base + plane * format.planeSize).copyMemory(
                from: source.base + plane * source.format.planeSize + offset * width, byteCount: count * width)
        }
    }

    func silence() {
        let isUnsigned = format.sampleFormat == .u8 || format.sampleFormat == .u8p
        let width = format.sampleFormat.sampleSize * (format.sampleFormat.isPlanar ? 1 : format.layout.channels)
        for plane in 0..<format.planeCount {
            (base + plane * format.planeSize).initializeMemory(
                as: UInt8.self, repeating: isUnsigned ? 0x80 : 0, count: count * width)
        }
    }

    /// A part of a fade of `length` samples that begins `faded` samples into it; nil is silence.
    func fade(
        from old: (SampleBlock, offset: Int)?, to new: (SampleBlock, offset: Int)?, faded: Int, of length: Int
    ) {
        switch format.sampleFormat {
        case .u8, .u8p:
            mix(old, new, faded, length, { Float($0) - 128 }, { UInt8(clamping: Int(($0 + 128).rounded())) })
        case .s16, .s16p: mix(old, new, faded, length, { Float($0) }, { Int16(clamping: Int($0.rounded())) })
        case .s32, .s32p:
            mix(old, new, faded, length, { Double($0) }, { Int32(clamping: Int64($0.rounded())) })
        case .flt, .fltp: mix(old, new, faded, length, { (value: Float) in value }, { $0 })
        case .dbl, .dblp: mix(old, new, faded, length, { (value: Double) in value }, { $0 })
        }
    }

    @inline(__always)
    private func mix<Sample: BitwiseCopyable, Value: BinaryFloatingPoint>(
        _ old: (SampleBlock, offset: Int)?, _ new: (SampleBlock, offset: Int)?, _ faded: Int, _ length: Int,
        _ read: (Sample) -> Value, _ write: (Value) -> Sample
    ) {
        for channel in 0..<format.layout.channels {
            let (start, pitch) = block.place(channel, 0)
            let target = UnsafeMutableRawPointer(mutating: start)
            let before = old.map { $0.0.place(channel, $0.offset) }
            let after = new.map { $0.0.place(channel, $0.offset) }
            for i in 0..<count {
                let gain = Value(faded + i + 1) / Value(length + 1)
                let a = before.map { read($0.0.loadUnaligned(fromByteOffset: i * $0.1, as: Sample.self)) } ?? 0
                let b = after.map { read($0.0.loadUnaligned(fromByteOffset: i * $0.1, as: Sample.self)) } ?? 0
                (target + i * pitch).storeBytes(of: write(a + (b - a) * gain), as: Sample.self)
            }
        }
    }
}
