// The registry of slots: made, found, described, removed; and slots that are outlets of a running graph.
import CRingLayout
import Capture
import Engine
import FrameCache
import Graph
import GraphHarness
import Media
import Rings
import Routing
import Synchronization
import Testing

@Suite(.serialized) struct SlotTests {
    let scratch: Scratch
    let run: GraphRun
    let registry: SlotRegistry

    init() throws {
        scratch = try Scratch()
        run = try GraphRun(
            [NodeKind(PatternSource.self), NodeKind(RingSource.self), NodeKind(NullSink.self)],
            dataFolder: scratch.path)
        registry = SlotRegistry(run.services)
    }

    func request(_ text: String) throws -> SlotRequest { try SlotRequest(JSONText(text).parse()) }
    private func path(_ name: String) -> String { run.ringFolder + "/" + name }
    private func shown(_ id: String) -> JSON? { registry[id]?.json(at: run.services.timeline.clock.monotonic) }

    var taken: UInt64 { get async { await run.engine.figures(of: "out", "in")?.taken ?? 0 } }

    static let small =
        #"{"id": "cam1", "video": {"size": "160x90", "rate": "50", "pixelFormat": "uyvy422"}, "depth": 8}"#

    @Test func aSlotIsMadeAndDescribed() throws {
        let (slot, isNew) = try registry.make(request(Self.small))
        #expect(isNew && slot.path == path("cam1"))
        let json = try #require(shown("cam1"))
        #expect(json["slot_id"]?.string == "cam1" && json["state"]?.string == "waiting")
        #expect(json["format"]?.string == "160x90 uyvy422 50 fps" && json["depth"]?.integer == 8)
        #expect(json["writer"]?["alive"]?.bool == false && json["origin"]?.string == "requested")
        #expect(json["layout"]?["major"]?.integer == Int(PBR_LAYOUT_MAJOR))
        #expect(json["bytes"]?.integer == Int(slot.mapping.identity.file_size))
        // 8 in the window, one being filled, 2 held by the writer, 8 readers of two leases each.
        #expect(json["buffers"]?.integer == 8 + 1 + 2 + 8 * 3)
        #expect(run.services.ringBudget.reserved == slot.mapping.identity.file_size)
    }

    @Test func anEqualOneWithoutAWriterWaitsForItAndAnotherFormatIsANewGeneration() throws {
        let first = try registry.make(request(Self.small)).slot.mapping
        #expect(try registry.make(request(Self.small)).isNew == false)
        let (second, isNew) = try registry.make(request(Self.small.replacing("160x90", with: "320x180")))
        #expect(isNew && second.mapping.identity.generation == first.identity.generation + 1)
        #expect(first.state == UInt32(PBR_STATE_SUPERSEDED))
        #expect(run.services.ringBudget.reserved == second.mapping.identity.file_size)
    }

