// One coded packet, refcounted by libav, reused from read to read.
internal import CFFmpeg
package import Media

/// A packet that a demuxer fills and lends. What it lends is valid until it is filled again or destroyed.
package struct DemuxedPacket: ~Copyable {
    let packet: UnsafeMutablePointer<AVPacket>
    /// Seconds of one tick of the times below.
    package internal(set) var timeBase = Rational(1, 90_000)
    /// Since the packet before it of this stream, `StreamDescription.format` has become another.
    package internal(set) var formatChanged = false

    package init() throws(AVFault) {
        packet = try checkAllocated(av_packet_alloc(), "allocate packet")
    }

    deinit {
        var packet: UnsafeMutablePointer<AVPacket>? = packet
        av_packet_free(&packet)
    }

    package var stream: Int { Int(packet.pointee.stream_index) }
    /// Ticks as the container has them, wraps included; nil unknown.
    package var pts: Int64? { packet.pointee.pts == av_no_pts ? nil : packet.pointee.pts }
    package var dts: Int64? { packet.pointee.dts == av_no_pts ? nil : packet.pointee.dts }
    /// Ticks, 0 unknown.
    package var duration: Int64 { packet.pointee.duration }
    package var isKey: Bool { packet.pointee.flags & AV_PKT_FLAG_KEY != 0 }
    package var isCorrupt: Bool { packet.pointee.flags & AV_PKT_FLAG_CORRUPT != 0 }
    /// No other picture refers to this one.
    package var isDisposable: Bool { packet.pointee.flags & AV_PKT_FLAG_DISPOSABLE != 0 }
    /// The container wants it decoded, yet not shown (before an edit's start).
    package var isDiscarded: Bool { packet.pointee.flags & AV_PKT_FLAG_DISCARD != 0 }
    package var size: Int { Int(packet.pointee.size) }
    /// The payload, with at least 64 readable bytes behind it.
    package var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: packet.pointee.data, count: Int(packet.pointee.size))
    }
}
