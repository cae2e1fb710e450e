import Files
import Foundation
import Graph
import Media
import Testing

// The small machines of the sources: track selection, back-off, who may publish over SRT.
@testable import AV
@testable import Capture
@testable import Engine

@Suite("Track selection") struct TrackSelectionTests {
    private func stream(
        _ index: Int, _ type: MediaType, _ codec: String = "x", language: String = "", id: Int = 0,
        _ disposition: Disposition = []
    ) -> StreamDescription {
        var format = CodedFormat(codec: codec)
        format.language = language
        return StreamDescription(
            index: index, id: id == 0 ? 256 + index : id, type: type, format: format, disposition: disposition,
            programs: [],
            timeBase: Rational(1, 90_000), timestampBits: 33)
    }
    private func track(
        _ name: String, _ type: TrackSelector.TrackType, _ body: (inout TrackSelector) -> Void = { _ in }
    ) -> TrackSelector {
        var track = TrackSelector(name, type)
        body(&track)
        return track
    }

    @Test("The first of each, but no cover art")
    func first() {
        let chosen = TrackSelection(
            [track("video", .video), track("audio", .audio)], program: nil,
            streams: [
                stream(0, .codedVideo, "mjpeg", .isAttachedPicture), stream(1, .codedAudio), stream(2, .codedVideo),
                stream(3, .codedAudio),
            ], programs: [])
        #expect(chosen.streams == ["video": 2, "audio": 1])
        #expect(chosen.unclaimed.map(\.index) == [3])
    }

    @Test("By language, codec, id and index; what is not there is absent")
    func selectors() {
        let streams = [
            stream(0, .codedVideo), stream(1, .codedAudio, "aac", language: "eng"),
            stream(2, .codedAudio, "ac3", language: "deu"), stream(3, .codedAudio, "aac", language: "deu"),
            stream(4, .data, "scte_35", id: 500),
        ]
        let chosen = TrackSelection(
            [
                track("deu", .audio) { ($0.language, $0.codec) = ("deu", "aac") },
                track("second", .audio) { $0.index = 1 }, track("rest", .audio),
                track("cues", .data) { $0.codec = "scte35" }, track("none", .audio) { $0.language = "fra" },
                track("far", .video) { $0.index = 3 }, track("same", .data) { $0.id = 500 },
            ], program: nil, streams: streams, programs: [])
        #expect(chosen.streams == ["deu": 3, "second": 2, "rest": 1, "cues": 4])
        #expect(chosen.unclaimed.map(\.index) == [0])
    }

    @Test("The block that claims everything claims everything")
    func block() throws {
        let streams = [
            stream(0, .codedVideo), stream(1, .codedAudio), stream(2, .codedAudio, language: "eng"),
            stream(3, .codedAudio),
            stream(4, .codedVideo),
        ]
        let text = TrackSelection.block(for: streams).compact
        #expect(text.contains("\"audio3\":{\"type\":\"audio\",\"index\":2}"))
        let chosen = TrackSelection(
            [
                track("video", .video), track("audio", .audio), track("audio2", .audio) { $0.language = "eng" },
                track("audio3", .audio) { $0.index = 2 }, track("video2", .video) { $0.index = 1 },
            ], program: nil, streams: streams, programs: [])
        #expect(chosen.streams.count == 5)
        #expect(chosen.unclaimed.isEmpty)
    }

    @Test("A program chosen by number or name; by itself the first")
    func programs() {
        let streams = (0..<4).map { stream($0, .codedVideo) }
        let programs = [
            ProgramDescription(number: 1, name: "one", streams: [0, 1]),
            ProgramDescription(number: 7, name: "seven", streams: [2, 3]),
        ]
        for (wanted, index) in [(nil, 0), (.number(7), 2), (.service("seven"), 2)] as [(ProgramSelector?, Int)] {
            let chosen = TrackSelection([track("video", .video)], program: wanted, streams: streams, programs: programs)
            #expect(chosen.streams == ["video": index])
        }
    }
}

@Suite("Back-off") struct BackOffTests {
    @Test(
        "Doubles from half a second to ten, within a quarter; starts afresh after a success",
        arguments: 0..<50 as Range<UInt64>)
    func doubling(_ seed: UInt64) throws {
        var machine = BackOff(seed: seed)
        #expect(machine.remaining(at: 0) == nil)
        var nominal = BackOff.first
        for now in stride(from: Int64(0), to: 1000, by: 100) {
            machine.failed(at: now)
            let wait = try #require(machine.remaining(at: now))
            #expect(wait >= nominal - nominal / 4 && wait <= nominal + nominal / 4)
            #expect(machine.remaining(at: now + wait) == nil)
            nominal = min(nominal * 2, BackOff.longest)
        }
        machine.succeeded()
        #expect(machine.remaining(at: 0) == nil)
        machine.failed(at: 0)
        #expect(try #require(machine.remaining(at: 0)) <= BackOff.first + BackOff.first / 4)
    }
}

@Suite("SRT admission") struct SRTAdmissionTests {
    private func admission(_ streamID: String, _ clock: ManualClock) throws -> (SRTAdmission, Lane) {
        let lane = try Lane(name: "test", clock: clock)
        let folder = FileManager.default.temporaryDirectory.path
        let log = try EngineLog(clock: clock) { _ in }
        defer { log.close() }
        let services = EngineServices(
            timeline: Timeline(clock: clock), files: try FileService(), log: log, dataFolder: folder,
            ringFolder: folder,
            live: LiveDirectory())
        let context = NodeContext(
            id: "in", lane: lane, services: services, tracks: [], program: nil, isUnpaced: false, inlets: [],
            outlets: [])
        return (SRTAdmission(streamID: streamID, context: context), lane)
    }

    @Test("One publisher at a time; one that fell silent gives way")
    func oneAtATime() throws {
        let clock = ManualClock(monotonic: 1_000_000_000)
        let (admission, lane) = try admission("", clock)
        defer { lane.stop() }
        #expect(admission.refusal(streamID: "any") == nil)
        #expect(admission.hasAdmitted)
        admission.begin()
        #expect(!admission.hasAdmitted)
        #expect(admission.refusal(streamID: "") != nil)
        clock.advance(by: .milliseconds(450))
        admission.bytesCame(at: clock.monotonic)
        clock.advance(by: .milliseconds(450))
        #expect(admission.refusal(streamID: "") != nil)
        #expect(!admission.hasAdmitted)
        clock.advance(by: .milliseconds(100))
        #expect(admission.refusal(streamID: "") == nil)
        #expect(admission.hasAdmitted)
        admission.end()
        admission.begin()
        #expect(!admission.hasAdmitted)
        admission.end()
        #expect(admission.refusal(streamID: "") == nil)
    }

    @Test("A stream id must match, plain or in the form of SRT's access control")
    func streamID() throws {
        let (admission, lane) = try admission("studio", ManualClock())
        defer { lane.stop() }
        for good in ["studio", "#!::r=studio", "#!::m=publish,r=studio", "#!::r=studio,m=publish"] {
            #expect(admission.refusal(streamID: good) == nil, "\(good)")
        }
        for bad in ["", "other", "studio2", "#!::r=studio2", "#!::", "r=studio", "#!::u=studio"] {
            #expect(admission.refusal(streamID: bad) != nil, "\(bad)")
        }
    }
}
