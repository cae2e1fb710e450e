// The slots of the frame cache: what lies in the engine's ring folder under a name without a dot. The folder is the
// registry; this object only remembers mappings of what it found there, and who paid for the memory.
//
// Control threads. `work` serialises everything that makes, removes or looks for rings; `found` is what the last look
// gave, and is all that a description waits for.
import CLinux
import CRingLayout
package import Engine
import Files
package import Graph
package import Media
package import Rings
package import Synchronization

/// Why a slot was not made, or not removed.
package enum SlotRefusal: Error, Sendable {
    case invalid(DocumentFaults)
    /// There is none of that id.
    case missing(String)
    /// Somebody writes it.
    case written(slot: String, String)
    /// It is the outlet of a running node.
    case owned(slot: String, outlet: String)
    case noSpace(String)
    case failed(String)
}

/// How a slot came to be here.
package enum SlotOrigin: String, Sendable, CaseIterable {
    /// Made by `POST /slots`.
    case requested
    /// Made by its writer while no engine answered, and taken up later.
    case takenUp
    /// There when this engine started.
    case found
    /// A node's outlet with a public name.
    case outlet
}

/// One slot as the registry knows it.
package struct Slot: Sendable {
    package let id: String
    /// Of the ring in shared memory.
    package let path: String
    package let mapping: RingMapping
    package let origin: SlotOrigin
    /// `NODE.OUTLET` of the node that writes it, nil where another process does.
    package let outlet: String?
    let inode: UInt64
    let reservation: RingReservation?
    /// Since when it has had no writer, monotonic nanoseconds.
    var idleSince: Int64?
}

