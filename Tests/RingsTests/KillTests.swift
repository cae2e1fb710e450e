// Thousands of writers and readers die at every named step of the protocol, in processes of their own, while a reader of
// this one reads on. Release builds have no steps to die at.
#if DEBUG
    import CLinux
    import CRingLayout
    import Foundation
    import Rings
    import Testing

    @Suite(.serialized) struct KillTests {
        let folder: RingFolder
        init() throws { folder = try RingFolder() }

        private static let lives = 3000

        /// What the survivor met, and what became of the others.
        private struct Outcome {
            var read: UInt64 = 0
            var lapped: UInt64 = 0
            var lost: UInt64 = 0
            var wrong: [String] = []
            var killed: [String: Int] = [:]
            var survived = 0
            var swept = 0

            var table: String {
                let steps = killed.sorted { $0.key < $1.key }.map { "    \($0.key): \($0.value)" }
                return """
                      grains read \(read), laps \(lapped) (grains lost \(lost)), wrong \(wrong.count)
                      lives ended orderly \(survived), swept by this process \(swept), killed \(killed.values.reduce(0, +)):
                    \(steps.joined(separator: "\n"))
                    """
            }
        }

        @Test func framesSurviveEveryDeath() throws {
            let mapping = try RingMapping.create(
                path: folder.ring(), spec: frameSpec(depth: 6, leases: 12),
                extradata: UnsafeRawBufferPointer(start: nil, count: 0))
            mapping.letGoOfWriter()
            var reader = try FrameRingReader(attaching: folder.ring(), start: .oldest)
            var outcome = Outcome()
            try untilOver(&outcome, mapping, seed: 0x5EED_0006, kind: "frame") { outcome in
                let expected = reader.position
                switch reader.next() {
                case .frame(let lease):
                    outcome.read += 1
                    let sequence = lease.grain.sequence
                    if sequence != expected || !isWhole(lease.bytes, sequence) { outcome.wrong.append("\(sequence)") }
                case .lapped(let lost): (outcome.lapped, outcome.lost) = (outcome.lapped + 1, outcome.lost + lost)
                case .none: reader.wait(until: linux_monotonic_nanoseconds() + 1_000_000)
                case .leasesSpent: outcome.wrong.append("leases spent")
                case .corrupt: outcome.wrong.append("corrupt")
                }
            }
            print("framesSurviveEveryDeath:\n\(outcome.table)")
            try expectClean(outcome, mapping, steps: [.frameWriter, .frameReader], survivor: reader.seat)
            #expect(outcome.read + outcome.lost == mapping.head, "every grain is read or counted")
            var writer = try FrameRingWriter(adopting: mapping)
            for _ in 0..<20 {
                let sequence = writer.nextSequence
                writer.publishPattern()
                #expect(reader.look() == "frame \(sequence)")
            }
            let identity = mapping.identity
            let words = (0..<Int(identity.buffer_count)).map {
                mapping.base.load(
                    fromByteOffset: Int(identity.words_offset) + $0 * Int(PBR_LINE), as: UInt64.self)
            }
            #expect(words.filter { $0 == PBR_BUFFER_WINDOW }.count == 6, "the window")
            #expect(words.filter { $0 != 0 }.count == 6, "nobody else holds anything: \(words)")
        }

        @Test func packetsSurviveEveryDeath() throws {
            let mapping = try RingMapping.create(
                path: folder.ring(), spec: packetSpec(capacity: 8192, depth: 12),
                extradata: UnsafeRawBufferPointer(start: nil, count: 0))
            mapping.letGoOfWriter()
            var reader = try PacketRingReader(attaching: folder.ring(), start: .oldest)
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1024, alignment: 8)
            defer { buffer.deallocate() }
            var outcome = Outcome()
            try untilOver(&outcome, mapping, seed: 0x5EED_0007, kind: "packet") { outcome in
                switch reader.peek() {
                case .packet(let grain):
                    guard reader.take(grain, into: buffer) else { return }
                    outcome.read += 1
                    let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<Int(grain.size)])
                    if !isWhole(bytes, grain.sequence) { outcome.wrong.append("\(grain.sequence)") }
                case .lapped(let lost): (outcome.lapped, outcome.lost) = (outcome.lapped + 1, outcome.lost + lost)
                case .none: reader.wait(until: linux_monotonic_nanoseconds() + 1_000_000)
                case .corrupt: outcome.wrong.append("corrupt")
                }
            }
            print("packetsSurviveEveryDeath:\n\(outcome.table)")
            try expectClean(outcome, mapping, steps: [.packetWriter, .packetReader], survivor: reader.seat)
            #expect(outcome.read + outcome.lost == mapping.head, "every grain is read or counted")
            var writer = try PacketRingWriter(adopting: mapping)
            for _ in 0..<20 {
                let sequence = writer.nextSequence
                writer.appendPattern()
                #expect(reader.look() == "packet \(sequence)")
            }
        }

        /// Lets writers and readers live and die until both lists are through; `look` is the survivor.
        private func untilOver(
            _ outcome: inout Outcome, _ mapping: RingMapping, seed: UInt64, kind: String,
            _ look: (inout Outcome) -> Void
        ) throws {
            print("seed \(seed), \(Self.lives) writers, \(Self.lives) readers and sweepers")
            let killers = try ["\(kind)Writer", "\(kind)Reader"].map {
                try Peer("kill", folder.ring(), $0, "\(Self.lives)", "\(seed)")
            }
            var over = 0
            let deadline = linux_monotonic_nanoseconds() + 120_000_000_000
            while over < killers.count, linux_monotonic_nanoseconds() < deadline {
                for _ in 0..<50 { look(&outcome) }
                outcome.swept += mapping.sweepDeadReaders()
                for killer in killers {
                    while let line = killer.line(within: 0) {
                        let words = line.split(separator: " ").map(String.init)
                        switch words[0] {
                        case "killed": outcome.killed[words[1], default: 0] += Int(words[2]) ?? 0
                        case "survived": outcome.survived += Int(words[1]) ?? 0
                        case "over": over += 1
                        default:
                            outcome.wrong.append(line)
                            over += 1
                        }
                    }
                }
            }
            #expect(over == killers.count)
            for _ in 0..<50 { look(&outcome) }
        }

        private enum Role { case frameWriter, packetWriter, frameReader, packetReader }

        private func expectClean(
            _ outcome: Outcome, _ mapping: RingMapping, steps roles: [Role], survivor: ReaderSeat
        ) throws {
            #expect(outcome.wrong.isEmpty, "\(outcome.wrong.prefix(5))")
            #expect(outcome.read > 1000)
            let expected: [RingStep] = roles.flatMap { role -> [RingStep] in
                switch role {
                case .frameWriter:
                    [
                        .claimed, .metadataStored, .slotEmptied, .windowCleared, .windowSet, .slotStored, .bufferLetGo,
                        .headStored, .stateStored, .wakeCounted, .placeTaken, .heldCleared, .slotRebuilt,
                        .headRepaired, .adopted,
                    ]
                case .packetWriter:
                    [
                        .oldestStored, .payloadHalfStored, .slotHalfStored, .headStored, .stateStored, .wakeCounted,
                        .placeTaken, .oldestRepaired, .adopted,
                    ]
                case .frameReader:
                    [
                        .idLocked, .entryStored, .ownerStored, .cursorStored, .bitSet, .leaseCounted, .leaseEnded,
                        .sleeperSet, .entryCleared, .entryFreed, .sweepLocked,
                    ]
                case .packetReader: [.idLocked, .entryStored, .ownerStored, .cursorStored, .sleeperSet, .entryFreed]
                }
            }
            for step in expected { #expect(outcome.killed["\(step)"] ?? 0 > 0, "nobody died at \(step)") }
            _ = mapping.sweepDeadReaders()
            #expect((0..<62).filter { mapping.reader($0) != nil } == [survivor.id])
            #expect(mapping.base.load(fromByteOffset: Int(PBR_AT_SLEEPERS), as: UInt64.self) == 0)
            #expect(mapping.dropped == 0, "there was always a buffer")
            #expect(try folder.names() == ["node.video"], "no file is left")
        }
    }
#endif
