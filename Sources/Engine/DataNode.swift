// The contract of a data node. It is run as a conformance suite over every kind (Tests/EngineTests/NodeContract).
//
//  1. `init` only stores. `prepare` opens; it may block until its deadline, and polls `context.isInterrupted`.
//  2. Everything else is called on the node's lane, synchronously, one call at a time.
//  3. `step` takes at most one grain an inlet, never waits (unless the kind owns its lane and polls
//     `context.isInterrupted`), never locks, logs or throws; in steady state it allocates nothing.
//  4. Trouble on the data path is a value or a counter. `.failed` ends the node; supervision starts a new one.
//  5. No inlet is left unread for want of another: queue up to a bound, then go on without, counted.
//  6. `step` may be called at any time, also when nothing has changed.
//  7. An outlet that is not ready makes `step` return `.wait`; the lane is rung when it becomes ready.
//  8. When its inlets have ended, a node gives out what it still holds and returns `.finished`.
//  9. `drain` asks a source to end now; others go on until their inlets have ended.
// 10. After `stop` nothing is called any more, and nothing of the node touches an inlet or an outlet.
//
// A block of sound may be a part of one, where its inlet was rewired: `grain.samples` samples from the start of
// `lease.bytes` on, and the planes as far apart as the format says. Of a block only that much may be read.
package import Graph
package import Media

/// What a step came to.
package enum Step: Sendable {
    /// There is more to do at once.
    case again
    /// Nothing to do until an inlet has something or an outlet has room.
    case wait
    /// Nothing to do until this monotonic instant (nanoseconds), or as `.wait`.
    case until(Int64)
    /// Done for good; the engine ends the outlets.
    case finished
    case failed(NodeFault)
}

/// Why a node cannot go on, or could not start. Says what was found, what was expected, what to do.
package struct NodeFault: Error, Equatable, Sendable, CustomStringConvertible {
    /// What kind of trouble; the closed set that events, API and metrics use.
    package enum Code: String, Sendable, CaseIterable {
        /// A file, device or address is not there.
        case missing
        /// A file or folder may not be used.
        case denied
        /// A port, device or file is used by somebody else.
        case inUse
        /// Input that cannot be understood.
        case badInput
        /// A codec, format or option that this build or this kind does not take.
        case unsupported
        /// Memory, shared memory or disk is full.
        case noSpace
        /// A peer closed, refused or did not answer.
        case disconnected
        /// It did not answer in time.
        case timeout
        /// Anything that should not happen.
        case internalError
    }
    package let code: Code
    package let message: String
    /// Whether trying again may help.
    package let isTransient: Bool

    package init(_ code: Code, _ message: String, isTransient: Bool = true) {
        self.code = code
        self.message = message
        self.isTransient = isTransient
    }
    package var description: String { message }
}

/// What happened at an inlet between two grains.
package enum InletNews: Sendable {
    /// What follows has this format. Comes before the first grain, and again when the format changes.
    case format(StreamFormat)
    /// The source behind it delivers nothing for now.
    case noSignal
    /// The source has no such track.
    case absent
    /// No grain will follow.
    case ended
    /// Another outlet feeds it from here on, and what comes does not join on to what came. Not told where it does.
    case rewired
}

/// What became of changed settings.
package enum Applied: Sendable {
    case live
    /// This node cannot take them while it runs.
    case restart
}

/// A node through which grains flow: an actor on a lane. See the rules at the top of this file.
package protocol DataNode: Actor {
    associatedtype Settings: NodeSettings
    /// Name, ports, settings, documentation: declared once.
    static var kind: KindDeclaration { get }

    nonisolated var context: NodeContext { get }

    init(_ settings: Settings, in context: NodeContext)
    func prepare() throws(NodeFault)
    func inletChanged(_ inlet: InletAddress, _ news: InletNews)
    /// Inlets have come or gone, where the kind says that its groups may: `context` has them as they are now. Of those that
    /// have gone nothing may be touched any more but grains that were leased before.
    func inletsChanged()
    /// Whether what an inlet that is to go has given still goes out, and nothing else is ready to take its place: the engine
    /// waits a moment.
    func isInUse(_ inlet: InletAddress) -> Bool
    func step() -> Step
    func apply(_ settings: Settings) -> Applied
    func drain()
    func stop()
}

extension DataNode {
    package func inletChanged(_ inlet: InletAddress, _ news: InletNews) {}
    package func inletsChanged() {}
    package func isInUse(_ inlet: InletAddress) -> Bool { false }
    package func apply(_ settings: Settings) -> Applied { .restart }
    package func drain() {}
}
