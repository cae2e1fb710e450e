// What travels with a grain: typed views of the layout's structure.
public import CRingLayout

/// One video frame, one audio block, one coded packet, one data packet or one transport block: what is known of it.
public typealias Grain = pbr_grain

extension pbr_grain {
    /// A grain with no times and no ledger yet.
    public static func empty() -> pbr_grain {
        var grain = pbr_grain()
        (grain.pts, grain.dts, grain.origin) = (.min, .min, .min)
        return grain
    }

    /// Presentation time, nil unknown.
    @inlinable public var presentation: MediaTime? {
        get { pts == .min ? nil : MediaTime(nanoseconds: pts) }
        set { pts = newValue?.nanoseconds ?? .min }
    }
    /// Decoding time, nil unknown (raw grains have none).
    @inlinable public var decoding: MediaTime? {
        get { dts == .min ? nil : MediaTime(nanoseconds: dts) }
        set { dts = newValue?.nanoseconds ?? .min }
    }
    @inlinable public var length: MediaTime {
        get { MediaTime(nanoseconds: duration) }
        set { duration = newValue.nanoseconds }
    }
    @inlinable public var isKey: Bool {
        get { flags & PBR_GRAIN_KEY != 0 }
        set { flags = newValue ? flags | PBR_GRAIN_KEY : flags & ~PBR_GRAIN_KEY }
    }
    @inlinable public var isDiscontinuity: Bool {
        get { flags & PBR_GRAIN_DISCONTINUITY != 0 }
        set { flags = newValue ? flags | PBR_GRAIN_DISCONTINUITY : flags & ~PBR_GRAIN_DISCONTINUITY }
    }

    /// Stamps the ledger: this grain leaves `stage` (a hash made with `stageHash`) at monotonic `now`. The last place
    /// is reused when the ledger is full, so that the newest stage is always seen.
    @inlinable public mutating func stamp(stage: UInt64, at now: Int64) {
        let index = Int(min(ledger_count, UInt32(PBR_LEDGER_STAGES - 1)))
        withUnsafeMutableBytes(of: &ledger) { bytes in
            bytes.storeBytes(of: pbr_stamp(stage: stage, at: now), toByteOffset: index * 16, as: pbr_stamp.self)
        }
        ledger_count = UInt32(index + 1)
    }

    /// The stamps so far, oldest first.
    public var stamps: [pbr_stamp] {
        (0..<stampCount).map { stamp(at: $0) }
    }

    /// How many stages have stamped the ledger.
    public var stampCount: Int { Int(min(ledger_count, UInt32(PBR_LEDGER_STAGES))) }

    /// One stamp of the ledger, the oldest is 0.
    /// - Precondition: `index` is less than `stampCount`.
    public func stamp(at index: Int) -> pbr_stamp {
        withUnsafeBytes(of: ledger) { $0.loadUnaligned(fromByteOffset: 16 * index, as: pbr_stamp.self) }
    }

    /// When the newest stage stamped the ledger, monotonic nanoseconds; nil before the first.
    package var latestStamp: Int64? { stampCount > 0 ? stamp(at: stampCount - 1).at : nil }

    /// Takes over what a codec must carry from the grain it works on to the one it makes: origin, ledger, timecode.
    public mutating func inherit(from source: pbr_grain) {
        origin = source.origin
        ledger = source.ledger
        ledger_count = source.ledger_count
        timecode = source.timecode
        flags |= source.flags & PBR_GRAIN_TIMECODE
    }
}

/// FNV-1a, 64 bit, of a node's id: how the ledger names a stage.
public func stageHash(_ id: String) -> UInt64 {
    id.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
}

extension PictureFormat {
    /// The flags that every grain of this format carries.
    public var grainFlags: UInt32 {
        switch fieldOrder {
        case .topFirst: PBR_GRAIN_INTERLACED | PBR_GRAIN_TOP_FIELD_FIRST
        case .bottomFirst: PBR_GRAIN_INTERLACED
        case .unknown, .progressive: 0
        }
    }
}

extension pbr_grain {
    /// The timecode of the frame (SMPTE ST 12-1), nil where there is none.
    public var label: Timecode? {
        get { flags & PBR_GRAIN_TIMECODE == 0 ? nil : Timecode(packed: timecode) }
        set {
            flags = newValue == nil ? flags & ~PBR_GRAIN_TIMECODE : flags | PBR_GRAIN_TIMECODE
            timecode = newValue?.packed ?? 0
        }
    }
}

extension Grain {
    /// Bytes of the payload: raw pictures are as large as their format says, sound by its samples.
    public func bytes(in format: StreamFormat) -> Int {
        switch format {
        case .rawVideo(let format): format.planes.size
        case .rawAudio(let format): Int(samples) * format.samplePitch * format.planeCount
        case .codedVideo, .codedAudio, .data, .transport: Int(size)
        }
    }
}
