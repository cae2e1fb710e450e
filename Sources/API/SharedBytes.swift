// Bytes that many responses send at once without copying them. Immutable from the moment they exist, so any thread may
// read them; freed with the last reference, which may be libmicrohttpd's.

/// An immutable run of bytes with a lasting address.
///
/// `@unchecked Sendable` is safe: `base` points at memory that nobody writes after `init` has returned (the adopting
/// initialiser makes its caller promise that), and it is freed only in `deinit`, when no reference is left.
package final class SharedBytes: @unchecked Sendable {
    private let base: UnsafeRawBufferPointer
    /// Who frees the memory; nil when this object does.
    private let owner: (any Sendable)?

    /// Copies `bytes` once.
    package init(_ bytes: [UInt8]) {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
        copy.copyBytes(from: bytes)
        base = UnsafeRawBufferPointer(copy)
        owner = nil
    }

    /// Copies the UTF-8 of `text` once.
    package convenience init(_ text: String) { self.init(Array(text.utf8)) }

    /// Adopts memory that belongs to `owner`: it must stay where it is, and unchanged, while `owner` is retained.
    package init(adopting base: UnsafeRawBufferPointer, keptAliveBy owner: any Sendable) {
        self.base = base
        self.owner = owner
    }

    deinit { if owner == nil { UnsafeMutableRawBufferPointer(mutating: base).deallocate() } }

    package var count: Int { base.count }

    /// Lends the bytes for the length of a call.
    package func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try withExtendedLifetime(self) { try body(base) }
    }

    /// The address of byte `offset`; valid while this object is retained.
    func address(at offset: Int) -> UnsafeMutableRawPointer? {
        base.baseAddress.map { UnsafeMutableRawPointer(mutating: $0 + offset) }
    }
}
