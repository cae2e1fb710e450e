// Headless Chromium, driven over its debugging pipe (Chrome DevTools Protocol: JSON messages that end in NUL).

import Foundation
import Testing

/// One browser with one page. Ends with its last reference.
final class Browser {
    private let process = Process()
    private let commands = Pipe()
    private let events = Pipe()
    private var buffer = Data()
    private var nextID = 0
    private var session: String?

    init(_ url: String, profile folder: URL) throws {
        // The shell puts the pipes where Chromium wants them: commands on descriptor 3, answers on 4.
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = [
            "-c", "exec /usr/bin/chromium \"$@\" 3<&0 4>&1 >/dev/null 2>&1", "sh", "--headless", "--no-sandbox",
            "--disable-gpu",
            "--remote-debugging-pipe", "--window-size=1280,800", "--autoplay-policy=no-user-gesture-required",
            "--user-data-dir=\(folder.path)/profile-\(UUID())",
        ]
        process.standardInput = commands
        process.standardOutput = events
        try process.run()
        let target = try call("Target.createTarget", ["url": "about:blank"])["targetId"]
        session =
            try call("Target.attachToTarget", ["targetId": target ?? "", "flatten": true])["sessionId"] as? String
        _ = try call("Page.navigate", ["url": url])
    }

    deinit {
        process.terminate()
        process.waitUntilExit()
    }

    /// The value of an expression, as text.
    func text(_ expression: String) throws -> String {
        let answer = try call("Runtime.evaluate", ["expression": expression])
        return (answer["result"] as? [String: Any])?["value"] as? String ?? ""
    }

    /// Whether a condition comes true within half a minute.
    func becomes(_ condition: String) throws -> Bool {
        let waiting = """
            new Promise(done => { const end = Date.now() + 30000; (function look() {
              let holds = false; try { holds = \(condition); } catch (error) {}
              if (holds || Date.now() > end) done(String(!!holds)); else setTimeout(look, 50); })(); })
            """
        let answer = try call("Runtime.evaluate", ["expression": waiting, "awaitPromise": true])
        return (answer["result"] as? [String: Any])?["value"] as? String == "true"
    }

    /// Takes pictures, light and dark, into the folder that PATCHBAY_SCREENSHOTS names, if it does.
    func picture(_ name: String) throws {
        guard let folder = ProcessInfo.processInfo.environment["PATCHBAY_SCREENSHOTS"] else { return }
        for scheme in ["light", "dark"] {
            _ = try call(
                "Emulation.setEmulatedMedia", ["features": [["name": "prefers-color-scheme", "value": scheme]]])
            let data = try call("Page.captureScreenshot", [:])["data"] as? String ?? ""
            try Data(base64Encoded: data)?.write(to: URL(fileURLWithPath: "\(folder)/\(name)-\(scheme).png"))
        }
    }

    private func call(_ method: String, _ parameters: [String: Any]) throws -> [String: Any] {
        nextID += 1
        var message: [String: Any] = ["id": nextID, "method": method, "params": parameters]
        message["sessionId"] = session
        try commands.fileHandleForWriting.write(contentsOf: JSONSerialization.data(withJSONObject: message) + [0])
        while true {
            let answer = try #require(JSONSerialization.jsonObject(with: nextMessage()) as? [String: Any])
            if answer["id"] as? Int == nextID {
                if let error = answer["error"] { Issue.record("\(method): \(error)") }
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
            let more = events.fileHandleForReading.availableData
            try #require(!more.isEmpty, "the browser has ended")
            buffer.append(more)
        }
    }
}
