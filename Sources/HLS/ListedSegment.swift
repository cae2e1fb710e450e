// A segment that has been published: what the playlist says of it and where its bytes are.
package import Media

/// One published segment of one rendition.
package struct ListedSegment: Hashable, Sendable {
    package var name: String
    package var map: String?
    package var sequence: Int64
    /// Discontinuities up to and with the one before this segment, over the life of the path.
    package var discontinuity: Int64
    package var duration: MediaTime
    package var isDiscontinuity: Bool
    package var isGap: Bool
    /// Unix time in nanoseconds.
    package var programDateTime: Int64?
    package var size: Int
    /// Duration of the longest playlist that has listed it.
    var longestPlaylist: MediaTime = .zero

    init(_ segment: MediaPlaylist.Segment, sequence: Int64, discontinuity: Int64, size: Int) {
        (name, map, duration) = (segment.name, segment.map, segment.duration)
        (isDiscontinuity, isGap, programDateTime) = (segment.isDiscontinuity, segment.isGap, segment.programDateTime)
        (self.sequence, self.discontinuity, self.size) = (sequence, discontinuity, size)
    }

    /// Stands for a segment that was lost in a crash.
    static func gap(
        after last: ListedSegment, like twin: ListedSegment?, rendition: String, run: UInt64, targetDuration: Int
    ) -> ListedSegment {
        let discontinuity = twin?.discontinuity ?? last.discontinuity
        let name = SegmentName(
            rendition: rendition, run: run, discontinuity: discontinuity, sequence: last.sequence + 1)
        var segment = MediaPlaylist.Segment(
            name: name.file, map: last.map, duration: twin?.duration ?? .seconds(Int64(targetDuration)))
        segment.isGap = true
        segment.isDiscontinuity = twin?.isDiscontinuity ?? false
        segment.programDateTime = twin?.programDateTime
        return ListedSegment(
            segment, sequence: last.sequence + 1, discontinuity: discontinuity, size: emptySegment.count)
    }

    var entry: MediaPlaylist.Segment {
        var segment = MediaPlaylist.Segment(name: name, map: map, duration: duration)
        (segment.isDiscontinuity, segment.isGap) = (isDiscontinuity, isGap)
        segment.programDateTime = programDateTime
        return segment
    }
}

/// What is served for a gap to players that don't know EXT-X-GAP: a segment type box and no media.
let emptySegment = SegmentBytes(
    [0, 0, 0, 24] + Array("stypmsdh".utf8) + [0, 0, 0, 0] + Array("msdhmsix".utf8))
