// Runs a graph in an engine of its own over a scratch data folder, and asks the ffmpeg command what came out. For tests.
package import Engine
import Files
import Foundation
package import Graph
import Media

/// A folder that goes with its last reference.
package final class Scratch: Sendable {
    package let path: String

    package init() throws {
        path = NSTemporaryDirectory() + "patchbay-test-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    package func file(_ name: String) -> String { "\(path)/\(name)" }

    /// Names in a folder below, sorted; none where there is no folder.
    package func names(in folder: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: file(folder))) ?? []).sorted()
    }

    package func bytes(_ name: String) -> [UInt8]? {
        FileManager.default.contents(atPath: file(name)).map { [UInt8]($0) }
    }

    package func text(_ name: String) -> String { bytes(name).map { String(decoding: $0, as: UTF8.self) } ?? "" }

    /// Copies a folder while somebody writes in it: playlists before what they list. A file that is renamed or removed
    /// meanwhile is left out, as a kill at another instant would have it.
    package func copy(_ folder: String, to target: Scratch) throws {
        let files = FileManager.default.enumerator(atPath: file(folder))?.compactMap { $0 as? String } ?? []
        for name in files.sorted(by: { $0.hasSuffix(".m3u8") && !$1.hasSuffix(".m3u8") }) {
            let path = "\(folder)/\(name)"
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: file(path), isDirectory: &isFolder) else { continue }
            if isFolder.boolValue {
                try FileManager.default.createDirectory(atPath: target.file(path), withIntermediateDirectories: true)
                continue
            }
            guard let bytes = bytes(path) else { continue }
            let parent = (target.file(path) as NSString).deletingLastPathComponent
            try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
            try Data(bytes).write(to: URL(fileURLWithPath: target.file(path)))
        }
    }
}

/// What a command printed, or why it failed.
package struct CommandFailure: Error, CustomStringConvertible {
    package let description: String

    package init(description: String) { self.description = description }
}

/// Runs a command from PATH; returns its standard output.
@discardableResult
package func run(_ program: String, _ arguments: [String]) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [program] + arguments
    let (output, errors) = (Pipe(), FileManager.default.temporaryDirectory.appending(path: UUID().uuidString))
    _ = FileManager.default.createFile(atPath: errors.path, contents: nil)
    defer { try? FileManager.default.removeItem(at: errors) }
    process.standardOutput = output
    process.standardError = try FileHandle(forWritingTo: errors)
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
        let said = (try? String(contentsOf: errors, encoding: .utf8)) ?? ""
        throw CommandFailure(description: "\(program) \(arguments.joined(separator: " ")): \(said)")
    }
    return String(decoding: data, as: UTF8.self)
}

@discardableResult
package func ffmpeg(_ arguments: String...) throws -> String {
    try run("ffmpeg", ["-hide_banner", "-nostdin", "-v", "error", "-y"] + arguments)
}

/// One decoded frame as ffmpeg's framehash muxer prints it.
package struct HashedFrame: Hashable, Sendable {
    package let stream: Int
    /// Seconds.
    package let time: Double
    package let hash: String
}

/// Every frame of every stream of `path`, decoded, in the order of the demuxer.
package func decodedFrames(_ path: String, options: [String] = []) throws -> [HashedFrame] {
    let text = try run(
        "ffmpeg",
        ["-hide_banner", "-nostdin", "-v", "error"] + options + [
            "-copyts", "-i", path, "-map", "0:v?", "-map", "0:a?", "-fps_mode", "passthrough", "-enc_time_base", "-1",
            "-f", "framehash", "-hash",
            "md5", "-",
        ])
    var bases: [Int: Double] = [:]
    var frames: [HashedFrame] = []
    for line in text.split(separator: "\n") {
        if line.hasPrefix("#tb ") {
            let parts = line.dropFirst(4).split(separator: ":")
            let ratio = parts[1].trimmingCharacters(in: .whitespaces).split(separator: "/").compactMap { Double($0) }
            bases[Int(parts[0]) ?? 0] = ratio[0] / ratio[1]
        }
        guard !line.hasPrefix("#") else { continue }
        let parts = line.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
        guard parts.count >= 6, let stream = Int(parts[0]), let pts = Double(parts[2]) else { continue }
        frames.append(HashedFrame(stream: stream, time: pts * (bases[stream] ?? 0), hash: parts[5]))
    }
    return frames
}

/// A graph in an engine of its own.
package final class GraphRun: Sendable {
    package let engine: Engine
    package let services: EngineServices
    package let ringFolder: String

    /// - Parameter dataFolder: may hold what an earlier run left.
    /// - Parameter host: who makes slots that nodes write.
    /// - Parameter journal: who writes down what is done to the graph.
    package init(
        _ kinds: [NodeKind], dataFolder: String, fileMemory: Int = 64 << 20,
        journal: (any TransactionJournal)? = nil, clock: any EngineClock = SystemClock(),
        host: ((EngineServices) -> any SlotHost)? = nil
    ) throws {
        ringFolder = "/dev/shm/patchbay-test-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: ringFolder, withIntermediateDirectories: true)
        var services = EngineServices(
            timeline: Timeline(clock: clock), files: try FileService(memoryLimit: fileMemory),
            log: try EngineLog(clock: clock, minimum: .debug), dataFolder: dataFolder, ringFolder: ringFolder,
            live: LiveDirectory())
        services.slotHost = host?(services)
        services.journal = journal
        self.services = services
        engine = Engine(kinds: kinds, services: services)
    }

    deinit {
        services.log.close()
        try? FileManager.default.removeItem(atPath: ringFolder)
    }

    package func start(_ nodes: JSON) async throws {
        try await engine.apply(GraphDocument(["patchbay": 1, "nodes": nodes]))
    }

    /// Waits until all sinks have finished; false after `seconds`.
    package func finish(within seconds: Double = 60) async -> Bool {
        let engine = engine
        return await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                await engine.untilFinished()
                return true
            }
            group.addTask {
                do { try await Task.sleep(for: .seconds(seconds)) } catch { return true }
                return false
            }
            let isFinished = await group.next() ?? false
            if !isFinished { _ = await engine.drain(within: .milliseconds(1)) }
            group.cancelAll()
            return isFinished
        }
    }

    /// Ends the sources and waits for the sinks.
    package func drain() async -> Bool { await engine.drain(within: .seconds(10)) }
}

/// Looks again until it is so; false after `seconds`.
package func eventually(within seconds: Double = 20, _ condition: () async throws -> Bool) async rethrows -> Bool {
    let end = ContinuousClock.now + .seconds(seconds)
    while ContinuousClock.now < end {
        if try await condition() { return true }
        do { try await Task.sleep(for: .milliseconds(20)) } catch { return false }
    }
    return try await condition()
}
