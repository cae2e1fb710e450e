import HLSChecker
import Testing

/// A small presentation in memory that can be broken in one place, one test a rule.
private final class Broken {
    var files: [String: [UInt8]] = [:]
    var checker: HLSChecker

    init() {
        checker = HLSChecker { _ in nil }
        checker = HLSChecker { [unowned self] in self.files[$0] }
        files["init.mp4"] = TinyMP4.initSegment(timescale: 1000, isVideo: true)
        files["init2.mp4"] = TinyMP4.initSegment(timescale: 1000, isVideo: true)
        files["index.m3u8"] = Array(Self.index.utf8)
        for sequence in 0..<20 { files["s\(sequence).m4s"] = segment(sequence) }
        publish(0..<6)
    }

    static let index = """
        #EXTM3U
        #EXT-X-VERSION:7
        #EXT-X-INDEPENDENT-SEGMENTS
        #EXT-X-STREAM-INF:BANDWIDTH=100000,AVERAGE-BANDWIDTH=90000,CODECS="avc1.64001f"
        video.m3u8

        """

    func segment(_ sequence: Int, isKey: Bool = true, length: Int64 = 20) -> [UInt8] {
        TinyMP4.segment(
            start: Int64(sequence) * 2000, durations: Array(repeating: 100, count: Int(length)), isKey: isKey)
    }

    func text(_ range: Range<Int>, discontinuities: Set<Int> = [], discontinuitySequence: Int = 0) -> String {
        var text = """
            #EXTM3U
            #EXT-X-VERSION:7
            #EXT-X-TARGETDURATION:2
            #EXT-X-MEDIA-SEQUENCE:\(range.lowerBound)
            #EXT-X-DISCONTINUITY-SEQUENCE:\(discontinuitySequence)
            #EXT-X-MAP:URI="init.mp4"

            """
        for sequence in range {
            if discontinuities.contains(sequence) { text += "#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init2.mp4\"\n" }
            text += "#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:\(sequence * 2 + 10).000Z\n"
            text += "#EXTINF:2.000000,\ns\(sequence).m4s\n"
        }
        return text
    }

    func publish(_ range: Range<Int>, discontinuities: Set<Int> = [], discontinuitySequence: Int = 0) {
        files["video.m3u8"] = Array(
            text(range, discontinuities: discontinuities, discontinuitySequence: discontinuitySequence).utf8)
    }

    func replace(_ old: String, _ new: String, in file: String = "video.m3u8") {
        let text = String(decoding: files[file] ?? [], as: UTF8.self)
        let parts = text.split(separator: old, maxSplits: 1, omittingEmptySubsequences: false)
        #expect(parts.count == 2, "\(old) isn't in \(file)")
        files[file] = Array(parts.joined(separator: new).utf8)
    }

    func observe(_ now: Double) { checker.observe(now: now) }
    var sections: Set<String> { Set(checker.findings.map(\.section)) }
}

@Suite struct HLSCheckerTests {
    @Test func aSoundPresentationHasNoFindings() {
        let it = Broken()
        it.observe(0)
        it.publish(1..<7, discontinuities: [4])
        // A tag can't appear on a segment that is listed already.
        it.publish(1..<7)
        it.observe(2)
        it.publish(2..<9, discontinuities: [8])
        it.observe(6)
        #expect(it.checker.findings == [])
    }

    /// One fault in one snapshot, and the section that must be named.
    @Test(arguments: [
        ("4.3.1.1", "video.m3u8", "#EXTM3U", "#EXTM3"),
        ("7", "video.m3u8", "#EXT-X-VERSION:7", "#EXT-X-VERSION:3"),
        ("4.3.1.2", "video.m3u8", "#EXT-X-VERSION:7", "#EXT-X-VERSION:7\n#EXT-X-VERSION:7"),
        ("4.3.3.1", "video.m3u8", "#EXT-X-TARGETDURATION:2\n", ""),
        ("4.3.3.1", "video.m3u8", "#EXT-X-TARGETDURATION:2", "#EXT-X-TARGETDURATION:1"),
        ("4.3.3.2", "video.m3u8", "s0.m4s\n", "s0.m4s\n#EXT-X-MEDIA-SEQUENCE:0\n"),
        ("4.3.3.3", "video.m3u8", "s0.m4s\n", "s0.m4s\n#EXT-X-DISCONTINUITY-SEQUENCE:0\n"),
        ("4.3.2.1", "video.m3u8", "#EXTINF:2.000000,\n", ""),
        ("4.3.2.1", "video.m3u8", "#EXTINF:2.000000,", "#EXTINF:1.950000,"),
        ("4.3.2.1", "video.m3u8", "#EXTINF:2.000000,", "#EXTINF:two,"),
        ("4.3.2.5", "video.m3u8", "#EXT-X-MAP:URI=\"init.mp4\"\n", ""),
        ("4.3.2.5", "video.m3u8", "init.mp4", "absent.mp4"),
        ("4.3.2.6", "video.m3u8", "00:00:12.000Z", "00:00:13.000Z"),
        ("4.3.2.6", "video.m3u8", "00:00:12.000Z", "noon"),
        ("4.2", "video.m3u8", "URI=\"init.mp4\"", "URI=\"init.mp4"),
        ("4.1", "video.m3u8", "#EXTINF", "#EXT-X-STREAM-INF:BANDWIDTH=1\n#EXTINF"),
        ("6.2.1", "video.m3u8", "s3.m4s", "absent.m4s"),
        ("4.3.2.3", "video.m3u8", "s3.m4s", "s9.m4s"),
        ("3.3", "video.m3u8", "s3.m4s", "init.mp4"),
        ("4.3.4.2", "index.m3u8", "BANDWIDTH=100000", "BANDWIDTH=5000"),
        ("4.3.4.2", "index.m3u8", "BANDWIDTH=100000,", ""),
        ("4.3.4.2", "index.m3u8", ",CODECS=\"avc1.64001f\"", ""),
        ("4.3.4.2", "index.m3u8", "CODECS", "AUDIO=\"none\",CODECS"),
        ("4.3.4.2", "index.m3u8", "\nvideo.m3u8", "\n#EXT-X-MEDIA:X=1\nvideo.m3u8"),
        ("4.3.4.1", "index.m3u8", "#EXT-X-STREAM", "#EXT-X-MEDIA:TYPE=AUDIO,NAME=\"x\"\n#EXT-X-STREAM"),
        ("4.1", "index.m3u8", "#EXT-X-STREAM", "#EXT-X-ENDLIST\n#EXT-X-STREAM"),
        ("6.2.1", "index.m3u8", "\nvideo.m3u8", "\nabsent.m3u8"),
    ]) func aFaultInASnapshot(section: String, file: String, old: String, new: String) {
        let it = Broken()
        it.replace(old, new, in: file)
        it.observe(0)
        #expect(it.sections.contains(section), "\(it.checker.findings)")
    }

