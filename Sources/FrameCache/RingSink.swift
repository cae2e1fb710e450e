// `sink.ring`: raw video and audio into slots of the frame cache whose format stays, whatever comes.
//
// The slot's times are the monotonic clock's nanoseconds, in both slots, so that they can be put together by time. Pictures
// lie on the grid of the slot's rate: one that finds its period taken is left out, a gap of up to a second is filled with
// the picture before it, after a longer one it goes on with a marked discontinuity. Nothing is held back for that.
import CRingLayout
package import Engine
package import Graph
import Media
package import Rings

/// Settings of `sink.ring`.
package struct RingSinkSettings: NodeSettings {
    static let slot = Setting<String>(required: "slot", "Name of the slot of raw video.")
    static let audioSlot = Setting<String?>(
        "audioSlot", default: nil, "Name of the slot of raw audio; without it the video's with -audio behind it.")
    static let size = Setting<PictureSize?>("size", default: nil, "Picture size; without it the first picture's.")
    static let rate = Setting<Rational?>(
        "rate", default: nil, "Pictures a second; without it the first picture's, 25 where that says none.")
    static let pixelFormat = Setting<PixelFormat?>(
        "pixelFormat", default: nil, "How pictures lie in memory; without it the first picture's.")
    static let sampleRate = Setting<Int?>(
        "sampleRate", default: nil, "Without it the first sound's.", unit: "samples a second"
    ).within(8000...768_000)
    static let layout = Setting<ChannelLayout?>("layout", default: nil, "Without it the first sound's.")
    static let sampleFormat = Setting("sampleFormat", default: SampleFormat.s16, "How samples lie in memory.")
    static let depth = Setting<Int?>("depth", default: nil, "Grains in the window; 120 without it.").within(2...16_384)

    package static let declarations: [SettingDeclaration] = .of(
        slot, audioSlot, size, rate, pixelFormat, sampleRate, layout, sampleFormat, depth)
    /// Of pictures that say none.
    static let usualRate = Rational(25, 1)

    let slot: String
    let audioSlot: String
    let size: PictureSize?
    let rate: FrameRate?
    let pixelFormat: PixelFormat?
    let sampleRate: Int?
    let layout: ChannelLayout?
    let sampleFormat: SampleFormat
    let depth: Int?

    package init(_ values: SettingValues) {
        slot = values[Self.slot]
        audioSlot = Self.audioSlot(values)
        size = values[Self.size]
        rate = values[Self.rate]
        pixelFormat = values[Self.pixelFormat]
        sampleRate = values[Self.sampleRate]
        layout = values[Self.layout]
        sampleFormat = values[Self.sampleFormat]
        depth = values[Self.depth]
    }

    static func audioSlot(_ values: SettingValues) -> String { values[audioSlot] ?? values[slot] + "-audio" }

    /// What `POST /slots` would be sent.
    func wish(_ id: String, _ form: String, _ format: JSONObject) -> JSON {
        let body = JSONObject([("id", .string(id)), (form, .object(format))])
        return .object(depth.map { body.setting("depth", to: .count($0)) } ?? body)
    }
}

