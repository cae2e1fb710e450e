// The words in which a file tells how it fares. Pure values.

internal import Synchronization

/// Where an output file stands.
package enum FileState: UInt8, Sendable, Equatable, AtomicRepresentable {
    /// Not yet opened; appends are accepted all the same.
    case opening
    case open
    /// `close` or `discard` was asked for and is not done.
    case closing
    /// Closed under its own name.
    case closed
    /// Closed, and renamed as asked.
    case renamed
    /// Closed and removed.
    case discarded
    /// A replacement that a newer one of the same path made needless; nothing was written.
    case superseded
    /// Something failed, see `fault`; the service has let go of the file.
    case failed

    /// Nothing will happen to this file any more.
    package var isFinal: Bool { rawValue >= FileState.closed.rawValue }
}

/// The answer to a write, given at once.
package enum WriteOutcome: Sendable, Equatable {
    /// The bytes were copied and will be written in order.
    case accepted
    /// No memory is free (the disk is slower than the signal): nothing was taken; count it as loss.
    case full
    /// The file has failed or is closed; nothing will be taken any more.
    case failed(FileFault)
}

/// What the observer of a file is told, on the service thread.
package enum FileEvent: Sendable, Equatable {
    case opened
    /// Bytes of the file written so far.
    case wrote(bytes: UInt64)
    case synced
    /// The file is done: `.closed`, `.renamed`, `.discarded` or `.superseded`.
    case ended(FileState)
    case failed(FileFault)
}

/// What a new file does with one that stands there.
package enum FileCreation: Sendable, Equatable {
    /// O_EXCL: an existing file is a fault.
    case exclusive
    /// O_TRUNC: an existing file is emptied.
    case truncate
}
