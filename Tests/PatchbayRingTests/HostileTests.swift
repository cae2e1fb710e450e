// What no call can take, and files that are no rings: refused with a reason, never read beyond their end.
import CRingLayout
import EndToEnd
import Foundation
import Testing

@Suite struct HostileTests {
    @Test func everythingWrongIsRefused() throws {
        let library = try CLibrary.built.get()
        let place = try RingPlace()
        let peer = try library.peer("refused", at: place)
        #expect(peer.exit(within: 20) == 0, "\(peer.messages)")
        let lines = peer.messages.split(separator: "\n")
        let codes = lines.map { line -> (String, Int) in
            let parts = line.split(separator: ":", maxSplits: 1)
            return (String(parts[0]), parts.count == 2 ? Int(parts[1].split(separator: " ")[0]) ?? 1 : 1)
        }
        let expected: [String: Int] = [
            "good format": 0, "open": 0, "many": 0, "bad id": -1, "bad name": -1, "null id": -1, "null format": -1,
            "null name": -1, "absent": -3, "raw packets": -1, "long codec": -1, "null name of pixels": -1,
            "null to fill": -1, "absurd depth": -1, "absurd holds": -1, "absurd size": -1, "extradata": -1,
            "not lent": -1, "forged": -1, "null grain": -1, "absurd grain": -1, "twice": -1, "state": -1, "start": -1,
            "no writer": -1, "second writer": -4, "removed": -3,
        ]
        #expect(codes.count == 68)
        for (index, (what, code)) in codes.enumerated() {
            if what == "many", code == -11 { continue }
            #expect(code == expected[what] ?? -2, "\(lines[index])")
            // A refusal says what was found, in words.
            #expect(code == 0 || lines[index].count > what.count + 20, "\(lines[index])")
        }
        #expect(codes.filter { $0 == ("many", 0) }.count == 3, "two held and one being filled")
        #expect(place.rings == [])
    }

    @Test func foreignFilesAreRefused() throws {
        let library = try CLibrary.built.get()
        let place = try RingPlace()
        let writer = try library.peer("write", "good", "20", "0", "160x90", at: place)
        #expect(writer.exit(within: 20) == 0, "\(writer.messages)")
        let good = try Data(contentsOf: URL(fileURLWithPath: place.ring("good")))
        func change(_ name: String, _ change: (inout Data) -> Void) throws {
            var data = good
            change(&data)
            try data.write(to: URL(fileURLWithPath: place.ring(name)))
        }
        try change("short") { $0 = $0.prefix(100) }
        try change("cut") { $0 = $0.dropLast(4096) }
        try change("empty") { $0 = Data() }
        try change("magic") { $0[0] ^= 1 }
        try change("major") { $0[8] = 2 }
        try change("minor") { $0[10] = 200 }
        try change("endless") { for i in 56..<96 { $0[i] = 0xFF } }
        try FileManager.default.createSymbolicLink(atPath: place.ring("link"), withDestinationPath: "/etc/passwd")
        try FileManager.default.createDirectory(atPath: place.ring("folder"), withIntermediateDirectories: false)
        let peer = try library.peer(
            "attach", "good", "short", "cut", "empty", "magic", "major", "minor", "endless", "link", "folder", at: place
        )
        #expect(peer.exit(within: 20) == 0, "\(peer.messages)")
        let lines = peer.messages.split(separator: "\n")
        for (line, expected) in zip(
            lines,
            [
                "good: 0", "short: -6", "cut: -6", "empty: -6", "magic: -6", "major: -7", "minor: 0", "endless: -6",
                "link: -10", "folder: -10",
            ])
        { #expect(line.hasPrefix(expected), "\(line)") }
        #expect(lines.count == 10)
        // A writer doesn't write into what isn't a ring: it makes one.
        let over = try library.peer("write", "cut", "3", "0", at: place)
        #expect(over.exit(within: 20) == 0, "\(over.messages)")
        // A newer major version's is left alone.
        let newer = try library.peer("write", "major", "3", "0", at: place)
        #expect(newer.exit(within: 20) == 1)
        #expect(newer.messages.contains("-7"), "\(newer.messages)")
    }

    @Test func truncatedUnderBothEnds() throws {
        let library = try CLibrary.built.get()
        let place = try RingPlace()
        let writer = try library.peer("write", "cam1", "1000000", "5000", at: place)
        let reader = try library.peer("read", "cam1", "1000000", at: place)
        let patient = try library.peer("read", "cam1", "1000000", "2", "again", at: place)
        #expect(holds(within: 20) { reader.messages.contains("reading from") })
        #expect(holds(within: 20) { patient.messages.contains("reading from") })
        #expect(truncate(place.ring("cam1"), 4096) == 0)
        #expect(writer.exit(within: 20) == 1, "\(writer.messages)")
        #expect(writer.messages.contains(": -6 \"cam1\" was truncated"), "\(writer.messages)")
        #expect(reader.exit(within: 20) == 1, "\(reader.messages)")
        #expect(reader.messages.contains("read: -6 \"cam1\" was truncated"), "\(reader.messages)")
        // The next writer makes a ring in its place.
        let second = try library.peer("write", "cam1", "3", "0", at: place)
        #expect(second.exit(within: 20) == 0, "\(second.messages)")
        // Its grains count from 0, wherever a reader of the lost ring stood: none of them is passed over.
        #expect(patient.exit(within: 30) == 0, "\(patient.messages)")
        #expect(patient.messages.contains("went on at 0"), "\(patient.messages)")
    }

    @Test func mutatedHeadersHarmNobody() throws {
        let library = try CLibrary.built.get()
        let place = try RingPlace()
        let writer = try library.peer("write", "good", "20", "0", "64x36", at: place)
        #expect(writer.exit(within: 20) == 0, "\(writer.messages)")
        let good = try Data(contentsOf: URL(fileURLWithPath: place.ring("good")))
        let payload = good.withUnsafeBytes { $0.load(fromByteOffset: 80, as: UInt64.self) }
        var seed: UInt64 = 20_261_121
        func random(below bound: Int) -> Int {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((seed >> 33) % UInt64(bound))
        }
        var names: [String] = []
        for number in 0..<120 {
            var data = good
            // Where it matters: the identity, the words, the format, the readers, slots, buffer words and metadata.
            let areas = [0..<120, 120..<1024, 1024..<2048, 8192..<16384, 16384..<Int(payload)]
            for _ in 0..<(1 + random(below: 4)) {
                let area = areas[random(below: areas.count)]
                data[area.lowerBound + random(below: area.count)] = UInt8(random(below: 256))
            }
            names.append("mutant\(number)")
            try data.write(to: URL(fileURLWithPath: place.ring("mutant\(number)")))
        }
        let peer = try library.start(library.program("peer"), ["attach"] + names, at: place)
        #expect(peer.exit(within: 60) == 0, "\(peer.messages.split(separator: "\n").last ?? "")")
        #expect(peer.messages.split(separator: "\n").count == names.count)
    }
}
