// One input as the node sees it: the newest grain's arrival, trouble that its outlets tell of, flags, and figures over a
// second. Reads atomics; decides nothing. The node's actor.
import CRingLayout
import Engine
import Graph
import Media
import Meters

struct InputWatch {
    /// What one look found.
    struct Reading {
        /// When the newest grain came, monotonic nanoseconds; nil before the first, and while there is trouble.
        var arrived: Int64?
        /// Why nothing can come: its source has no signal, or has ended.
        var trouble: String?
        /// Whether it will never give anything again.
        var isOver = false
        /// Whether it is looked at where the switch reads it.
        var isAtEdge = false
    }

    private struct Mark {
        let at: Int64
        let taken: UInt64
        let lost: UInt64
    }

    /// Figures are over this long at least, nanoseconds.
    private static let window: Int64 = 1_000_000_000

    let name: String
    /// Pictures first: where an input has some, it is heard by them, for senders bundle sound.
    private let tracks: [InputSight]
    private var mark: Mark?
    private var drift = DriftMeter()
    /// The trouble that the machine knows of.
    var knownTrouble: String?
    /// The newest arrival, also of an input that fell silent; monotonic nanoseconds.
    private(set) var lastArrival: Int64?
    private var flags: UInt32 = 0
    /// Of what was read on the way here, percent that was lost to slow readers; nil before the first second.
    private var lapped: Double?
    /// Grains a second; nil before the first second.
    private(set) var rate: Double?
    /// Bits a second of the coded tracks.
    private(set) var bitRate: Double?
    /// Percent of grains that should have come.
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
        (lapped, drift) = (old.lapped, old.drift)
    }

    mutating func look(at now: Int64) -> Reading {
        var reading = Reading()
        guard let first = tracks.first else { return reading }
        let look = first.outlet.look()
        lastArrival = look.arrived ?? lastArrival
        flags = tracks.dropFirst().reduce(look.flags) { $0 | $1.outlet.look().flags }
        reading.isAtEdge = tracks.allSatisfy(\.isAtEdge)
        reading.isOver = [.ended, .removed].contains(look.signal)
        // Each outlet is asked once: a lazy search asks again for what it has found, and may be answered otherwise by then.
        for (i, track) in tracks.enumerated() where reading.trouble == nil {
            reading.trouble = Self.trouble(track, mayBeAbsent: i > 0)
        }
        if reading.trouble == nil { reading.arrived = look.arrived }
        measure(at: now)
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

    private mutating func measure(at now: Int64) {
        measureLapped(at: now)
        rate = tracks.first?.value(of: .rate, at: now)?.value
        let rates = tracks.compactMap { $0.value(of: .bitrate, at: now)?.value }
        bitRate = rates.isEmpty ? nil : rates.reduce(0, +)
        loss = worst(lapped.map { Measured($0) }, found(.loss, at: now))?.value
        let (pictures, sound) = (tracks.first { $0.outlet.type.isVideo }, tracks.first { !$0.outlet.type.isVideo })
        drift.look(video: pictures?.lateness, audio: sound?.lateness)
    }

    private mutating func measureLapped(at now: Int64) {
        let passages = tracks.map(\.passage)
        let new = Mark(
            at: now, taken: passages.reduce(0) { $0 &+ $1.taken }, lost: passages.reduce(0) { $0 &+ $1.lost })
        guard let old = mark else {
            mark = new
            return
        }
        guard now - old.at >= Self.window else { return }
        mark = new
        // A counter that fell began anew.
        guard new.lost >= old.lost, new.taken >= old.taken else { return }
        let (lost, taken) = (Double(new.lost - old.lost), Double(new.taken - old.taken))
        lapped = lost + taken > 0 ? lost * 100 / (lost + taken) : 0
    }

    /// What is measured of it, or what its newest grain has been flagged with, by whomever.
    private func found(_ measure: Measure, at now: Int64) -> Measured? {
        let flagged = flags & measure.flag != 0 ? Measured(1) : nil
        return tracks.lazy.compactMap { $0.value(of: measure, at: now) }.reduce(flagged) { worst($0, $1) }
    }

    /// What conditions judge.
    func value(of measure: Measure, at now: Int64) -> Measured? {
        switch measure {
        case .loss: loss.map { Measured($0) }
        case .bitrate: bitRate.map { Measured($0) }
        case .rate: rate.map { Measured($0) }
        case .drift: worst(drift.drift.map { Measured(abs(Double($0)) / 1e6) }, found(measure, at: now))
        case .black, .frozen, .silent, .clipped, .jitter, .loudness, .rtt: found(measure, at: now)
        }
    }
}

extension Measure {
    /// The flag of grains that are so; 0 where there is none.
    fileprivate var flag: UInt32 {
        switch self {
        case .black: UInt32(PBR_GRAIN_BLACK)
        case .frozen: UInt32(PBR_GRAIN_FROZEN)
        case .silent: UInt32(PBR_GRAIN_SILENT)
        case .clipped, .loudness, .loss, .bitrate, .rate, .jitter, .drift, .rtt: 0
        }
    }
}
