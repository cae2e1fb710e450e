// One ring that a reader sits in, until it reopens the name. Raw grains are leased where they lie, nothing is copied;
// packets are copied into memory of this object and used only after the copy was validated.
import CLinux
import CPatchbayRing
import CRingLayout
import Media
import Rings
import Synchronization

final class JoinedRing {
    /// What a look at the ring gave.
    enum Look {
        case grain, lapped, corrupt
        case none(state: UInt32)
    }

    let mapping: RingMapping
    private var frames: FrameRingReader?
    private var packets: PacketRingReader?
    /// Copies: the header is shared with whoever may write it.
    let format: UnsafeMutablePointer<pbr_format>
    let extradata: UnsafeMutableRawBufferPointer
    /// Room for the largest packet that the ring can hold; what is never touched takes no memory.
    private let packet: UnsafeMutableRawBufferPointer

    /// Zeros behind a packet: decoders read beyond its end (AV_INPUT_BUFFER_PADDING_SIZE).
    private static let padding = 64

    init(
        _ mapping: RingMapping, _ name: RingName, _ start: ReaderStart, _ leases: UInt32, _ readerName: String
    ) throws(RingError) {
        self.mapping = mapping
        let isFrames = mapping.identity.ring_type == UInt32(PBR_RING_FRAME)
        format = .allocate(capacity: 1)
        format.initialize(to: mapping.format)
        extradata = .allocate(byteCount: max(mapping.extradata.count, 1), alignment: 8)
        extradata.copyMemory(from: mapping.extradata)
        packet = .allocate(
            byteCount: isFrames ? 8 : Int(mapping.identity.payload_size / 2) + Self.padding + 16, alignment: 64)
        if isFrames {
            frames = try FrameRingReader(
                joining: mapping, leases: leases == 0 ? 2 : leases, start: start, name: readerName)
        } else {
            packets = try PacketRingReader(joining: mapping, start: start, name: readerName)
        }
    }

    deinit {
        format.deallocate()
        extradata.deallocate()
        packet.deallocate()
    }

    var seat: ReaderSeat? { frames?.seat ?? packets?.seat }
    /// The sequence that is wanted next.
    var position: UInt64 { frames?.position ?? packets?.position ?? 0 }
    var lag: UInt64 { frames?.lag ?? packets?.lag ?? 0 }

    /// Looks at the next grain. Never waits.
    func look(_ lease: inout pbr_lease) throws(Failure) -> Look {
        frames != nil ? try lookAtFrames(&lease) : lookAtPackets(&lease)
    }

    private func lookAtFrames(_ out: inout pbr_lease) throws(Failure) -> Look {
        guard let read = frames?.next() else { return .corrupt }
        switch consume read {
        case .frame(let lease):
            let bytes = lease.bytes
            let sideData = lease.sideData
            out.grain = lease.grain
            // What another process scribbled there must not lead beyond the buffer.
            let size = lease.grain.size == 0 ? bytes.count : min(Int(lease.grain.size), bytes.count)
            (out.data, out.size) = (bytes.baseAddress, size)
            out.side_data = sideData.isEmpty ? nil : sideData.baseAddress
            out.side_data_size = sideData.count
            out.owner = lease.handOver()
            return .grain
        case .lapped(let lost):
            out.lost = lost
            return .lapped
        case .none(let state): return .none(state: state)
        case .corrupt: return .corrupt
        case .leasesSpent:
            throw Failure(
                PBR_ERROR_LEASES,
                "all \(seat?.leaseLimit ?? 0) leases are held: release one, or attach with more leases")
        }
    }

    private func lookAtPackets(_ out: inout pbr_lease) -> Look {
        while true {
            guard let read = packets?.peek() else { return .corrupt }
            switch read {
            case .packet(let grain):
                if take(grain, &out) { return .grain }
            case .lapped(let lost):
                out.lost = lost
                return .lapped
            case .none(let state): return .none(state: state)
            case .corrupt: return .corrupt
            }
        }
    }

    /// Copies the packet out. False when it was overwritten meanwhile; the next look tells how much was lost.
    private func take(_ grain: pbr_grain, _ out: inout pbr_lease) -> Bool {
        let size = Int(grain.size)
        let sideSize = Int(grain.side_data_size)
        let sideStart = (size + Self.padding + 7) & ~7
        guard sideStart + ((sideSize + 7) & ~7) <= packet.count else { return false }
        let payload = UnsafeMutableRawBufferPointer(rebasing: packet[..<sideStart])
        let side = UnsafeMutableRawBufferPointer(rebasing: packet[sideStart...])
        guard packets?.take(grain, into: payload, sideData: sideSize > 0 ? side : nil) ?? false else { return false }
        memset(payload.baseAddress! + size, 0, Self.padding)
        out.grain = grain
        (out.data, out.size) = (UnsafeRawPointer(payload.baseAddress), size)
        (out.side_data, out.side_data_size) = (sideSize > 0 ? UnsafeRawPointer(side.baseAddress) : nil, sideSize)
        out.owner = nil
        return true
    }

    /// Touches the ring's last byte: a file that was cut behind the words that a waiting reader looks at is found so.
    func touchEnd() {
        let last = mapping.base + Int(mapping.identity.file_size) - 1
        _ = last.assumingMemoryBound(to: Atomic<UInt8>.self).pointee.load(ordering: .relaxed)
    }

    /// Goes on at another place in the window.
    func seek(_ start: ReaderStart) {
        frames?.seek(to: start)
        packets?.seek(to: start)
    }

    /// Waits until there is news or `deadline` (monotonic nanoseconds) has come.
    /// - Parameter spins: stays awake: a word that the writer stores is seen in less than a microsecond.
    func wait(until deadline: Int64, spins: Bool) {
        let spinning = spins ? deadline - linux_monotonic_nanoseconds() : 0
        frames?.wait(until: deadline, spinning: spinning)
        packets?.wait(until: deadline, spinning: spinning)
    }
}
