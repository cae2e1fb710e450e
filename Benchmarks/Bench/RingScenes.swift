// The frame ring between processes, beside floors and rivals: what RingBench's scenes give, as one table, and what is
// held to bounds of it.
import CLinux
import Graph

struct RingScenes {
    private let options: Options
    private let counter: Counter
    /// The lines of the table so far.
    private var rows: [JSON] = []

    init(_ options: Options) throws(BenchError) {
        self.options = options
        counter = try Counter("\(options.folder)/allocations")
    }

    mutating func measure(into report: inout Report) throws(BenchError) {
        RingRow.head()
        let all = options.isShort ? [1, 4] : [1, 4, 16]
        for placement in options.isShort ? ["apart"] : ["one", "apart", "free"] {
            for readers in all { try paced(readers, placement, &report) }
            for readers in all { try flatOut(readers, placement, &report) }
        }
        report.add(rows: rows, as: "ring")
    }

    /// Open loop at 50 Hz: the last reader and the call beside the bare futex, processor time beside the pipe's.
    private mutating func paced(_ readers: Int, _ placement: String, _ report: inout Report) throws(BenchError) {
        let scene = try scene("paced", readers, placement, ["futex", "ring"] + rivals(readers), rounds: rounds)
        let (ring, futex) = (scene["ring"], scene["futex"])
        let name = "ring.\(readers).\(placement)"
        report.note(
            Figure("\(name).median", "last reader has it, p50, µs", pairs: pairs(ring, futex, "lastOfRounds")))
        report.note(
            Figure(
                "\(name).p99", "last reader has it, p99, µs",
                pairs: [(at(ring, "last", "p99"), at(futex, "last", "p99"))]))
        report.note(Figure("\(name).call", "publish, p50, µs", pairs: pairs(ring, futex, "callOfRounds")))
        report.note(Figure("\(name).allocations", "allocations a frame", at(ring, "allocations")))
        guard readers == 1 else { return }
        report.note(
            Figure(
                "\(name).processor", "CPU of all besides filling, µs a frame; the pipe's",
                pairs: [(processor(ring), processor(scene["pipe"]))]))
    }

    private mutating func flatOut(_ readers: Int, _ placement: String, _ report: inout Report) throws(BenchError) {
        let scene = try scene("flat", readers, placement, ["memcpy", "ring"] + rivals(readers), rounds: rounds / 2)
        guard readers == 1 else { return }
        // Turned round, as all that is judged is to be low: how much slower than memcpy alone.
        report.note(
            Figure(
                "ring.\(readers).\(placement).slower", "memcpy alone, frames a second; with the ring",
                pairs: pairs(scene["memcpy"], scene["ring"], "rateOfRounds")))
    }

    private var rounds: Int { options.isShort ? 6 : 20 }

    /// Many pipes take seconds for what a ring does in microseconds: the short form has one only.
    private func rivals(_ readers: Int) -> [String] {
        options.isShort && readers > 1 ? ["semaphore"] : ["pipe", "semaphore"]
    }

    /// Runs one scene, prints its rows; its subjects' results.
    private mutating func scene(
        _ drive: String, _ readers: Int, _ placement: String, _ subjects: [String], rounds: Int
    ) throws(BenchError) -> JSON {
        let result = try ringBench(
            options,
            [
                "scene", "--drive", drive, "--readers", "\(readers)", "--placement", placement, "--rounds",
                "\(rounds)", "--subjects", subjects.joined(separator: ","),
            ], environment: ["LD_PRELOAD=\(options.counter)", "ALLOCATIONS_FILE=\(counter.path)"])
        guard let results = result["subjects"] else { throw BenchError("RingBench scene said \(result.compact)") }
        for subject in subjects {
            let row = RingRow(readers, placement, drive, subject, results[subject] ?? .null)
            row.write()
            rows.append(row.json)
        }
        return results
    }

    private func at(_ result: JSON?, _ keys: String...) -> Double {
        keys.reduce(result) { $0?[$1] }?.double ?? .nan
    }

    /// User and system time of sender and readers besides filling, microseconds a frame.
    private func processor(_ result: JSON?) -> Double { at(result, "sender") + at(result, "readers") }

    /// The medians of each round that both have.
    private func pairs(_ ours: JSON?, _ floor: JSON?, _ key: String) -> [(Double, Double)] {
        let all = zip(ours?[key]?.array ?? [], floor?[key]?.array ?? [])
        let found = all.compactMap { a, b in a.double.flatMap { a in b.double.map { (a, $0) } } }
        return found.isEmpty ? [(.nan, .nan)] : found
    }
}

/// One line of the table: a subject in a scene.
struct RingRow {
    let json: JSON
    private let cells: [String]
    private static let widths = [7, 9, 6, 12, 8, 8, 8, 8, 8, 10, 9, 8, 8]

    static func head() {
        say(
            "Frames of 1920x1080 UYVY from one process to others; µs from ready to the last reader's, in the call, and "
                + "of processor time a frame besides filling")
        write([
            "READERS", "PLACED", "DRIVE", "SUBJECT", "P50", "P99", "P99.9", "CALL", "FRAMES/S", "RECEIVED", "CPU",
            "COPIES",
            "ALLOCS",
        ])
    }

    init(_ readers: Int, _ placement: String, _ drive: String, _ subject: String, _ result: JSON) {
        func number(_ keys: String...) -> String {
            keys.reduce(result) { $0[$1] ?? .null }.double.map { short($0) } ?? "-"
        }
        let sent = result["sent"]?.double ?? .nan
        let received = (result["received"]?.array ?? []).compactMap(\.double)
        let share = received.reduce(0, +) / sent / Double(max(1, received.count))
        let processor = (result["sender"]?.double ?? .nan) + (result["readers"]?.double ?? .nan)
        cells = [
            "\(readers)", placement, drive, subject, number("last", "p50"), number("last", "p99"),
            number("last", "p99.9"), number("call", "p50"), number("framesPerSecond"), "\(short(share * 100)) %",
            short(processor), Self.copies[subject] ?? "", number("allocations"),
        ]
        json = [
            "readers": .double(Double(readers)), "placement": .string(placement), "drive": .string(drive),
            "subject": .string(subject), "result": result,
        ]
    }

    func write() { Self.write(cells) }

    private static func write(_ cells: [String]) {
        say(
            zip(cells, widths).map { cell, width in
                cell + String(repeating: " ", count: max(0, width - cell.count))
            }.joined(separator: " "))
    }

    /// Of a frame on its way to one reader: a pipe copies in and out.
    private static let copies = [
        "ring": "0", "spinning": "0", "held": "0", "idle": "0", "semaphore": "0", "pipe": "2", "shmsink": "0",
        "shmsinkCopy": "1",
    ]
}
