// The other process of the cross-process tests: joins a ring by its path and does one thing with it, told by its
// arguments. Prints one line for each fact that the test waits for. One thread.
import CLinux
import CRingLayout
import Rings

/// What the content of grain `sequence` is made of; the same as in the tests.
func pattern(_ sequence: UInt64) -> UInt64 { (sequence &+ 1) &* 0x9E37_79B9_7F4A_7C15 }

func isWhole(_ bytes: UnsafeRawBufferPointer, _ sequence: UInt64) -> Bool {
    let expected = pattern(sequence)
    return bytes.bindMemory(to: UInt64.self).allSatisfy { $0 == expected }
}

/// Standard output is a pipe: the test reads each line as it comes.
func say(_ line: String) {
    print(line)
    fflush(nil)
}

func soon() -> Int64 { linux_monotonic_nanoseconds() + 100_000_000 }

/// Reads frames until the end; every lease is looked at twice. Returns the exit status: 0 whole, 2 torn, 3 corrupt, 4 the
/// writer is gone.
func validateFrames(_ path: String) throws(RingError) -> Int32 {
    var reader = try FrameRingReader(attaching: path, start: .oldest, name: "validate")
    var (frames, lost): (UInt64, UInt64) = (0, 0)
    say("joined")
    while true {
        switch reader.next() {
        case .frame(let lease):
            frames += 1
            guard isWhole(lease.bytes, lease.grain.sequence), isWhole(lease.bytes, lease.grain.sequence) else {
                if !lease.isIntact { return 3 }
                say("torn \(lease.grain.sequence)")
                return 2
            }
        case .lapped(let count): lost += count
        case .none(let state):
            if state == UInt32(PBR_STATE_ENDED) {
                say("frames \(frames) lost \(lost)")
                return 0
            }
            if case .writerGone = reader.wait(until: soon()) { return 4 }
        case .leasesSpent: return 3
        case .corrupt: return 3
        }
    }
}

/// Reads packets until the end. Returns the exit status: 0 whole, 2 torn, 3 corrupt, 4 the
/// writer is gone.
func validatePackets(_ path: String) throws(RingError) -> Int32 {
    var reader = try PacketRingReader(attaching: path, start: .oldest, name: "validate")
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 8)
    defer { buffer.deallocate() }
    var (packets, lost): (UInt64, UInt64) = (0, 0)
    say("joined")
    while true {
        switch reader.peek() {
        case .packet(let grain):
            guard grain.size <= buffer.count else { return 3 }
            guard reader.take(grain, into: buffer) else { continue }
            packets += 1
            guard isWhole(UnsafeRawBufferPointer(rebasing: buffer[..<Int(grain.size)]), grain.sequence) else {
                say("torn \(grain.sequence)")
                return 2
            }
        case .lapped(let count): lost += count
        case .none(let state):
            if state == UInt32(PBR_STATE_ENDED) {
                say("packets \(packets) lost \(lost)")
                return 0
            }
            if case .writerGone = reader.wait(until: soon()) { return 4 }
        case .corrupt: return 3
        }
    }
}

/// Leases the newest grain, says so, and stays: the test stops or kills this process. Checks its lease when standard
/// input ends.
func hold(_ path: String) throws(RingError) -> Int32 {
    var reader = try FrameRingReader(attaching: path, start: .newest, name: "hold")
    guard case .frame(let lease) = reader.next() else { return 3 }
    say("holding \(lease.grain.sequence) as \(reader.seat.id)")
    waitForEndOfInput()
    return isWhole(lease.bytes, lease.grain.sequence) ? 0 : 2
}

/// Joins, leases, waits and leaves over and over, so that a kill meets it at any step.
func churn(_ path: String) throws(RingError) -> Int32 {
    say("churning")
    while true {
        var reader = try FrameRingReader(attaching: path, leases: 2, start: .oldest, name: "churn")
        for _ in 0..<16 {
            guard case .frame(let first) = reader.next() else {
                reader.wait(until: linux_monotonic_nanoseconds() + 200_000)
                continue
            }
            if case .frame(let second) = reader.next() {
                guard isWhole(second.bytes, second.grain.sequence) else { return 2 }
            }
            guard isWhole(first.bytes, first.grain.sequence) else { return 2 }
        }
    }
}

/// Sleeps until the next grain or a deadline, and says which and when (monotonic nanoseconds).
func waitOnce(_ path: String, milliseconds: Int64) throws(RingError) -> Int32 {
    var reader = try FrameRingReader(attaching: path, start: .next, name: "wait")
    say("waiting")
    let deadline = linux_monotonic_nanoseconds() + milliseconds * 1_000_000
    while linux_monotonic_nanoseconds() < deadline {
        if case .frame = reader.next() {
            say("woken \(linux_monotonic_nanoseconds())")
            return 0
        }
        reader.wait(until: deadline)
    }
    say("deadline \(linux_monotonic_nanoseconds() - deadline)")
    return 0
}

/// Adopts a frame ring, publishes `count` grains, and stays with a claim in its hand: the test stops or kills this process.
func writeFrames(_ path: String, count: UInt64) throws(RingError) -> Int32 {
    var writer = try FrameRingWriter(adopting: try RingMapping.open(path: path))
    let first = writer.nextSequence
    while writer.nextSequence != first &+ count {
        guard let claim = writer.claim() else { return 3 }
        fill(claim.bytes, writer.nextSequence)
        writer.publish(claim, grain(writer.nextSequence))
    }
    guard let claim = writer.claim() else { return 3 }
    say("wrote \(writer.nextSequence) holding \(claim.buffer)")
    waitForEndOfInput()
    return 0
}

