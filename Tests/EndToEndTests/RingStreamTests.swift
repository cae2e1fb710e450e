// Rings and programs that know nothing of them: a named pipe, coded packets into ffmpeg, raw pictures, what the tools say.
import EndToEnd
import Foundation
import GraphHarness
import Media
import Testing

extension EndToEndTests {
    @Suite(.serialized) struct RingStreamTests {
        private let data: Scratch

        init() throws { data = try Scratch() }

        /// Whether `ring info` shows the pipe's reader.
        private func isRead(_ port: UInt16) -> Bool {
            let info = try? run(Patchbay.program, ["ring", "info", "w1", "--at", "127.0.0.1:\(port)"])
            return info?.contains("\"fifo\" of process") ?? false
        }

        /// Pictures of 1280x720, each fourteen times what a pipe holds, go through one whole and in order. Who takes a part of
        /// one and goes is followed by the next, who begins with a whole one.
        @Test func aPipeServesProgramsWithoutTheLibrary() throws {
            let size = PictureSize(width: 1280, height: 720)
            let (port, pipe, file) = (try freePort(), data.file("pipe"), data.file("taken"))
            let (source, go, bytes) = (data.file("pictures"), data.file("go"), size.width * size.height)
            try ffmpeg(
                "-f", "lavfi", "-i", "testsrc2=s=\(size):r=50", "-frames:v", "30", "-pix_fmt", "gray", "-f", "rawvideo",
                source)
            let writer = try ChildProcess(
                "/bin/sh",
                [
                    "-c",
                    """
                    { head -c \(5 * bytes) \(source); until [ -e \(go) ]; do sleep 0.02; done
                      tail -c +\(5 * bytes + 1) \(source); } |
                    exec "$0" ring write w1 --format video --size \(size) --rate 50 --pixel-format gray --fifo \(pipe) \
                      --at 127.0.0.1:\(port)
                    """, Patchbay.program,
                ])
            #expect(holds(within: 20) { FileManager.default.fileExists(atPath: pipe) }, "\(writer.messages)")
            #expect(try run("/bin/sh", ["-c", "head -c 100000 \(pipe) | wc -c"]).contains("100000"))
            #expect(holds(within: 20) { !isRead(port) }, "\(writer.messages)")
            let reader = try ChildProcess("/bin/sh", ["-c", "exec cat \(pipe) >\(file)"])
            #expect(holds(within: 20) { isRead(port) }, "\(writer.messages)")
            _ = try data.write("go", "")
            #expect(writer.exit(within: 30) == 0, "\(writer.messages)")
            #expect(reader.exit(within: 20) == 0)
            #expect(!FileManager.default.fileExists(atPath: pipe), "it was the writer's own")
            let given = try Data(contentsOf: URL(fileURLWithPath: source))
            let taken = try Data(contentsOf: URL(fileURLWithPath: file))
            #expect(taken.count % bytes == 0 && taken.count >= 25 * bytes, "\(taken.count)")
            #expect(given.suffix(taken.count) == taken, "it is what was written last, nothing left out")
        }

        /// A signal ends a writer as the end of its input does, also while nothing comes: the slot and the pipe go with it.
        @Test(arguments: [SIGTERM, SIGINT]) func aSignalLeavesNothingBehind(signal: Int32) throws {
            let (port, pipe, input) = (try freePort(), data.file("pipe"), data.file("input"))
            try run("/usr/bin/mkfifo", [input])
            let writer = try ChildProcess(
                "/bin/sh",
                [
                    "-c",
                    """
                    exec 3<>\(input); printf '0123456789' >&3
                    exec "$0" ring write w1 --format video --size 16x16 --rate 50 --pixel-format gray --fifo \(pipe) \
                      --at 127.0.0.1:\(port) <&3
                    """, Patchbay.program,
                ])
            #expect(holds(within: 20) { writer.messages.contains("writing") }, "\(writer.messages)")
            let folder = "/dev/shm/patchbay/port-\(port)"
            #expect(FileManager.default.fileExists(atPath: folder + "/w1"))
            writer.signal(signal)
            #expect(writer.exit(within: 20) == 0, "\(writer.messages)")
            #expect(!FileManager.default.fileExists(atPath: pipe))
            #expect(!FileManager.default.fileExists(atPath: folder), "no slot is left, nor its folder")
        }

        /// What `--fifo` names and can't be one is said, and nothing of it is written over.
        @Test func whatIsNoPipeStaysAsItIs() throws {
            let file = try data.write("film.mp4", "precious")
            let port = try freePort()
            for (path, said) in [(file, "no named pipe"), ("/nowhere/pipe", "No such file")] {
                let writer = try ChildProcess(
                    "/bin/sh",
                    [
                        "-c", "head -c 100000 /dev/zero | exec \"$0\" ring write w1 \"$@\"", Patchbay.program,
                        "--format", "video", "--size", "16x16", "--rate", "50", "--fifo", path, "--at",
                        "127.0.0.1:\(port)",
                    ])
                #expect(writer.exit(within: 20) == 1)
                #expect(writer.messages.contains(said), "\(writer.messages)")
            }
            #expect(data.text("film.mp4") == "precious")
            #expect(!FileManager.default.fileExists(atPath: "/dev/shm/patchbay/port-\(port)"), "no slot was made")
        }

