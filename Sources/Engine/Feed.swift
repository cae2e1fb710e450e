// A place at an outlet: which of its rings an inlet reads there, and from where. An inlet has one, and a second one while
// it changes over. On the inlet's lane only.
//
// It follows the generations of the outlet's ring: a superseded one is drained before the next is joined, which goes on
// at the same sequence.
import CRingLayout
import Media
import Rings
import Synchronization

/// What an inlet reads, or will read next.
final class Feed {
    let port: OutletPort
    let isLossless: Bool
    private let leases: UInt32
    private let label: String
    var frames: FrameRingReader?
    var packets: PacketRingReader?
    private(set) var joinedGeneration: UInt32 = 0
    /// Leads to the ring behind the one that is read, or was last.
    private var succession: OutletRing.Succession?
    private(set) var format: StreamFormat?
    /// It was looked for before there was a ring.
    private var hasWaited = false
    /// Where to go on; nil before anything was joined.
    var cursor: UInt64?
    /// Grains lost between two rings that the node has not been told of.
    private var skipped: UInt64 = 0
    /// Nothing before this time is taken, nanoseconds; nil once something has been.
    var startsAt: Int64?
    /// From this monotonic instant on (nanoseconds) whatever comes is taken.
    var startsBy = Int64.max

    init(_ source: Wiring.Source, leases: Int, label: String, rest: ReaderRest? = nil) {
        port = source.port
        isLossless = source.isLossless
        self.leases = UInt32(leases)
        self.label = label
        // On a live edge the past is nobody's.
        if let rest, isLossless, rest.port === source.port { cursor = rest.cursor }
    }

    // MARK: The ring

    var isJoined: Bool { frames != nil || packets != nil }
    var mapping: RingMapping? { frames?.mapping ?? packets?.mapping }
    var seat: ReaderSeat? { frames?.seat ?? packets?.seat }
    var isDrained: Bool { (frames?.lag ?? packets?.lag ?? 0) == 0 }
    var isRaw: Bool { format?.type.isRaw ?? port.type.isRaw }

    /// What the ring says of itself, or the outlet where there is none.
    var signal: Signal {
        guard let state = frames?.mapping.state ?? packets?.mapping.state else { return port.signal }
        return Signal(rawValue: state) ?? .waiting
    }

    /// What the ring says of itself once all is read, else nil. The state is loaded before the head: where it is a final one,
    /// nothing has been published since. The other way round the last grain could come, and the end, between the two looks.
    var drainedSignal: Signal? {
        let signal = signal
        return isDrained ? signal : nil
    }

    /// Whether there is nothing more to come for now: all is read, and the writer has ended or is silent.
    var isOver: Bool {
        guard let signal = drainedSignal else { return false }
        switch signal {
        case .ended, .removed: return true
        // A node that comes back makes a new generation on the same port.
        case .noSignal, .absent: return port.generation == joinedGeneration
        case .waiting: return !isJoined && port.currentRing() == nil
        case .live, .superseded: return false
        }
    }

    /// Lets go of the ring, and goes on in the one that takes its place.
    func leave() {
        frames = nil
        packets = nil
    }

    /// Lets go of the ring, and of all that come after it.
    func leaveForGood() {
        leave()
        succession = nil
    }

    /// Lets go of a ring that another has taken the place of, where nothing was taken of it.
    func leaveSuperseded() {
        guard isJoined, signal == .superseded else { return }
        leaveForGood()
        cursor = nil
    }

    /// How a try to join went.
    enum Join {
        case joined
        /// There is no ring, or none that has not been read.
        case nothing
        /// The ring had no place; its writer makes a larger one.
        case refused
        /// The ring has no place, and no writer that could make a larger one.
        case over
    }

