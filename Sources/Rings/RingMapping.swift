// One ring's memory in this process: the file, its mapping, and the words that everybody shares.
//
// Invariant: `identity` and `format` were checked once and copied; nothing that others may write decides where we look.
// Lives as long as a writer, a reader or a lease of this process needs it. Any thread.
import CLinux
public import CRingLayout
import Synchronization

/// The mapping of one ring file, shared by the writer and all readers of this process.
///
/// `@unchecked Sendable`: the stored properties never change after `init`; what they point to is shared memory whose
/// words are accessed atomically and whose payload is guarded by the ring protocol (claims, leases, validation).
public final class RingMapping: @unchecked Sendable {
    public let identity: pbr_identity
    /// The header's format as it was when this process checked it (`pbr_format.defect`).
    public let format: pbr_format
    public let base: UnsafeMutableRawPointer
    let words: RingWords
    let descriptor: Int32
    private let mappedSize: Int
    private let truncation: TruncationGuard
    /// Readers that sit in this process: their locks are on our own file description, so the sweep must pass them by.
    let localReaders = Atomic<UInt64>(0)
    /// Those of them for whom the writer waits.
    let losslessReaders = Atomic<UInt64>(0)
    /// Whether the writer's end of this very mapping lives: a lock of our own description can't be seen by asking.
    let hasLocalWriter = Atomic<Bool>(false)
    /// The name under which this process made or found the ring.
    let path: RingPath

    /// Makes a ring under `path`: a temporary file beside it, reserved, initialised, faulted in, then renamed into
    /// place, so that no half-made ring ever has the name. Takes the writer's lock.
    public static func create(
        path: UnsafePointer<CChar>, spec: RingSpec, extradata: UnsafeRawBufferPointer, group: UInt32? = nil
    ) throws(RingError) -> RingMapping {
        guard let identity = spec.identity, extradata.count <= Int(PBR_EXTRADATA_CAPACITY) else {
            throw .notARing(.counts)
        }
        if let defect = spec.format.defect(bufferStride: identity.formatRoom) { throw .notARing(defect) }
        var temporary = TemporaryName(for: path)
        var fd = temporary.withPointer { linux_open($0, O_RDWR | O_CREAT | O_EXCL, 0o660) }
        // A process killed here leaves its name, and in a container its successor has the same pid and counter.
        for _ in 0..<100 where fd == -EEXIST {
            temporary = TemporaryName(for: path)
            fd = temporary.withPointer { linux_open($0, O_RDWR | O_CREAT | O_EXCL, 0o660) }
        }
        guard fd >= 0 else { throw .system(.create, errno: -fd) }
        var owned: Int32? = fd
        defer {
            if let owned {
                temporary.withPointer { _ = unlink($0) }
                close(owned)
            }
        }
        // umask took bits from the mode that open was given.
        guard fchmod(fd, 0o660) == 0 else { throw .system(.permissions, errno: linux_errno()) }
        if let group, fchown(fd, uid_t.max, group) != 0 { throw .system(.permissions, errno: linux_errno()) }
        var reserved = EINTR
        while reserved == EINTR { reserved = posix_fallocate(fd, 0, off_t(identity.file_size)) }
        if reserved == ENOSPC { throw .noSpace(bytes: identity.file_size) }
        guard reserved == 0 else { throw .system(.reserve, errno: reserved) }

        let mapping = try RingMapping(
            descriptor: fd, identity: identity, format: spec.format, path: RingPath(path), populates: true)
        owned = nil
        mapping.initialise(spec, extradata)
        do throws(RingError) { try mapping.takeWriterPlace() } catch {
            temporary.withPointer { _ = unlink($0) }
            throw error
        }
        guard temporary.withPointer({ rename($0, path) }) == 0 else {
            let error = linux_errno()
            temporary.withPointer { _ = unlink($0) }
            throw .system(.rename, errno: error)
        }
        return mapping
    }

