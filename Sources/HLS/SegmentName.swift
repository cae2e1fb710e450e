// Names of segment files. A name is never used twice, whatever becomes of the state: it holds the rendition, the run
// (one more than any seen in the folder, and at least the wall clock at start), the discontinuity and media sequences.

/// `<rendition>-<run>-<discontinuity>-<sequence>.m4s`, or `<rendition>-<run>-<number>-init.mp4`; numbers in decimal,
/// the run in hexadecimal.
package struct SegmentName: Hashable, Sendable {
    package var rendition: String
    package var run: UInt64
    package var discontinuity: Int64
    /// Media sequence number; nil for an init segment, which is numbered by the discontinuity it starts.
    package var sequence: Int64?

    package init(rendition: String, run: UInt64, discontinuity: Int64, sequence: Int64?) {
        (self.rendition, self.run, self.discontinuity, self.sequence) = (rendition, run, discontinuity, sequence)
    }

    package var file: String {
        let stem = "\(rendition)-\(String(run, radix: 16))-\(discontinuity)"
        return sequence.map { "\(stem)-\($0).m4s" } ?? "\(stem)-init.mp4"
    }

    /// Reads a name of ours; nil for any other file.
    package init?(file: some StringProtocol) {
        let isInit = file.hasSuffix("-init.mp4")
        guard isInit || file.hasSuffix(".m4s") else { return nil }
        var parts = file.dropLast(isInit ? 9 : 4).split(separator: "-", omittingEmptySubsequences: false)
        var sequence: Int64?
        if !isInit {
            guard let last = parts.popLast(), let number = Self.number(last) else { return nil }
            sequence = number
        }
        guard parts.count >= 3, let discontinuity = Self.number(parts[parts.count - 1]),
            let run = UInt64(parts[parts.count - 2], radix: 16), run < 1 << 62
        else { return nil }
        self.init(
            rendition: parts.dropLast(2).joined(separator: "-"), run: run, discontinuity: discontinuity,
            sequence: sequence)
        // Only what we would write ourselves: no leading zeros, signs or capitals.
        guard self.file == file, !rendition.isEmpty else { return nil }
    }

    /// Far from overflow, so that a hostile file name can't stop the count.
    private static func number(_ text: some StringProtocol) -> Int64? {
        guard let value = Int64(text), (0..<1 << 62).contains(value) else { return nil }
        return value
    }
}
