// Rewired raw edges in a running engine: which pictures and which samples come out, one after the other.
import CRingLayout
import Capture
import Graph
import Media
import Rings
import Synchronization
import Testing

@testable import Engine

@Suite("Changeover of raw edges", .serialized) struct ChangeoverTests {
    private static let kinds = TestEngine.withFaults + [NodeKind(ReadingSink.self), NodeKind(MuteSource.self)]

    /// A source whose rings are so deep that no slow machine laps a reader.
    private static func pattern(_ more: JSON = [:]) -> JSON {
        var settings = JSONObject([("size", "160x90"), ("rate", "50")])
        for (key, value) in more.object?.members ?? [] { settings = settings.setting(key, to: value) }
        return [
            "kind": "source.pattern", "settings": .object(settings),
            "outlets": ["video": ["hold": "3s"], "audio": ["hold": "3s"]],
        ]
    }

    private func page(_ test: TestEngine, _ node: String = "moving") -> Sightings.Page {
        Sightings.page(test.folder + "/rings/" + node)
    }

    private func running(_ a: JSON = pattern(), _ b: JSON = pattern()) async throws -> TestEngine {
        let test = try TestEngine(kinds: Self.kinds)
        let inputs: JSON = ["video": "a.video", "audio": "a.audio"]
        try await test.apply([
            "patchbay": 1,
            "nodes": [
                "a": a, "moving": ["kind": "sink.reading", "inputs": inputs],
                "still": ["kind": "sink.reading", "inputs": inputs],
            ],
        ])
        // Another phase: it begins some milliseconds later.
        try await test.add("b", b)
        try await test.add("null", ["kind": "sink.null", "inputs": ["in": "b.video"]])
        await expectFlow(test)
        await expectFlow(test, "still")
        return test
    }

    private func expectFlow(_ test: TestEngine, _ node: String = "moving") async {
        let (pictures, blocks) = (page(test, node).pictures.count, page(test, node).blocks.count)
        await eventually(within: 20, "\(node) reads") {
            page(test, node).pictures.count > pictures + 5 && page(test, node).blocks.count > blocks + 5
        }
    }

    private func move(_ test: TestEngine, to source: String, _ inlets: [String] = ["video", "audio"]) async throws {
        try await test.patch(
            .array(
                inlets.map {
                    [
                        "op": "replace", "path": .string("/nodes/moving/inputs/\($0)"),
                        "value": .string("\(source).\($0)"),
                    ]
                }))
    }

    /// A run of pictures of one source.
    private struct Run {
        var zero: Int64
        var pictures: [Sightings.Picture]
    }

    /// Pictures by their source: picture n of each is n periods after a first one of its own.
    private func runs(_ pictures: [Sightings.Picture], _ rate: Rational = Rational(50, 1)) -> [Run] {
        var runs: [Run] = []
        for picture in pictures {
            let zero = picture.pts - rate.time(ofPeriod: Int64(picture.number ?? 0)).nanoseconds
            if let last = runs.last, abs(last.zero - zero) < 1000 {
                runs[runs.count - 1].pictures.append(picture)
            } else {
                runs.append(Run(zero: zero, pictures: [picture]))
            }
        }
        return runs
    }

    private func expectWhole(_ test: TestEngine, _ node: String, sources: Int) async {
        let page = page(test, node)
        #expect(page.lost == 0, "\(node)")
        #expect(page.pictures.allSatisfy { $0.number != nil && !$0.isDiscontinuity }, "\(node)")
        let runs = runs(page.pictures)
        var zeros: [Int64] = []
        for run in runs where !zeros.contains(where: { abs($0 - run.zero) < 1000 }) { zeros.append(run.zero) }
        #expect(zeros.count == sources, "\(node)")
        for run in runs {
            let steps = zip(run.pictures, run.pictures.dropFirst())
            #expect(steps.allSatisfy { $1.sequence == $0.sequence + 1 }, "\(node)")
        }
        // A source on a machine that is held up leaves pictures out itself.
        guard await test.engine.skipped == 0 else { return }
        for (before, after) in zip(runs, runs.dropFirst()) {
            // All of the old one's pictures before T and all of the new one's from T on: less than two periods apart.
            let step = (after.pictures.first?.pts ?? 0) - (before.pictures.last?.pts ?? 0)
            #expect(step > 0 && step < 40_000_000, "\(node): \(step) ns from one source to the other")
        }
    }

