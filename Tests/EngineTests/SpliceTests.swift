import Media
import Testing

// Where coded tracks go from one stream to another: tables, and random walks over streams of random shape.
@testable import Engine

@Suite("Coded splice") struct SpliceTests {
    private static let period: Int64 = 20_000_000

    /// Pictures in coding order, as an encoder gives them.
    struct Shape {
        /// Pictures from one key picture to the next.
        var gop: Int
        /// Pictures that are coded after the one that is shown after them.
        var bFrames: Int
        /// Pictures that follow a key picture and are shown before it.
        var isOpen = false
        /// Time of the first picture.
        var phase: Int64 = 0
    }

    struct Picture: Equatable {
        var packet: SplicePacket
        /// The number in order of display.
        var number: Int
        /// Numbers of those that it is made from.
        var needs: [Int]
    }

    static func pictures(_ shape: Shape, count: Int) -> [Picture] {
        var order: [(number: Int, isKey: Bool, needs: [Int])] = []
        var anchor = -1
        var next = 0
        while next < count {
            let keyDistance = (shape.gop - next % shape.gop) % shape.gop
            if keyDistance == 0, !shape.isOpen || next == 0 {
                order.append((next, true, []))
                (anchor, next) = (next, next + 1)
                continue
            }
            // Up to the next key picture: inside the GOP where it is closed, with it where it is open.
            let room = shape.isOpen ? keyDistance : keyDistance - 1
            let reach = next + min(shape.bFrames, room, count - 1 - next)
            let isKey = shape.isOpen && reach % shape.gop == 0
            order.append((reach, isKey, isKey ? [] : [anchor]))
            for b in next..<reach { order.append((b, false, [anchor, reach])) }
            (anchor, next) = (reach, reach + 1)
        }
        let delay = shape.bFrames > 0 ? 1 : 0
        return order.enumerated().map { index, entry in
            let dts = shape.phase + Int64(index - delay) * period
            return Picture(
                packet: SplicePacket(
                    pts: shape.phase + Int64(entry.number) * period, dts: dts, duration: period, isKey: entry.isKey),
                number: entry.number, needs: entry.needs)
        }
    }

    struct Out: Equatable {
        var stream: Int
        var number: Int
        var pts: Int64
        var dts: Int64
    }

    /// Feeds a machine as an inlet does: `old` up to the changeover, `new` from the key picture at `key` on.
    private func splice(
        _ machine: inout CodedSplice, _ old: ArraySlice<Picture>, _ new: ArraySlice<Picture>, at time: Int64,
        commitAfter: Int = 0, streams: (Int, Int) = (0, 1)
    ) -> [Out] {
        var out: [Out] = []
        var rest = new
        machine.begin()
        while let picture = rest.first, machine.new(picture.packet) == .drop { rest.removeFirst() }
        #expect(machine.isFound == (rest.first != nil))
        for (index, picture) in old.enumerated() {
            if index == commitAfter { machine.commit(at: time) }
            guard case .pass(let pts, let dts) = machine.old(picture.packet) else { break }
            out.append(Out(stream: streams.0, number: picture.number, pts: pts, dts: dts))
        }
        if !machine.isJoined { machine.oldIsOver() }
        for picture in rest {
            let verdict = machine.isJoined ? machine.new(picture.packet) : machine.old(picture.packet)
            guard case .pass(let pts, let dts) = verdict else { continue }
            out.append(Out(stream: streams.1, number: picture.number, pts: pts, dts: dts))
        }
        return out
    }

    private func expectSteady(_ out: [Out], _ comment: Comment) {
        // Shown one after another, a period apart.
        let times = out.map(\.pts).sorted()
        let steps = zip(times, times.dropFirst()).enumerated().filter { $1.1 - $1.0 != Self.period }
        #expect(steps.isEmpty, comment)
        // Decoding times rise and are not after the time of display.
        let decoding = out.map(\.dts)
        #expect(zip(decoding, decoding.dropFirst()).allSatisfy { $0 < $1 }, comment)
        #expect(out.allSatisfy { $0.dts <= $0.pts }, comment)
    }

    private func expectWhole(_ out: [Out], _ streams: [[Picture]], _ comment: Comment) {
        expectSteady(out, comment)
        // Everything that a picture is made from came before it.
        var seen: [Int: Set<Int>] = [:]
        for one in out {
            let picture = streams[one.stream].first { $0.number == one.number }
            #expect(picture?.needs.allSatisfy { seen[one.stream]?.contains($0) ?? false } ?? false, comment)
            seen[one.stream, default: []].insert(one.number)
        }
    }

