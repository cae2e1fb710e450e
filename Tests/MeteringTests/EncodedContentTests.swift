// What the looks say of pictures that an encoder has been over, and of scenes that only seem to be broken: 0 alarms there,
// and black and frozen within their duration and two pictures. The clips are ffmpeg's; the clock is the pictures' own.
import Engine
import Foundation
import Graph
import GraphHarness
import Media
import Meters
import Testing

@testable import Metering

/// Pictures of grey, one after the other in a file.
private struct Clip {
    static let rate: Int64 = 25
    let format: VideoFormat
    private let bytes: Data
    private let scratch: Scratch

    /// - Parameters:
    ///   - bitRate: of H.264 that the scene is sent through; nil: as it is.
    init(_ scene: String, size: PictureSize, bitRate: String? = nil) throws {
        scratch = try Scratch()
        format = VideoFormat(
            picture: PictureFormat(size: size, rate: Rational(Int32(Self.rate), 1)), pixelFormat: .yuv420p)
        let (coded, raw) = (scratch.file("clip.ts"), scratch.file("clip.y"))
        if let bitRate {
            try run(
                "ffmpeg",
                ["-hide_banner", "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", scene, "-pix_fmt", "yuv420p"]
                    + ["-c:v", "libx264", "-preset", "superfast", "-g", "50", "-b:v", bitRate, "-maxrate", bitRate]
                    + ["-bufsize", bitRate, coded])
        }
        let input = bitRate == nil ? ["-f", "lavfi", "-i", scene] : ["-i", coded]
        try run(
            "ffmpeg",
            ["-hide_banner", "-nostdin", "-v", "error", "-y"] + input
                + ["-fps_mode", "passthrough", "-pix_fmt", "gray", "-f", "rawvideo", raw])
        bytes = try Data(contentsOf: URL(fileURLWithPath: raw), options: .alwaysMapped)
    }

    /// When each condition began, nanoseconds from the first picture.
    func alarms(_ conditions: JSON, masks: [PictureMeter.Mask] = []) -> [Measure: Int64] {
        var look = PictureLook(format, masks: masks)
        let board = Measurements()
        var held = HeldConditions(ConditionReader(conditions).rules)
        var found: [Measure: Int64] = [:]
        let size = format.picture.size
        bytes.withUnsafeBytes { bytes in
            for i in 0..<bytes.count / (size.width * size.height) {
                let pts = Int64(i) * 1_000_000_000 / Self.rate
                guard let start = bytes.baseAddress else { return }
                board.note(
                    look.look(
                        atPlane: start + i * size.width * size.height, stride: size.width, pts: pts, 1_000_000_000 + pts
                    ))
                for change in held.look(at: 1_000_000_000 + pts, { board.value(of: $0, at: 1_000_000_000 + pts) }) {
                    if case .began(let rule, _, _) = change { found[rule.measure] = pts }
                }
            }
        }
        return found
    }
}

@Suite("Content that was encoded, and content that is only quiet", .serialized) struct EncodedContentTests {
    private static let (small, large) = (PictureSize(width: 640, height: 360), PictureSize(width: 1280, height: 720))
    private static let both: JSON = [["on": "black", "for": "1s"], ["on": "frozen", "for": "1s"]]
    private static let picture = 1_000_000_000 / Clip.rate

    /// From a second on; found a second later, give or take what the looks may take.
    private func isInTime(_ found: Int64?) -> Bool {
        found.map { (2_000_000_000 - Self.picture...2_000_000_000 + 2 * Self.picture).contains($0) } ?? false
    }

    @Test("A picture that stood and was encoded again at 2 Mb/s is found to stand") func frozen() throws {
        let clip = try Clip(
            "testsrc2=s=1280x720:r=25,trim=duration=1,tpad=stop_mode=clone:stop_duration=1.2", size: Self.large,
            bitRate: "2M")
        let alarms = clip.alarms(Self.both)
        #expect(isInTime(alarms[.frozen]) && alarms[.black] == nil, "\(alarms)")
    }

    @Test("Black that carries a station's logo is black, also when encoded") func logo() throws {
        let clip = try Clip(
            """
            color=black:s=1280x720:r=25:d=1.2[b];smptehdbars=s=128x72:r=25:d=1.2[l];[b][l]overlay=1100:40[k];\
            testsrc2=s=1280x720:r=25:d=1[t];[t][k]concat
            """, size: Self.large, bitRate: "2M")
        let alarms = clip.alarms([["on": "black", "for": "1s"]])
        #expect(isInTime(alarms[.black]), "\(alarms)")
    }

    @Test(
        "Noise of a camera, a slow pan and a still under a clock are no alarm",
        arguments: [
            ("smptehdbars=s=640x360:r=25:d=3,noise=alls=10:allf=t:all_seed=7", nil),
            ("smptehdbars=s=1280x720:r=25:d=3,crop=640:360:'20*t':100", "500k"),
            ("smptehdbars=s=640x360:r=25:d=3[p];testsrc=s=160x120:r=25:d=3[c];[p][c]overlay=470:10", "500k"),
        ] as [(String, String?)])
    func quiet(_ scene: String, _ bitRate: String?) throws {
        let alarms = try Clip(scene, size: Self.small, bitRate: bitRate).alarms(Self.both)
        #expect(alarms.isEmpty, "\(alarms)")
    }

    @Test("Under a mask the clock is not seen, and the still is found") func masked() throws {
        let clip = try Clip(
            "smptehdbars=s=640x360:r=25:d=3[p];testsrc=s=160x120:r=25:d=3[c];[p][c]overlay=470:10", size: Self.small,
            bitRate: "500k")
        let mask = PictureMeter.Mask(x: 0.7, y: 0, width: 0.3, height: 0.4)
        #expect(clip.alarms(Self.both, masks: [mask])[.frozen] != nil)
    }

    @Test("Quiet speech with its pauses is no silence") func speech() throws {
        let format = ScriptedStream.audio
        var (meter, held) = (
            SoundMeter(format), HeldConditions(ConditionReader([["on": "silent", "for": "2s"]]).rules)
        )
        let board = Measurements()
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: format.bufferSize, alignment: 64)
        defer { memory.deallocate() }
        var alarms: [Int64] = []
        // Words of 300 ms at -50 dBFS, pauses of up to 1.9 s; then three seconds of nothing.
        for block in 0..<2500 as Range<Int64> {
            let isWord = block < 2200 && block % 220 < 30
            memory.initializeMemory(as: UInt8.self, repeating: 0)
            if isWord {
                for i in 0..<480 {
                    memory.storeBytes(of: Float(i % 48 < 24 ? 0.003 : -0.003), toByteOffset: 4 * i, as: Float.self)
                }
            }
            let look = meter.look(at: UnsafeRawBufferPointer(memory), samples: 480, pts: block * 10_000_000)
            let now = 1_000_000_000 + block * 10_000_000
            board[.silent] = look.isSilent ? now - (block * 10_000_000 - look.silentSince) : 0
            for change in held.look(at: now, { board.value(of: $0, at: now) }) {
                if case .began = change { alarms.append(block) }
            }
        }
        // The last word ends with block 2010.
        #expect(alarms.count == 1 && abs(alarms[0] - 2210) <= 2, "\(alarms)")
    }
}
