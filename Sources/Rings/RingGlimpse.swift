// What an onlooker may see of a grain without taking a place in the ring: its metadata, copied and then validated. No
// lease, no bit, no bytes; for registries and tools. Any thread.
import CLinux
public import CRingLayout
import Synchronization

extension RingMapping {
    /// Whether this is a ring of buffers (raw video and audio) and not of packets.
    public var isFrameRing: Bool { identity.ring_type == UInt32(PBR_RING_FRAME) }

    /// The metadata of the grain `sequence`, nil when it is not in the window (any more).
    public func glimpse(_ sequence: UInt64) -> pbr_grain? {
        guard isFrameRing else { return validatedSlot(sequence).flatMap { $0.sequence == sequence ? $0 : nil } }
        let word = slotWord(sequence)
        let slot = word.pointee.load(ordering: .sequentiallyConsistent)
        guard slot != PBR_SLOT_EMPTY, slot >> 16 == sequence & PBR_SEQUENCE_MASK else { return nil }
        let buffer = Int32(slot & 0xFFFF)
        guard UInt32(buffer) < identity.buffer_count else { return nil }
        let words = metadata(of: buffer).assumingMemoryBound(to: Atomic<UInt64>.self)
        var grain = pbr_grain()
        withUnsafeMutableBytes(of: &grain) { bytes in
            for i in 0..<(bytes.count / 8) {
                bytes.storeBytes(of: words[i].load(ordering: .relaxed), toByteOffset: 8 * i, as: UInt64.self)
            }
        }
        // SYNC retire: the slot is emptied before its buffer can be claimed again; if it is the same after the copy, the
        // copy is whole.
        atomicMemoryFence(ordering: .acquiring)
        guard word.pointee.load(ordering: .sequentiallyConsistent) == slot, grain.sequence == sequence else {
            return nil
        }
        return grain
    }

    /// Grains a second by the times of up to `count` of the newest grains; nil with fewer than two.
    public func measuredRate(over count: UInt64 = 64) -> Double? {
        let end = head
        var (first, last): (Int64, Int64) = (.max, .min)
        var seen = 0.0
        var sequence = end &- min(count, UInt64(identity.depth))
        while sequence != end {
            if let grain = glimpse(sequence), grain.pts != .min {
                (first, last) = (min(first, grain.pts), max(last, grain.pts))
                seen += 1
            }
            sequence &+= 1
        }
        guard seen >= 2, last > first else { return nil }
        return (seen - 1) * 1e9 / Double(last &- first)
    }

    /// The largest difference, over up to `count` of the newest grains, between how far apart two grains came and how far
    /// apart their times are; nanoseconds, nil with fewer than two grains that say when they came.
    public func measuredJitter(over count: UInt64 = 64) -> Int64? {
        let end = head
        var before: (at: Int64, pts: Int64)?
        var largest: Int64?
        var sequence = end &- min(count, UInt64(identity.depth))
        while sequence != end {
            if let grain = glimpse(sequence), grain.pts != .min, let at = grain.publishTime {
                if let before {
                    let difference = (at &- before.at) &- (grain.pts &- before.pts)
                    largest = max(largest ?? 0, Int64(clamping: difference.magnitude))
                }
                before = (at, grain.pts)
            }
            sequence &+= 1
        }
        return largest
    }

    /// When the newest grain came into being or arrived, monotonic nanoseconds; nil where it does not say.
    public var newestOrigin: Int64? {
        guard let grain = glimpse(head &- 1), grain.origin != .min else { return nil }
        return grain.origin
    }
}

extension RingMapping {
    /// Whether both are mappings of one file.
    public func isSameRing(as other: RingMapping) -> Bool {
        guard let ours = fileNumber, let theirs = other.fileNumber else { return false }
        return ours == theirs
    }

    /// The inode of the ring's file.
    public var fileNumber: UInt64? {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? UInt64(status.st_ino) : nil
    }

    /// How many names the ring's file has; 0 when it is only kept by those who have it mapped.
    public var nameCount: Int {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? Int(status.st_nlink) : 0
    }

    /// Whether the ring could have been made of `spec`: same areas, same format. Generation and first sequence aside.
    public func isMade(of spec: RingSpec, extradata wanted: [UInt8]) -> Bool {
        isMade(of: spec) && extradata.elementsEqual(wanted)
    }

    /// The same of rings without extradata.
    public func isMade(of spec: RingSpec) -> Bool {
        guard var wanted = spec.identity else { return false }
        (wanted.generation, wanted.clock_domain) = (identity.generation, identity.clock_domain)
        (wanted.layout_major, wanted.layout_minor) = (identity.layout_major, identity.layout_minor)
        var (ours, its) = (identity, spec.format)
        var format = self.format
        return memcmp(&ours, &wanted, MemoryLayout<pbr_identity>.size) == 0
            && memcmp(&format, &its, MemoryLayout<pbr_format>.size) == 0
    }

    /// For an onlooker, of a ring whose writer is gone: readers learn that another ring has taken the name.
    public func supersede() { store(state: UInt32(PBR_STATE_SUPERSEDED)) }
}

extension pbr_grain {
    /// When it was published, monotonic nanoseconds: the newest stamp of its ledger, else its origin; nil unknown.
    fileprivate var publishTime: Int64? {
        guard ledger_count > 0 else { return origin == .min ? nil : origin }
        let last = Int(min(ledger_count, UInt32(PBR_LEDGER_STAGES))) - 1
        return withUnsafeBytes(of: ledger) {
            $0.loadUnaligned(
                fromByteOffset: last * MemoryLayout<pbr_stamp>.stride + MemoryLayout<UInt64>.size, as: Int64.self)
        }
    }
}
