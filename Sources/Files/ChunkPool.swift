// The memory that bytes wait in on their way to disk: chunks of one size in one mapping, touched only when used.
// Invariant: a chunk is either in the free list or owned by exactly one party, who alone touches its bytes and note.
// Any thread takes and returns; nobody waits.

internal import CLinux
internal import Synchronization

/// Chunks by index; `none` ends a list.
///
/// Safe to share although it holds pointers: links and the list head are atomics, and a chunk's bytes and note are
/// touched only by its owner. Ownership passes by the free list (`give` → `take`) and by a job's posted list
/// (`FileJob.post` → `takePosted`), each a release paired with an acquire.
final class ChunkPool: @unchecked Sendable {
    static let none = UInt32.max

    /// Where a chunk's bytes go; written by its owner.
    struct Note {
        var count = 0
        var offset: UInt64 = 0
    }

    let chunkBytes: Int
    let chunkCount: Int
    private let memory: UnsafeMutableRawPointer
    private let links: UnsafeMutablePointer<Atomic<UInt32>>
    private let notes: UnsafeMutablePointer<Note>
    /// Upper half a tag that each change counts up (against ABA), lower half the index of the first free chunk.
    private let head: Atomic<UInt64>
    private let freeCount: Atomic<Int>

    /// - Parameter limit: bytes; rounded down to whole chunks, at least two.
    init(limit: Int, chunkBytes: Int) throws(FileFault) {
        let count = max(2, min(limit / chunkBytes, Int(Self.none) - 1))
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        guard let memory = linux_map(nil, count * chunkBytes, PROT_READ | PROT_WRITE, flags, -1, 0) else {
            throw FileFault(.start, errno: linux_errno(), path: "output memory of \(count * chunkBytes) bytes")
        }
        self.chunkBytes = chunkBytes
        self.chunkCount = count
        self.memory = memory
        links = .allocate(capacity: count)
        notes = .allocate(capacity: count)
        notes.initialize(repeating: Note(), count: count)
        for index in 0..<count {
            (links + index).initialize(to: Atomic(index + 1 < count ? UInt32(index + 1) : Self.none))
        }
        head = Atomic(0)
        freeCount = Atomic(count)
    }

    deinit {
        munmap(memory, chunkCount * chunkBytes)
        links.deinitialize(count: chunkCount)
        links.deallocate()
        notes.deallocate()
    }

    /// Bytes of chunks that are not free.
    var bytesInUse: Int { (chunkCount - freeCount.load(ordering: .relaxed)) * chunkBytes }

    func bytes(of chunk: UInt32) -> UnsafeMutableRawPointer { memory + Int(chunk) * chunkBytes }
    func note(of chunk: UInt32) -> UnsafeMutablePointer<Note> { notes + Int(chunk) }
    /// The next chunk of the list that this one is in.
    func next(after chunk: UInt32) -> UInt32 { links[Int(chunk)].load(ordering: .relaxed) }
    func link(_ chunk: UInt32, to next: UInt32) { links[Int(chunk)].store(next, ordering: .relaxed) }

    /// A list of `count` chunks for somebody who holds `held` already, or nothing.
    ///
    /// One file may hold at most as much as is free afterwards (Choudhury and Hahne's dynamic threshold with factor 1):
    /// a file on a hanging disk ends with half of the memory, n of them with n/(n+1), so there is always some left for
    /// the files that move.
    func take(_ count: Int, holding held: Int) -> UInt32? {
        guard held + count <= freeCount.load(ordering: .relaxed) else { return nil }
        var list = Self.none
        for _ in 0..<count {
            guard let chunk = pop() else {
                giveAll(list)
                return nil
            }
            link(chunk, to: list)
            list = chunk
        }
        return list
    }

    /// Returns one chunk.
    func give(_ chunk: UInt32) {
        var old = head.load(ordering: .relaxed)
        while true {
            link(chunk, to: UInt32(truncatingIfNeeded: old))
            // SYNC free: the release hands the owner's last accesses to the acquire in `pop`.
            let (done, seen) = head.compareExchange(
                expected: old, desired: Self.tagged(chunk, after: old), successOrdering: .releasing,
                failureOrdering: .relaxed)
            if done { break }
            old = seen
        }
        freeCount.add(1, ordering: .relaxed)
    }

    /// Returns a list of chunks; how many it had.
    @discardableResult
    func giveAll(_ list: UInt32) -> Int {
        var (chunk, count) = (list, 0)
        while chunk != Self.none {
            let following = next(after: chunk)
            give(chunk)
            chunk = following
            count += 1
        }
        return count
    }

    private func pop() -> UInt32? {
        // SYNC free: pairs with the release in `give`.
        var old = head.load(ordering: .acquiring)
        while true {
            let chunk = UInt32(truncatingIfNeeded: old)
            guard chunk != Self.none else { return nil }
            let (done, seen) = head.compareExchange(
                expected: old, desired: Self.tagged(next(after: chunk), after: old),
                successOrdering: .acquiringAndReleasing, failureOrdering: .acquiring)
            if done { break }
            old = seen
        }
        freeCount.subtract(1, ordering: .relaxed)
        return UInt32(truncatingIfNeeded: old)
    }

    private static func tagged(_ chunk: UInt32, after old: UInt64) -> UInt64 {
        ((old >> 32) &+ 1) << 32 | UInt64(chunk)
    }
}
