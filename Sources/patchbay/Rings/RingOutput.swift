// A ring's grains as bytes in a descriptor: what `ring read` and `ring write --fifo` do alike. One thread.
import CLinux
import CRingLayout
import Media
import Rings

/// Reads one generation of a ring after the other into a descriptor.
struct RingOutput {
    /// Why a generation is not read any further.
    enum Ending {
        /// The next generation has its name.
        case superseded
        case over
        /// Nobody takes more, or there was to be no more.
        case enough
        /// Somebody cut its file.
        case cut
    }

    private let descriptor: Int32
    /// Grains.
    private let limit: UInt64
    /// Monotonic nanoseconds.
    private let end: Int64
    private var written: UInt64 = 0
    /// Grains that were overwritten before they were read.
    private(set) var lost: UInt64 = 0
    private var bytes: [UInt8] = []

    /// Nanoseconds.
    private static let patience: Int64 = 500_000_000

    init(to descriptor: Int32, limit: UInt64 = .max, end: Int64 = .max) {
        (self.descriptor, self.limit, self.end) = (descriptor, limit, end)
    }

    /// - Parameter name: what others see of the reader.
    mutating func copy(
        _ ring: RingMapping, as stream: GrainStream, from start: ReaderStart, name: String
    ) throws(RingError) -> Ending {
        stream.format.type.isRaw
            ? try copyFrames(ring, stream, start, name) : try copyPackets(ring, stream, start, name)
    }

    private mutating func copyFrames(
        _ ring: RingMapping, _ stream: GrainStream, _ start: ReaderStart, _ name: String
    ) throws(RingError) -> Ending {
        var reader = try FrameRingReader(joining: ring, leases: 1, start: start, name: name)
        while true {
            switch reader.next() {
            case .frame(let lease):
                bytes.removeAll(keepingCapacity: true)
                stream.append(lease.bytes, lease.grain, to: &bytes)
                guard send() else { return .enough }
            case .lapped(let count): lost += count
            case .corrupt: guard !skip(ring) else { return .cut }
            case .leasesSpent: break
            case .none(let state):
                if let ending = ending(state, ring) { return ending }
                reader.wait(until: pause)
            }
        }
    }

    private mutating func copyPackets(
        _ ring: RingMapping, _ stream: GrainStream, _ start: ReaderStart, _ name: String
    ) throws(RingError) -> Ending {
        var reader = try PacketRingReader(joining: ring, start: start, name: name)
        var packet = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            switch reader.peek() {
            case .packet(let grain):
                let room = (Int(grain.size) + 7) & ~7
                if packet.count < room { packet = Array(repeating: 0, count: 2 * room) }
                guard packet.withUnsafeMutableBytes({ reader.take(grain, into: $0) }) else { continue }
                bytes.removeAll(keepingCapacity: true)
                packet.withUnsafeBytes { stream.append(packet: .init(rebasing: $0[..<Int(grain.size)]), to: &bytes) }
                guard send() else { return .enough }
            case .lapped(let count): lost += count
            case .corrupt: guard !skip(ring) else { return .cut }
            case .none(let state):
                if let ending = ending(state, ring) { return ending }
                reader.wait(until: pause)
            }
        }
    }

    /// False when that was the last grain.
    private mutating func send() -> Bool {
        written += 1
        return writeAll(bytes, to: descriptor) && written < limit && !isOver
    }

    /// A grain that is none; true when the whole ring is none.
    private mutating func skip(_ ring: RingMapping) -> Bool {
        lost += 1
        return ring.isCorrupt
    }

    private var isOver: Bool { linux_monotonic_nanoseconds() >= end }
    private var pause: Int64 { min(end, linux_monotonic_nanoseconds() + Self.patience) }

    /// What the state of a drained ring means; nil to wait for more.
    private func ending(_ state: UInt32, _ ring: RingMapping) -> Ending? {
        switch state {
        case UInt32(PBR_STATE_SUPERSEDED): return .superseded
        case UInt32(PBR_STATE_ENDED), UInt32(PBR_STATE_REMOVED): return .over
        // A writer that died may have a successor on a ring of its own.
        default: return ring.nameCount == 0 ? .superseded : isOver ? .enough : nil
        }
    }
}

/// Writes all of it, waiting for as long as that takes; false when nobody reads any more.
func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
    bytes.withUnsafeBytes { all in
        var rest = all[...]
        while !rest.isEmpty {
            let count = write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
            if count < 0, linux_errno() == EINTR { continue }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }
}
