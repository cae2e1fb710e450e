// What a demuxer found: streams, and programs that hold some of them.
package import Media

/// What a container says a track is for.
package struct Disposition: OptionSet, Sendable, Hashable {
    package let rawValue: Int32
    package init(rawValue: Int32) { self.rawValue = rawValue }

    /// Bits as libav's `AV_DISPOSITION_…`.
    package static let isDefault = Disposition(rawValue: 0x1)
    package static let isOriginal = Disposition(rawValue: 0x4)
    package static let isForced = Disposition(rawValue: 0x40)
    package static let isForHearingImpaired = Disposition(rawValue: 0x80)
    package static let isForVisualImpaired = Disposition(rawValue: 0x100)
    /// Cover art: one picture, not a video.
    package static let isAttachedPicture = Disposition(rawValue: 0x400)
}

/// One stream of a container.
package struct StreamDescription: Sendable, Hashable {
    /// As in `DemuxedPacket.stream`.
    package let index: Int
    /// The container's own number: the PID of a transport stream, the track id of an MP4.
    package let id: Int
    package let type: MediaType
    /// In normal form: language, title, picture and sound included.
    package internal(set) var format: CodedFormat
    package let disposition: Disposition
    /// Numbers of the programs that list it.
    package let programs: [Int]
    /// Seconds of one tick of this stream's timestamps.
    package let timeBase: Rational
    /// Bits after which timestamps wrap: 33 in transport streams, 64 where they never do.
    package let timestampBits: Int

    package var streamFormat: StreamFormat {
        switch type {
        case .codedVideo: .codedVideo(format)
        case .codedAudio: .codedAudio(format)
        default: .data(format)
        }
    }
}

/// One program (service) of a transport stream.
package struct ProgramDescription: Sendable, Hashable {
    /// `program_number` of the PAT.
    package let number: Int
    package let name: String
    package let streams: [Int]
}
