// The folder `live/<path>/` on disk: what is there at start, and what the lane asks to be written, in an order that a
// kill -9 at any instant leaves usable. On the sink's lane; the file service's thread reports through atomics.
//
// Invariants: a segment's name stands only for a whole segment (written beside it, then renamed); a playlist is replaced
// only when no segment asked for before it is still on its way. Failure never stops the lane: a segment that the disk
// didn't take is counted, and is served from memory alone.
import CLinux
import Engine
import Files
import Synchronization

/// What the file service's thread reports back.
private final class DiskReport: Sendable {
    /// Segments created and neither renamed nor failed.
    let underWay = Atomic<Int>(0)
    /// Playlists and removals likewise.
    let textsUnderWay = Atomic<Int>(0)
    let failures = Atomic<UInt64>(0)
    let lastFault = Mutex<FileFault?>(nil)
    /// Temporary files of segments that failed: nobody else removes them.
    let leftovers = Mutex<[String]>([])
    /// Segments that have their names on disk, until somebody asks.
    let written = Mutex<[String]>([])

    func failed(_ fault: FileFault) {
        failures.wrappingAdd(1, ordering: .relaxed)
        lastFault.withLock { $0 = fault }
    }
}

/// Carries out file actions without waiting.
final class HLSFolder {
    /// Segments that wait for the disk: beyond it they are dropped, in a live graph.
    static let backlogLimit = 64 << 20
    private static let piece = 1 << 20

    /// A segment that is being handed to the file service.
    private struct Write {
        var name: String
        var bytes: SegmentBytes
        var file: OutputFile?
        var offset = 0
    }

    let path: String
    private let files: FileService
    private let lane: Lane
    private let report = DiskReport()
    private var writes: [Write] = []
    private var backlog = 0
    /// The newest of each playlist, in the order in which they are to be replaced.
    private var texts: [(name: String, bytes: SegmentBytes)] = []
    private var seenFailures: UInt64 = 0
    /// Segments that never reached the disk.
    private(set) var lost: UInt64 = 0

    init(_ path: String, files: FileService, lane: Lane) {
        (self.path, self.files, self.lane) = (path, files, lane)
    }

    // MARK: Writing

    func carryOut(_ actions: [FileAction]) {
        for action in actions {
            switch action {
            case .write(let name, let bytes):
                guard backlog + bytes.count <= Self.backlogLimit || writes.isEmpty else {
                    lost += 1
                    continue
                }
                backlog += bytes.count
                writes.append(Write(name: name, bytes: bytes))
            case .replace(let name, let bytes):
                texts.removeAll { $0.name == name }
                texts.append((name, bytes))
            case .remove(let name): remove(name)
            }
        }
        turn()
    }

    /// Hands over what the file service has room for.
    func turn() {
        // What is on disk of a segment that failed is of no use, and takes room from the next.
        let leftovers = report.leftovers.withLock { names in
            defer { names = [] }
            return names
        }
        for name in leftovers { remove(name) }
        while !writes.isEmpty, feed() { writes.removeFirst() }
        if writes.isEmpty, report.underWay.load(ordering: .acquiring) == 0 { replaceTexts() }
    }

    /// Whether the disk is behind: who can wait should.
    var isBehind: Bool { backlog > Self.backlogLimit / 4 }
    /// Nothing is left to do.
    var isIdle: Bool {
        writes.isEmpty && texts.isEmpty && report.leftovers.withLock(\.isEmpty)
            && report.underWay.load(ordering: .acquiring) == 0
            && report.textsUnderWay.load(ordering: .acquiring) == 0
    }
    var failures: UInt64 { report.failures.load(ordering: .relaxed) + lost }

    /// A fault since the last time this was asked.
    func newFault() -> FileFault? {
        let count = report.failures.load(ordering: .relaxed)
        guard count != seenFailures else { return nil }
        seenFailures = count
        return report.lastFault.withLock { $0 }
    }

    /// Segments that have come to the disk since the last time this was asked.
    func newlyWritten() -> [String] {
        report.written.withLock { names in
            defer { names = [] }
            return names
        }
    }

    /// Hands over everything now, whatever is still on its way: the lane won't come back.
    func handOver() {
        while !writes.isEmpty {
            if !feed() { abandon() }
            writes.removeFirst()
        }
        replaceTexts()
    }

