// What a recording that was not closed leaves: `NAME.mp4.part`. Everything up to its last whole fragment plays; what
// comes behind is cut off. Blocking calls: control threads and `prepare` only.
import CLinux
import Files

enum PartFile {
    /// What became of one.
    enum Outcome: Equatable {
        /// Renamed to this path.
        case repaired(path: String)
        /// It held no whole fragment, and was removed.
        case empty
        case failed(FileFault)
    }

    static let suffix = ".part"

    /// Cuts the file at `path` off behind its last whole fragment and renames it to `target`.
    static func repair(_ path: String, to target: String) -> Outcome {
        let descriptor = linux_open(path, O_RDWR | O_NOFOLLOW, 0)
        guard descriptor >= 0 else { return .failed(FileFault(.open, errno: -descriptor, path: path)) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            return .failed(FileFault(.open, errno: linux_errno(), path: path))
        }
        guard let end = endOfFragments(descriptor, size: Int64(status.st_size)) else {
            guard unlink(path) == 0 else { return .failed(FileFault(.remove, errno: linux_errno(), path: path)) }
            return .empty
        }
        guard ftruncate(descriptor, Int(end)) == 0 else {
            return .failed(FileFault(.write, errno: linux_errno(), path: path))
        }
        guard rename(path, target) == 0 else { return .failed(FileFault(.rename, errno: linux_errno(), path: path)) }
        return .repaired(path: target)
    }

    /// Where the last mdat that follows a moof ends; nil without any. Boxes: ISO/IEC 14496-12 section 4.2.
    private static func endOfFragments(_ descriptor: Int32, size: Int64) -> Int64? {
        var (offset, end) = (Int64(0), Int64?.none)
        var (hasMovie, hasFragment) = (false, false)
        while offset + 8 <= size {
            guard let (type, length) = box(descriptor, at: offset), length >= 8, length <= size - offset else { break }
            offset += length
            switch type {
            case "moov": hasMovie = true
            case "moof": hasFragment = hasMovie
            case "mdat":
                if hasFragment { end = offset }
                hasFragment = false
            default: break
            }
        }
        return end
    }

    private static func box(_ descriptor: Int32, at offset: Int64) -> (type: String, length: Int64)? {
        var header = [UInt8](repeating: 0, count: 16)
        let count = pread(descriptor, &header, 16, Int(offset))
        guard count >= 8 else { return nil }
        func number(_ range: Range<Int>) -> UInt64 { header[range].reduce(0) { $0 << 8 | UInt64($1) } }
        let type = String(decoding: header[4..<8], as: UTF8.self)
        var length = number(0..<4)
        if length == 1 {
            guard count == 16 else { return nil }
            length = number(8..<16)
        }
        return (type, Int64(clamping: length))
    }
}
