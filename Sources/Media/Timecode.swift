// SMPTE ST 12-1 timecode: labels of frames, counted at the nominal rate.

/// A timecode address `hh:mm:ss:ff`, or `hh:mm:ss;ff` in drop-frame counting.
public struct Timecode: Hashable, Sendable, CustomStringConvertible {
    public var hours: Int, minutes: Int, seconds: Int, frames: Int
    public var isDropFrame: Bool

    /// The label of frame `index` (from midnight, wrapping after 24 h in both directions) at `rate`. Drop-frame counting is used for
    /// multiples of 30000/1001: two (four at 60) labels a minute are left out, but for every tenth minute.
    public init(frame index: Int64, rate: FrameRate) {
        let nominal = Int64((rate.doubleValue).rounded(.up))
        isDropFrame = rate.denominator == 1001 && nominal % 30 == 0
        let dropped = isDropFrame ? nominal / 15 : 0
        let perMinute = nominal * 60 - dropped
        let perTen = perMinute * 10 + dropped
        var count = index % (perTen * 144)
        if count < 0 { count += perTen * 144 }
        if isDropFrame {
            let (tens, rest) = count.quotientAndRemainder(dividingBy: perTen)
            count += dropped * 9 * tens
            if rest >= dropped { count += dropped * ((rest - dropped) / perMinute) }
        }
        frames = Int(count % nominal)
        seconds = Int(count / nominal % 60)
        minutes = Int(count / (nominal * 60) % 60)
        hours = Int(count / (nominal * 3600) % 24)
    }

    /// 0xHHMMSSFF, bit 31 drop-frame: as in a grain. Frames beyond 255 (rates above 256) stand as 255.
    public var packed: UInt32 {
        UInt32(hours) << 24 | UInt32(minutes) << 16 | UInt32(seconds) << 8 | UInt32(min(frames, 255))
            | (isDropFrame ? 1 << 31 : 0)
    }

    public init(packed: UInt32) {
        isDropFrame = packed >> 31 == 1
        hours = Int(packed >> 24 & 0x7F)
        minutes = Int(packed >> 16 & 0xFF)
        seconds = Int(packed >> 8 & 0xFF)
        frames = Int(packed & 0xFF)
    }

    public var description: String {
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return "\(two(hours)):\(two(minutes)):\(two(seconds))\(isDropFrame ? ";" : ":")\(two(frames))"
    }
}
