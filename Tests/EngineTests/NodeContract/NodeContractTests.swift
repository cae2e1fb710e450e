// The node contract (Sources/Engine/DataNode.swift) run over every kind that takes grains, and over every source.
import CLinux
import Capture
import Codecs
import FrameCache
import Graph
import HLS
import Media
import Metering
import Recording
import Routing
import Testing

@testable import Engine

/// A kind under test: how it is wired to scripted sources, and what reads it.
struct Subject: Sendable, CustomTestStringConvertible {
    let name: String
    let inputs: [(inlet: String, source: String)]
    let outlets: [String]
    var settings: JSON = [:]
    /// A setting that is not live, and another value of it.
    var change: (name: String, value: JSON)?
    var testDescription: String { name }

    static let all: [Subject] = [
        Subject(name: "sink.null", inputs: [("in", "source.rawpictures")], outlets: []),
        Subject(name: "sink.null", inputs: [("in", "source.codedsound")], outlets: []),
        Subject(
            name: "decode", inputs: [("video", "source.codedpictures"), ("audio", "source.codedsound")],
            outlets: ["video", "audio"], change: ("threads", 1)),
        Subject(
            name: "encode.video", inputs: [("video", "source.rawpictures")], outlets: ["video"],
            settings: ["preset": "ultrafast", "threads": 1], change: ("gop", "1s")),
        Subject(
            name: "encode.video", inputs: [("video", "source.rawpictures")], outlets: ["video"],
            settings: ["encoder": "mpeg2video", "bframes": 2], change: ("bitrate", "1M")),
        Subject(
            name: "encode.audio", inputs: [("audio", "source.rawsound")], outlets: ["audio"], change: ("bitrate", "96k")
        ),
        Subject(
            name: "encode.audio", inputs: [("audio", "source.rawsound")], outlets: ["audio"],
            settings: ["encoder": "libopus"], change: ("bitrate", "64k")),
        Subject(
            name: "switch",
            inputs: [
                ("main/video", "source.rawpictures"), ("main/audio", "source.rawsound"),
                ("spare/video", "source.rawpictures"), ("spare/audio", "source.rawsound"),
            ], outlets: ["video", "audio"], change: ("size", "32x18")),
        Subject(
            name: "source.fault", inputs: [("video", "source.rawpictures"), ("audio", "source.rawsound")],
            outlets: ["video", "audio"],
            settings: [
                "faults": [["kind": "drop"], ["kind": "corrupt"], ["kind": "jitter", "by": "3ms"]],
                "random": ["every": "20ms", "for": "20ms"],
            ]),
        Subject(
            name: "source.fault", inputs: [("video", "source.codedpictures"), ("audio", "source.codedsound")],
            outlets: ["video", "audio"],
            settings: ["faults": [["kind": "corrupt"]], "random": ["every": "20ms", "for": "20ms"]]),
        Subject(
            name: "filter", inputs: [("video", "source.rawpictures")], outlets: ["video"],
            settings: ["description": "yadif=mode=1,scale=32:18"], change: ("threads", 2)),
        Subject(
            name: "filter", inputs: [("video/a", "source.rawpictures"), ("video/b", "source.rawpictures")],
            outlets: ["video"], settings: ["description": "[a][b]overlay=4:4"], change: ("threads", 1)),
        Subject(
            name: "filter", inputs: [("audio", "source.rawsound")], outlets: ["audio"],
            settings: ["description": "aformat=sample_fmts=fltp:channel_layouts=stereo:sample_rates=48000,volume=0.5"],
            change: ("threads", 2)),
        Subject(
            name: "meter",
            inputs: [
                ("in/pictures", "source.rawpictures"), ("in/sound", "source.rawsound"),
                ("in/packets", "source.codedpictures"), ("in/spoken", "source.codedsound"),
            ], outlets: [],
            settings: [
                "watch": "keyframes",
                "conditions": [["on": "frozen", "for": "20ms"], ["on": "rate", "below": 1, "for": "20ms"]],
            ]),
        Subject(
            name: "sink.hls", inputs: [("video", "source.codedpictures"), ("audio", "source.codedsound")], outlets: [],
            settings: ["path": "contract"], change: ("segment", "1s")),
        Subject(
            name: "sink.record", inputs: [("video", "source.codedpictures"), ("audio", "source.codedsound")],
            outlets: [],
            settings: ["path": "contract"], change: ("segment", "1s")),
        Subject(
            name: "sink.ring", inputs: [("video", "source.rawpictures"), ("audio", "source.rawsound")], outlets: [],
            settings: ["slot": "contract"], change: ("depth", 20)),
        Subject(
            name: "sink.ring", inputs: [("video", "source.rawpictures"), ("audio", "source.rawsound")], outlets: [],
            settings: [
                "slot": "contract", "size": "64x36", "rate": "10", "pixelFormat": "uyvy422", "sampleRate": 44_100,
                "layout": "mono",
            ], change: ("rate", "30000/1001")),
    ]

