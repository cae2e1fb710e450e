// Side data of a raw picture in a ring: captions, active format description. Entries one after the other, each a type
// (u32), a size (u32), the bytes, padded to 8.

/// What an entry holds; the numbers are part of the ring layout.
public enum SideDataType: UInt32, Sendable, CaseIterable {
    /// CTA-708 caption data (cc_data) as in ATSC A/53 part 4.
    case captions = 1
    /// One byte of active format description (SMPTE ST 2016-1).
    case activeFormat = 2
}

/// Writes entries into memory that its owner reuses; what does not fit is left out.
public struct SideDataWriter: ~Copyable {
    private let memory: UnsafeMutableRawBufferPointer
    private var size = 0
    /// Bytes of entries that did not fit.
    public private(set) var lost = 0

    public init(capacity: Int) { memory = .allocate(byteCount: capacity, alignment: 8) }
    deinit { memory.deallocate() }

    /// Forgets all entries.
    public mutating func clear() { (size, lost) = (0, 0) }

    public mutating func add(_ type: SideDataType, _ bytes: UnsafeRawBufferPointer) {
        let padded = (bytes.count + 7) & ~7
        guard size + 8 + padded <= memory.count else {
            lost += bytes.count
            return
        }
        memory.storeBytes(of: type.rawValue, toByteOffset: size, as: UInt32.self)
        memory.storeBytes(of: UInt32(bytes.count), toByteOffset: size + 4, as: UInt32.self)
        UnsafeMutableRawBufferPointer(rebasing: memory[(size + 8)...]).copyMemory(from: bytes)
        size += 8 + padded
    }

    /// All entries; nil when there are none.
    public var bytes: UnsafeRawBufferPointer? {
        size > 0 ? UnsafeRawBufferPointer(rebasing: memory[..<size]) : nil
    }
}

/// Finds the first entry of a type; nil where there is none or the framing is broken.
public func sideData(_ type: SideDataType, in bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
    var offset = 0
    while offset + 8 <= bytes.count {
        let found = bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
        let size = Int(bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self))
        guard size <= bytes.count - offset - 8 else { return nil }
        if found == type.rawValue { return UnsafeRawBufferPointer(rebasing: bytes[(offset + 8)..<(offset + 8 + size)]) }
        offset += 8 + (size + 7) & ~7
    }
    return nil
}
