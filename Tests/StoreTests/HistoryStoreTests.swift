// The file: what is written comes back after a restart, and no half-done change is ever the base.
import Engine
import Foundation
import Graph
import Testing

@testable import Store

@Suite struct HistoryStoreTests {
    private let folder: Folder

    init() throws { folder = try Folder() }

    private func base() throws -> (number: Int, document: JSON)? { try HistoryStore(folder.file).base() }

    @Test func aNewFileHasNoPast() throws {
        let store = try HistoryStore(folder.file)
        #expect(try store.base() == nil)
        #expect(try store.origin() == nil)
        #expect(store.lastNumber == 0 && store.lastEventID == 0)
        #expect(try store.revisions(before: nil, limit: 10).isEmpty)
        #expect(try store.revision(1) == nil)
    }

    @Test func theBaseComesBackAfterManyPatches() throws {
        var store = try HistoryStore(folder.file)
        for number in 1...400 {
            try store.write([.committed(entry(number))])
            if number % 67 == 0 { store = try HistoryStore(folder.file) }
        }
        let found = try #require(try store.base())
        #expect(found.number == 400 && found.document == document(400))
        for number in [1, 2, 66, 67, 68, 128, 129, 399] {
            #expect(try store.revision(number)?.entry.document == document(number), "\(number)")
        }
        let kept = try HistoryStore(folder.file)
        #expect(kept.lastNumber == 400)
        #expect(try kept.base()?.document == document(400))
    }

    @Test func anIntentWithoutOutcomeIsNotTheGraph() throws {
        var store = try HistoryStore(folder.file)
        try store.write([.committed(entry(1)), .intent(entry(2))])
        #expect(try store.revision(2)?.outcome == nil)
        store = try HistoryStore(folder.file)
        #expect(try store.base()?.number == 1)
        #expect(store.lastNumber == 2)
        #expect(try store.revision(2)?.outcome == .interrupted)
        #expect(try store.revision(2)?.entry.document == document(2))
        // What comes next does not lead from it.
        try store.write([.intent(entry(3, previous: 1)), .outcome(3, .committed)])
        #expect(try base()?.number == 3)
        #expect(try base()?.document == document(3))
    }

    @Test func whatWasUndoneStaysInHistoryAndOutOfTheGraph() throws {
        var store = try HistoryStore(folder.file)
        try store.write([.committed(entry(1)), .committed(entry(2)), .intent(entry(3))])
        try store.write([.outcome(3, .undone("it did not start"))])
        try store.write([.committed(entry(4, previous: 2))])
        #expect(try store.base()?.document == document(4))
        #expect(try store.revision(3)?.outcome == .undone("it did not start"))
        let page = try store.revisions(before: 4, limit: 2)
        #expect(page.map(\.entry.number) == [3, 2])
        #expect(page.allSatisfy { $0.entry.document.isNull })
        #expect(page.last?.entry.reason == "test 2" && page.last?.outcome == .committed)
    }

    @Test func aHoleInTheRecordIsBridgedByAWholeDocument() throws {
        var store = try HistoryStore(folder.file)
        for number in [1, 2, 3, 7, 8] { try store.write([.committed(entry(number))]) }
        #expect(try base()?.document == document(8))
        #expect(try store.revision(5) == nil)
    }

    @Test func nothingOfAFailedBatchStays() throws {
        var store = try HistoryStore(folder.file)
        try store.write([.committed(entry(1))])
        try alter(folder.file, "CREATE TRIGGER no BEFORE INSERT ON overlay BEGIN SELECT RAISE(ABORT, 'no'); END")
        let overlay = OverlayEntry(author: "watch", time: 1, reason: nil, patch: [])
        #expect(throws: StoreFault.self) { try store.write([.committed(entry(2)), .overlay(overlay)]) }
        #expect(try store.base()?.number == 1)
        try store.write([.committed(entry(2))])
        #expect(try base()?.document == document(2))
    }

    @Test func historyIsBounded() throws {
        var store = try HistoryStore(folder.file)
        var batch: [HistoryWrite] = []
        for number in 1...2500 {
            batch.append(.committed(entry(number)))
            batch.append(.overlay(OverlayEntry(author: "watch", time: 1, reason: "\(number)", patch: [])))
            if number % 50 == 0 {
                try store.write(batch)
                batch = []
            }
        }
        let numbers = try store.revisions(before: nil, limit: 10_000).map(\.entry.number)
        #expect((HistoryStore.kept...HistoryStore.kept + 200).contains(numbers.count), "\(numbers.count)")
        let oldest = try #require(numbers.last)
        #expect(try store.revision(oldest)?.entry.document == document(oldest))
        #expect(try store.revision(oldest - 1) == nil)
        #expect(try store.overlayChanges(limit: 10_000).count == HistoryStore.keptOverlayChanges)
        #expect(try store.overlayChanges(limit: 1).first?.reason == "2500")
    }

    @Test func bytesAreBounded() throws {
        let limit = 1 << 20
        var store = try HistoryStore(folder.file, limitBytes: limit)
        for number in 1...100 {
            let whole = document(number, nodes: 300)
            let entry = JournalEntry(
                number: number, previous: number - 1, time: 0, author: "me", reason: nil,
                patch: [["op": "replace", "path": "", "value": whole]], inverse: [], document: whole)
            try store.write([.committed(entry)])
        }
        #expect(try store.base()?.document == document(100, nodes: 300))
        let size = try #require(try FileManager.default.attributesOfItem(atPath: folder.file)[.size] as? Int)
        #expect(size <= limit)
        #expect(try store.revisions(before: nil, limit: 1000).count > 5)
    }

    @Test func originAndEventsComeBack() throws {
        var store = try HistoryStore(folder.file)
        try store.write([.origin(document(7)), .events(3000)])
        store = try HistoryStore(folder.file)
        #expect(try store.origin() == document(7))
        #expect(store.lastEventID == 3000)
    }
}

@Suite struct StartingBaseTests {
    @Test func filesAndStoredBasesAreWeighed() {
        let (a, b, c) = (document(1), document(2), document(3))
        #expect(StartingBase(file: a, base: nil, origin: nil) == .file)
        #expect(StartingBase(file: a, base: b, origin: a) == .stored)
        #expect(StartingBase(file: a, base: a, origin: a) == .stored)
        #expect(StartingBase(file: b, base: a, origin: a) == .file)
        #expect(StartingBase(file: b, base: b, origin: a) == .storedIsFile)
        #expect(StartingBase(file: c, base: b, origin: a) == .storedBesideChangedFile)
        #expect(StartingBase(file: c, base: b, origin: nil) == .storedBesideChangedFile)
    }

    @Test func commentsAndSpacingAreAside() throws {
        let file = try JSONText("{ // mine\n \"patchbay\": 1, \"nodes\": { \"a\": {\"x\": 1.0}, }, }", syntax: .relaxed)
            .parse()
        let base = try JSONText(#"{"nodes":{"a":{"x":1}},"patchbay":1}"#).parse()
        #expect(StartingBase(file: file, base: document(1), origin: base) == .stored)
    }
}
