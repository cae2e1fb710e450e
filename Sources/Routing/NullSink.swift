// `sink.null`: takes whatever comes and lets it go. For measuring, and to keep a source alive.
import CRingLayout
package import Engine
package import Graph
import Media
import Rings

/// `sink.null` has no settings.
package struct NullSettings: NodeSettings {
    package static let declarations: [SettingDeclaration] = []
    package init(_ values: SettingValues) {}
}

/// Reads and forgets.
package actor NullSink: DataNode {
    package static let kind = KindDeclaration(
        "sink.null", "Takes grains of any type and lets them go.",
        inlets: [InletDeclaration("in", Set(MediaType.allCases), isRequired: true)],
        settings: NullSettings.declarations, placement: .upstream)

    package nonisolated let context: NodeContext
    package nonisolated var unownedExecutor: UnownedSerialExecutor { context.executor }
    private let inlet: Inlet?
    private var isRaw = true

    package init(_ settings: NullSettings, in context: NodeContext) {
        self.context = context
        inlet = context.inlet("in")
    }

    package func prepare() throws(NodeFault) {}

    package func inletChanged(_ inlet: InletAddress, _ news: InletNews) {
        if case .format(let format) = news { isRaw = format.type.isRaw }
    }

    package func step() -> Step {
        guard let inlet, !inlet.hasEnded else { return .finished }
        return isRaw ? takeFrame(inlet) : takePacket(inlet)
    }

    private func takeFrame(_ inlet: Inlet) -> Step {
        switch inlet.takeFrame() {
        case .frame: return .again
        case .lapped: return .again
        case .nothing: return .wait
        }
    }

    private func takePacket(_ inlet: Inlet) -> Step {
        switch inlet.peekPacket() {
        case .packet:
            inlet.skipPacket()
            return .again
        case .lapped: return .again
        case .nothing: return .wait
        }
    }

    package func stop() {}
}
