// Once a second: rates, and the places of readers that died; once a minute: old latencies weigh half. On the engine's
// actor; what it reads are atomics, what it sweeps are locks of the dead, so that it never waits for a node.
import Media
import Rings

extension Engine {
    private static let samplesInMinute = 60

    /// Samples once a second until the calling task is cancelled.
    package func sampleEverySecond() async {
        while !Task.isCancelled {
            sample()
            do { try await Task.sleep(nanoseconds: UInt64(MediaTime.seconds(1).nanoseconds)) } catch { return }
        }
    }

    /// One look at every outlet.
    package func sample() {
        samples += 1
        let decays = samples % Self.samplesInMinute == 0
        for node in nodes.values {
            for port in node.ports.values {
                if let mapping = port.mapping {
                    node.rates[port.name, default: RateMeter()].sample(head: mapping.head, at: now)
                    if mapping.sweepDeadReaders() > 0 { port.ringWriter() }
                }
                if decays {
                    port.age.decay()
                    port.stage.decay()
                }
            }
        }
    }
}
