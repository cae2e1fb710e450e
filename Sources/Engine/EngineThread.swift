// Starting a thread with a Swift closure. The body runs outside of every actor.
import CLinux

/// Why a thread could not be started.
package struct ThreadFault: Error, CustomStringConvertible {
    package let name: String
    package let errno: Int32
    package var description: String {
        "the thread \"\(name)\" can't be started (\(String(cString: strerror(errno)))): raise the limit on processes "
            + "(ulimit -u) or on memory"
    }
}

/// A detached thread called `name` (15 bytes are kept) with 1 MiB of stack.
/// - Parameter stackBytes: of the thread's stack; used only as far as it is needed.
package func startThread(
    name: String, stackBytes: Int = 1 << 20, _ body: @escaping @Sendable () -> Void
) throws(ThreadFault) {
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setstacksize(&attributes, stackBytes)
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    let box = Unmanaged.passRetained(ThreadBody(name: String(decoding: name.utf8.prefix(15), as: UTF8.self), run: body))
    var thread = pthread_t()
    let result = pthread_create(&thread, &attributes, threadMain, box.toOpaque())
    guard result == 0 else {
        box.release()
        throw ThreadFault(name: name, errno: result)
    }
}

private final class ThreadBody: Sendable {
    let name: String
    let run: @Sendable () -> Void
    init(name: String, run: @escaping @Sendable () -> Void) {
        self.name = name
        self.run = run
    }
}

private func threadMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    let body = Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue()
    _ = body.name.withCString { pthread_setname_np(pthread_self(), $0) }
    body.run()
    return nil
}
