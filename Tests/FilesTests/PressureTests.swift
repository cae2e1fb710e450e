// Slow, full and hanging disks.

import CLinux
import Synchronization
import Testing

@testable import Files

@Suite struct PressureTests {
    /// A pipe that nobody reads is a disk that hangs; reading it is the disk that comes back.
    final class HangingFile {
        let path: String
        private let descriptor: Int32

        init(_ path: String) throws {
            self.path = path
            try #require(mkfifo(path, 0o600) == 0)
            descriptor = linux_open(path, O_RDWR | O_NONBLOCK, 0)
            try #require(descriptor >= 0)
        }
        deinit { close(descriptor) }

        /// All that comes until a condition holds and the pipe is empty.
        func drain(until isOver: () -> Bool) -> [UInt8] {
            var (bytes, block) = ([UInt8](), [UInt8](repeating: 0, count: 1 << 16))
            let end = deadline()
            while linux_monotonic_nanoseconds() < end {
                let isLast = isOver()
                let count = read(descriptor, &block, block.count)
                if count > 0 { bytes += block[..<count] } else if isLast { break } else { sched_yield() }
            }
            return bytes
        }
    }

    @Test func othersGoOnWhileADiskHangs() throws {
        let folder = try TemporaryFolder()
        let service = try FileService(backend: .ioUring, memoryLimit: 8 << 20)
        let pipe = try HangingFile(folder("pipe"))
        let stuck = service.create(pipe.path)
        var accepted: [UInt8] = []
        while case let bytes = pattern(100_000, seed: UInt8(truncatingIfNeeded: accepted.count >> 4)),
            stuck.append(bytes) == .accepted
        { accepted += bytes }
        // Half of the memory is its share; the other half stays for others.
        #expect(service.memoryInUse <= service.memoryLimit / 2 + (256 << 10))
        #expect(service.counters.refusals.load(ordering: .relaxed) == 1)
        for number in 0..<40 {
            let file = service.create(folder("f\(number)"))
            #expect(file.append(pattern(300_000)) == .accepted)
            file.close()
            #expect(eventually { file.state == .closed })
            #expect(contents(folder("f\(number)")) == pattern(300_000))
        }
        #expect(!service.drain(deadline: 0) && stuck.state == .open)
        stuck.close()
        let read = pipe.drain { stuck.state == .closed }
        #expect(read == accepted)
        #expect(service.drain(deadline: deadline()) && service.memoryInUse == 0)
    }

    @Test(arguments: backends) func aFullMemoryRefusesAndRecovers(_ backend: FileService.Backend) throws {
        let folder = try TemporaryFolder()
        let service = try FileService(backend: backend, memoryLimit: 1 << 20)
        let pipe = try HangingFile(folder("pipe"))
        let stuck = service.create(pipe.path)
        var accepted: [UInt8] = []
        while stuck.append(pattern(50_000)) == .accepted { accepted += pattern(50_000) }
        #expect(!accepted.isEmpty && accepted.count <= 1 << 20)
        var rest: [UInt8] = []
        rest = pipe.drain { stuck.bytesWritten == accepted.count }
        #expect(eventually { stuck.append([1, 2, 3]) == .accepted })
        stuck.close()
        rest += pipe.drain { stuck.state == .closed }
        #expect(rest == accepted + [1, 2, 3])
        #expect(service.drain(deadline: deadline()) && service.memoryInUse == 0)
    }