    @Test func audioAndPacketsAreSlotsToo() throws {
        let audio = try registry.make(
            request(#"{"slot_id": "mic", "audio": {"sampleRate": 48000, "layout": "stereo", "sampleFormat": "s16"}}"#))
        #expect(audio.slot.mapping.streamFormat?.description == "48000 Hz stereo s16")
        #expect(audio.slot.mapping.identity.depth == SlotRequest.standardDepth)
        let packets = try registry.make(
            request(#"{"id": "feed", "packets": {"codec": "h264", "size": "1280x720", "rate": "50", "bitrate": "8M"}}"#)
        )
        #expect(packets.slot.mapping.streamFormat?.description == "h264 1280x720 50 fps")
        #expect(!packets.slot.mapping.isFrameRing)
        #expect(registry.slots.map(\.id) == ["feed", "mic"])
    }

    @Test func colourHDRAndNamesOfTracksAreInTheRing() throws {
        let colour = #""primaries": 9, "transfer": 16, "matrix": 9, "range": "full", "chromaLocation": 3"#
        let hdr =
            #""masteringDisplay": "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)","#
            + #""contentLight": "1000,400""#
        let raw = try registry.make(
            request(#"{"id": "raw", "video": {"size": "64x32", "rate": "50", \#(colour), \#(hdr)}}"#))
        let coded = try registry.make(
            request(
                #"{"id": "coded", "packets": {"codec": "hevc", "size": "64x32", "title": "Main", "language": "eng","#
                    + #"\#(colour), \#(hdr)}}"#))
        for mapping in [raw.slot.mapping, coded.slot.mapping] {
            let video = mapping.format.video
            #expect(video.primaries == 9 && video.transfer == 16 && video.matrix == 9)
            #expect(video.range == 2 && video.chroma_location == 3)
            #expect(video.has_mastering_display == 1 && video.has_content_light == 1)
            #expect(video.display_primaries.0 == 34000 && video.display_primaries.5 == 3000)
            #expect(video.white_point.1 == 16450 && video.max_luminance == 10_000_000 && video.min_luminance == 50)
            #expect(video.max_content_light == 1000 && video.max_average_light == 400)
        }
        let track = coded.slot.mapping.streamFormat?.coded
        #expect(track?.language == "eng" && track?.title == "Main")
    }

    @Test(arguments: [
        (#"{}"#, ["/id: \"id\" is missing", "found no format"]),
        (#"{"id": "../x", "video": {"size": "1x1", "rate": "50"}}"#, ["/id: found \"../x\""]),
        (#"{"id": "x", "video": {"size": "0x10", "rate": "0"}}"#, ["/video/size", "/video/rate"]),
        (#"{"id": "x", "video": {"size": "16x16", "rate": "50", "pixelFormat": "nonsense"}}"#, ["/video/pixelFormat"]),
        (#"{"id": "x", "video": {"size": "16x16", "rate": "50"}, "audio": {}}"#, ["found video and audio"]),
        (#"{"id": "x", "video": {"size": "16x16", "rate": "50"}, "depth": 1}"#, ["/depth"]),
        (#"{"id": "x", "slot_id": "y", "audio": {}}"#, ["/slot_id"]),
        (#"{"id": "x", "audio": {"sampleRate": -1}, "dpeth": 3}"#, ["/audio/sampleRate", "did you mean \"depth\""]),
        (#"{"id": "x", "packets": {"codec": "h264"}}"#, ["/packets/size"]),
        (
            #"{"id": "x", "packets": {"codec": "aac", "type": "audio", "language": "eng-Latn"}}"#,
            ["/packets/language: found 8 bytes", "7 at most"]
        ),
        (#"{"id": "x", "video": {"size": "16x16", "rate": "1/2147483647"}}"#, ["/video/rate", "from one a day"]),
        (
            #"{"id": "x", "video": {"size": "1x1", "rate": "1", "primaries": 256, "contentLight": "1", "range": "all"}}"#,
            ["/video/primaries", "/video/contentLight", "/video/range"]
        ),
        (
            #"{"id": "x", "video": {"size": "1x1", "rate": "1", "masteringDisplay": "G(1,2)B(1,2)R(1,2)WP(1,50001)L(1,1)"}}"#,
            ["/video/masteringDisplay"]
        ),
        (#"[]"#, ["expected an object"]),
    ])
    func whatIsNoSlotIsRefusedWithAllItsFaults(_ body: String, _ said: [String]) throws {
        var message = ""
        let json = try JSONText(body).parse()
        do throws(DocumentFaults) { _ = try SlotRequest(json) } catch { message = error.description }
        for part in said { #expect(message.contains(part), "\(message)") }
    }

    @Test func memoryIsHeldToItsLimit() throws {
        let services = EngineServices(
            timeline: run.services.timeline, files: run.services.files, log: run.services.log,
            dataFolder: scratch.path, ringFolder: run.ringFolder, live: LiveDirectory(),
            ringBudget: RingBudget(limit: 2 << 20))
        let registry = SlotRegistry(services)
        _ = try registry.make(request(Self.small))
        let large = try request(
            Self.small.replacing("cam1", with: "cam2").replacing("160x90", with: "640x360"))
        do throws(SlotRefusal) {
            _ = try registry.make(large)
            Issue.record("it was made past the limit")
        } catch {
            guard case .noSpace(let detail) = error else { throw error }
            #expect(detail.contains("2097152 bytes that --ring-memory allows"), "\(detail)")
        }
        #expect(registry.slots.map(\.id) == ["cam1"])
    }

    @Test func aSlotGoesWhenItIsRemovedAndItsReadersAreTold() throws {
        let path = try registry.make(request(Self.small)).slot.path
        let reader = try FrameRingReader(attaching: path)
        try registry.remove("cam1")
        #expect(reader.mapping.state == UInt32(PBR_STATE_REMOVED))
        #expect(registry["cam1"] == nil && run.services.ringBudget.reserved == 0)
        #expect(throws: SlotRefusal.self) { try registry.remove("cam1") }
    }

    @Test func aSlotThatNobodyUsesGivesItsMemoryBack() throws {
        let clock = ManualClock(monotonic: 1_000_000_000)
        let services = EngineServices(
            timeline: Timeline(clock: clock), files: run.services.files, log: run.services.log,
            dataFolder: scratch.path, ringFolder: run.ringFolder, live: LiveDirectory())
        let registry = SlotRegistry(services)
        let waiting = try registry.make(request(Self.small)).slot
        // The slot as a value would keep what it has reserved.
        let used = try registry.make(request(Self.small.replacing("cam1", with: "cam2"))).slot.path
        let ring = try RingMapping.open(path: used)
        func sweep(after seconds: Int64) {
            clock.advance(by: .seconds(seconds))
            registry.sweep()
        }
        do {
            var writer = try FrameRingWriter(adopting: RingMapping.open(path: used))
            if let claim = writer.claim() { writer.publish(claim, .empty()) }
            sweep(after: 60)
            let next = writer.nextSequence
            #expect(next == 1)
        }
        // Nobody has it from here on.
        sweep(after: 0)
        sweep(after: SlotRegistry.linger.nanoseconds / 1_000_000_000 - 1)
        #expect(registry["cam2"] != nil)
        sweep(after: 1)
        // What was never written waits for its writer as long as it takes.
        #expect(registry.slots.map(\.id) == ["cam1"] && ring.isRemoved)
        #expect(registry.reclaimed.load(ordering: .relaxed) == 1)
        #expect(services.ringBudget.reserved == waiting.mapping.identity.file_size)
    }

    @Test func whatIsFoundInTheFolderIsTheRegistry() throws {
        _ = try registry.make(request(Self.small))
        let other = SlotRegistry(run.services)
        #expect(other.slots.map(\.id) == ["cam1"] && other["cam1"]?.origin == .found)
    }

    @Test func anOutletHasAPublicNameWithoutACopy() async throws {
        try await run.start([
            "camera": [
                "kind": "source.pattern", "settings": ["size": "160x90", "rate": "50"],
                "outlets": ["video": ["slot": "cam1", "hold": "1s"]],
            ],
            "out": ["kind": "sink.null", "inputs": ["in": "camera.video"]],
        ])
        let flows = await eventually { (shown("cam1")?["rate"]?.double).map { abs($0 - 50) < 0.5 } ?? false }
        #expect(flows)
        let json = try #require(shown("cam1"))
        #expect(json["outlet"]?.string == "camera.video" && json["origin"]?.string == "outlet")
        #expect(json["copied"]?.integer == 0 && json["depth"]?.integer == 50)
        #expect(json["readers"]?.array?.first?["name"]?.string == "out.in")
        #expect(throws: SlotRefusal.self) { try registry.remove("cam1") }
        #expect(throws: SlotRefusal.self) { _ = try registry.make(request(Self.small)) }
        // Another name while it runs: the node is not made anew, nobody loses a grain.
        let taken = try #require(await run.engine.figures(of: "out", "in"))
        try await run.engine.merge(
            ["nodes": ["camera": ["outlets": ["video": ["slot": "cam2"]]]]], ifMatch: nil)
        #expect(registry.slots.map(\.id) == ["cam2"])
        let after = try #require(await run.engine.figures(of: "out", "in"))
        #expect(after.lost == 0 && after.taken >= taken.taken)
        try await run.engine.merge(["nodes": ["camera": .null, "out": .null]], ifMatch: nil)
        #expect(registry.slots.isEmpty)
    }

    @Test func aNameThatAnotherProcessWritesIsRefused() async throws {
        let spec = try request(Self.small).ring
        let writer = try FrameRingWriter(creating: path("cam1"), spec: spec)
        await #expect(throws: GraphRefusal.self) {
            try await run.start([
                "camera": [
                    "kind": "source.pattern", "settings": ["size": "160x90"],
                    "outlets": ["video": ["slot": "cam1"]],
                ]
            ])
        }
        #expect(writer.mapping.isWriterAlive && registry["cam1"]?.outlet == nil)
    }

    @Test func ringsThatWereMadeWithoutAnEngineAreTakenUp() throws {
        let before = run.ringFolder + "/port-1"
        try GraphHarness.run("mkdir", ["-p", before])
        var writer = try FrameRingWriter(creating: before + "/cam9", spec: request(Self.small).ring)
        registry.takeUp(from: before)
        #expect(registry["cam9"]?.origin == .takenUp && registry.takenUp.load(ordering: .relaxed) == 1)
        if let claim = writer.claim() { writer.publish(claim, .empty()) }
        #expect(registry["cam9"]?.mapping.head == 1)
    }

    @Test func aSourceTakesFromASlotAndFollowsItsWriter() async throws {
        try await run.start([
            "ring": ["kind": "source.ring", "settings": ["video": "cam1", "times": "remap"]],
            "out": ["kind": "sink.null", "inputs": ["in": "ring.video"]],
        ])
        for round in 0..<2 {
            let size = round == 0 ? "160x90" : "320x180"
            let spec = try request(Self.small.replacing("160x90", with: size)).ring
            let ring = path("cam1")
            var writer = try FrameRingWriter(creating: ring, spec: spec)
            for sequence in 0..<20 as Range<Int64> {
                let before = await taken
                if let claim = writer.claim() {
                    var grain = Grain.empty()
                    (grain.pts, grain.duration) = (sequence * 20_000_000, 20_000_000)
                    writer.publish(claim, grain)
                }
                let isTaken = await eventually { await taken > before }
                try #require(isTaken, "grain \(sequence) of round \(round)")
            }
            let node = await run.engine.nodeStatus("ring")
            #expect(node?["outlets"]?.array?.first?["format"]?.string?.contains(size) == true)
            writer.set(state: UInt32(PBR_STATE_ENDED))
            writer.unlink()
        }
        let quiet = await eventually {
            await run.engine.nodeStatus("ring")?["outlets"]?.array?.first?["state"]?.string == "noSignal"
        }
        #expect(quiet)
    }

    /// Sound and coded pictures of one source keep the monotonic clock's times to the nanosecond, so that they stay together
    /// whatever comes first, and packets their bytes and what stands beside them (captions).
    @Test func soundAndPacketsKeepTheirWritersClock() async throws {
        try await run.start([
            "ring": [
                "kind": "source.ring", "settings": ["audio": "mic", "codedVideo": "feed", "times": "monotonic"],
            ],
            "out": ["kind": "sink.null", "inputs": ["in": "ring.audio"]],
            "film": ["kind": "sink.null", "inputs": ["in": "ring.codedVideo"]],
        ])
        let begin = run.services.timeline.clock.monotonic
        let sound = try request(#"{"id": "mic", "audio": {"sampleRate": 48000, "layout": "stereo"}}"#).ring
        let coded = try request(#"{"id": "feed", "packets": {"codec": "h264", "size": "64x32", "rate": "50"}}"#).ring
        var mic = try FrameRingWriter(creating: path("mic"), spec: sound)
        var feed = try PacketRingWriter(
            creating: path("feed"), spec: coded, extradata: UnsafeRawBufferPointer(start: nil, count: 0))
        for number in 0..<5 as Range<Int64> {
            var grain = Grain.empty()
            (grain.pts, grain.duration) = (begin + number * 20_000_000, 20_000_000)
            (grain.dts, grain.isKey) = (grain.pts, number == 0)
            let packet = (0..<(100 + Int(number))).map { UInt8($0 & 0xFF) ^ UInt8(number) }
            let side = [UInt8](repeating: UInt8(0x40 + number), count: 16 * Int(number))
            packet.withUnsafeBytes { bytes in side.withUnsafeBytes { _ = feed.append(grain, bytes, sideData: $0) } }
            (grain.dts, grain.samples) = (.min, 960)
            if let claim = mic.claim() { mic.publish(claim, grain) }
            for (outlet, input) in [("ring.audio", "out"), ("ring.codedVideo", "film")] {
                let isTaken = await eventually {
                    await run.engine.figures(of: input, "in")?.taken ?? 0 == UInt64(number) + 1
                }
                try #require(isTaken, "grain \(number) of \(outlet)")
                let ring = try RingMapping.open(path: path(outlet), populates: false)
                let seen = try #require(ring.glimpse(ring.head &- 1))
                #expect(seen.pts + run.services.timeline.zero == grain.pts, "\(outlet)")
            }
            var reader = try PacketRingReader(attaching: path("ring.codedVideo"), start: .newest)
            var bytes = [UInt8](repeating: 0, count: 256)
            guard case .packet(let copy) = reader.peek() else { throw Missing() }
            var beside = [UInt8](repeating: 0, count: 256)
            let isWhole = bytes.withUnsafeMutableBytes { bytes in
                beside.withUnsafeMutableBytes { reader.take(copy, into: bytes, sideData: $0) }
            }
            #expect(isWhole && Array(beside.prefix(Int(copy.side_data_size))) == side)
            #expect(Array(bytes.prefix(Int(copy.size))) == packet && copy.isKey == (number == 0))
        }
    }

    struct Missing: Error {}
}
