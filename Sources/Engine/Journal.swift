// What the engine wants written down of its transactions, and the small protocol of whoever does it: an intent before a
// structural change, its outcome after; changes of live settings behind. Values: any thread.
package import Graph
package import Media

/// One change of the base, as history keeps it.
package struct JournalEntry: Sendable {
    /// Its revision, should it be committed. Numbers are never given twice; a change that was undone leaves a gap.
    package let number: Int
    /// The revision that it changes.
    package let previous: Int
    /// UTC, nanoseconds since 1970.
    package let time: Int64
    package let author: String
    package let reason: String?
    /// JSON Patch (RFC 6902) from the base before to the base after, and back.
    package let patch: JSON
    package let inverse: JSON
    /// The base after it.
    package let document: JSON

    package init(
        number: Int, previous: Int, time: Int64, author: String, reason: String?, patch: JSON, inverse: JSON,
        document: JSON
    ) {
        (self.number, self.previous, self.time) = (number, previous, time)
        (self.author, self.reason) = (author, reason)
        (self.patch, self.inverse, self.document) = (patch, inverse, document)
    }
}

/// One change of a control node's overlay. Not restored: a control node rebuilds its overlay from facts.
package struct OverlayEntry: Sendable {
    /// The control node.
    package let author: String
    /// UTC, nanoseconds since 1970.
    package let time: Int64
    package let reason: String?
    package let patch: JSON

    package init(author: String, time: Int64, reason: String?, patch: JSON) {
        (self.author, self.time, self.reason, self.patch) = (author, time, reason, patch)
    }
}

/// What became of an intent.
package enum JournalOutcome: Sendable, Equatable {
    case committed
    /// It did not come about; the graph is as it was. Why.
    case undone(String)
    /// The engine ended between intent and outcome, so it is not the graph.
    case interrupted
}

/// A revision as history gives it back.
package struct JournalRevision: Sendable {
    package let entry: JournalEntry
    /// Nil: it is being committed just now.
    package let outcome: JournalOutcome?

    package init(entry: JournalEntry, outcome: JournalOutcome?) {
        self.entry = entry
        self.outcome = outcome
    }
}

/// Why something could not be written down or looked up.
package enum JournalFault: Error, Sendable, Equatable {
    /// The disk, or what the history may take of it, is full.
    case full(String)
    /// Another process holds the store.
    case locked(String)
    /// The disk has not answered in time.
    case late
    /// Everything else, in words.
    case failed(String)
}

/// How the writing down goes, for `/health` and `/metrics`.
package struct JournalReport: Sendable, Equatable {
    /// Why the newest attempt to write failed; nil while all is well.
    package var fault: JournalFault?
    /// Changes that are done and not yet on disk.
    package var waiting = 0
    /// Changes that had to be left out since too many waited; the state after them is kept.
    package var lost = 0
    /// Where it is written.
    package var path: String

    package init(path: String) { self.path = path }
}

/// Writes down what the engine does to the graph. None of it waits but what is `async`, and the engine holds that to
/// `patience`. Any thread.
package protocol TransactionJournal: AnyObject, Sendable {
    /// How long the engine waits for the disk before it refuses a structural change.
    var patience: MediaTime { get }
    /// The highest number that an entry has had, 0 before the first.
    var lastNumber: Int { get }
    /// Event ids up to this one may have been given out by earlier runs.
    var lastEventID: UInt64 { get }

    /// Comes back when the intent is on disk. Everything handed over before it is, too.
    func intend(_ entry: JournalEntry) async throws(JournalFault)
    /// What became of an intent. Behind.
    func settle(_ number: Int, _ outcome: JournalOutcome)
    /// A change that has been committed without an intent: of live settings alone, or at start. Behind.
    func record(_ entry: JournalEntry)
    /// A change of an overlay. Behind.
    func record(_ entry: OverlayEntry)
    /// What a control node is to know again when the next run begins, or nothing. Behind.
    func keep(_ memory: JSON?, of node: String)
    /// What is kept, by node: also of earlier runs.
    var memories: [String: JSON] { get }
    /// The base comes from this document, which is a file's. Behind.
    func takeOrigin(_ document: JSON)
    /// Events up to this id are given out. Behind, and rarely written: ids are reserved by the thousand.
    func noteEvent(_ id: UInt64)
    /// Comes back when everything handed over so far is on disk, or can't be brought there.
    func settled() async

    /// Newest first, without documents (they are null): numbers below `before`, all without it.
    func revisions(before: Int?, limit: Int) async throws(JournalFault) -> [JournalRevision]
    /// One revision with its document; nil where there is none, or no longer.
    func revision(_ number: Int) async throws(JournalFault) -> JournalRevision?
    /// Changes of overlays, newest first.
    func overlayChanges(limit: Int) async throws(JournalFault) -> [OverlayEntry]

    var report: JournalReport { get }
}

extension TransactionJournal {
    /// Lets go of what is kept for all other nodes.
    package func keepMemories(where isWanted: (String) -> Bool) {
        for node in memories.keys where !isWanted(node) { keep(nil, of: node) }
    }
}
