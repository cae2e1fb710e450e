// Named steps of a transaction at which a test may kill the process, so that every half-done state is met. In release
// builds there is nothing here.

/// What has just been done.
package enum TransactionStep: String, CaseIterable, Sendable {
    /// The intent is on disk; nothing runs yet.
    case intentWritten
    /// Everything new has opened.
    case prepared
    /// The graph is the new one; nothing of that is on disk.
    case committed
    /// The outcome is on disk; nobody was answered.
    case outcomeWritten
    /// A running node has a live setting that the document does not have yet; the detail is its value.
    case givenAhead
}

#if DEBUG
    /// What is called at each step; it may end the process.
    ///
    /// `nonisolated(unsafe)`: set by the program before it has an engine, and never again.
    nonisolated(unsafe) package var transactionTripwire: (@Sendable (TransactionStep, _ detail: String?) -> Void)?

    func trip(_ step: TransactionStep, _ detail: String? = nil) { transactionTripwire?(step, detail) }
#else
    @inline(__always) func trip(_ step: TransactionStep, _ detail: String? = nil) {}
#endif
