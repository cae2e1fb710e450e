// Rewired coded edges in a running engine: what comes out is decoded from its first packet on, and the numbers burned
// into the pictures say what was there.
import AV
import CRingLayout
import Capture
import Graph
import Media
import Synchronization
import Testing

@testable import Engine

/// Packets as a sink took them.
final class Packets: Sendable {
    struct Packet: Sendable {
        let pts: Int64
        let dts: Int64
        let duration: Int64
        let isKey: Bool
        let isDiscontinuity: Bool
        let bytes: [UInt8]
    }
    struct Track: Sendable {
        var format: CodedFormat?
        var packets: [Packet] = []
        var news: [String] = []
    }
    private static let tracks = Mutex<[String: Track]>([:])
    static func track(_ key: String) -> Track { tracks.withLock { $0[key] ?? Track() } }
    static func write(_ key: String, _ body: (inout Track) -> Void) {
        tracks.withLock { body(&$0[key, default: Track()]) }
    }
}

/// Keeps every packet of a picture and a sound track.
actor PacketSink: DataNode {
    static let kind = KindDeclaration(
        "sink.packets", "Keeps packets.",
        inlets: [InletDeclaration("video", [.codedVideo]), InletDeclaration("audio", [.codedAudio])],
        settings: ReadingSettings.declarations, placement: .own)

    nonisolated let context: NodeContext
    nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private let key: String

    init(_ settings: ReadingSettings, in context: NodeContext) {
        self.context = context
        key = Journal.key(context)
    }
    func prepare() throws(NodeFault) {}
    func inletChanged(_ inlet: InletAddress, _ news: InletNews) {
        Packets.write("\(key).\(inlet)") { track in
            guard case .format(let format) = news else { return track.news.append("\(news)") }
            track.news.append("format")
            track.format = format.coded
        }
    }
    func step() -> Step {
        let inlets = [context.inlet("video"), context.inlet("audio")].compactMap(\.self)
        if inlets.allSatisfy(\.hasEnded) { return .finished }
        var isBusy = false
        for inlet in inlets {
            switch inlet.peekPacket() {
            case .nothing: continue
            case .lapped: Packets.write("\(key).\(inlet.id)") { $0.news.append("lapped") }
            case .packet(let grain):
                let room = UnsafeMutableRawBufferPointer.allocate(byteCount: (Int(grain.size) + 7) & ~7, alignment: 8)
                defer { room.deallocate() }
                guard inlet.take(grain, into: room) else { continue }
                let packet = Packets.Packet(
                    pts: grain.pts, dts: grain.dts, duration: grain.duration, isKey: grain.isKey,
                    isDiscontinuity: grain.isDiscontinuity, bytes: Array(room.prefix(Int(grain.size))))
                Packets.write("\(key).\(inlet.id)") { $0.packets.append(packet) }
            }
            isBusy = true
        }
        return isBusy ? .again : .wait
    }
    func stop() {}
}

/// Passes coded pictures on from its first key picture, which is the last that it calls one: whatever the machine makes
/// an encoder do, there is no random-access point behind it.
actor KeylessRelay: DataNode {
    static let kind = KindDeclaration(
        "relay.keyless", "Has one key picture.", inlets: [InletDeclaration("video", [.codedVideo], isRequired: true)],
        outlets: .fixed([OutletDeclaration("video", .codedVideo)]), settings: ReadingSettings.declarations,
        placement: .own)

    nonisolated let context: NodeContext
    nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private var hasBegun = false

    init(_ settings: ReadingSettings, in context: NodeContext) { self.context = context }
    func prepare() throws(NodeFault) {}
    func inletChanged(_ inlet: InletAddress, _ news: InletNews) {
        guard case .format(let format) = news else { return }
        do throws(NodeFault) { try context.outlet("video")?.declare(format) } catch { Issue.record("\(error)") }
    }
    func step() -> Step {
        guard let inlet = context.inlet("video"), let outlet = context.outlet("video"), !inlet.hasEnded else {
            return .finished
        }
        guard case .packet(let packet) = inlet.peekPacket() else { return .wait }
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: (Int(packet.size) + 7) & ~7, alignment: 8)
        defer { room.deallocate() }
        guard inlet.take(packet, into: room), hasBegun || packet.isKey else { return .again }
        var grain = packet
        grain.isKey = !hasBegun
        hasBegun = true
        _ = outlet.append(grain, UnsafeRawBufferPointer(rebasing: room.prefix(Int(grain.size))))
        return .again
    }
    func stop() {}
}

