// A thread of the bench's own.
import CLinux

/// Runs a body on a thread; who lets go of it waits for the end of the body.
final class BenchThread {
    private final class Body {
        let run: () -> Void
        init(_ run: @escaping () -> Void) { self.run = run }
    }
    private var thread = pthread_t()

    init(_ name: String, _ run: sending @escaping () -> Void) throws(BenchError) {
        let body = Unmanaged.passRetained(Body(run))
        let result = pthread_create(
            &thread, nil,
            { opaque in
                if let opaque { Unmanaged<Body>.fromOpaque(opaque).takeRetainedValue().run() }
                return nil
            }, body.toOpaque())
        guard result == 0 else {
            body.release()
            throw BenchError("no thread for the \(name): errno \(result)")
        }
    }

    deinit { pthread_join(thread, nil) }
}
