// Where events go: one bounded outbox, read by everybody at his own speed. Nobody who posts waits for anybody who reads:
// a reader that is slower than the outbox is long is told how many events it missed.
//
// One lock, held for moments; lanes never post (what they have to say, the sampler sees in their outlets' words). Wakes
// are called outside of the lock.
import Graph
import Synchronization

/// The events of an engine. Control threads post, any thread reads.
package final class EventBus: Sendable {
    /// How much is kept.
    package struct Limits: Sendable {
        package var events = 4096
        /// Of the JSON text.
        package var bytes = 4 << 20
        package init() {}
        package init(events: Int, bytes: Int) { (self.events, self.bytes) = (events, bytes) }
    }

    /// What a reader gets.
    package enum Take: Sendable {
        case event(PostedEvent)
        /// So many events that it asked for are gone (nil: nobody knows how many); it goes on behind `id`.
        case missed(count: UInt64?, id: UInt64)
        case nothing
    }

    fileprivate struct Reader {
        let filter: EventFilter
        let wake: @Sendable () -> Void
        /// The last event that it has seen or passed over.
        var cursor: UInt64
        var missed: UInt64 = 0
        var hasUnknownGap = false
    }

    private struct State {
        /// `first` to `last`.
        var kept: EventShelf
        /// The id before the first event of this run.
        var floor: UInt64
        /// The oldest that is kept; `last + 1` when none is.
        var first: UInt64
        var last: UInt64
        var bytes = 0
        var posted: [UInt64] = Array(repeating: 0, count: EventType.allCases.count)
        var missed: UInt64 = 0
        var readers: [UInt64: Reader] = [:]
        var nextReader: UInt64 = 0
    }

    package let limits: Limits
    private let clock: any EngineClock
    private let state: Mutex<State>

    /// Without a journal that knows the last id, ids begin at the wall clock's microseconds: a client that comes back
    /// with an id of an earlier run is then told of the gap, where small numbers would be taken for this run's.
    package init(clock: any EngineClock, limits: Limits = Limits()) {
        self.clock = clock
        self.limits = limits
        let floor = UInt64(max(clock.wall, 0) / 1000)
        state = Mutex(
            State(kept: EventShelf(capacity: limits.events), floor: floor, first: floor + 1, last: floor))
    }

    /// Goes on behind the last id of the run before, as a journal knows it. Before the first post; afterwards it does
    /// nothing.
    package func goOn(behind id: UInt64) {
        state.withLock { state in
            guard state.last == state.floor else { return }
            (state.floor, state.first, state.last) = (id, id + 1, id)
            for reader in state.readers.keys { state.readers[reader]?.cursor = id }
        }
    }

    /// The id of the newest event.
    package var lastID: UInt64 { state.withLock { $0.last } }

    // MARK: Posting

    /// Tells of an event. Waits for nobody; not for the data path, since it allocates.
    /// - Returns: the event's id.
    @discardableResult
    package func post(_ event: Event) -> UInt64 {
        let members = event.members(wall: clock.wall, monotonic: clock.monotonic)
        let (id, wakes) = state.withLock { state in
            let id = state.last + 1
            let text = Array("{\"id\":\(id),".utf8) + members
            makeRoom(for: text.count, &state)
            state.kept.put(id, event.type, event.node, text)
            state.last = id
            state.bytes += text.count
            state.posted[event.type.index] += 1
            let admitting = state.readers.values.filter { $0.filter.admits(event.type, node: event.node) }
            return (id, admitting.map(\.wake))
        }
        for wake in wakes { wake() }
        return id
    }

    private func makeRoom(for bytes: Int, _ state: inout State) {
        while state.first <= state.last,
            state.last - state.first + 1 >= UInt64(limits.events) || state.bytes + bytes > limits.bytes
        {
            let oldest = state.first
            state.bytes -= state.kept.size(of: oldest)
            for (key, reader) in state.readers
            where reader.cursor < oldest && state.kept.isAdmitted(oldest, by: reader.filter) {
                state.readers[key]?.missed += 1
                state.missed += 1
            }
            state.kept.remove(oldest: oldest)
            state.first += 1
        }
    }

    // MARK: Reading

    /// A reader of its own speed.
    /// - Parameters:
    ///   - id: the last event that it knows; 0 begins with the oldest that is kept, nil with what is posted from now on.
    ///   - wake: called after an event that it wants was posted, on the poster's thread: must not wait, and must not post.
    package func subscribe(
        after id: UInt64? = nil, _ filter: EventFilter = EventFilter(), wake: @escaping @Sendable () -> Void
    ) -> EventSubscription {
        let key = state.withLock { state in
            var reader = Reader(filter: filter, wake: wake, cursor: id ?? state.last)
            if let id {
                if id == 0, state.floor > 0 {
                    // Everything that there is, and how much of this run is gone.
                    reader.missed = state.first - 1 - state.floor
                    reader.cursor = state.first - 1
                } else if id < state.floor || id > state.last {
                    // Of another run: whatever that told after it is not kept here.
                    reader.hasUnknownGap = true
                    reader.cursor = state.first - 1
                } else if id + 1 < state.first {
                    reader.missed = state.first - 1 - id
                    reader.cursor = state.first - 1
                }
            }
            state.nextReader += 1
            state.readers[state.nextReader] = reader
            return state.nextReader
        }
        return EventSubscription(bus: self, key: key)
    }

    fileprivate func take(_ key: UInt64) -> Take {
        state.withLock { state in
            guard var reader = state.readers[key] else { return .nothing }
            defer { state.readers[key] = reader }
            reader.cursor = max(reader.cursor, state.first - 1)
            if reader.hasUnknownGap {
                (reader.hasUnknownGap, reader.missed) = (false, 0)
                return .missed(count: nil, id: reader.cursor)
            }
            if reader.missed > 0 {
                defer { reader.missed = 0 }
                return .missed(count: reader.missed, id: reader.cursor)
            }
            while reader.cursor < state.last {
                reader.cursor += 1
                if state.kept.isAdmitted(reader.cursor, by: reader.filter) { return .event(state.kept[reader.cursor]) }
            }
            return .nothing
        }
    }

    fileprivate func leave(_ key: UInt64) { state.withLock { _ = $0.readers.removeValue(forKey: key) } }

    // MARK: Figures

    /// What the outbox holds and has held.
    package struct Figures: Sendable {
        package let events: Int
        package let bytes: Int
        package let readers: Int
        /// Events that readers were too slow for, summed over them.
        package let missed: UInt64
        /// Events posted so far, by type.
        package let posted: [(type: EventType, count: UInt64)]
    }

    package var figures: Figures {
        state.withLock { state in
            Figures(
                events: Int(state.last + 1 - state.first), bytes: state.bytes, readers: state.readers.count,
                missed: state.missed, posted: EventType.allCases.map { ($0, state.posted[$0.index]) })
        }
    }
}

