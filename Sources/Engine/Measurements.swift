// What is measured of one stream, for whoever asks: written by one lane, read from any thread, never locked. An outlet has
// one, and so has each edge that a `meter` reads.
import CRingLayout
package import Graph
package import Media
package import Meters
import Synchronization

/// Everything that may be measured of a stream. What is kept are whole numbers, in the unit that `face` names.
package enum Measurement: Int, Sendable, CaseIterable {
    /// Of the newest second: grains and bits a second, and percent of the grains that are missing.
    case rate, bitRate, loss
    /// Since the beginning; see `FlowTotals`.
    case bytes, missing, holes, corrupt
    case jitter
    /// When the newest grain came.
    case arrived
    /// See `FlowMeter.lateness`.
    case lateness
    /// Since when the picture is black, the picture stands, nothing is heard; 0 where that is not so.
    case black, frozen, silent
    /// Runs of samples at full scale, and when there was one last (0: never).
    case clips, clipped
    /// EBU R128.
    case momentary, shortTerm, integrated, truePeak
    /// How much later sound comes than it did at first, against the pictures.
    case drift
    /// Of a connection: how long there and back, and packets that came, were lost on the way, and came too late.
    case roundTrip, received, lost, dropped
}

/// The measurements of one stream.
///
/// `@unchecked Sendable`: the memory is set up once and holds atomics only.
package final class Measurements: @unchecked Sendable {
    /// What stands where nothing is measured.
    private static let nothing = Int64.min
    private let cells: UnsafeMutablePointer<Atomic<Int64>>

    package init() {
        cells = .allocate(capacity: Measurement.allCases.count)
        for i in Measurement.allCases.indices { cells.advanced(by: i).initialize(to: Atomic(Self.nothing)) }
    }
    deinit { cells.deallocate() }

    /// A measurement, nil where it is not made.
    package subscript(_ measurement: Measurement) -> Int64? {
        get {
            let value = cells[measurement.rawValue].load(ordering: .relaxed)
            return value == Self.nothing ? nil : value
        }
        set { cells[measurement.rawValue].store(newValue ?? Self.nothing, ordering: .relaxed) }
    }

    /// Whether nothing is measured.
    var isEmpty: Bool { Measurement.allCases.allSatisfy { self[$0] == nil } }

    /// Nothing is measured from here on.
    package func forget() {
        for measurement in Measurement.allCases { self[measurement] = nil }
    }

    /// Nothing of what the grains show is measured from here on.
    package func forgetContent() {
        for measurement in Measurement.allCases where measurement.isContent { self[measurement] = nil }
    }
}

extension Measurements {
    /// What a stream's meter knows after a grain.
    package func note(_ flow: FlowMeter) {
        self[.bytes] = Int64(truncatingIfNeeded: flow.totals.bytes)
        self[.missing] = Int64(truncatingIfNeeded: flow.totals.missing)
        self[.holes] = Int64(truncatingIfNeeded: flow.totals.holes)
        self[.corrupt] = Int64(truncatingIfNeeded: flow.totals.corrupt)
        self[.jitter] = flow.jitter
        self[.arrived] = flow.arrived
        self[.lateness] = flow.lateness
    }

    package func note(_ rates: FlowWindow.Rates) {
        self[.rate] = Measurement.thousandths(rates.rate)
        self[.bitRate] = Int64(rates.bitRate)
        self[.loss] = Measurement.thousandths(rates.loss)
    }

    /// - Parameter isWhole: enough was heard for what is measured over three seconds.
    package func note(_ loudness: LoudnessMeter.Reading, isWhole: Bool) {
        func level(_ value: Double?) -> Int64 { Measurement.thousandths(max(value ?? Self.floor, Self.floor)) }
        self[.momentary] = level(loudness.momentary)
        self[.shortTerm] = isWhole ? level(loudness.shortTerm) : nil
        self[.integrated] = loudness.integrated.map(Measurement.thousandths)
        self[.truePeak] = loudness.truePeak.map(Measurement.thousandths)
    }

    /// What silence has for loudness, LUFS: it has none.
    private static let floor = -100.0
}

extension FlowMeter.Header {
    /// Of a grain as rings carry it.
    /// - Parameter bytes: of its payload.
    package init(_ grain: Grain, bytes: Int) {
        let time = grain.dts == .min ? grain.pts : grain.dts
        self.init(
            time: time == .min ? nil : time, duration: grain.duration, bytes: bytes,
            isCorrupt: grain.flags & PBR_GRAIN_CORRUPT != 0,
            isDiscontinuity: grain.isDiscontinuity)
    }
}

// MARK: Faces

extension Measurement {
    /// How a measurement is shown.
    struct Face {
        enum Unit {
            case count
            /// A thousandth of what is shown.
            case thousandths
            /// Thousandths of a percent.
            case percent
            /// A length of time.
            case nanoseconds
            /// An instant, shown as how long ago that is; 0 is shown as 0.
            case since
        }
        /// In JSON.
        let key: String
        /// Behind the prefix of a metric.
        let metric: String
        let kind: Exposition.Kind
        let unit: Unit
        let help: String
    }

