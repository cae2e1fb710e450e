// Slots whose writer says what no clock can, takes its name for its own for ever, or dies under its readers.
import CRingLayout
import Capture
import Engine
import FrameCache
import Graph
import GraphHarness
import Media
import Rings
import Routing
import Testing

extension SlotTests {
    @Test("Whatever times a writer gives, its slot is described, and a source takes from it")
    func absurdTimes() async throws {
        try await run.start([
            "ring": ["kind": "source.ring", "settings": ["video": "cam1"]],
            "out": ["kind": "sink.null", "inputs": ["in": "ring.video"]],
        ])
        var writer = try FrameRingWriter(creating: run.ringFolder + "/cam1", spec: request(Self.small).ring)
        let now = run.services.timeline.clock.monotonic
        let absurd: [Int64] = [.min, .min + 1, .min + now, .min / 2, -1, 0, 1, .max / 2, .max - now, .max - 1, .max]
        for field in Field.allCases {
            for time in absurd {
                var grain = Grain.empty()
                (grain.pts, grain.duration) = (run.services.timeline.clock.monotonic, 20_000_000)
                grain.origin = grain.pts
                field.set(of: &grain, to: time)
                let before = await taken
                guard let claim = writer.claim() else { throw Missing() }
                writer.publish(claim, grain)
                let isTaken = await eventually { await taken > before }
                try #require(isTaken, "\(field), \(time)")
                let shown = registry["cam1"]?.json(at: run.services.timeline.clock.monotonic)
                let head = Int(writer.nextSequence)
                #expect(shown?["head"]?.integer == head, "\(field), \(time)")
                _ = await run.engine.nodeStatus("ring")
                _ = await run.engine.nodeStatus("out")
            }
        }
    }

    private enum Field: CaseIterable {
        case pts, dts, duration, origin, ledger

        func set(of grain: inout Grain, to time: Int64) {
            switch self {
            case .pts: grain.pts = time
            case .dts: grain.dts = time
            case .duration: grain.duration = time
            case .origin: grain.origin = time
            case .ledger: for stage in 0..<3 as Range<UInt64> { grain.stamp(stage: stage, at: time) }
            }
        }
    }

    @Test("What was removed under a writer that lives is paid for until it lets go")
    func removedUnderItsWriter() throws {
        // The slot as a value would keep what it has reserved.
        let path = try registry.make(request(Self.small)).slot.path
        let size = run.services.ringBudget.reserved
        do {
            let writer = try FrameRingWriter(adopting: RingMapping.open(path: path))
            try registry.remove("cam1")
            let isTold = writer.mapping.isRemoved
            #expect(isTold && registry["cam1"] == nil)
            registry.sweep()
            #expect(size > 0 && run.services.ringBudget.reserved == size)
        }
        registry.sweep()
        #expect(run.services.ringBudget.reserved == 0)
    }

    @Test("Who reads what a writer left behind is told that it is removed")
    func orphan() throws {
        let clock = ManualClock(monotonic: 1_000_000_000)
        let services = EngineServices(
            timeline: Timeline(clock: clock), files: run.services.files, log: run.services.log,
            dataFolder: scratch.path, ringFolder: run.ringFolder, live: LiveDirectory())
        let registry = SlotRegistry(services)
        let path = try registry.make(request(Self.small)).slot.path
        var reader = try FrameRingReader(attaching: path)
        do {
            var writer = try FrameRingWriter(adopting: RingMapping.open(path: path))
            guard let claim = writer.claim() else { throw Missing() }
            writer.publish(claim, .empty())
        }
        registry.sweep()
        clock.advance(by: .seconds(SlotRegistry.linger.nanoseconds / 1_000_000_000 - 1))
        registry.sweep()
        #expect(registry["cam1"] != nil)
        clock.advance(by: .seconds(1))
        registry.sweep()
        #expect(registry["cam1"] == nil && services.ringBudget.reserved == 0)
        // What lay in it is read first.
        guard case .frame(let lease) = reader.next() else { throw Missing() }
        let isIntact = lease.isIntact
        #expect(isIntact)
        guard case .none(let state) = reader.next() else { throw Missing() }
        #expect(state == UInt32(PBR_STATE_REMOVED))
    }
}