    /// Feeds the first write; true when it is done with, false when there is no room for now.
    private func feed() -> Bool {
        let temporary = ".\(writes[0].name).tmp"
        let file = writes[0].file ?? create(temporary, for: writes[0].name)
        writes[0].file = file
        let bytes = writes[0].bytes.buffer
        while writes[0].offset < bytes.count {
            let end = min(writes[0].offset + Self.piece, bytes.count)
            switch file.append(UnsafeRawBufferPointer(rebasing: bytes[writes[0].offset..<end])) {
            case .accepted: writes[0].offset = end
            case .full: return false
            case .failed:
                // Reported by the observer.
                backlog -= bytes.count
                lost += 1
                return true
            }
        }
        backlog -= bytes.count
        file.close(renamedTo: "\(path)/\(writes[0].name)")
        return true
    }

    private func abandon() {
        backlog -= writes[0].bytes.count
        lost += 1
        writes[0].file?.discard()
    }

    private func create(_ temporary: String, for name: String) -> OutputFile {
        let (report, lane, files) = (report, lane, files)
        report.underWay.wrappingAdd(1, ordering: .relaxed)
        return files.create("\(path)/\(temporary)") { event in
            switch event {
            case .ended: report.written.withLock { $0.append(name) }
            case .failed(let fault):
                report.failed(fault)
                report.leftovers.withLock { $0.append(temporary) }
            case .opened, .wrote, .synced: return
            }
            report.underWay.wrappingSubtract(1, ordering: .releasing)
            lane.ring()
        }
    }

    private func replaceTexts() {
        while let (name, bytes) = texts.first {
            report.textsUnderWay.wrappingAdd(1, ordering: .relaxed)
            let outcome = files.replace("\(path)/\(name)", bytes.buffer, observer: textObserver)
            if outcome != .accepted { report.textsUnderWay.wrappingSubtract(1, ordering: .relaxed) }
            switch outcome {
            case .accepted: break
            case .full: return
            case .failed(let fault): report.failed(fault)
            }
            texts.removeFirst()
        }
    }

    private func remove(_ name: String) {
        report.textsUnderWay.wrappingAdd(1, ordering: .relaxed)
        guard files.remove("\(path)/\(name)", observer: textObserver) != .accepted else { return }
        // Found again, and removed, at the next start.
        report.textsUnderWay.wrappingSubtract(1, ordering: .relaxed)
    }

    private var textObserver: FileObserver {
        let (report, lane) = (report, lane)
        return { event in
            switch event {
            case .ended: break
            case .failed(let fault): report.failed(fault)
            case .opened, .wrote, .synced: return
            }
            report.textsUnderWay.wrappingSubtract(1, ordering: .releasing)
            lane.ring()
        }
    }
}

// MARK: - At start

extension HLSFolder {
    /// Playlists longer than this are nobody's of ours.
    private static let playlistLimit = 8 << 20
    /// More files than any run leaves behind: bounds what a start reads.
    private static let fileLimit = 200_000

    /// Reads what is in the folder. Blocks; nothing may be under way in it.
    func recover(unixMilliseconds: UInt64) -> RecoveredPath {
        var found: [FoundFile] = []
        var playlists: [String: String] = [:]
        for name in namesInFolder(path, limit: Self.fileLimit) {
            // What a killed run was writing.
            if name.hasPrefix("."), name.hasSuffix(".tmp") {
                unlink("\(path)/\(name)")
                continue
            }
            var status = stat()
            guard lstat("\(path)/\(name)", &status) == 0, linux_is_regular(&status) != 0 else { continue }
            found.append(FoundFile(name: name, size: Int(status.st_size)))
            if name.hasSuffix(".m3u8"), status.st_size <= Self.playlistLimit {
                playlists[name] = text(name)
            }
        }
        return RecoveredPath(files: found, playlists: playlists, unixMilliseconds: unixMilliseconds)
    }

    private func text(_ name: String) -> String {
        let descriptor = linux_open("\(path)/\(name)", O_RDONLY | O_NOFOLLOW, 0)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        while bytes.count <= Self.playlistLimit {
            let count = read(descriptor, &piece, piece.count)
            guard count > 0 else { break }
            bytes += piece[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
