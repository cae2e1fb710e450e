import HLSChecker
import Media
import Testing

@testable import HLS

/// What the checker fetches from, while the driver behind it goes on.
private final class Origin {
    var driver: LiveDriver
    var checker: HLSChecker
    init(_ driver: LiveDriver, _ checker: HLSChecker? = nil) {
        self.driver = driver
        self.checker = HLSChecker { _ in nil }
        self.checker = HLSChecker { [unowned self] in self.driver.fetch($0) }
    }
    /// Seconds that earlier runs have taken.
    var offset = 0.0

    func run(until end: MediaTime) {
        var driver = driver
        driver.run(until: end) { now in
            self.driver = now
            if now.stream.resource("index.m3u8") != nil {
                self.checker.observe(now: self.offset + now.simulation.now.seconds)
            }
        }
        self.driver = driver
    }
}

@Suite struct LiveStreamTests {
    private let pair: [SegmentTrack] = [.video50, .audio48]

    @Test func aMinuteSatisfiesTheChecker() {
        let origin = Origin(LiveDriver(pair))
        origin.run(until: .seconds(60))
        #expect(origin.checker.findings == [])
        #expect(origin.checker.segmentCount > 50)
        #expect(Set(origin.driver.written).count == origin.driver.written.count)
        // Six listed and what may still be asked for, of two renditions.
        let usage = origin.driver.stream.usage
        #expect(usage.listed == 12)
        #expect(usage.retained <= 16)
        // Two init segments, three playlists, and at most one segment that waits for its twin.
        #expect((5...6).contains(origin.driver.folder.count - usage.listed - usage.retained))
        origin.driver.finish()
        #expect(String(decoding: origin.driver.fetch("video.m3u8") ?? [], as: UTF8.self).hasSuffix("#EXT-X-ENDLIST\n"))
    }

    @Test func holesAndSilenceSatisfyTheChecker() {
        let origin = Origin(LiveDriver(pair))
        origin.run(until: .milliseconds(7300))
        origin.driver.feeder.shift = .seconds(5)
        origin.run(until: .milliseconds(15700))
        origin.driver.feeder.isOff[1] = true
        origin.run(until: .milliseconds(24100))
        origin.driver.feeder.isOff[1] = false
        origin.run(until: .milliseconds(33300))
        origin.driver.feeder.isOff = [true, true]
        origin.run(until: .milliseconds(63300))
        origin.driver.feeder.isOff = [false, false]
        origin.run(until: .seconds(120))
        #expect(origin.checker.findings == [])
    }

    @Test(arguments: [0, 1, 2]) func goesOnAfterAKill(damage: Int) throws {
        let origin = Origin(LiveDriver(pair))
        origin.run(until: .milliseconds(25300))
        var folder = origin.driver.folder
        let names = Set(origin.driver.written)
        let last = origin.driver.simulation.segments[0].last?.sequence ?? 0
        // A playlist cut short in the middle; then all of them.
        if damage >= 1 { folder["audio.m3u8"] = Array((folder["audio.m3u8"] ?? []).prefix(300)) }
        if damage >= 2 { folder["video.m3u8"] = [] }
        origin.offset = 25.5
        let index = String(decoding: folder["index.m3u8"] ?? [], as: UTF8.self)
        origin.driver = LiveDriver(pair, folder: folder)
        if damage == 0 {
            // Complete before anything has come.
            let text = String(decoding: origin.driver.fetch("index.m3u8") ?? [], as: UTF8.self)
            let (first, before) = (MultivariantPlaylist(text: text), try #require(MultivariantPlaylist(text: index)))
            #expect(first?.audio == before.audio)
            #expect(first?.variants.map(\.codecs) == [["avc1.64001f", "mp4a.40.2"]])
            #expect(first?.variants.map(\.resolution) == before.variants.map(\.resolution))
            #expect(first?.variants.map(\.frameRate) == before.variants.map(\.frameRate))
            #expect(first?.variants[0].bandwidth ?? 0 >= before.variants[0].bandwidth)
        }
        origin.run(until: .seconds(20))
        #expect(origin.driver.simulation.segments[0][0].sequence == last + 1)
        #expect(origin.driver.simulation.segments[0][0].isDiscontinuity)
        #expect(names.isDisjoint(with: origin.driver.written))
        if damage == 0 {
            #expect(origin.checker.findings == [])
        } else {
            // What a lost playlist listed can't be listed again, but no number and no name comes twice.
            #expect(
                !origin.checker.findings.contains { $0.message.contains("back") || $0.message.contains("other bytes") })
        }
    }

