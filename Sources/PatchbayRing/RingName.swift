// Names of rings, and where they lie. A name is checked before any path is made of it.
import CLinux
import CPatchbayRing

/// The name of a ring that may be part of a path: a slot's id, or NODE.OUTLET of a running graph.
struct RingName {
    let text: String

    /// A slot's id: `[a-z0-9][a-z0-9_-]{0,62}`.
    init(slot id: UnsafePointer<CChar>?) throws(Failure) {
        guard let id else { throw .argument("the id of the slot is null: name it, as in \"cam1\"") }
        let bytes = Self.bytes(id, atMost: 63)
        guard let bytes, Self.isSlot(bytes) else {
            throw .argument(
                "no slot can have this id: expected a letter or digit, then at most 62 more of a-z 0-9 _ -")
        }
        text = String(decoding: bytes, as: UTF8.self)
    }

    /// A slot's id, or NODE.OUTLET; `~` stands for the slash in ids of sub-graphs.
    init(ring name: UnsafePointer<CChar>?) throws(Failure) {
        guard let name else { throw .argument("the name of the ring is null: give a slot's id or NODE.OUTLET") }
        let bytes = Self.bytes(name, atMost: 200)
        guard let bytes, Self.isRing(bytes) else {
            throw .argument(
                "no ring can have this name: expected a slot's id, or NODE.OUTLET of a running graph with ~ for each "
                    + "slash in NODE")
        }
        text = String(decoding: bytes, as: UTF8.self)
    }

    /// The bytes of a C string, or nil where it is longer than `limit`.
    private static func bytes(_ text: UnsafePointer<CChar>, atMost limit: Int) -> [UInt8]? {
        let count = strnlen(text, limit + 1)
        guard count <= limit else { return nil }
        return (0..<count).map { UInt8(bitPattern: text[$0]) }
    }

    private static func isSlot(_ bytes: [UInt8]) -> Bool {
        guard let first = bytes.first, isLowerOrDigit(first) else { return false }
        return bytes.allSatisfy { isLowerOrDigit($0) || $0 == 0x5F || $0 == 0x2D }
    }

    private static func isRing(_ bytes: [UInt8]) -> Bool {
        guard let first = bytes.first, isLetterOrDigit(first) else { return false }
        var previous = first
        for byte in bytes {
            // A dot stands between node and outlet; two in a row lead out of the folder.
            guard isLetterOrDigit(byte) || byte == 0x5F || byte == 0x2D || byte == 0x7E || byte == 0x2E,
                byte != 0x2E || previous != 0x2E
            else { return false }
            previous = byte
        }
        return previous != 0x2E
    }

    private static func isLowerOrDigit(_ byte: UInt8) -> Bool {
        (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte)
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        isLowerOrDigit(byte) || (0x41...0x5A).contains(byte)
    }
}

/// The folder that leads to the rings of the engine at a port, or that holds rings made while there is none.
struct PortFolder {
    static let parent = "/dev/shm/patchbay"
    let path: String

    init(port: UInt16) { path = "\(Self.parent)/port-\(port)" }

    func path(of name: RingName) -> String { "\(path)/\(name.text)" }

    /// Makes the folder where there is none, for the user and group as the engine does.
    func make() throws(Failure) {
        var status = stat()
        if stat(path, &status) == 0, linux_is_directory(&status) != 0 { return }
        mkdir(Self.parent, 0o777)
        // Engines and programs of several users have their folders here. Only its owner can change the mode.
        chmod(Self.parent, 0o1777)
        // A link that leads nowhere was left by an engine that was killed, and whose folder is gone.
        if stat(path, &status) != 0 { unlink(path) }
        guard mkdir(path, 0o770) == 0 || linux_errno() == EEXIST else {
            throw Failure(PBR_ERROR_SYSTEM, "\(path) can't be made: \(errorText(linux_errno()))")
        }
        chmod(path, 0o2770)
    }

    /// Holds the folder's lock while `body` runs, so that two writers of one id don't make two rings. Half-made rings
    /// take milliseconds; who holds the lock for two seconds is stopped, and is not waited for.
    func locked<Value: ~Copyable>(_ body: () throws(Failure) -> Value) throws(Failure) -> Value {
        let descriptor = linux_open(path, O_RDONLY | O_DIRECTORY, 0)
        guard descriptor >= 0 else { throw Failure(PBR_ERROR_SYSTEM, "\(path): \(errorText(-descriptor))") }
        defer { close(descriptor) }
        let deadline = linux_monotonic_nanoseconds() + 2_000_000_000
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            guard linux_monotonic_nanoseconds() < deadline else {
                throw Failure(PBR_ERROR_SYSTEM, "\(path) is locked by a program that makes a ring and doesn't go on")
            }
            usleep(1000)
        }
        return try body()
    }
}
