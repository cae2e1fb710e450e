// The life of a filter graph between inlets and an outlet: made when every input has told its format, emptied and made anew
// when one of them changes. On the node's lane.
import AV
import CRingLayout
import Engine
import Graph
import Media
import Rings
import Synchronization

/// Carries a non-copyable graph.
private final class FilterBox {
    var graph: FilterGraph
    init(_ graph: consuming FilterGraph) { self.graph = graph }
}

final class FilterRun {
    private struct Input {
        let inlet: Inlet
        let label: String
        var format: StreamFormat?
        /// It gives nothing for now, or for good: others don't wait for it.
        var isSilent = false
        /// The graph was told so.
        var isClosed = false
    }
    /// Grains that filters may keep: those of several pictures, such as deinterlacers, and threads.
    private static let leases = 6
    /// An input that gives nothing for so long is not waited for, nanoseconds.
    private static let longestWait: Int64 = 2_000_000_000

    private var inputs: [Input]
    private let outlet: Outlet
    private let context: NodeContext
    private var settings: FilterSettings
    private let isVideo: Bool
    private let lender: LeaseLender
    private let output: FilterOutput
    private var box: FilterBox?
    private var carried = GrainMemory()
    /// An input has another format, or has come back: what is inside comes out before a new graph is made.
    private var isEmptying = false
    private var hasOutput = false
    /// What readers are told once all is out.
    private var signalAfterwards: Signal?
    private var fault: NodeFault?
    /// When something came in, and nothing has come out since, for want of another input; monotonic.
    private var waitsSince: Int64?

    init(_ inlets: [Inlet], _ outlet: Outlet, _ settings: FilterSettings, _ context: NodeContext) {
        inputs = inlets.map { Input(inlet: $0, label: Self.label(of: $0.id)) }
        (self.outlet, self.settings, self.context) = (outlet, settings, context)
        isVideo = outlet.port.type.isVideo
        output = FilterOutput(outlet, context)
        lender = LeaseLender(context)
        for inlet in inlets { inlet.declare(leases: Self.leases) }
    }

    /// How the description calls an input.
    static func label(of inlet: InletAddress) -> String { inlet.key ?? "in" }

    // MARK: News

    func changed(_ address: InletAddress, _ news: InletNews) {
        guard let i = inputs.firstIndex(where: { $0.inlet.id == address }) else { return }
        switch news {
        case .format(let format):
            if inputs[i].format != format || inputs[i].isClosed { renew() }
            inputs[i].format = format
            hasCome(to: i)
        case .noSignal, .absent, .ended:
            inputs[i].isSilent = true
            close(i)
            guard inputs.allSatisfy(\.isSilent) else { break }
            if case .noSignal = news { signalAfterwards = .noSignal }
            if case .absent = news { signalAfterwards = .absent }
            renew()
        case .rewired: break
        }
    }

    private func hasCome(to i: Int) {
        guard inputs[i].isSilent else { return }
        inputs[i].isSilent = false
        closeSilent()
    }

    /// Nobody waits for inputs that give nothing, as long as one gives something.
    private func closeSilent() {
        guard inputs.contains(where: { !$0.isSilent }) else { return }
        for i in inputs.indices where inputs[i].isSilent { close(i) }
    }

    /// Ends an input: filters go on with the others.
    private func close(_ i: Int) {
        guard let box, !inputs[i].isClosed else { return }
        inputs[i].isClosed = true
        box.graph.end(i)
    }

    private func renew() {
        guard box != nil else { return }
        for i in inputs.indices { close(i) }
        isEmptying = true
    }

    func apply(_ settings: FilterSettings) {
        let before = Set(self.settings.orders)
        self.settings = settings
        for order in settings.orders where !before.contains(order) { carryOut(order) }
    }

    private func carryOut(_ order: FilterSettings.Command) {
        guard let fault = box?.graph.command(order.target, order.name, order.value) else { return }
        context.log(.warning, "no filter took the command: \(fault.description)")
        context.show("command", .string(fault.description))
    }

    /// Whether a graph can be made of these settings, for these inputs, and takes their commands.
    static func attempt(_ settings: FilterSettings, _ formats: [FilterInput], isVideo: Bool) throws(NodeFault) {
        let graph = try made(settings, formats, isVideo: isVideo, threads: 1)
        for order in settings.orders {
            guard let fault = graph.command(order.target, order.name, order.value) else { continue }
            throw NodeFault(.unsupported, "no filter takes the command: \(fault.description)", isTransient: false)
        }
    }

    private static func made(
        _ settings: FilterSettings, _ formats: [FilterInput], isVideo: Bool, threads: Int
    ) throws(NodeFault) -> FilterGraph {
        do throws(AVFault) {
            return try FilterGraph(settings.description, inputs: formats, isVideo: isVideo, threads: threads)
        } catch { throw NodeFault(.unsupported, error.description, isTransient: false) }
    }

