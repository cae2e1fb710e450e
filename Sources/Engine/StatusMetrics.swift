// What `/metrics` says of the engine. Labels are bounded by the document: node, outlet, inlet, lane. On the engine's
// actor, from atomics.
import CLinux
import Files
import Graph
import Media
import Rings
import Synchronization

extension Engine {
    /// Everything that is counted, in Prometheus' text format 0.0.4.
    package func metrics() -> String {
        var text = Exposition()
        let nodes = nodes.values.sorted { $0.id < $1.id }
        writeNodes(nodes, &text)
        writeBudgets(nodes, &text)
        writeOutlets(nodes, &text)
        writeInlets(nodes, &text)
        writeLanes(&text)
        services.files.write(to: &text)
        text.single(
            "patchbay_ring_memory_bytes", .gauge, "Shared memory that rings take, slots of other processes included.",
            ringBytes)
        if let limit = services.ringBudget.limit {
            text.single("patchbay_ring_memory_limit_bytes", .gauge, "What --ring-memory allows.", limit)
        }
        text.single(
            "patchbay_log_lost_records_total", .counter, "Log records lost because the queue was full.",
            services.log.lost.load(ordering: .relaxed))
        text.write(services.events)
        if let history = services.journal?.report {
            text.single("patchbay_history_waiting", .gauge, "Changes that are not on disk yet.", history.waiting)
            text.single(
                "patchbay_history_lost_total", .counter, "Changes left out of the history since too many waited.",
                history.lost)
        }
        ProcessFigures.write(to: &text)
        return text.text
    }

    private func writeNodes(_ nodes: [LiveNode], _ text: inout Exposition) {
        text.family("patchbay_node_state", .gauge, "1 for the state that the node is in.")
        for node in nodes {
            for state in NodeState.allCases {
                let labels = [("node", node.id), ("kind", node.resolved.kind.name), ("state", state.rawValue)]
                text.sample("patchbay_node_state", labels, node.state == state ? 1 : 0)
            }
        }
        func total(_ name: String, _ help: String, _ value: (LiveNode) -> UInt64) {
            text.family("patchbay_node_\(name)_total", .counter, help)
            for node in nodes { text.sample("patchbay_node_\(name)_total", [("node", node.id)], value(node)) }
        }
        total("restarts", "Starts after a fault.") { UInt64($0.restarts) }
        total("errors", "Grains that could not be decoded, encoded or muxed.") {
            $0.runner.context.counters.errors.load(ordering: .relaxed)
        }
        total("skipped", "Grains left out on purpose: before the first key frame, behind a hole.") {
            $0.runner.context.counters.skipped.load(ordering: .relaxed)
        }
        total("filled", "Grains made where none came: repeats, slates, silence.") {
            $0.runner.context.counters.filled.load(ordering: .relaxed)
        }
        total("slow_steps", "Steps that took longer than a frame.") {
            $0.runner.context.counters.slowSteps.load(ordering: .relaxed)
        }
    }

    private func writeBudgets(_ nodes: [LiveNode], _ text: inout Exposition) {
        let nodes = nodes.filter { $0.budget.budget != nil }
        text.family("patchbay_node_budget_seconds", .gauge, "How old the node's grains may be.")
        for node in nodes {
            text.sample("patchbay_node_budget_seconds", [("node", node.id)], nanoseconds: node.budget.budget ?? 0)
        }
        text.family("patchbay_node_budget_broken", .gauge, "1 while the node's grains are older than they may be.")
        for node in nodes {
            text.sample("patchbay_node_budget_broken", [("node", node.id)], node.budget.isBroken ? 1 : 0)
        }
        text.family("patchbay_node_budget_breaks_total", .counter, "How often the budget was broken.")
        for node in nodes {
            text.sample(
                "patchbay_node_budget_breaks_total", [("node", node.id)], node.budget.breaks.load(ordering: .relaxed))
        }
    }

    private func writeOutlets(_ nodes: [LiveNode], _ text: inout Exposition) {
        let ports = nodes.flatMap { node in node.resolved.outlets.compactMap { node.ports[$0.name] } }
        func each(_ name: String, _ kind: Exposition.Kind, _ help: String, _ value: (OutletPort) -> UInt64) {
            text.family(name, kind, help)
            for port in ports { text.sample(name, port.labels, value(port)) }
        }
        each("patchbay_outlet_grains_total", .counter, "Grains published.") { $0.mapping?.head ?? 0 }
        each("patchbay_outlet_dropped_grains_total", .counter, "Grains that found no free buffer.") {
            $0.mapping?.dropped ?? 0
        }
        each("patchbay_outlet_copied_grains_total", .counter, "Grains that were copied into their ring.") {
            $0.mapping?.copied ?? 0
        }
        each("patchbay_outlet_refused_grains_total", .counter, "Grains that were too large for their ring.") {
            $0.refused.load(ordering: .relaxed)
        }
        each("patchbay_outlet_lost_side_data_bytes_total", .counter, "Bytes of side data that did not fit.") {
            $0.mapping?.sideDataLost ?? 0
        }
        each("patchbay_outlet_readers", .gauge, "Readers of the ring, of all processes.") {
            UInt64($0.mapping?.readerCount ?? 0)
        }
        each("patchbay_ring_bytes", .gauge, "Size of the ring in shared memory.") { $0.ringBytes }
        text.write("patchbay_outlet_", ports.map { (labels: $0.labels, measurements: $0.measured) }, at: now)
        summary("patchbay_outlet_age_seconds", "Age of grains since their origin when published.", ports, \.age, &text)
        summary("patchbay_outlet_stage_seconds", "What the node cost its grains.", ports, \.stage, &text)
    }

