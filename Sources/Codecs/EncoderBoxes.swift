// Encoders that are opened on one thread and used on another.
import AV
import Engine
import Media

/// An opened encoder of pictures, and what it was opened with.
///
/// `@unchecked Sendable`: one thread at a time has it. The one that opens it hands it over, and touches it no more.
final class VideoEncoderBox: @unchecked Sendable {
    var encoder: VideoEncoder
    var settings: VideoEncoderSettings
    let input: VideoFormat

    init(_ settings: VideoEncoderSettings, _ input: VideoFormat) throws(NodeFault) {
        do throws(AVFault) { encoder = try VideoEncoder(settings, input: input) } catch {
            throw NodeFault(startOf: settings.encoder, error)
        }
        (self.settings, self.input) = (settings, input)
    }

    func isFor(_ settings: VideoEncoderSettings, _ input: VideoFormat) -> Bool {
        self.settings == settings && self.input == input
    }
}

/// The same of sound.
///
/// `@unchecked Sendable`: as `VideoEncoderBox`.
final class AudioEncoderBox: @unchecked Sendable {
    var encoder: AudioEncoder
    let settings: AudioEncoderSettings
    let input: AudioFormat

    init(_ settings: AudioEncoderSettings, _ input: AudioFormat) throws(NodeFault) {
        do throws(AVFault) { encoder = try AudioEncoder(settings, input: input) } catch {
            throw NodeFault(startOf: settings.encoder, error)
        }
        (self.settings, self.input) = (settings, input)
    }

    func isFor(_ settings: AudioEncoderSettings, _ input: AudioFormat) -> Bool {
        self.settings == settings && self.input == input
    }
}

extension NodeFault {
    fileprivate init(startOf encoder: String, _ fault: AVFault) {
        self.init(.unsupported, "\(encoder) does not start: \(fault.message)", isTransient: false)
    }
}
