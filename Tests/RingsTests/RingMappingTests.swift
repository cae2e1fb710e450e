// Making and opening ring files: names, permissions, space, and headers that nobody should trust.
import CLinux
import CRingLayout
import Foundation
import Rings
import Testing

@Suite struct RingMappingTests {
    let folder: RingFolder
    init() throws { folder = try RingFolder() }

    @Test func aRingHasItsNameOnlyWhenItIsWholeAndNothingElseIsLeft() throws {
        let writer = try FrameRingWriter(creating: folder.ring("a.video"), spec: frameSpec())
        #expect(try folder.names() == ["a.video"])
        #expect(throws: RingError.noSpace(bytes: 281_474_978_304_000)) {
            _ = try FrameRingWriter(creating: folder.ring("huge.video"), spec: hugeSpec)
        }
        #expect(try folder.names() == ["a.video"], "no half-made ring and no temporary file")
        drop(writer)
    }

    /// 2^48 bytes: more than any machine's shared memory.
    private var hugeSpec: RingSpec {
        var spec = frameSpec()
        spec.shape = .frame(bufferSize: 1 << 36, buffers: 4096, sideDataCapacity: 0, writerHolds: 0)
        return spec
    }

    /// 5000 rings one after another: more than the table of guarded mappings holds.
    @Test func nothingStaysOfRingsThatAreLetGo() throws {
        func traces() throws -> Int {
            // Read to its end: a file of /proc has no size, and that of a large process comes in pieces.
            let handle = try #require(FileHandle(forReadingAtPath: "/proc/self/maps"))
            var bytes = Data()
            while case let piece = handle.readData(ofLength: 4096), !piece.isEmpty { bytes += piece }
            let maps = String(decoding: bytes, as: UTF8.self)
            let files = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap {
                try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")
            }
            return maps.split(separator: "\n").count { $0.contains(folder.path) }
                + files.count { $0.hasPrefix(folder.path) }
        }
        for round in 0..<5000 {
            let none = UnsafeRawBufferPointer(start: nil, count: 0)
            if round % 2 == 0 {
                var writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec())
                var reader = try FrameRingReader(joining: writer.mapping)
                writer.publishPattern()
                let lease = try reader.lease()
                if round == 0 { #expect(try traces() == 2, "one mapping, one descriptor") }
                drop(reader)
                drop(writer)
                #expect(lease.grain.sequence == 0)
            } else {
                drop(try PacketRingWriter(creating: folder.ring(), spec: packetSpec(), extradata: none))
            }
        }
        #expect(try traces() == 0)
        #expect(throws: RingError.system(.open, errno: ENOENT)) { _ = try RingMapping.open(path: folder.ring("none")) }
    }

    @Test func aRenameIsTheOnlyThingThatGivesAName() throws {
        // A folder under the ring's name: everything succeeds up to the rename, which must clean up behind itself.
        try FileManager.default.createDirectory(atPath: folder.ring("a.video"), withIntermediateDirectories: false)
        #expect(throws: RingError.system(.rename, errno: EISDIR)) {
            _ = try FrameRingWriter(creating: folder.ring("a.video"), spec: frameSpec())
        }
        #expect(try folder.names() == ["a.video"])
    }

    @Test func aFolderThatIsMissingIsAnErrorWithItsNumber() {
        #expect(throws: RingError.system(.create, errno: ENOENT)) {
            _ = try FrameRingWriter(creating: folder.ring("missing/a.video"), spec: frameSpec())
        }
        #expect(throws: RingError.system(.open, errno: ENOENT)) { _ = try RingMapping.open(path: folder.ring("b")) }
    }

    @Test func permissionsDoNotDependOnUmask() throws {
        let before = umask(0o077)
        defer { umask(before) }
        let writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec())
        let attributes = try FileManager.default.attributesOfItem(atPath: folder.ring())
        #expect(attributes[.posixPermissions] as? Int == 0o660)
        drop(writer)
    }

    @Test func aNameIsTakenAwayOnlyFromItsOwnRing() throws {
        let old = try FrameRingWriter(creating: folder.ring(), spec: frameSpec())
        let new = try FrameRingWriter(creating: folder.ring(), spec: frameSpec(first: 7))
        old.unlink()
        let head = try RingMapping.open(path: folder.ring()).head
        #expect(head == 7)
        new.unlink()
        #expect(try folder.names() == [])
    }

    @Test func specsOutsideTheBoundsAreRefused() {
        var none = frameSpec()
        none.shape = .frame(bufferSize: 4096, buffers: 0, sideDataCapacity: 0, writerHolds: 0)
        let many = RingSpec.frame(
            bufferSize: 1, depth: 1, writerHolds: .max, leasesRoom: .max, sideDataCapacity: 0, format: pbr_format())
        for spec in [none, many, frameSpec(depth: 0), frameSpec(depth: 65537), frameSpec(bufferSize: 0)] {
            #expect(throws: RingError.notARing(.counts)) {
                _ = try FrameRingWriter(creating: folder.ring(), spec: spec)
            }
        }
        #expect(throws: RingError.otherRingType) {
            _ = try FrameRingWriter(creating: folder.ring(), spec: packetSpec())
        }
    }

    @Test func theOtherKindOfRingIsRefused() throws {
        let writer = try FrameRingWriter(creating: folder.ring(), spec: frameSpec())
        #expect(throws: RingError.otherRingType) { _ = try PacketRingReader(attaching: folder.ring()) }
        drop(writer)
    }

    @Test func headersOfOthersAreRefusedWithTheirDefect() throws {
        let file = try ScratchFile(copying: folder)
        file.put(UInt64(0x1234), at: 0)
        #expect(throws: RingError.notARing(.magic)) { _ = try RingMapping.open(path: file.path) }
        file.restore()
        file.put(UInt16(7), at: 8)
        #expect(throws: RingError.foreignLayout(major: 7, minor: 1)) { _ = try RingMapping.open(path: file.path) }
        file.restore()
        file.put(UInt32(9), at: 12)
        #expect(throws: RingError.notARing(.ringType)) { _ = try RingMapping.open(path: file.path) }
        file.restore()
        #expect(throws: Never.self) { _ = try RingMapping.open(path: file.path) }
        file.cut(to: file.size - 1)
        #expect(throws: RingError.notARing(.sizes)) { _ = try RingMapping.open(path: file.path) }
        file.cut(to: 100)
        #expect(throws: RingError.notARing(.tooShort)) { _ = try RingMapping.open(path: file.path) }
        file.cut(to: 0)
        #expect(throws: RingError.notARing(.tooShort)) { _ = try RingMapping.open(path: file.path) }
        #expect(throws: RingError.system(.open, errno: EISDIR)) { _ = try RingMapping.open(path: folder.path) }
    }

    /// A file that promises more than it has would take all of shared memory at the first touch.
    @Test func aSparseFileIsRefused() throws {
        let file = try ScratchFile(copying: folder)
        file.cut(to: 4096)
        file.cut(to: file.size)
        file.restore()
        #expect(throws: RingError.notARing(.sizes)) { _ = try RingMapping.open(path: file.path) }
        let huge: UInt64 = 1 << 62
        file.cut(to: Int(huge) + 16384)
        file.put(UInt32(PBR_RING_PACKET), at: 12)
        file.put(huge + 16384, at: 16)
        file.put(UInt32(0), at: 40)
        file.put(UInt64(16384), at: 80)
        file.put(huge, at: 88)
        #expect(throws: RingError.notARing(.sizes)) { _ = try RingMapping.open(path: file.path) }
    }

    /// Whatever stands in the identity: it is refused, or everything that it leads to lies inside the file.
    @Test(arguments: [PBR_RING_FRAME, PBR_RING_PACKET])
    func mutatedHeadersNeverLeadOutsideTheFile(kind: Int32) throws {
        #if DEBUG
            let rounds = 50_000
        #else
            let rounds = 500_000
        #endif
        let seed: UInt64 = 0x5EED_0001 + UInt64(kind)
        print("mutatedHeadersNeverLeadOutsideTheFile seed \(seed), \(rounds) rounds")
        var numbers = SeededNumbers(seed: seed)
        let file = try ScratchFile(copying: folder, isPacket: kind == PBR_RING_PACKET)
        var (opened, touched) = (0, 0)
        for _ in 0..<rounds {
            file.restore()
            for _ in 0..<Int.random(in: 1...3, using: &numbers) { file.mutate(&numbers) }
            do {
                touched &+= try touch(try RingMapping.open(path: file.path))
                opened += 1
            } catch {}  // a RingError: typed throws allow nothing else
        }
        #expect(opened > 0 && touched > 0, "some mutations are harmless")
    }

    /// Uses the ring as a reader does, so that a wrong offset would fault.
    private func touch(_ mapping: RingMapping) throws(RingError) -> Int {
        var touched = 0
        let identity = mapping.identity
        let size = identity.file_size
        #expect(identity.payload_offset + identity.payload_size <= size)
        if identity.ring_type == UInt32(PBR_RING_FRAME) {
            var reader = try FrameRingReader(joining: mapping, start: .oldest)
            if case .frame(let lease) = reader.next() {
                touched &+= Int(lease.bytes.first ?? 0) + Int(lease.bytes.last ?? 0) + Int(lease.sideData.last ?? 0)
            }
        } else {
            var reader = try PacketRingReader(joining: mapping, start: .oldest)
            touched &+= reader.look().count
        }
        return touched
    }
}

