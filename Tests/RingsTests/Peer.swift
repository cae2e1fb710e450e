// RingPeer as a child process: its lines, its signals, its end.
import CLinux
import Foundation

/// One run of RingPeer. Killed when dropped. One thread at a time.
final class Peer {
    private let process = Process()
    private let output = Pipe()
    private let input = Pipe()
    private let ended = DispatchSemaphore(value: 0)
    private var pending: [UInt8] = []

    init(_ arguments: String...) throws {
        // The peer is built into the folder of the test's own executable.
        let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let folder = URL(fileURLWithPath: tests).deletingLastPathComponent()
        process.executableURL = folder.appendingPathComponent("RingPeer")
        process.arguments = arguments
        process.standardOutput = output
        process.standardInput = input
        process.terminationHandler = { [ended] _ in ended.signal() }
        try process.run()
    }

    deinit { if process.isRunning { process.signal(SIGKILL) } }

    /// The next line that it says, or nil at its end or after `milliseconds` without one.
    func line(within milliseconds: Int32 = 10_000) -> String? {
        let descriptor = output.fileHandleForReading.fileDescriptor
        while true {
            if let end = pending.firstIndex(of: 10) {
                defer { pending.removeSubrange(...end) }
                return String(decoding: pending[..<end], as: UTF8.self)
            }
            var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&ready, 1, milliseconds) > 0 else { return nil }
            var bytes = [UInt8](repeating: 0, count: 256)
            let count = read(descriptor, &bytes, bytes.count)
            guard count > 0 else { return nil }
            pending += bytes[..<count]
        }
    }

    func signal(_ number: Int32) { process.signal(number) }
    /// Ends its standard input.
    func finishInput() throws { try input.fileHandleForWriting.close() }

    /// Waits for its end: the exit status, or minus the signal. One that doesn't end is killed, which no test expects.
    func status(within limit: DispatchTimeInterval = .seconds(60)) -> Int32 {
        if ended.wait(timeout: .now() + limit) == .timedOut { signal(SIGKILL) }
        ended.signal()
        process.waitUntilExit()
        return process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
    }

    /// Kills it as a crash would, and returns when the kernel has freed its locks.
    func kill() {
        signal(SIGKILL)
        process.waitUntilExit()
    }
}

extension Process {
    fileprivate func signal(_ number: Int32) { _ = CLinux.kill(processIdentifier, number) }
}
