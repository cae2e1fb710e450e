// Who may publish to a listener: asked on libsrt's thread for each handshake, told by the node's lane how things stand.
//
// libsrt asks before it looks at the passphrase. So somebody let in has not come yet: a publisher that fell silent gives
// way only to one that waits to be accepted, and whoever was let in and never came is reported.
import CLinux
import CSRT
import Engine
import Synchronization

/// Lets one publisher in at a time. Said to any thread.
final class SRTAdmission: Sendable {
    /// A publisher that has sent nothing for this long gives way to another: one that was killed and started again is
    /// not refused for the sake of its own remains. As long as until readers are told that there is no signal.
    static let grace = SRTBytes.silence
    /// A handshake that has not come to its end by then has failed.
    private static let handshake: Int64 = 500_000_000

    private let wantedStreamID: String
    private let context: NodeContext
    private let isBusy = Atomic<Bool>(false)
    private let lastBytes = Atomic<Int64>(0)
    /// When somebody was let in that has not been accepted yet; 0 for nobody.
    private let admitted = Atomic<Int64>(0)

    init(streamID: String, context: NodeContext) {
        wantedStreamID = streamID
        self.context = context
    }

    /// Has libsrt ask for each handshake of a listener. Lives longer than the socket: the node holds both.
    func guards(_ listener: SRTSocket) -> Bool {
        srt_listen_callback(listener.handle, admitPublisher, Unmanaged.passUnretained(self).toOpaque()) == 0
    }

    // MARK: On the node's lane

    /// A publisher is connected.
    func begin() {
        admitted.store(0, ordering: .relaxed)
        lastBytes.store(context.now, ordering: .relaxed)
        isBusy.store(true, ordering: .sequentiallyConsistent)
    }
    func end() { isBusy.store(false, ordering: .sequentiallyConsistent) }
    func bytesCame(at now: Int64) { lastBytes.store(now, ordering: .relaxed) }

    /// Somebody was let in and may wait to be accepted.
    var hasAdmitted: Bool { admitted.load(ordering: .relaxed) != 0 }

    /// Says of somebody who was let in some time ago, and whom the listener still has not got, why.
    func reportMissing() {
        let time = admitted.load(ordering: .relaxed)
        guard time != 0, context.now - time > Self.handshake else { return }
        guard admitted.compareExchange(expected: time, desired: 0, ordering: .relaxed).exchanged else { return }
        context.log(
            .warning,
            "a publisher was refused: its passphrase is not ours, or it has one and we have none; both ends "
                + "need the same \"passphrase\"")
    }

    // MARK: On libsrt's thread

    /// Nil lets the publisher in; else the reason, in SRT's codes.
    func refusal(streamID: String) -> Int32? {
        if !wantedStreamID.isEmpty, !matches(streamID) {
            context.log(.warning, "a publisher was refused: its stream id is not the \"streamid\" of this node")
            return Int32(SRT_REJX_FORBIDDEN)
        }
        let now = context.now
        if isBusy.load(ordering: .sequentiallyConsistent), now - lastBytes.load(ordering: .relaxed) <= Self.grace {
            context.log(.warning, "a publisher was refused: another one is connected and sends")
            return Int32(SRT_REJX_CONFLICT)
        }
        admitted.store(now, ordering: .relaxed)
        return nil
    }

    /// The id itself, or the resource in SRT's access control form `#!::r=ID,m=publish`.
    private func matches(_ streamID: String) -> Bool {
        if streamID == wantedStreamID { return true }
        guard streamID.hasPrefix("#!::") else { return false }
        return streamID.dropFirst(4).split(separator: ",").contains { $0 == "r=\(wantedStreamID)" }
    }
}

private func admitPublisher(
    opaque: UnsafeMutableRawPointer?, socket: SRTSOCKET, version: Int32, peer: UnsafePointer<sockaddr>?,
    streamID: UnsafePointer<CChar>?
) -> Int32 {
    guard let opaque else { return -1 }
    let admission = Unmanaged<SRTAdmission>.fromOpaque(opaque).takeUnretainedValue()
    guard let reason = admission.refusal(streamID: streamID.map { String(cString: $0) } ?? "") else { return 0 }
    srt_setrejectreason(socket, reason)
    return -1
}
