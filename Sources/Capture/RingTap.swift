// One slot as a source reads it: finds the ring by its name, joins it, follows it through generations, the end of its
// writer and its return. On the source's lane only; nothing in the slot is believed that could lead outside a buffer.
import CLinux
import CRingLayout
import Engine
import Media
import Rings

/// A grain that a tap holds, or why it holds none.
enum TapTake: ~Copyable {
    case frame(FrameLease)
    case packet(Grain)
    /// The ring has nothing new.
    case nothing
    /// Grains were lost, or skipped because they were corrupt: take again.
    case lost
}

/// The reading end of one slot.
final class RingTap {
    let slot: String
    let outlet: Outlet
    private let path: String
    private var frames: FrameRingReader?
    private var packets: PacketRingReader?
    /// Something is missing before the next grain.
    var needsDiscontinuity = false
    /// When the writer was last seen alive, or the ring last looked for; monotonic nanoseconds.
    private var lastLook: Int64 = .min
    private var hasSignal = false
    /// Why the slot can't be read, told once.
    private(set) var trouble = ""

    static let lookInterval: Int64 = 100_000_000

    init(_ slot: String, in context: NodeContext, outlet: Outlet) {
        (self.slot, self.outlet) = (slot, outlet)
        path = context.services.slotNames.path(of: slot)
    }

    var isAttached: Bool { frames != nil || packets != nil }
    var mapping: RingMapping? { frames?.mapping ?? packets?.mapping }
    /// For `waitForAny`; nil while there is no ring.
    var waitPoint: RingWaitPoint? { frames?.waitPoint ?? packets?.waitPoint }

    // MARK: Joining

    /// Looks for the ring, ten times a second, where it is not joined; and whether its writer lives, where it is.
    /// - Returns: whether the ring was joined just now.
    func look(at now: Int64, name: String) throws(NodeFault) -> Bool {
        guard now &- lastLook >= Self.lookInterval || lastLook == .min else { return false }
        lastLook = now
        if isAttached {
            if hasSignal, !(mapping?.isWriterAlive ?? false) { loseSignal() }
            return false
        }
        let ring: RingMapping
        do throws(RingError) { ring = try RingMapping.open(path: path) } catch {
            if case .system(.open, ENOENT) = error {
                trouble = "there is no slot \"\(slot)\": start its writer, or POST /slots"
            } else {
                trouble = "the slot \"\(slot)\" can't be read: \(error)"
            }
            return false
        }
        guard ring.state != UInt32(PBR_STATE_REMOVED), ring.state != UInt32(PBR_STATE_ENDED) else {
            trouble = "the slot \"\(slot)\" has ended"
            return false
        }
        return try join(ring, name)
    }

    private func join(_ ring: RingMapping, _ name: String) throws(NodeFault) -> Bool {
        guard let format = checkedFormat(ring) else { return false }
        try outlet.declare(format)
        do throws(RingError) {
            if format.type.isRaw {
                frames = try FrameRingReader(joining: ring, leases: 1, start: .newest, name: name)
            } else {
                packets = try PacketRingReader(joining: ring, start: .newestKey, name: name)
            }
        } catch {
            trouble = "the slot \"\(slot)\" takes no further reader: \(error)"
            return false
        }
        trouble = ""
        needsDiscontinuity = true
        return true
    }

    /// The ring's format where it is one that this outlet carries and that fits its buffers.
    private func checkedFormat(_ ring: RingMapping) -> StreamFormat? {
        let format: StreamFormat
        do throws(FormatError) { format = try StreamFormat(ring.format, extradata: Array(ring.extradata)) } catch {
            trouble = "the slot \"\(slot)\" has a format that can't be: \(error)"
            return nil
        }
        guard format.type == outlet.port.type else {
            trouble = "the slot \"\(slot)\" carries \(format.type.phrase), the outlet \(outlet.port.type.phrase)"
            return nil
        }
        guard UInt64(format.rawSize) <= ring.identity.buffer_stride || !format.type.isRaw else {
            trouble = "the slot \"\(slot)\" has buffers of \(ring.identity.buffer_stride) bytes for \(format)"
            return nil
        }
        return format
    }

