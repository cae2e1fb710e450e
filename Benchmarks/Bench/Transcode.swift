// graphs/file-transcode.json beside the ffmpeg command: the same work, threads and settings, in alternating pairs.
import CLinux
import Graph

struct Transcode {
    private let options: Options
    private let clip: String
    /// As in the graph: of the decoder, and of the encoder.
    private let threads = 2

    init(_ options: Options) throws(BenchError) {
        self.options = options
        clip = "\(options.folder)/clip-\(options.isShort ? 10 : 30).mp4"
        if contents(of: clip + ".made") == nil { try makeClip(seconds: options.isShort ? 10 : 30) }
    }

    /// A picture that zooms, a part that moves, and noise: about 5 Mb/s with B-frames, not trivially easy.
    private func makeClip(seconds: Int) throws(BenchError) {
        say("making \(clip) (once)")
        let picture =
            "[0:v][1:v]overlay=320:180,noise=alls=6:allf=t:all_seed=1,format=yuv420p[v];"
            + "[2:a][3:a]amix=2,aformat=channel_layouts=stereo[a]"
        let arguments = """
            ffmpeg -hide_banner -loglevel error -y -f lavfi -i \
            mandelbrot=size=1280x720:rate=50:maxiter=200:end_pts=1500:start_scale=2:end_scale=0.002 -f lavfi -i \
            testsrc2=size=640x360:rate=50 -f lavfi -i sine=440:sample_rate=48000:beep_factor=4 -f lavfi -i \
            anoisesrc=a=0.02:r=48000:seed=1 -filter_complex \(picture) -map [v] -map [a] -t \(seconds) -c:v libx264 \
            -preset fast -b:v 5M -bf 2 -g 100 -c:a aac -b:a 128k -movflags +faststart
            """
        _ = try run(arguments.split(separator: " ").map(String.init) + [clip], log: options.log)
        _ = try run(["touch", clip + ".made"])
    }

    func measure(into report: inout Report) throws(BenchError) {
        var pairs: [(ours: Usage, rival: Usage)] = []
        for pair in 0..<(options.isShort ? 3 : 7) {
            // Each goes first as often as the other.
            if pair % 2 == 0 {
                let ours = try patchbay()
                pairs.append((ours, try ffmpeg()))
            } else {
                let rival = try ffmpeg()
                pairs.append((try patchbay(), rival))
            }
        }
        func add(_ name: String, _ what: String, _ value: (Usage) -> Double) {
            report.add(Figure("transcode.\(name)", what, pairs: pairs.map { (value($0.ours), value($0.rival)) }))
        }
        add("processor", "user + system time of the process, s", \.processor)
        add("wall", "wall time, s", \.wall)
        add("memory", "peak memory, shared included once (PSS), MB") { Double($0.peakMemory) / 1e6 }
        add("resident", "peak resident set (ru_maxrss), MB") { Double($0.peakResident) / 1e6 }
        try compareOutputs(&report)
    }

    private var ourFolder: String { "\(options.folder)/data/live/file-transcode" }
    private var theirFolder: String { "\(options.folder)/ffmpeg" }

    private func patchbay() throws(BenchError) -> Usage {
        _ = try run(["rm", "-rf", "\(options.folder)/data"])
        return try run(
            [
                options.program, "run", "\(options.graphs)/file-transcode.json", "--listen", "127.0.0.1:0", "--data",
                "\(options.folder)/data", "--quiet", "--set", "in.path=\(clip)", "--set", "live.window=1000",
            ], log: options.log)
    }

    private func ffmpeg() throws(BenchError) -> Usage {
        _ = try run(["rm", "-rf", theirFolder])
        _ = try run(["mkdir", "-p", theirFolder])
        // Closed GOPs, and forced-idr, as in our encoder; DTS and PTS are left as they come.
        let arguments = """
            ffmpeg -hide_banner -loglevel error -nostdin -y -threads \(threads) -i \(clip) -map 0:v -map 0:a -c:v libx264 \
            -preset veryfast -b:v 3M -g 50 -flags +cgop+global_header -forced-idr 1 -threads \(threads) -c:a aac \
            -b:a 128k -f hls -hls_time 2 -hls_list_size 0 -hls_segment_type fmp4 -hls_playlist_type event \
            \(theirFolder)/index.m3u8
            """
        return try run(arguments.split(separator: " ").map(String.init), log: options.log)
    }

    /// The same pictures and sizes: decodes both and compares frame by frame.
    private func compareOutputs(_ report: inout Report) throws(BenchError) {
        let ours = try pictures("\(ourFolder)/index.m3u8", "ours")
        let theirs = try pictures("\(theirFolder)/index.m3u8", "theirs")
        report.add(
            Figure("transcode.frames", "pictures in the output", pairs: [(Double(ours.count), Double(theirs.count))]))
        let different = zip(ours, theirs).count { $0 != $1 } + abs(ours.count - theirs.count)
        report.add(Figure("transcode.different", "pictures that differ from ffmpeg's", Double(different)))
        let sizes = (Double(bytes(in: ourFolder)), Double(bytes(in: theirFolder)))
        report.add(Figure("transcode.bytes", "output, bytes", pairs: [sizes]))
        report.add(Figure("transcode.sizeError", "difference of the outputs' sizes", abs(sizes.0 / sizes.1 - 1)))
    }

    /// A hash of each decoded picture, in order.
    private func pictures(_ playlist: String, _ name: String) throws(BenchError) -> [Substring] {
        let list = "\(options.folder)/\(name).md5"
        _ = try run(
            [
                "ffmpeg", "-hide_banner", "-loglevel", "error", "-y", "-i", playlist, "-map", "0:v:0", "-f", "framemd5",
                list,
            ],
            log: options.log)
        return (contents(of: list) ?? "").split(separator: "\n").filter { !$0.hasPrefix("#") }
            .compactMap { $0.split(separator: ",").last }
    }

    /// Segments and their headers, in `folder` and one below it.
    private func bytes(in folder: String) -> Int {
        names(in: folder, endingIn: "").filter { $0 != "." && $0 != ".." }.reduce(0) { sum, name in
            let path = "\(folder)/\(name)"
            var status = stat()
            guard stat(path, &status) == 0 else { return sum }
            if linux_is_directory(&status) != 0 { return sum + bytes(in: path) }
            return sum + ([".m4s", ".mp4", ".m4v", ".m4a"].contains { name.hasSuffix($0) } ? Int(status.st_size) : 0)
        }
    }
}
