// A commit on the data path: all inlets that a patch rewires change over at one media time.
//
//   engine                                inlet, on its lane
//   stage ───────────────────────────────► joins the new ring beside the old one; coded: finds a key frame there
//   waits for all ◄─────────────── ready ─
//   commit(at: T), one atomic word ──────► takes from the old ring while PTS < T, from the new one from T on
//   waits for all ◄──────────────── over ─ the old ring is left
//
// Nothing here waits, and an inlet pays for a changeover with one atomic load a grain while it is under way, and with
// nothing at other times. The old source runs until all are over, so that nothing is missing up to T.
import Graph
import Synchronization

/// The one word that commits for all inlets of a patch. Any thread.
final class Changeover: Sendable {
    /// Nobody knows yet when.
    static let undecided = Int64.max
    /// How long a grain that reaches the time is waited for, nanoseconds.
    static let patience: Int64 = 2_000_000_000

    private let word = Atomic<Int64>(Changeover.undecided)
    private let limit = Atomic<Int64>(.max)

    /// The media time from which on the new edges are read, nanoseconds.
    var time: Int64 { word.load(ordering: .acquiring) }
    /// From this monotonic instant on (nanoseconds) nobody waits for a grain that reaches the time.
    var deadline: Int64 { limit.load(ordering: .relaxed) }

    /// SYNC changeover: the deadline, then the word; an inlet that sees the word sees the deadline.
    func commit(at time: Int64, deadline: Int64) {
        limit.store(deadline, ordering: .relaxed)
        word.store(min(time, Self.undecided - 1), ordering: .releasing)
    }
}

/// One inlet's part in a changeover. Progress is told by the inlet's lane, and looked at by the engine.
final class StagedEdge: Sendable {
    enum Progress: UInt8, Comparable {
        /// Asked for; the inlet's lane has not come by yet, or the new ring has nothing to begin with.
        case asked
        /// The inlet stands in the new ring.
        case ready
        /// It reads the new ring and has left the old one, or its node has left.
        case over

        static func < (a: Progress, b: Progress) -> Bool { a.rawValue < b.rawValue }
    }

    let source: Wiring.Source
    let changeover: Changeover
    /// Where a coded edge enters its new stream.
    let splice: Splice
    /// Whether pictures of the same node change over too, which sound and data follow.
    let followsPictures: Bool
    private let word = Atomic<UInt8>(0)

    init(_ source: Wiring.Source, _ changeover: Changeover, _ splice: Splice, followsPictures: Bool) {
        (self.source, self.changeover, self.splice) = (source, changeover, splice)
        self.followsPictures = followsPictures
    }

    var progress: Progress { Progress(rawValue: word.load(ordering: .acquiring)) ?? .over }
    func advance(to progress: Progress) {
        _ = word.max(progress.rawValue, ordering: .releasing)
    }
}

/// What the inlets of one node tell each other of their splices. On the node's lane only.
///
/// `@unchecked Sendable`: handed to the inlets of one node when it is made, and touched on its lane alone.
final class SpliceGroup: @unchecked Sendable {
    /// What the pictures' times are shifted by, nanoseconds: sound that comes to them later is shifted alike.
    var shift: Int64 = 0
    private var changeover: Changeover?
    /// Its cut is in the times that went out: sound has been shifted by half a packet more or less than its pictures.
    private var joint: SpliceJoint?
    /// Until when the pictures may hold before they begin the new stream (`Entrance`), a monotonic instant; nil once they
    /// have begun.
    private var heldUntil: Int64?

    /// How the pictures changed over; the cut in the times that went out.
    func tell(_ joint: SpliceJoint, of changeover: Changeover, heldUntil: Int64?) {
        (self.joint, self.changeover, shift, self.heldUntil) = (joint, changeover, joint.shift, heldUntil)
    }

    /// The pictures have begun the new stream.
    func enter(shift: Int64) {
        joint?.shift = shift
        (self.shift, heldUntil) = (shift, nil)
    }

    /// What a track that has been shifted by `shift` follows; nil while the pictures have not changed over.
    func joint(of changeover: Changeover, shiftedBy shift: Int64) -> SpliceJoint? {
        guard self.changeover === changeover, let joint else { return nil }
        return SpliceJoint(cut: joint.cut &- shift, shift: joint.shift)
    }
    /// Until when what follows the pictures waits for them; nil: it need not.
    func heldUntil(of changeover: Changeover) -> Int64? { self.changeover === changeover ? heldUntil : nil }
}
