// Formats of libavformat that only name other files: playlists and manifests. Reading one opens whatever it names, so
// that a file inside an allowed folder would lead out of it. Any thread.
internal import CFFmpeg

enum FileList {
    /// libavformat's names.
    private static let formats: Set<String> = ["concat", "dash", "hls", "imf", "rtsp", "sdp", "webm_dash_manifest"]

    /// All other formats, as libavformat's option `format_whitelist` takes them. Found once.
    static let others: String = {
        var names: [String] = []
        var position: UnsafeMutableRawPointer?
        while let format = av_demuxer_iterate(&position) {
            let name = String(cString: format.pointee.name)
            if !contains(name) { names.append(name) }
        }
        return names.joined(separator: ",")
    }()

    /// Whether the file at `path` is a list, by what it begins with and by its name. Reads the file.
    static func isOne(_ path: String) -> Bool {
        var file: UnsafeMutablePointer<AVIOContext>?
        guard avio_open(&file, "file:" + path, AVIO_FLAG_READ) >= 0 else { return false }
        defer { avio_closep(&file) }
        var format: UnsafePointer<AVInputFormat>?
        guard av_probe_input_buffer2(file, &format, path, nil, 0, 0) >= 0, let format else { return false }
        return contains(String(cString: format.pointee.name))
    }

    /// A format may go by several names.
    private static func contains(_ names: String) -> Bool {
        names.split(separator: ",").contains { formats.contains(String($0)) }
    }
}