/// A reader's place in the outbox; given back with the last reference. Any thread.
package final class EventSubscription: Sendable {
    private let bus: EventBus
    private let key: UInt64

    fileprivate init(bus: EventBus, key: UInt64) { (self.bus, self.key) = (bus, key) }
    deinit { bus.leave(key) }

    /// The next event that passes the filter.
    package func next() -> EventBus.Take { bus.take(key) }
}

extension EventType {
    /// Its place among all types.
    fileprivate var index: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}

extension Exposition {
    /// The bus and its bounds.
    mutating func write(_ bus: EventBus) {
        let figures = bus.figures
        family("patchbay_events_total", .counter, "Events posted.")
        for (type, count) in figures.posted { sample("patchbay_events_total", [("type", type.rawValue)], count) }
        single("patchbay_events_kept", .gauge, "Events in the outbox.", figures.events)
        single("patchbay_events_kept_limit", .gauge, "Events that the outbox holds at most.", bus.limits.events)
        single("patchbay_events_kept_bytes", .gauge, "Text in the outbox.", figures.bytes)
        single("patchbay_events_kept_limit_bytes", .gauge, "Text that the outbox holds at most.", bus.limits.bytes)
        single("patchbay_events_readers", .gauge, "Readers of the outbox.", figures.readers)
        single(
            "patchbay_events_missed_total", .counter, "Events that readers were too slow for, summed over them.",
            figures.missed)
    }
}
