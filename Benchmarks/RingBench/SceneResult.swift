// What a scene gave, as one JSON object.
import CLinux
import Graph
import Synchronization

/// Microseconds below which that share of the hops came.
struct Percentiles {
    let count: Int
    let p50, p99, p999: Double

    init(nanoseconds: [Int64]) {
        let sorted = nanoseconds.sorted()
        func at(_ share: Double) -> Double {
            guard !sorted.isEmpty else { return .nan }
            return Double(sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]) / 1000
        }
        (count, p50, p99, p999) = (sorted.count, at(0.5), at(0.99), at(0.999))
    }

    var json: JSON {
        ["count": whole(Int64(count)), "p50": number(p50), "p99": number(p99), "p99.9": number(p999)]
    }
}

/// Two decimals; null for what is no number.
func number(_ value: Double) -> JSON { value.isFinite ? .double((value * 100).rounded() / 100) : .null }

private func whole(_ value: Int64) -> JSON { .number(JSONNumber(Int(value))) }

extension Scene {
    var json: JSON {
        let subjects = options.subjects.enumerated().map { (key: $1.rawValue, value: result($0)) }
        return [
            "readers": whole(Int64(options.readers)), "placement": .string(options.placement.rawValue),
            "drive": .string("\(options.drive)"), "rate": .double(options.rate),
            "subjects": .object(JSONObject(subjects)),
        ]
    }

    private func result(_ subject: Int) -> JSON {
        let account = accounts[subject]
        let readers = 0..<(options.subjects[subject].sparesLast ? options.readers - 1 : options.readers)
        func sum(_ counter: Board.Counter) -> Int64 { readers.reduce(0) { $0 + value(counter, subject, $1) } }
        let (sent, seconds) = (Double(account.sent), Double(account.elapsed) / 1e9)
        let rounds = 0..<options.rounds
        let calls = rounds.map { times(subject, options.readers, round: $0).filter { $0 > 0 } }
        let last = rounds.map { lastTimes(subject, readers, round: $0) }
        let received = readers.map { whole(value(.received, subject, $0)) }
        return [
            "sent": whole(account.sent), "dropped": whole(account.dropped), "received": .array(received),
            "lost": whole(sum(.lost)), "framesPerSecond": number(sent / seconds),
            "longestGap": number(Double(readers.map { value(.gap, subject, $0) }.max() ?? 0) / 1e6),
            // Of the last reader of each frame, and of the sender's call.
            "last": Percentiles(nanoseconds: last.flatMap { $0 }).json,
            "call": Percentiles(nanoseconds: calls.flatMap { $0 }).json,
            "lastOfRounds": .array(last.map { number(Percentiles(nanoseconds: $0).p50) }),
            "callOfRounds": .array(calls.map { number(Percentiles(nanoseconds: $0).p50) }),
            "rateOfRounds": .array(account.rates.map(number)),
            // Microseconds of processor time a frame, besides filling it.
            "sender": number(Double(account.processor) / 1000 / sent),
            "readers": number(Double(sum(.processor)) / 1000 / sent),
            "allocations": number(Double(account.allocations) / sent),
        ]
    }

    private func value(_ counter: Board.Counter, _ subject: Int, _ reader: Int) -> Int64 {
        board.counter(counter, subject: subject, reader: reader).pointee.load(ordering: .relaxed)
    }

    private func times(_ subject: Int, _ reader: Int, round: Int) -> ArraySlice<Int64> {
        let all = board.times(subject: subject, reader: reader)
        return ArraySlice(all[(round * options.hopsARound)..<((round + 1) * options.hopsARound)])
    }

    /// Of each frame the time until the last reader had it; frames that one missed are counted as lost, not here.
    private func lastTimes(_ subject: Int, _ readers: Range<Int>, round: Int) -> [Int64] {
        let all = readers.map { Array(times(subject, $0, round: round)) }
        let isShared = options.subjects[subject].isShared
        return (0..<options.hopsARound).compactMap { hop in
            let of = all.map { $0[hop] }
            guard isShared ? of.contains(where: { $0 > 0 }) : of.allSatisfy({ $0 > 0 }) else { return nil }
            return of.max()
        }
    }
}
