// From what a client sends to what the engine is asked: bodies become changes, texts become times. Any thread.
import API
import Engine
import Graph
import Media

extension GraphView {
    init(_ aspect: GraphAspect) {
        self =
            switch aspect {
            case .sum: .sum
            case .base: .base
            case .resolved: .resolved
            }
    }
}

extension Proposal {
    init(_ change: GraphChange, vetting: @escaping GraphVetting) throws(APIProblem) {
        let json: JSON
        do throws(JSONFault) { json = try JSONText(change.body).parse() } catch {
            throw APIProblem(.malformed, "The body is not JSON: \(error).")
        }
        try self.init(change, try Self.change(change.form, json), vetting: vetting)
    }

    /// Whatever is to be changed, in the way that a client asks for.
    init(_ change: GraphChange, _ content: Change, vetting: GraphVetting?) throws(APIProblem) {
        self.init(content, by: .person(change.author ?? "http"), reason: change.reason)
        ifMatch = change.ifMatch
        isForced = change.isForced
        isDryRun = change.isDryRun
        deadline = try change.deadline.map { (text) throws(APIProblem) in try Self.deadline(text) }
        at = try change.at.map { (text) throws(APIProblem) in try Self.time(text) }
        self.vetting = vetting
    }

    private static func change(_ form: GraphChange.Form, _ json: JSON) throws(APIProblem) -> Change {
        switch form {
        case .document: return .document(GraphDocument(json))
        case .patch(.mergePatch): return .merge(json)
        case .patch(.jsonPatch):
            do throws(PatchFault) { return .patch(try JSONPatch(json: json)) } catch { throw APIProblem(.patch(error)) }
        }
    }

    private static func deadline(_ text: String) throws(APIProblem) -> MediaTime {
        guard let time = MediaTime(setting: .string(text)), time > .zero, time <= .seconds(3600) else {
            throw APIProblem(.malformed, "“deadline” is “\(text)”; expected a time such as 2s, at most 1h.")
        }
        return time
    }

    private static func time(_ text: String) throws(APIProblem) -> CommitTime {
        if let time = UTCTime(text) { return .wall(unixNanoseconds: time.nanoseconds) }
        let halves = text.split(separator: ":", omittingEmptySubsequences: false)
        guard halves.count == 2, !halves[0].isEmpty, let number = Int64(halves[1]), number >= 0 else {
            throw APIProblem(
                .malformed, "“at” is “\(text)”; expected a time such as 2026-11-21T20:00:00Z, or camera:123456.")
        }
        return .grain(of: String(halves[0]), number: number)
    }
}

/// A moment as ISO 8601 writes it in UTC, to the nanosecond: `2026-11-21T20:00:00.5Z`.
struct UTCTime: Equatable {
    /// Since 1970.
    let nanoseconds: Int64

    init?(_ text: String) {
        let shape = Array("0000-00-00T00:00:00".utf8)
        var bytes = Array(text.utf8)
        guard bytes.popLast() == UInt8(ascii: "Z"), bytes.count >= shape.count else { return nil }
        let isDigit = { (byte: UInt8) in UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte }
        guard zip(bytes, shape).allSatisfy({ isDigit($1) ? isDigit($0) : $0 == $1 }) else { return nil }
        func number(_ places: Range<Int>) -> Int64 {
            bytes[places].reduce(0) { $0 * 10 + Int64($1 - UInt8(ascii: "0")) }
        }
        let (year, month, day) = (number(0..<4), number(5..<7), number(8..<10))
        let (hour, minute, second) = (number(11..<13), number(14..<16), number(17..<19))
        guard (1970...2261).contains(year), (1...12).contains(month),
            (1...Self.days(in: month, of: year)).contains(day), hour < 24, minute < 60, second < 60
        else { return nil }
        let point = shape.count
        var fraction: Int64 = 0
        if bytes.count > point {
            let digits = bytes.dropFirst(point + 1)
            guard bytes[point] == UInt8(ascii: "."), (1...9).contains(digits.count), digits.allSatisfy(isDigit) else {
                return nil
            }
            fraction = (digits.count..<9).reduce(number(point + 1..<bytes.count)) { value, _ in value * 10 }
        }
        let days =
            (1970..<year).reduce(Int64(0)) { $0 + (Self.isLeap($1) ? 366 : 365) }
            + (1..<month).reduce(Int64(0)) { $0 + Self.days(in: $1, of: year) } + day - 1
        nanoseconds = (((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000_000 + fraction
    }

    private static func isLeap(_ year: Int64) -> Bool {
        year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    }

    private static func days(in month: Int64, of year: Int64) -> Int64 {
        switch month {
        case 2: isLeap(year) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }
}
