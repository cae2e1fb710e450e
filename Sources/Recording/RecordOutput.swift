// Carries out what the recording machine decides: files, parts, names; counts what is lost and says so. On the sink's
// lane, but for `prepare`.
import AV
import CLinux
import CRingLayout
import Engine
import Files
import Graph
import Media
import Rings
import Synchronization

final class RecordOutput {
    /// Bytes on their way to disk at which an unpaced run waits.
    private static let behind = 16 << 20
    /// Of `20261121T063000.000Z`.
    private static let stemLength = 20
    /// After a disk has failed the next file is tried not before, nanoseconds.
    private static let retryDelay: Int64 = 5_000_000_000

    private let tracks: [RecordedTrack]
    private let root: String
    private let path: String
    /// Known once `prepare` has found the path good.
    private var folder = ""
    private let context: NodeContext
    private var file: RecordedFile?
    /// Closed, and not yet done.
    private var closing: [RecordedFile] = []
    /// Names in the folder, without suffixes: none is used twice.
    private var names: Set<String> = []
    /// The open file has ended against the machine's will; to be told to it.
    private var hasFailed = false
    private var isComplaining = false
    private var retryAt: Int64 = .min
    private var files = 0
    private var parts = 0
    private var lostBytes = 0
    private var drops: [RecordingDrop: Int] = [:]
    private var isShown = false

    init(_ tracks: [RecordedTrack], _ settings: RecordSettings, _ context: NodeContext) {
        (self.tracks, self.context) = (tracks, context)
        (root, path) = (settings.root, settings.path)
    }

    // MARK: Start

    /// Makes the folder, and repairs what a killed run left in it.
    func prepare() throws(NodeFault) {
        do throws(OutputPathError) { folder = try context.services.outputRoots.resolve(path, in: root) } catch {
            throw NodeFault(.denied, error.message, isTransient: false)
        }
        do throws(FileFault) { try OutputRoots.checkWritable(folder) } catch {
            // With a full disk the recorder waits for room, and nobody else has to wait for the recorder.
            guard error.isFullDisk else { throw NodeFault(.denied, error.message) }
            complain("\(error.message); a recording begins when there is room")
        }
        // A node before this one may still be closing its file.
        _ = context.services.files.drain(deadline: context.now + 5_000_000_000)
        for name in namesInFolder(folder) {
            if name.hasSuffix(".mp4" + PartFile.suffix) { recover(name) }
            names.insert(String(name.prefix(Self.stemLength)))
        }
        show()
    }

    private func recover(_ name: String) {
        let stem = name.dropLast(".mp4".count + PartFile.suffix.count)
        switch PartFile.repair("\(folder)/\(name)", to: "\(folder)/\(stem).recovered.mp4") {
        case .repaired(let path):
            context.log(.warning, "\(path) was not closed by the run before; it plays up to its end")
        case .empty: context.log(.warning, "\(folder)/\(name) held nothing that plays, and was removed")
        case .failed(let fault): context.log(.error, fault.message)
        }
    }

    /// Whether the open file has ended against the machine's will since this was asked last.
    func takeFailure() -> Bool {
        defer { hasFailed = false }
        return hasFailed
    }

    // MARK: What the machine decides

    func carryOut(_ action: RecordingAction) {
        switch action {
        case .beginFile(let start, let members): beginFile(start, members)
        case .endPart: endPart()
        case .write(let track): write(track)
        case .drop(let track, let reason):
            tracks[track].backlog.removeFirst()
            drops[reason, default: 0] += 1
            context.counters.skipped.wrappingAdd(1, ordering: .relaxed)
        case .endFile: endFile()
        }
    }

    private func beginFile(_ start: MediaTime, _ members: [Int]) {
        endFile()
        guard context.now >= retryAt else { return fail() }
        let formats = members.compactMap { track in tracks[track].nextFormat.map { (track: track, format: $0) } }
        do throws(AVFault) {
            let new = try RecordedFile(
                name(), formats, start: start, trackCount: tracks.count, files: context.services.files,
                lane: context.lane)
            file = new
            files += 1
            isShown = false
            check(new.begin())
        } catch { complain(error) }
    }

    /// The time of the first frame, moved on by a millisecond while somebody has that name.
    private func name() -> String {
        let origin = tracks.lazy.compactMap { $0.backlog.first?.grain.origin }.first { $0 != .min } ?? context.now
        var wall = context.timeline.wall(ofMonotonic: origin)
        while true {
            let stem = String(iso8601(wallNanoseconds: wall).filter { $0 != "-" && $0 != ":" })
            if names.insert(stem).inserted { return "\(folder)/\(stem).mp4" }
            wall += 1_000_000
        }
    }

