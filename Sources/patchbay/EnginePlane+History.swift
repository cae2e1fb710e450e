// The engine's history as the API sees it, and restarts on demand. Any thread.
import API
import Engine
import Graph

extension EnginePlane {
    func revisions(before: Int?, limit: Int) async throws(APIProblem) -> [UInt8] {
        do throws(JournalFault) {
            return try await engine.revisions(before: before, limit: limit).utf8(pretty: false)
        } catch { throw APIProblem(error) }
    }

    func overlayChanges(limit: Int) async throws(APIProblem) -> [UInt8] {
        do throws(JournalFault) { return try await engine.overlayChanges(limit: limit).utf8(pretty: false) } catch {
            throw APIProblem(error)
        }
    }

    func pendingChanges() async -> [UInt8] { await engine.pendingProposals.utf8(pretty: false) }
    func withdrawChange(_ number: Int) async -> Bool { await engine.withdraw(pending: number) }

    func revision(_ number: Int) async throws(APIProblem) -> [UInt8]? {
        do throws(JournalFault) { return try await engine.revision(number)?.utf8(pretty: false) } catch {
            throw APIProblem(error)
        }
    }

    func restore(_ number: Int, _ change: GraphChange) async throws(APIProblem) -> GraphChangeAnswer? {
        let found: JournalRevision?
        do throws(JournalFault) { found = try await engine.storedRevision(number) } catch { throw APIProblem(error) }
        guard let found else { return nil }
        guard found.outcome == .committed else {
            throw APIProblem(
                .conflict, "Revision \(number) was never the graph; GET /v1/graph/revisions lists what was.")
        }
        // Not vetted again: whatever was the base once came from somebody who might write it.
        var proposal = try Proposal(change, .document(GraphDocument(found.entry.document)), vetting: nil)
        proposal.reason = change.reason ?? "restore of revision \(number)"
        return try await carryOut(proposal, change)
    }

    func restartNode(_ id: String) async throws(APIProblem) -> [UInt8]? {
        do throws(GraphRefusal) { return try await engine.restart(id)?.utf8(pretty: false) } catch {
            guard case .hindered(_, _, let fault) = error else { throw APIProblem(error) }
            throw APIProblem(.init(fault.code), "\(id) was not restarted: \(fault.message)")
        }
    }
}

extension APIProblem {
    /// The one mapping from what befalls the history to statuses.
    init(_ fault: JournalFault) {
        let code: Code =
            switch fault {
            case .full: .noSpace
            case .locked, .failed: .conflict
            case .late: .unavailable
            }
        self.init(code, "The history can't be used: \(fault.message).")
    }
}
