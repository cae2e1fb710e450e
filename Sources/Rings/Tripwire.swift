// Named steps at which a test may kill a process, so that every half-done state is met. In release builds, and so in the
// C library, there is nothing here.

/// What has just been done. After each of these the process may die.
public enum RingStep: UInt8, CaseIterable, Sendable {
    // Writers of frames.
    case claimed, metadataStored, slotEmptied, windowCleared, windowSet, slotStored, bufferLetGo
    // Writers of packets.
    case oldestStored, payloadHalfStored, slotHalfStored
    // Both.
    case headStored, stateStored, wakeCounted
    // Successors.
    case placeTaken, heldCleared, slotRebuilt, headRepaired, oldestRepaired, adopted
    // Readers.
    case idLocked, entryStored, ownerStored, cursorStored, bitSet, leaseCounted, leaseEnded, sleeperSet
    case entryCleared, entryFreed
    // Sweepers.
    case sweepLocked
}

#if DEBUG
    /// What is called at each step with its raw value; it may end the process.
    ///
    /// `nonisolated(unsafe)`: a test's own process sets it before it has a second thread, and nobody else ever does.
    nonisolated(unsafe) public var ringTripwire: (@convention(c) (UInt8) -> Void)?

    @inline(__always) func trip(_ step: RingStep) { ringTripwire?(step.rawValue) }
#else
    @inline(__always) func trip(_ step: RingStep) {}
#endif
