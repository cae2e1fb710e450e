// The writer's functions of patchbay_ring.h: null and sizes are checked here, and handles become objects.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

public import CPatchbayRing
public import CRingLayout
import Media

extension Writer {
    static func of(_ handle: OpaquePointer?) throws(Failure) -> Writer {
        guard let handle else { throw .argument("the writer is null: open it first") }
        return Unmanaged<Writer>.fromOpaque(UnsafeRawPointer(handle)).takeUnretainedValue()
    }
}

/// Memory of the caller; null with a size of 0 is no memory at all.
private func memory(
    _ start: UnsafeRawPointer?, _ size: Int, _ what: String
) throws(Failure) -> UnsafeRawBufferPointer? {
    guard size != 0 else { return nil }
    guard let start, size > 0 else { throw .argument("\(what) is null and \(size) bytes long") }
    return UnsafeRawBufferPointer(start: start, count: size)
}

@c @implementation
public func pbr_writer_open(
    _ writer: UnsafeMutablePointer<OpaquePointer?>!, _ id: UnsafePointer<CChar>!,
    _ format: UnsafePointer<pbr_format>!, _ options: UnsafePointer<pbr_writer_options>!
) -> Int32 {
    reporting { () throws(Failure) in
        guard let writer else { throw .argument("the place for the writer is null") }
        writer.pointee = nil
        guard let format else { throw .argument("the format is null: fill one with pbr_video_format or its siblings") }
        let options = options?.pointee ?? pbr_writer_options()
        let name = try RingName(slot: id)
        let extradata = try memory(options.extradata, options.extradata_size, "extradata")
        let request = SlotRequest(
            name: name, format: try StreamFormat(writing: format.pointee, extradata: extradata),
            options: options, address: try .fromEnvironment(),
            extradata: extradata ?? UnsafeRawBufferPointer(start: nil, count: 0))
        writer.pointee = OpaquePointer(Unmanaged.passRetained(try Writer(request)).toOpaque())
        return 0
    }
}

@c @implementation
public func pbr_writer_format(_ writer: OpaquePointer!) -> UnsafePointer<pbr_format>! {
    guard let writer = try? Writer.of(writer) else { return nil }
    return UnsafePointer(writer.format)
}

@c @implementation
public func pbr_writer_acquire(_ writer: OpaquePointer!, _ buffer: UnsafeMutablePointer<pbr_buffer>!) -> Int32 {
    reporting { () throws(Failure) in
        guard let buffer else { throw .argument("the place for the buffer is null") }
        buffer.pointee = pbr_buffer()
        try Writer.of(writer).acquire(&buffer.pointee)
        return 0
    }
}

@c @implementation
public func pbr_writer_publish(
    _ writer: OpaquePointer!, _ buffer: UnsafeMutablePointer<pbr_buffer>!, _ grain: UnsafePointer<pbr_grain>!,
    _ sideData: UnsafeRawPointer!, _ sideDataSize: Int
) -> Int32 {
    reporting { () throws(Failure) in
        let writer = try Writer.of(writer)
        guard let buffer else { throw .argument("the buffer is null: acquire one") }
        guard let grain else {
            writer.abort(&buffer.pointee)
            throw .argument("the grain is null: tell at least its pts")
        }
        try writer.publish(&buffer.pointee, grain.pointee, try memory(sideData, sideDataSize, "side data"))
        return 0
    }
}

@c @implementation
public func pbr_writer_abort(_ writer: OpaquePointer!, _ buffer: UnsafeMutablePointer<pbr_buffer>!) {
    guard let buffer, let writer = try? Writer.of(writer) else { return }
    writer.abort(&buffer.pointee)
}

@c @implementation
public func pbr_writer_publish_packet(
    _ writer: OpaquePointer!, _ grain: UnsafePointer<pbr_grain>!, _ data: UnsafeRawPointer!, _ size: Int,
    _ sideData: UnsafeRawPointer!, _ sideDataSize: Int
) -> Int32 {
    reporting { () throws(Failure) in
        let writer = try Writer.of(writer)
        guard let grain else { throw .argument("the grain is null: tell at least its pts") }
        let bytes = try memory(data, size, "the packet") ?? UnsafeRawBufferPointer(start: nil, count: 0)
        try writer.publish(packet: bytes, grain.pointee, try memory(sideData, sideDataSize, "side data"))
        return 0
    }
}

@c @implementation
public func pbr_writer_set_state(_ writer: OpaquePointer!, _ state: UInt32) -> Int32 {
    reporting { () throws(Failure) in
        try Writer.of(writer).set(state: state)
        return 0
    }
}

@c @implementation
public func pbr_writer_close(_ writer: OpaquePointer!, _ state: UInt32) {
    guard let writer else { return }
    let owned = Unmanaged<Writer>.fromOpaque(UnsafeRawPointer(writer)).takeRetainedValue()
    owned.end(state: state)
}

@c @implementation
public func pbr_writer_statistics(
    _ writer: OpaquePointer!, _ statistics: UnsafeMutablePointer<pbr_statistics>!
) -> Int32 {
    reporting { () throws(Failure) in
        guard let statistics else { throw .argument("the place for the statistics is null") }
        statistics.pointee = try Writer.of(writer).statistics
        return 0
    }
}
