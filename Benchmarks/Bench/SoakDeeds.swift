// What a soak does to the graph, one deed at a time: what operators and faults do in years, in an hour.
import CLinux
import Graph

/// The same numbers for the same seed (SplitMix64).
struct SeededNumbers: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}

/// The deeds there are.
enum SoakDeed: String, CaseIterable {
    case addRecorder, removeRecorder, bitrate, rate, gop, cut, rewireRaw, rewireCoded, tint, addBranch, removeBranch
    case restart, replay, missingFile, publisher, refused, dryRun, unchanged, restore
}

/// Does deeds to a running soak.
final class SoakHand {
    private let client: EngineClient
    private let media: SoakMedia
    private var numbers: SeededNumbers
    /// The document at the start: what all comes back to.
    let base: JSON
    private let deeds: [SoakDeed]
    private var extras: [String] = []
    private var branches: [String] = []
    private var made = 0
    private(set) var done: [SoakDeed: Int] = [:]
    /// Changes that were not taken, beyond those that must not be.
    private(set) var failures: [String] = []

    init(_ client: EngineClient, _ media: SoakMedia, seed: UInt64, only names: [String]) throws(BenchError) {
        (self.client, self.media, numbers) = (client, media, SeededNumbers(seed: seed))
        let chosen = SoakDeed.allCases.filter { names.contains($0.rawValue) }
        deeds = chosen.isEmpty ? SoakDeed.allCases : chosen
        base = try client.get("/v1/graph")
    }

    func random() throws(BenchError) {
        guard let deed = deeds.randomElement(using: &numbers) else { return }
        try act(deed)
    }

    func act(_ deed: SoakDeed) throws(BenchError) {
        done[deed, default: 0] += 1
        switch deed {
        case .addRecorder: try addRecorder()
        case .removeRecorder: try remove(&extras)
        case .bitrate: try set("h264", "bitrate", .string("\(Int.random(in: 100...400, using: &numbers))k"))
        case .rate: try set("cam2", "rate", ["20", "25", "30"].randomElement(using: &numbers) ?? "25")
        case .gop: try set("h264", "gop", ["500ms", "1s"].randomElement(using: &numbers) ?? "1s")
        case .cut: try set("program", "active", Bool.random(using: &numbers) ? "left" : "right")
        case .tint:
            try set("tint", "commands", ["hue s": .string("\(Int.random(in: 0...9, using: &numbers))")])
        case .rewireRaw: try connect("tint", "video", Bool.random(using: &numbers) ? "cam1.video" : "cam2.video")
        case .rewireCoded: try connect("keep", "video", Bool.random(using: &numbers) ? "clip.video" : "h264.video")
        case .addBranch: try addBranch()
        case .removeBranch: try remove(&branches)
        case .restart:
            try restart(
                ["cam1", "cam2", "clip", "h264", "live", "net", "raw", "program"].randomElement(using: &numbers)
                    ?? "cam1")
        case .replay: try replay()
        case .missingFile: try loseFile()
        case .publisher: try media.killPublisher()
        case .refused: try refuse()
        case .dryRun: try expect(client.change(client.add("dry", recorder("dry")), query: "?dry-run"), "dry run")
        case .unchanged: try expect(client.change(.document(client.get("/v1/graph"))), "the same document")
        case .restore:
            // The history lets go of its oldest revisions.
            let answer = try client.send("POST", "/v1/graph/revisions/1/restore")
            if answer.status == 404 { return }
            try expect(answer, "restore")
            (extras, branches) = ([], [])
        }
    }

    /// Brings the graph back to what it was at the start.
    func comeHome() throws(BenchError) {
        try expect(client.change(.document(base)), "the first document")
        (extras, branches) = ([], [])
        try media.publish()
        try replay()
        // Who read a source that had failed for good was told the end, and has finished.
        if try client.nodes()["keep"]?["state"]?.string == "finished" { try restart("keep") }
    }

