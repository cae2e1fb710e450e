// `patchbay ingest` as its users meet it: ffmpeg publishes over SRT, RTMP and RTSP, `patchbay ring read` takes the slot, publishers
// are killed and come back otherwise, the slot goes with SIGTERM.
import EndToEnd
import Foundation
import GraphHarness
import Media
import Testing

extension EndToEndTests {
    @Suite(.serialized) struct IngestTests {
        private let data: Scratch
        private let clip: Clip

        init() throws {
            data = try Scratch()
            clip = try Clip.shared.get()
        }

        /// How a publisher comes.
        enum Transport: String, CaseIterable, CustomTestStringConvertible {
            case srt, rtmp, rtsp
            var testDescription: String { rawValue }

            /// The URL that the listener is given; the stream key is given apart.
            func listening(on port: UInt16) -> String {
                self == .srt ? "srt://127.0.0.1:\(port)?latency=120" : "\(rawValue)://127.0.0.1:\(port)/live"
            }
            func publishing(to port: UInt16, key: String) -> String {
                self == .srt
                    ? "srt://127.0.0.1:\(port)?latency=120000&streamid=\(key)" : listening(on: port) + "/" + key
            }
            var muxer: [String] {
                switch self {
                case .srt: ["-f", "mpegts"]
                case .rtmp: ["-f", "flv"]
                case .rtsp: ["-rtsp_transport", "tcp", "-f", "rtsp"]
                }
            }
        }

        private static let key = "sesame-4711"

        /// - Parameter at: port of an engine, or of none.
        private func ingest(_ url: String, at: UInt16, _ options: String...) throws -> ChildProcess {
            try ChildProcess(
                Patchbay.program, ["ingest", url, "--slot", "cam1", "--at", "127.0.0.1:\(at)"] + options)
        }

        private func publish(_ transport: Transport, _ port: UInt16, key: String = key) throws -> ChildProcess {
            try publish(["-re", "-i", clip.path, "-c", "copy"], transport, port, key)
        }

        private func publish(
            _ input: [String], _ transport: Transport, _ port: UInt16, _ key: String
        ) throws -> ChildProcess {
            try ChildProcess(
                "ffmpeg",
                ["-hide_banner", "-nostdin", "-v", "warning"] + input
                    + transport.muxer + [transport.publishing(to: port, key: key)])
        }

        private func tool(_ port: UInt16, _ words: String...) -> String {
            (try? run(Patchbay.program, ["ring"] + words + ["--at", "127.0.0.1:\(port)"])) ?? ""
        }

        private func head(_ port: UInt16, _ slot: String = "cam1") -> Int {
            let info = tool(port, "info", slot, "--json")
            let json = try? JSONSerialization.jsonObject(with: Data(info.utf8)) as? [String: Any]
            return json?["head"] as? Int ?? -1
        }

        /// Frame numbers of `count` pictures from the slot.
        private func numbers(_ port: UInt16, _ count: Int, _ size: PictureSize) throws -> [Int] {
            let file = data.file("pictures.y4m")
            try run(
                "/bin/sh",
                [
                    "-c", "\"$0\" ring read cam1 --from next --count \(count) --for 30s --at 127.0.0.1:\(port) >\"$1\"",
                    Patchbay.program, file,
                ])
            return try frameNumbers(file, size: size).map { Int($0 ?? 0) }
        }

        private func formatLine(_ child: ChildProcess) -> [String: Any]? {
            child.messages.split(separator: "\n").filter { $0.hasPrefix("{") }.lazy.compactMap {
                try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
            }.first
        }

        private func expectGone(_ port: UInt16, _ child: ChildProcess) {
            child.signal(SIGTERM)
            #expect(child.exit(within: 20) == 0, "\(child.messages)")
            #expect(!tool(port, "list").contains("cam1"))
            #expect(!child.messages.contains(Self.key), "\(child.messages)")
        }

