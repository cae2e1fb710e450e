// `patchbay ring write --fifo PATH`: a slot's grains in a named pipe, for programs without the library. It reads the slot as any
// other process does, on a thread of its own: a program that is slow, stopped or not there costs the writer nothing, gets
// every grain whole, and is what `ring info` shows as the reader "fifo".
import CLinux
import Engine
import FrameCache
import Media
import Rings
import Synchronization

final class RingFIFO: Sendable {
    private let path: String
    private let name: String
    private let place: RingPlace
    /// Nobody found the pipe there: it goes with this object.
    private let isOurs: Bool
    private let hasBegun = Atomic<Bool>(false)
    private let isOver = Atomic<Bool>(false)
    /// A pipe whose other end the thread closes when it is through.
    private let ended: Int32
    private let mark: Int32

    /// A program that takes nothing more keeps the end waiting so long.
    private static let patienceMilliseconds: Int32 = 2000

    /// Makes the pipe, or finds it: before the slot is made, so that a mistake leaves nothing behind.
    /// - Parameter name: of the slot.
    init(_ path: String, _ name: String, _ place: RingPlace) throws(RingCommandFault) {
        (self.path, self.name, self.place) = (path, name, place)
        isOurs = mkfifo(path, 0o660) == 0
        let errno = linux_errno()
        var status = stat()
        guard isOurs || stat(path, &status) == 0 else {
            throw RingCommandFault("the pipe \(path) can't be made: \(errorText(errno))")
        }
        // Anything else would be written over.
        guard isOurs || status.st_mode & 0o170000 == 0o010000 else {
            throw RingCommandFault("\(path) is there and no named pipe: remove it, or name another with --fifo")
        }
        var ends: [Int32] = [-1, -1]
        guard pipe2(&ends, O_CLOEXEC) == 0 else { throw RingCommandFault("no pipe: \(errorText(linux_errno()))") }
        (ended, mark) = (ends[0], ends[1])
    }

    /// Once the slot is there.
    func begin() throws(RingCommandFault) {
        do throws(ThreadFault) {
            try startThread(name: "fifo") { [self] in
                serve()
                close(mark)
            }
            hasBegun.store(true, ordering: .relaxed)
        } catch { throw RingCommandFault(error.description) }
    }

    deinit {
        close(ended)
        if !hasBegun.load(ordering: .relaxed) { close(mark) }
    }

    /// Once the slot has ended: waits until what it held is through the pipe, but for nobody who takes nothing. A second
    /// time it does nothing.
    func finish() {
        guard !isOver.exchange(true, ordering: .acquiringAndReleasing) else { return }
        if hasBegun.load(ordering: .relaxed) {
            // Whoever waits for a program to open the pipe finds this one.
            let reader = linux_open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0)
            var waiter = pollfd(fd: ended, events: 0, revents: 0)
            _ = poll(&waiter, 1, Self.patienceMilliseconds)
            close(reader)
        }
        if isOurs { unlink(path) }
    }

    // MARK: On the thread

    private func serve() {
        while !isOver.load(ordering: .acquiring) {
            let pipe = linux_open(path, O_WRONLY | O_CLOEXEC, 0)
            guard pipe >= 0 else { return }
            defer { close(pipe) }
            guard !isOver.load(ordering: .acquiring) else { return }
            do throws(RingCommandFault) { try feed(pipe) } catch { writeToStandardError("patchbay: \(error)\n") }
        }
    }

    /// Until the slot has ended, or the program has had enough.
    private func feed(_ pipe: Int32) throws(RingCommandFault) {
        let ring = try place.ring(name, populates: true)
        guard let format = ring.streamFormat else { return }
        let stream = try GrainStream(format, .raw)
        var output = RingOutput(to: pipe)
        do throws(RingError) { _ = try output.copy(ring, as: stream, from: .newest, name: "fifo") } catch {
            throw RingCommandFault(error, name, place)
        }
    }
}
