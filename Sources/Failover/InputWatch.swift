// One input as the node sees it: the newest grain's arrival, trouble that its outlets tell of, flags, and figures over a
// second. Reads atomics; decides nothing. The node's actor.
import CRingLayout
import Engine
import Graph
import Media

struct InputWatch {
    /// What one look found.
    struct Reading {
        /// When the newest grain came, monotonic nanoseconds; nil before the first, and while there is trouble.
        var arrived: Int64?
        /// Why nothing can come: its source has no signal, or has ended.
        var trouble: String?
        var flags: UInt32 = 0
    }

    private struct Mark {
        let at: Int64
        let head: UInt64
        let bytes: UInt64?
        let taken: UInt64
        let lost: UInt64
    }

    /// Figures are over this long at least, nanoseconds.
    private static let window: Int64 = 1_000_000_000

    let name: String
    /// Pictures first: where an input has some, it is heard by them, for senders bundle sound.
    private let tracks: [InputSight]
    private var mark: Mark?
    /// The trouble that the machine knows of.
    var knownTrouble: String?
    /// The newest arrival, also of an input that fell silent; monotonic nanoseconds.
    private(set) var lastArrival: Int64?
    private(set) var flags: UInt32 = 0
    /// Grains a second; nil before the first window has passed.
    private(set) var rate: Double?
    /// Bits a second of the coded tracks.
    private(set) var bitRate: Double?
    /// Percent of grains.
    private(set) var loss: Double?

    init(_ name: String, _ sights: [InputSight]) {
        self.name = name
        let own = sights.filter { $0.input == name }
        tracks = own.filter(\.outlet.type.isVideo) + own.filter { !$0.outlet.type.isVideo }
    }

    /// What was measured of the same input, where the graph around it has changed.
    mutating func goOn(from old: InputWatch) {
        (mark, knownTrouble, lastArrival) = (old.mark, old.knownTrouble, old.lastArrival)
        (flags, rate, bitRate, loss) = (old.flags, old.rate, old.bitRate, old.loss)
    }

    mutating func look(at now: Int64) -> Reading {
        var reading = Reading()
        guard let first = tracks.first else { return reading }
        let look = first.outlet.look()
        lastArrival = look.arrived ?? lastArrival
        flags = tracks.dropFirst().reduce(look.flags) { $0 | $1.outlet.look().flags }
        reading.flags = flags
        reading.trouble = tracks.enumerated().lazy.compactMap { Self.trouble($1, mayBeAbsent: $0 > 0) }.first
        if reading.trouble == nil { reading.arrived = look.arrived }
        measure(look, at: now)
        return reading
    }

    private static func trouble(_ track: InputSight, mayBeAbsent: Bool) -> String? {
        for outlet in [track.outlet] + track.upstream {
            switch outlet.look().signal {
            case .noSignal: return "\(outlet.label) has no signal"
            case .ended: return "\(outlet.label) has ended"
            case .removed: return "\(outlet.label) was removed"
            case .absent where !mayBeAbsent: return "\(outlet.label) is absent"
            case .absent, .waiting, .live, .superseded: continue
            }
        }
        return nil
    }

    private mutating func measure(_ look: OutletSight.Look, at now: Int64) {
        let passages = tracks.map(\.passage)
        let coded = tracks.compactMap { track in track.upstream.lazy.compactMap { $0.look().bytes }.first }
        let new = Mark(
            at: now, head: look.head, bytes: coded.isEmpty ? nil : coded.reduce(0, &+),
            taken: passages.reduce(0) { $0 &+ $1.taken }, lost: passages.reduce(0) { $0 &+ $1.lost })
        guard let old = mark else {
            mark = new
            return
        }
        guard now - old.at >= Self.window else { return }
        mark = new
        let seconds = Double(now - old.at) / 1e9
        // A counter that fell began anew.
        func growth(_ new: UInt64, _ old: UInt64) -> Double? { new >= old ? Double(new - old) : nil }
        rate = growth(new.head, old.head).map { $0 / seconds }
        bitRate =
            if let bytes = new.bytes, let before = old.bytes { growth(bytes, before).map { $0 * 8 / seconds } } else {
                nil
            }
        if let lost = growth(new.lost, old.lost), let taken = growth(new.taken, old.taken) {
            loss = lost + taken > 0 ? lost * 100 / (lost + taken) : 0
        }
    }

    /// What conditions judge.
    func value(_ measure: Measure) -> Measured? {
        switch measure {
        case .black: flag(PBR_GRAIN_BLACK)
        case .frozen: flag(PBR_GRAIN_FROZEN)
        case .silent: flag(PBR_GRAIN_SILENT)
        case .loss: loss.map { Measured($0) }
        case .bitrate: bitRate.map { Measured($0) }
        case .rate: rate.map { Measured($0) }
        case .clipped, .jitter, .loudness, .drift: nil
        }
    }

    private func flag(_ flag: some BinaryInteger) -> Measured { Measured(flags & UInt32(flag) != 0 ? 1 : 0) }
}