        /// A publisher's pictures come out once and in order; the next one, with another size and rate, comes out at the
        /// first one's; sound lies beside it on the same clock. With an engine that answers, and with none.
        /// Neither is the other's business: each way of coming with one of them.
        @Test(arguments: zip([Transport.srt, .rtmp], [true, false]))
        func publishersComeAndGo(transport: Transport, hasEngine: Bool) throws {
            let empty = try data.write(
                "empty.json",
                #"{ "patchbay": 1, "nodes": { "p": { "kind": "source.pattern" }, "n": { "kind": "sink.null", "inputs": { "in": "p.audio" } } } }"#
            )
            let engine = hasEngine ? try Patchbay(empty, data: data) : nil
            let (at, port) = (try engine?.port ?? freePort(), try freePort())
            let child = try ingest(
                transport.listening(on: port), at: at, "--listen", "--stream-key", Self.key)
            var publisher = try publishing(child) { try publish(transport, port) }
            #expect(holds(within: 20) { head(at) > 20 }, "\(child.messages) \(publisher.messages)")

            let seen = try numbers(at, 50, Clip.size)
            #expect(seen.count == 50)
            #expect(zip(seen, seen.dropFirst()).allSatisfy { $1 == $0 + 1 }, "\(seen)")
            let line = try #require(formatLine(child), "\(child.messages)")
            #expect(line["slot_id"] as? String == "cam1" && line["size"] as? String == "320x180")
            #expect(line["rate"] as? String == "25" && line["audio_slot_id"] as? String == "cam1-audio")
            try expectAligned(at)
            if let engine { #expect(try engine.get("/slots/cam1").text.contains("\"origin\":\"requested\"")) }

            publisher.kill()
            #expect(holds(within: 10) { tool(at, "info", "cam1").contains("state noSignal") }, "\(child.messages)")
            let before = head(at)
            publisher = try publishing(child) {
                try publish(
                    [
                        "-re", "-f", "lavfi", "-i", "testsrc2=s=640x480:r=50", "-f", "lavfi", "-i", "sine=r=44100",
                        "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "25", "-pix_fmt",
                        "yuv422p", "-c:a", "aac",
                    ], transport, port, Self.key)
            }
            #expect(holds(within: 20) { head(at) > before + 50 }, "\(child.messages) \(publisher.messages)")
            var info = ""
            // Until what the publishers left between them has left the window.
            let isSteady = holds(within: 20) {
                info = tool(at, "info", "cam1")
                return info.contains("rate 25") || info.contains("rate 24.9")
            }
            #expect(isSteady, "\(info)")
            #expect(info.contains("320x180 yuv420p 25 fps") && info.contains("generation 0"), "\(info)")
            #expect(child.messages.components(separatedBy: "slot_id\"").count == 3, "\(child.messages)")
            expectGone(at, child)
            publisher.kill()
            if let engine {
                #expect(try engine.get("/slots/cam1").status == 404)
                #expect(engine.interrupt() == 0)
            }
        }

        /// A publisher that is started again until the listener has its socket.
        private func publishing(
            _ child: ChildProcess, _ start: () throws -> ChildProcess
        ) throws -> ChildProcess {
            var publisher = try start()
            let isIn = try holds(within: 20) {
                if publisher.isRunning { return formatLine(child) != nil }
                publisher = try start()
                return false
            }
            #expect(isIn, "\(child.messages) \(publisher.messages)")
            return publisher
        }

        /// Both slots' newest grains were shown at about the same time.
        private func expectAligned(_ at: UInt16) throws {
            let sound = data.file("sound.wav")
            try run(
                "/bin/sh",
                [
                    "-c", "\"$0\" ring read cam1-audio --count 25 --for 20s --at 127.0.0.1:\(at) >\"$1\"",
                    Patchbay.program, sound,
                ])
            #expect(try decodedFrames(sound).count > 5)
            let info = tool(at, "info", "cam1-audio")
            #expect(info.contains("48000 Hz stereo s16"), "\(info)")
        }

        /// Registered at start with the format of the command line, whatever comes; garbage, silence and strangers neither
        /// end it nor keep it from the next.
        @Test(arguments: Transport.allCases)
        func badPublishersAreOutlived(transport: Transport) throws {
            let (at, port) = (try freePort(), try freePort())
            let child = try ingest(
                transport.listening(on: port), at: at, "--listen", "--stream-key", Self.key, "--size", "160x90",
                "--rate", "50", "--pixel-format", "uyvy422")
            #expect(
                holds(within: 20) { tool(at, "info", "cam1").contains("160x90 uyvy422 50 fps") }, "\(child.messages)")
            // Somebody else's key. Whoever comes before it listens is refused by nobody but the kernel.
            let isRefused = try holds(within: 30) {
                let stranger = try publish(transport, port, key: "guess")
                #expect(stranger.exit(within: 20) != nil)
                return transport == .srt || child.messages.contains("another stream key was refused")
            }
            #expect(isRefused && head(at) <= 0, "\(child.messages)")
            if transport != .srt {
                for words in ["GET / HTTP/1.1\\r\\n\\r\\n", "\\003garbage"] {
                    _ = try? run("/bin/bash", ["-c", "printf '\(words)' >/dev/tcp/127.0.0.1/\(port)"])
                }
            }
            let publisher = try publishing(child) { try publish(transport, port) }
            #expect(holds(within: 20) { head(at) > 60 }, "\(child.messages) \(publisher.messages)")
            #expect(child.isRunning)
            expectGone(at, child)
        }

        /// A file ends by itself, and so does its slot.
        @Test func aFileIsASourceToo() throws {
            let at = try freePort()
            let short = data.file("short.mp4")
            try ffmpeg("-i", clip.path, "-t", "3", "-c", "copy", "-an", short)
            let child = try ingest(short, at: at, "--rate", "50")
            #expect(holds(within: 10) { head(at) > 50 }, "\(child.messages)")
            #expect(child.exit(within: 20) == 0, "\(child.messages)")
            #expect(formatLine(child)?["rate"] as? String == "50")
            #expect(formatLine(child)?["audio_slot_id"] is NSNull, "it has no sound")
            #expect(!tool(at, "list").contains("cam1"))
        }

        @Test func mistakesAreSaid() throws {
            for (words, said) in [
                (["rtmp://x/y"], "--slot is"), (["rtmp://x/y", "--slot", "A/B"], "--slot is"),
                (["gopher://x/y", "--slot", "a"], "found the scheme gopher"),
                (["srt://127.0.0.1", "--slot", "a"], "has no port"),
                (["udp://127.0.0.1:9", "--slot", "a", "--listen"], "leave \"listen\" out"),
                (["/nowhere.mp4", "--slot", "a"], "No such file"),
                (["rtmp://127.0.0.1:1/a", "--slot", "a", "--size", "big"], "expected a size"),
                (
                    [
                        "rtsp://127.0.0.1:9/a", "--slot", "a", "--listen", "--stream-key",
                        String(repeating: "k", count: 400),
                    ],
                    "at most 400 bytes"
                ),
            ] {
                let child = try ChildProcess(Patchbay.program, ["ingest"] + words)
                #expect(child.exit(within: 10) == 64)
                #expect(child.messages.contains(said), "\(words): \(child.messages)")
            }
        }
    }
}
