// Lives that end at a named step: forks one child after another, each opens the ring, plays a role, and is killed by
// itself (SIGKILL, as a crash would) when it comes to the step that was drawn for it. Debug builds only: release builds
// of the rings have no steps.
import CLinux
import CRingLayout
import Rings

#if DEBUG
    /// Where this life ends, and how often it comes by before.
    ///
    /// `nonisolated(unsafe)`: set by a child's only thread, before anything else of the child runs.
    nonisolated(unsafe) private var fatalStep: UInt8 = .max
    nonisolated(unsafe) private var chances = 0

    enum Role: String { case frameWriter, packetWriter, frameReader, packetReader, sweeper }

    struct Killer {
        private let path: String
        private var lots: Lots
        private var killed = [Int](repeating: 0, count: RingStep.allCases.count)
        private var survived = 0

        init(_ path: String, seed: UInt64) {
            self.path = path
            lots = Lots(seed: seed)
        }

        /// Says "killed STEP COUNT" for each step, "survived COUNT" and "over". The exit status is that of the first
        /// child that found something wrong: 2 torn, 3 corrupt or no buffer free, 4 refused.
        mutating func run(_ roles: [Role], lives: Int) -> Int32 {
            for _ in 0..<lives {
                let role = roles[Int(lots.next() % UInt64(roles.count))]
                let steps = Self.steps(of: role)
                let step = steps[Int(lots.next() % UInt64(steps.count))]
                let status = live(role, until: step)
                if status == 128 + SIGKILL {
                    killed[Int(step.rawValue)] += 1
                } else if status == 0 {
                    survived += 1
                } else {
                    say("wrong \(role) \(step) \(status)")
                    return status
                }
            }
            for step in RingStep.allCases where killed[Int(step.rawValue)] > 0 {
                say("killed \(step) \(killed[Int(step.rawValue)])")
            }
            say("survived \(survived)")
            say("over")
            return 0
        }

        private mutating func live(_ role: Role, until step: RingStep) -> Int32 {
            // Some steps come once in a life.
            let (chance, seed) = (lots.next() % 2 == 0 ? 0 : Int(lots.next() % 12), lots.next())
            let child = linux_fork()
            if child == 0 {
                (fatalStep, chances) = (step.rawValue, chance)
                ringTripwire = { reached in
                    guard reached == fatalStep else { return }
                    chances -= 1
                    if chances < 0 { raise(SIGKILL) }
                }
                _exit(play(role, seed: seed))
            }
            var status: Int32 = 0
            while child > 0, waitpid(child, &status, 0) < 0, linux_errno() == EINTR {}
            return child > 0 ? linux_exit_status(status) : 4
        }

        private func play(_ role: Role, seed: UInt64) -> Int32 {
            var lots = Lots(seed: seed)
            do throws(RingError) {
                switch role {
                case .frameWriter: return try writeSomeFrames(&lots)
                case .packetWriter: return try writeSomePackets(&lots)
                case .frameReader: return try readSomeFrames(&lots)
                case .packetReader: return try readSomePackets(&lots)
                case .sweeper:
                    _ = try RingMapping.open(path: path).sweepDeadReaders()
                    return 0
                }
            } catch { return 4 }
        }

        static func steps(of role: Role) -> [RingStep] {
            let joining: [RingStep] = [
                .idLocked, .entryStored, .ownerStored, .cursorStored, .sleeperSet, .entryFreed,
            ]
            let publishing: [RingStep] = [.headStored, .stateStored, .wakeCounted, .placeTaken, .adopted]
            switch role {
            case .frameWriter:
                return publishing + [
                    .claimed, .metadataStored, .slotEmptied, .windowCleared, .windowSet, .slotStored, .bufferLetGo,
                    .heldCleared, .slotRebuilt, .headRepaired,
                ]
            case .packetWriter:
                return publishing + [.oldestStored, .payloadHalfStored, .slotHalfStored, .oldestRepaired]
            case .frameReader: return joining + [.bitSet, .leaseCounted, .leaseEnded, .entryCleared]
            case .packetReader: return joining
            case .sweeper: return [.sweepLocked, .entryFreed]
            }
        }
    }

    // MARK: Roles

    extension Killer {
        private func writeSomeFrames(_ lots: inout Lots) throws(RingError) -> Int32 {
            var writer = try FrameRingWriter(adopting: try RingMapping.open(path: path))
            for _ in 0..<(1 + lots.next() % 12) {
                guard let claim = writer.claim() else { return 3 }
                fill(claim.bytes, writer.nextSequence)
                guard case .done = writer.publish(claim, grain(writer.nextSequence)) else { return 3 }
            }
            return 0
        }

        private func writeSomePackets(_ lots: inout Lots) throws(RingError) -> Int32 {
            var writer = try PacketRingWriter(adopting: try RingMapping.open(path: path))
            let payload = UnsafeMutableRawBufferPointer.allocate(byteCount: 1024, alignment: 8)
            for _ in 0..<(1 + lots.next() % 12) {
                let bytes = UnsafeMutableRawBufferPointer(rebasing: payload[..<Int(lots.next() % 128 * 8)])
                fill(bytes, writer.nextSequence)
                let appended = writer.append(grain(writer.nextSequence), UnsafeRawBufferPointer(bytes))
                guard case .done = appended else { return 3 }
            }
            return 0
        }

        private func readSomeFrames(_ lots: inout Lots) throws(RingError) -> Int32 {
            var reader = try FrameRingReader(attaching: path, start: .oldest, name: "killed")
            var kept: FrameLease?
            for _ in 0..<(1 + lots.next() % 12) {
                switch reader.next() {
                case .frame(let lease):
                    guard isWhole(lease.bytes, lease.grain.sequence) else { return 2 }
                    if kept == nil { kept = consume lease }
                case .none: reader.wait(until: linux_monotonic_nanoseconds() + 100_000)
                case .corrupt: return 3
                case .lapped: break
                case .leasesSpent: break
                }
            }
            guard let first = kept.take() else { return 0 }
            return isWhole(first.bytes, first.grain.sequence) ? 0 : 2
        }

        private func readSomePackets(_ lots: inout Lots) throws(RingError) -> Int32 {
            var reader = try PacketRingReader(attaching: path, start: .oldest, name: "killed")
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1024, alignment: 8)
            for _ in 0..<(1 + lots.next() % 12) {
                switch reader.peek() {
                case .packet(let grain):
                    guard reader.take(grain, into: buffer) else { continue }
                    let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<Int(grain.size)])
                    guard isWhole(bytes, grain.sequence) else { return 2 }
                case .none: reader.wait(until: linux_monotonic_nanoseconds() + 100_000)
                case .corrupt: return 3
                case .lapped: break
                }
            }
            return 0
        }
    }
#endif
