// When to call again: capped exponential back-off with jitter. A pure machine.

/// Half a second, doubling to 10 s, each spread by ±25 % so that many callers don't come at once.
struct BackOff {
    static let first: Int64 = 500_000_000
    static let longest: Int64 = 10_000_000_000

    private var delay = BackOff.first
    private var until: Int64?
    private var random: UInt64

    /// - Parameter seed: of the jitter.
    init(seed: UInt64) { random = seed | 1 }

    mutating func failed(at now: Int64) {
        // xorshift64: jitter needs no better.
        random ^= random << 13
        random ^= random >> 7
        random ^= random << 17
        let spread = Int64(random % UInt64(delay / 2)) - delay / 4
        until = now + delay + spread
        delay = min(delay * 2, Self.longest)
    }

    mutating func succeeded() {
        delay = Self.first
        until = nil
    }

    /// Nanoseconds still to wait, nil when it is time.
    func remaining(at now: Int64) -> Int64? {
        guard let until, until > now else { return nil }
        return until - now
    }
}
