import CLinux
import Synchronization
import Testing

@testable import Files

@Suite struct ReplaceTests {
    @Test(arguments: backends) func replacesWholeAndLeavesNothingBeside(_ backend: FileService.Backend) throws {
        let folder = try TemporaryFolder()
        let service = try FileService(backend: backend)
        let heard = Heard()
        #expect(service.replace(folder("new/list.m3u8"), pattern(700_000), observer: heard.observer) == .accepted)
        #expect(service.drain(deadline: deadline()))
        #expect(contents(folder("new/list.m3u8")) == pattern(700_000))
        #expect(service.replace(folder("new/list.m3u8"), pattern(10, seed: 3), durable: true) == .accepted)
        #expect(service.drain(deadline: deadline()))
        #expect(contents(folder("new/list.m3u8")) == pattern(10, seed: 3))
        #expect(service.replace(folder("new/list.m3u8"), [UInt8]()) == .accepted)
        #expect(service.drain(deadline: deadline()))
        #expect(contents(folder("new/list.m3u8")) == [])
        #expect(names(in: folder("new")) == ["list.m3u8"])
        #expect(heard.all.last == .ended(.renamed))
    }

    /// Two threads replace two paths each; a reader never sees a mixture, and what stays is each path's newest.
    @Test(arguments: backends) func newestWinsUnderLoad(_ backend: FileService.Backend) throws {
        let folder = try TemporaryFolder()
        let service = try FileService(backend: backend)
        let root = folder.path
        let seed: UInt64 = 11
        print("seed \(seed)")
        let writers = (0..<4).map { thread in
            Writer {
                var random = Random(state: seed &+ UInt64(thread))
                for number in 0...300 {
                    let count = number == 300 ? 1_000 : Int.random(in: 1...50_000, using: &random)
                    let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: count)
                    while service.replace("\(root)/\(thread)", bytes) == .full { sched_yield() }
                }
            }
        }
        var mixed = 0
        for _ in 0..<2_000 {
            if let bytes = contents("\(root)/0"), let first = bytes.first, bytes.contains(where: { $0 != first }) {
                mixed += 1
            }
        }
        for writer in writers { writer.join() }
        #expect(mixed == 0)
        #expect(service.drain(deadline: deadline()))
        for thread in 0..<4 {
            #expect(contents("\(root)/\(thread)") == [UInt8](repeating: UInt8(truncatingIfNeeded: 300), count: 1_000))
        }
        #expect(names(in: root).count == 4)
        #expect(service.memoryInUse == 0)
        #expect(service.counters.liveJobs.load(ordering: .relaxed) == 0)
    }

    /// While a path is held by an open file, replacements of it pile up and only the newest runs.
    @Test(arguments: backends) func waitingReplacementsGiveWay(_ backend: FileService.Backend) throws {
        let folder = try TemporaryFolder()
        let service = try FileService(backend: backend)
        let file = service.create(folder("x"))
        let (first, last) = (Heard(), Heard())
        #expect(service.replace(folder("x"), [1], observer: first.observer) == .accepted)
        for number in 2..<20 { #expect(service.replace(folder("x"), [UInt8(number)]) == .accepted) }
        #expect(service.replace(folder("x"), [99], observer: last.observer) == .accepted)
        #expect(eventually { service.counters.superseded.load(ordering: .relaxed) == 19 })
        #expect(!service.drain(deadline: 0))
        file.close()
        #expect(service.drain(deadline: deadline()))
        #expect(contents(folder("x")) == [99])
        #expect(first.all == [.ended(.superseded)] && last.all.last == .ended(.renamed))
        #expect(service.memoryInUse == 0)
    }

    @Test(arguments: backends) func removesAfterWhatCameBefore(_ backend: FileService.Backend) throws {
        let folder = try TemporaryFolder()
        let service = try FileService(backend: backend)
        for number in 0..<50 {
            let path = folder("f\(number)")
            let file = service.create(folder("g\(number)"))
            #expect(file.append(pattern(10_000)) == .accepted)
            file.close(renamedTo: path)
            #expect(service.replace(folder("r\(number)"), [1]) == .accepted)
            #expect(service.remove(folder("r\(number)")) == .accepted)
            #expect(service.remove(path) == .accepted)
            // What comes after a removal stays.
            #expect(service.replace(folder("s\(number)"), [1]) == .accepted)
            #expect(service.remove(folder("s\(number)")) == .accepted)
            #expect(service.replace(folder("s\(number)"), [2]) == .accepted)
        }
        #expect(service.drain(deadline: deadline()))
        #expect(names(in: folder.path) == (0..<50).map { "s\($0)" }.sorted())
        #expect(contents(folder("s7")) == [2])
    }
}
