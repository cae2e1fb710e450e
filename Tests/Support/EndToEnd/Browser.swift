// Headless Chromium, driven over its debugging pipe (Chrome DevTools Protocol: JSON messages that end in NUL). One thread.
import Foundation
import GraphHarness

/// One browser with one page. Ends with its last reference.
package final class Browser {
    private let child: ChildProcess
    private let commands = Pipe()
    private let events = Pipe()
    private let profile: Scratch
    private var buffer = Data()
    private var nextID = 0
    private var session: String?

    package init(_ url: String) throws {
        profile = try Scratch()
        // The shell puts the pipes where Chromium wants them: commands on descriptor 3, answers on 4.
        child = try ChildProcess(
            "/bin/sh",
            [
                "-c", "exec /usr/bin/chromium \"$@\" 3<&0 4>&1 >/dev/null 2>&1", "sh", "--headless", "--no-sandbox",
                "--disable-gpu", "--remote-debugging-pipe", "--window-size=1280,800",
                "--autoplay-policy=no-user-gesture-required", "--user-data-dir=\(profile.path)",
            ], output: events, input: commands)
        let target = try call("Target.createTarget", ["url": "about:blank"])["targetId"]
        session =
            try call("Target.attachToTarget", ["targetId": target ?? "", "flatten": true])["sessionId"] as? String
        _ = try call("Page.navigate", ["url": url])
    }

    deinit {
        // Asked to, it ends its own children as well.
        child.signal(SIGTERM)
        _ = child.exit(within: 5)
    }

    /// The value of an expression, as text.
    package func text(_ expression: String) throws -> String {
        let answer = try call("Runtime.evaluate", ["expression": "String(\(expression))"])
        return (answer["result"] as? [String: Any])?["value"] as? String ?? ""
    }

    /// Whether a condition comes true within 25 seconds.
    package func becomes(_ condition: String) throws -> Bool {
        let waiting = """
            new Promise(done => { const end = Date.now() + 25000; (function look() {
              let holds = false; try { holds = \(condition); } catch (error) {}
              if (holds || Date.now() > end) done(String(!!holds)); else setTimeout(look, 50); })(); })
            """
        let answer = try call("Runtime.evaluate", ["expression": waiting, "awaitPromise": true])
        return (answer["result"] as? [String: Any])?["value"] as? String == "true"
    }

    /// Takes pictures, light and dark, into the folder that PATCHBAY_SCREENSHOTS names, if it does.
    package func keepPictures(_ name: String) throws {
        guard let folder = ProcessInfo.processInfo.environment["PATCHBAY_SCREENSHOTS"] else { return }
        for scheme in ["light", "dark"] {
            try picture(scheme: scheme).write(to: URL(fileURLWithPath: "\(folder)/\(name)-\(scheme).png"))
        }
    }

    /// Where the player stands, seconds; -1 while there is none.
    package func time() throws -> Double { Double(try text("player.video.currentTime")) ?? -1 }

    /// A picture of the page, as PNG.
    private func picture(scheme: String) throws -> Data {
        _ = try call("Emulation.setEmulatedMedia", ["features": [["name": "prefers-color-scheme", "value": scheme]]])
        let data = try call("Page.captureScreenshot", [:])["data"] as? String ?? ""
        return Data(base64Encoded: data) ?? Data()
    }

    private func call(_ method: String, _ parameters: [String: Any]) throws -> [String: Any] {
        nextID += 1
        var message: [String: Any] = ["id": nextID, "method": method, "params": parameters]
        message["sessionId"] = session
        try commands.fileHandleForWriting.write(contentsOf: JSONSerialization.data(withJSONObject: message) + [0])
        while true {
            let answer = try JSONSerialization.jsonObject(with: nextMessage()) as? [String: Any] ?? [:]
            if answer["id"] as? Int == nextID {
                if let error = answer["error"] { throw CommandFailure(description: "\(method): \(error)") }
                return answer["result"] as? [String: Any] ?? [:]
            }
        }
    }

    private func nextMessage() throws -> Data {
        while true {
            if let end = buffer.firstIndex(of: 0) {
                defer { buffer = Data(buffer[(end + 1)...]) }
                return Data(buffer[..<end])
            }
            // Every call is answered in well under a second; a browser that hangs is an error and not a wait.
            var poller = pollfd(fd: events.fileHandleForReading.fileDescriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&poller, 1, 30_000) > 0 else { throw CommandFailure(description: "the browser does not answer") }
            let more = events.fileHandleForReading.availableData
            guard !more.isEmpty else { throw CommandFailure(description: "the browser has ended") }
            buffer.append(more)
        }
    }
}
