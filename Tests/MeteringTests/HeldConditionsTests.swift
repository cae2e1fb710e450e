// For how long what has held, and how soon it is told, on a clock of the test's own.
import Engine
import Graph
import Media
import Testing

@testable import Metering

@Suite struct HeldConditionsTests {
    private static func rules(_ json: JSON) -> [ConditionRule] { ConditionReader(json).rules }

    @Test func whatIsKnownToHaveBegunEarlierCountsFromThere() {
        var conditions = HeldConditions(Self.rules([["on": "black", "for": "2s"]]))
        func look(_ milliseconds: Int64, since: Int64?) -> Int {
            conditions.look(at: milliseconds * 1_000_000) { _ in
                Measured(1, since: since.map { $0 * 1_000_000 })
            }.count
        }
        #expect(look(5000, since: 4000) == 0 && conditions.nextInstant == 6_000_000_000)
        #expect(look(5999, since: 4001) == 0 && look(6000, since: 4000) == 1 && look(9000, since: 4000) == 0)
        #expect(conditions.forget().count == 1 && conditions.forget().isEmpty && conditions.nextInstant == nil)
    }

    @Test func otherRulesEndThoseThatAreNoMoreAndKeepTheOthers() {
        let loss: JSON = ["on": "loss", "above": "5%", "for": "1s"]
        let rate: JSON = ["on": "rate", "below": 20, "for": "1s"]
        var conditions = HeldConditions(Self.rules([loss, rate]))
        func look(_ seconds: Int64) -> [HeldConditions.Change] {
            conditions.look(at: seconds * 1_000_000_000) { Measured($0 == .loss ? 7.5 : 10) }
        }
        #expect(look(0).isEmpty && look(1).count == 2)
        let ended = conditions.replace(Self.rules([rate]))
        #expect(ended == [.ended(Self.rules([loss])[0], since: 0)])
        // The other goes on, and is not told again.
        #expect(look(2).isEmpty && conditions.forget().count == 1)
    }

    @Test func whatNobodyMeasuresDoesNotHold() {
        let board = Measurements()
        for measure in Measure.allCases { #expect(board.value(of: measure, at: 0) == nil) }
        board[.black] = 0
        board[.clipped] = 5_000_000_000
        board[.drift] = -90_000_000
        board[.shortTerm] = -23_000
        #expect(board.value(of: .black, at: 9) == Measured(0))
        board[.black] = 7
        #expect(board.value(of: .black, at: 9) == Measured(1, since: 7))
        #expect(board.value(of: .clipped, at: 5_900_000_000) == Measured(1))
        #expect(board.value(of: .clipped, at: 6_000_000_000) == Measured(0))
        #expect(board.value(of: .drift, at: 0) == Measured(90) && board.value(of: .loudness, at: 0) == Measured(-23))
        board.forgetContent()
        #expect(board[.black] == nil && board[.clipped] == nil && board[.drift] != nil)
    }

    @Test("Black and frozen are told of within their duration and two pictures, though stamps are uneven")
    func withinTwoPictures() throws {
        let format = ScriptedStream.video
        var look = PictureLook(format, masks: [])
        let board = Measurements()
        var conditions = HeldConditions(Self.rules([["on": "black", "for": "2s"], ["on": "frozen", "for": "3s"]]))
        let pictures = UnsafeMutableRawBufferPointer.allocate(byteCount: format.planes.size, alignment: 64)
        defer { pictures.deallocate() }
        var told: [String: Int64] = [:]
        for i in 0..<300 as Range<Int64> {
            // Moving for a second, then black.
            pictures.initializeMemory(as: UInt8.self, repeating: i < 50 ? UInt8(40 + i * 37 % 200) : 16)
            let pts = i * 20_000_000
            let arrival = 1_000_000_000 + pts + i * 7_919_000 % 15_000_000
            board.note(look.look(at: UnsafeRawBufferPointer(pictures), pts: pts, arrival))
            for change in conditions.look(at: arrival, { board.value(of: $0, at: arrival) }) {
                if case .began(let rule, _, _) = change { told[rule.measure.rawValue] = pts }
            }
        }
        let begin: Int64 = 50 * 20_000_000
        for (name, holding) in [("black", 2_000_000_000), ("frozen", 3_000_000_000)] as [(String, Int64)] {
            let delay = try #require(told[name]) - begin
            #expect((holding - 20_000_000...holding + 40_000_000).contains(delay), "\(name) after \(delay)")
        }
    }
}
