// What `meter` can be told. Values: any thread.
import Engine
package import Graph
import Media
import Meters

/// What is looked at of coded pictures.
package enum CodedWatch: String, SettingChoice, CaseIterable {
    /// How they come.
    case packets
    /// Key frames are decoded, so that what they show is known too.
    case keyframes

    package static let typeName = "watch"
}

/// What `meter` takes. All of it is live.
package struct MeterSettings: NodeSettings {
    static let conditions = Setting<ConditionTable>(
        "conditions", default: .none,
        "What to tell of as events: \"on\", a threshold \"above\" or \"below\", and \"for\" how long.", isLive: true)
    static let content = Setting(
        "content", default: true, "Whether raw pictures and sound are looked at: black, frozen, silent, clipped.",
        isLive: true)
    static let loudness = Setting(
        "loudness", default: true, "Whether raw sound is measured by EBU R128; a change begins it anew.", isLive: true)
    static let masks = Setting<MaskList>(
        "masks", default: .none, "Parts of the pictures that are not looked at, such as a running clock.", isLive: true)
    static let silence = Setting(
        "silence", default: SoundMeter.usualSilence, "What is no louder is silence.", unit: "dBFS", isLive: true
    )
    .within(-120 ... -10)
    static let watch = Setting<CodedWatch>(
        "watch", default: .packets, "What is looked at of coded pictures: packets, or keyframes, which are decoded.",
        isLive: true)

    package static let declarations: [SettingDeclaration] = .of(conditions, content, loudness, masks, silence, watch)

    /// Connections are not edges.
    private static let measures = Measure.allCases.filter { $0 != .rtt }

    let conditions: [ConditionRule]
    let demand: ContentDemand
    let watch: CodedWatch

    package init(_ values: SettingValues) {
        conditions = ConditionReader(values[Self.conditions].json, of: Self.measures).rules
        demand = ContentDemand(
            looks: values[Self.content], loudness: values[Self.loudness],
            masks: values[Self.masks].masks + conditions.masks,
            silence: values[Self.silence])
        watch = values[Self.watch]
    }

    static func faults(_ values: SettingValues) -> [SettingFault] {
        ConditionReader(values[conditions].json, of: measures).faults
    }
}
