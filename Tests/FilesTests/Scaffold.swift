// What the tests of `Files` share: a temporary folder that cleans up after itself, waiting for conditions, patterns.

import CLinux
import Synchronization
import Testing

@testable import Files

/// Both ways of writing; every behaviour is tested on each.
let backends: [FileService.Backend] = [.ioUring, .pwrite]

/// A folder of its own for a test, removed at the end.
final class TemporaryFolder {
    let path: String

    init() throws {
        var template = Array("/tmp/patchbay-files-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }

    deinit { Self.removeTree(path) }

    func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }

    private static func removeTree(_ path: String) {
        for name in names(in: path) {
            var status = stat()
            let inner = "\(path)/\(name)"
            if lstat(inner, &status) == 0, linux_is_directory(&status) != 0 { removeTree(inner) } else { unlink(inner) }
        }
        rmdir(path)
    }
}

func names(in folder: String) -> [String] {
    guard let handle = opendir(folder) else { return [] }
    defer { closedir(handle) }
    var names: [String] = []
    while let entry = readdir(handle) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) { tuple in
            tuple.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
}

/// The whole file, or nil if it isn't there.
func contents(_ path: String) -> [UInt8]? {
    let descriptor = linux_open(path, O_RDONLY, 0)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = read(descriptor, &block, block.count)
        if count <= 0 { return bytes }
        bytes += block[..<count]
    }
}

func deadline(seconds: Int64 = 20) -> Int64 { linux_monotonic_nanoseconds() + seconds * 1_000_000_000 }

/// Waits for a condition, by looking; false when it doesn't come about in time.
func eventually(_ condition: () -> Bool) -> Bool {
    let end = deadline()
    while !condition() {
        if linux_monotonic_nanoseconds() > end { return false }
        sched_yield()
    }
    return true
}

/// Bytes that tell where they belong.
func pattern(_ count: Int, seed: UInt8 = 0) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) &+ seed }
}

/// A seeded generator (SplitMix64), so that a failure can be repeated.
struct Random: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// What an observer heard.
final class Heard: Sendable {
    private let events = Mutex<[FileEvent]>([])
    var all: [FileEvent] { events.withLock { $0 } }
    var observer: FileObserver { { event in self.events.withLock { $0.append(event) } } }
}

extension OutputFile {
    func append(_ bytes: [UInt8]) -> WriteOutcome { bytes.withUnsafeBytes { append($0) } }
    func overwrite(at offset: UInt64, _ bytes: [UInt8]) -> WriteOutcome {
        bytes.withUnsafeBytes { overwrite(at: offset, $0) }
    }
}
extension FileService {
    func replace(_ path: String, _ bytes: [UInt8], durable: Bool = false, observer: FileObserver? = nil) -> WriteOutcome
    {
        bytes.withUnsafeBytes { replace(path, $0, durable: durable, observer: observer) }
    }
}

/// A thread of its own, joined by `join`: the tests' writers must not share a cooperative pool.
final class Writer: Sendable {
    private let handle: Mutex<pthread_t>

    init(_ body: @escaping @Sendable () -> Void) {
        final class Box {
            let body: @Sendable () -> Void
            init(_ body: @escaping @Sendable () -> Void) { self.body = body }
        }
        var thread = pthread_t()
        let box = Unmanaged.passRetained(Box(body)).toOpaque()
        let result = pthread_create(
            &thread, nil,
            {
                Unmanaged<Box>.fromOpaque($0!).takeRetainedValue().body()
                return nil
            }, box)
        precondition(result == 0)
        handle = Mutex(thread)
    }

    func join() { _ = handle.withLock { pthread_join($0, nil) } }
}
