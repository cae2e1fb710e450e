// The clock by which renditions fall silent: it runs while packets of any rendition arrive, and stands still while none
// does. A publisher that sends in bursts (a file of fragments, read in real time) makes nobody seem silent.
import Media

struct FlowClock: Sendable {
    /// Of a pause of all renditions this much counts: more than lies between two packets of a steady stream.
    static let longestPause = MediaTime.milliseconds(200)

    /// Time in which packets arrived.
    private(set) var time = MediaTime.zero
    /// Monotonic time of the last event.
    private var now = MediaTime.zero
    /// Monotonic; nil before the first packet.
    private var newestArrival: MediaTime?

    /// Time went by; monotonic.
    mutating func pass(to now: MediaTime) {
        guard let newestArrival, now > self.now else {
            self.now = max(self.now, now)
            return
        }
        let counted = min(now, newestArrival + Self.longestPause)
        time = time + max(.zero, counted - self.now)
        self.now = now
    }

    /// A packet has come now.
    mutating func arrive() { newestArrival = now }

    /// For how long nothing has come; zero before the first packet.
    var pause: MediaTime { newestArrival.map { now - $0 } ?? .zero }
}
