// What another process may do to a ring that it has mapped: anything. Scribbles over header, reader table, slots, buffer
// words, metadata and payload of a ring while writer, readers, onlookers and successors go on using it. Whatever they
// make of it, nobody may crash, hang or leave the mapping.
import CLinux
import CRingLayout
import Rings

/// SplitMix64.
struct Lots: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
}

/// One ring after another is made, scribbled over and given up.
struct Fuzz {
    private let path: String
    private var lots: Lots
    private var taken = 0
    private var refused = 0
    private let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 64)

    init(_ path: String, seed: UInt64) {
        self.path = path
        lots = Lots(seed: seed)
    }

    /// Mutations of one ring: enough to get it into deep trouble, few enough that something still works.
    private static let mutationsOfOneRing = 100

    mutating func run(mutations: Int) throws(RingError) -> Int32 {
        for round in 0..<(mutations / Self.mutationsOfOneRing) {
            if round % 2 == 0 { try scribbleOverFrames() } else { try scribbleOverPackets() }
        }
        say("mutations \(mutations) taken \(taken) refused \(refused)")
        return 0
    }

    private var spec: RingSpec {
        var spec = RingSpec.frame(
            bufferSize: 4096, depth: 3, writerHolds: 1, leasesRoom: 12, sideDataCapacity: 128, format: pbr_format())
        spec.firstSequence = 1 << 48 - 20
        return spec
    }

    private var packetSpec: RingSpec { RingSpec(shape: .packet(capacity: 8192), depth: 6, format: pbr_format()) }

    /// One word somewhere becomes something else.
    private mutating func scribble(_ mapping: RingMapping) {
        let identity = mapping.identity
        let regions: [(UInt64, UInt64)] = [
            (128, 1024), (1024, 2304), (UInt64(PBR_AT_READERS), UInt64(PBR_HEADER_SIZE)),
            (identity.slots_offset, identity.payload_offset), (identity.slots_offset, identity.slots_offset + 2048),
            (identity.payload_offset, identity.file_size),
        ]
        let (start, end) = regions[lots.below(regions.count)]
        let width = [1, 2, 4, 8][lots.below(4)]
        let offset = Int(start) + lots.below(Int(end - start) - 8) / width * width
        let place = mapping.base + offset
        let old = place.loadUnaligned(as: UInt64.self)
        let candidates: [UInt64] = [
            old ^ 1 << UInt64(lots.below(64)), 0, .max, 1 << 63, old &+ 1, old &- 1, lots.next(), lots.next() % 70_000,
            (mapping.base + lots.below(Int(identity.payload_offset) / 8) * 8).load(as: UInt64.self),
        ]
        withUnsafeBytes(of: candidates[lots.below(candidates.count)]) {
            place.copyMemory(from: UnsafeRawPointer($0.baseAddress ?? UnsafeRawPointer(place)), byteCount: width)
        }
    }

    /// What registries and tools do.
    private mutating func onlook(_ mapping: RingMapping) {
        _ = (mapping.state, mapping.watermark, mapping.isAbandoned, mapping.isMade(of: spec))
        _ = (mapping.measuredRate(), mapping.newestOrigin, mapping.extradata.count)
        for id in 0..<62 { _ = mapping.reader(id) }
        taken += mapping.glimpse(mapping.head &- 1) == nil ? 0 : 1
        _ = mapping.sweepDeadReaders()
        do throws(RingError) { _ = try RingMapping.open(path: path).head } catch { refused += 1 }
    }

    private func aStart(_ lot: UInt64) -> ReaderStart {
        switch lot % 6 {
        case 0: .next
        case 1: .newest
        case 2: .newestKey
        case 3: .oldest
        case 4: .sequence(lot)
        default: .time(Int64(bitPattern: lot))
        }
    }

    // MARK: Frames

    private mutating func scribbleOverFrames() throws(RingError) {
        var writer: FrameRingWriter? = try FrameRingWriter(creating: path, spec: spec)
        guard let mapping = writer?.mapping else { return }
        var reader = try FrameRingReader(joining: try RingMapping.open(path: path), start: .oldest)
        for _ in 0..<Self.mutationsOfOneRing {
            publishOne(&writer)
            scribble(mapping)
            for _ in 0..<2 { takeOne(&reader) }
            switch lots.below(12) {
            case 0: onlook(mapping)
            case 1: reader.seek(to: aStart(lots.next()))
            case 2: reader.wait(until: 0, spinning: 0)
            case 3:
                do throws(RingError) {
                    var late = try FrameRingReader(
                        joining: mapping, isLossless: lots.below(2) == 0, start: aStart(lots.next()))
                    takeOne(&late)
                    _ = writer?.hasRoom()
                } catch { refused += 1 }
            case 4:
                writer = nil
                do throws(RingError) { writer = try FrameRingWriter(adopting: mapping) } catch { refused += 1 }
            default: break
            }
        }
        writer?.unlink()
    }

    private mutating func publishOne(_ writer: inout FrameRingWriter?) {
        guard let claim = writer?.claim() else { return }
        claim.bytes.storeBytes(of: 1, as: UInt8.self)
        let sideData = UnsafeRawBufferPointer(rebasing: scratch[..<lots.below(140)])
        _ = writer?.publish(claim, grain(lots.next()), sideData: sideData)
    }

    private mutating func takeOne(_ reader: inout FrameRingReader) {
        guard case .frame(let lease) = reader.next() else { return }
        taken += 1
        _ = Int(lease.bytes.first ?? 0) + Int(lease.bytes.last ?? 0) + Int(lease.sideData.last ?? 0)
        if lots.below(2) == 0 { FrameLease.end(handedOver: lease.handOver()) }
    }

    // MARK: Packets

    private mutating func scribbleOverPackets() throws(RingError) {
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        var writer: PacketRingWriter? = try PacketRingWriter(creating: path, spec: packetSpec, extradata: none)
        guard let mapping = writer?.mapping else { return }
        var reader = try PacketRingReader(joining: try RingMapping.open(path: path), start: .oldest)
        for _ in 0..<Self.mutationsOfOneRing {
            let payload = UnsafeRawBufferPointer(rebasing: scratch[..<lots.below(3000)])
            let sideData = UnsafeRawBufferPointer(rebasing: scratch[..<lots.below(200)])
            _ = writer?.append(grain(lots.next()), payload, sideData: sideData)
            scribble(mapping)
            for _ in 0..<2 { takeOne(&reader) }
            switch lots.below(12) {
            case 0: onlook(mapping)
            case 1: reader.seek(to: aStart(lots.next()))
            case 2: reader.wait(until: 0)
            case 3:
                do throws(RingError) {
                    var late = try PacketRingReader(
                        joining: mapping, isLossless: lots.below(2) == 0, start: aStart(lots.next()))
                    takeOne(&late)
                    _ = writer?.append(grain(1), payload)
                } catch { refused += 1 }
            case 4:
                writer = nil
                do throws(RingError) { writer = try PacketRingWriter(adopting: mapping) } catch { refused += 1 }
            default: break
            }
        }
        writer?.unlink()
    }

    private mutating func takeOne(_ reader: inout PacketRingReader) {
        guard case .packet(let grain) = reader.peek() else { return }
        let half = scratch.count / 2
        if reader.take(
            grain, into: UnsafeMutableRawBufferPointer(rebasing: scratch[..<half]),
            sideData: UnsafeMutableRawBufferPointer(rebasing: scratch[half...]))
        {
            taken += 1
        }
    }
}
