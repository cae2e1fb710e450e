// A folder in shared memory for one test, and what the tests of rings share: small specs, fills, seeded numbers.
import CLinux
import CRingLayout
import Foundation
import Rings
import Synchronization

/// A folder under /dev/shm that goes with this value. Every test has its own, so that they run side by side.
final class RingFolder: Sendable {
    let path: String
    private static let counter = Atomic<Int>(0)

    init() throws {
        let number = Self.counter.wrappingAdd(1, ordering: .relaxed).newValue
        path = "/dev/shm/patchbay-test-\(getpid())-\(number)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit {
        do {
            try FileManager.default.removeItem(atPath: path)
        } catch {
            print("could not remove \(path): \(error)")
        }
    }

    func ring(_ name: String = "node.video") -> String { path + "/" + name }
    func names() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: path).sorted() }
}

/// A frame ring as the protocol sizes it.
func frameSpec(
    bufferSize: UInt64 = 4096, depth: UInt32 = 4, holds: UInt32 = 2, leases: UInt32 = 12, sideData: UInt32 = 256,
    first: UInt64 = 0
) -> RingSpec {
    var spec = RingSpec.frame(
        bufferSize: bufferSize, depth: depth, writerHolds: holds, leasesRoom: leases, sideDataCapacity: sideData,
        format: pbr_format())
    spec.firstSequence = first
    return spec
}

func packetSpec(capacity: UInt64 = 65536, depth: UInt32 = 16, first: UInt64 = 0) -> RingSpec {
    var spec = RingSpec(shape: .packet(capacity: capacity), depth: depth, format: pbr_format())
    spec.firstSequence = first
    return spec
}

func grain(pts: Int64 = 0, key: Bool = false) -> pbr_grain {
    var grain = pbr_grain()
    (grain.pts, grain.dts) = (pts, pts)
    if key { grain.flags = PBR_GRAIN_KEY }
    return grain
}

/// What the content of grain `sequence` is made of, so that a mixture of two grains shows.
func pattern(_ sequence: UInt64) -> UInt64 { (sequence &+ 1) &* 0x9E37_79B9_7F4A_7C15 }

// Word by word through typed pointers: of `storeBytes` and `allSatisfy` ThreadSanitizer sees nothing in a debug build.
func fill(_ bytes: UnsafeMutableRawBufferPointer, _ sequence: UInt64) {
    let words = bytes.bindMemory(to: UInt64.self)
    guard let first = words.baseAddress else { return }
    for word in words.indices { first[word] = pattern(sequence) }
}

func isWhole(_ bytes: UnsafeRawBufferPointer, _ sequence: UInt64) -> Bool {
    let words = bytes.bindMemory(to: UInt64.self)
    guard let first = words.baseAddress else { return true }
    for word in words.indices where first[word] != pattern(sequence) { return false }
    return true
}

extension FrameRingWriter {
    /// `claim`, where a test has no use for nil.
    func filling() throws -> FrameClaim {
        guard let claim = claim() else { throw NothingLeased() }
        return claim
    }

    /// Fills a buffer with its sequence and publishes it; false when no buffer was free.
    @discardableResult
    mutating func publishPattern(pts: Int64? = nil) -> Bool {
        let sequence = nextSequence
        guard let claim = claim() else { return false }
        fill(claim.bytes, sequence)
        publish(claim, grain(pts: pts ?? Int64(bitPattern: sequence)))
        return true
    }
}

extension FrameRingReader {
    /// The next look, dropped at once, as a word for assertions.
    mutating func look() -> String {
        switch next() {
        case .frame(let lease): isWhole(lease.bytes, lease.grain.sequence) ? "frame \(lease.grain.sequence)" : "torn"
        case .lapped(let lost): "lapped \(lost)"
        case .none(let state): "none \(state)"
        case .leasesSpent: "spent"
        case .corrupt: "corrupt"
        }
    }

    mutating func lease() throws -> FrameLease {
        if case .frame(let lease) = next() { return lease }
        throw NothingLeased()
    }
}
struct NothingLeased: Error {}

extension PacketRingWriter {
    @discardableResult
    mutating func appendPattern(words: Int = 8, key: Bool = false, pts: Int64? = nil) -> Appended {
        let payload = [UInt64](repeating: pattern(nextSequence), count: words)
        let grain = grain(pts: pts ?? Int64(bitPattern: nextSequence), key: key)
        return payload.withUnsafeBytes { append(grain, $0) }
    }
}

extension PacketRingReader {
    /// Looks at the next packet and takes it, as a word for assertions.
    mutating func look() -> String {
        switch peek() {
        case .packet(let grain):
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(grain.size) + 8, alignment: 8)
            defer { buffer.deallocate() }
            guard take(grain, into: buffer) else { return "overwritten" }
            let payload = UnsafeRawBufferPointer(rebasing: buffer[..<Int(grain.size)])
            return isWhole(payload, grain.sequence) ? "packet \(grain.sequence)" : "torn"
        case .lapped(let lost): return "lapped \(lost)"
        case .none(let state): return "none \(state)"
        case .corrupt: return "corrupt"
        }
    }
}

/// SplitMix64: a seeded generator for tests.
struct SeededNumbers: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// Looks for a condition until it holds or `seconds` have passed; yields in between.
func eventually(within seconds: Double = 10, _ condition: () throws -> Bool) rethrows -> Bool {
    let deadline = linux_monotonic_nanoseconds() + Int64(seconds * 1e9)
    while linux_monotonic_nanoseconds() < deadline {
        if try condition() { return true }
        sched_yield()
    }
    return try condition()
}
