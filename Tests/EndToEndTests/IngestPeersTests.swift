// `patchbay ingest` as a caller and as a receiver: from ffmpeg over UDP, TCP and SRT, from a web server over HLS, from an RTSP
// server; and as an RTSP server that ffmpeg publishes to, over TCP and over UDP. All at once, since each is paced by its
// stream; listeners, their publishers and their strangers are in IngestTests.
import EndToEnd
import Foundation
import GraphHarness
import Testing

extension EndToEndTests {
    @Suite(.serialized) struct IngestPeersTests {
        private let data: Scratch
        private let clip: Clip
        /// Of no engine.
        private let at: UInt16

        init() throws {
            (data, clip, at) = (try Scratch(), try Clip.shared.get(), try freePort())
        }

        /// Who is ingested, and the program that serves it: started again when it ends before its slot flows, as ffmpeg does
        /// when nobody has the port that it sends to yet.
        private struct Peer {
            let slot: String
            let url: String
            var options: [String] = []
            let program: [String]
        }

        private func peers() throws -> [Peer] {
            let sending = ["ffmpeg", "-hide_banner", "-nostdin", "-v", "warning", "-re", "-i", clip.path, "-c", "copy"]
            let (udp, tcp, srt, http) = (try freePort(), try freePort(), try freePort(), try freePort())
            let rtsp = "rtsp://127.0.0.1:\(try freePort())/live"
            try FileManager.default.createDirectory(atPath: data.file("www"), withIntermediateDirectories: true)
            try ffmpeg(
                "-i", clip.path, "-t", "40", "-c", "copy", "-f", "hls", "-hls_time", "2", "-hls_list_size", "0",
                data.file("www/live.m3u8"))
            return [
                Peer(
                    slot: "udp", url: "udp://127.0.0.1:\(udp)",
                    program: sending + ["-f", "mpegts", "udp://127.0.0.1:\(udp)?pkt_size=1316"]),
                Peer(
                    slot: "tcp", url: "tcp://127.0.0.1:\(tcp)",
                    program: sending + ["-f", "mpegts", "tcp://127.0.0.1:\(tcp)?listen=1"]),
                Peer(
                    slot: "srt", url: "srt://127.0.0.1:\(srt)",
                    program: sending + ["-f", "mpegts", "srt://127.0.0.1:\(srt)?mode=listener&latency=120000"]),
                Peer(
                    slot: "hls", url: "http://127.0.0.1:\(http)/live.m3u8",
                    program: [
                        "python3", "-m", "http.server", "\(http)", "--bind", "127.0.0.1", "--directory",
                        data.file("www"),
                    ]),
                try rtspServer(sending),
                Peer(
                    slot: "rtsp-publisher", url: rtsp, options: ["--listen", "--stream-key", "sesame"],
                    program: sending + ["-f", "rtsp", "-rtsp_transport", "udp", rtsp + "/sesame"]),
            ]
        }

        /// ffmpeg publishes to it, and `ingest` plays from it.
        private func rtspServer(_ sending: [String]) throws -> Peer {
            let port = try freePort()
            let url = "rtsp://127.0.0.1:\(port)/camera"
            return Peer(
                slot: "rtsp", url: url,
                program: ["python3", "\(Patchbay.root)/Tests/EndToEndTests/Programs/rtsp.py", "\(port)"] + sending
                    + ["-f", "rtsp", "-rtsp_transport", "tcp", url])
        }

        private func head(_ slot: String) -> Int {
            let info = try? run(Patchbay.program, ["ring", "info", slot, "--json", "--at", "127.0.0.1:\(at)"])
            let json = info.flatMap { try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any] }
            return json?["head"] as? Int ?? -1
        }

        @Test func picturesComeInOrderFromEveryKindOfPeer() throws {
            let peers = try peers()
            let ingests = try peers.map { peer in
                try ChildProcess(
                    Patchbay.program,
                    ["ingest", peer.url, "--slot", peer.slot, "--at", "127.0.0.1:\(at)"] + peer.options)
            }
            var senders = try peers.map { try ChildProcess($0.program[0], Array($0.program.dropFirst())) }
            for (index, peer) in peers.enumerated() {
                let flows = try holds(within: 30) {
                    if !senders[index].isRunning {
                        senders[index] = try ChildProcess(peer.program[0], Array(peer.program.dropFirst()))
                    }
                    return head(peer.slot) > 0
                }
                #expect(flows, "\(peer.slot): \(ingests[index].messages) \(senders[index].messages)")
            }
            let readers = try peers.map { peer in
                try ChildProcess(
                    "/bin/sh",
                    [
                        "-c",
                        "exec \"$0\" ring read \(peer.slot) --from oldest --count 50 --for 30s --at 127.0.0.1:\(at) >\"$1\"",
                        Patchbay.program, data.file("\(peer.slot).y4m"),
                    ])
            }
            for (index, peer) in peers.enumerated() {
                #expect(readers[index].exit(within: 40) == 0, "\(peer.slot): \(readers[index].messages)")
                let numbers = try frameNumbers(data.file("\(peer.slot).y4m"), size: Clip.size).compactMap(\.self)
                let areInOrder = zip(numbers, numbers.dropFirst()).allSatisfy { $0 <= $1 }
                #expect(numbers.count == 50 && areInOrder, "\(peer.slot): \(numbers)")
                // A machine that stands still for a while makes the slot repeat pictures and leave others out.
                #expect(Set(numbers).count > 25, "\(peer.slot): \(numbers) \(ingests[index].messages)")
                let line = "{\"slot_id\":\"\(peer.slot)\""
                #expect(ingests[index].messages.contains(line), "\(ingests[index].messages)")
                ingests[index].signal(SIGTERM)
            }
            for ingest in ingests { #expect(ingest.exit(within: 20) == 0, "\(ingest.messages)") }
            #expect(try !run(Patchbay.program, ["ring", "list", "--at", "127.0.0.1:\(at)"]).contains("yuv420p"))
        }
    }
}
