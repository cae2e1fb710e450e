// What a node is given of the engine: its name, its ports, its clock, its log, its counters. No way to anything else.
import AV
package import Files
package import Graph
package import Synchronization

/// What all nodes of an engine share.
package struct EngineServices: Sendable {
    package let timeline: Timeline
    package let files: FileService
    package let log: EngineLog
    /// What happens is told here; by control threads, never on the data path.
    package let events: EventBus
    /// What control nodes ask of the engine.
    package let control = ControlDesk()
    /// Where `live/`, `recordings/` and state lie.
    package let dataFolder: String
    /// Where rings lie: `/dev/shm/patchbay/<instance>`.
    package let ringFolder: String
    /// Public names of rings in that folder.
    package let slotNames: SlotNames
    /// What HTTP serves under `/live`.
    package let live: LiveDirectory
    package let ringGroup: UInt32?
    /// Where documents may have files written, by name; `recordings` (in the data folder, unless given otherwise) is always one.
    package let outputRoots: OutputRoots
    /// What rings may take together.
    package let ringBudget: RingBudget
    /// Where nodes get slots that they write; nil where there is no frame cache.
    package var slotHost: (any SlotHost)?
    /// Who writes down what is done to the graph; nil: nobody.
    package var journal: (any TransactionJournal)?

    package init(
        timeline: Timeline, files: FileService, log: EngineLog, dataFolder: String, ringFolder: String,
        live: LiveDirectory, outputRoots: [OutputRoot] = [], ringGroup: UInt32? = nil,
        ringBudget: RingBudget = RingBudget()
    ) {
        self.timeline = timeline
        self.files = files
        self.log = log
        events = EventBus(clock: timeline.clock)
        self.dataFolder = dataFolder
        self.ringFolder = ringFolder
        slotNames = SlotNames(folder: ringFolder)
        self.live = live
        self.ringGroup = ringGroup
        self.ringBudget = ringBudget
        let recordings = OutputRoot(name: OutputRoots.recordings, folder: dataFolder + "/recordings")
        // One who gives that name another folder means it.
        let isGiven = outputRoots.contains { $0.name == recordings.name }
        self.outputRoots = OutputRoots(isGiven ? outputRoots : [recordings] + outputRoots)
    }
}

/// One node's view of the engine. Its values may be read anywhere; inlets and outlets on the node's lane only.
package final class NodeContext: Sendable {
    package let id: String
    package let lane: Lane
    package let services: EngineServices
    package let tracks: [TrackSelector]
    /// The program (service) of a source that carries several, nil for the first.
    package let program: ProgramSelector?
    /// Whether the node runs as fast as its readers take it: then nothing may be lost, and clocks mean nothing.
    package let isUnpaced: Bool
    package let counters = NodeCounters()
    /// Of a source's connection to its peer, where its protocol tells.
    package let link = Measurements()
    private let allInlets: Mutex<[Inlet]>
    let outlets: [Outlet]
    private let interrupted = Atomic<Bool>(false)
    private let details = Mutex<[String: JSON]>([:])
    private let rehearsed = Mutex<(any Sendable)?>(nil)

    init(
        id: String, lane: Lane, services: EngineServices, tracks: [TrackSelector], program: ProgramSelector?,
        isUnpaced: Bool, inlets: [Inlet], outlets: [Outlet]
    ) {
        self.id = id
        self.lane = lane
        self.services = services
        self.tracks = tracks
        self.program = program
        self.isUnpaced = isUnpaced
        allInlets = Mutex(inlets)
        self.outlets = outlets
    }

    package var timeline: Timeline { services.timeline }
    package var now: Int64 { services.timeline.clock.monotonic }
    package var executor: UnownedSerialExecutor { lane.asUnownedSerialExecutor() }

    /// True when the engine wants the lane back: whatever blocks must return at once.
    package var isInterrupted: Bool { interrupted.load(ordering: .sequentiallyConsistent) }
    func interrupt(_ wanted: Bool) { interrupted.store(wanted, ordering: .sequentiallyConsistent) }

    /// In the document's order. On the lane's way of every grain, `NodeRunner.inlets` is the same.
    var inlets: [Inlet] { allInlets.withLock { $0 } }
    /// Inlets have come or gone. On the lane.
    func change(_ inlets: [Inlet]) { allInlets.withLock { $0 = inlets } }

    /// The inlet that is wired under this name, nil where the document wires none.
    package func inlet(_ name: String) -> Inlet? { inlets.first { $0.id.name == name } }
    /// All inlets of a name that takes many, in the document's order.
    package func inlets(_ name: String) -> [Inlet] { inlets.filter { $0.id.name == name } }
    package func inlet(_ id: InletAddress) -> Inlet? { inlets.first { $0.id == id } }
    package func outlet(_ name: String) -> Outlet? { outlets.first { $0.name == name } }
    package var allOutlets: [Outlet] { outlets }

    /// What was opened when the settings that the node has now were tried (`RehearsingNode`), once; nil where nothing was.
    package func takeRehearsed<Opened: Sendable>(as type: Opened.Type) -> Opened? {
        rehearsed.withLock { $0.take() } as? Opened
    }
    func keep(rehearsed opened: (any Sendable)?) { rehearsed.withLock { $0 = opened } }

    /// What `/v1/nodes/ID` shows of this node beyond ports and counters: conversions, peers, track lists. Never on the
    /// data path.
    package func show(_ key: String, _ value: JSON) { details.withLock { $0[key] = value } }
    package var shown: [String: JSON] { details.withLock { $0 } }

    package func log(_ level: LogLevel, _ message: String) { services.log.record(level, node: id, message) }
}

/// libav asks it whether to give up.
extension NodeContext: Interruption {}

/// What a node counts beside its ports. Written on its lane, read anywhere.
package final class NodeCounters: Sendable {
    /// Steps that took longer than the period of what they handle.
    package let slowSteps = Atomic<UInt64>(0)
    /// Grains that could not be decoded, encoded or muxed.
    package let errors = Atomic<UInt64>(0)
    /// Grains left out on purpose (before the first key frame, behind a hole).
    package let skipped = Atomic<UInt64>(0)
    /// Grains made where none came: repeats, slates, silence.
    package let filled = Atomic<UInt64>(0)
    /// Starts after a fault.
    package let restarts = Atomic<UInt64>(0)
}
