// The name of a ring that this process made, kept so that it can be taken away again.
import CLinux
import CRingLayout

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
