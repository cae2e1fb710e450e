// The graph of an ingest, from its command line: source, decoder, slots. Pure but for the look whether a file is there.
import CLinux
import Capture
import Engine
import Graph
import Media

struct IngestGraph {
    let slot: String
    let document: GraphDocument
    /// A file ends; what comes over a network never does.
    let endsByItself: Bool
    let logLevel: LogLevel
    let logFormat: LogFormat

    static let empty: JSON = ["patchbay": 1, "nodes": [:]]

    init(_ arguments: Arguments) throws(UsageError) {
        guard let slot = arguments.text("slot"), Identifier.isValid(slot) else {
            throw UsageError(
                "--slot is \"\(arguments.text("slot") ?? "")\"; expected \(Identifier.expectation).")
        }
        let (kind, settings) = try Self.source(arguments)
        let source: JSON = ["kind": .string(kind), "settings": .object(JSONObject(settings))]
        let sink: JSON = [
            "kind": "sink.ring", "inputs": ["video": "decode.video", "audio": "decode.audio"],
            "settings": .object(try Self.sinkSettings(slot, arguments)),
        ]
        self.slot = slot
        document = GraphDocument([
            "patchbay": 1, "name": "ingest",
            "nodes": [
                "in": source, "decode": ["kind": "decode", "inputs": ["video": "in.video", "audio": "in.audio"]],
                "slot": sink,
            ],
        ])
        endsByItself = kind == FileSource.kind.name
        logLevel = try Self.choice(arguments, "log-level", LogLevel.allCases, \.name) ?? .warning
        logFormat = try Self.choice(arguments, "log-format", LogFormat.allCases, \.rawValue) ?? .text
        if case .failure(let faults) = document.validate(against: Kinds.catalogue) {
            throw UsageError("that can't be done. \(faults.description)")
        }
    }

    private static func choice<Value>(
        _ arguments: Arguments, _ name: String, _ all: [Value], _ text: (Value) -> String
    ) throws(UsageError) -> Value? {
        guard let given = arguments.text(name) else { return nil }
        guard let value = all.first(where: { text($0) == given }) else {
            throw UsageError("--\(name) is \"\(given)\"; expected \(all.map(text).joined(separator: ", ")).")
        }
        return value
    }

    private static func sinkSettings(_ slot: String, _ arguments: Arguments) throws(UsageError) -> JSONObject {
        var settings: [JSONObject.Member] = [("slot", .string(slot))]
        for (option, setting) in [("size", "size"), ("rate", "rate"), ("pixel-format", "pixelFormat")] {
            if let text = arguments.text(option) { settings.append((setting, .string(text))) }
        }
        if let text = arguments.text("depth") {
            guard let depth = Int(text) else {
                throw UsageError("--depth is \"\(text)\"; expected a number of grains.")
            }
            settings.append(("depth", .count(depth)))
        }
        return JSONObject(settings)
    }

    // MARK: Sources

    private typealias Source = (kind: String, settings: [JSONObject.Member])

    private static func source(_ arguments: Arguments) throws(UsageError) -> Source {
        let text = arguments.operands[0]
        guard text.find("://") != nil, !text.hasPrefix("file://") else {
            let path = text.hasPrefix("file://") ? String(text.dropFirst(7)) : text
            guard access(path, R_OK) == 0 else {
                throw UsageError("\(path): \(errorText(linux_errno())); expected a URL or a file that can be read.")
            }
            return (FileSource.kind.name, [("path", .string(path))])
        }
        guard let url = NetworkURL(text) else {
            throw UsageError("that is no URL; expected scheme://host:port/path.")
        }
        if url.scheme == "srt" { return try srt(url, arguments) }
        var settings: [JSONObject.Member] = [("url", .string(text)), ("listen", .bool(arguments.has("listen")))]
        if let key = arguments.text("stream-key") { settings.append(("key", .string(key))) }
        return (URLSource.kind.name, settings)
    }

    /// As libavformat writes SRT's URLs, but for the latency: milliseconds.
    private static func srt(_ url: NetworkURL, _ arguments: Arguments) throws(UsageError) -> Source {
        guard let port = url.port else { throw UsageError("\(url.shown) has no port; SRT has no usual one.") }
        let listens = arguments.has("listen") || url.parameter("mode") == "listener"
        var settings: [JSONObject.Member] = [
            ("mode", listens ? "listener" : "caller"), ("host", .string(url.host.isEmpty ? "0.0.0.0" : url.host)),
            ("port", .count(Int(port))),
        ]
        if let latency = url.parameter("latency") { settings.append(("latency", .string(latency + "ms"))) }
        if let word = url.parameter("passphrase") { settings.append(("passphrase", .string(word))) }
        if let key = arguments.text("stream-key") ?? url.parameter("streamid") {
            settings.append(("streamid", .string(key)))
        }
        return (SRTSource.kind.name, settings)
    }
}
