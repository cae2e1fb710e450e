// Failovers as the API sees them: found among the control nodes that run, asked and answered in their own words. Any
// thread.
import API
import Engine
import Failover
import Graph

extension EnginePlane {
    private var running: [(id: String, node: FailoverNode)] {
        engine.services.control.nodes.compactMap { id, node in (node as? FailoverNode).map { (id, $0) } }
    }

    private func failoverNode(_ id: String) -> FailoverNode? {
        engine.services.control.node(id) as? FailoverNode
    }

    func failovers() async -> [UInt8] {
        var all: [JSON] = []
        for (_, node) in running { all.append(await node.status()) }
        return JSON.object(JSONObject([("failovers", .array(all))])).utf8(pretty: false)
    }

    func failover(_ id: String) async -> [UInt8]? { await failoverNode(id)?.status().utf8(pretty: false) }

    func switchFailover(_ id: String, _ body: [UInt8]) async throws(APIProblem) -> [UInt8]? {
        guard let node = failoverNode(id) else { return nil }
        switch try FailoverWish(body) {
        case .release: await node.release()
        case .input(let name): try Self.check(await node.choose(name), name, await node.inputNames)
        case .priority(let priority):
            let names = await node.inputs(ofPriority: priority)
            guard let name = names.first else {
                throw APIProblem(.notFound, "\(id) has no input of priority \(priority).", pointer: "/priority")
            }
            guard names.count == 1 else {
                throw APIProblem(
                    .conflict, "\(names.joined(separator: ", ")) have priority \(priority): name one as “input”.",
                    pointer: "/priority")
            }
            try Self.check(await node.choose(name), name, names)
        }
        return await node.status().utf8(pretty: false)
    }

    private static func check(
        _ outcome: FailoverMachine.ChoiceOutcome, _ name: String, _ names: [String]
    ) throws(APIProblem) {
        switch outcome {
        case .shown: return
        case .unknownInput:
            throw APIProblem(
                .notFound, "There is no input “\(name)”; there are \(names.prefix(20).joined(separator: ", ")).",
                pointer: "/input")
        case .didNotStart:
            throw APIProblem(.upstreamTimedOut, "\(name) did not deliver; what was on air still is.")
        case .replaced: throw APIProblem(.conflict, "A newer choice came before \(name) delivered.")
        }
    }

    func drillFailover(_ id: String, _ body: [UInt8]) async throws(APIProblem) -> [UInt8]? {
        guard let node = failoverNode(id) else { return nil }
        let json: JSON
        do throws(JSONFault) { json = try JSONText(body).parse() } catch {
            throw APIProblem(.malformed, "The body is not JSON: \(error).")
        }
        let script: DrillScript
        do throws(DrillFault) { script = try DrillScript(json) } catch {
            throw APIProblem(.malformed, "The script: \(error.message).", pointer: error.pointer)
        }
        switch await node.drill(script) {
        case .report(let json): return json.utf8(pretty: false)
        case .unknownInput(let name): try Self.check(.unknownInput, name, await node.inputNames)
        case .withoutFaultNode(let input):
            throw APIProblem(
                .conflict,
                "No source.fault stands before the input “\(input)”: put one between its source and its readers.")
        case .busy: throw APIProblem(.conflict, "Another drill of \(id) is being held.")
        case .refused(let why): throw APIProblem(.conflict, "The drill was not held: \(why).")
        }
        return nil
    }

    func changeFailoverInputs(_ id: String, _ change: GraphChange) async throws(APIProblem) -> GraphChangeAnswer? {
        guard failoverNode(id) != nil else { return nil }
        let inputs: JSON
        do throws(JSONFault) { inputs = try JSONText(change.body).parse() } catch {
            throw APIProblem(.malformed, "The body is not JSON: \(error).")
        }
        guard inputs.object != nil else {
            throw APIProblem(.malformed, "The body is \(inputs.phrase); expected an object of inputs.")
        }
        let content: Proposal.Change =
            if change.form == .document {
                .patch(JSONPatch([.replace(["nodes", id, "settings", "inputs"], inputs)]))
            } else {
                .merge(
                    .object(
                        JSONObject([
                            ("nodes", .object(JSONObject([(id, ["settings": ["inputs": inputs]])])))
                        ])))
            }
        return try await carryOut(try Proposal(change, content, vetting: vet), change)
    }

    /// For `/metrics`.
    func failoverExposition() async -> String {
        var all: [FailoverFigures] = []
        for (_, node) in running { all.append(await node.figures) }
        return FailoverFigures.exposition(all)
    }
}

/// What the body of a switch asks for.
enum FailoverWish: Equatable {
    case input(String)
    case priority(Int)
    /// Nobody's choice is to hold any more.
    case release

    init(_ body: [UInt8]) throws(APIProblem) {
        let json: JSON
        do throws(JSONFault) { json = try JSONText(body).parse() } catch {
            throw APIProblem(.malformed, "The body is not JSON: \(error).")
        }
        guard let object = json.object, object.count == 1, let (key, value) = object.members.first else {
            throw Self.fault(json.phrase)
        }
        switch (key, value) {
        case ("input", .null): self = .release
        case ("input", .string(let name)): self = .input(name)
        case ("priority", .number(let number)):
            guard let priority = number.integer else { throw Self.fault("a priority that is no whole number") }
            self = .priority(priority)
        default: throw Self.fault("\"\(key.prefix(80))\" with \(value.phrase)")
        }
    }

    private static func fault(_ found: String) -> APIProblem {
        APIProblem(.malformed, "The body has \(found); expected {\"input\": \"NAME\"} or {\"priority\": NUMBER}.")
    }
}