    // MARK: Grains

    /// The next grain; a packet is to be copied by `copy` or left by `skip` before the next look.
    func take() -> TapTake {
        if frames != nil { return takeFrame() }
        guard packets != nil else { return .nothing }
        switch packets!.peek() {
        case .packet(let grain):
            hasSignal = true
            return .packet(grain)
        case .lapped:
            needsDiscontinuity = true
            return .lost
        case .corrupt:
            meetCorruption()
            return .lost
        case .none(let state):
            follow(state)
            return .nothing
        }
    }

    private func takeFrame() -> TapTake {
        switch frames!.next() {
        case .frame(let lease):
            hasSignal = true
            return .frame(lease)
        case .lapped:
            needsDiscontinuity = true
            return .lost
        case .corrupt:
            meetCorruption()
            return .lost
        case .none(let state):
            follow(state)
            return .nothing
        case .leasesSpent: return .nothing
        }
    }

    /// Copies the packet that was looked at. False: it was overwritten meanwhile.
    func copy(
        _ grain: Grain, into buffer: UnsafeMutableRawBufferPointer, sideData: UnsafeMutableRawBufferPointer
    ) -> Bool {
        packets?.take(grain, into: buffer, sideData: sideData) ?? false
    }

    func skip() { packets?.skip() }

    /// What the state of a drained ring means.
    private func follow(_ state: UInt32) {
        switch state {
        case UInt32(PBR_STATE_SUPERSEDED), UInt32(PBR_STATE_ENDED), UInt32(PBR_STATE_REMOVED):
            detach()
            // A ring of the next generation has the name by now.
            lastLook = .min
            if state != UInt32(PBR_STATE_SUPERSEDED) { loseSignal() }
        case UInt32(PBR_STATE_NO_SIGNAL): if hasSignal { loseSignal() }
        default: break
        }
    }

    /// One bad grain is passed over; a file that was cut is left, until another ring has its name.
    private func meetCorruption() {
        needsDiscontinuity = true
        guard mapping?.isCorrupt ?? false else { return }
        detach()
        loseSignal()
    }

    private func loseSignal() {
        hasSignal = false
        needsDiscontinuity = true
        outlet.set(.noSignal)
    }

    func detach() {
        frames = nil
        packets = nil
    }
}

extension StreamFormat {
    /// Bytes of a whole raw grain, 0 for coded ones.
    var rawSize: Int {
        switch self {
        case .rawVideo(let video): video.planes.size
        case .rawAudio(let audio): audio.bufferSize
        default: 0
        }
    }
}

/// A buffer for packets and what stands beside them, that grows to the largest.
struct PacketBytes {
    private final class Storage {
        let bytes: UnsafeMutableRawBufferPointer
        init(_ count: Int) { bytes = .allocate(byteCount: count, alignment: 16) }
        deinit { bytes.deallocate() }
    }
    private var storage = Storage(64 << 10)

    /// Room for a payload and for its side data, each rounded up to words; both until the next call.
    mutating func rooms(
        _ size: UInt32, _ sideDataSize: UInt32
    ) -> (UnsafeMutableRawBufferPointer, UnsafeMutableRawBufferPointer) {
        let (first, second) = ((Int(size) + 7) & ~7, (Int(sideDataSize) + 7) & ~7)
        let wanted = first + second
        if wanted > storage.bytes.count { storage = Storage(max(wanted, 2 * storage.bytes.count)) }
        return (
            UnsafeMutableRawBufferPointer(rebasing: storage.bytes[..<first]),
            UnsafeMutableRawBufferPointer(rebasing: storage.bytes[first..<wanted])
        )
    }
}
