// Tells when what is to outlast the process can't be stored, and when it can again. Any thread.
import Graph
import Synchronization

/// Looks at how the writing down of history goes, and tells each change of that once.
final class StoreWatch: Sendable {
    private let journal: any TransactionJournal
    private let events: EventBus
    private let log: EngineLog
    /// What was told last.
    private let told = Mutex<JournalFault?>(nil)

    init(_ journal: any TransactionJournal, _ services: EngineServices) {
        self.journal = journal
        (events, log) = (services.events, services.log)
    }

    /// Looks at what the journal says of itself. In steady state it allocates nothing.
    func look() { take(journal.report.fault) }

    /// Takes what an attempt to write has shown; nil: it was written.
    func take(_ fault: JournalFault?) {
        // Told under the lock, so that the end of a fault is not told before the fault. Wakes of the bus never post.
        told.withLock { told in
            switch (told, fault) {
            case (nil, nil): return
            case (let old?, let new?) where old.isLike(new): return
            case (_, let new?): tell(.storeFailed, new.message, .error)
            case (_, nil): tell(.storeRecovered, "the history is written again", .warning)
            }
            told = fault
        }
    }

    private func tell(_ type: EventType, _ cause: String, _ level: LogLevel) {
        let report = journal.report
        events.post(
            Event(
                type, cause: cause,
                data: [
                    "path": .string(report.path), "waiting": .count(report.waiting), "lost": .count(report.lost),
                ]))
        log.record(level, cause)
    }
}

extension JournalFault {
    /// Whether it is the same trouble, in whatever words.
    fileprivate func isLike(_ other: JournalFault) -> Bool {
        switch (self, other) {
        case (.full, .full), (.locked, .locked), (.late, .late), (.failed, .failed): true
        default: false
        }
    }
}