@Suite("Splices of coded edges", .serialized) struct SpliceRunTests {
    private static let kinds =
        TestEngine.withFaults + [NodeKind(PacketSink.self), NodeKind(ReadingSink.self), NodeKind(KeylessRelay.self)]
    private static let period: Int64 = 40_000_000

    private static func encoder(_ source: String, _ more: JSON) -> JSON {
        var settings = JSONObject([("preset", "ultrafast"), ("gop", "400ms"), ("threads", 1)])
        for (key, value) in more.object?.members ?? [] { settings = settings.setting(key, to: value) }
        return ["kind": "encode.video", "inputs": ["video": .string(source + ".video")], "settings": .object(settings)]
    }

    private func running(_ first: JSON = [:], _ second: JSON = [:], sink: String = "sink.packets") async throws
        -> TestEngine
    {
        let test = try TestEngine(kinds: Self.kinds)
        let pattern: JSON = [
            "kind": "source.pattern", "settings": ["size": "320x180", "rate": "25"],
            "outlets": ["video": ["hold": "3s"], "audio": ["hold": "3s"]],
        ]
        try await test.apply([
            "patchbay": 1,
            "nodes": [
                "a": pattern, "b": pattern, "va": Self.encoder("a", first), "vb": Self.encoder("b", second),
                "sa": ["kind": "encode.audio", "inputs": ["audio": "a.audio"]],
                "sb": ["kind": "encode.audio", "inputs": ["audio": "b.audio"]],
                "moving": ["kind": "sink.packets", "inputs": ["video": "va", "audio": "sa"]],
                "still": ["kind": "sink.packets", "inputs": ["video": "va", "audio": "sa"]],
                "null": ["kind": "sink.null", "inputs": ["in": "vb"]],
                "null-b": ["kind": "sink.null", "inputs": ["in": "sb"]],
            ],
        ])
        await expectFlow(test)
        return test
    }

    private func track(_ test: TestEngine, _ track: String) -> Packets.Track {
        Packets.track(test.folder + "/rings/" + track)
    }
    private func expectFlow(_ test: TestEngine, _ node: String = "moving") async {
        let (video, audio) = (track(test, node + ".video").packets.count, track(test, node + ".audio").packets.count)
        await eventually(within: 30, "\(node) reads") {
            track(test, node + ".video").packets.count > video + 12
                && track(test, node + ".audio").packets.count > audio + 12
        }
    }
    private func move(_ test: TestEngine, to source: String, splice: String?) async throws {
        let video: JSON =
            splice.map { ["from": .string("v" + source), "splice": .string($0)] } ?? .string("v" + source)
        var operations: [JSON] = [["op": "replace", "path": "/nodes/moving/inputs/video", "value": video]]
        if source != "c" {
            operations.append(
                ["op": "replace", "path": "/nodes/moving/inputs/audio", "value": .string("s" + source)])
        }
        try await test.patch(.array(operations))
    }

    /// Decodes a track from its first packet; the numbers of its pictures in order of display.
    private func decoded(_ track: Packets.Track) throws -> [UInt32?] {
        let format = try #require(track.format)
        var decoder = try VideoDecoder(format, threads: 1)
        var numbers: [UInt32?] = []
        func look(_ decoder: inout VideoDecoder) -> Bool {
            switch decoder.receive() {
            case .picture:
                let picture = decoder.picture
                guard let (start, stride) = picture.plane(0) else { return false }
                #expect(!picture.isCorrupt)
                numbers.append(
                    FrameNumber.read(width: 320) { x, y in
                        Int(start.load(fromByteOffset: y * stride + x, as: UInt8.self))
                    })
                return true
            case .failed(let fault):
                Issue.record("a packet does not decode: \(fault)")
                return true
            case .none, .end: return false
            }
        }
        for packet in track.packets {
            _ = packet.bytes.withUnsafeBytes { bytes in
                decoder.send(
                    bytes, pts: packet.pts, dts: packet.dts, duration: packet.duration, isKey: packet.isKey)
            }
            while look(&decoder) {}
        }
        _ = decoder.finish()
        while look(&decoder) {}
        return numbers
    }