    /// Joins the ring behind the one that was read, at first the newest of the outlet.
    /// - Parameter wanted: where to begin; without it where the ring before stopped, or as `usualStart` says.
    func join(at wanted: ReaderStart? = nil) -> Join {
        guard port.generation != joinedGeneration, let ring = port.ring(after: succession) else {
            hasWaited = true
            return .nothing
        }
        guard cursor != nil || !ring.format.type.isRaw || port.hasRoom(ring.mapping) else {
            port.requestRenewal()
            return .nothing
        }
        do throws(RingError) {
            try join(ring, at: cursor.map { .sequence($0) } ?? wanted ?? usualStart(in: ring))
        } catch {
            // One that has been replaced meanwhile gets no room any more.
            if ring.generation != port.generation {
                (joinedGeneration, succession) = (ring.generation, ring.succession)
                return join(at: wanted)
            }
            guard case .leasesDoNotFit = error else { return .refused }
            if port.isOver { return .over }
            port.requestRenewal()
            return .refused
        }
        countSkipped()
        // A lossless writer waits until everybody has joined.
        port.ringWriter()
        return .joined
    }

    private func join(_ ring: OutletRing, at start: ReaderStart) throws(RingError) {
        if ring.format.type.isRaw {
            frames = try FrameRingReader(
                joining: ring.mapping, leases: leases, isLossless: isLossless, start: start, name: label)
        } else {
            packets = try PacketRingReader(
                joining: ring.mapping, isLossless: isLossless, start: start, name: label)
        }
        (joinedGeneration, succession, format) = (ring.generation, ring.succession, ring.format)
    }

    /// A first join takes what is there: all of a lossless edge, else from the newest (key) grain.
    private func usualStart(in ring: OutletRing) -> ReaderStart {
        guard isLossless || joinedGeneration == 0 && (hasWaited || isFresh(ring)) else { return .newestKey }
        return ring.first.map { .sequence($0) } ?? .oldest
    }

    /// Whether the ring is new to everybody: then a joining reader can have it from the first grain on. One that has
    /// waited for the ring can in any case, however many came at once before it looked.
    private func isFresh(_ ring: OutletRing) -> Bool { ring.mapping.head <= (ring.first ?? 0) + 2 }

    // MARK: Losses

    /// What a ring between the last one and this held is lost, as if this reader had been lapped in it.
    private func countSkipped() {
        guard let cursor, let position = frames?.position ?? packets?.position, position > cursor else { return }
        lose(position - cursor)
    }

    /// Grains that went by unread, and were not lost by the ring's account; `untold` of them the figures don't know.
    private(set) var untold: UInt64 = 0
    func lose(_ count: UInt64) {
        skipped += count
        untold += count
    }
    func takeUntold() -> UInt64 {
        defer { untold = 0 }
        return untold
    }

    /// Tells of a loss between two rings, once.
    func takeSkipped() -> UInt64? {
        guard skipped > 0 else { return nil }
        defer { skipped = 0 }
        return skipped
    }

    /// To be called after each grain that was taken or left out.
    func advanced() {
        cursor = frames?.position ?? packets?.position
        if frames?.seat.releasedAwaitedRoom() ?? packets?.seat.releasedAwaitedRoom() ?? false { port.ringWriter() }
    }

    // MARK: A start at a time

    /// Goes to the first raw grain that is not over at `time`, and counts what has left the window since.
    func begin(at time: Int64) {
        startsAt = time
        // What a lossless reader is not to have is left out as it comes.
        guard !isLossless, frames != nil else { return }
        frames?.seek(to: .time(time &- longestBlock))
        guard let position = frames?.position, let mapping = frames?.mapping,
            let first = mapping.glimpse(position), first.duration > 0, first.pts != .min,
            mapping.head &- position >= UInt64(mapping.identity.depth), mapping.glimpse(position &- 1) == nil
        else { return }
        let missing = (first.pts &- time) / first.duration
        if missing > 0 { lose(UInt64(missing)) }
    }

    func beginAtNewest() {
        startsAt = nil
        guard !isLossless else { return }
        frames?.seek(to: .newest)
        packets?.seek(to: .newestKey)
    }

    /// By how much a block of sound may begin before a time that lies in it, less a nanosecond.
    private var longestBlock: Int64 {
        guard case .rawAudio(let audio)? = format else { return 0 }
        return MediaTime(ticks: Int64(audio.blockSamples), timeBase: audio.timeBase).nanoseconds - 1
    }
}
