// The streams of one listener: how many there may be, their pulse, their end. The HTTP thread and one task share it.

internal import CLinux
internal import Synchronization

/// All clients of a listener that listen to events.
final class EventStreams: Sendable {
    private struct State {
        var streams: [ObjectIdentifier: EventStream] = [:]
        var hasPulse = false
        var isClosed = false
    }

    private let limit: Int
    /// Silence after which a comment is sent, nanoseconds.
    private let beat: Int64
    private let nodes: @Sendable () async -> [UInt8]
    private let counters: HTTPCounters
    private let state = Mutex(State())

    /// - Parameter nodes: the state of all nodes as JSON.
    init(limits: Admission.Limits, counters: HTTPCounters, nodes: @escaping @Sendable () async -> [UInt8]) {
        limit = limits.streams
        beat = limits.beatNanoseconds
        self.counters = counters
        self.nodes = nodes
    }

    /// Takes a stream in; false: there are as many as there may be, or the server ends.
    func add(_ stream: EventStream) -> Bool {
        let (isTaken, needsPulse) = state.withLock { state in
            guard !state.isClosed, state.streams.count < limit else { return (false, false) }
            state.streams[ObjectIdentifier(stream)] = stream
            defer { state.hasPulse = true }
            return (true, !state.hasPulse)
        }
        if isTaken { counters.streams.add(1, ordering: .relaxed) }
        if needsPulse { Task { await pulse() } }
        return isTaken
    }

    /// The answer is over.
    func remove(_ stream: EventStream) {
        stream.close()
        let wasThere = state.withLock { $0.streams.removeValue(forKey: ObjectIdentifier(stream)) != nil }
        if wasThere { counters.streams.subtract(1, ordering: .relaxed) }
    }

    /// Ends all streams and takes no more. Any thread.
    func close() {
        let streams = state.withLock { state in
            state.isClosed = true
            return Array(state.streams.values)
        }
        for stream in streams { stream.end() }
    }

    /// Beats and nodes, until there is nobody left. What is late once is not made up for. Nodes are asked for once,
    /// however many look at them.
    private func pulse() async {
        var nextNodes: Int64 = 0
        while let streams = living() {
            let now = linux_monotonic_nanoseconds()
            var bytes: SharedBytes?
            if now >= nextNodes, streams.contains(where: \.wish.wantsNodes) {
                bytes = SharedBytes(await nodes())
                nextNodes = now + 1_000_000_000
            }
            for stream in streams { stream.pulse(at: now, beat: beat, nodes: bytes) }
            let pause = min(beat / 2, 250_000_000)
            // Cancelled by nobody.
            do { try await Task.sleep(nanoseconds: UInt64(pause)) } catch { return }
        }
    }

    private func living() -> [EventStream]? {
        state.withLock { state in
            if state.streams.isEmpty || state.isClosed {
                state.hasPulse = false
                return nil
            }
            return Array(state.streams.values)
        }
    }
}
