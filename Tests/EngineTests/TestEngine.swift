// A whole engine in a test: real lanes and rings, folders of its own.
import CLinux
import Capture
import Codecs
import Engine
import Files
import FrameCache
import Graph
import Media
import Routing
import Testing

/// An engine with folders that vanish with it.
final class TestEngine: Sendable {
    let engine: Engine
    let services: EngineServices
    let folder: String

    init(
        kinds: [NodeKind] = TestEngine.kinds, prepareDeadline: MediaTime = .seconds(10),
        journal: (any TransactionJournal)? = nil
    ) throws {
        folder = "/dev/shm/patchbay-test-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        for path in [folder, folder + "/rings", folder + "/data"] { mkdir(path, 0o755) }
        let clock = SystemClock()
        var services = EngineServices(
            timeline: Timeline(clock: clock), files: try FileService(),
            log: try EngineLog(clock: clock, minimum: .warning),
            dataFolder: folder + "/data", ringFolder: folder + "/rings", live: LiveDirectory())
        services.slotHost = SlotRegistry(services)
        services.journal = journal
        self.services = services
        engine = Engine(kinds: kinds, services: services, prepareDeadline: prepareDeadline)
    }

    static let kinds: [NodeKind] = [
        NodeKind(PatternSource.self), NodeKind(FileSource.self), NodeKind(SRTSource.self), NodeKind(DecodeNode.self),
        NodeKind(VideoEncodeNode.self), NodeKind(AudioEncodeNode.self), NodeKind(NullSink.self),
    ]

    deinit {
        services.log.close()
        removeFolder(folder)
    }

    func apply(_ document: JSON) async throws { try await engine.apply(GraphDocument(document)) }

    /// Waits until every sink has finished; false after `seconds`.
    func finishes(within seconds: Double) async -> Bool {
        await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                await self.engine.untilFinished()
                return true
            }
            group.addTask {
                do { try await Task.sleep(nanoseconds: UInt64(seconds * 1e9)) } catch { return true }
                return false
            }
            let isFinished = await group.next() ?? false
            group.cancelAll()
            // Lets the first task go where the second came first.
            if !isFinished { _ = await self.engine.drain(within: .zero) }
            return isFinished
        }
    }
}

/// Waits for a condition, looking every few milliseconds; records an issue when it doesn't come.
func eventually(
    within seconds: Double = 5, _ what: String, _ condition: () async -> Bool
) async {
    let deadline = linux_monotonic_nanoseconds() + Int64(seconds * 1e9)
    while linux_monotonic_nanoseconds() < deadline {
        if await condition() { return }
        await Task.yield()
        _ = poll(nil, 0, 2)
    }
    Issue.record("did not come within \(seconds) s: \(what)")
}

func removeFolder(_ path: String) {
    guard let stream = opendir(path) else { return }
    defer {
        closedir(stream)
        rmdir(path)
    }
    while let entry = readdir(stream) {
        let name = withUnsafePointer(to: &entry.pointee.d_name.0) { String(cString: $0) }
        guard name != ".", name != ".." else { continue }
        if unlink(path + "/" + name) != 0 { removeFolder(path + "/" + name) }
    }
}
