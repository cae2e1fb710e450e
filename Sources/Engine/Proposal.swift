// What somebody wants of the graph, and what came of it, as values: the one form in which start-up file, HTTP and
// control nodes ask. `Engine.propose` carries one out. Any thread.
package import Graph
package import Media

/// Who asks. Persons write the base of the document, control nodes their own overlays.
package enum Author: Sendable, Hashable, CustomStringConvertible {
    /// An operator, by whatever name they gave.
    case person(String)
    case control(node: String)

    package var description: String {
        switch self {
        case .person(let name): name
        case .control(let node): "control node \(node)"
        }
    }
}

/// When a commit is to take effect.
package enum CommitTime: Sendable, Hashable {
    /// UTC, nanoseconds since 1970.
    case wall(unixNanoseconds: Int64)
    /// When the grain of this number leaves the outlet: `node.outlet`, or `node` where it has one.
    case grain(of: String, number: Int64)
}

extension CommitTime: CustomStringConvertible {
    /// As `?at=` takes it.
    package var description: String {
        switch self {
        case .wall(let nanoseconds): iso8601(wallNanoseconds: nanoseconds)
        case .grain(let outlet, let number): "\(outlet):\(number)"
        }
    }
}

/// A change of the graph that somebody asks for.
package struct Proposal: Sendable {
    package enum Change: Sendable {
        /// The whole document, as PUT and start-up files have it.
        case document(GraphDocument)
        /// RFC 6902.
        case patch(JSONPatch)
        /// RFC 7396.
        case merge(JSON)
    }

    package var change: Change
    package var author: Author
    /// Why, in the author's words; for history and `patchbay why`.
    package var reason: String?
    /// The revision that the author saw; nil takes whatever is there.
    package var ifMatch: String?
    /// Whether it goes through although it takes the ground from what a control node owns.
    package var isForced = false
    /// Whether a control node's values are its own from here on even where the document has them already.
    package var isClaim = false
    /// Whether only the plan is wanted: nothing is touched.
    package var isDryRun = false
    /// How long new nodes may take to come up before all is undone; nil for the engine's own limit.
    package var deadline: MediaTime?
    /// Nil: as soon as everything is ready.
    package var at: CommitTime?
    /// What the document may not hold, coming from this author.
    package var vetting: GraphVetting?
    /// New ones for the document, as a site's changed settings are; nil keeps those that it has.
    package var surroundings: GraphSurroundings?

    package init(_ change: Change, by author: Author = .person("engine"), reason: String? = nil) {
        self.change = change
        self.author = author
        self.reason = reason
    }
}

/// What came of a proposal that was not refused.
package struct Commit: Sendable {
    /// Of the base, afterwards.
    package let revision: String
    /// What was done; of a dry run, what would be. For people and programs: what starts, stops and moves, whom it
    /// interrupts, and what has no effect.
    package let report: PlanReport
    /// Whether a crash from here on finds it done: false where the history's disk did not answer in time.
    package var isStored = true

    package var plan: GraphPlan { report.plan }
}