/// Makes, finds, describes and removes slots.
package final class SlotRegistry: Sendable {
    /// A slot whose writer died or left stays so long for a successor; then whoever reads it is told that it is removed.
    package static let linger = MediaTime.seconds(30)

    package let names: SlotNames
    private let group: UInt32?
    private let budget: RingBudget
    private let clock: any EngineClock
    private let log: EngineLog
    private let events: EventBus
    private let work = Mutex<[String: SlotOrigin]>([:])
    private let found = Mutex<[String: Slot]>([:])
    /// Slots that were taken away from writers which live: they have the memory until they notice, and it stays paid for.
    private let departed = Mutex<[Slot]>([])
    /// The folder's path as C wants it, made once: the sweep allocates nothing.
    private let folder: [CChar]
    private let folderTime = Atomic<Int64>(.min)
    /// Slots that were taken up because their writers found no engine.
    package let takenUp = Atomic<UInt64>(0)
    /// Slots that were removed because their writer had gone.
    package let reclaimed = Atomic<UInt64>(0)

    package init(_ services: EngineServices) {
        names = services.slotNames
        group = services.ringGroup
        budget = services.ringBudget
        clock = services.timeline.clock
        log = services.log
        events = services.events
        folder = services.ringFolder.utf8.map { CChar(bitPattern: $0) } + [0]
        work.withLock { refresh(&$0) }
    }

    // MARK: Looking

    /// All slots by their ids. Looks into the folder unless somebody is at work there.
    package var slots: [Slot] {
        _ = work.withLockIfAvailable { refresh(&$0) }
        return found.withLock { Array($0.values) }.sorted { $0.id < $1.id }
    }

    package subscript(id: String) -> Slot? {
        _ = work.withLockIfAvailable { refresh(&$0) }
        return found.withLock { $0[id] }
    }

    /// Makes `found` what the folder holds. Called with `work` held.
    private func refresh(_ origins: inout [String: SlotOrigin]) {
        var files: [(name: String, inode: UInt64)] = []
        var outlets: [UInt64: String] = [:]
        for name in namesInFolder(names.folder) where !name.hasPrefix(".") && name != "engine.lock" {
            var status = stat()
            guard lstat(names.path(of: name), &status) == 0, linux_is_regular(&status) == 1 else { continue }
            if Identifier.isValid(name) {
                files.append((name, UInt64(status.st_ino)))
            } else {
                outlets[UInt64(status.st_ino)] = name.substituting("~", by: "/")
            }
        }
        let before = found.withLock { $0 }
        var now: [String: Slot] = [:]
        for (name, inode) in files {
            let outlet = outlets[inode]
            if let known = before[name], known.inode == inode, known.outlet == outlet {
                now[name] = known
            } else if let slot = open(name, inode, outlet, origins[name]) {
                now[name] = slot
            }
        }
        origins = origins.filter { now[$0.key] != nil }
        found.withLock { $0 = now }
        events.announce(from: before, to: now)
    }

    private func open(_ name: String, _ inode: UInt64, _ outlet: String?, _ origin: SlotOrigin?) -> Slot? {
        do throws(RingError) {
            let mapping = try RingMapping.open(path: names.path(of: name), populates: false)
            // An outlet pays for its ring itself.
            return Slot(
                id: name, path: names.path(of: name), mapping: mapping,
                origin: outlet == nil ? origin ?? .found : .outlet, outlet: outlet,
                inode: inode, reservation: outlet == nil ? budget.charge(mapping.identity.file_size) : nil)
        } catch { return nil }
    }

    // MARK: Making

    /// Makes the slot, or gives the one that is there: equal in format and without a writer, it waits for one.
    /// - Returns: the slot, and whether it was made. Blocks for as long as its memory takes to be reserved.
    package func make(_ request: SlotRequest) throws(SlotRefusal) -> (slot: Slot, isNew: Bool) {
        try work.withLock { (origins) throws(SlotRefusal) in
            refresh(&origins)
            let before = found.withLock { $0[request.id] }
            if let before {
                if let outlet = before.outlet { throw SlotRefusal.owned(slot: request.id, outlet: outlet) }
                guard !before.mapping.isWriterAlive else { throw SlotRefusal.written(slot: request.id, before.writer) }
                if before.mapping.isMade(of: request.ring), !before.mapping.isOver { return (before, false) }
            }
            try create(request, succeeding: before?.mapping)
            origins[request.id] = .requested
            refresh(&origins)
            guard let slot = found.withLock({ $0[request.id] }) else {
                throw .failed("the slot \"\(request.id)\" was made, and another process took its file away: ask again")
            }
            return (slot, true)
        }
    }

    private func create(_ request: SlotRequest, succeeding old: RingMapping?) throws(SlotRefusal) {
        var spec = request.ring
        if let old { (spec.generation, spec.firstSequence) = (old.identity.generation &+ 1, old.head) }
        guard let size = spec.fileSize else {
            throw .noSpace(
                "\(request.format) with \(spec.depth) grains is past what a ring can hold: make it less deep")
        }
        // The making takes part of the budget for a moment; the slot that is found afterwards is charged for good.
        guard budget.reserve(size) != nil else {
            throw .noSpace(
                "the slot \"\(request.id)\" needs \(size) bytes; rings take \(budget.reserved) of the "
                    + "\(budget.limit ?? 0) bytes that --ring-memory allows: make it less deep, remove another, or "
                    + "start with more")
        }
        let path = names.path(of: request.id)
        let (extradata, group) = (request.format.coded?.extradata ?? [], group)
        do throws(RingError) {
            try names.exclusively { () throws(RingError) in
                let made: Result<RingMapping, RingError> = extradata.withUnsafeBytes { bytes in
                    do throws(RingError) {
                        return .success(try RingMapping.create(path: path, spec: spec, extradata: bytes, group: group))
                    } catch { return .failure(error) }
                }
                try made.get().letGoOfWriter()
                old?.supersede()
            }
        } catch {
            guard case .noSpace(let bytes) = error else { throw .failed("\(path) can't be made: \(error)") }
            throw .noSpace(
                "the slot \"\(request.id)\" needs \(bytes) bytes of shared memory, and there are less left: make it less "
                    + "deep, remove another, or enlarge /dev/shm")
        }
    }

    // MARK: Removing

    /// Removes a slot: its readers and its writer are told, its name goes, its memory with the last who has it mapped.
    package func remove(_ id: String) throws(SlotRefusal) {
        try work.withLock { (origins) throws(SlotRefusal) in
            refresh(&origins)
            guard let slot = found.withLock({ $0[id] }) else { throw SlotRefusal.missing(id) }
            if let outlet = slot.outlet { throw SlotRefusal.owned(slot: id, outlet: outlet) }
            takeAway(slot)
            refresh(&origins)
        }
    }

    private func takeAway(_ slot: Slot) {
        slot.mapping.tombstone()
        slot.mapping.takeAway(name: names.path(of: slot.id))
        if slot.mapping.isWriterAlive { departed.withLock { $0.append(slot) } }
    }

    // MARK: Keeping house

    /// Frees the places of dead readers, and removes slots that nobody writes any more. Once a second; costs one system
    /// call while there are none.
    package func sweep() {
        departed.withLock { slots in
            if !slots.isEmpty { slots.removeAll { !$0.mapping.isWriterAlive } }
        }
        _ = work.withLockIfAvailable { origins in
            guard hasChanged() || found.withLock({ !$0.isEmpty }) else { return }
            refresh(&origins)
            for var slot in found.withLock({ Array($0.values) }) where slot.outlet == nil {
                _ = slot.mapping.sweepDeadReaders()
                slot.idleSince = slot.isIdle ? slot.idleSince ?? clock.monotonic : nil
                if let since = slot.idleSince, clock.monotonic - since >= Self.linger.nanoseconds {
                    reclaim(slot)
                } else {
                    found.withLock { [slot] in $0[slot.id] = slot }
                }
            }
            refresh(&origins)
        }
    }

    /// Whether names came into the folder or left it since this was asked last.
    private func hasChanged() -> Bool {
        var status = stat()
        guard stat(folder, &status) == 0 else { return false }
        let time = Int64(status.st_mtim.tv_sec) &* 1_000_000_000 &+ Int64(status.st_mtim.tv_nsec)
        return folderTime.exchange(time, ordering: .relaxed) != time
    }

    private func reclaim(_ slot: Slot) {
        log.record(
            .warning,
            "the slot \"\(slot.id)\" had no writer for \(Self.linger.nanoseconds / 1_000_000_000) s: its "
                + "\(slot.mapping.identity.file_size >> 20) MiB are given back")
        reclaimed.wrappingAdd(1, ordering: .relaxed)
        takeAway(slot)
    }

    /// Takes up rings that writers made in `folder` while no engine answered: they keep their names, and those who have
    /// them mapped notice nothing. A name that is taken here already stays where it is.
    package func takeUp(from folder: String) {
        work.withLock { origins in
            for name in namesInFolder(folder) where Identifier.isValid(name) {
                let isTaken = names.exclusively { () -> Bool in
                    let target = names.path(of: name)
                    guard access(target, F_OK) != 0 else { return false }
                    return rename(folder + "/" + name, target) == 0
                }
                guard isTaken else { continue }
                origins[name] = .takenUp
                takenUp.wrappingAdd(1, ordering: .relaxed)
            }
            refresh(&origins)
        }
    }

    /// Removes what an engine before this one left: rings of its outlets that nobody writes now. After the graph has
    /// started, so that nodes have taken over what is theirs.
    package func removeStaleOutlets() {
        work.withLock { origins in
            for name in namesInFolder(names.folder)
            where !name.hasPrefix(".") && name != "engine.lock" && !Identifier.isValid(name) {
                let path = names.path(of: name)
                do throws(RingError) {
                    let mapping = try RingMapping.open(path: path, populates: false)
                    guard !mapping.isWriterAlive else { continue }
                    mapping.tombstone()
                    mapping.takeAway(name: path)
                } catch {
                    // Not a ring, or one of another layout: nobody of this version can use it.
                    unlink(path)
                }
            }
            refresh(&origins)
        }
    }
}

extension RingMapping {
    /// Whether nothing will follow.
    var isOver: Bool { [UInt32(PBR_STATE_ENDED), UInt32(PBR_STATE_REMOVED)].contains(state) }
}

extension Slot {
    /// Nobody writes it any more. One that was made and has not yet been written waits for its writer.
    fileprivate var isIdle: Bool { !mapping.isWriterAlive && mapping.state != UInt32(PBR_STATE_WAITING) }

    /// Who writes, for messages.
    fileprivate var writer: String { outlet.map { "the node's outlet \($0)" } ?? "another process" }
}
