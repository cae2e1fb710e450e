// Opens a video encoder beside one that runs: opening takes from some to hundreds of milliseconds, in which pictures go on.
import AV
import Engine
import Media
import Synchronization

/// An opened encoder, and what it was opened with.
///
/// `@unchecked Sendable`: one thread at a time has it. The thread that opens it hands it over through the primer's mutex,
/// and touches it no more.
final class VideoEncoderBox: @unchecked Sendable {
    var encoder: VideoEncoder
    var settings: VideoEncoderSettings
    let input: VideoFormat

    init(_ settings: VideoEncoderSettings, _ input: VideoFormat) throws(AVFault) {
        encoder = try VideoEncoder(settings, input: input)
        (self.settings, self.input) = (settings, input)
    }
}

/// One opening. Dropped, it goes on to its end and comes to nothing.
final class EncoderPrimer: Sendable {
    private let settings: VideoEncoderSettings
    private let input: VideoFormat
    private let context: NodeContext
    private let outcome = Mutex<Result<VideoEncoderBox, AVFault>?>(nil)
    private let isReady = Atomic<Bool>(false)

    init(_ settings: VideoEncoderSettings, _ input: VideoFormat, _ context: NodeContext) {
        (self.settings, self.input, self.context) = (settings, input, context)
    }

    /// Begins; the node's lane is rung when it is done.
    func start() throws(ThreadFault) {
        try startThread(name: "prime \(context.id)") { [self] in
            let result: Result<VideoEncoderBox, AVFault>
            do throws(AVFault) { result = .success(try VideoEncoderBox(settings, input)) } catch {
                result = .failure(error)
            }
            outcome.withLock { $0 = result }
            isReady.store(true, ordering: .releasing)
            context.lane.ring()
        }
    }

    /// What came of it, once; nil while it is under way.
    func take() -> Result<VideoEncoderBox, AVFault>? {
        guard isReady.load(ordering: .acquiring) else { return nil }
        return outcome.withLock { $0.take() }
    }
}