    @Test("Steady, packets pass as they are")
    func steady() {
        var machine = CodedSplice(.pictures, period: Self.period)
        for picture in Self.pictures(Shape(gop: 12, bFrames: 2), count: 60) {
            #expect(machine.old(picture.packet) == .pass(pts: picture.packet.pts, dts: picture.packet.dts))
        }
        let unknown = SplicePacket(pts: .min, dts: .min, duration: 0, isKey: false)
        #expect(machine.old(unknown) == .pass(pts: .min, dts: .min))
        #expect(machine.shift == 0 && !machine.isFound)
    }

    @Test("A key picture of the past follows a period after the last picture; the joint says by how much it was moved")
    func repeated() {
        let stream = Self.pictures(Shape(gop: 50, bFrames: 0), count: 200)
        var machine = CodedSplice(.pictures, period: Self.period)
        let out = splice(&machine, stream[0..<80], stream[50...], at: 79 * Self.period)
        #expect(out.filter { $0.stream == 0 }.map(\.number) == Array(0..<79))
        #expect(out.filter { $0.stream == 1 }.map(\.number).first == 50)
        #expect(machine.shift == 29 * Self.period)
        #expect(machine.joint == SpliceJoint(cut: 79 * Self.period, shift: 29 * Self.period))
        expectWhole(out, [stream, stream], "")
    }

