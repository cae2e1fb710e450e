// A switch between coded inputs: its pictures, and its sound that follows them. On the node's lane.
import Engine
import Media

final class CodedSwitch: SwitchWork {
    private let video: CodedTrack?
    private let audio: CodedTrack?
    private let pictures: CodedPictures?
    private let sound: CodedSound?

    init(_ inputs: SwitchInputs, active: Int, _ settings: SwitchSettings, _ context: NodeContext) {
        video = context.outlet("video").map { CodedTrack(inputs.video, $0, context) }
        audio = context.outlet("audio").map { CodedTrack(inputs.audio, $0, context) }
        pictures = video.map { CodedPictures($0, inputs, active: active, settings.splice, context) }
        sound = audio.map { CodedSound($0, active: active) }
    }

    var hasEnded: Bool { video?.hasEnded ?? true && audio?.hasEnded ?? true }

    func prepare() {}
    func changed(_ input: Int, isVideo: Bool, _ news: InletNews) { (isVideo ? video : audio)?.changed(input, news) }
    func step() -> SwitchTurn {
        let turn = pictures?.step() ?? .idle
        if let joint = pictures?.takeJoint() { sound?.follow(joint) }
        return turn.and(
            sound?.step(horizon: pictures?.horizon, isAwaited: pictures?.isChanging ?? false) ?? .idle)
    }
    func apply(_ settings: SwitchSettings) { pictures?.splice = settings.splice }
    func select(_ input: Int) {
        pictures?.select(input)
        sound?.select(input)
    }
    func follow(_ inputs: SwitchInputs) {
        video?.follow(inputs.video)
        audio?.follow(inputs.audio)
        pictures?.follow(inputs)
        sound?.follow()
    }
    func uses(_ input: Int) -> Bool { pictures?.uses(input) ?? false || sound?.uses(input) ?? false }
    func stop() {}
}