    static func thousandths(_ value: Double) -> Int64 { Int64((min(max(value, -1e15), 1e15) * 1000).rounded()) }

    fileprivate var isContent: Bool {
        switch self {
        case .black, .frozen, .silent, .clips, .clipped, .momentary, .shortTerm, .integrated, .truePeak: true
        case .rate, .bitRate, .loss, .bytes, .missing, .holes, .corrupt, .jitter, .arrived, .lateness, .drift,
            .roundTrip,
            .received, .lost, .dropped:
            false
        }
    }

    /// Nil for what is only a step to something else.
    var face: Face? {
        switch self {
        case .rate: gauge("rate", "rate", .thousandths, "Grains a second.")
        case .bitRate: gauge("bitRate", "bit_rate", .count, "Bits a second.")
        case .loss: gauge("lossPercent", "loss_ratio", .percent, "Of the grains of a second, those that are missing.")
        case .bytes: counter("bytes", "bytes_total", "Bytes of grains.")
        case .missing: counter("missing", "missing_grains_total", "Grains that would fill the holes between times.")
        case .holes: counter("holes", "holes_total", "Places where times do not go on.")
        case .corrupt: counter("corrupt", "corrupt_grains_total", "Grains that came damaged.")
        case .jitter:
            gauge("jitterMilliseconds", "jitter_seconds", .nanoseconds, "Unevenness of arrivals, as RFC 3550 has it.")
        case .arrived: gauge("sinceLastMilliseconds", "silence_seconds", .since, "Since the newest grain came.")
        case .lateness, .clipped: nil
        case .black: gauge("blackMilliseconds", "black_seconds", .since, "For how long the picture has been black.")
        case .frozen: gauge("frozenMilliseconds", "frozen_seconds", .since, "For how long the picture has stood still.")
        case .silent: gauge("silentMilliseconds", "silent_seconds", .since, "For how long nothing has been heard.")
        case .clips: counter("clips", "clips_total", "Runs of samples at full scale.")
        case .momentary:
            gauge("momentaryLUFS", "loudness_momentary_lufs", .thousandths, "Loudness of 400 ms, EBU R128.")
        case .shortTerm:
            gauge("shortTermLUFS", "loudness_short_term_lufs", .thousandths, "Loudness of 3 s, EBU R128.")
        case .integrated:
            gauge("integratedLUFS", "loudness_integrated_lufs", .thousandths, "Loudness since the beginning, EBU R128.")
        case .truePeak: gauge("truePeakDBTP", "true_peak_dbtp", .thousandths, "Highest true peak, EBU R128.")
        case .drift:
            gauge(
                "driftMilliseconds", "drift_seconds", .nanoseconds,
                "How much later sound comes than at first, against the pictures.")
        case .roundTrip: gauge("roundTripMilliseconds", "round_trip_seconds", .nanoseconds, "To the peer and back.")
        case .received: counter("received", "received_packets_total", "Packets of the connection that came.")
        case .lost: counter("lost", "lost_packets_total", "Packets that were lost on the way at first.")
        case .dropped: counter("dropped", "dropped_packets_total", "Packets that never came, or too late.")
        }
    }

    private func gauge(_ key: String, _ metric: String, _ unit: Face.Unit, _ help: String) -> Face {
        Face(key: key, metric: metric, kind: .gauge, unit: unit, help: help)
    }
    private func counter(_ key: String, _ metric: String, _ help: String) -> Face {
        Face(key: key, metric: metric, kind: .counter, unit: .count, help: help)
    }
}

extension Measurements {
    /// What is measured, by name. Durations are milliseconds.
    package func json(at now: Int64) -> JSON {
        let members: [JSONObject.Member] = Measurement.allCases.compactMap { measurement in
            guard let face = measurement.face, let value = self[measurement] else { return nil }
            return switch face.unit {
            case .count: (face.key, .count(value))
            case .thousandths, .percent: (face.key, .rounded(Double(value) / 1000))
            case .nanoseconds: (face.key, .milliseconds(value))
            case .since: (face.key, .milliseconds(value == 0 ? 0 : max(0, now - value)))
            }
        }
        return .object(JSONObject(members))
    }
}

extension Exposition {
    /// Families of all that is measured of some streams.
    /// - Parameter prefix: of the metrics' names.
    mutating func write(
        _ prefix: String, _ streams: [(labels: [(String, String)], measurements: Measurements)], at now: Int64
    ) {
        for measurement in Measurement.allCases {
            guard let face = measurement.face else { continue }
            let found = streams.compactMap { stream in stream.measurements[measurement].map { (stream.labels, $0) } }
            guard !found.isEmpty else { continue }
            family(prefix + face.metric, face.kind, face.help)
            for (labels, value) in found {
                switch face.unit {
                case .count: sample(prefix + face.metric, labels, value)
                case .thousandths: sample(prefix + face.metric, labels, decimal: Double(value) / 1000)
                case .percent: sample(prefix + face.metric, labels, decimal: Double(value) / 100_000)
                case .nanoseconds: sample(prefix + face.metric, labels, nanoseconds: value)
                case .since: sample(prefix + face.metric, labels, nanoseconds: value == 0 ? 0 : max(0, now - value))
                }
            }
        }
    }
}
