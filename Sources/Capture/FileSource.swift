// `source.file`: any container and codec that libavformat opens, by the clock or as fast as the graph takes it.
import AV
import CLinux
package import Engine
package import Graph
import Media

/// Settings of `source.file`.
package struct FileSettings: NodeSettings {
    package enum Pace: String, SettingChoice { case realtime, free }

    static let path = Setting<FilePath>(required: "path", "The file to read.").asInput()
    static let pace = Setting("pace", default: Pace.realtime, "By the clock, or as fast as the graph takes it.")
    static let loop = Setting("loop", default: false, "Start again at the end; times go on.", isLive: true)

    package static let declarations: [SettingDeclaration] = .of(path, pace, loop)

    let path: String
    let pace: Pace
    var loop: Bool

    package init(_ values: SettingValues) {
        path = values[Self.path].text
        pace = values[Self.pace]
        loop = values[Self.loop]
    }
}

/// A file as a source.
package actor FileSource: DataNode {
    package static let kind = KindDeclaration(
        "source.file", "Reads a file; its tracks are the outlets.", outlets: .tracks,
        settings: FileSettings.declarations, placement: .own,
        pacing: { $0[FileSettings.pace] == .free ? .unpaced : .paced },
        check: { values in
            let path = values[FileSettings.path].text
            guard let problem = unreadable(path) else { return [] }
            return [
                SettingFault(
                    "path", found: "found \"\(path)\": \(problem)", expected: "expected a file that can be read",
                    remedy: "mend the path, or set it with --set NODE.path=FILE")
            ]
        })

    package nonisolated let context: NodeContext
    package nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private var settings: FileSettings
    private var pump: DemuxPump
    private var isEnding = false

    package init(_ settings: FileSettings, in context: NodeContext) {
        self.settings = settings
        self.context = context
        pump = DemuxPump(context)
    }

    package func prepare() throws(NodeFault) {
        let demuxer: Demuxer
        do throws(AVFault) {
            demuxer = try Demuxer.open(path: settings.path, interruption: context)
        } catch {
            throw NodeFault(
                .badInput, "\(settings.path) can't be read as a media file: \(error.message)", isTransient: false)
        }
        let start = settings.pace == .free ? 0 : context.timeline.now.nanoseconds
        try pump.open(demuxer, at: start)
    }

    package func step() -> Step {
        if isEnding { return atEnd(looping: false) }
        let now = settings.pace == .free ? Int64.max : context.timeline.now.nanoseconds
        switch pump.turn(isDue: { $0 <= now }) {
        case .published, .skipped: return .again
        case .wait: return nextDue(after: now)
        case .interrupted: return .again
        case .end: return atEnd(looping: settings.loop)
        case .failed(let fault):
            return .failed(
                NodeFault(.badInput, "\(settings.path) breaks off: \(fault.message)", isTransient: settings.loop))
        }
    }

    /// A packet waits for its time, or for room.
    private func nextDue(after now: Int64) -> Step {
        guard let due = pump.pendingTime, due > now else { return .wait }
        return .until(context.timeline.instant(of: MediaTime(nanoseconds: due)))
    }

    private func atEnd(looping: Bool) -> Step {
        guard looping else {
            // The end, not a loss of signal: who reads is told by the engine.
            pump.close(isEnd: true)
            return .finished
        }
        do throws(AVFault) { try pump.rewind() } catch {
            return .failed(NodeFault(.badInput, "\(settings.path) can't be started again: \(error.message)"))
        }
        return .again
    }

    package func apply(_ settings: FileSettings) -> Applied {
        self.settings.loop = settings.loop
        return .live
    }

    package func drain() { isEnding = true }
    package func stop() { pump.close() }
}

/// Why a file can't be read, nil when it can.
private func unreadable(_ path: String) -> String? {
    var status = stat()
    guard stat(path, &status) == 0 else { return String(cString: strerror(linux_errno())) }
    guard linux_is_directory(&status) == 0 else { return "it is a folder" }
    guard access(path, R_OK) == 0 else { return String(cString: strerror(linux_errno())) }
    return status.st_size == 0 && linux_is_regular(&status) == 1 ? "it is empty" : nil
}
