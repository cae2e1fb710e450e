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
    private var writer: FrameRingWriter

    init(_ path: String, readers: Int) throws(RingError) {
        let spec = RingSpec.frame(
            bufferSize: UInt64(frameSize), depth: UInt32(Self.depth), writerHolds: 0,
            leasesRoom: UInt32(Self.leases(readers: readers)),
            sideDataCapacity: 4096, format: pbr_format())
        writer = try FrameRingWriter(creating: path, spec: spec)
    }

    var next: Int64 { Int64(writer.nextSequence) }

    func send(_ picture: inout Picture) -> Sent? {
        guard let claim = writer.claim(), let destination = claim.bytes.baseAddress else { return nil }
        picture.fill(destination)
        var grain = pbr_grain()
        grain.size = UInt32(frameSize)
        grain.origin = linux_monotonic_nanoseconds()
        let ready = grain.origin
        writer.publish(claim, grain)
        return Sent(ready: ready, returned: linux_monotonic_nanoseconds())
    }

    func end() {
        guard let claim = writer.claim() else { return }
        var grain = pbr_grain()
        grain.origin = endStamp
        writer.publish(claim, grain)
    }

    /// Grains that came from the heap, as the ring itself counts them.
    var copies: Int64 { writer.mapping.base.load(fromByteOffset: Int(PBR_AT_COPIED), as: Int64.self) }
}

final class RingReceiver: ReceivingEnd {
    private var reader: FrameRingReader
    private let spins: Bool
    private(set) var lost: Int64 = 0

    init(_ path: String, spins: Bool) throws(RingError) {
        reader = try FrameRingReader(attaching: path, leases: 2, start: .next)
        self.spins = spins
    }

    func catchUp() { reader.seek(to: .next) }

    func receive(until deadline: Int64) -> Received? {
        while true {
            switch reader.next() {
            case .frame(let lease):
                return Received(sequence: Int64(lease.grain.sequence), stamp: lease.grain.origin)
            case .lapped(let count): lost += Int64(count)
            default:
                if linux_monotonic_nanoseconds() >= deadline { return nil }
                reader.wait(until: deadline, spinning: spins ? 1_000_000_000 : 0)
            }
        }
    }

    func hold(while goesOn: () -> Bool) {
        while goesOn() {
            reader.wait(until: linux_monotonic_nanoseconds() + 100_000_000)
            guard case .frame(let lease) = reader.next() else { continue }
            while goesOn() { _ = poll(nil, 0, 10) }
            _ = lease
        }
    }
}