    @Test("Nothing changes over before the word, before a key picture was found, or before the old stream came so far")
    func patience() {
        let stream = Self.pictures(Shape(gop: 10, bFrames: 0), count: 100)
        var machine = CodedSplice(.pictures, period: Self.period)
        machine.begin()
        machine.commit(at: 0)
        for picture in stream[0..<5] { #expect(machine.old(picture.packet) != .hold) }
        for picture in stream[5..<10] { #expect(machine.new(picture.packet) == .drop) }
        #expect(!machine.isFound)
        #expect(machine.new(stream[10].packet) == .hold)
        #expect(machine.isFound)
        for picture in stream[5..<10] { #expect(machine.old(picture.packet) != .hold) }
        #expect(machine.old(stream[10].packet) == .hold)
        #expect(machine.isJoined)
        var other = CodedSplice(.pictures, period: Self.period)
        other.begin()
        #expect(other.new(stream[10].packet) == .hold)
        for picture in stream[0..<50] { #expect(other.old(picture.packet) != .hold) }
        other.cancel()
        other.commit(at: 0)
        for picture in stream[50...] { #expect(other.old(picture.packet) != .hold) }
    }

    @Test("Leading pictures of an open GOP are left out, those of the next one are not")
    func leading() {
        let stream = Self.pictures(Shape(gop: 12, bFrames: 2, isOpen: true), count: 120)
        let key = stream.firstIndex { $0.packet.isKey && $0.number >= 24 } ?? 0
        #expect(stream[key + 1].number < stream[key].number, "the stream has leading pictures")
        var machine = CodedSplice(.pictures, period: Self.period)
        let out = splice(&machine, stream[0..<60], stream[key...], at: 40 * Self.period)
        let numbers = out.filter { $0.stream == 1 }.map(\.number)
        #expect(numbers.first == stream[key].number)
        #expect(numbers.min() == stream[key].number)
        #expect(Set(numbers) == Set(stream[key].number..<120))
        expectWhole(out, [stream, stream], "")
    }

    @Test("A stream that begins after a hole keeps its times")
    func hole() {
        let stream = Self.pictures(Shape(gop: 10, bFrames: 0), count: 100)
        var machine = CodedSplice(.pictures, period: Self.period)
        let out = splice(&machine, stream[0..<20], stream[50...], at: 0)
        #expect(out.map(\.pts) == (Array(0..<20) + Array(50..<100)).map { Int64($0) * Self.period })
        #expect(machine.shift == 0)
    }

    @Test("Random walks over random streams: whole, decodable, a period apart, through many changeovers")
    func walks() {
        for seed in 1...300 as ClosedRange<UInt64> {
            var random = SplitMix(seed)
            func number(_ range: Range<Int>) -> Int { range.lowerBound + Int(random.next() % UInt64(range.count)) }
            let streams = (0..<2).map { _ in
                Self.pictures(
                    Shape(
                        gop: number(5..<40), bFrames: number(0..<4), isOpen: number(0..<2) == 1,
                        phase: Int64(number(0..<20)) * 1_000_000), count: 2000)
            }
            var machine = CodedSplice(.pictures, period: Self.period)
            var out: [Out] = []
            var (current, position) = (0, 0)
            for _ in 0..<12 {
                let other = 1 - current
                // The ring of the other stream is about as far as this one, and holds some GOPs.
                let head = min(position + number(40..<120), 1900)
                let key = streams[other][..<head].lastIndex { $0.packet.isKey } ?? 0
                machine.begin()
                #expect(machine.new(streams[other][key].packet) == .hold)
                let due = position + number(5..<60)
                var now = position
                while now < 1990 {
                    if now == due { machine.commit(at: streams[current][now].packet.pts) }
                    guard case .pass(let pts, let dts) = machine.old(streams[current][now].packet) else { break }
                    out.append(Out(stream: current, number: streams[current][now].number, pts: pts, dts: dts))
                    now += 1
                }
                guard machine.isJoined else { break }
                (current, position) = (other, key)
                while machine.isJoined || position < key + 8 {
                    let packet = streams[current][position].packet
                    let verdict = machine.isJoined ? machine.new(packet) : machine.old(packet)
                    if case .pass(let pts, let dts) = verdict {
                        out.append(Out(stream: current, number: streams[current][position].number, pts: pts, dts: dts))
                    }
                    position += 1
                }
            }
            while position < streams[current].count {
                let picture = streams[current][position]
                if case .pass(let pts, let dts) = machine.old(picture.packet) {
                    out.append(Out(stream: current, number: picture.number, pts: pts, dts: dts))
                }
                position += 1
            }
            expectSteady(out, "seed \(seed)")
        }
    }

    // MARK: Sound

    private static let packet: Int64 = 21_333_333
    private func sound(_ index: Int, _ phase: Int64 = 0) -> SplicePacket {
        let pts = phase + Int64(index) * Self.packet
        return SplicePacket(pts: pts, dts: pts, duration: Self.packet, isKey: true)
    }

    @Test("Sound follows its pictures to the nearest packet, and joins on")
    func following() {
        for seed in 1...300 as ClosedRange<UInt64> {
            var random = SplitMix(seed)
            let phase = Int64(random.next() % 21_333_333)
            let cut = Int64(random.next() % 3_000_000_000) + 1_000_000_000
            let shift = Int64(random.next() % 900_000_000)
            var machine = CodedSplice(.sound, period: Self.packet)
            var end: Int64 = 0
            var index = 0
            // Sound may be ahead of the pictures when they decide.
            let decided = Int(random.next() % 200)
            machine.begin()
            #expect(machine.isFound)
            while true {
                if index == decided { machine.follow(cut: cut, shift: shift) }
                guard case .pass(let pts, _) = machine.old(sound(index)) else { break }
                end = pts + Self.packet
                index += 1
            }
            #expect(abs(end - cut) <= Self.packet / 2 || index == decided, "seed \(seed)")
            var next = 0
            while machine.new(sound(next, phase)) == .drop { next += 1 }
            var again = machine
            guard case .pass(let pts, let dts) = again.old(sound(next, phase)) else { continue }
            #expect(pts == end && dts == end, "seed \(seed)")
            #expect(abs(again.shift - shift) <= Self.packet / 2 + 1, "seed \(seed)")
        }
    }

    @Test("Data keeps its times but for what its pictures are moved by")
    func data() {
        var machine = CodedSplice(.data)
        let at = { (seconds: Int64) in
            SplicePacket(pts: seconds * 1_000_000_000, dts: .min, duration: 0, isKey: true)
        }
        machine.begin()
        #expect(machine.old(at(1)) == .pass(pts: 1_000_000_000, dts: .min))
        machine.follow(cut: 5_000_000_000, shift: 2_000_000_000)
        #expect(machine.old(at(4)) == .pass(pts: 4_000_000_000, dts: .min))
        #expect(machine.old(at(6)) == .hold)
        #expect(machine.new(at(2)) == .drop)
        #expect(machine.new(at(3)) == .pass(pts: 5_000_000_000, dts: .min))
        #expect(machine.old(at(8)) == .pass(pts: 10_000_000_000, dts: .min))
    }
}
