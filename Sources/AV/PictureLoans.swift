// Leased pictures on loan to an encoder: libav's reference is read only, and its free callback gives the lease back.
//
// A loan is made on the lane and ended on whichever thread libav frees its last reference.
internal import CFFmpeg
internal import Synchronization

/// One loan; reused after it has ended, so that lending allocates nothing of ours.
private final class Loan: Sendable {
    /// Set on the lane while not out, cleared by the free callback: never by two at once, which `isOut` orders.
    private let lent = Mutex<(lender: any PictureLender, buffer: Int32)?>(nil)

    var isOut: Bool { lent.withLock { $0 != nil } }
    func begin(_ lender: any PictureLender, _ buffer: Int32) { lent.withLock { $0 = (lender, buffer) } }
    func end() {
        let ended = lent.withLock { lent in
            defer { lent = nil }
            return lent
        }
        ended?.lender.giveBack(ended?.buffer ?? 0)
    }
}

struct PictureLoans {
    private var loans: [Loan] = []

    /// A read-only reference to `size` bytes at `address`; its end gives `buffer` back. On failure nothing is lent.
    mutating func lend(
        _ address: UnsafeRawPointer, _ size: Int, _ lender: any PictureLender, _ buffer: Int32
    ) -> UnsafeMutablePointer<AVBufferRef>? {
        let loan = free()
        loan.begin(lender, buffer)
        let opaque = Unmanaged.passRetained(loan).toOpaque()
        // libav's type is not const, its flag is.
        let bytes = UnsafeMutableRawPointer(mutating: address).assumingMemoryBound(to: UInt8.self)
        if let reference = av_buffer_create(bytes, size, endLoan, opaque, AV_BUFFER_FLAG_READONLY) { return reference }
        endLoan(opaque: opaque, data: bytes)
        return nil
    }

    private mutating func free() -> Loan {
        if let loan = loans.first(where: { !$0.isOut }) { return loan }
        let loan = Loan()
        loans.append(loan)
        return loan
    }
}

private nonisolated func endLoan(opaque: UnsafeMutableRawPointer?, data: UnsafeMutablePointer<UInt8>?) {
    guard let opaque else { return }
    Unmanaged<Loan>.fromOpaque(opaque).takeRetainedValue().end()
}