    /// The inlet that a path below `inputs` leads to: of a switch the input comes first there, else the inlet.
    func address(of path: String) -> InletAddress {
        let parts = path.split(separator: "/").map(String.init)
        guard parts.count == 2 else { return InletAddress(path) }
        return name == "switch" ? InletAddress(parts[1], key: parts[0]) : InletAddress(parts[0], key: parts[1])
    }

    func graph(_ seed: UInt64, isPaced: Bool = false, isMild: Bool = false, grains: Int = 200) -> JSON {
        var nodes = JSONObject()
        var wires = JSONObject()
        for (i, input) in inputs.enumerated() {
            nodes = nodes.setting(
                "s\(i)",
                to: [
                    "kind": .string(input.source),
                    "settings": [
                        "seed": .number(JSONNumber(Int(seed) + i)), "paced": .bool(isPaced), "mild": .bool(isMild),
                        "grains": .number(JSONNumber(grains)),
                    ],
                ])
            // "main/video" is an inlet of a group.
            let path = input.inlet.split(separator: "/").map(String.init)
            let edge = JSON.string("s\(i)")
            let group = (wires[path[0]]?.object ?? JSONObject()).setting(path[path.count - 1], to: edge)
            wires = wires.setting(path[0], to: path.count == 1 ? edge : .object(group))
        }
        nodes = nodes.setting("subject", to: ["kind": .string(name), "inputs": .object(wires), "settings": settings])
        for outlet in outlets {
            nodes = nodes.setting(
                "read-\(outlet)", to: ["kind": "sink.null", "inputs": ["in": .string("subject.\(outlet)")]])
        }
        return ["patchbay": 1, "nodes": .object(nodes)]
    }
}

@Suite("Node contract", .serialized) struct NodeContractTests {
    static let kinds =
        TestEngine.withFaults + [
            NodeKind(HLSSink.self), NodeKind(RecordSink.self), NodeKind(RingSink.self), NodeKind(URLSource.self),
            NodeKind(SwitchNode.self), NodeKind(FilterNode.self), NodeKind(FaultNode.self), NodeKind(MeterNode.self),
            NodeKind(ScriptedSource<RawVideoScript>.self),
            NodeKind(ScriptedSource<RawAudioScript>.self), NodeKind(ScriptedSource<CodedVideoScript>.self),
            NodeKind(ScriptedSource<CodedAudioScript>.self),
        ]

    /// Rule 10 and the leases: after the end nobody reads, leases or names a ring.
    private func expectClean(_ test: TestEngine, _ comment: Comment) async {
        try? await test.apply(["patchbay": 1, "nodes": [:]])
        #expect(test.rings.isEmpty, comment)
        await eventually("rings are let go of (\(comment))") {
            Footprint.descriptors(below: test.folder + "/rings") == 0
        }
    }

    @Test(
        "Rules 4, 6, 8: whatever comes, a node neither crashes nor stalls, and ends when its inlets have",
        arguments: Subject.all, [11, 12, 13, 14, 15, 16] as [UInt64])
    func anyInput(_ subject: Subject, _ seed: UInt64) async throws {
        let test = try TestEngine(kinds: Self.kinds)
        try await test.apply(subject.graph(seed))
        // Rule 6: it may be stepped at any time.
        let lanes = await test.engine.allLanes
        let bells = Task.detached {
            while !Task.isCancelled {
                for lane in lanes { lane.ring() }
                sched_yield()
            }
        }
        #expect(await test.finishes(within: 30), "\(subject.name), seed \(seed)")
        bells.cancel()
        await expectClean(test, "\(subject.name), seed \(seed)")
    }

    @Test("Rules 1, 9, 10: it may be stopped at any moment", arguments: Subject.all)
    func stopAnywhere(_ subject: Subject) async throws {
        var random = SplitMix(0x5709)
        let test = try TestEngine(kinds: Self.kinds)
        for round in 0..<20 as Range<UInt64> {
            try await test.apply(subject.graph(100 + round, isPaced: true, isMild: round % 2 == 0, grains: 100_000))
            _ = poll(nil, 0, Int32(random.next() % 40))
            await expectClean(test, "\(subject.name), round \(round)")
        }
    }

    @Test(
        "A node made anew on the same ports goes on, and so do its readers",
        arguments: Subject.all.filter { $0.change != nil })
    func restart(_ subject: Subject) async throws {
        let change = try #require(subject.change)
        let test = try TestEngine(kinds: Self.kinds)
        try await test.apply(subject.graph(7, isPaced: true, isMild: true, grains: 100_000))
        for round in 0..<4 {
            _ = poll(nil, 0, 30)
            try await test.patch([
                round % 2 == 0
                    ? ["op": "add", "path": .string("/nodes/subject/settings/\(change.name)"), "value": change.value]
                    : ["op": "remove", "path": .string("/nodes/subject/settings/\(change.name)")]
            ])
            #expect(["running", "restarting"].contains(await test.state("subject")) || subject.name == "decode")
        }
        if subject.name.hasPrefix("encode") {
            let outlet = subject.outlets[0]
            let before = await test.engine.taken("read-\(outlet)", "in")
            await eventually("packets go on") { await test.engine.taken("read-\(outlet)", "in") > before + 5 }
        }
        #expect(await test.engine.drain(within: .seconds(10)), "\(subject.name)")
        #expect(test.rings.isEmpty)
    }

