// A plain HTTP client over curl, which is what users have. One thread.
import Foundation
import GraphHarness

/// An answer of the program.
package struct HTTPAnswer {
    package var status: Int
    /// Names in lower case.
    package var headers: [String: String]
    package var body: [UInt8]

    package var text: String { String(decoding: body, as: UTF8.self) }

    package static func get(port: UInt16, _ path: String, headers: [String] = []) throws -> HTTPAnswer {
        try send("GET", port: port, path, headers: headers)
    }

    /// - Parameter headers: each as "Name: value".
    package static func send(
        _ method: String, port: UInt16, _ path: String, headers: [String] = [], body: [UInt8]? = nil
    ) throws -> HTTPAnswer {
        let scratch = try Scratch()
        var arguments = [
            "-s", "-S", "--max-time", "20", "-X", method, "-D", scratch.file("head"), "-o", scratch.file("body"),
        ]
        for header in headers { arguments += ["-H", header] }
        if let body {
            try Data(body).write(to: URL(fileURLWithPath: scratch.file("sent")))
            arguments += ["--data-binary", "@" + scratch.file("sent")]
        }
        try run("curl", arguments + ["http://127.0.0.1:\(port)\(path)"])
        let lines = scratch.text("head").split(whereSeparator: \.isNewline)
        var answer = HTTPAnswer(status: 0, headers: [:], body: scratch.bytes("body") ?? [])
        answer.status = Int(lines.first?.split(separator: " ").dropFirst().first ?? "") ?? 0
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            answer.headers[line[..<colon].lowercased()] =
                line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
        }
        return answer
    }
}