    @Test func aKillBetweenTwoPlaylistsLeavesAGap() {
        var driver = LiveDriver(pair)
        driver.run(until: .milliseconds(14100))
        let older = driver.folder["audio.m3u8"]
        driver.run(until: .milliseconds(16100))
        driver.folder["audio.m3u8"] = older
        let next = LiveDriver(pair, folder: driver.folder)
        let audio = MediaPlaylist(text: String(decoding: next.folder["audio.m3u8"] ?? [], as: UTF8.self))
        let video = MediaPlaylist(text: String(decoding: next.folder["video.m3u8"] ?? [], as: UTF8.self))
        #expect(audio?.segments.last?.isGap == true)
        #expect(
            audio.map { $0.mediaSequence + Int64($0.segments.count) }
                == video.map { $0.mediaSequence + Int64($0.segments.count) })
    }

    @Test func anythingMayLieInTheFolder() {
        var random = Seeded(state: 7)
        var driver = LiveDriver(pair)
        driver.run(until: .seconds(15))
        for _ in 0..<300 {
            var folder = driver.folder
            for name in ["video.m3u8", "audio.m3u8", "index.m3u8"] {
                var bytes = folder[name] ?? []
                for _ in 0..<Int.random(in: 0...4, using: &random) where !bytes.isEmpty {
                    bytes[Int.random(in: bytes.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
                }
                folder[name] = Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &random)))
            }
            folder["video-ffffffffffffffff-1-2.m4s"] = [1]
            folder["video-1-99999999999999999999-2.m4s"] = [1]
            let next = LiveDriver(pair, folder: folder)
            #expect(next.simulation.machine.settings.firstSequence >= 7)
        }
    }

    @Test func memoryIsBounded() {
        let recovered = RecoveredPath(files: [], playlists: [:], unixMilliseconds: 1)
        var settings = LiveStream.Settings()
        settings.memoryLimit = 10_000
        let stream = LiveStream(
            [RenditionDescription(name: "v", kind: .video, codec: nil)], settings: settings, recovered: recovered,
            now: .zero)
        stream.setTargetDuration(2)
        for i in 0..<6 {
            _ = stream.add(
                SegmentBytes([UInt8](repeating: 1, count: 4000)), rendition: "v", sequence: Int64(i),
                start: .seconds(Int64(2 * i)),
                duration: .seconds(2), isDiscontinuity: false, wallClock: nil, now: .seconds(Int64(2 * i)))
        }
        #expect(stream.usage.bytes == 8000)
        guard case .file(_, 4000)? = stream.resource("v-1-0-0.m4s")?.body else {
            Issue.record("not on disk")
            return
        }
        guard case .memory? = stream.resource("v-1-0-5.m4s")?.body else {
            Issue.record("not in memory")
            return
        }
        #expect(stream.resource("../secret") == nil)
    }

    @Test("Where nobody watches, a segment leaves memory once the disk has it, listed or not")
    func unwatchedSegmentsAreOnDiskAlone() {
        var settings = LiveStream.Settings()
        settings.keepsListed = false
        let stream = LiveStream(
            [RenditionDescription(name: "v", kind: .video, codec: nil)], settings: settings,
            recovered: RecoveredPath(files: [], playlists: [:], unixMilliseconds: 1), now: .zero)
        stream.setTargetDuration(2)
        _ = stream.add(
            SegmentBytes([UInt8](repeating: 1, count: 1000)), rendition: "v", sequence: 0, start: .zero,
            duration: .seconds(2), isDiscontinuity: false, wallClock: nil, now: .zero)
        #expect(stream.usage.bytes == 1000)
        stream.written(["v-1-0-0.m4s"])
        #expect(stream.usage.bytes == 0)
        guard case .file(_, 1000)? = stream.resource("v-1-0-0.m4s")?.body else {
            Issue.record("not on disk")
            return
        }
    }

    @Test("A segment that no playlist names leaves memory once the disk has it, and not before")
    func unlistedSegmentsAreOnDiskAlone() {
        let stream = LiveStream(
            [RenditionDescription(name: "v", kind: .video, codec: nil)], settings: LiveStream.Settings(),
            recovered: RecoveredPath(files: [], playlists: [:], unixMilliseconds: 1), now: .zero)
        stream.setTargetDuration(2)
        func add(_ i: Int64) {
            _ = stream.add(
                SegmentBytes([UInt8](repeating: 1, count: 1000)), rendition: "v", sequence: i, start: .seconds(2 * i),
                duration: .seconds(2), isDiscontinuity: false, wallClock: nil, now: .seconds(2 * i))
        }
        func isInMemory(_ i: Int) -> Bool {
            if case .memory? = stream.resource("v-1-0-\(i).m4s")?.body { true } else { false }
        }
        // The window is six: 0 and 1 leave it. The disk has 0, 3, and 1 after it has left the playlist.
        for i in 0..<7 { add(Int64(i)) }
        #expect(isInMemory(0))
        stream.written(["v-1-0-0.m4s", "v-1-0-3.m4s"])
        #expect(!isInMemory(0))
        #expect(isInMemory(3))
        #expect(stream.usage.bytes == 6000)
        add(7)
        #expect(isInMemory(1))
        stream.written(["v-1-0-1.m4s", "v-1-0-2.m4s"])
        #expect(!isInMemory(1))
        add(8)
        #expect(!isInMemory(2))
        guard case .file(_, 1000)? = stream.resource("v-1-0-2.m4s")?.body else {
            Issue.record("not on disk")
            return
        }
        #expect(stream.usage.bytes == 6000)
    }
}

