// A frame ring of 1080p pictures: published by one process, leased by others.
import CLinux
import CRingLayout
import Rings

final class RingSender: SendingEnd {
    private static let depth = 4
    /// Of the frames that readers may keep: each holds one at a time, or two where it keeps one, and is promised one more.
    private static func leases(readers: Int) -> Int { 3 * readers }
    /// The writer goes round in all of them: the window, the one that is being filled, and what readers may keep.
    static func buffers(readers: Int) -> Int { depth + 1 + leases(readers: readers) }
    /// Behind a pointer, as a C program has it: what Swift does to see that nobody else uses a variable of an object at the
    /// same time is not the ring's.
    private let writer: UnsafeMutablePointer<FrameRingWriter>

    init(_ path: String, readers: Int) throws(RingError) {
        let spec = RingSpec.frame(
            bufferSize: UInt64(frameSize), depth: UInt32(Self.depth), writerHolds: 0,
            leasesRoom: UInt32(Self.leases(readers: readers)),
            sideDataCapacity: 4096, format: pbr_format())
        writer = .allocate(capacity: 1)
        writer.initialize(to: try FrameRingWriter(creating: path, spec: spec))
    }
    deinit {
        writer.deinitialize(count: 1)
        writer.deallocate()
    }

    var next: Int64 { Int64(writer.pointee.nextSequence) }

    func send(_ picture: inout Picture) -> Sent? {
        guard let claim = writer.pointee.claim(), let destination = claim.bytes.baseAddress else { return nil }
        picture.fill(destination)
        var grain = pbr_grain()
        grain.size = UInt32(frameSize)
        grain.origin = linux_monotonic_nanoseconds()
        let ready = grain.origin
        writer.pointee.publish(claim, grain)
        return Sent(ready: ready, returned: linux_monotonic_nanoseconds())
    }

    func end() {
        guard let claim = writer.pointee.claim() else { return }
        var grain = pbr_grain()
        grain.origin = endStamp
        writer.pointee.publish(claim, grain)
    }

    /// Grains that came from the heap, as the ring itself counts them.
    var copies: Int64 { writer.pointee.mapping.base.load(fromByteOffset: Int(PBR_AT_COPIED), as: Int64.self) }
}

final class RingReceiver: ReceivingEnd {
    private let reader: UnsafeMutablePointer<FrameRingReader>
    private let spins: Bool
    private(set) var lost: Int64 = 0

    init(_ path: String, spins: Bool) throws(RingError) {
        reader = .allocate(capacity: 1)
        reader.initialize(to: try FrameRingReader(attaching: path, leases: 2, start: .next))
        self.spins = spins
    }
    deinit {
        reader.deinitialize(count: 1)
        reader.deallocate()
    }

    func catchUp() { reader.pointee.seek(to: .next) }

    func receive(until deadline: Int64) -> Received? {
        while true {
            switch reader.pointee.next() {
            case .frame(let lease):
                return Received(sequence: Int64(lease.grain.sequence), stamp: lease.grain.origin)
            case .lapped(let count): lost += Int64(count)
            case .none:
                guard reader.pointee.wait(until: deadline, spinning: spins ? 1_000_000_000 : 0) == .news else {
                    return nil
                }
            default: return nil
            }
        }
    }

    func hold(while goesOn: () -> Bool) {
        while goesOn() {
            reader.pointee.wait(until: linux_monotonic_nanoseconds() + 100_000_000)
            guard case .frame(let lease) = reader.pointee.next() else { continue }
            while goesOn() { _ = poll(nil, 0, 10) }
            _ = lease
        }
    }
}