    @Test("Rewired at any moment, a node goes on, with blocks of sound that are cut", arguments: Subject.all)
    func rewired(_ subject: Subject) async throws {
        let test = try TestEngine(kinds: Self.kinds)
        try await test.apply(subject.graph(7, isPaced: true, isMild: true, grains: 100_000))
        var others: [JSON] = []
        for (i, input) in subject.inputs.enumerated() {
            others.append([
                "op": "add", "path": .string("/nodes/t\(i)"),
                "value": [
                    "kind": .string(input.source), "settings": ["paced": true, "mild": true, "grains": 100_000],
                ],
            ])
        }
        try await test.patch(.array(others))
        for round in 0..<6 {
            let from = round % 2 == 0 ? "t" : "s"
            try await test.patch(
                .array(
                    subject.inputs.enumerated().map { i, input in
                        [
                            "op": "replace", "path": .string("/nodes/subject/inputs/\(input.inlet)"),
                            "value": .string("\(from)\(i)"),
                        ]
                    }))
            for input in subject.inputs {
                let address = subject.address(of: input.inlet)
                let before = await test.engine.taken("subject", at: address)
                await eventually(within: 20, "\(subject.name) reads on in round \(round)") {
                    await test.engine.taken("subject", at: address) > before + 3
                }
            }
        }
        #expect(await test.state("subject") == "running")
        await expectClean(test, "\(subject.name)")
    }

    @Test("Lapped input: a node that is held up goes on where the ring is", arguments: Subject.all)
    func lapped(_ subject: Subject) async throws {
        let test = try TestEngine(kinds: Self.kinds)
        try await test.apply(subject.graph(9, isPaced: true, isMild: true, grains: 400))
        let lane = try #require(await test.engine.lane(of: "subject"))
        // The lane is held for longer than any raw ring is deep.
        let holder = LaneHolder(lane)
        await holder.hold(milliseconds: 60)
        #expect(await test.finishes(within: 20))
        await expectClean(test, "\(subject.name)")
    }
}

extension NodeContractTests {
    @Test(
        "Rules 1, 9, 10: a source that blocks in libavformat lets go at any moment",
        arguments: [
            ["url": "rtmp://127.0.0.1:PORT/live/key", "listen": true], ["url": "tcp://127.0.0.1:PORT", "listen": true],
            ["url": "http://127.0.0.1:PORT/x", "listen": true], ["url": "rtmp://127.0.0.1:PORT/live"],
            ["url": "http://127.0.0.1:PORT/index.m3u8"], ["url": "udp://127.0.0.1:PORT"],
            ["url": "rtsp://127.0.0.1:PORT/x"],
        ] as [JSON])
    func urlSources(_ settings: JSON) async throws {
        var random = SplitMix(0x0521)
        let test = try TestEngine(kinds: Self.kinds)
        let port = UInt16(20_000 + UInt32(getpid()) % 20_000)
        let url = (settings["url"]?.string ?? "").replacing("PORT", with: "\(port)")
        let given = settings.object?.setting("url", to: .string(url)) ?? JSONObject()
        let graph: JSON = [
            "patchbay": 1,
            "nodes": [
                "in": ["kind": "source.url", "settings": .object(given)],
                "out": ["kind": "sink.null", "inputs": ["in": "in.video"]],
            ],
        ]
        for round in 0..<8 {
            try await test.apply(graph)
            _ = poll(nil, 0, Int32(random.next() % 150))
            let begin = linux_monotonic_nanoseconds()
            if round % 2 == 0 {
                await expectClean(test, "\(url), round \(round)")
            } else {
                try await test.apply(["patchbay": 1, "nodes": [:]])
            }
            #expect(linux_monotonic_nanoseconds() - begin < 2_000_000_000, "\(url), round \(round)")
        }
    }
}

/// Holds a lane up, as a slow neighbour would.
private actor LaneHolder {
    private let lane: Lane
    nonisolated var unownedExecutor: UnownedSerialExecutor { lane.asUnownedSerialExecutor() }
    init(_ lane: Lane) { self.lane = lane }
    func hold(milliseconds: Int32) { _ = poll(nil, 0, milliseconds) }
}

extension Engine {
    var allLanes: [Lane] { lanes.all }
    func lane(of node: String) -> Lane? { nodes[node]?.lane.lane }
}