/// A ring file whose header is written over and put right again.
private final class ScratchFile {
    let path: String
    let size: Int
    private let descriptor: Int32
    private let header: [UInt8]

    init(copying folder: RingFolder, isPacket: Bool = false) throws {
        path = folder.ring("scratch")
        if isPacket {
            let none = UnsafeRawBufferPointer(start: nil, count: 0)
            let spec = packetSpec(capacity: 4096, depth: 4)
            var writer = try PacketRingWriter(creating: path, spec: spec, extradata: none)
            for _ in 0..<6 { writer.appendPattern(key: true) }
        } else {
            let spec = frameSpec(depth: 2, holds: 0, leases: 3, sideData: 128)
            var writer = try FrameRingWriter(creating: path, spec: spec)
            for _ in 0..<3 { writer.publishPattern() }
        }
        descriptor = linux_open(path, O_RDWR, 0)
        var status = stat()
        guard descriptor >= 0, fstat(descriptor, &status) == 0 else { throw NothingLeased() }
        size = Int(status.st_size)
        var header = [UInt8](repeating: 0, count: MemoryLayout<pbr_identity>.size)
        guard pread(descriptor, &header, header.count, 0) == header.count else { throw NothingLeased() }
        self.header = header
    }

    deinit { close(descriptor) }

