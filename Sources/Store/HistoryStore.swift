// The history of a graph in SQLite: revisions with their patches, a whole document now and then, changes of overlays.
// Invariant: the base is the newest revision whose outcome is `committed`; its document is the whole one at or before it
// with the committed patches after that. One thread at a time.
import CSQLite
package import Engine
package import Graph

/// A file of history.
package struct HistoryStore: ~Copyable {
    /// How the newest revisions are stored; what decides when the next whole document is due.
    private struct Tail {
        /// The newest committed revision, 0 without one.
        var head = 0
        /// Committed patches since the newest whole document, and their bytes.
        var steps = 0
        var patchBytes = 0
        var documentBytes = 0
        /// The intent that has no outcome yet.
        var open: Written?
    }
    private struct Written {
        let number: Int
        /// Bytes of the whole document, nil where only the patch was written.
        let documentBytes: Int?
        let patchBytes: Int
    }

    /// At most so many patches lead from a whole document to a revision.
    private static let longestChain = 128
    /// So many revisions stay at least, unless their bytes are more than half of the file's limit.
    static let kept = 1000
    static let keptOverlayChanges = 1000
    /// Bytes that a file may have.
    package static let standardLimit = 256 << 20

    private let connection: Connection
    private var tail: Tail
    private let limitBytes: Int
    /// The highest number when it was opened: what has no outcome up to here never gets one.
    package let lastNumber: Int
    package let lastEventID: UInt64
    /// What control nodes kept, when it was opened.
    package let memories: [String: JSON]
    package var path: String { connection.path }

    /// Opens a history, or makes it.
    package init(_ path: String, limitBytes: Int = standardLimit) throws(StoreFault) {
        let opened = try Connection(path)
        try HistorySchema.prepare(opened, limitBytes: limitBytes)
        let last = try opened.integer("SELECT max(number) FROM revision") ?? 0
        let events = try opened.text("SELECT value FROM state WHERE key = 'events'").flatMap { UInt64($0) } ?? 0
        let memories = try Self.memories(in: opened)
        var tail = Tail()
        tail.head = try opened.integer("SELECT max(number) FROM revision WHERE outcome = 'committed'") ?? 0
        // The next one is written whole, so nothing needs to be known of those before it.
        tail.steps = Self.longestChain
        (self.tail, self.limitBytes, lastNumber, lastEventID) = (tail, limitBytes, last, events)
        self.memories = memories
        connection = opened
    }

    /// Lends this to `body`: what is optional and can't be copied is reached by no other way.
    mutating func use(_ body: @Sendable (inout HistoryStore) throws(StoreFault) -> Void) throws(StoreFault) {
        try body(&self)
    }

    // MARK: Writing

    /// Runs all of `writes`, or none.
    package mutating func write(_ writes: [HistoryWrite]) throws(StoreFault) {
        let before = tail
        do throws(StoreFault) {
            try connection.execute("BEGIN IMMEDIATE")
            for item in writes { try write(item) }
            try connection.execute("COMMIT")
        } catch {
            tail = before
            // SQLite has rolled back by itself after some errors; then this fails, which says nothing new.
            do throws(StoreFault) { try connection.execute("ROLLBACK") } catch {}
            throw error
        }
    }

    private mutating func write(_ item: HistoryWrite) throws(StoreFault) {
        switch item {
        case .intent(let entry): tail.open = try insert(entry, outcome: nil)
        case .committed(let entry): end(try insert(entry, outcome: "committed"), of: entry.number)
        case .outcome(let number, let outcome): try settle(number, outcome)
        case .overlay(let entry): try insert(entry)
        case .origin(let document): try set("origin", document.compact)
        case .events(let id): try set("events", String(id))
        case .memory(let memory?, let node): try set(Self.memory + node, memory.compact)
        case .memory(nil, let node):
            try connection.run("DELETE FROM state WHERE key = ?", [.text(Self.memory + node)])
        }
        if case .committed = item { try prune() }
        if case .outcome = item { try prune() }
    }

    private func insert(_ entry: JournalEntry, outcome: String?) throws(StoreFault) -> Written {
        let patch = entry.patch.compact
        let inverse = entry.inverse.compact
        let bytes = patch.utf8.count + inverse.utf8.count
        // Patches of one change that was not written down lead nowhere.
        let isWhole =
            entry.previous != tail.head || tail.steps + 1 >= Self.longestChain
            || tail.patchBytes + bytes >= tail.documentBytes
        let document = isWhole ? entry.document.compact : nil
        try connection.run(
            """
            INSERT OR REPLACE INTO revision (number, previous, time, author, reason, patch, inverse, document, outcome)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [
                .integer(entry.number), .integer(entry.previous), .integer(Int(entry.time)), .text(entry.author),
                StoredValue(entry.reason), .text(patch), .text(inverse), StoredValue(document), StoredValue(outcome),
            ])
        return Written(number: entry.number, documentBytes: document?.utf8.count, patchBytes: bytes)
    }

    private mutating func settle(_ number: Int, _ outcome: JournalOutcome) throws(StoreFault) {
        let (name, cause): (String, String?) =
            switch outcome {
            case .committed: ("committed", nil)
            case .undone(let cause): ("undone", cause)
            case .interrupted: ("undone", "the engine ended before it was done")
            }
        try connection.run(
            "UPDATE revision SET outcome = ?, cause = ? WHERE number = ? AND outcome IS NULL",
            [.text(name), StoredValue(cause), .integer(number)])
        if let open = tail.open, open.number == number, outcome == .committed { end(open, of: number) }
        tail.open = nil
    }

    /// `number` is the base from now on.
    private mutating func end(_ written: Written, of number: Int) {
        tail.head = number
        if let bytes = written.documentBytes {
            (tail.steps, tail.patchBytes, tail.documentBytes) = (0, 0, bytes)
        } else {
            tail.steps += 1
            tail.patchBytes += written.patchBytes
        }
    }

    private func insert(_ entry: OverlayEntry) throws(StoreFault) {
        try connection.run(
            "INSERT INTO overlay (author, time, reason, patch) VALUES (?, ?, ?, ?)",
            [
                .text(entry.author), .integer(Int(entry.time)), StoredValue(entry.reason), .text(entry.patch.compact),
            ])
        try connection.run(
            "DELETE FROM overlay WHERE id <= (SELECT max(id) FROM overlay) - ?", [.integer(Self.keptOverlayChanges)])
    }

    private func set(_ key: String, _ value: String) throws(StoreFault) {
        try connection.run("INSERT OR REPLACE INTO state (key, value) VALUES (?, ?)", [.text(key), .text(value)])
    }

    /// Lets the oldest revisions go, up to a whole document: what is kept can always be put together.
    private mutating func prune() throws(StoreFault) {
        // Only behind a whole document: that is when there is a new place to cut at.
        guard tail.steps == 0 else { return }
        let page = try connection.integer("PRAGMA page_size") ?? 4096
        let used =
            (try connection.integer("PRAGMA page_count") ?? 0) - (try connection.integer("PRAGMA freelist_count") ?? 0)
        let kept = used * page > limitBytes / 2 ? 1 : Self.kept
        try connection.run(
            """
            DELETE FROM revision WHERE number < (SELECT max(number) FROM revision
            WHERE document IS NOT NULL AND outcome = 'committed' AND number <= ?)
            """, [.integer(tail.head - kept)])
    }

    // MARK: Reading

    /// The base, and the number of its revision; nil where nothing has been committed.
    package func base() throws(StoreFault) -> (number: Int, document: JSON)? {
        guard tail.head > 0 else { return nil }
        guard let document = try document(of: tail.head) else {
            throw .corrupt(path: path, "revision \(tail.head) can't be put together")
        }
        return (tail.head, document)
    }

    /// The file's document that the base comes from.
    package func origin() throws(StoreFault) -> JSON? {
        guard let text = try connection.text("SELECT value FROM state WHERE key = 'origin'") else { return nil }
        return try connection.parsed(text)
    }

    /// What the keys of nodes' memories begin with.
    private static let memory = "memory/"

    private static func memories(in connection: borrowing Connection) throws(StoreFault) -> [String: JSON] {
        let statement = try connection.prepare(
            "SELECT substr(key, ?), value FROM state WHERE key GLOB ?",
            [.integer(memory.utf8.count + 1), .text(memory + "*")])
        var result: [String: JSON] = [:]
        while try statement.step() { result[statement.text(0) ?? ""] = try connection.parsed(statement.text(1) ?? "") }
        return result
    }

    private static let columns = "number, previous, time, author, reason, patch, inverse, outcome, cause"

    /// Newest first, without documents.
    package func revisions(before: Int?, limit: Int) throws(StoreFault) -> [JournalRevision] {
        let statement = try connection.prepare(
            "SELECT \(Self.columns) FROM revision WHERE number < ? ORDER BY number DESC LIMIT ?",
            [.integer(before ?? .max), .integer(limit)])
        var result: [JournalRevision] = []
        while try statement.step() { result.append(try revision(statement, document: .null)) }
        return result
    }

    /// One revision with its document.
    package func revision(_ number: Int) throws(StoreFault) -> JournalRevision? {
        guard let document = try document(of: number) else { return nil }
        let statement = try connection.prepare(
            "SELECT \(Self.columns) FROM revision WHERE number = ?", [.integer(number)])
        return try statement.step() ? try revision(statement, document: document) : nil
    }

    /// Newest first.
    package func overlayChanges(limit: Int) throws(StoreFault) -> [OverlayEntry] {
        let statement = try connection.prepare(
            "SELECT author, time, reason, patch FROM overlay ORDER BY id DESC LIMIT ?", [.integer(limit)])
        var result: [OverlayEntry] = []
        while try statement.step() {
            result.append(
                OverlayEntry(
                    author: statement.text(0) ?? "", time: Int64(statement.integer(1) ?? 0), reason: statement.text(2),
                    patch: try connection.parsed(statement.text(3) ?? "")))
        }
        return result
    }

    private func revision(_ row: borrowing Statement, document: JSON) throws(StoreFault) -> JournalRevision {
        let number = row.integer(0) ?? 0
        let entry = JournalEntry(
            number: number, previous: row.integer(1) ?? 0, time: Int64(row.integer(2) ?? 0), author: row.text(3) ?? "",
            reason: row.text(4), patch: try connection.parsed(row.text(5) ?? ""),
            inverse: try connection.parsed(row.text(6) ?? ""),
            document: document)
        let outcome: JournalOutcome? =
            switch row.text(7) {
            case "committed": .committed
            case "undone": .undone(row.text(8) ?? "")
            default: number <= lastNumber ? .interrupted : nil
            }
        return JournalRevision(entry: entry, outcome: outcome)
    }

    /// Back to the nearest whole document, then forward again by the patches.
    private func document(of number: Int) throws(StoreFault) -> JSON? {
        var patches: [JSON] = []
        var wanted = number
        while patches.count <= Self.longestChain + 1 {
            let row = try connection.prepare(
                "SELECT previous, document, patch FROM revision WHERE number = ?", [.integer(wanted)])
            guard try row.step() else { return nil }
            if let text = row.text(1) { return try patched(try connection.parsed(text), by: patches.reversed()) }
            patches.append(try connection.parsed(row.text(2) ?? ""))
            wanted = row.integer(0) ?? 0
        }
        return nil
    }

    private func patched(_ document: JSON, by patches: [JSON]) throws(StoreFault) -> JSON {
        var document = document
        for patch in patches {
            do throws(PatchFault) { document = try JSONPatch(json: patch).applied(to: document) } catch {
                throw .corrupt(path: path, "a patch does not apply: \(error)")
            }
        }
        return document
    }
}

extension Connection {
    /// What is stored is a document, or a patch with documents in it: deeper by two than any that came from outside.
    fileprivate func parsed(_ text: String) throws(StoreFault) -> JSON {
        do throws(JSONFault) { return try JSONText(text, limits: JSONLimits(bytes: 64 << 20, depth: 72)).parse() } catch
        {
            throw .corrupt(path: path, "what should be JSON is not: \(error)")
        }
    }
}

/// One thing to be written down.
package enum HistoryWrite: Sendable {
    case intent(JournalEntry)
    case outcome(Int, JournalOutcome)
    case committed(JournalEntry)
    case overlay(OverlayEntry)
    case origin(JSON)
    case events(UInt64)
    case memory(JSON?, of: String)
}
