// What a failover knows of its inputs, as values. Any thread.
import Engine
package import Graph
package import Media

/// One input as the settings have it.
package struct FailoverInput: Sendable, Hashable {
    package let name: String
    /// The lower number wins; equal ones go by name.
    package var priority: Int
    package var keep: Keep
    /// Whether the key frames of coded pictures are decoded, so that what they show is known.
    package var watchesKeyframes: Bool

    package init(_ name: String, priority: Int, keep: Keep = .hot, watchesKeyframes: Bool = false) {
        (self.name, self.priority, self.keep) = (name, priority, keep)
        self.watchesKeyframes = watchesKeyframes
    }
}

/// Where an input stands.
package enum InputState: String, Sendable, CaseIterable {
    /// Not shown, and nothing is known against it.
    case idle
    /// Selected, and nothing is known against it.
    case active
    /// Silent, failed, or below what the conditions ask for.
    case degraded
}

/// Why the selection changed. A closed set; the spellings are those of the API.
package enum SwitchReason: String, Sendable, CaseIterable {
    case error, timeout, content, quality
    /// Somebody chose.
    case manual
    /// A better input had been well for the quiet period.
    case failback
    /// The first input that is well again after all were degraded; may be the one that was selected.
    case recovery
    case inputAdded = "input_added"
    case inputRemoved = "input_removed"

    /// Whether nobody asked for it: such switches keep their distance.
    package var isAutomatic: Bool {
        switch self {
        case .error, .timeout, .content, .quality, .failback, .recovery: true
        case .manual, .inputAdded, .inputRemoved: false
        }
    }
}

/// What a condition judges.
package enum ConditionKind: Sendable {
    /// Black, frozen, silent.
    case content
    /// Bit rate, frame rate, loss.
    case quality

    var reason: SwitchReason { self == .content ? .content : .quality }
}

extension Measure {
    /// Whether it is what grains show that is judged, or how they come.
    var kind: ConditionKind {
        switch self {
        case .black, .frozen, .silent, .clipped, .loudness: .content
        case .loss, .bitrate, .rate, .jitter, .drift, .rtt: .quality
        }
    }
}

/// The times that rule a failover.
package struct FailoverTiming: Sendable, Hashable {
    /// Without a grain for so long, counted from the selection at the earliest, an input is degraded.
    package var silence = MediaTime.milliseconds(500)
    /// For so long a better input must be well before the selection goes back to it.
    package var quiet = MediaTime.seconds(10)
    /// The least time between two switches that nobody asked for; doubled with each that follows within twice the quiet
    /// period, up to the quiet period.
    package var dwell = MediaTime.seconds(3)
    /// Between two tries of a cold input that is degraded; also how long a chosen input may take to deliver.
    package var probe = MediaTime.seconds(8)

    package init() {}

    var longestDamping: MediaTime { max(quiet, dwell) }
}

/// A switch that was made.
package struct SwitchRecord: Sendable, Hashable {
    /// Monotonic, nanoseconds.
    package let at: Int64
    package let from: String?
    package let to: String
    package let reason: SwitchReason
    package let detail: String
}

/// Something that went wrong with an input.
package struct InputError: Sendable, Hashable {
    /// Monotonic, nanoseconds.
    package let at: Int64
    package let reason: SwitchReason
    package let detail: String
}