/// The same for packets.
func writePackets(_ path: String, count: UInt64) throws(RingError) -> Int32 {
    var writer = try PacketRingWriter(adopting: try RingMapping.open(path: path))
    let payload = UnsafeMutableRawBufferPointer.allocate(byteCount: 320, alignment: 8)
    defer { payload.deallocate() }
    let first = writer.nextSequence
    while writer.nextSequence != first &+ count {
        fill(payload, writer.nextSequence)
        guard case .done = writer.append(grain(writer.nextSequence), UnsafeRawBufferPointer(payload)) else { return 3 }
    }
    say("wrote \(writer.nextSequence)")
    waitForEndOfInput()
    return 0
}

/// Adopts a frame ring and publishes flat out until the ring is of no use. Sweeps dead readers now and then, as engines do:
/// the one buffer that was cut may be leased to a reader that has ended by it.
func floodFrames(_ path: String) throws(RingError) -> Int32 {
    var writer = try FrameRingWriter(adopting: try RingMapping.open(path: path))
    say("flooding")
    while true {
        guard let claim = writer.claim() else {
            if writer.mapping.isCorrupt { break }
            continue
        }
        fill(claim.bytes, writer.nextSequence)
        if case .corrupt = writer.publish(claim, grain(writer.nextSequence)) { break }
        if writer.nextSequence % 256 == 0 { _ = writer.mapping.sweepDeadReaders() }
    }
    say("corrupt")
    return 0
}

/// The same for packets.
func floodPackets(_ path: String) throws(RingError) -> Int32 {
    var writer = try PacketRingWriter(adopting: try RingMapping.open(path: path))
    say("flooding")
    let payload = UnsafeMutableRawBufferPointer.allocate(byteCount: 2000, alignment: 8)
    defer { payload.deallocate() }
    repeat {
        fill(payload, writer.nextSequence)
    } while writer.append(
        grain(writer.nextSequence), UnsafeRawBufferPointer(payload)) != .corrupt
    say("corrupt")
    return 0
}

/// Opens a ring, and meets a SIGBUS that has nothing to do with it. A handler of its own ends the process with 7.
func meetBusError(_ path: String, _ kind: String) throws(RingError) -> Int32 {
    if kind == "handler" || kind == "sentToHandler" {
        var action = sigaction()
        action.__sigaction_handler.sa_handler = { _ in _exit(7) }
        sigaction(SIGBUS, &action, nil)
    } else {
        // Not the backtracer's, which takes its time.
        linux_default_signal(SIGBUS)
    }
    let mapping = try RingMapping.open(path: path)
    if kind.hasPrefix("sent") {
        raise(SIGBUS)
        return 1
    }
    let file = linux_open(path + ".own", O_RDWR | O_CREAT, 0o600)
    ftruncate(file, 4096)
    let page = linux_map(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
    ftruncate(file, 0)
    page?.storeBytes(of: 1, as: UInt8.self)
    return mapping.isCorrupt ? 2 : 1
}

func fill(_ bytes: UnsafeMutableRawBufferPointer, _ sequence: UInt64) {
    for word in 0..<(bytes.count / 8) {
        bytes.storeBytes(of: pattern(sequence), toByteOffset: 8 * word, as: UInt64.self)
    }
}

func grain(_ sequence: UInt64) -> pbr_grain {
    var grain = pbr_grain()
    (grain.pts, grain.dts, grain.flags) = (Int64(bitPattern: sequence), Int64(bitPattern: sequence), PBR_GRAIN_KEY)
    return grain
}

func waitForEndOfInput() {
    var byte: UInt8 = 0
    while read(0, &byte, 1) > 0 {}
}

func run(_ arguments: [String]) throws(RingError) -> Int32 {
    guard arguments.count >= 3 else { return 64 }
    switch arguments[1] {
    case "frames": return try validateFrames(arguments[2])
    case "packets": return try validatePackets(arguments[2])
    case "hold": return try hold(arguments[2])
    case "churn": return try churn(arguments[2])
    case "writeFrames": return try writeFrames(arguments[2], count: UInt64(arguments.last ?? "") ?? 1)
    case "writePackets": return try writePackets(arguments[2], count: UInt64(arguments.last ?? "") ?? 1)
    case "floodFrames": return try floodFrames(arguments[2])
    case "floodPackets": return try floodPackets(arguments[2])
    case "bus": return try meetBusError(arguments[2], arguments.last ?? "")
    case "wait": return try waitOnce(arguments[2], milliseconds: Int64(arguments.last ?? "") ?? 1000)
    case "fuzz":
        guard arguments.count == 5, let mutations = Int(arguments[3]), let seed = UInt64(arguments[4]) else {
            return 64
        }
        var fuzz = Fuzz(arguments[2], seed: seed)
        return try fuzz.run(mutations: mutations)
    #if DEBUG
        case "kill":
            guard arguments.count == 6, let role = Role(rawValue: arguments[3]), let lives = Int(arguments[4]),
                let seed = UInt64(arguments[5])
            else { return 64 }
            var killer = Killer(arguments[2], seed: seed)
            let isReader = role == .frameReader || role == .packetReader
            return killer.run(isReader ? [role, role, role, role, .sweeper] : [role], lives: lives)
    #endif
    default: return 64
    }
}

do {
    exit(try run(CommandLine.arguments))
} catch {
    say("refused \(error)")
    exit(1)
}