    // MARK: Steps

    func step() -> Step {
        if let fault { return .failed(fault) }
        if box == nil { open() }
        if let fault { return .failed(fault) }
        guard let box else {
            guard inputs.allSatisfy(\.inlet.hasEnded) else { return .wait }
            return .finished
        }
        if hasOutput { return publish(box) }
        switch box.graph.receive() {
        case .output:
            (hasOutput, waitsSince) = (true, nil)
            return publish(box)
        case .none: return feed(box)
        case .end: return emptied()
        case .failed(let fault):
            return .failed(NodeFault(.internalError, "the filters failed: \(fault.description)"))
        }
    }

    /// Makes the graph once every input has told what it gives.
    private func open() {
        let formats = inputs.compactMap { input in input.format.map { FilterInput(input.label, $0) } }
        guard formats.count == inputs.count, !inputs.allSatisfy(\.inlet.hasEnded) else { return }
        do throws(NodeFault) {
            box = FilterBox(try Self.made(settings, formats, isVideo: isVideo, threads: settings.threads))
        } catch {
            fault = error
            return
        }
        output.begin()
        for i in inputs.indices { inputs[i].isClosed = false }
        closeSilent()
        for order in settings.orders { carryOut(order) }
        context.show("inputs", .object(JSONObject(formats.map { ($0.label, .string("\($0.format)")) })))
    }

    /// All is out of a graph whose inputs have ended.
    private func emptied() -> Step {
        box = nil
        isEmptying = false
        waitsSince = nil
        if inputs.allSatisfy(\.inlet.hasEnded) { return .finished }
        if let signal = signalAfterwards.take() { outlet.set(signal) }
        // Filters that cut a piece out end before their inputs do.
        guard inputs.contains(where: \.isClosed) || inputs.allSatisfy(\.isSilent) else { return .finished }
        return .again
    }

    private func feed(_ box: FilterBox) -> Step {
        guard !isEmptying else { return .again }
        var hasFed = false
        for i in inputs.indices {
            switch inputs[i].inlet.takeFrame() {
            case .nothing: continue
            case .lapped: hasFed = true
            case .frame(let lease):
                hasFed = true
                hasCome(to: i)
                // It was left out of the graph while nothing came of it.
                if inputs[i].isClosed {
                    renew()
                    continue
                }
                send(lease, i, box)
            }
        }
        if hasFed, waitsSince == nil { waitsSince = context.now }
        return hasFed ? .again : goOnWithout()
    }

    /// Filters of several inputs wait for the slowest: one that gives nothing for too long is left out.
    private func goOnWithout() -> Step {
        guard inputs.count > 1, !context.isUnpaced, let since = waitsSince else { return .wait }
        let deadline = since + Self.longestWait
        guard context.now >= deadline else { return .until(deadline) }
        waitsSince = nil
        for i in inputs.indices where inputs[i].inlet.waitingFrames == 0 { close(i) }
        return .again
    }

    private func send(_ lease: consuming FrameLease, _ i: Int, _ box: FilterBox) {
        let grain = lease.grain
        guard grain.pts != .min, let address = lease.bytes.baseAddress else {
            context.counters.errors.wrappingAdd(1, ordering: .relaxed)
            return
        }
        let token = carried.remember(grain)
        let captions = isVideo ? sideData(.captions, in: lease.sideData) : nil
        var picture = PictureInput(address: address, pts: grain.pts)
        picture.duration = grain.duration
        picture.token = token
        if grain.flags & PBR_GRAIN_INTERLACED != 0 {
            picture.isTopFieldFirst = grain.flags & PBR_GRAIN_TOP_FIELD_FIRST != 0
        }
        if let captions { picture.captions = captions }
        var sound = SoundInput(address: address, samples: Int(grain.samples), pts: grain.pts)
        sound.token = token
        guard let place = lender.take(lease.handOver()) else { return }
        let trouble =
            isVideo
            ? box.graph.send(picture, to: i, lender: lender, buffer: place)
            : box.graph.send(sound, to: i, lender: lender, buffer: place)
        if trouble != nil { context.counters.errors.wrappingAdd(1, ordering: .relaxed) }
    }

    private func publish(_ box: FilterBox) -> Step {
        let turn = isVideo ? output.publish(picture: box.graph, carried) : output.publish(sound: box.graph, carried)
        switch turn {
        case .idle, .until: return .wait
        case .failed(let fault): return .failed(fault)
        case .busy:
            hasOutput = false
            return .again
        }
    }

    func stop() { box = nil }
}
