// What `switch` can be told.
package import Graph
import Media

/// Settings of `switch`.
package struct SwitchSettings: NodeSettings {
    static let active = Setting<String?>(
        "active", default: nil, "The input on air; without it the first that has pictures.", isLive: true)
    static let splice = Setting(
        "splice", default: Splice.repeat,
        "Coded inputs: at the key frame that is still in the new input's ring, so that content comes at most one GOP late, "
            + "or at the next one.", isLive: true
    ).of(.coded)
    static let convert = Setting(
        "convert", default: true,
        "Inputs of another size, pixel format, sample rate or layout are converted; else they count as having nothing."
    ).of(.raw)
    static let size = Setting<PictureSize?>("size", default: nil, "Picture size; without it the first input's.").of(
        .raw)
    static let rate = Setting<Rational?>(
        "rate", default: nil, "Pictures a second; without it the first input's, 25 where that says none."
    ).of(.raw)
    static let pixelFormat = Setting<PixelFormat?>(
        "pixelFormat", default: nil, "How pictures lie in memory; without it as the first input's."
    ).of(.raw)
    static let sampleRate = Setting<Int?>(
        "sampleRate", default: nil, "Without it the first input's.", unit: "samples a second"
    ).within(8000...192_000).of(.raw)
    static let layout = Setting<ChannelLayout?>("layout", default: nil, "Without it the first input's.").of(.raw)
    static let patience = Setting(
        "patience", default: MediaTime.milliseconds(80),
        "A picture that is later than its input's usual ones by more than this is replaced.", isLive: true
    ).within(.zero ... .seconds(1)).of(.raw)
    static let hold = Setting(
        "hold", default: MediaTime.seconds(2), "The last picture is shown this long before the slate is.", isLive: true
    ).within(.zero ... .seconds(3600)).of(.raw)
    static let slate = Setting<FilePath?>(
        "slate", default: nil, "A picture to show when the active input has nothing; without it black."
    ).asInput().of(.raw)
    static let fade = Setting(
        "fade", default: MediaTime.milliseconds(5), "From one input's sound to the next; 0 cuts.", isLive: true
    ).within(.zero ... .seconds(1)).of(.raw)

    package static let declarations: [SettingDeclaration] = .of(
        active, splice, convert, size, rate, pixelFormat, sampleRate, layout, patience, hold, slate, fade)
    /// Of pictures that say none.
    static let usualRate = Rational(25, 1)

    let active: String?
    let splice: Splice
    let converts: Bool
    let size: PictureSize?
    let rate: FrameRate?
    let pixelFormat: PixelFormat?
    let sampleRate: Int?
    let layout: ChannelLayout?
    let patience: MediaTime
    let hold: MediaTime
    let slate: String?
    let fade: MediaTime

    package init(_ values: SettingValues) {
        active = values[Self.active]
        splice = values[Self.splice]
        converts = values[Self.convert]
        size = values[Self.size]
        rate = values[Self.rate]
        pixelFormat = values[Self.pixelFormat]
        sampleRate = values[Self.sampleRate]
        layout = values[Self.layout]
        patience = values[Self.patience]
        hold = values[Self.hold]
        slate = values[Self.slate]?.text
        fade = values[Self.fade]
    }

    func pictureRules(isPaced: Bool) -> PictureSwitch.Rules {
        var rules = PictureSwitch.Rules()
        (rules.isPaced, rules.patience, rules.hold) = (isPaced, patience.nanoseconds, hold.nanoseconds)
        return rules
    }

    func soundRules(isPaced: Bool) -> SoundSwitch.Rules {
        var rules = SoundSwitch.Rules()
        (rules.isPaced, rules.patience, rules.fade) = (isPaced, patience.nanoseconds, fade.nanoseconds)
        return rules
    }

    /// The pictures that go out, where `leader` is what the first input gives.
    func target(_ leader: VideoFormat) -> VideoFormat {
        var picture = leader.picture
        // A size of its own makes pixels that are square or not as it happens: nothing is said of them then.
        if let size, size != picture.size { (picture.size, picture.sampleAspect) = (size, nil) }
        picture.rate = rate ?? picture.rate ?? Self.usualRate
        return VideoFormat(picture: picture, pixelFormat: pixelFormat ?? leader.pixelFormat)
    }

    func target(_ leader: AudioFormat) -> AudioFormat {
        var target = leader
        target.sampleRate = sampleRate ?? leader.sampleRate
        target.layout = layout ?? leader.layout
        target.blockSamples = max(1, leader.blockSamples * target.sampleRate / leader.sampleRate)
        return target
    }
}
