// What of the segments is in memory, and when it leaves. Behind the live path's mutex.

/// Bytes in memory, the oldest first, within a limit. A segment goes as soon as it is on disk and in no playlist any more:
/// who still asks for it gets the file, which the kernel keeps as long as it has room.
struct SegmentMemory {
    private struct Entry {
        let segment: SegmentBytes
        var isOnDisk = false
        var isUnlisted = false
    }

    let limit: Int
    /// Whether a segment stays while a playlist names it; else it goes as soon as it is on disk.
    let keepsListed: Bool
    private(set) var total = 0
    private var order: [String] = []
    private var entries: [String: Entry] = [:]

    init(limit: Int, keepsListed: Bool) { (self.limit, self.keepsListed) = (limit, keepsListed) }

    subscript(name: String) -> SegmentBytes? { entries[name]?.segment }

    /// Keeps `segment`; the oldest go when that is too much. They stay on disk.
    mutating func insert(_ segment: SegmentBytes, name: String) {
        entries[name] = Entry(segment: segment)
        order.append(name)
        total += segment.count
        while total > limit, order.count > 1 { remove(order[0]) }
    }

    /// The disk has it.
    mutating func written(_ name: String) {
        entries[name]?.isOnDisk = true
        if !keepsListed || entries[name]?.isUnlisted ?? false { remove(name) }
    }

    /// No playlist names it any more.
    mutating func unlisted(_ name: String) {
        entries[name]?.isUnlisted = true
        if entries[name]?.isOnDisk ?? false { remove(name) }
    }

    mutating func remove(_ name: String) {
        guard let entry = entries.removeValue(forKey: name) else { return }
        total -= entry.segment.count
        order.removeAll { $0 == name }
    }
}
