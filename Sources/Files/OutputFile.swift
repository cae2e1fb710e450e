// A file being written, as its writer holds it.

internal import Synchronization

/// A file that the service creates, writes and closes. Made by `FileService.create`.
///
/// One thread at a time writes it (a node on its lane; two at once trap); status may be read on any. No verb waits,
/// locks or allocates: bytes are copied into pooled memory, and what doesn't fit is refused. Operations are carried
/// out in the order they were asked for. A file that is let go of without `close` or `discard` is closed as it is.
package final class OutputFile: Sendable {
    private let job: FileJob

    init(job: FileJob) { self.job = job }

    deinit { job.end(.close) }

    /// The path it was created with.
    package var path: String { job.path }
    /// Bytes accepted by `append` and `overwrite`.
    package var bytesAccepted: UInt64 { job.bytesAccepted.load(ordering: .relaxed) }
    /// Bytes that the kernel has taken.
    package var bytesWritten: UInt64 { job.bytesWritten.load(ordering: .relaxed) }
    /// Where it stands.
    package var state: FileState { job.state }
    /// Why it failed, if it did.
    package var fault: FileFault? { job.fault }

    /// Adds bytes at the end: all of them or, when memory is full, none. They wait in a chunk until it is full or
    /// `flush`, `overwrite`, `sync`, `close` is called, so small appends share one write. One append must be smaller
    /// than half of the service's memory.
    package func append(_ bytes: UnsafeRawBufferPointer) -> WriteOutcome { job.append(bytes) }

    /// Adds bytes at the end, see above.
    package func append(_ bytes: borrowing RawSpan) -> WriteOutcome {
        bytes.withUnsafeBytes { job.append($0) }
    }

    /// Writes over bytes at an offset from the start of the file (a header that learns its length); ordered after all
    /// appends so far. Beyond the end it makes the file longer, and the next append follows there.
    package func overwrite(at offset: UInt64, _ bytes: UnsafeRawBufferPointer) -> WriteOutcome {
        job.overwrite(at: offset, bytes)
    }

    /// Hands what was appended to the disk now: at the end of a fragment that readers wait for.
    package func flush() { job.flush() }

    /// Flushes, and has the disk keep what was accepted so far (fsync); the observer hears `.synced`.
    package func sync() { job.sync() }

    /// Writes what is left, closes, then renames to the path given: atomically, over what stands there. Later
    /// `replace`, `remove` and `create` of that path wait for it; earlier ones are not waited for.
    package func close(renamedTo path: String? = nil) {
        job.end(path == nil ? .close : .rename, renamedTo: path)
    }

    /// Closes and removes; bytes not yet written are dropped.
    package func discard() { job.end(.discard) }
}
