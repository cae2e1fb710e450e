// The frame cache as the API sees it: questions go to the registry, refusals become problems. Any thread.
import API
import Engine
import FrameCache
import Graph
import Media

/// Joins the API to the registry of slots.
struct SlotPlane: Sendable {
    let registry: SlotRegistry
    let clock: any EngineClock

    func slots() -> [UInt8] {
        let now = clock.monotonic
        return JSON.object(JSONObject([("slots", .array(registry.slots.map { $0.json(at: now) }))])).utf8(pretty: false)
    }

    func slot(_ id: String) -> [UInt8]? { registry[id]?.json(at: clock.monotonic).utf8(pretty: false) }

    /// Reserving and clearing half a gigabyte takes a while: it is done on a thread of its own.
    func make(_ body: [UInt8]) async throws(APIProblem) -> (json: [UInt8], isNew: Bool) {
        let json: JSON
        do throws(JSONFault) { json = try JSONText(body).parse() } catch {
            throw APIProblem(.malformed, "The body is not JSON: \(error).")
        }
        let request: SlotRequest
        do throws(DocumentFaults) { request = try SlotRequest(json) } catch {
            throw APIProblem(SlotRefusal.invalid(error))
        }
        let made = await onThread { () -> Result<(slot: Slot, isNew: Bool), SlotRefusal> in
            do throws(SlotRefusal) { return .success(try registry.make(request)) } catch { return .failure(error) }
        }
        switch made {
        case .success(let made): return (made.slot.json(at: clock.monotonic).utf8(pretty: false), made.isNew)
        case .failure(let refusal): throw APIProblem(refusal)
        }
    }

    func remove(_ id: String) throws(APIProblem) {
        do throws(SlotRefusal) { try registry.remove(id) } catch { throw APIProblem(error) }
    }

    private func onThread<Value: Sendable>(_ work: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            let answer = { @Sendable in continuation.resume(returning: work()) }
            // Without a thread of its own it holds up one of Swift's for a while.
            do throws(ThreadFault) { try startThread(name: "slots", answer) } catch { answer() }
        }
    }
}

extension APIProblem {
    /// The one mapping from refusals of the registry to statuses.
    init(_ refusal: SlotRefusal) {
        switch refusal {
        case .invalid(let faults):
            let errors = faults.faults.map { Fault(pointer: "\($0.pointer)", detail: $0.detail) }
            self.init(
                .invalidSlot,
                "That is no slot; nothing was made. " + (errors.first.map { "\($0.pointer): \($0.detail)" } ?? ""),
                pointer: errors.first?.pointer, errors: errors)
        case .missing(let id): self = Service.noSlot(id)
        case .written(let slot, let writer):
            self.init(.conflict, "The slot “\(slot)” is being written by \(writer): end it, or take another id.")
        case .owned(let slot, let outlet):
            self.init(
                .conflict,
                "The slot “\(slot)” is the outlet \(outlet) of a running node: change the graph, or take another id.")
        case .noSpace(let detail): self.init(.noSpace, detail)
        case .failed(let detail): self.init(.internalFault, detail)
        }
    }
}
