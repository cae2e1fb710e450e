// Who looks at a raw video ring from outside and notes each picture: `Bench watch RING FILE`, a process of its own, so
// that what is measured is what any reader sees.
import CLinux
import CRingLayout
import Media
import Rings

/// A picture as a reader met it. Times are monotonic nanoseconds.
struct Sighting {
    enum Kind: Int64 { case picture, lapped, unreadable, renewed }
    var kind: Int64 = 0
    /// When the reader had it.
    var arrival: Int64 = 0
    /// When it was captured.
    var origin: Int64 = 0
    var pts: Int64 = 0
    /// Burned into it; how many were lost where that is what is told.
    var number: Int64 = 0
    /// Luma of the first square, which is black in every picture as its source made it.
    var luma: Int64 = 0
}

/// Notes pictures until its parent is gone or ends it.
struct RingWatch {
    private let path: String
    private let file: Int32
    private let width: Int
    private let parent = getppid()

    /// `RING FILE WIDTH`.
    init(_ arguments: [String]) throws(BenchError) {
        guard arguments.count == 3, let width = Int(arguments[2]) else { throw BenchError("watch is started by Bench") }
        (path, self.width) = (arguments[0], width)
        file = linux_open(arguments[1], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0o644)
        guard file >= 0 else { throw BenchError("\(arguments[1]) can't be written") }
        // Only root may; without it the reader is as late as any other process.
        setpriority(PRIO_PROCESS, 0, -10)
    }

    func run() {
        var isFirst = true
        while getppid() == parent {
            do throws(RingError) {
                var reader = try FrameRingReader(attaching: path, leases: 1, start: isFirst ? .next : .newest)
                if !isFirst { note(.renewed) }
                isFirst = false
                follow(&reader)
            } catch { usleep(2_000) }
        }
    }

    private func follow(_ reader: inout FrameRingReader) {
        while getppid() == parent {
            switch reader.next() {
            case .frame(let lease): see(lease)
            case .lapped(let count): note(.lapped, number: Int64(count))
            case .none(let state):
                if state >= UInt32(PBR_STATE_SUPERSEDED) { return }
                reader.wait(until: linux_monotonic_nanoseconds() + 250_000_000)
            case .leasesSpent: return
            case .corrupt: return
            }
        }
    }

    private func see(_ lease: borrowing FrameLease) {
        let (grain, now) = (lease.grain, linux_monotonic_nanoseconds())
        var sighting = Sighting(
            kind: Sighting.Kind.picture.rawValue, arrival: now, origin: grain.origin, pts: grain.pts)
        let bytes = lease.bytes
        // The first plane's lines lie one behind the other with rows padded to 64 bytes at most: the width is a multiple.
        func luma(_ x: Int, _ y: Int) -> Int { Int(bytes[y * width + x]) }
        let middle = FrameNumber.side(width: width) / 2
        sighting.luma = Int64(luma(middle, middle))
        if let number = FrameNumber.read(width: width, luma: luma) {
            sighting.number = Int64(number)
        } else {
            sighting.kind = Sighting.Kind.unreadable.rawValue
        }
        write(sighting)
    }

    private func note(_ kind: Sighting.Kind, number: Int64 = 0) {
        write(Sighting(kind: kind.rawValue, arrival: linux_monotonic_nanoseconds(), number: number))
    }

    private func write(_ sighting: Sighting) {
        withUnsafeBytes(of: sighting) { _ = CLinux.write(file, $0.baseAddress, $0.count) }
    }
}

/// A watch under way, and what it has noted.
final class RingWatcher {
    private let process: ChildProcess
    private let file: String
    private var seen: [Sighting] = []

    init(_ outlet: String, of graph: RunningGraph, _ options: Options, width: Int) throws(BenchError) {
        file = "\(options.folder)/\(outlet).sightings"
        unlink(file)
        process = try ChildProcess(
            [options.bench, "watch", graph.ringFolder + outlet, file, "\(width)"], log: "\(options.folder)/watch.log")
    }

    deinit {
        process.signal(SIGKILL)
        process.reap()
    }

    /// All that it has noted so far.
    func sightings() -> [Sighting] {
        seen += news()
        return seen
    }

    /// The first from here on that `isSought`, once it is there; nil for what is not there yet.
    func next(where isSought: (Sighting) -> Bool) -> Sighting? {
        let news = news()
        seen += news
        return news.first { $0.kind == Sighting.Kind.picture.rawValue && isSought($0) }
    }

    private func news() -> [Sighting] {
        let size = MemoryLayout<Sighting>.stride
        let bytes = data(of: file, from: seen.count * size) ?? []
        return bytes.withUnsafeBytes { bytes in
            (0..<bytes.count / size).map { bytes.loadUnaligned(fromByteOffset: $0 * size, as: Sighting.self) }
        }
    }
}
