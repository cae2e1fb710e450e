// What can go wrong when a ring is made, opened or joined. Nothing here happens between a grain's arrival and departure.

/// Which call failed.
public enum RingOperation: Sendable {
    case create, reserve, resize, map, guardMapping, rename, open, status, lock, permissions
}

/// What was found where a ring's header was expected.
public enum RingDefect: Sendable {
    case tooShort, magic, ringType, sizes, offsets, counts
    /// Of the format: see `pbr_format.defect`.
    case formatType, pictureSize, planes, rate, sound, extradataSize
}

/// Operating errors of rings.
public enum RingError: Error, Equatable, Sendable {
    /// A system call failed with this errno.
    case system(RingOperation, errno: Int32)
    /// Shared memory has not `bytes` left (`/dev/shm` is full or too small).
    case noSpace(bytes: UInt64)
    /// The file is not a ring that can be trusted.
    case notARing(RingDefect)
    /// Made by a version with another major layout number.
    case foreignLayout(major: UInt16, minor: UInt16)
    /// A frame ring was opened as a packet ring, or the other way round.
    case otherRingType
    /// All 62 places for readers are taken.
    case noReaderPlace
    /// The ring has no buffers left that could be promised to this reader.
    case leasesDoNotFit(asked: UInt32, room: UInt32)
    /// Another writer lives on this ring, in any process; a stopped one is a living one.
    case writerAlive
    /// The ring was deleted, or another generation has taken its name: nobody may write it any more.
    case removed
}
