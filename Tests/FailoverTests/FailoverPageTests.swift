// The page of the failover against the code: the picture's states and ways are those that the machine takes, and every
// word of a closed set stands there.
import Engine
import Foundation
import Graph
import Media
import Testing

@testable import Failover

@Suite struct FailoverPageTests {
    private struct Way: Hashable, CustomStringConvertible {
        let from: InputState
        let to: InputState
        var description: String { "\(from) to \(to)" }
    }

    private static let page: String = {
        let root = (0..<3).reduce(#filePath) { path, _ in (path as NSString).deletingLastPathComponent }
        return (try? String(contentsOfFile: root + "/Sources/Failover/Failover.docc/Failover.md", encoding: .utf8))
            ?? ""
    }()

    /// The ways that the table of the page has.
    private static var written: Set<Way> {
        var ways: Set<Way> = []
        for line in page.split(separator: "\n") where line.hasPrefix("|") {
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            guard cells.count >= 2, let to = InputState(rawValue: cells[1]) else { continue }
            for from in cells[0].split(separator: ",") {
                guard let from = InputState(rawValue: from.trimmingCharacters(in: .whitespaces)) else { continue }
                ways.insert(Way(from: from, to: to))
            }
        }
        return ways
    }

    @Test func theWaysOfTheTableAreThoseOfTheMachine() {
        let names = ["main", "backup"]
        var bench = Bench([FailoverInput("main", priority: 1), FailoverInput("backup", priority: 2)])
        var ways: Set<Way> = []
        var states = names.map { bench.machine.state(of: $0) }
        func note() {
            for (i, name) in names.enumerated() {
                let new = bench.machine.state(of: name)
                if let old = states[i], let new, old != new { ways.insert(Way(from: old, to: new)) }
                states[i] = new
            }
        }
        var random = SplitMix(seed: 5)
        for _ in 0..<4000 {
            bench.now += Int64(random.next() % 400)
            switch random.next() % 6 {
            case 0: _ = bench.handle(.failed(names[Int(random.next() % 2)], detail: "gone"))
            case 1: _ = bench.handle(.chosen(names[Int(random.next() % 2)], request: 1))
            case 2: _ = bench.handle(.released)
            case 3: _ = bench.handle(.ticked)
            case 4: _ = bench.hear("main")
            default: _ = bench.hear("backup")
            }
            note()
        }
        #expect(ways == Self.written)
    }

    @Test func everyWordOfAClosedSetIsThere() {
        let words =
            InputState.allCases.map(\.rawValue) + FailoverState.allCases.map(\.rawValue) + Keep.allCases.map(\.rawValue)
            + Measure.allCases.map(\.rawValue)
        for word in words { #expect(Self.page.lowercased().contains(word.lowercased()), "\(word)") }
    }
}

/// Numbers that are the same in each run.
private struct SplitMix {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
