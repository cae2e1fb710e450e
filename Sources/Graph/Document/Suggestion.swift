// "Did you mean": the known name nearest to a mistyped one. Pure functions.

/// The candidate with the fewest edits from `name`, if those are at most a third of its length (and at least one);
/// a name that `name` starts or ends with, or the other way round, also counts as near.
func nearest(to name: String, among candidates: some Sequence<String>) -> String? {
    let wanted = Array(name.lowercased().utf8.prefix(64))
    guard !wanted.isEmpty else { return nil }
    let allowed = max(1, wanted.count / 3)
    var best: (candidate: String, distance: Int)?
    for candidate in candidates {
        let other = Array(candidate.lowercased().utf8.prefix(64))
        guard abs(other.count - wanted.count) <= allowed else { continue }
        let distance = editDistance(wanted, other)
        if distance <= allowed, distance < best?.distance ?? .max { best = (candidate, distance) }
    }
    return best?.candidate ?? contained(name, candidates)
}

private func contained(_ name: String, _ candidates: some Sequence<String>) -> String? {
    let name = name.lowercased()
    guard name.count >= 3 else { return nil }
    return candidates.first { candidate in
        let candidate = candidate.lowercased()
        return candidate.hasPrefix(name) || candidate.hasSuffix(name) || name.hasPrefix(candidate)
            || name.hasSuffix(candidate)
    }
}

/// Damerau-Levenshtein distance (optimal string alignment): insertions, deletions, substitutions, swaps of neighbours.
private func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
    var beforeLast: [Int] = []
    var last = Array(0...b.count)
    for i in a.indices {
        var row = [i + 1]
        row.reserveCapacity(b.count + 1)
        for j in b.indices {
            var cost = min(last[j + 1] + 1, row[j] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
            if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = min(cost, beforeLast[j - 1] + 1) }
            row.append(cost)
        }
        (beforeLast, last) = (last, row)
    }
    return last[b.count]
}
