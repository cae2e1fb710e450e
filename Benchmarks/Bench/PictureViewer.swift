// Whoever looks at a programme live: reads the first rows of each picture from a pipe, and notes when which number came.
import CLinux
import Media

/// A named pipe of gray rows. One thread.
final class PictureViewer {
    private static let width = 1280
    private static var length: Int { width * FrameNumber.side(width: width) }

    let path: String
    private let pipe: Int32
    private var picture: [UInt8] = []
    private var piece = [UInt8](repeating: 0, count: PictureViewer.length)
    /// The newest number that could be read, and when it came, monotonic nanoseconds.
    private(set) var newest: (number: Int, at: Int64)?

    init(_ path: String) throws(BenchError) {
        self.path = path
        unlink(path)
        guard mkfifo(path, 0o600) == 0 else { throw BenchError("\(path): errno \(linux_errno())") }
        // For writing as well: nobody who opens the other end has to wait, and nobody's end is the end.
        pipe = linux_open(path, O_RDWR | O_NONBLOCK, 0)
        guard pipe >= 0 else { throw BenchError("\(path) can't be opened") }
    }

    deinit {
        close(pipe)
        unlink(path)
    }

    /// Looks until `instant` (monotonic nanoseconds), or until what came satisfies.
    func look(until instant: Int64, _ isEnough: (_ number: Int, _ at: Int64) -> Bool = { _, _ in false }) -> Bool {
        while true {
            let left = max(0, instant - linux_monotonic_nanoseconds()) / 1_000_000
            var watched = pollfd(fd: pipe, events: Int16(POLLIN), revents: 0)
            guard poll(&watched, 1, Int32(clamping: left)) > 0 else { return false }
            let count = read(pipe, &piece, Self.length - picture.count)
            guard count > 0 else { continue }
            picture += piece[..<count]
            guard picture.count == Self.length else { continue }
            let number = picture.withUnsafeBufferPointer { pixels in
                FrameNumber.read(width: Self.width) { x, y in Int(pixels[y * Self.width + x]) }
            }
            picture.removeAll(keepingCapacity: true)
            guard let number else { continue }
            let now = linux_monotonic_nanoseconds()
            if isEnough(Int(number), now) {
                newest = (Int(number), now)
                return true
            }
            newest = (Int(number), now)
        }
    }
}
