// Inputs that are not ready to be shown with the next frame: what must be open and decoded now, and how long it may take. One
// that takes the place of another that is well is made ready first, so that nobody sees it come up; where what is shown is
// degraded, the next is shown as it is.
import Graph
import Media

extension FailoverMachine {
    /// Inputs that have to be open and decoded now, whatever they are kept as: what is shown, and what is about to be.
    package var needed: Set<String> {
        let open = inputs.filter { $0.input.keep == .hot || $0.input.keep == .cold && $0.isOpen }.map(\.input.name)
        return Set(open).union([active, readying?.name, pending?.name].compactMap(\.self))
    }

    /// How long an input may give nothing. One that is cold takes its time to open, where nobody could be shown instead or it
    /// is to take the place of one that is well.
    func patience(for health: InputHealth) -> MediaTime { usualPatience(for: health) + (excuse?.length ?? .zero) }

    private func usualPatience(for health: InputHealth) -> MediaTime {
        guard health.isOpening else { return timing.silence }
        let name = health.input.name
        let isAwaited = name == readying?.name || name == pending?.name
        guard isAwaited || !inputs.contains(where: { $0.isWell && $0.input.name != name }) else {
            return timing.silence
        }
        return max(timing.silence, timing.probe)
    }

    /// What is not needed is not decoded.
    mutating func forgetReadiness() {
        guard inputs.contains(where: \.hasBeenReadied) else { return }
        let needed = needed
        for index in inputs.indices where inputs[index].hasBeenReadied && !needed.contains(inputs[index].input.name) {
            inputs[index].hasBeenReadied = false
        }
    }

    /// Whether an input that is to take the place of one that is well can do so without a gap; if not, it is made to.
    mutating func isReady(_ name: String, _ now: Int64, _ actions: inout [Action]) -> Bool {
        guard let input = health(name), !input.isReady else { return true }
        isReadyingWanted = true
        guard readying?.name == name, let since = readying?.since else {
            readying = (name, now)
            if !input.isOpen { open(name, now, &actions) }
            return false
        }
        if now - since >= max(timing.probe, timing.silence).nanoseconds {
            let detail = "it has not been decoded for \(timing.probe)"
            change(name) { $0.fail(detail, now) }
            isReadyingWanted = false
        }
        return false
    }
}
