// The table of the ring's scenes.
import Graph

/// One line of the table: a subject in a scene.
struct RingRow {
    let json: JSON
    private let cells: [String]
    private static let widths = [7, 9, 6, 12, 8, 8, 8, 8, 8, 8, 8, 6, 6, 8]

    static func head() {
        say(
            "1920x1080 UYVY from one process to others. µs: from ready to the last reader's, in the sender's call, of "
                + "processor time a frame besides filling; system calls of sender + readers")
        write([
            "READERS", "PLACED", "DRIVE", "SUBJECT", "P50", "P99", "P99.9", "CALL", "FRAMES/S", "RECEIVED", "CPU",
            "COPIES", "ALLOCS", "SYSCALLS",
        ])
    }

    init(
        _ readers: Int, _ placement: String, _ drive: String, _ subject: String, _ result: JSON, _ calls: CallCount?
    ) {
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
            short(processor), Self.copies[subject] ?? "-", number("allocations"),
            drive == "paced" ? calls.map { "\(short($0.sender))+\(short($0.others))" } ?? "" : "",
        ]
        json = [
            "readers": .double(Double(readers)), "placement": .string(placement), "drive": .string(drive),
            "subject": .string(subject), "result": result,
            "calls": calls.map { ["sender": .double($0.sender), "readers": .double($0.others)] } ?? .null,
        ]
    }

    func write() { Self.write(cells) }

    private static func write(_ cells: [String]) {
        let line = zip(cells, widths).map { cell, width in
            cell + String(repeating: " ", count: max(0, width - cell.count))
        }.joined(separator: " ")
        say(String(line.reversed().drop { $0 == " " }.reversed()))
    }

    /// Of a frame on its way to one reader: a pipe copies in and out.
    private static let copies = [
        "ring": "0", "spinning": "0", "held": "0", "idle": "0", "semaphore": "0", "pipe": "2", "shmsink": "0",
        "shmsinkCopy": "1",
    ]
}