/// Slots as a sink.
package actor RingSink: DataNode {
    package static let kind = KindDeclaration(
        "sink.ring", "Writes raw video and audio into slots of the frame cache whose format stays, whatever comes.",
        inlets: [InletDeclaration("video", [.rawVideo]), InletDeclaration("audio", [.rawAudio])],
        settings: RingSinkSettings.declarations, placement: .own,
        claims: { values in
            [
                ResourceClaim(.slot, values[RingSinkSettings.slot], setting: "slot"),
                ResourceClaim(.slot, RingSinkSettings.audioSlot(values), setting: "audioSlot"),
            ]
        },
        check: { values in
            let names = [("slot", values[RingSinkSettings.slot]), ("audioSlot", RingSinkSettings.audioSlot(values))]
            return names.filter { !Identifier.isValid($0.1) }.map { setting, name in
                SettingFault(
                    setting, found: "found \"\(name)\"", expected: "expected \(Identifier.expectation)",
                    remedy: "name the slot otherwise")
            }
        })

    package nonisolated let context: NodeContext
    package nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private let video: Inlet?
    private let audio: Inlet?
    private var pictures: SlotPictures?
    private var sound: SlotSound?
    private let settings: RingSinkSettings
    private var fault: NodeFault?

    package init(_ settings: RingSinkSettings, in context: NodeContext) {
        self.settings = settings
        self.context = context
        video = context.inlet("video")
        audio = context.inlet("audio")
    }

    package func prepare() throws(NodeFault) {
        guard let host = context.services.slotHost else {
            throw NodeFault(.unsupported, "there is no frame cache here", isTransient: false)
        }
        if video != nil { pictures = SlotPictures(settings, context, host) }
        if audio != nil {
            sound = SlotSound(settings, context, host)
            pictures?.soundSlot = settings.audioSlot
        }
        sound?.isAlone = video == nil
        try pictures?.prepare()
        try sound?.prepare()
    }

    package func inletChanged(_ inlet: InletAddress, _ news: InletNews) {
        do throws(NodeFault) {
            switch news {
            case .format(.rawVideo(let format)): try pictures?.changed(format)
            case .format(.rawAudio(let format)):
                pictures?.soundSlot = settings.audioSlot
                try sound?.changed(format)
            case .format, .rewired: break
            case .noSignal, .ended: try lost(inlet, .noSignal)
            case .absent:
                try lost(inlet, .absent)
                if inlet.name == "video" { sound?.isAlone = true } else { pictures?.soundSlot = nil }
            }
        } catch { fault = error }
    }

    private func lost(_ inlet: InletAddress, _ signal: Signal) throws(NodeFault) {
        if inlet.name == "video" { pictures?.lost(signal) } else { try sound?.lost(signal) }
    }

    package func step() -> Step {
        if let fault { return .failed(fault) }
        if video?.hasEnded ?? true, audio?.hasEnded ?? true { return .finished }
        do throws(NodeFault) {
            let hasPicture = try takePicture()
            let hasSound = try takeSound()
            return hasPicture || hasSound ? .again : .wait
        } catch { return .failed(error) }
    }

    private func takePicture() throws(NodeFault) -> Bool {
        guard let video else { return false }
        switch video.takeFrame() {
        case .frame(let lease): try pictures?.write(lease)
        case .lapped: pictures?.lapped()
        case .nothing: return false
        }
        return true
    }

    private func takeSound() throws(NodeFault) -> Bool {
        guard let audio else { return false }
        switch audio.takeFrame() {
        case .frame(let lease): try sound?.write(lease)
        case .lapped: try sound?.lapped()
        case .nothing: return false
        }
        return true
    }

    package func stop() {
        pictures?.close()
        sound?.close()
    }
}

extension SlotRegistry: SlotHost {
    package func openSlot(_ wish: JSON) throws(NodeFault) -> RingMapping {
        let request: SlotRequest
        do throws(DocumentFaults) { request = try SlotRequest(wish) } catch { throw NodeFault(.invalid(error)) }
        let path: String
        do throws(SlotRefusal) { path = try make(request).slot.path } catch { throw NodeFault(error) }
        do throws(RingError) { return try RingMapping.open(path: path) } catch {
            throw NodeFault(.internalError, "\(path) can't be opened: \(error)")
        }
    }

    package func slotBegan(_ id: String, _ ring: RingMapping, soundSlot: String?) {}

    package func closeSlot(_ id: String, _ ring: RingMapping) {
        // The name may be another ring's by now.
        guard !ring.isRemoved, ring.state != UInt32(PBR_STATE_SUPERSEDED) else { return }
        do throws(SlotRefusal) { try remove(id) } catch { ring.tombstone() }
    }
}

extension NodeFault {
    /// What a refused slot is to a node.
    init(_ refusal: SlotRefusal) {
        switch refusal {
        case .invalid(let faults): self.init(.unsupported, faults.description, isTransient: false)
        case .missing(let id): self.init(.missing, "there is no slot \"\(id)\"")
        case .written(let slot, let writer): self.init(.inUse, "the slot \"\(slot)\" is being written by \(writer)")
        case .owned(let slot, let outlet): self.init(.inUse, "the slot \"\(slot)\" is the outlet \(outlet)")
        case .noSpace(let detail): self.init(.noSpace, detail)
        case .failed(let detail): self.init(.internalError, detail)
        }
    }
}
