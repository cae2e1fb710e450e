// The thread: who waits for the disk and who doesn't, what happens when it is full, locked or hangs.
import CLinux
import Engine
import Foundation
import Graph
import Media
import Synchronization
import Testing

@testable import Store

/// A disk that a test can stop.
private final class Gate: Sendable {
    private let isShut = Atomic<Bool>(false)
    func shut() { isShut.store(true, ordering: .sequentiallyConsistent) }
    func open() { isShut.store(false, ordering: .sequentiallyConsistent) }
    func pass() { while isShut.load(ordering: .sequentiallyConsistent) { _ = poll(nil, 0, 1) } }
}

@Suite struct GraphJournalTests {
    private let folder: Folder
    private let gate = Gate()

    init() throws { folder = try Folder() }

    private func journal(
        limitBytes: Int = HistoryStore.standardLimit, patience: MediaTime = .seconds(5)
    ) throws -> GraphJournal {
        let gate = gate
        let journal = GraphJournal(
            try HistoryStore(folder.file, limitBytes: limitBytes), path: folder.file, limitBytes: limitBytes,
            patience: patience, gate: { gate.pass() })
        try journal.start()
        return journal
    }

    private func stored() throws -> (number: Int, document: JSON)? { try HistoryStore(folder.file).base() }

    @Test func anIntentIsOnDiskWhenItComesBack() async throws {
        let journal = try journal()
        try await journal.intend(entry(1))
        #expect(try HistoryStore(folder.file).lastNumber == 1)
        #expect(try stored() == nil)
        journal.settle(1, .committed)
        await journal.settled()
        #expect(try stored()?.document == document(1))
        #expect(journal.close(within: .seconds(20)))
    }

    @Test func whatWaitsIsWrittenAtTheEnd() async throws {
        let journal = try journal()
        for number in 1...100 { journal.record(entry(number)) }
        journal.noteEvent(1)
        #expect(journal.close(within: .seconds(20)))
        #expect(try stored()?.document == document(100))
        #expect(try HistoryStore(folder.file).lastEventID >= 1)
    }

    @Test func whatNodesKeepIsThereAgainUntilTheyLetGoOfIt() async throws {
        var journal = try journal()
        journal.keep(["choice": "backup"], of: "one/keeper")
        journal.keep(1, of: "other")
        journal.keep(["choice": "main"], of: "one/keeper")
        #expect(journal.memories == ["one/keeper": ["choice": "main"], "other": 1])
        #expect(journal.close(within: .seconds(20)))
        journal = try self.journal()
        #expect(journal.memories == ["one/keeper": ["choice": "main"], "other": 1])
        journal.keepMemories { $0 == "other" }
        #expect(journal.memories == ["other": 1])
        #expect(journal.close(within: .seconds(20)))
        #expect(try HistoryStore(folder.file).memories == ["other": 1])
    }

    @Test func aHangingDiskHoldsUpNobodyButThoseWhoAsk() async throws {
        let journal = try journal()
        gate.shut()
        for number in 1...20 { journal.record(entry(number)) }
        #expect(journal.report.waiting == 20)
        let intent = Task { try await journal.intend(entry(21)) }
        await eventually("the intent is queued") { journal.askedCount == 1 }
        // The engine's patience is over: the intent is not written, and whoever asked hears so.
        journal.settle(21, .undone("late"))
        gate.open()
        await #expect(throws: JournalFault.late) { try await intent.value }
        await journal.settled()
        #expect(journal.report.waiting == 0)
        #expect(try HistoryStore(folder.file).lastNumber == 20)
        #expect(journal.close(within: .seconds(20)))
    }

    @Test func aDiskThatIsKnownToHangRefusesAtOnce() async throws {
        let journal = try journal(patience: .milliseconds(10))
        gate.shut()
        journal.record(entry(1))
        // The clock goes on while the thread waits.
        await eventually("the disk is known to hang") { journal.isHanging }
        #expect(journal.report.fault == .late)
        await #expect(throws: JournalFault.late) { try await journal.intend(entry(2)) }
        gate.open()
        await journal.settled()
        await eventually("the disk is known to be well") { !journal.isHanging }
        #expect(journal.close(within: .seconds(20)))
    }

    @Test func theQueueIsBoundedAndTheNewestStateIsKept() async throws {
        let journal = try journal()
        gate.shut()
        for number in 1...3000 { journal.record(entry(number)) }
        #expect(journal.report.waiting == 1024)
        #expect(journal.report.lost == 3000 - 1024)
        gate.open()
        await journal.settled()
        #expect(try stored()?.document == document(3000))
        #expect(journal.close(within: .seconds(20)))
    }

    @Test func anotherProcessesLockRefusesIntentsAndDelaysTheRest() async throws {
        let journal = try journal()
        journal.record(entry(1))
        await journal.settled()
        let intruder = try Intruder(folder.file)
        await #expect(throws: JournalFault.locked(StoreFault.locked(path: folder.file).description)) {
            try await journal.intend(entry(2))
        }
        journal.record(entry(3, previous: 1))
        await journal.settled()
        #expect(journal.report.fault != nil && journal.report.waiting == 1)
        intruder.run("ROLLBACK")
        await eventually("the record is written behind") { journal.report.waiting == 0 }
        #expect(journal.report.fault == nil)
        #expect(try stored()?.document == document(3))
        #expect(try HistoryStore(folder.file).revision(2) == nil)
        #expect(journal.close(within: .seconds(20)))
    }

    @Test func whoIsRefusedLearnsThatTheStoreIsWellAgain() async throws {
        let journal = try journal()
        try await journal.intend(entry(1))
        let intruder = try Intruder(folder.file)
        await #expect(throws: JournalFault.self) { try await journal.intend(entry(2)) }
        // Nothing waits to be written: the thread looks by itself.
        #expect(journal.report.fault != nil && journal.report.waiting == 0)
        intruder.run("ROLLBACK")
        await eventually("the fault is over") { journal.report.fault == nil }
        #expect(journal.close(within: .seconds(20)))
    }

    @Test func aFullStoreRefusesIntentsAndKeepsTheNewestState() async throws {
        // 64 KiB: a few dozen pages, and documents that fill them at once.
        let journal = try journal(limitBytes: 64 << 10)
        try await journal.intend(entry(1))
        journal.settle(1, .committed)
        await journal.settled()
        await #expect(throws: JournalFault.full(StoreFault.full(path: folder.file).description)) {
            try await journal.intend(entry(2, previous: 0, nodes: 4000))
        }
        #expect(try stored()?.document == document(1))
        // What is small enough still goes.
        try await journal.intend(entry(3, previous: 1))
        journal.settle(3, .committed)
        await journal.settled()
        #expect(try stored()?.document == document(3))
        #expect(journal.close(within: .seconds(20)))
    }

    @Test func lookUpsSeeEverythingHandedOverBefore() async throws {
        let journal = try journal()
        for number in 1...30 { journal.record(entry(number)) }
        journal.record(OverlayEntry(author: "watch", time: 5, reason: "silence", patch: []))
        #expect(try await journal.revisions(before: 11, limit: 3).map(\.entry.number) == [10, 9, 8])
        #expect(try await journal.revision(30)?.entry.document == document(30))
        #expect(try await journal.revision(31) == nil)
        #expect(try await journal.overlayChanges(limit: 5).map(\.author) == ["watch"])
        #expect(journal.close(within: .seconds(20)))
    }
}
