// Encoders that are opened on one thread and used on another.
import AV
import Engine
import Media

/// An opened encoder, and what it was opened with.
///
/// `@unchecked Sendable`: one thread at a time has it. The one that opens it hands it over, and touches it no more.
final class EncoderBox<Encoder: ~Copyable, Settings: Equatable, Input: Equatable>: @unchecked Sendable {
    var encoder: Encoder
    var settings: Settings
    let input: Input

    fileprivate init(
        _ name: String, _ settings: Settings, _ input: Input, open: () throws(AVFault) -> Encoder
    ) throws(NodeFault) {
        do throws(AVFault) { encoder = try open() } catch {
            throw NodeFault(.unsupported, "\(name) does not start: \(error.message)", isTransient: false)
        }
        (self.settings, self.input) = (settings, input)
    }

    func isFor(_ settings: Settings, _ input: Input) -> Bool { self.settings == settings && self.input == input }
}

typealias VideoEncoderBox = EncoderBox<VideoEncoder, VideoEncoderSettings, VideoFormat>
typealias AudioEncoderBox = EncoderBox<AudioEncoder, AudioEncoderSettings, AudioFormat>

extension VideoEncoderBox {
    convenience init(_ settings: VideoEncoderSettings, _ input: VideoFormat) throws(NodeFault) {
        try self.init(settings.encoder, settings, input) { () throws(AVFault) in
            try VideoEncoder(settings, input: input)
        }
    }
}

extension AudioEncoderBox {
    convenience init(_ settings: AudioEncoderSettings, _ input: AudioFormat) throws(NodeFault) {
        try self.init(settings.encoder, settings, input) { () throws(AVFault) in
            try AudioEncoder(settings, input: input)
        }
    }
}