    /// The engine's outbox keeps 4096 events; each refusal is one.
    func fillOutbox() throws(BenchError) {
        for _ in 0..<1100 { try refuse() }
    }

    /// Starts the publisher where none lives.
    func publish() throws(BenchError) { try media.publish() }

    // MARK: Deeds

    private func recorder(_ path: String) -> JSON {
        ["kind": "sink.record", "inputs": ["video": "h264", "audio": "aac"], "settings": ["path": .string(path)]]
    }

    private func patch(_ operation: String, _ path: String, _ value: JSON? = nil) -> JSON {
        var members: [JSONObject.Member] = [("op", .string(operation)), ("path", .string(path))]
        if let value { members.append(("value", value)) }
        return .array([.object(JSONObject(members))])
    }

    private func addRecorder() throws(BenchError) {
        guard extras.count < 4 else { return try remove(&extras) }
        made += 1
        try expect(client.change(client.add("extra\(made)", recorder("extra\(made)"))), "a recorder more")
        extras.append("extra\(made)")
    }

    /// A decoder, a filter and an encoder more.
    private func addBranch() throws(BenchError) {
        guard branches.count < 2 else { return try remove(&branches) }
        made += 1
        let name = "branch\(made)"
        let nodes: JSON = [
            "\(name)raw": ["kind": "decode", "inputs": ["video": "clip.video"], "settings": ["threads": 1]],
            "\(name)turn": [
                "kind": "filter", "inputs": ["video": .string("\(name)raw.video")],
                "settings": ["description": "hflip"],
            ],
            "\(name)h264": [
                "kind": "encode.video", "inputs": ["video": .string("\(name)turn.video")],
                "settings": ["encoder": "libx264", "preset": "ultrafast", "bitrate": "100k", "threads": 1],
            ],
            "\(name)end": ["kind": "sink.null", "inputs": ["in": .string("\(name)h264.video")]],
        ]
        try expect(client.change(.merge(["nodes": nodes])), "a branch more")
        branches.append(name)
    }

    private func remove(_ names: inout [String]) throws(BenchError) {
        guard let name = names.randomElement(using: &numbers) else { return }
        names.removeAll { $0 == name }
        let members = ["", "raw", "turn", "h264", "end"].map { (key: name + $0, value: JSON.null) }
        try expect(client.change(.merge(["nodes": .object(JSONObject(members))])), "\(name) less")
    }

    private func set(_ node: String, _ setting: String, _ value: JSON) throws(BenchError) {
        try expect(client.change(client.set(node, setting, value)), "\(node).\(setting)")
    }

    private func connect(_ node: String, _ inlet: String, _ outlet: String) throws(BenchError) {
        try expect(client.change(client.connect(node, inlet, outlet)), "\(outlet) to \(node).\(inlet)")
    }

    private func restart(_ node: String) throws(BenchError) {
        try expect(client.send("POST", "/v1/nodes/\(node)/restart"), "restart of \(node)")
    }

    private func replay() throws(BenchError) {
        try restart("short")
        try restart("shown")
    }

    /// The file is gone when its node is made anew; then it is there again.
    private func loseFile() throws(BenchError) {
        try media.hideClip(true)
        _ = try client.send("POST", "/v1/nodes/clip/restart")
        try media.hideClip(false)
        try restart("clip")
    }

    /// What must be refused, each for a reason of its own.
    private func refuse() throws(BenchError) {
        let wrong = [
            patch("add", "/nodes/bad", ["kind": "no.such"]), patch("remove", "/nodes/none"),
            patch("test", "/name", "other"), patch("replace", "/nodes/tint/inputs/video", "nobody.video"),
        ]
        for json in wrong where try client.change(.patch(json)).isGood { failures.append("taken: \(json.compact)") }
    }

    private func expect(_ answer: EngineClient.Answer, _ what: String) throws(BenchError) {
        guard !answer.isGood else { return }
        failures.append("\(what): \(answer.status) \(answer.text.prefix(300))")
    }
}