    @Test func aSegmentWithoutKeyFrame() {
        let it = Broken()
        it.files["s2.m4s"] = it.segment(2, isKey: false)
        it.observe(0)
        #expect(it.sections == ["4.3.5.1"])
    }

    /// What may not happen from one snapshot to the next.
    @Test(arguments: 0..<9) func aForbiddenChange(index: Int) {
        let it = Broken()
        it.publish(3..<9, discontinuities: [4])
        it.observe(0)
        let section: String
        switch index {
        case 0:
            it.publish(4..<10, discontinuities: [4])
            it.replace("DURATION:2", "DURATION:3")
            section = "6.2.1"
        case 1: (it.files["video.m3u8"], section) = (Array(it.text(2..<9, discontinuities: [4]).utf8), "6.2.2")
        case 2: (it.files["video.m3u8"], section) = (Array(it.text(3..<8, discontinuities: [4]).utf8), "6.2.1")
        case 3:
            it.publish(3..<9, discontinuities: [4])
            it.replace("s5.m4s", "s6.m4s")
            section = "6.2.1"
        case 4:
            it.publish(5..<11)
            section = "6.2.2"  // the tag has left, the count hasn't moved
        case 5:
            it.publish(5..<7, discontinuitySequence: 1)
            section = "6.2.1"
        case 6:
            it.publish(7..<9, discontinuitySequence: 1)
            section = "6.2.2"  // shorter than three target durations
        case 7:
            it.publish(4..<10, discontinuities: [4])
            it.files["s3.m4s"] = nil
            section = "6.2.2"
        default:
            it.publish(4..<10, discontinuities: [4])
            it.files["s3.m4s"] = it.segment(5)
            section = "6.2.1"
        }
        it.observe(2)
        #expect(it.sections.contains(section), "\(it.checker.findings)")
    }

    @Test func aRemovedSegmentMayGoWhenItsTimeIsOver() {
        let it = Broken()
        it.observe(0)
        it.publish(1..<7)
        it.observe(2)
        it.files["s0.m4s"] = nil
        // 2 s of its own, and 12 s of the longest playlist.
        it.publish(1..<8)
        it.observe(16.1)
        #expect(it.checker.findings == [])
    }

    @Test func renditionsThatDisagree() {
        let it = Broken()
        it.replace(
            "#EXT-X-STREAM-INF",
            "#EXT-X-STREAM-INF:BANDWIDTH=100000,CODECS=\"avc1.64001f\"\nlow.m3u8\n#EXT-X-STREAM-INF", in: "index.m3u8")
        it.files["low.m3u8"] = Array(it.text(1..<7).replacing("\ns", with: "\nl").utf8)
        for sequence in 1..<7 {
            it.files["l\(sequence).m4s"] = TinyMP4.segment(
                start: Int64(sequence) * 2000 + 300, durations: Array(repeating: 100, count: 20))
        }
        it.observe(0)
        #expect(it.sections.contains("6.2.4"))
    }

    @Test func bytesMayBeAnything() {
        var random = Seeded(state: 3)
        for _ in 0..<200 {
            let it = Broken()
            for file in ["s1.m4s", "init.mp4", "video.m3u8", "index.m3u8"] {
                var bytes = it.files[file] ?? []
                for _ in 0..<4 {
                    bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
                }
                it.files[file] = bytes
            }
            it.observe(0)
        }
    }
}
