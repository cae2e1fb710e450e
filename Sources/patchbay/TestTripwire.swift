// In debug builds a test may have the program die at a step of a transaction, so that every half-done state is met.
#if DEBUG
    import CLinux
    import Engine

    /// `PATCHBAY_TEST_DIE_AT=prepared`: dies as by `kill -9` when that has been done.
    func armTestTripwire() {
        guard let step = environment("PATCHBAY_TEST_DIE_AT").flatMap(TransactionStep.init) else { return }
        transactionTripwire = { if $0 == step { kill(getpid(), SIGKILL) } }
    }
#endif
