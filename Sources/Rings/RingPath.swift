// The name of a ring, kept so that it can be taken away again, and the name that it has while it is made.
import CLinux
import CRingLayout
import Synchronization

/// A path in shared memory as C wants it.
struct RingPath: Sendable {
    private let bytes: [CChar]

    init(_ path: UnsafePointer<CChar>) {
        bytes = Array(UnsafeBufferPointer(start: path, count: strlen(path) + 1))
    }

    /// Unlinks the name unless another ring has been renamed onto it: the old owner's clean-up must never delete the
    /// new owner's ring.
    func unlink(ifStill mapping: RingMapping) {
        bytes.withUnsafeBufferPointer { path in
            guard let path = path.baseAddress else { return }
            var named = stat()
            var ours = stat()
            guard stat(path, &named) == 0, fstat(mapping.descriptor, &ours) == 0, named.st_ino == ours.st_ino,
                named.st_dev == ours.st_dev
            else { return }
            _ = CLinux.unlink(path)
        }
    }
}

extension RingMapping {
    /// Takes the name `path` away, if it is still this ring's. For the process that owned the writer, after the writer is
    /// gone.
    public func takeAway(name path: UnsafePointer<CChar>) { RingPath(path).unlink(ifStill: self) }

    /// Leases (+ 1 for each reader) that the ring was made with room for; 0 for packet rings.
    public var leasesRoom: UInt32 { base.load(fromByteOffset: Int(PBR_AT_LEASES_ROOM), as: UInt32.self) }
}

/// A name beside `path` that no other process uses: `.PATH.PID.COUNTER` in the same folder.
struct TemporaryName {
    private var bytes: [CChar] = []
    private static let counter = Atomic<UInt32>(0)

    init(for path: UnsafePointer<CChar>) {
        let length = strlen(path)
        var slash = length
        while slash > 0, path[slash - 1] != 47 { slash -= 1 }
        for i in 0..<slash { bytes.append(path[i]) }
        bytes.append(46)
        for i in slash..<length { bytes.append(path[i]) }
        append(UInt32(bitPattern: getpid()))
        append(Self.counter.wrappingAdd(1, ordering: .relaxed).newValue)
        bytes.append(0)
    }

    private mutating func append(_ number: UInt32) {
        bytes.append(46)
        var divisor: UInt32 = 1_000_000_000
        while divisor > 0 {
            bytes.append(CChar(48 + number / divisor % 10))
            divisor /= 10
        }
    }

    func withPointer<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
        bytes.withUnsafeBufferPointer { body($0.baseAddress!) }
    }
}
