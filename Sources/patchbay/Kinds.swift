// Every kind of node that this program can run, in the order in which documentation lists them.
import Capture
import Codecs
import Engine
import Failover
import FrameCache
import Graph
import HLS
import Metering
import Recording
import Routing
import Watch

enum Kinds {
    static let all = [
        NodeKind(PatternSource.self), NodeKind(FileSource.self), NodeKind(SRTSource.self), NodeKind(URLSource.self),
        NodeKind(RingSource.self), NodeKind(FaultNode.self),
        NodeKind(DecodeNode.self), NodeKind(VideoEncodeNode.self), NodeKind(AudioEncodeNode.self),
        NodeKind(SwitchNode.self), NodeKind(FilterNode.self), NodeKind(MeterNode.self),
        NodeKind(HLSSink.self), NodeKind(RecordSink.self), NodeKind(RingSink.self), NodeKind(NullSink.self),
        NodeKind(control: WatchNode.self), NodeKind(control: FailoverNode.self),
    ]
    static let catalogue = Catalogue(all.map(\.declaration))
}