@Suite struct PlaylistTests {
    @Test func namesRoundTrip() {
        let name = SegmentName(rendition: "a-b", run: 255, discontinuity: 3, sequence: 17)
        #expect(name.file == "a-b-ff-3-17.m4s")
        #expect(SegmentName(file: name.file) == name)
        for bad in ["a-ff-03-1.m4s", "-ff-3-1.m4s", "a-FF-3-1.m4s", "a-ff-3--1.m4s", "a.m4s", "", "x.mp4", "-init.mp4"]
        {
            #expect(SegmentName(file: bad) == nil, "\(bad)")
        }
    }

    @Test func datesRoundTrip() {
        #expect(iso8601(1_709_210_096_789_000_000) == "2024-02-29T12:34:56.789Z")
        #expect(unixNanoseconds(iso8601: "2024-02-29T12:34:56.789Z") == 1_709_210_096_789_000_000)
        #expect(unixNanoseconds(iso8601: "2023-02-29T12:34:56.789Z") == nil)
    }

    @Test func mediaPlaylistRoundTrips() {
        var playlist = MediaPlaylist(targetDuration: 3)
        (playlist.mediaSequence, playlist.discontinuitySequence) = (12, 2)
        var segment = MediaPlaylist.Segment(
            name: "v-1-0-12.m4s", map: "v-1-0-init.mp4", duration: MediaTime(nanoseconds: 2_002_000_000))
        segment.programDateTime = 1_800_000_000_000_000_000
        playlist.segments = [segment]
        segment.map = "v-1-1-init.mp4"
        (segment.isDiscontinuity, segment.isGap) = (true, true)
        playlist.segments.append(segment)
        #expect(MediaPlaylist(text: playlist.text) == playlist)
        #expect(playlist.text.contains("#EXTINF:2.002000,\nv-1-0-12.m4s\n"))
        for length in 0..<playlist.text.utf8.count {
            let cut = MediaPlaylist(text: String(playlist.text.prefix(length)))
            #expect((cut?.segments.count ?? 0) < 2)
        }
    }

    @Test func multivariantPlaylistAsWritten() throws {
        var playlist = MultivariantPlaylist()
        var variant = MultivariantPlaylist.Variant(uri: "video.m3u8", bandwidth: 4_300_000, averageBandwidth: 4_100_000)
        (variant.codecs, variant.resolution, variant.frameRate) = (
            ["avc1.64001f", "mp4a.40.2"], PictureSize(width: 1280, height: 720), Rational(30000, 1001)
        )
        variant.hasAudioGroup = true
        playlist.variants = [variant]
        playlist.audio = [.init(name: "Main \"mix\"", uri: "audio.m3u8")]
        #expect(
            playlist.text == """
                #EXTM3U
                #EXT-X-VERSION:7
                #EXT-X-INDEPENDENT-SEGMENTS
                #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="Main  mix ",DEFAULT=YES,AUTOSELECT=YES,URI="audio.m3u8"
                #EXT-X-STREAM-INF:BANDWIDTH=4300000,AVERAGE-BANDWIDTH=4100000,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=1280x720,FRAME-RATE=29.970,AUDIO="audio"
                video.m3u8

                """)
        let read = try #require(MultivariantPlaylist(text: playlist.text))
        #expect(read.text == playlist.text)
        for length in 0..<playlist.text.utf8.count {
            let cut = MultivariantPlaylist(text: String(playlist.text.prefix(length)))
            #expect(cut == nil, "\(length) bytes")
        }
        #expect(MultivariantPlaylist(text: playlist.text.replacing("video.m3u8", with: "../video.m3u8")) == nil)
    }
}