    private func expectSteady(_ track: Packets.Track, period: Int64, _ name: String) {
        let times = track.packets.map(\.pts).sorted()
        let steps = zip(times, times.dropFirst()).map { $1 - $0 }
        #expect(steps.allSatisfy { abs($0 - period) <= 2 }, "\(name): \(steps.filter { abs($0 - period) > 2 })")
        let decoding = track.packets.map(\.dts)
        #expect(zip(decoding, decoding.dropFirst()).allSatisfy { $0 < $1 }, "\(name)")
        #expect(track.packets.filter(\.isDiscontinuity).isEmpty, "\(name)")
        #expect(!track.news.contains("lapped") && !track.news.contains("rewired"), "\(name): \(track.news)")
    }

    @Test(
        "Splices decode from the first packet and step by one period, whatever the encoders reorder",
        arguments: [nil, "repeat", "wait"] as [String?],
        [[["tune": "zerolatency"], ["tune": "zerolatency"]], [["bframes": 2], [:]], [[:], ["bframes": 3]]] as [[JSON]])
    func moves(_ splice: String?, _ encoders: [JSON]) async throws {
        let test = try await running(encoders[0], encoders[1])
        for round in 0..<6 {
            try await move(test, to: round % 2 == 0 ? "b" : "a", splice: splice)
            if round % 3 == 0 { await expectFlow(test) }
        }
        await expectFlow(test)
        let isSame = encoders[0] == encoders[1]
        let isUndisturbed = await test.engine.skipped == 0
        #expect(await test.engine.drain(within: .seconds(10)))
        let video = track(test, "moving.video")
        if isUndisturbed {
            expectSteady(video, period: Self.period, "video")
            expectSteady(track(test, "moving.audio"), period: 21_333_333, "audio")
            expectSteady(track(test, "still.video"), period: Self.period, "untouched video")
        }
        // The encoders' parameter sets are the same, or they are told.
        #expect(video.news.filter { $0 == "format" }.count == (isSame ? 1 : 7), "\(video.news)")
        guard isSame else { return }
        let numbers = try decoded(video)
        #expect(numbers.count == video.packets.count)
        #expect(numbers.allSatisfy { $0 != nil })
        // Forward one by one, but where it goes from one source to the other.
        let jumps = zip(numbers, numbers.dropFirst()).filter { ($1 ?? 0) != ($0 ?? 0) + 1 }
        #expect(jumps.count <= 6, "\(jumps)")
    }

    @Test("Without a key frame a patch is refused, with the reason, and the old edge stays as it was")
    func refusal() async throws {
        let test = try await running()
        // It begins with a key frame, and never has another.
        try await test.patch([
            ["op": "add", "path": "/nodes/vc", "value": ["kind": "relay.keyless", "inputs": ["video": "vb"]]],
            ["op": "add", "path": "/nodes/null-c", "value": ["kind": "sink.null", "inputs": ["in": "vc"]]],
        ])
        await eventually(within: 30, "its key frame is past") { await test.engine.taken("null-c", "in") > 2 }
        do {
            try await move(test, to: "c", splice: "wait")
            Issue.record("the patch was taken")
        } catch GraphRefusal.hindered(_, let node, let fault) {
            #expect(node == "vc")
            #expect(fault.message.contains("moving.video stays with va.video"), "\(fault.message)")
        }
        await expectFlow(test)
        let isUndisturbed = await test.engine.skipped == 0
        #expect(await test.engine.drain(within: .seconds(10)))
        for (name, period) in [("moving.video", Self.period), ("moving.audio", 21_333_333)] {
            if isUndisturbed { expectSteady(track(test, name), period: period, name) }
            #expect(track(test, name).news.filter { $0 == "format" }.count == 1)
        }
    }
}