    /// Opens a ring that somebody else made. Its header is checked against the file's real size.
    /// - Parameter populates: whether every page is faulted in at once, as readers and writers want it; onlookers, who
    ///   look at headers and metadata, pay for what they touch.
    public static func open(path: UnsafePointer<CChar>, populates: Bool = true) throws(RingError) -> RingMapping {
        let fd = linux_open(path, O_RDWR | O_NOFOLLOW, 0)
        guard fd >= 0 else { throw .system(.open, errno: -fd) }
        var owned: Int32? = fd
        defer { if let owned { close(owned) } }
        var status = stat()
        guard fstat(fd, &status) == 0 else { throw .system(.status, errno: linux_errno()) }
        guard linux_is_regular(&status) == 1, status.st_size >= off_t(PBR_HEADER_SIZE) else {
            throw .notARing(.tooShort)
        }
        var identity = pbr_identity()
        let read = pread(fd, &identity, MemoryLayout<pbr_identity>.size, 0)
        guard read == MemoryLayout<pbr_identity>.size else { throw .notARing(.tooShort) }
        if identity.magic == PBR_MAGIC, identity.layout_major != UInt16(PBR_LAYOUT_MAJOR) {
            throw .foreignLayout(major: identity.layout_major, minor: identity.layout_minor)
        }
        if let defect = identity.defect(fileSize: UInt64(status.st_size)) { throw .notARing(defect) }
        // A sparse file would be filled by the first touch: its maker reserved nothing, or somebody cut and grew it.
        guard UInt64(clamping: status.st_blocks) >= identity.file_size / 512 else { throw .notARing(.sizes) }
        var format = pbr_format()
        guard
            pread(fd, &format, MemoryLayout<pbr_format>.size, off_t(PBR_AT_FORMAT)) == MemoryLayout<pbr_format>.size
        else { throw .notARing(.tooShort) }
        if let defect = format.defect(bufferStride: identity.formatRoom) { throw .notARing(defect) }
        let mapping = try RingMapping(
            descriptor: fd, identity: identity, format: format, path: RingPath(path), populates: populates)
        owned = nil
        // Touched once, so that a file cut since it was measured is refused here.
        _ = mapping.head
        guard !mapping.isCorrupt else { throw .notARing(.sizes) }
        return mapping
    }

    /// Takes over `descriptor` when it succeeds. `populates` faults every page in: the first touch of a 1080p frame
    /// costs 3 to 10 ms, which no grain shall pay.
    private init(
        descriptor: Int32, identity: pbr_identity, format: pbr_format, path: RingPath, populates: Bool
    ) throws(RingError) {
        let file = Int(identity.file_size)
        let payload = Int(identity.payload_size)
        let isTwice = identity.ring_type == UInt32(PBR_RING_PACKET)
        mappedSize = file + (isTwice ? payload : 0)
        guard let base = linux_map(nil, mappedSize, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        else {
            throw .system(.map, errno: linux_errno())
        }
        let truncation: TruncationGuard
        do throws(RingError) { truncation = try TruncationGuard(base, size: mappedSize) } catch {
            munmap(base, mappedSize)
            throw error
        }
        let flags = MAP_SHARED | MAP_FIXED | (populates ? MAP_POPULATE : 0)
        var mapped = linux_map(base, file, PROT_READ | PROT_WRITE, flags, descriptor, 0)
        if mapped != nil, isTwice {
            mapped = linux_map(
                base + file, payload, PROT_READ | PROT_WRITE, flags, descriptor, Int64(identity.payload_offset))
        }
        guard mapped != nil else {
            let error = linux_errno()
            truncation.remove()
            munmap(base, mappedSize)
            throw .system(.map, errno: error)
        }
        self.truncation = truncation
        self.base = base
        words = RingWords(base, identity, truncation)
        self.descriptor = descriptor
        self.identity = identity
        self.path = path
        self.format = format
    }

    private func initialise(_ spec: RingSpec, _ extradata: UnsafeRawBufferPointer) {
        base.storeBytes(of: identity, toByteOffset: Int(PBR_AT_IDENTITY), as: pbr_identity.self)
        base.storeBytes(of: spec.format, toByteOffset: Int(PBR_AT_FORMAT), as: pbr_format.self)
        base.storeBytes(of: spec.leasesRoom, toByteOffset: Int(PBR_AT_LEASES_ROOM), as: UInt32.self)
        if let source = extradata.baseAddress {
            (base + Int(PBR_AT_EXTRADATA)).copyMemory(from: source, byteCount: extradata.count)
        }
        word64(PBR_AT_HEAD).pointee.store(spec.firstSequence, ordering: .relaxed)
        word64(PBR_AT_OLDEST_VALID).pointee.store(spec.firstSequence, ordering: .relaxed)
        word64(PBR_AT_WATERMARK).pointee.store(UInt64(bitPattern: Int64.min), ordering: .relaxed)
        if identity.ring_type == UInt32(PBR_RING_FRAME) {
            for slot in 0..<UInt64(identity.slot_count) {
                slotWord(slot).pointee.store(PBR_SLOT_EMPTY, ordering: .relaxed)
            }
        }
        // SYNC born: the release of rename(2) publishes all of this; whoever opens the name sees it.
    }

    deinit {
        truncation.remove()
        munmap(base, mappedSize)
        close(descriptor)
    }

    /// Whether somebody truncated the file and this process touched what was lost. Nothing in the ring means anything
    /// then: what is read is zeros, what is written stays here. Final.
    @inline(__always) public var isCorrupt: Bool { words.isCorrupt }

    /// The header's extradata: parameter sets, AudioSpecificConfig, OpusHead.
    public var extradata: UnsafeRawBufferPointer {
        let size = min(Int(format.coded.extradata_size), Int(PBR_EXTRADATA_CAPACITY))
        return UnsafeRawBufferPointer(start: base + Int(PBR_AT_EXTRADATA), count: size)
    }
}