    func restore() { header.withUnsafeBytes { write($0, at: 0) } }
    func cut(to size: Int) { #expect(ftruncate(descriptor, off_t(size)) == 0) }
    func put<Value: BitwiseCopyable>(_ value: Value, at offset: Int) {
        withUnsafeBytes(of: value) { write($0, at: offset) }
    }

    /// One field of the identity gets a bit flipped, an extreme, something small, or anything.
    func mutate(_ numbers: inout SeededNumbers) {
        let width = [2, 4, 8].randomElement(using: &numbers) ?? 4
        let offset = Int.random(in: 0...(header.count - width), using: &numbers) / width * width
        let old = header.withUnsafeBytes { bytes in
            (0..<width).reduce(UInt64(0)) { $0 | UInt64(bytes[offset + $1]) << UInt64(8 * $1) }
        }
        let candidates = [
            old ^ 1 << UInt64.random(in: 0..<UInt64(8 * width), using: &numbers), 0, .max, old &+ 1, old &- 1, old &* 2,
            numbers.next(), UInt64.random(in: 0...70_000, using: &numbers) & ~127,
        ]
        let new = candidates.randomElement(using: &numbers) ?? 0
        withUnsafeBytes(of: new.littleEndian) { write(UnsafeRawBufferPointer(rebasing: $0[..<width]), at: offset) }
    }

    private func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
        #expect(pwrite(descriptor, bytes.baseAddress, bytes.count, off_t(offset)) == bytes.count)
    }
}
