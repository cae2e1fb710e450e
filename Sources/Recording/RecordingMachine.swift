// Decides which packet is written next, into which file, and where files and parts end. A pure machine: packets and times
// in, actions out; no clock, no I/O. Runs on the lane of the recording node.
//
// Packets of all tracks are taken in the order of their DTS, so a file is interleaved as it is played. Whoever has
// nothing waiting holds the others up until it delivers, is known to have nothing, has been silent for `patience`, or
// the others have run ahead of it by the bound. A file begins on a key frame of video (where video is in play) and holds
// the tracks that are in play then; another set of tracks, or another format, is another file.
//
// Invariant: every packet fed is named once, in the order of its track, by `write` or `drop`.
import Media

/// What the machine knows of a coded packet; its bytes stay with the caller, first in first out for each track.
struct RecordingPacket: Equatable, Sendable {
    var dts: MediaTime
    var isKey: Bool
    /// Something is missing before it.
    var isDiscontinuity = false
    /// Counts the formats of its track.
    var format: UInt32 = 0
}

/// Why a packet is in no file.
enum RecordingDrop: String, CaseIterable, Sendable {
    /// It comes before the key frame on which its track, or a file that holds its track and format, begins.
    case beforeKey
    /// Its DTS is not after the one before it, or lies before the file: it comes too late.
    case outOfOrder
}

/// What the caller carries out, in this order.
enum RecordingAction: Equatable, Sendable {
    /// Ends the open file, if there is one, and begins another with `tracks`, whose time 0 is `start`.
    case beginFile(start: MediaTime, tracks: [Int])
    /// Ends the part: what was written so far must reach the disk.
    case endPart
    case write(track: Int)
    case drop(track: Int, RecordingDrop)
    case endFile
}

struct RecordingSettings: Sendable {
    /// A file ends on the first key frame at or after this length; nil: one file.
    var segment: MediaTime?
    /// A part is shorter than this.
    var part = MediaTime.seconds(1)
    /// How long a track that delivers nothing holds up the others; nil: not by the clock (unpaced runs).
    var patience: MediaTime? = .seconds(1)
    /// How far, in media time, one track may run ahead of another.
    var aheadLimit = MediaTime.seconds(10)
}

struct RecordingMachine: Sendable {
    private struct Entry {
        var packet: RecordingPacket
        /// Monotonic.
        var arrival: MediaTime
    }
    private struct Track {
        let isVideo: Bool
        var queue: [Entry] = []
        var head = 0
        var lastArrival: MediaTime?
        /// Of the newest packet placed.
        var lastDTS: MediaTime?
        var needsKey = true
        /// Nothing is to be expected for now: it ended, is lost, or fell silent.
        var isOut = false
        var hasEnded = false
        /// Of the newest packet placed.
        var lastFormat: UInt32?
        /// The format with which it is in the open file; nil: it is not.
        var inFile: UInt32?

        var first: Entry? { head < queue.count ? queue[head] : nil }
        var span: MediaTime { first.map { queue[queue.count - 1].packet.dts - $0.packet.dts } ?? .zero }

        mutating func removeFirst() {
            head += 1
            if head == queue.count {
                queue.removeAll(keepingCapacity: true)
                head = 0
            } else if head >= 256, head * 2 >= queue.count {
                queue.removeSubrange(..<head)
                head = 0
            }
        }
    }

    let settings: RecordingSettings
    private var tracks: [Track]
    private var hasFile = false
    private var fileStart = MediaTime.zero
    private var partStart: MediaTime?
    /// A track waits for a file that holds it.
    private var wantsFile = false
    /// Monotonic time at which anybody began to wait for somebody else.
    private var started: MediaTime?

    init(isVideo: [Bool], settings: RecordingSettings) {
        self.settings = settings
        tracks = isVideo.map { Track(isVideo: $0) }
    }

    // MARK: Events

    mutating func feed(_ packet: RecordingPacket, track: Int, now: MediaTime, _ actions: inout [RecordingAction]) {
        if !tracks[track].hasEnded { tracks[track].isOut = false }
        tracks[track].lastArrival = now
        tracks[track].queue.append(Entry(packet: packet, arrival: now))
        if started == nil { started = now }
        release(&actions)
        while tracks[track].span > settings.aheadLimit, place(oldest: true, &actions) {}
    }

    /// Time goes by: call at least every 100 ms.
    mutating func tick(now: MediaTime, _ actions: inout [RecordingAction]) {
        guard let patience = settings.patience, let started else { return }
        for i in tracks.indices where tracks[i].first == nil && !tracks[i].isOut {
            if now - (tracks[i].lastArrival ?? started) >= patience { tracks[i].isOut = true }
        }
        release(&actions)
    }

    /// Too many bytes wait: the oldest packet goes, whoever is missing.
    mutating func relieve(_ actions: inout [RecordingAction]) { _ = place(oldest: true, &actions) }

