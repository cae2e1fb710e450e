// In debug builds a test may have the program die at a step of a transaction, so that every half-done state is met.
#if DEBUG
    import CLinux
    import Engine

    /// `PATCHBAY_TEST_DIE_AT=prepared`: dies as by `kill -9` when that has been done; `givenAhead:backup`, with that detail.
    func armTestTripwire() {
        let words = environment("PATCHBAY_TEST_DIE_AT")?.split(separator: ":").map(String.init) ?? []
        guard let step = words.first.flatMap(TransactionStep.init) else { return }
        let detail = words.dropFirst().first
        transactionTripwire = { if $0 == step, detail == nil || $1 == detail { kill(getpid(), SIGKILL) } }
    }
#endif
