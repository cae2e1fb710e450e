// One file that is being recorded: its muxer and its bytes on their way to disk. On the sink's lane; the file service's
// thread rings the lane.
import AV
import Engine
import Files
import Media

/// What became of bytes that were to be written.
enum RecordOutcome {
    case written
    /// The disk is slower than the signal: these bytes are lost, the file ends before them.
    case full(lost: Int)
    case failed(FileFault)
}

final class RecordedFile {
    /// Without `.part`.
    let path: String
    private let file: OutputFile
    private let muxer: MuxerBox
    private let start: MediaTime
    /// By track of the sink, the track in the file.
    private let places: [Int?]
    /// Whether a part has been handed over.
    private(set) var hasParts = false
    /// Monotonic nanoseconds of the first packet of the open part.
    private(set) var partOpened: Int64?

    /// Begins the file at `path`.
    init(
        _ path: String, _ formats: [(track: Int, format: CodedFormat)], start: MediaTime, trackCount: Int,
        files: FileService, lane: Lane
    ) throws(AVFault) {
        (self.path, self.start) = (path, start)
        var options = FragmentMuxer.Options()
        options.isCMAF = false
        options.offset = .zero - start
        muxer = MuxerBox(try FragmentMuxer(formats.map(\.format), options: options))
        var places = [Int?](repeating: nil, count: trackCount)
        for (place, member) in formats.enumerated() { places[member.track] = place }
        self.places = places
        file = files.create(path + PartFile.suffix) { event in
            switch event {
            case .wrote, .ended, .failed: lane.ring()
            case .opened, .synced: break
            }
        }
    }

    /// Bytes that the disk has not taken yet.
    var backlog: Int { Int(clamping: file.bytesAccepted &- file.bytesWritten) }
    var isDone: Bool { file.state.isFinal }
    var fault: FileFault? { file.fault }

    func write(_ bytes: UnsafeRawBufferPointer, track: Int, _ times: WriteTimes, now: Int64) throws(AVFault) {
        guard let place = places[track] else { return }
        try muxer.muxer.write(
            bytes, track: place, pts: times.pts, dts: times.dts, duration: times.duration, isKey: times.isKey)
        if partOpened == nil { partOpened = now }
    }

    /// Brings what was written so far to disk.
    func endPart() throws(AVFault) -> RecordOutcome {
        try muxer.muxer.cut()
        partOpened = nil
        let outcome = handOver()
        if case .written = outcome { hasParts = true }
        return outcome
    }

    /// The header, before the first part.
    func begin() -> RecordOutcome { handOver() }

    /// Writes the index and gives the file its name.
    func close() throws(AVFault) -> RecordOutcome {
        defer { file.close(renamedTo: path) }
        try muxer.muxer.finish()
        return handOver()
    }

    /// Gives the file its name as it is: it plays without an index.
    func closeAsItIs() { file.close(renamedTo: path) }
    /// Nothing worth keeping is in it.
    func discard() { file.discard() }

    private func handOver() -> RecordOutcome {
        let output = muxer.muxer.output
        defer { output.clear() }
        guard output.count > 0 else { return .written }
        switch file.append(output.bytes) {
        case .accepted:
            file.flush()
            return .written
        case .full: return .full(lost: output.count)
        case .failed(let fault): return .failed(fault)
        }
    }
}

/// Times of one packet on the engine's timeline, nanoseconds.
struct WriteTimes {
    var pts: Int64
    var dts: Int64
    var duration: Int64
    var isKey: Bool
}

/// Carries a non-copyable muxer.
private final class MuxerBox {
    var muxer: FragmentMuxer
    init(_ muxer: consuming FragmentMuxer) { self.muxer = muxer }
}
