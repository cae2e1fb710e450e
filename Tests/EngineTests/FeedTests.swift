// What a feed says of the end of its ring while another thread writes it.
import CLinux
import CRingLayout
import Media
import Rings
import Synchronization
import Testing

@testable import Engine

/// A writer on a thread of its own: a grain and, at once, a state that says that nothing follows for now; then the next.
///
/// `@unchecked Sendable`: `writer` is used by the thread that runs `write` alone once it does.
private final class HastyWriter: @unchecked Sendable {
    private var writer: FrameRingWriter
    let mapping: RingMapping
    /// How many rounds the reader is ready for.
    let asked = Atomic<Int>(0)

    init(_ path: String, _ spec: RingSpec) throws {
        writer = try FrameRingWriter(creating: path, spec: spec)
        mapping = writer.mapping
    }

    /// The states differ from round to round, so that an old one is not taken for the new one.
    static func signal(_ round: Int) -> Signal { round % 2 == 0 ? .noSignal : .absent }

    func write(_ rounds: Int) {
        for round in 0..<rounds {
            while asked.load(ordering: .acquiring) <= round { sched_yield() }
            guard let claim = writer.claim() else { return }
            writer.publish(claim, pbr_grain())
            writer.set(state: Self.signal(round).rawValue)
        }
    }
}

@Suite("Feeds") struct FeedTests {
    @Test("That all is read and nothing follows is never said before the last grain, 200 000 times")
    func lastGrain() throws {
        let rounds = 200_000
        let format = VideoFormat(
            picture: PictureFormat(size: PictureSize(width: 16, height: 16), rate: nil), pixelFormat: .yuv420p)
        let path = "/dev/shm/patchbay-test-\(getpid())-feed"
        let writer = try HastyWriter(
            path,
            RingSpec.frame(
                bufferSize: UInt64(format.planes.size), depth: 4, writerHolds: 0, leasesRoom: 12, sideDataCapacity: 0,
                format: StreamFormat.rawVideo(format).layout))
        defer { unlink(path) }
        let lane = try Lane(name: "writer", clock: SystemClock())
        defer { lane.stop() }
        let port = OutletPort(node: "in", name: "video", type: .rawVideo, hold: nil, lane: lane)
        let reservation = try #require(RingBudget(limit: nil).reserve(writer.mapping.identity.file_size))
        port.install(
            OutletRing(
                mapping: writer.mapping, format: .rawVideo(format), generation: 1, reservation: reservation, first: nil)
        )
        let feed = Feed(Wiring.Source(port: port, isLossless: false), leases: 2, label: "test")
        #expect(feed.join() == .joined)
        try startThread(name: "hasty") { writer.write(rounds) }
        var early = 0
        let deadline = linux_monotonic_nanoseconds() + 60_000_000_000
        for round in 0..<rounds {
            writer.asked.store(round + 1, ordering: .releasing)
            var isOver = false
            while !isOver || feed.frames?.position ?? 0 <= round {
                if !isOver, feed.drainedSignal == HastyWriter.signal(round) {
                    isOver = true
                    if feed.frames?.position ?? 0 <= round { early += 1 }
                }
                _ = feed.frames?.next()
                try #require(linux_monotonic_nanoseconds() < deadline, "round \(round)")
            }
        }
        #expect(early == 0)
    }
}
