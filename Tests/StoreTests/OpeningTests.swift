// What is found at start: nothing is overwritten that somebody might want back.
import Engine
import Foundation
import Graph
import Media
import Testing

@testable import Store

@Suite struct OpeningTests {
    private let folder: Folder

    init() throws { folder = try Folder() }

    private func fill() throws {
        var store = try HistoryStore(folder.file)
        for number in 1...50 { try store.write([.committed(entry(number, nodes: 40))]) }
    }

    private func contents() throws -> Data { try Data(contentsOf: URL(fileURLWithPath: folder.file)) }

    @Test func aNewerVersionIsRefusedAndNotTouched() throws {
        try fill()
        try alter(folder.file, "PRAGMA user_version = 7")
        let before = try contents()
        #expect(throws: StoreFault.newer(path: folder.file, version: 7)) { _ = try OpenedHistory.open(in: folder.path) }
        #expect(try contents() == before)
        #expect(folder.names.contains("graph.sqlite"))
    }

    @Test func anotherProgramsDatabaseIsRefusedAndNotTouched() throws {
        try alter(folder.file, "CREATE TABLE theirs (x)")
        let before = try contents()
        #expect(throws: StoreFault.foreign(path: folder.file)) { _ = try OpenedHistory.open(in: folder.path) }
        #expect(try contents() == before)
    }

    @Test func whatIsNoDatabaseIsSetAside() throws {
        try Data("this is no database, and longer than the header of one is: ".utf8 + Data(count: 8192))
            .write(to: URL(fileURLWithPath: folder.file))
        let before = try contents()
        let opened = try OpenedHistory.open(in: folder.path)
        #expect(opened.base == nil)
        #expect(opened.warning?.contains("set aside") == true)
        #expect(try Data(contentsOf: URL(fileURLWithPath: folder.file + ".damaged")) == before)
    }

    @Test(arguments: [1, 2, 3, 5, 8]) func aDamagedPageIsSetAsideOrHarmless(page: Int) throws {
        try fill()
        var bytes = try contents()
        guard bytes.count > page * 4096 else { return }
        // Behind the file's own header where it is the first page.
        let start = page == 1 ? 100 : (page - 1) * 4096
        for i in start..<min(start + 512, bytes.count) { bytes[i] = 0xA5 }
        try bytes.write(to: URL(fileURLWithPath: folder.file))
        let opened = try OpenedHistory.open(in: folder.path)
        if opened.warning != nil {
            #expect(opened.base == nil)
            #expect(folder.names.contains("graph.sqlite.damaged"))
        } else {
            #expect(opened.base?.document == document(50, nodes: 40))
        }
        #expect(try HistoryStore(folder.file).lastNumber == (opened.warning == nil ? 50 : 0))
    }

    @Test func aBaseThatCanNotBePutTogetherIsSetAside() throws {
        try fill()
        try alter(folder.file, "UPDATE revision SET patch = '{', document = NULL")
        let opened = try OpenedHistory.open(in: folder.path)
        #expect(opened.base == nil && opened.warning?.contains("damaged") == true)
    }

    @Test func theBaseIsThereAgain() throws {
        try fill()
        let opened = try OpenedHistory.open(in: folder.path)
        #expect(opened.base?.number == 50 && opened.base?.document == document(50, nodes: 40))
        #expect(opened.warning == nil && opened.journal.lastNumber == 50)
    }

    @Test func aFolderThatIsNotThereIsSaid() throws {
        do {
            _ = try OpenedHistory.open(in: folder.path + "/none")
            Issue.record("it was opened")
        } catch { #expect(error.description.contains("none/graph.sqlite")) }
    }
}
