// Simulations of the engine's face and of live content: they keep a document and a revision, as the real ones do.

import Engine
import Synchronization
import Testing

@testable import API

/// An engine that holds a document as bytes; its patches replace it whole.
final class SimulatedEngine: ControlPlane {
    var longestDocument: Int { 1 << 20 }
    struct State {
        var document = Array(#"{"patchbay":1,"name":"first-light","nodes":{}}"#.utf8)
        var revision = 1
        var nodes = Array(#"{"nodes":[]}"#.utf8)
        var isHealthy = true
        var isReady = true
        /// Waiting patches, resumed by `open`.
        var waiting: [CheckedContinuation<Void, Never>] = []
        var isHeld = false
    }

    let state = Mutex(State())
    let events = EventBus(clock: SystemClock())

    /// From here on, patches wait until `release`.
    func hold() { state.withLock { $0.isHeld = true } }

    func release() {
        let waiting = state.withLock { state in
            state.isHeld = false
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }

    var waitingCount: Int { state.withLock { $0.waiting.count } }

    func graph(_ view: GraphAspect) async -> (json: [UInt8], revision: String) {
        state.withLock { ($0.document, view == .sum ? "r\($0.revision)" : "\(view)\($0.revision)") }
    }

    func changeGraph(_ change: GraphChange) async throws(APIProblem) -> GraphChangeAnswer {
        await withCheckedContinuation { continuation in
            let passes = state.withLock { state in
                if state.isHeld { state.waiting.append(continuation) }
                return !state.isHeld
            }
            if passes { continuation.resume() }
        }
        let body = change.body
        if change.isDryRun {
            let said = [change.author ?? "", change.reason ?? "", change.deadline ?? "", change.at ?? ""]
            let json = Array("{\"plan\":\"\(said.joined(separator: " ")) \(change.isForced)\"}".utf8)
            return GraphChangeAnswer(json: json, revision: state.withLock { "r\($0.revision)" }, summary: "started=0")
        }
        guard body.first == UInt8(ascii: "{") || body.first == UInt8(ascii: "[") else {
            throw APIProblem(
                .invalidGraph, "There are 1 faults.", pointer: "/nodes/live",
                errors: [.init(pointer: "/nodes/live", detail: "no such kind")])
        }
        let result: GraphChangeAnswer? = state.withLock { state in
            if let ifMatch = change.ifMatch, ifMatch != "r\(state.revision)" { return nil }
            state.document = body
            state.revision += 1
            return GraphChangeAnswer(json: body, revision: "r\(state.revision)", summary: "started=1")
        }
        guard let result else { throw APIProblem(.revisionMismatch, "The graph has moved on.") }
        return result
    }

    /// Revisions 1 and 2 are there; the history itself can't be read below 2.
    func revisions(before: Int?, limit: Int) async throws(APIProblem) -> [UInt8] {
        if let before, before < 2 { throw APIProblem(.unavailable, "The disk does not answer.") }
        return Array("{\"before\":\(before ?? 0),\"limit\":\(limit)}".utf8)
    }

    func pendingChanges() async -> [UInt8] { Array(#"{"pending":[]}"#.utf8) }
    func withdrawChange(_ number: Int) async -> Bool { number == 7 }

    func overlayChanges(limit: Int) async throws(APIProblem) -> [UInt8] { Array("{\"limit\":\(limit)}".utf8) }

    func revision(_ number: Int) async throws(APIProblem) -> [UInt8]? {
        number <= 2 ? Array("{\"revision\":\(number)}".utf8) : nil
    }

    func restore(_ number: Int, _ change: GraphChange) async throws(APIProblem) -> GraphChangeAnswer? {
        if change.ifMatch == "old" { throw APIProblem(.revisionMismatch, "The graph has moved on.") }
        guard number <= 2 else { return nil }
        return GraphChangeAnswer(
            json: Array("{\"restored\":\(number)}".utf8), revision: "r3", summary: "\(change.isDryRun)")
    }

    func restartNode(_ id: String) async throws(APIProblem) -> [UInt8]? { await node(id) }

    func nodes() async -> [UInt8] { state.withLock { $0.nodes } }

    func node(_ id: String) async -> [UInt8]? {
        id == "camera" || id == "ch1/h264" ? Array(#"{"id":"\#(id)"}"#.utf8) : nil
    }

    func decisions(_ id: String) async -> [UInt8]? { id == "camera" ? Array(#"{"decisions":[]}"#.utf8) : nil }

    func latency(_ id: String) async -> [UInt8]? { await node(id) }

    func failovers() async -> [UInt8] { Array(#"{"failovers":[]}"#.utf8) }

    func failover(_ id: String) async -> [UInt8]? { id == "keeper" ? Array(#"{"id":"keeper"}"#.utf8) : nil }

    func switchFailover(_ id: String, _ body: [UInt8]) async throws(APIProblem) -> [UInt8]? {
        if body == Array("{}".utf8) { throw APIProblem(.conflict, "Two have that priority.") }
        return await failover(id)
    }

    func drillFailover(_ id: String, _ body: [UInt8]) async throws(APIProblem) -> [UInt8]? { await failover(id) }

    func changeFailoverInputs(_ id: String, _ change: GraphChange) async throws(APIProblem) -> GraphChangeAnswer? {
        id == "keeper" ? try await changeGraph(change) : nil
    }

    func kinds() async -> [UInt8] { Array(#"{"kinds":[]}"#.utf8) }

    func slots() async -> [UInt8] { Array(#"{"slots":[{"id":"cam1"}]}"#.utf8) }

    func slot(_ id: String) async -> [UInt8]? { id == "cam1" ? Array(#"{"id":"cam1"}"#.utf8) : nil }

    /// A body that names `cam1` is of a slot that is there.
    func makeSlot(_ body: [UInt8]) async throws(APIProblem) -> (json: [UInt8], isNew: Bool) {
        guard body.first == UInt8(ascii: "{") else { throw APIProblem(.malformed, "That is no JSON.") }
        return (body, !String(decoding: body, as: UTF8.self).contains("cam1"))
    }

    func removeSlot(_ id: String) async throws(APIProblem) {
        if id == "owned" { throw APIProblem(.conflict, "A node owns it.") }
        if id != "cam1" { throw Service.noSlot(id) }
    }

    func health() async -> (json: [UInt8], isHealthy: Bool) {
        (Array(#"{"status":"ok"}"#.utf8), state.withLock { $0.isHealthy })
    }

    func isReady() async -> Bool { state.withLock { $0.isReady } }

    func metrics() async -> [UInt8] { Array("patchbay_up 1\n".utf8) }
}

/// Live content: a playlist and a segment in memory, and a folder on disk.
struct SimulatedMedia: LiveContent {
    static let segment = SharedBytes((0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31) })
    var folder: String?

    func content(at path: String) -> LiveAnswer? {
        switch path {
        case "first-light/index.m3u8":
            LiveAnswer(
                source: .memory(SharedBytes("#EXTM3U\n")), contentType: MediaContentType.of(fileName: path),
                caching: .noCache, entityTag: "p1")
        case "first-light/s1.m4s":
            LiveAnswer(
                source: .memory(Self.segment), contentType: MediaContentType.of(fileName: path),
                caching: .immutable(maxAgeSeconds: 60), entityTag: "s1")
        default:
            folder.map {
                LiveAnswer(
                    source: .file(path: "\($0)/\(path)"), contentType: MediaContentType.of(fileName: path),
                    caching: .noCache)
            }
        }
    }
}

/// A service over simulations, as the composition root builds it.
func makeService(
    listen: ListenAddress = .standard, token: String? = nil, router: Router = .everything,
    engine: SimulatedEngine = SimulatedEngine(), media: SimulatedMedia = SimulatedMedia(),
    counters: HTTPCounters = HTTPCounters()
) -> Service {
    Service(
        router: router,
        access: AccessPolicy(listen: listen, token: token, hostName: "Studio", mediaKey: "k3y"), control: engine,
        media: media, counters: counters)
}

extension Service {
    /// The answer to a request, as the HTTP thread gets it.
    func answer(
        _ method: Method?, _ target: String, _ headers: [(String, String)] = [("Host", "localhost:7435")],
        body: String = ""
    ) async throws -> Response {
        let request = Request(method, try RequestTarget(target), headers: Headers(headers), body: Array(body.utf8))
        if let refusal = refusal(of: request, declaredLength: body.utf8.count) { return refusal }
        switch begin(request) {
        case .now(let response): return response
        case .later(let work): return await work()
        }
    }
}

extension Service {
    /// The status of an answer, also where the target itself is refused.
    func answerOrProblem(_ method: Method, _ target: String, _ headers: [(String, String)]) async throws -> Int {
        do { return try await answer(method, target, headers, body: "{}").status } catch let problem as APIProblem {
            return problem.code.status
        }
    }
}

extension Response {
    var text: String { String(decoding: bytes, as: UTF8.self) }
}
