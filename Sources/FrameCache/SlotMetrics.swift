// What `/metrics` says of the frame cache. Labels are bounded by the number of slots.
import CRingLayout
import Engine
import Rings
import Synchronization

extension SlotRegistry {
    /// In Prometheus' text format 0.0.4.
    package var exposition: String {
        var text = Exposition()
        let slots = slots
        text.family("patchbay_slots", .gauge, "Slots of the frame cache by how they came to be here.")
        for origin in SlotOrigin.allCases {
            text.sample("patchbay_slots", [("origin", origin.rawValue)], slots.count { $0.origin == origin })
        }
        text.single(
            "patchbay_slots_taken_up_total", .counter,
            "Slots whose writers found no engine and made them themselves, taken up later.",
            takenUp.load(ordering: .relaxed))
        text.single(
            "patchbay_slots_reclaimed_total", .counter, "Slots removed because their writers had gone.",
            reclaimed.load(ordering: .relaxed))
        func each(_ name: String, _ kind: Exposition.Kind, _ help: String, _ value: (RingMapping) -> UInt64) {
            text.family("patchbay_slot_\(name)", kind, help)
            for slot in slots { text.sample("patchbay_slot_\(name)", [("slot", slot.id)], value(slot.mapping)) }
        }
        each("bytes", .gauge, "Shared memory of the slot.") { $0.identity.file_size }
        each("grains_total", .counter, "Grains published.") { $0.head }
        each("dropped_grains_total", .counter, "Grains that found no free buffer.") { $0.dropped }
        each("writer_alive", .gauge, "1 while somebody writes.") { $0.isWriterAlive ? 1 : 0 }
        each("readers", .gauge, "Readers of all processes.") { UInt64($0.readerCount) }
        each("lost_grains_total", .counter, "Grains by which the readers that are there now were lapped.") { ring in
            (0..<Int(PBR_MAX_READERS)).reduce(0) { $0 &+ (ring.reader($1)?.lost ?? 0) }
        }
        return text.text
    }
}
