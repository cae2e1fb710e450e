// What benchmarks found, beside the bounds that are kept in Benchmarks/bounds.json.
import CLinux
import Graph

/// One number that a benchmark gives, and what it may be.
struct Figure {
    /// As in `transcode.processor`: the key of its bound.
    let name: String
    /// In words, with the unit.
    let what: String
    /// The medians: ours, and the rival's or the floor's where there is one.
    let ours: Double
    var rival: Double?
    /// Half the distance between the quartiles of the pairs' ratios, relative.
    var spread: Double?
    /// What is held to the bound: the ratio where there is a rival, else the count.
    var judged: Double

    /// A count or a time without a rival.
    init(_ name: String, _ what: String, _ value: Double) {
        (self.name, self.what, ours, judged) = (name, what, value, value)
    }

    /// One beside what it is held to.
    init(_ name: String, _ what: String, _ ours: Double, _ rival: Double) {
        (self.name, self.what, self.ours, self.rival, judged) = (name, what, ours, rival, ours / rival)
    }

    /// Alternating pairs: the median of the pairs' ratios is what is judged.
    init(_ name: String, _ what: String, pairs: [(ours: Double, rival: Double)]) {
        (self.name, self.what) = (name, what)
        ours = median(pairs.map(\.ours))
        rival = median(pairs.map(\.rival))
        let ratios = pairs.map { $0.ours / $0.rival }.sorted()
        judged = median(ratios)
        spread = (ratios[ratios.count * 3 / 4] - ratios[ratios.count / 4]) / 2 / judged
    }
}

func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    guard !sorted.isEmpty else { return .nan }
    return sorted.count % 2 == 1
        ? sorted[sorted.count / 2] : (sorted[sorted.count / 2 - 1] + sorted[sorted.count / 2]) / 2
}

/// The recorded bounds: name → highest ratio or count, for whole and for short runs. A figure without one is printed only.
struct Bounds {
    private let json: JSON
    private let isShort: Bool

    init(path: String, isShort: Bool) throws(BenchError) {
        guard let text = contents(of: path) else { throw BenchError("\(path) can't be read") }
        do throws(JSONFault) { json = try JSONText(Array(text.utf8)).parse() } catch {
            throw BenchError("\(path): \(error)")
        }
        self.isShort = isShort
    }

    subscript(name: String) -> Double? { json[name]?[isShort ? "short" : "whole"]?.double }
}

struct Report {
    private var figures: [Figure] = []
    /// Tables that are printed beside the figures, by their names.
    private var tables: [(name: String, rows: [JSON])] = []
    /// Figures that wait until a table is over.
    private var noted: [Figure] = []
    private let bounds: Bounds

    init(_ bounds: Bounds) { self.bounds = bounds }

    /// Shows a figure as soon as it is there.
    mutating func add(_ figure: Figure) {
        figures.append(figure)
        let rival = figure.rival.map { short($0) } ?? ""
        let ratio = figure.rival == nil ? "" : short(figure.judged)
        let spread = figure.spread.map { "±\(short($0 * 100)) %" } ?? ""
        write([figure.name, figure.what, short(figure.ours), rival, ratio, spread, bound(figure), verdict(figure)])
    }

    /// Keeps a figure until the table that it belongs to has been printed.
    mutating func note(_ figure: Figure) { noted.append(figure) }

    /// A table is over: shows the figures that were noted meanwhile.
    mutating func add(rows: [JSON], as name: String) {
        tables.append((name, rows))
        head()
        for figure in noted { add(figure) }
        noted = []
    }

    func head() { write(["FIGURE", "WHAT", "OURS", "RIVAL", "RATIO", "SPREAD", "BOUND", ""]) }

    private func bound(_ figure: Figure) -> String { bounds[figure.name].map { "≤ \(short($0))" } ?? "" }
    private func verdict(_ figure: Figure) -> String {
        bounds[figure.name].map { figure.judged <= $0 ? "pass" : "FAIL" } ?? ""
    }

    /// A figure that is not a number is past every bound.
    var hasPassed: Bool { figures.allSatisfy { figure in bounds[figure.name].map { figure.judged <= $0 } ?? true } }

    var json: JSON {
        let list: [JSON] = figures.map { figure in
            [
                "name": .string(figure.name), "what": .string(figure.what), "ours": .double(figure.ours),
                "rival": figure.rival.map(JSON.double) ?? .null,
                "ratio": figure.rival == nil ? .null : .double(figure.judged),
                "spread": figure.spread.map(JSON.double) ?? .null,
                "bound": bounds[figure.name].map(JSON.double) ?? .null,
                "passed": bounds[figure.name].map { .bool(figure.judged <= $0) } ?? .null,
            ]
        }
        let members = [("figures", JSON.array(list)), ("passed", .bool(hasPassed))]
        return .object(
            JSONObject((members + tables.map { ($0.name, .array($0.rows)) }).map { (key: $0.0, value: $0.1) }))
    }

    private func write(_ cells: [String]) {
        let widths = [30, 52, 10, 10, 8, 9, 9, 4]
        let line = zip(cells, widths).map { cell, width in
            cell + String(repeating: " ", count: max(0, width - cell.count))
        }.joined(separator: " ")
        say(String(line.reversed().drop { $0 == " " }.reversed()))
    }
}

/// Three significant digits or so.
func short(_ value: Double) -> String {
    guard value.isFinite else { return "-" }
    let scale = abs(value) >= 100 ? 1.0 : abs(value) >= 10 ? 10 : abs(value) >= 0.1 ? 1000 : 100_000
    let rounded = (value * scale).rounded() / scale
    return rounded == rounded.rounded() && abs(rounded) < 1e15 ? "\(Int(rounded))" : "\(rounded)"
}

/// A line on standard output, at once.
func say(_ line: String) {
    var text = line + "\n"
    text.withUTF8 { bytes in _ = write(1, bytes.baseAddress, bytes.count) }
}
