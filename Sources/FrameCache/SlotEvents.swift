// Slots that came and went, told to whoever listens to the engine's events.
import Engine
import Graph

extension EventBus {
    /// Tells how `before` became `now`: slots by their ids. A slot whose ring is another one went and came.
    func announce(from before: [String: Slot], to now: [String: Slot]) {
        for (id, slot) in before where now[id]?.inode != slot.inode { post(slot.event(.slotRemoved)) }
        for (id, slot) in now where before[id]?.inode != slot.inode { post(slot.event(.slotAdded)) }
    }
}

extension Slot {
    fileprivate func event(_ type: EventType) -> Event {
        // Ids of nodes hold no dot.
        Event(
            type, node: outlet?.split(separator: ".").first.map(String.init),
            data: ["slot": .string(id), "origin": .string(origin.rawValue), "path": .string(path)])
    }
}
