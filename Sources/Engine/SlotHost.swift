// Where nodes get the slots that they write: of the engine's own frame cache, or, for a command that runs a graph for
// another engine, of that one's.
package import Graph
package import Rings

/// Makes slots for nodes, and takes them back. Blocks, for as long as memory takes to be reserved or another engine takes
/// to answer: for lanes that a node has for itself.
package protocol SlotHost: Sendable {
    /// The ring of a slot, which nobody writes: the caller adopts it.
    /// - Parameter wish: as `POST /slots` takes it.
    func openSlot(_ wish: JSON) throws(NodeFault) -> RingMapping
    /// The slot `id`, the first of the node's that says what the source is, has its first grain.
    /// - Parameter soundSlot: where the source's sound lies; nil where it has none, or the slot is of sound itself.
    func slotBegan(_ id: String, _ ring: RingMapping, soundSlot: String?)
    /// The node writes the slot `id` no more, and has let go of its ring.
    func closeSlot(_ id: String, _ ring: RingMapping)
}
