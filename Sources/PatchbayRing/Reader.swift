// A reader of one name: whatever ring has it, read grain by grain. One thread at a time.
import CLinux
import CPatchbayRing
import CRingLayout
import Media
import Rings

/// What a `pbr_ring_reader` is.
final class Reader {
    private let name: RingName
    private let path: String
    private let options: pbr_reader_options
    private let readerName: String
    private var joined: JoinedRing
    /// What was told once, so that it isn't told at each read.
    private var hasToldNoSignal = false
    private var hasToldWriterGone = false
    /// When to ask again whether the writer lives, monotonic nanoseconds: a system call, which no grain shall cost.
    private var nextLivenessLook: Int64 = 0
    private var newestOrigin = Int64.min

    private static let livenessPeriodNanoseconds: Int64 = 250_000_000

    init(_ name: RingName, _ options: pbr_reader_options, _ address: EngineAddress) throws(Failure) {
        self.name = name
        path = PortFolder(port: address.port).path(of: name)
        self.options = options
        readerName = String(cString: options.name ?? linux_program_name())
        let start = try ReaderStart(options.start, options.at)
        joined = try Self.join(path, name, start, options, readerName)
    }

    private static func join(
        _ path: String, _ name: RingName, _ start: ReaderStart, _ options: pbr_reader_options, _ readerName: String
    ) throws(Failure) -> JoinedRing {
        let deadline = Deadline(options.timeout)
        while true {
            let error: RingError
            do {
                return try JoinedRing(try RingMapping.open(path: path), name, start, options.leases, readerName)
            } catch let failed {
                error = failed
            }
            guard case .system(_, ENOENT) = error, !deadline.hasPassed else { throw Failure(error, name.text) }
            usleep(2000)
        }
    }

    var format: UnsafePointer<pbr_format> { UnsafePointer(joined.format) }
    var extradata: UnsafeRawBufferPointer { UnsafeRawBufferPointer(joined.extradata) }

    /// Joins whatever ring has the name now, where this reader stood; behind a truncated ring, at the oldest grain.
    func reopen(timeout: Int64) throws(Failure) {
        var options = options
        options.timeout = timeout
        // What follows a truncated ring counts anew, since nobody knows how far that had come: all it has is unread.
        let start: ReaderStart = joined.mapping.isCorrupt ? .oldest : .sequence(joined.position)
        joined = try Self.join(path, name, start, options, readerName)
        (hasToldNoSignal, hasToldWriterGone) = (false, false)
    }

    func seek(_ start: ReaderStart) { joined.seek(start) }

    private var truncated: Failure {
        Failure(
            PBR_ERROR_NOT_A_RING, "\"\(name.text)\" was truncated by somebody: reopen it when its writer has begun anew"
        )
    }

    /// Gives a pbr_read_result.
    func read(_ lease: inout pbr_lease, timeout: Int64) throws(Failure) -> pbr_read_result {
        let deadline = Deadline(timeout)
        var isWriterMissed = false
        while true {
            switch try joined.look(&lease) {
            case .grain:
                (hasToldNoSignal, hasToldWriterGone) = (false, false)
                newestOrigin = lease.grain.origin
                return PBR_READ_GRAIN
            case .lapped: return PBR_READ_LAPPED
            case .corrupt:
                guard !joined.mapping.isCorrupt else { throw truncated }
                return PBR_READ_CORRUPT
            case .none(let state):
                if let result = meaning(of: state) { return result }
                // Looked at once more since the writer was missed: it may have published just before it died.
                if isWriterMissed {
                    hasToldWriterGone = true
                    return PBR_READ_WRITER_GONE
                }
                isWriterMissed = missesWriter()
                if isWriterMissed { continue }
                if deadline.hasPassed { return PBR_READ_TIMEOUT }
                let until = deadline.sooner(than: nextLivenessLook)
                joined.wait(until: until, spins: options.spins != 0)
            }
        }
    }

    private func meaning(of state: UInt32) -> pbr_read_result? {
        switch Int32(bitPattern: state) {
        case PBR_STATE_SUPERSEDED: return PBR_READ_CHANGED
        case PBR_STATE_ENDED: return PBR_READ_ENDED
        case PBR_STATE_REMOVED: return PBR_READ_REMOVED
        case PBR_STATE_NO_SIGNAL, PBR_STATE_ABSENT:
            guard !hasToldNoSignal, joined.mapping.isWriterAlive else { return nil }
            hasToldNoSignal = true
            return PBR_READ_NO_SIGNAL
        default: return nil
        }
    }

    /// Whether the ring was left by its writer, as far as is to be told.
    private func missesWriter() -> Bool {
        let now = linux_monotonic_nanoseconds()
        guard now >= nextLivenessLook else { return false }
        nextLivenessLook = now + Self.livenessPeriodNanoseconds
        joined.touchEnd()
        return !hasToldWriterGone && joined.mapping.isAbandoned
    }

    var statistics: pbr_statistics {
        var result = pbr_statistics(of: joined.mapping, newestOrigin)
        (result.lag, result.lost) = (joined.lag, joined.seat?.lost ?? 0)
        (result.taken, result.leases) = (joined.seat?.taken ?? 0, joined.seat?.leasesHeld ?? 0)
        return result
    }
}

/// A point in time up to which a call may wait.
struct Deadline {
    /// Monotonic nanoseconds; negative for never.
    let monotonic: Int64

    /// - Parameter timeout: nanoseconds from now; negative for never.
    init(_ timeout: Int64) {
        let (sum, overflow) = linux_monotonic_nanoseconds().addingReportingOverflow(timeout)
        monotonic = timeout < 0 || overflow ? -1 : sum
    }

    var hasPassed: Bool { monotonic >= 0 && linux_monotonic_nanoseconds() >= monotonic }

    func sooner(than other: Int64) -> Int64 { monotonic < 0 ? other : min(monotonic, other) }
}

extension ReaderStart {
    /// - Parameters:
    ///   - start: PBR_START_…
    ///   - at: the sequence or the time.
    init(_ start: UInt32, _ at: Int64) throws(Failure) {
        switch pbr_start(rawValue: start) {
        // Of raw grains each is a key; packets begin where a decoder can.
        case PBR_START_NEWEST: self = .newestKey
        case PBR_START_NEXT: self = .next
        case PBR_START_OLDEST: self = .oldest
        case PBR_START_SEQUENCE: self = .sequence(UInt64(bitPattern: at))
        case PBR_START_TIME: self = .time(at)
        default: throw .argument("start \(start) is none of PBR_START_…")
        }
    }
}
