// The built program as its users run it. One thread.
import Foundation
package import GraphHarness

/// A running `patchbay run`.
package final class Patchbay {
    package let child: ChildProcess
    /// Of `--listen` on 127.0.0.1.
    package let port: UInt16
    package let data: Scratch

    /// The program: PATCHBAY_PROGRAM, else the one that was built with the tests.
    package static var program: String {
        if let path = ProcessInfo.processInfo.environment["PATCHBAY_PROGRAM"] { return path }
        return Bundle.allBundles.first { $0.bundlePath.hasSuffix(".xctest") }
            .map { ($0.bundlePath as NSString).deletingLastPathComponent + "/patchbay" }
            ?? (CommandLine.arguments[0] as NSString).deletingLastPathComponent + "/patchbay"
    }

    /// A graph of `graphs/`.
    package static func graph(_ name: String) -> String { root + "/graphs/\(name).json" }

    /// The package's folder.
    package static let root = (0..<4).reduce(#filePath) { path, _ in (path as NSString).deletingLastPathComponent }

    /// Starts it and waits until its page is announced.
    /// - Parameters:
    ///   - data: its data folder, which may hold what an earlier run left.
    ///   - port: 0 for a free one.
    ///   - environment: each as `NAME=VALUE`, for this program alone.
    package init(
        _ graph: String, data: Scratch, port: UInt16 = 0, environment: [String] = [], _ options: [String] = []
    ) throws {
        self.data = data
        let words =
            environment + [Self.program, "run", graph, "--data", data.file("data"), "--listen", "127.0.0.1:\(port)"]
        child = try ChildProcess(words[0], Array(words.dropFirst()) + options)
        let child = child
        var found: UInt16?
        let isUp = holds(within: 30) {
            found = Self.port(in: child.messages)
            return found != nil || !child.isRunning
        }
        guard isUp, let found else {
            throw CommandFailure(description: "patchbay did not come up: \(child.messages)")
        }
        self.port = found
    }

    private static func port(in messages: String) -> UInt16? {
        guard let range = messages.range(of: #"Page +http://127\.0\.0\.1:[0-9]+/"#, options: .regularExpression) else {
            return nil
        }
        return UInt16(messages[range].dropLast().split(separator: ":").last ?? "")
    }

    package var base: String { "http://127.0.0.1:\(port)" }

    package func url(_ path: String) -> String { base + path }

    /// A URI of the program under test, fetched.
    package func get(_ path: String, headers: [String] = []) throws -> HTTPAnswer {
        try HTTPAnswer.get(port: port, path, headers: headers)
    }

    /// The text of a playlist, empty when it isn't there.
    package func playlist(_ path: String) -> String {
        guard let answer = try? get(path), answer.status == 200 else { return "" }
        return answer.text
    }

    /// PATCHes the graph with a JSON Patch; the answer's status and body.
    @discardableResult
    package func patch(_ operations: String) throws -> HTTPAnswer {
        try HTTPAnswer.send(
            "PATCH", port: port, "/v1/graph", headers: ["Content-Type: application/json-patch+json"],
            body: Array(operations.utf8))
    }

    /// Ends it as Ctrl-C does; its exit status, nil when it didn't end.
    package func interrupt() -> Int32? {
        child.signal(SIGINT)
        return child.exit(within: 20)
    }

    /// Its folder of rings.
    package var rings: String {
        let path = URL(fileURLWithPath: data.file("data")).resolvingSymlinksInPath().path
        let hash = path.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        return "/dev/shm/patchbay/" + String(format: "%016lx", hash)
    }
}