    /// Lanes are answered at once however long a plain write hangs.
    @Test(arguments: backends) func shutdownGivesUpOnAHangingDisk(_ backend: FileService.Backend) throws {
        let folder = try TemporaryFolder()
        let service = try FileService(backend: backend, memoryLimit: 2 << 20)
        let pipe = try HangingFile(folder("pipe"))
        let stuck = service.create(pipe.path)
        #expect(stuck.append(pattern(300_000)) == .accepted)
        #expect(!service.shutdown(deadline: linux_monotonic_nanoseconds() + 50_000_000))
        guard case .failed(let fault) = stuck.append([1]) else { return #expect(Bool(false), "taken after shutdown") }
        // The stop, or already the verdict on the disk.
        #expect(fault.errno == ESHUTDOWN || fault.errno == ETIMEDOUT)
        #expect(stuck.bytesWritten < 300_000)
        // So that the fallback's thread ends too.
        _ = pipe.drain { backend == .ioUring || stuck.bytesWritten >= 262_144 }
    }

    @Test(arguments: backends) func aFullDiskFailsTheFileAlone(_ backend: FileService.Backend) throws {
        let folder = try TemporaryFolder()
        let service = try FileService(backend: backend)
        let other = service.create(folder("other"))
        let heard = Heard()
        let file = service.create("/dev/full", observer: heard.observer)
        #expect(file.append([1]) == .accepted)
        file.flush()
        #expect(eventually { file.state == .failed })
        #expect(file.fault == FileFault(.write, errno: ENOSPC, path: "/dev/full"))
        #expect(file.fault?.message.contains("No space left") == true)
        #expect(file.fault?.message.contains("--root") == true)
        #expect(file.append([1]) == .failed(file.fault!))
        #expect(other.append([7]) == .accepted)
        other.close()
        #expect(service.drain(deadline: deadline()) && contents(folder("other")) == [7])
        #expect(heard.all == [.opened, .failed(file.fault!)])
        #expect(service.memoryInUse == 0)
    }

    /// A real file system of 1 MiB that fills up, is emptied and takes files again.
    @Test(.enabled(if: getuid() == 0, "mounting needs root"), arguments: backends)
    func aFullFileSystemRecovers(_ backend: FileService.Backend) throws {
        let folder = try TemporaryFolder()
        let mount = folder("small")
        try #require(mkdir(mount, 0o755) == 0)
        guard system("mount -t tmpfs -o size=1m none \(mount) 2>/dev/null") == 0 else {
            print("no right to mount here: /dev/full stands for the full disk")
            return
        }
        defer { _ = system("umount \(mount)") }
        let service = try FileService(backend: backend)
        let file = service.create("\(mount)/a")
        #expect(file.append(pattern(3 << 20)) == .accepted)
        file.close(renamedTo: "\(mount)/b")
        #expect(service.drain(deadline: deadline()))
        #expect(file.fault?.errno == ENOSPC && file.fault?.operation == .write)
        #expect(names(in: mount) == ["a"])
        #expect(contents("\(mount)/a") == Array(pattern(3 << 20).prefix(Int(file.bytesWritten))))
        // A replacement that fails leaves neither half a file nor a temporary one.
        #expect(service.replace("\(mount)/list", pattern(100_000)) == .accepted)
        #expect(service.drain(deadline: deadline()))
        #expect(names(in: mount) == ["a"] && service.lastFault?.errno == ENOSPC)
        #expect(throws: FileFault.self) { try OutputRoots.checkWritable(mount) }
        #expect(service.remove("\(mount)/a") == .accepted)
        #expect(service.replace("\(mount)/list", pattern(100_000)) == .accepted)
        #expect(service.drain(deadline: deadline()))
        #expect(contents("\(mount)/list") == pattern(100_000) && service.memoryInUse == 0)
    }

    /// An awake service costs its callers no system call, and small appends share one write.
    @Test(arguments: backends) func smallAppendsShareOneWrite(_ backend: FileService.Backend) throws {
        let folder = try TemporaryFolder()
        let service = try FileService(backend: backend)
        let file = service.create(folder("x"))
        #expect(eventually { file.state == .open })
        #expect(service.drain(deadline: deadline()))
        let before = service.counters.operations.load(ordering: .relaxed)
        let rung = service.counters.wakeUps.load(ordering: .relaxed)
        for _ in 0..<1_000 { #expect(file.append([1, 2, 3, 4]) == .accepted) }
        #expect(service.counters.wakeUps.load(ordering: .relaxed) == rung)
        file.flush()
        #expect(service.drain(deadline: deadline()))
        #expect(service.counters.operations.load(ordering: .relaxed) == before + 1)
        #expect(file.bytesWritten == 4_000)
    }
}
