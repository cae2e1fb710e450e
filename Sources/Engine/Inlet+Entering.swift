// How a rewired coded inlet begins its new stream. What is repeated from a key packet of the past comes in a burst: from
// then on what goes out is ahead of the clock by so much. A next changeover would put it ahead by a GOP more, and so on.
// So one that is ahead waits first, for no longer than it is ahead, until the new stream has come to the end of what went
// out; then it begins at the newest key packet before that. So content is late by less than a GOP however often it is
// rewired. Sound and data that belong to the pictures wait with them.
import CRingLayout
import Media
import Rings

/// Why an inlet that has changed over takes nothing yet.
struct Entrance {
    let changeover: Changeover
    /// It takes what there is from here on, a monotonic instant in nanoseconds.
    let until: Int64

    /// What follows pictures waits for them so much longer than they do, nanoseconds: they come when a packet does.
    static let grace: Int64 = 500_000_000
}

extension Inlet {
    /// What it waits for before it reads `next`; nil: nothing. Writers that wait for it are not held up.
    func entrance(to next: Feed, _ changeover: Changeover) -> Entrance? {
        guard !next.isLossless else { return nil }
        guard next.port.type.track == .pictures else {
            return group.heldUntil(of: changeover).map { Entrance(changeover: changeover, until: $0 &+ Entrance.grace) }
        }
        return splice.shift > 0 ? Entrance(changeover: changeover, until: now &+ splice.shift) : nil
    }

    /// Whether the new stream has to wait; when it need not any more, its reader is where it begins.
    func holds(_ entrance: Entrance, _ feed: Feed) -> Bool {
        // Only of one that lives something is to come.
        let mayWait = now < entrance.until && (feed.signal == .live || feed.signal == .waiting)
        if feed.port.type.track == .pictures {
            guard let mapping = feed.mapping, let end = splice.outEnd else { return false }
            if mayWait, let newest = newestTime(in: mapping), newest < end { return true }
            seekKeyPacket(in: feed, mapping, before: end &+ splice.period)
        } else {
            if mayWait, group.heldUntil(of: entrance.changeover) != nil { return true }
            followPictures(of: entrance.changeover)
            seekEntry(in: feed)
        }
        self.entrance = nil
        return false
    }

    /// Sound and data change over as the pictures of the same patch did, once they have.
    func followPictures(of changeover: Changeover) {
        guard let joint = group.joint(of: changeover, shiftedBy: splice.shift) else { return }
        splice.follow(cut: joint.cut, shift: joint.shift)
    }

    /// Sound and data go on in the new stream where they left the old one.
    func seekEntry(in feed: Feed) {
        guard let time = splice.entry, !feed.isLossless else { return }
        feed.packets?.seek(to: .time(time))
    }

    /// Goes on to the newest key packet that is shown before `time` (nanoseconds, as the ring says it), never back.
    private func seekKeyPacket(in feed: Feed, _ mapping: RingMapping, before time: Int64) {
        guard let position = feed.packets?.position else { return }
        var sequence = mapping.head
        for _ in 0..<mapping.identity.slot_count {
            sequence &-= 1
            guard Int64(bitPattern: sequence &- position) > 0, let grain = mapping.glimpse(sequence) else { return }
            guard grain.isKey, grain.pts != .min, grain.pts < time else { continue }
            feed.packets?.seek(to: .sequence(sequence))
            return feed.advanced()
        }
    }
}