    /// `track` is lost for now: the others don't wait for it.
    mutating func lose(track: Int, _ actions: inout [RecordingAction]) {
        guard tracks[track].first == nil else { return }
        tracks[track].isOut = true
        release(&actions)
    }

    mutating func end(track: Int, _ actions: inout [RecordingAction]) {
        (tracks[track].hasEnded, tracks[track].isOut) = (true, true)
        release(&actions)
    }

    /// Places all that waits and ends the file.
    mutating func finish(_ actions: inout [RecordingAction]) {
        while place(oldest: true, &actions) {}
        guard hasFile else { return }
        hasFile = false
        actions.append(.endFile)
    }

    /// The file could not go on: the next one begins on the next key frame.
    mutating func fileFailed() {
        hasFile = false
        partStart = nil
        for i in tracks.indices { tracks[i].inFile = nil }
    }

    // MARK: The order of packets

    private mutating func release(_ actions: inout [RecordingAction]) { while place(oldest: false, &actions) {} }

    /// Places the packet with the lowest DTS. Without `oldest` only where nobody could yet deliver an earlier one.
    private mutating func place(oldest: Bool, _ actions: inout [RecordingAction]) -> Bool {
        var next: (track: Int, packet: RecordingPacket)?
        for i in tracks.indices {
            guard let packet = tracks[i].first?.packet else { continue }
            // Of two at one time video goes first: a file begins with it.
            if next.map({ packet.dts < $0.packet.dts }) ?? true { next = (i, packet) }
        }
        guard let next else { return false }
        if !oldest {
            let isAwaited = tracks.contains {
                $0.first == nil && !$0.isOut && ($0.lastDTS.map { $0 < next.packet.dts } ?? true)
            }
            if isAwaited { return false }
        }
        place(next.track, next.packet, &actions)
        tracks[next.track].removeFirst()
        return true
    }

    // MARK: One packet

    private mutating func place(_ i: Int, _ packet: RecordingPacket, _ actions: inout [RecordingAction]) {
        if packet.dts <= tracks[i].lastDTS ?? packet.dts - .milliseconds(1) || hasFile && packet.dts < fileStart {
            return actions.append(.drop(track: i, .outOfOrder))
        }
        (tracks[i].lastDTS, tracks[i].lastFormat) = (packet.dts, packet.format)
        if tracks[i].isVideo {
            if packet.isDiscontinuity { tracks[i].needsKey = true }
            guard !tracks[i].needsKey || packet.isKey else { return actions.append(.drop(track: i, .beforeKey)) }
            tracks[i].needsKey = false
        }
        if canBeginFile(i, packet), needsFile(i, packet) {
            beginFile(i, packet, &actions)
        } else if hasFile, tracks[i].inFile == packet.format {
            endPart(before: packet, isKey: tracks[i].isVideo && packet.isKey, &actions)
        } else {
            if tracks[i].isVideo { tracks[i].needsKey = true }
            wantsFile = wantsFile || hasFile
            return actions.append(.drop(track: i, .beforeKey))
        }
        if partStart == nil { partStart = packet.dts }
        actions.append(.write(track: i))
    }

    /// Where video is in play a file begins on its key frame, else on any packet.
    private func canBeginFile(_ i: Int, _ packet: RecordingPacket) -> Bool {
        tracks[i].isVideo ? packet.isKey : !tracks.contains { $0.isVideo && isInPlay($0) }
    }

    private func isInPlay(_ track: Track) -> Bool { track.first != nil || !track.isOut }

    private func needsFile(_ i: Int, _ packet: RecordingPacket) -> Bool {
        guard hasFile, tracks[i].inFile == packet.format, !wantsFile else { return true }
        guard var segment = settings.segment else { return false }
        // Sound that outlasts the picture a little stays in its file.
        if !tracks[i].isVideo, tracks.contains(where: { $0.isVideo && $0.inFile != nil }) { segment += .seconds(2) }
        // Rounded timestamps of one instant differ by less than a millisecond.
        return packet.dts - fileStart >= segment - .milliseconds(1)
    }

    private mutating func beginFile(_ i: Int, _ packet: RecordingPacket, _ actions: inout [RecordingAction]) {
        var members: [Int] = []
        for j in tracks.indices {
            let waiting = j == i ? packet : tracks[j].first?.packet
            // A track that pauses just now keeps its place.
            let format = waiting?.format ?? (tracks[j].isOut ? nil : tracks[j].lastFormat)
            tracks[j].inFile = format
            if format != nil { members.append(j) }
        }
        (hasFile, wantsFile, fileStart, partStart) = (true, false, packet.dts, nil)
        actions.append(.beginFile(start: packet.dts, tracks: members))
    }

    /// Parts end before a key frame, once they are half as long as they may be, and before they are too long.
    private mutating func endPart(before packet: RecordingPacket, isKey: Bool, _ actions: inout [RecordingAction]) {
        guard let start = partStart else { return }
        let length = packet.dts - start
        guard length >= settings.part || isKey && length.nanoseconds >= settings.part.nanoseconds / 2 else { return }
        actions.append(.endPart)
        partStart = nil
    }
}