    private func summary(
        _ name: String, _ help: String, _ ports: [OutletPort], _ histogram: (OutletPort) -> LatencyHistogram,
        _ text: inout Exposition
    ) {
        text.family(name, .summary, help)
        let wanted = [0.5, 0.99, 0.999]
        for port in ports {
            guard let found = histogram(port).quantiles(wanted) else { continue }
            for (quantile, value) in zip(wanted, found) {
                text.sample(name, port.labels + [("quantile", "\(quantile)")], nanoseconds: value)
            }
        }
    }

    private func writeInlets(_ nodes: [LiveNode], _ text: inout Exposition) {
        let inlets = nodes.flatMap { node in
            node.runner.context.inlets.map { inlet in
                (labels: [("node", node.id), ("inlet", "\(inlet.id)")], figures: inlet.figures)
            }
        }
        func each(_ name: String, _ kind: Exposition.Kind, _ help: String, _ value: (InletFigures) -> UInt64) {
            text.family(name, kind, help)
            for inlet in inlets { text.sample(name, inlet.labels, value(inlet.figures)) }
        }
        each("patchbay_inlet_taken_grains_total", .counter, "Grains read.") { $0.snapshot.taken }
        each("patchbay_inlet_lost_grains_total", .counter, "Grains lost because the reader was lapped.") {
            $0.snapshot.lost
        }
        each("patchbay_inlet_lag_grains", .gauge, "Grains between the reader and the newest.") { $0.snapshot.lag }
        each("patchbay_inlet_refused_joins_total", .counter, "Joins that a ring refused.") {
            $0.refusals.load(ordering: .relaxed)
        }
        let measured = nodes.flatMap { node in
            node.runner.context.inlets.compactMap { inlet in
                inlet.measured.map { (labels: [("node", node.id), ("inlet", "\(inlet.id)")], measurements: $0) }
            }
        }
        text.write("patchbay_meter_", measured, at: now)
        let links = nodes.map { (labels: [("node", $0.id)], measurements: $0.runner.context.link) }
        text.write("patchbay_link_", links, at: now)
    }

    private func writeLanes(_ text: inout Exposition) {
        let lanes = lanes.all
        text.family("patchbay_lane_cpu_seconds_total", .counter, "CPU time of the lane's thread.")
        for lane in lanes {
            text.sample(
                "patchbay_lane_cpu_seconds_total", [("lane", lane.name)],
                nanoseconds: lane.processorNanoseconds.load(ordering: .relaxed))
        }
        text.family("patchbay_lane_wakes_total", .counter, "System calls that waking the lane has cost.")
        for lane in lanes {
            text.sample(
                "patchbay_lane_wakes_total", [("lane", lane.name)], lane.doorbell.wakes.load(ordering: .relaxed))
        }
    }
}

extension OutletPort {
    fileprivate var labels: [(String, String)] { [("node", node), ("outlet", name)] }
}

extension FileService {
    fileprivate func write(to text: inout Exposition) {
        text.family("patchbay_files_backend", .gauge, "1 for the way in which files are written.")
        for kind in [Backend.ioUring, .pwrite] {
            text.sample("patchbay_files_backend", [("backend", kind.rawValue)], backend.kind == kind ? 1 : 0)
        }
        func total(_ name: String, _ help: String, _ value: borrowing Atomic<UInt64>) {
            text.single("patchbay_files_\(name)_total", .counter, help, value.load(ordering: .relaxed))
        }
        total("operations", "File operations finished.", counters.operations)
        total("written_bytes", "Bytes written.", counters.bytes)
        total("failures", "Files and removals that failed.", counters.failures)
        total("refused_writes", "Writes refused because memory or the queue was full.", counters.refusals)
        total("superseded", "Replacements that a newer one made needless.", counters.superseded)
        total("system_calls", "System calls that the file thread made for I/O.", counters.systemCalls)
        total("wakes", "Wake-ups of the file thread that cost a system call.", counters.wakeUps)
        text.single(
            "patchbay_files_queued_chunks", .gauge, "Chunks handed over and not yet written.",
            counters.queueDepth.load(ordering: .relaxed))
        text.single(
            "patchbay_files_jobs", .gauge, "Files, replacements and removals that are not done.",
            counters.liveJobs.load(ordering: .relaxed))
        text.single("patchbay_files_memory_bytes", .gauge, "Memory that holds something to be written.", memoryInUse)
        text.single("patchbay_files_memory_limit_bytes", .gauge, "The most that may wait to be written.", memoryLimit)
    }
}

/// The process by the names that every Prometheus dashboard knows.
private enum ProcessFigures {
    static func write(to text: inout Exposition) {
        if let pages = residentPages() {
            text.single(
                "process_resident_memory_bytes", .gauge, "Resident memory.", pages * Int(sysconf(Int32(_SC_PAGESIZE))))
        }
        var usage = rusage()
        guard getrusage(RUSAGE_SELF, &usage) == 0 else { return }
        text.family("process_cpu_seconds_total", .counter, "User and system CPU time.")
        text.sample(
            "process_cpu_seconds_total", [], nanoseconds: nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime))
    }

    private static func nanoseconds(_ time: timeval) -> Int64 {
        Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_usec) * 1000
    }

    /// The second number of /proc/self/statm.
    private static func residentPages() -> Int? {
        let descriptor = linux_open("/proc/self/statm", O_RDONLY, 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 128)
        let count = read(descriptor, &bytes, bytes.count)
        let fields = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self).split(separator: " ")
        return fields.count > 1 ? Int(fields[1]) : nil
    }
}
