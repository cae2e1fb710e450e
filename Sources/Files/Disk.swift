// What the service asks of the kernel, and the two ways of asking. Service thread only.

internal import CLinux

/// One system operation. Pointers must stay valid until its completion.
enum DiskRequest {
    case open(path: PathBuffer, flags: Int32, mode: UInt32)
    case write(descriptor: Int32, bytes: UnsafeRawPointer, count: Int, offset: UInt64)
    case sync(descriptor: Int32)
    case close(descriptor: Int32)
    case rename(from: PathBuffer, to: PathBuffer)
    case remove(path: PathBuffer)
    case makeFolder(path: PathBuffer)
}

/// Carries out requests of jobs, each job one at a time.
protocol Disk: AnyObject {
    /// Whether `start` may be called.
    var hasRoom: Bool { get }
    /// Whether `collect` has something to deliver without waiting.
    var hasResults: Bool { get }
    /// Requests begun and not collected.
    var inFlight: Int { get }
    /// Begins a request; its result comes by `collect`.
    func start(_ request: DiskRequest, for job: Job)
    /// Delivers results (>= 0, or -errno); with `waiting` sleeps until there is one or the bell rings.
    func collect(waiting: Bool, _ deliver: (Job, Int32) -> Void)
}

/// A path as the kernel wants it: bytes that end in zero, at an address that stays.
final class PathBuffer {
    let pointer: UnsafeMutablePointer<CChar>

    init(_ path: String) {
        let bytes = path.utf8CString
        pointer = .allocate(capacity: bytes.count)
        for (index, byte) in bytes.enumerated() { (pointer + index).initialize(to: byte) }
    }

    deinit { pointer.deallocate() }

    /// The folders above a path, outermost first: "/a/b/c" gives "/a", "/a/b".
    static func folders(above path: String) -> [String] {
        var folders: [String] = []
        for index in path.indices.dropFirst() where path[index] == "/" { folders.append(String(path[..<index])) }
        return folders
    }
}
