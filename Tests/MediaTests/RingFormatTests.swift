// Formats to and from a ring's header: round trips, refusals, and a seeded storm of mutated headers.
import CRingLayout
import Media
import Testing

@Suite struct RingFormatTests {
    static var samples: [StreamFormat] {
        var picture = PictureFormat(
            size: PictureSize(width: 1920, height: 1080), rate: Rational(30000, 1001), sampleAspect: Rational(4, 3),
            fieldOrder: .topFirst, colour: .bt709)
        picture.hdr = HDRMetadata(
            masteringDisplay: .init(
                red: .init(x: 1, y: 2), green: .init(x: 3, y: 4), blue: .init(x: 5, y: 6), white: .init(x: 7, y: 8),
                maximumLuminance: 10_000_000, minimumLuminance: 1),
            contentLight: .init(maximum: 1000, maximumAverage: 400))
        var formats = PixelFormat.all.map {
            StreamFormat.rawVideo(
                VideoFormat(picture: picture, pixelFormat: $0, codedSize: PictureSize(width: 1920, height: 1088)))
        }
        let sound = SampleFormat.allCases.flatMap { sample in
            ChannelLayout.named.map {
                AudioFormat(sampleFormat: sample, sampleRate: 48_000, layout: $0, blockSamples: 1024)
            }
        }
        formats += sound.map { .rawAudio($0) }
        var video = CodedFormat(codec: "hevc")
        (video.picture, video.pixelFormat, video.extradata) = (picture, "yuv420p10le", [0, 0, 0, 1, 0x40])
        (video.profile, video.level, video.reorderFrames, video.bitRate) = (2, 123, 2, 4_000_000)
        (video.language, video.title) = ("deu", "Ümläute")
        var audio = CodedFormat(codec: "aac")
        (audio.audio, audio.initialPadding, audio.frameSamples) = (sound[0], 1024, 1024)
        return formats + [.codedVideo(video), .codedAudio(audio), .data(CodedFormat(codec: "scte_35")), .transport]
    }

    @Test func everyFormatComesBack() throws {
        for format in Self.samples {
            let back = try StreamFormat(format.layout, extradata: format.coded?.extradata ?? [])
            #expect(back == format)
        }
    }

    @Test func longTextIsCutBetweenCharacters() throws {
        var coded = CodedFormat(codec: "data")
        coded.title = String(repeating: "x", count: 126) + "é"
        let back = try StreamFormat(StreamFormat.data(coded).layout, extradata: [])
        #expect(back.coded?.title == String(repeating: "x", count: 126))
    }

    @Test func absurdHeadersAreRefused() throws {
        let video = try #require(Self.samples.first).layout
        let audio = try #require(Self.samples.first { $0.type == .rawAudio }).layout
        func refuses(_ format: pbr_format, _ change: (inout pbr_format) -> Void) -> Bool {
            var format = format
            change(&format)
            do throws(FormatError) { _ = try StreamFormat(format, extradata: []) } catch { return true }
            return false
        }
        #expect(!refuses(video) { _ in } && !refuses(audio) { _ in })
        #expect(refuses(video) { $0.type = 7 })
        #expect(refuses(video) { $0.video.pixel_format.0 = 0 })
        #expect(refuses(video) { $0.video.width = 0 })
        #expect(refuses(video) { $0.video.width = 1921 })
        #expect(refuses(video) { $0.video.coded_height = .max })
        #expect(refuses(video) { $0.video.rate_den = 0 })
        #expect(refuses(video) { $0.video.plane_count = 4 })
        #expect(refuses(video) { $0.video.stride.0 = 1856 })
        #expect(refuses(video) { $0.video.stride.0 = 1921 })
        #expect(refuses(video) { $0.video.plane_offset.1 = .max })
        #expect(refuses(video) { $0.video.plane_offset.1 += 1 })
        #expect(refuses(video) { $0.video.frame_size -= 4096 })
        #expect(refuses(audio) { $0.audio.sample_rate = 0 })
        #expect(refuses(audio) { $0.audio.channels = 65 })
        #expect(refuses(audio) { $0.audio.layout_mask = 0xFF })
        #expect(refuses(audio) { $0.audio.block_samples = .max })
        #expect(refuses(audio) { $0.audio.plane_size = 1 })
    }

    /// Whatever a header holds, reading it ends in a value that stays inside its buffer, or in a refusal.
    @Test func mutatedHeadersNeverLeadOutside() throws {
        #if DEBUG
            let rounds = 100_000
        #else
            let rounds = 1_000_000
        #endif
        let seed: UInt64 = 0x5EED_0002
        print("seed \(seed), \(rounds) rounds")
        var random = SplitMix(seed: seed)
        let layouts = Self.samples.map(\.layout)
        var accepted = 0
        for _ in 0..<rounds {
            var format = layouts[Int(random.next() % UInt64(layouts.count))]
            withUnsafeMutableBytes(of: &format) { bytes in
                for _ in 0...random.next() % 4 {
                    // Most of the header is reserved: look where the fields are.
                    let place = Int(random.next() % 584)
                    bytes[place] = random.next() & 1 == 0 ? UInt8.random(in: 0...255, using: &random) : 0xFF
                }
            }
            do throws(FormatError) {
                let read = try StreamFormat(format, extradata: [])
                accepted += 1
                check(read)
                let again = try StreamFormat(read.layout, extradata: [])
                if again != read, !read.description.contains("\u{FFFD}") { Issue.record("\(read) became \(again)") }
            } catch {}
        }
        #expect(accepted > rounds / 100 && accepted < rounds)
    }

    private func check(_ format: StreamFormat) {
        switch format {
        case .rawVideo(let video):
            for plane in 0..<video.pixelFormat.planeCount {
                let line = video.pixelFormat.lineSize(plane: plane, width: video.codedSize.width)
                let lines = video.pixelFormat.lineCount(plane: plane, height: video.codedSize.height)
                let end = video.planes.offsets[plane] + video.planes.strides[plane] * (lines - 1) + line
                if end > video.planes.size || video.planes.offsets[plane] < 0 {
                    Issue.record("\(video): plane \(plane)")
                }
            }
        case .rawAudio(let audio):
            if audio.planeCount > 64 || audio.bufferSize > 1 << 30 { Issue.record("\(audio)") }
        default: break
        }
    }
}