    private func write(_ track: Int) {
        let backlog = tracks[track].backlog
        guard let packet = backlog.first else { return }
        defer { backlog.removeFirst() }
        guard let file else {
            lostBytes += Int(packet.grain.size)
            return
        }
        let dts = packet.grain.decoding ?? packet.grain.presentation ?? .zero
        let times = WriteTimes(
            pts: (packet.grain.presentation ?? dts).nanoseconds, dts: dts.nanoseconds,
            duration: max(packet.grain.duration, 0), isKey: packet.grain.isKey)
        do throws(AVFault) {
            try file.write(backlog.firstBytes, track: track, times, now: context.now)
        } catch {
            context.counters.errors.wrappingAdd(1, ordering: .relaxed)
            context.log(.error, error.description)
        }
    }

    /// Monotonic nanoseconds since when the open part is open.
    var partOpened: Int64? { file?.partOpened }

    func endPart() {
        guard let file, file.partOpened != nil else { return }
        parts += 1
        do throws(AVFault) { check(try file.endPart()) } catch { complain(error) }
    }

    /// Ends the open file, if there is one.
    func endFile() {
        guard let file else { return }
        endPart()
        guard self.file === file else { return }
        self.file = nil
        isShown = false
        closing.append(file)
        // An index that finds no room is no loss: players seek without it.
        do throws(AVFault) { _ = try file.close() } catch { complain(error) }
    }

    // MARK: Trouble

    private func check(_ outcome: RecordOutcome) {
        switch outcome {
        case .written: break
        case .full(let lost):
            lostBytes += lost
            complain("the disk is slower than the signal: the file ends early, and the next key frame begins another")
            abandonFile()
        case .failed(let fault): diskFailed(fault)
        }
    }

    private func diskFailed(_ fault: FileFault) {
        guard let failed = file else { return }
        file = nil
        lostBytes += failed.backlog
        retryAt = context.now + Self.retryDelay
        fail()
        complain(fault.message)
        // Truncating blocks: not on the lane. What is whole keeps its name.
        let path = failed.path
        repair(path)
    }

    /// Cuts a file off behind its last whole part, on a thread of its own; without one, the next start does it.
    private func repair(_ path: String) {
        do throws(ThreadFault) {
            try startThread(name: "repair") { _ = PartFile.repair(path + PartFile.suffix, to: path) }
        } catch { context.log(.error, "\(path)\(PartFile.suffix) is repaired at the next start: \(error)") }
    }

    private func fail() {
        hasFailed = true
        isShown = false
    }

    private func complain(_ fault: AVFault) {
        context.counters.errors.wrappingAdd(1, ordering: .relaxed)
        context.log(.error, fault.description)
        abandonFile()
    }

    /// Ends the file behind its last whole part.
    private func abandonFile() {
        fail()
        guard let file else { return }
        if file.hasParts { file.closeAsItIs() } else { file.discard() }
        closing.append(file)
        self.file = nil
    }

    /// Once, until a file is closed well again.
    private func complain(_ message: String) {
        if !isComplaining { context.log(.error, message) }
        isComplaining = true
    }

    // MARK: Time

    func tick() {
        if let fault = file?.fault { diskFailed(fault) }
        for file in closing where file.isDone {
            isShown = false
            if let fault = file.fault {
                complain(fault.message)
                repair(file.path)
            } else {
                isComplaining = false
            }
        }
        closing.removeAll(where: \.isDone)
        if !isShown { show() }
    }

    /// Whether the disk is behind: who can wait should.
    var isBehind: Bool { (file?.backlog ?? 0) + closing.reduce(0) { $0 + $1.backlog } > Self.behind }
    /// All files are closed.
    var isIdle: Bool { file == nil && closing.isEmpty }

    private func show() {
        isShown = true
        var output: [(String, JSON)] = [("type", "record"), ("folder", .string("\(root)/\(path)"))]
        if let file { output.append(("file", .string(String(file.path.dropFirst(folder.count + 1))))) }
        context.show("outputs", .array([.object(JSONObject(output))]))
        let dropped = RecordingDrop.allCases.map { ($0.rawValue, JSON.number(JSONNumber(drops[$0] ?? 0))) }
        context.show(
            "recording",
            .object(
                JSONObject([
                    ("files", .number(JSONNumber(files))), ("parts", .number(JSONNumber(parts))),
                    ("lostBytes", .number(JSONNumber(lostBytes))), ("dropped", .object(JSONObject(dropped))),
                ])))
    }
}
