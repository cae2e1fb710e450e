// Allocations and page faults for each grain after the first second, by the module that asked.
import CLinux
import Graph
import Synchronization

struct Allocations {
    private let options: Options

    init(_ options: Options) { self.options = options }

    func measure(into report: inout Report) throws(BenchError) {
        try measure("\(options.root)/Benchmarks/pattern-to-null.json", "allocations.null", &report)
        try measure("\(options.graphs)/first-light.json", "allocations.firstLight", &report)
    }

    private func measure(_ graph: String, _ name: String, _ report: inout Report) throws(BenchError) {
        let counter = try Counter("\(options.folder)/allocations")
        let running = try RunningGraph(
            graph, options, environment: ["LD_PRELOAD=\(options.counter)", "ALLOCATIONS_FILE=\(counter.path)"])
        guard running.wait(milliseconds: 2000), let first = try running.nodes() else {
            throw BenchError("\(graph) ended early")
        }
        // Asking over HTTP allocates; nobody asks between the two looks.
        guard running.wait(milliseconds: 500) else { throw BenchError("\(graph) ended early") }
        let (before, faults) = (counter.counts, minorFaults(running.process.id))
        counter.arm()
        let seconds: Int64 = options.isShort ? 6 : 20
        guard running.wait(milliseconds: seconds * 1000) else { throw BenchError("\(graph) ended early") }
        let (after, laterFaults) = (counter.counts, minorFaults(running.process.id))
        let absent = absentRingPages(running.process.id)
        guard let second = try running.nodes() else { throw BenchError("\(graph) ended early") }
        _ = try running.end()
        // Between the two answers lie the half second before and a little more; their rate is the grains' rate.
        let share = Double(seconds) / (Double(seconds) + 0.5)
        let grains = Double(second.sum("outlets", "grains") - first.sum("outlets", "grains")) * share
        for (module, count) in after.sorted(by: { $0.key < $1.key }) {
            let perGrain = Double(count - (before[module] ?? 0)) / grains
            if module == "program" {
                report.add(Figure("\(name).ours", "allocations a grain, our code and Swift's", perGrain))
            }
            if module != "program", perGrain > 0 {
                report.add(Figure("\(name).\(module)", "allocations a grain in \(module)", perGrain))
            }
        }
        report.add(Figure("\(name).ringPages", "pages of ring mappings that could still fault", Double(absent)))
        report.add(
            Figure("\(name).faults", "minor faults a grain, whole process", Double(laterFaults - faults) / grains))
    }

    private func minorFaults(_ id: pid_t) -> Int {
        // After the name in parentheses: state, ppid, pgrp, session, tty, tpgid, flags, minflt.
        let fields = (contents(of: "/proc/\(id)/stat") ?? "").split(separator: ")").last?.split(separator: " ") ?? []
        return fields.count > 7 ? Int(fields[7]) ?? 0 : 0
    }

    /// Pages of ring mappings that are not in the page table: only these can fault.
    private func absentRingPages(_ id: pid_t) -> Int {
        var isRing = false
        var (size, resident) = (0, 0)
        for line in (contents(of: "/proc/\(id)/smaps") ?? "").split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count >= 5, words[0].contains("-") { isRing = line.contains("/dev/shm/") }
            guard isRing, words.count > 1 else { continue }
            if words[0] == "Size:" { size += Int(words[1]) ?? 0 }
            if words[0] == "Rss:" { resident += Int(words[1]) ?? 0 }
        }
        return (size - resident) / 4
    }
}

/// The table that the preloaded counter writes (Benchmarks/AllocationCounter/counter.c has the same numbers). One thread.
final class Counter {
    let path: String
    private let table: UnsafeMutableRawPointer
    private static let (headSize, moduleSize, nameSize, modules) = (64, 64, 48, 127)
    private static let size = headSize + modules * moduleSize

    init(_ path: String) throws(BenchError) {
        self.path = path
        let file = linux_open(path, O_RDWR | O_CREAT | O_TRUNC, 0o600)
        guard file >= 0, ftruncate(file, off_t(Self.size)) == 0,
            let table = linux_map(nil, Self.size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
        else { throw BenchError("\(path) can't be mapped: errno \(linux_errno())") }
        close(file)
        self.table = table
    }
    deinit { munmap(table, Self.size) }

    /// From now on traces are written, where they are asked for.
    func arm() { table.storeBytes(of: 1, toByteOffset: 4, as: UInt32.self) }

    var counts: [String: Int] {
        let used = min(Int(table.load(as: UInt32.self)), Self.modules)
        return Dictionary(
            (0..<used).map { i in
                let module = table + Self.headSize + i * Self.moduleSize
                let name = String(cString: (module + 8).assumingMemoryBound(to: CChar.self))
                return (name, Int(module.load(as: UInt64.self)))
            }, uniquingKeysWith: +)
    }
}
