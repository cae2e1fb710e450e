// `sink.ring` in a running engine: the format stays, both slots have the monotonic clock's times, the slots go with the node.
import CLinux
import CRingLayout
import Capture
import Engine
import FrameCache
import Graph
import GraphHarness
import Media
import Rings
import Testing

@Suite(.serialized) struct RingSinkTests {
    /// Grains of a slot from its oldest on.
    private func grains(_ path: String, _ count: Int) async throws -> [Grain] {
        let end = linux_monotonic_nanoseconds() + 20_000_000_000
        var ring: RingMapping?
        while ring == nil, linux_monotonic_nanoseconds() < end {
            ring = try? RingMapping.open(path: path)
            await Task.yield()
        }
        var reader = try FrameRingReader(joining: try #require(ring), leases: 1, start: .oldest, name: "test")
        var grains: [Grain] = []
        while grains.count < count, linux_monotonic_nanoseconds() < end {
            switch reader.next() {
            case .frame(let lease): grains.append(lease.grain)
            case .none: reader.wait(until: linux_monotonic_nanoseconds() + 50_000_000)
            default: Issue.record("a grain was lost")
            }
        }
        return grains
    }

    @Test func bothSlotsLieOnTheMonotonicClock() async throws {
        let scratch = try Scratch()
        let run = try GraphRun(
            [NodeKind(PatternSource.self), NodeKind(RingSink.self)], dataFolder: scratch.path,
            host: { SlotRegistry($0) })
        let registry = try #require(run.services.slotHost as? SlotRegistry)
        let begin = linux_monotonic_nanoseconds()
        try await run.start([
            "camera": ["kind": "source.pattern", "settings": ["size": "320x180", "rate": "25"]],
            "slot": [
                "kind": "sink.ring", "inputs": ["video": "camera.video", "audio": "camera.audio"],
                "settings": ["slot": "cam1", "size": "160x90", "rate": "50", "pixelFormat": "uyvy422"],
            ],
        ])
        let slot = try #require(registry["cam1"], "registered at start")
        #expect(slot.origin == .requested && "\(slot.mapping.description(at: begin))".contains("160x90 uyvy422 50 fps"))
        let pictures = try await grains(slot.path, 60)
        let sound = try await grains(slot.path + "-audio", 40)
        try #require(pictures.count == 60 && sound.count == 40)
        for grains in [pictures, sound] {
            #expect(zip(grains, grains.dropFirst()).allSatisfy { abs($1.pts - $0.pts - 20_000_000) <= 1 })
            #expect(grains[0].pts >= begin - 100_000_000 && grains[0].pts < begin + 5_000_000_000)
        }
        // The pattern begins with both at once; a reader may have joined either a little later.
        #expect(abs(pictures[0].pts - sound[0].pts) < 500_000_000)
        #expect((pictures[0].pts - sound[0].pts) % 20_000_000 == 0)
        // Every other picture is a repeat, copied from the slot itself.
        #expect(slot.mapping.copied >= 29)
        try await run.start([:])
        #expect(registry["cam1"] == nil && registry["cam1-audio"] == nil)
        #expect(slot.mapping.isRemoved)
    }
}