        /// Runs `ring …` in a shell, its output into a file; the file.
        private func shell(_ port: UInt16, _ words: String) throws -> String {
            let file = data.file(words.filter(\.isLetter))
            try run("/bin/sh", ["-c", "\"$0\" ring \(words) --at 127.0.0.1:\(port) >\(file)", Patchbay.program])
            return file
        }

        /// Coded tracks come as their codec's own stream from a key frame on, raw pictures without padding; the list and a look
        /// that goes on say what runs.
        @Test func codedAndRawGrainsGoToStandardOutput() throws {
            let graph = try data.write(
                "graph.json",
                """
                { "patchbay": 1, "nodes": {
                  "camera": { "kind": "source.pattern", "settings": { "size": "318x180", "rate": "25" } },
                  "h264": { "kind": "encode.video", "inputs": { "video": "camera.video" },
                    "settings": { "encoder": "libx264", "preset": "ultrafast", "bitrate": "1M", "gop": "1s" } },
                  "aac": { "kind": "encode.audio", "inputs": { "audio": "camera.audio" },
                    "settings": { "encoder": "aac", "bitrate": "128k" } },
                  "end": { "kind": "sink.null", "inputs": { "in": "h264.video" } },
                  "mute": { "kind": "sink.null", "inputs": { "in": "aac.audio" } } } }
                """)
            let engine = try Patchbay(graph, data: data)
            let size = PictureSize(width: 318, height: 180)
            let video = try shell(engine.port, "read h264.video --count 40")
            let numbers = try frameNumbers(video, size: size, options: ["-f", "h264"])
            #expect(irregularities(numbers) == [] && numbers.count == 40, "\(numbers)")
            let sound = try shell(engine.port, "read aac.audio --count 20 --from next")
            #expect(try decodedFrames(sound, options: ["-f", "aac"]).count == 20)
            let raw = try shell(engine.port, "read camera.video --format raw --count 3")
            let bytes = FileManager.default.contents(atPath: raw)?.count ?? 0
            #expect(bytes == 3 * size.width * size.height * 3 / 2)
            let list = try run(Patchbay.program, ["ring", "list", "--json", "--at", "127.0.0.1:\(engine.port)"])
            for name in ["camera.audio", "camera.video", "h264.video", "aac.audio"] {
                #expect(list.contains("\"\(name)\""), "\(list)")
            }
            let live = try run(
                Patchbay.program,
                ["ring", "info", "camera.video", "--live", "--for", "1s", "--json", "--at", "127.0.0.1:\(engine.port)"])
            let looks = try live.split(separator: "\n").map {
                try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any] ?? [:]
            }
            let heads = looks.compactMap { $0["head"] as? Int }
            let areRising = zip(heads, heads.dropFirst()).allSatisfy { $0 < $1 }
            #expect(heads.count >= 2 && areRising, "\(live)")
            for key in ["rate", "jitterMilliseconds", "ageMilliseconds", "dropped"] {
                let isThere = looks.allSatisfy { $0[key] is NSNumber }
                #expect(isThere, "\(key): \(live)")
            }
            #expect(engine.interrupt() == 0)
        }

        /// What a run needs is looked at, and what stands in its way has a remedy.
        @Test func theDoctorSaysWhatToMend() throws {
            let graph = try data.write(
                "empty.json",
                #"{ "patchbay": 1, "nodes": { "p": { "kind": "source.pattern" }, "n": { "kind": "sink.null", "inputs": { "in": "p.audio" } } } }"#
            )
            let engine = try Patchbay(graph, data: data)
            func findings(_ options: String...) throws -> [String: [String: String]] {
                let output = Pipe()
                let child = try ChildProcess(
                    "/bin/sh",
                    ["-c", "ulimit -n 200; exec \"$0\" doctor --json \"$@\"", Patchbay.program] + options,
                    output: output)
                let text = output.fileHandleForReading.readDataToEndOfFile()
                let json = try JSONSerialization.jsonObject(with: text) as? [String: [[String: Any]]]
                var found: [String: [String: String]] = [:]
                for finding in json?["findings"] ?? [] {
                    let texts = finding.compactMapValues { $0 as? String }
                    found[texts["subject"] ?? ""] = texts
                }
                let isBad = found.values.contains { $0["verdict"] == "bad" }
                #expect(child.exit(within: 20) == (isBad ? 1 : 0))
                return found
            }
            let found = try findings("--data", data.file("other"), "--listen", "127.0.0.1:\(engine.port)")
            for subject in [
                "/dev/shm", "open files", "locked memory", "processes", "io_uring", "futex_waitv", "data folder",
                "codecs",
                "processors",
            ] {
                let finding = try #require(found[subject], "\(found)")
                let isGood = finding["verdict"] == "good"
                #expect(isGood == (finding["remedy"] == nil), "\(finding)")
            }
            let files = try #require(found["open files"])
            #expect(files["verdict"] == "poor" && files["found"] == "200", "\(files)")
            #expect(found["port \(engine.port)"]?["verdict"] == "poor", "\(found)")
            #expect(try findings("--data", "/proc/none")["data folder"]?["verdict"] == "bad")
            #expect(engine.interrupt() == 0)
        }
    }
}
