// A program that a test has started: its words in files, its death certain. One thread.
package import Foundation
import GraphHarness

/// A running child. Killed with its last reference at the latest.
package final class ChildProcess {
    private let process = Process()
    /// What it said on standard error so far.
    package var messages: String {
        (try? String(contentsOfFile: errorPath, encoding: .utf8)) ?? ""
    }
    private let errorPath: String
    private let scratch: Scratch

    /// - Parameters:
    ///   - program: a path, or a name on PATH.
    ///   - output: where standard output goes; nowhere without one.
    package init(_ program: String, _ arguments: [String], output: Pipe? = nil, input: Pipe? = nil) throws {
        scratch = try Scratch()
        errorPath = scratch.file("stderr")
        _ = FileManager.default.createFile(atPath: errorPath, contents: nil)
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [program] + arguments
        process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: errorPath))
        process.standardOutput = output ?? FileHandle.nullDevice
        process.standardInput = input ?? FileHandle.nullDevice
        try process.run()
    }

    deinit { kill() }

    package var id: Int32 { process.processIdentifier }
    package var isRunning: Bool { process.isRunning }

    package func signal(_ number: Int32) { Foundation.kill(id, number) }

    /// Ends it as a crash would, and waits until it is gone.
    package func kill() {
        guard process.isRunning else { return }
        signal(SIGKILL)
        process.waitUntilExit()
    }

    /// Its exit status, or nil when it still ran after `seconds`; a signal that ended it is given as 128 + its number.
    package func exit(within seconds: Double) -> Int32? {
        guard holds(within: seconds, { !process.isRunning }) else { return nil }
        return process.terminationReason == .exit ? process.terminationStatus : 128 + process.terminationStatus
    }
}

/// Looks again, fifty times a second, until it is so; false after `seconds`. Blocks: for tests on threads of their own.
package func holds(within seconds: Double, _ condition: () throws -> Bool) rethrows -> Bool {
    let end = ContinuousClock.now + .seconds(seconds)
    while ContinuousClock.now < end {
        if try condition() { return true }
        usleep(20_000)
    }
    return try condition()
}

/// Lets the programs that a test watches run for a while.
package func watch(for seconds: Double, _ look: () throws -> Void) rethrows {
    _ = try holds(within: seconds) {
        try look()
        return false
    }
}
