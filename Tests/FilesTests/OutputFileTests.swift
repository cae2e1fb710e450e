import CLinux
import Synchronization
import Testing

@testable import Files

@Suite struct OutputFileTests {
    @Test(arguments: backends) func writesWhatIsAppendedInOrder(_ backend: FileService.Backend) throws {
        let folder = try TemporaryFolder()
        let service = try FileService(backend: backend)
        #expect(service.backend.kind == backend)
        let heard = Heard()
        let file = service.create(folder("a/b/c.bin"), .exclusive, observer: heard.observer)
        var random = Random(state: 7)
        var expected: [UInt8] = []
        for part in 0..<200 {
            let bytes = pattern(Int.random(in: 0...20_000, using: &random), seed: UInt8(part))
            #expect(file.append(bytes) == .accepted)
            expected += bytes
            if part % 50 == 0 { file.flush() }
        }
        file.sync()
        file.close()
        #expect(service.drain(deadline: deadline()))
        #expect(contents(folder("a/b/c.bin")) == expected)
        #expect(file.state == .closed)
        #expect(file.bytesAccepted == UInt64(expected.count) && file.bytesWritten == file.bytesAccepted)
        #expect(heard.all.first == .opened && heard.all.last == .ended(.closed) && heard.all.contains(.synced))
        #expect(service.memoryInUse == 0 && service.counters.queueDepth.load(ordering: .relaxed) == 0)
        #expect(service.shutdown(deadline: deadline()))
    }

    @Test(arguments: backends) func appendsLargerThanAChunk(_ backend: FileService.Backend) throws {
        let folder = try TemporaryFolder()
        let service = try FileService(backend: backend, memoryLimit: 16 << 20)
        let file = service.create(folder("big"))
        let bytes = pattern(3 << 20 | 17)
        #expect(file.append([1, 2, 3]) == .accepted)
        #expect(file.append(bytes) == .accepted)
        file.close()
        #expect(service.drain(deadline: deadline()))
        #expect(contents(folder("big")) == [1, 2, 3] + bytes)
    }

    @Test(arguments: backends) func patchesAHeaderAndRenames(_ backend: FileService.Backend) throws {
        let folder = try TemporaryFolder()
        let service = try FileService(backend: backend)
        let file = service.create(folder("x.part"))
        #expect(file.append([0, 0, 0, 0, 9, 9]) == .accepted)
        #expect(file.overwrite(at: 0, [1, 2, 3, 4]) == .accepted)
        #expect(file.append([8, 8]) == .accepted)
        file.close(renamedTo: folder("x.mp4"))
        #expect(service.remove(folder("nothing")) == .accepted)
        #expect(service.drain(deadline: deadline()))
        #expect(contents(folder("x.mp4")) == [1, 2, 3, 4, 9, 9, 8, 8])
        #expect(names(in: folder.path) == ["x.mp4"])
        #expect(file.state == .renamed)
        var status = stat()
        #expect(stat(folder("x.mp4"), &status) == 0 && status.st_mode & 0o777 == 0o644)
    }

    @Test(arguments: backends) func discardsAndRefusesAfterTheEnd(_ backend: FileService.Backend) throws {
        let folder = try TemporaryFolder()
        let service = try FileService(backend: backend)
        let file = service.create(folder("x"))
        #expect(file.append(pattern(600_000)) == .accepted)
        file.discard()
        guard case .failed = file.append([1]) else { return #expect(Bool(false), "taken after discard") }
        #expect(service.drain(deadline: deadline()))
        #expect(names(in: folder.path).isEmpty && file.state == .discarded)
        #expect(service.memoryInUse == 0)
    }

    @Test(arguments: backends) func closesWhatIsLetGo(_ backend: FileService.Backend) throws {
        let folder = try TemporaryFolder()
        let service = try FileService(backend: backend)
        do {
            let file = service.create(folder("x"))
            #expect(file.append([5]) == .accepted)
        }
        #expect(service.drain(deadline: deadline()))
        #expect(contents(folder("x")) == [5])
    }

    @Test(arguments: backends) func shutdownClosesWhatIsOpen(_ backend: FileService.Backend) throws {
        let folder = try TemporaryFolder()
        let service = try FileService(backend: backend)
        let file = service.create(folder("x"))
        #expect(file.append([5, 6]) == .accepted)
        file.flush()
        #expect(service.shutdown(deadline: deadline()))
        #expect(file.state == .closed && contents(folder("x")) == [5, 6])
        guard case .failed = service.replace(folder("y"), [1]) else { return #expect(Bool(false), "taken") }
        #expect(service.create(folder("z")).fault?.errno == ESHUTDOWN)
        #expect(service.shutdown(deadline: deadline()))
    }

    @Test(arguments: backends) func saysWhatIsWrong(_ backend: FileService.Backend) throws {
        let folder = try TemporaryFolder()
        let service = try FileService(backend: backend)
        let kept = service.create(folder("there"))
        kept.close()
        let heard = Heard()
        let file = service.create(folder("there"), .exclusive, observer: heard.observer)
        _ = file.append([1])
        let below = service.create(folder("there/below"))
        let nul = service.create(folder("n\0ul"))
        #expect(service.drain(deadline: deadline()))
        #expect(file.fault?.errno == EEXIST && file.state == .failed)
        #expect(file.fault?.message.contains("exists already") == true)
        #expect(heard.all == [.failed(file.fault!)])
        #expect(file.append([1]) == .failed(file.fault!))
        #expect(below.fault?.errno == ENOTDIR)
        #expect(nul.fault?.errno == EINVAL)
        #expect(service.memoryInUse == 0)
        #expect(service.counters.failures.load(ordering: .relaxed) == 3)
        #expect(service.lastFault != nil)
    }

    @Test(arguments: backends) func manyFilesFromManyThreads(_ backend: FileService.Backend) throws {
        let folder = try TemporaryFolder()
        let service = try FileService(backend: backend)
        let root = folder.path
        let writers = (0..<4).map { thread in
            Writer {
                for number in 0..<100 {
                    let file = service.create("\(root)/\(thread)/\(number)")
                    for part in 0..<5 {
                        let bytes = pattern(3_000, seed: UInt8(part + number))
                        while file.append(bytes) == .full { sched_yield() }
                        file.flush()
                    }
                    file.close(renamedTo: "\(root)/\(thread)/\(number).done")
                }
            }
        }
        for writer in writers { writer.join() }
        #expect(service.drain(deadline: deadline()))
        for thread in 0..<4 {
            #expect(names(in: "\(root)/\(thread)").count == 100)
            for number in 0..<100 {
                let expected = (0..<5).flatMap { pattern(3_000, seed: UInt8($0 + number)) }
                #expect(contents("\(root)/\(thread)/\(number).done") == expected)
            }
        }
        #expect(service.memoryInUse == 0)
        #expect(service.counters.liveJobs.load(ordering: .relaxed) == 0)
    }
}
