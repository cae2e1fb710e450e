// What a half of the switch, its pictures or its sound, came to in one step.
import Engine

enum SwitchTurn {
    case busy
    case idle
    /// Nothing to do before this time, nanoseconds on the timeline, or something arrives.
    case until(Int64)
    case failed(NodeFault)

    /// Both halves are one node.
    func and(_ other: SwitchTurn) -> SwitchTurn {
        switch (self, other) {
        case (.failed, _): self
        case (_, .failed): other
        case (.busy, _), (_, .busy): .busy
        case (.until(let a), .until(let b)): .until(min(a, b))
        case (.idle, _): other
        case (_, .idle): self
        }
    }
}
