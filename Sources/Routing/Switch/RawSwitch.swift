// A switch between raw inputs: its pictures and its sound. On the node's lane.
import Engine
import Media

final class RawSwitch: SwitchWork {
    private let pictures: RawPictures?
    private let sound: RawSound?

    init(_ inputs: SwitchInputs, active: Int, _ settings: SwitchSettings, _ context: NodeContext) {
        pictures = context.outlet("video").map {
            RawPictures(inputs, active: active, $0, settings, context)
        }
        sound = context.outlet("audio").map {
            RawSound(inputs, active: active, $0, settings, context)
        }
    }

    var hasEnded: Bool { pictures?.hasEnded ?? true && sound?.hasEnded ?? true }

    func prepare() throws(NodeFault) { try pictures?.prepare() }
    func changed(_ input: Int, isVideo: Bool, _ news: InletNews) {
        if isVideo { pictures?.changed(input, news) } else { sound?.changed(input, news) }
    }
    func step() -> SwitchTurn {
        (pictures?.step() ?? .idle).and(sound?.step(horizon: pictures?.horizon) ?? .idle)
    }
    func apply(_ settings: SwitchSettings) {
        pictures?.apply(settings)
        sound?.apply(settings)
    }
    func select(_ input: Int) {
        let cut = pictures?.select(input, notBefore: sound?.begin(of: input))
        sound?.select(input, at: cut)
    }
    func follow(_ inputs: SwitchInputs) {
        pictures?.follow(inputs)
        sound?.follow(inputs)
    }
    func uses(_ input: Int) -> Bool { pictures?.uses(input) ?? false || sound?.uses(input) ?? false }
    func stop() {
        pictures?.stop()
        sound?.stop()
    }
}