    @Test(
        "Two hundred moves between two sources: no picture lost, none repeated, their order kept; nobody else notices")
    func pictures() async throws {
        let test = try await running()
        for round in 0..<200 { try await move(test, to: round % 2 == 0 ? "b" : "a") }
        await expectFlow(test)
        #expect(page(test).news.filter { $0 != "video format" && $0 != "audio format" } == [])
        #expect(page(test).news.count == 2)
        await expectWhole(test, "moving", sources: 2)
        #expect(runs(page(test).pictures).count == 201)
        await expectWhole(test, "still", sources: 1)
        expectSamples(page(test), sources: 2)
        expectSamples(page(test, "still"), sources: 1)
        #expect(await test.engine.drain(within: .seconds(10)))
    }

    /// Sound tells by its samples which source it is from and where in it: they go on sample by sample, and from one
    /// source to the other less than two samples of time go by.
    private func expectSamples(_ page: Sightings.Page, sources: Int, rate: Rational = Rational(50, 1)) {
        let format = AudioFormat(sampleFormat: .fltp, sampleRate: 48_000, layout: .stereo, blockSamples: 960)
        let tone = ToneGenerator(format, flashes: FlashSchedule(rate: rate))
        var zeros: [Int64] = []
        for run in runs(page.pictures, rate) where !zeros.contains(where: { abs($0 - run.zero) < 1000 }) {
            zeros.append(run.zero)
        }
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: format.bufferSize, alignment: 64)
        defer { memory.deallocate() }
        func expected(_ first: Int64, _ count: Int) -> [Float] {
            tone.fill(firstSample: first, count: count, into: memory)
            return (0..<count).map { memory.loadUnaligned(fromByteOffset: format.planeSize + 4 * $0, as: Float.self) }
        }
        var last: (zero: Int64, next: Int64, end: Int64)?
        var (changes, cuts) = (0, 0)
        for block in page.blocks {
            let places = zeros.compactMap { zero -> (zero: Int64, first: Int64)? in
                let first = MediaTime(nanoseconds: block.pts - zero).ticks(timeBase: format.timeBase)
                let time = MediaTime(ticks: first, timeBase: format.timeBase).nanoseconds
                guard abs(time - (block.pts - zero)) < 1000, first >= 0 else { return nil }
                return expected(first, block.samples.count) == block.samples ? (zero, first) : nil
            }
            // Silence and beeps may be of both, where their phases are a whole number of the beep's waves apart.
            let place = places.first { $0.zero == last?.zero && $0.first == last?.next } ?? places.first
            guard let place else {
                Issue.record("a block of \(block.samples.count) samples at \(block.pts) is of no source")
                return
            }
            if block.samples.count < 960 { cuts += 1 }
            let end = block.pts + MediaTime(ticks: Int64(block.samples.count), timeBase: format.timeBase).nanoseconds
            if let last, last.zero == place.zero {
                #expect(place.first == last.next, "\(place.first - last.next) samples are missing")
            } else if let last {
                changes += 1
                #expect(
                    abs(block.pts - last.end) < 21_000,
                    "\(block.pts - last.end) ns between the sources, before \(block.samples.count) samples")
            }
            last = (place.zero, place.first + Int64(block.samples.count), end)
        }
        #expect(changes == 0 ? sources == 1 : sources == 2)
        if sources == 2 { #expect(cuts >= changes, "blocks are cut at changeovers") }
    }

    @Test("Where pictures and blocks of sound are of different length, both blocks are cut, on the sample")
    func cuts() async throws {
        let rate = Rational(60_000, 1001)
        let source = Self.pattern(["rate": "60000/1001"])
        let test = try await running(source, source)
        for round in 0..<40 { try await move(test, to: round % 2 == 0 ? "b" : "a") }
        await expectFlow(test)
        #expect(page(test).lost == 0)
        expectSamples(page(test), sources: 2, rate: rate)
        let parts = page(test).blocks.filter { $0.samples.count < 960 }
        #expect(parts.count > 50, "\(parts.count) parts of blocks at 40 changeovers")
        #expect(await test.engine.drain(within: .seconds(10)))
    }

    @Test("Another format is news, and the only news")
    func formats() async throws {
        let test = try await running(
            Self.pattern(), Self.pattern(["size": "320x180", "sampleFormat": "flt", "sampleRate": 44_100]))
        for round in 0..<10 { try await move(test, to: round % 2 == 0 ? "b" : "a") }
        await expectFlow(test)
        #expect(Set(page(test).news) == ["video format", "audio format"])
        #expect(page(test).news.count == 22)
        await expectWhole(test, "moving", sources: 2)
        await expectWhole(test, "still", sources: 1)
        #expect(await test.engine.drain(within: .seconds(10)))
    }

    @Test("A source that the same patch starts, in place of one that it stops")
    func replacing() async throws {
        let test = try await running()
        for round in 0..<10 {
            let (old, new) = (round == 0 ? "a" : "c\(round - 1)", "c\(round)")
            var operations: [JSON] = [["op": "add", "path": .string("/nodes/" + new), "value": Self.pattern()]]
            for reader in ["moving", "still"] {
                for inlet in ["video", "audio"] {
                    operations.append([
                        "op": "replace", "path": .string("/nodes/\(reader)/inputs/\(inlet)"),
                        "value": .string("\(new).\(inlet)"),
                    ])
                }
            }
            operations.append(["op": "remove", "path": .string("/nodes/" + old)])
            try await test.patch(.array(operations))
            await expectFlow(test)
        }
        #expect(page(test).news.count == 2)
        await expectWhole(test, "moving", sources: 11)
        await expectWhole(test, "still", sources: 11)
        #expect(await test.engine.drain(within: .seconds(10)))
    }

    @Test("Encoders go on over a changeover: no new encoder, no discontinuity, no picture missing")
    func encoding() async throws {
        let test = try TestEngine(kinds: Self.kinds)
        try await test.apply([
            "patchbay": 1,
            "nodes": [
                "a": Self.pattern(), "b": Self.pattern(),
                "h264": [
                    "kind": "encode.video", "inputs": ["video": "a.video"],
                    "settings": ["preset": "ultrafast", "tune": "zerolatency", "gop": "1000s"],
                ],
                "aac": ["kind": "encode.audio", "inputs": ["audio": "a.audio"]],
                "v": ["kind": "sink.probe", "inputs": ["in": "h264"]],
                "s": ["kind": "sink.probe", "inputs": ["in": "aac"]],
                "null": ["kind": "sink.null", "inputs": ["in": "b.video"]],
            ],
        ])
        await eventually(within: 20, "packets come") {
            test.page("v").grains.count > 5 && test.page("s").grains.count > 5
        }
        for round in 0..<40 {
            let from = round % 2 == 0 ? "b" : "a"
            try await test.patch([
                ["op": "replace", "path": "/nodes/h264/inputs/video", "value": .string(from + ".video")],
                ["op": "replace", "path": "/nodes/aac/inputs/audio", "value": .string(from + ".audio")],
            ])
        }
        let count = test.page("v").grains.count
        await eventually(within: 20, "packets go on") { test.page("v").grains.count > count + 10 }
        for node in ["v", "s"] {
            #expect(test.page(node).news == ["format"], "\(node)")
            #expect(test.page(node).grains.filter(\.isDiscontinuity).isEmpty, "\(node)")
            let sequences = test.sequences(node)
            #expect(zip(sequences, sequences.dropFirst()).allSatisfy { $1 == $0 + 1 }, "\(node)")
        }
        if await test.engine.skipped == 0 {
            let times = test.page("v").grains.map(\.pts)
            #expect(zip(times, times.dropFirst()).allSatisfy { $1 > $0 && $1 - $0 < 40_000_000 })
        }
        // Key frames are only forced by a discontinuity.
        #expect(await test.engine.drain(within: .seconds(10)))
    }

    @Test("An outlet that has nothing is left at once, one without a signal is taken all the same")
    func silence() async throws {
        let test = try await running()
        try await test.add("quiet", ["kind": "source.faulty", "settings": ["blocks": 20, "lasting": true]])
        try await move(test, to: "quiet", ["audio"])
        await eventually(within: 20, "the end is told") { page(test).news.contains { $0.hasPrefix("audio ended") } }
        let count = page(test).blocks.count
        try await move(test, to: "b", ["audio"])
        await eventually(within: 20, "sound comes again") { page(test).blocks.count > count + 5 }
        await expectWhole(test, "moving", sources: 1)
        #expect(await test.engine.drain(within: .seconds(10)))
    }

    // MARK: When

    private func propose(
        _ test: TestEngine, _ operations: JSON, deadline: MediaTime? = nil, at time: CommitTime? = nil
    ) async throws {
        var proposal = Proposal(.patch(try JSONPatch(json: operations)))
        (proposal.deadline, proposal.at) = (deadline, time)
        try await test.engine.propose(proposal)
    }

    @Test("A patch for a frame lands on that frame, and others go on meanwhile")
    func atFrame() async throws {
        let test = try await running()
        for round in 0..<3 {
            let (from, to) = round % 2 == 0 ? ("a", "b") : ("b", "a")
            let head = try #require(await test.engine.port("a", "video")?.mapping?.head)
            let number = Int64(head) + 150
            async let landed: Void = propose(
                test,
                [
                    ["op": "replace", "path": "/nodes/moving/inputs/video", "value": .string(to + ".video")],
                    ["op": "replace", "path": "/nodes/moving/inputs/audio", "value": .string(to + ".audio")],
                ], at: .grain(of: round == 2 ? "a.video" : "a", number: number))
            // Three seconds ahead: it is not in anybody's way before the last two.
            try await test.add("other\(round)", ["kind": "sink.null", "inputs": ["in": "b.video"]])
            #expect(await test.engine.port("a", "video")?.mapping?.head ?? 0 < UInt64(number))
            try await landed
            await expectFlow(test)
            let runs = runs(page(test).pictures)
            if from == "a" {
                #expect(runs[round].pictures.last?.sequence == UInt64(number) - 1)
            } else {
                #expect(runs[round + 1].pictures.first?.sequence == UInt64(number))
            }
        }
        expectSamples(page(test), sources: 2)
        await expectWhole(test, "moving", sources: 2)
        let gone = CommitTime.grain(of: "a", number: 3)
        await #expect(throws: GraphRefusal.self) { try await propose(test, [], at: gone) }
        #expect(await test.engine.drain(within: .seconds(10)))
    }

    @Test(
        "A patch for a frame that never comes lands when its time is over, and is in nobody's way",
        .timeLimit(.minutes(1)))
    func frameThatNeverComes() async throws {
        let test = try await running(Self.pattern(["duration": "4s"]))
        func adding(_ id: String) -> JSON {
            [
                [
                    "op": "add", "path": .string("/nodes/\(id)"),
                    "value": ["kind": "sink.null", "inputs": ["in": "b.video"]],
                ]
            ]
        }
        // 200 pictures; from 105 on it is near enough to be taken up.
        async let landed: Void = propose(test, adding("late"), at: .grain(of: "a.video", number: 205))
        await eventually(within: 20, "the source has ended") { await test.engine.port("a", "video")?.signal == .ended }
        try await landed
        try await propose(test, adding("next"))
        let names = await test.engine.nodeNames
        #expect(names.contains("late") && names.contains("next"))
        await #expect(throws: GraphRefusal.self) {
            try await propose(test, adding("never"), at: .grain(of: "a.video", number: 5000))
        }
        #expect(await test.engine.drain(within: .seconds(10)))
    }

    @Test("What is wrong with a patch for later is said at once", .timeLimit(.minutes(1)))
    func wrongForLater() async throws {
        let test = try await running()
        let tomorrow = CommitTime.wall(unixNanoseconds: test.services.timeline.clock.wall + 86_400_000_000_000)
        for wrong: JSON in [
            [["op": "add", "path": "/nodes/x", "value": ["kind": "no.such"]]],
            [["op": "remove", "path": "/nodes/none"]],
        ] {
            await #expect(throws: GraphRefusal.self) { try await propose(test, wrong, at: tomorrow) }
        }
        #expect(await test.engine.drain(within: .seconds(10)))
    }

    @Test("A patch for later is listed until its time, and may be withdrawn; one of live settings is in nobody's way")
    func pending() async throws {
        let test = try await running()
        func numbers() async -> [Int] {
            (await test.engine.pendingProposals["pending"]?.array ?? []).compactMap { $0["number"]?.integer }
        }
        try await test.add("loud", ["kind": "source.faulty"])
        let clock = test.services.timeline.clock
        let tomorrow = CommitTime.wall(unixNanoseconds: clock.wall + 86_400_000_000_000)
        let other: JSON = [
            ["op": "add", "path": "/nodes/other", "value": ["kind": "sink.null", "inputs": ["in": "a.video"]]]
        ]
        let first = Task { try await propose(test, other, at: tomorrow) }
        await eventually("it waits") { await numbers() == [1] }
        let second = Task { try await propose(test, other, at: .grain(of: "a", number: 1_000_000_000)) }
        await eventually("both wait") { await numbers() == [1, 2] }
        let shown = try #require(await test.engine.pendingProposals["pending"]?.array)
        #expect(shown[0]["patch"] == other && shown[0]["at"] == .string("\(tomorrow)"))
        #expect(shown[1]["at"] == "a:1000000000" && shown[1]["author"] == "engine")
        #expect(await test.engine.withdraw(pending: 2))
        #expect(await test.engine.withdraw(pending: 3) == false)
        await #expect(throws: GraphRefusal.self) { try await second.value }
        #expect(await numbers() == [1])
        // It waits outside the queue until just before its time, so that another goes first.
        let soon = clock.wall + 1_000_000_000
        let gain: JSON = [["op": "add", "path": "/nodes/loud/settings", "value": ["gain": 2]]]
        let live = Task { try await propose(test, gain, at: .wall(unixNanoseconds: soon)) }
        await eventually("it waits") { await numbers() == [1, 3] }
        try await test.add("now", ["kind": "sink.null", "inputs": ["in": "a.video"]])
        #expect(clock.wall < soon)
        try await live.value
        #expect(clock.wall >= soon)
        #expect(await test.engine.withdraw(pending: 1))
        await #expect(throws: GraphRefusal.self) { try await first.value }
        #expect(await test.engine.nodeNames.contains("other") == false)
        #expect(await numbers().isEmpty)
        #expect(await test.engine.drain(within: .seconds(10)))
    }

    @Test("A patch for a time of the day lands there, whatever it changes")
    func atTime() async throws {
        let test = try await running()
        let clock = test.services.timeline.clock
        let instant = clock.wall + 700_000_000
        let media = test.services.timeline.now.nanoseconds + 700_000_000
        try await propose(
            test,
            [
                ["op": "replace", "path": "/nodes/moving/inputs/video", "value": "b.video"],
                ["op": "replace", "path": "/nodes/moving/inputs/audio", "value": "b.audio"],
            ], at: .wall(unixNanoseconds: instant))
        await expectFlow(test)
        let runs = runs(page(test).pictures)
        #expect(runs.count == 2)
        let (last, first) = (runs[0].pictures.last?.pts ?? 0, runs[1].pictures.first?.pts ?? 0)
        // Clocks are read one after the other.
        #expect(last < media + 5_000_000 && first > media - 5_000_000)
        expectSamples(page(test), sources: 2)
        let later = clock.wall + 300_000_000
        try await propose(
            test,
            [["op": "add", "path": "/nodes/other", "value": ["kind": "sink.null", "inputs": ["in": "a.video"]]]],
            at: .wall(unixNanoseconds: later))
        #expect(clock.wall >= later)
        #expect(await test.engine.drain(within: .seconds(10)))
    }

    @Test("A new node that is not ready at the deadline undoes the patch; nobody has noticed it")
    func deadline() async throws {
        let test = try await running()
        for value: JSON in [
            ["kind": "source.faulty", "settings": ["opening": "hanging"]],
            // It opens, and nothing ever comes of it.
            ["kind": "source.mute"],
        ] {
            let operations: JSON = [
                ["op": "add", "path": "/nodes/new", "value": value],
                ["op": "replace", "path": "/nodes/moving/inputs/audio", "value": "new"],
            ]
            let nodes = await test.engine.nodeNames
            do {
                try await propose(test, operations, deadline: .milliseconds(400))
                Issue.record("the patch was taken")
            } catch GraphRefusal.hindered(_, let node, let fault) {
                #expect(node == "new" && fault.code == .timeout, "\(node): \(fault)")
            } catch { Issue.record("\(error)") }
            #expect(await test.engine.nodeNames == nodes)
            await expectFlow(test)
        }
        #expect(page(test).news.count == 2)
        expectSamples(page(test), sources: 1)
        await expectWhole(test, "moving", sources: 1)
        #expect(await test.engine.drain(within: .seconds(10)))
    }
}

extension Engine {
    func port(_ node: String, _ outlet: String) -> OutletPort? { nodes[node]?.ports[outlet] }
    /// Grains that any node has left out on purpose.
    var skipped: UInt64 { nodes.values.reduce(0) { $0 + $1.runner.context.counters.skipped.load(ordering: .relaxed) } }
}
