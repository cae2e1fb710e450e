// The rivals that need nothing but libc: a raw pipe, and slots with a semaphore each, as the old frame cache had them.
import CLinux
import Glibc
import Synchronization

/// A named pipe for each reader; a frame carries its stamp and number in its first bytes.
final class PipeSender: SendingEnd {
    private let pipes: [Int32]
    private let frame = UnsafeMutableRawPointer.allocate(byteCount: frameSize, alignment: 4096)
    private(set) var next: Int64 = 0

    init(_ paths: [String]) throws(BenchFault) {
        frame.initializeMemory(as: UInt8.self, repeating: 0, count: frameSize)
        var pipes: [Int32] = []
        for path in paths {
            // Read and write: opening waits for nobody.
            let pipe = linux_open(path, O_RDWR, 0)
            guard pipe >= 0 else { throw .system("open \(path)", errno: -pipe) }
            pipes.append(pipe)
        }
        self.pipes = pipes
    }
    deinit {
        for pipe in pipes { close(pipe) }
        frame.deallocate()
    }

    func send(_ picture: inout Picture) -> Sent? {
        picture.fill(frame)
        let ready = linux_monotonic_nanoseconds()
        write(stamp: ready)
        return Sent(ready: ready, returned: linux_monotonic_nanoseconds())
    }

    func end() { write(stamp: endStamp) }

    private func write(stamp: Int64) {
        frame.storeBytes(of: stamp, as: Int64.self)
        frame.storeBytes(of: next, toByteOffset: 8, as: Int64.self)
        for pipe in pipes {
            var sent = 0
            while sent < frameSize {
                let count = CLinux.write(pipe, frame + sent, frameSize - sent)
                guard count > 0 else { break }
                sent += count
            }
        }
        next += 1
    }
}

final class PipeReceiver: ReceivingEnd {
    private let pipe: Int32
    private let frame = UnsafeMutableRawPointer.allocate(byteCount: frameSize, alignment: 4096)

    init(_ path: String) throws(BenchFault) {
        frame.initializeMemory(as: UInt8.self, repeating: 0, count: frameSize)
        // The sender has opened it: this waits for nobody, and its death ends the pipe.
        pipe = linux_open(path, O_RDONLY, 0)
        guard pipe >= 0 else { throw .system("open \(path)", errno: -pipe) }
    }
    deinit {
        close(pipe)
        frame.deallocate()
    }

    func receive(until deadline: Int64) -> Received? {
        var got = 0
        while got < frameSize {
            let count = read(pipe, frame + got, frameSize - got)
            guard count > 0 else { return nil }
            got += count
        }
        return Received(
            sequence: frame.load(fromByteOffset: 8, as: Int64.self), stamp: frame.load(as: Int64.self))
    }
}

/// Slots in shared memory: a semaphore, a stamp and a number each, then the frame. Every post lets one reader by.
private struct SemaphoreSlots {
    static let count = 120
    private static let stride = 4096 + (frameSize + 4095) & ~4095
    private let base: UnsafeMutableRawPointer

    init(_ path: String, creates: Bool) throws(BenchFault) {
        let file = linux_open(path, O_RDWR | (creates ? O_CREAT : 0), 0o600)
        guard file >= 0 else { throw .system("open \(path)", errno: -file) }
        defer { close(file) }
        if creates, ftruncate(file, off_t(Self.count * Self.stride)) != 0 {
            throw .system("ftruncate", errno: linux_errno())
        }
        let populate = creates ? MAP_POPULATE : 0
        guard
            let base = linux_map(
                nil, Self.count * Self.stride, PROT_READ | PROT_WRITE, MAP_SHARED | populate, file, 0)
        else { throw .system("mmap", errno: linux_errno()) }
        self.base = base
        if creates { for slot in 0..<Int64(Self.count) { sem_init(semaphore(slot), 1, 0) } }
    }
    func unmap() { munmap(base, Self.count * Self.stride) }

    private func slot(_ number: Int64) -> UnsafeMutableRawPointer {
        base + Int(number % Int64(Self.count)) * Self.stride
    }
    func semaphore(_ number: Int64) -> UnsafeMutablePointer<sem_t> {
        slot(number).assumingMemoryBound(to: sem_t.self)
    }
    func stamp(_ number: Int64) -> UnsafeMutablePointer<Atomic<Int64>> {
        (slot(number) + 128).assumingMemoryBound(to: Atomic<Int64>.self)
    }
    func sequence(_ number: Int64) -> UnsafeMutablePointer<Atomic<Int64>> { stamp(number) + 1 }
    func frame(_ number: Int64) -> UnsafeMutableRawPointer { slot(number) + 4096 }
}

final class SemaphoreSender: SendingEnd {
    private let slots: SemaphoreSlots
    private(set) var next: Int64 = 0

    init(_ path: String) throws(BenchFault) { slots = try SemaphoreSlots(path, creates: true) }
    deinit { slots.unmap() }

    func send(_ picture: inout Picture) -> Sent? {
        picture.fill(slots.frame(next))
        let ready = linux_monotonic_nanoseconds()
        post(stamp: ready)
        return Sent(ready: ready, returned: linux_monotonic_nanoseconds())
    }

    /// One who waits in another slot than the next one leaves at the deadline.
    func end() { post(stamp: endStamp) }

    private func post(stamp: Int64) {
        slots.stamp(next).pointee.store(stamp, ordering: .relaxed)
        slots.sequence(next).pointee.store(next, ordering: .relaxed)
        sem_post(slots.semaphore(next))
        next += 1
    }
}

final class SemaphoreReceiver: ReceivingEnd {
    private let slots: SemaphoreSlots
    private var place: Int64 = 0

    init(_ path: String) throws(BenchFault) { slots = try SemaphoreSlots(path, creates: false) }
    deinit { slots.unmap() }

    func catchUp() { while sem_trywait(slots.semaphore(place)) == 0 { place += 1 } }

    func receive(until deadline: Int64) -> Received? {
        var until = timespec(tv_sec: Int(deadline / 1_000_000_000), tv_nsec: Int(deadline % 1_000_000_000))
        while sem_clockwait(slots.semaphore(place), CLOCK_MONOTONIC, &until) != 0 {
            if linux_errno() != EINTR { return nil }
        }
        let received = Received(
            sequence: slots.sequence(place).pointee.load(ordering: .relaxed),
            stamp: slots.stamp(place).pointee.load(ordering: .relaxed))
        place += 1
        return received
    }
}
