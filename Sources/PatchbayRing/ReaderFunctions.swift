// The reader's functions of patchbay_ring.h: null is checked here, and handles become objects.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import CLinux
public import CPatchbayRing
public import CRingLayout
import Rings

extension Reader {
    static func of(_ handle: OpaquePointer?) throws(Failure) -> Reader {
        guard let handle else { throw .argument("the reader is null: attach it first") }
        return Unmanaged<Reader>.fromOpaque(UnsafeRawPointer(handle)).takeUnretainedValue()
    }
}

@c @implementation
public func pbr_reader_attach(
    _ reader: UnsafeMutablePointer<OpaquePointer?>!, _ name: UnsafePointer<CChar>!,
    _ options: UnsafePointer<pbr_reader_options>!
) -> Int32 {
    reporting { () throws(Failure) in
        guard let reader else { throw .argument("the place for the reader is null") }
        reader.pointee = nil
        let attached = try Reader(
            try RingName(ring: name), options?.pointee ?? pbr_reader_options(), try .fromEnvironment())
        reader.pointee = OpaquePointer(Unmanaged.passRetained(attached).toOpaque())
        return 0
    }
}

@c @implementation
public func pbr_reader_detach(_ reader: OpaquePointer!) {
    guard let reader else { return }
    Unmanaged<Reader>.fromOpaque(UnsafeRawPointer(reader)).release()
}

@c @implementation
public func pbr_reader_read(
    _ reader: OpaquePointer!, _ lease: UnsafeMutablePointer<pbr_lease>!, _ timeout: Int64
) -> Int32 {
    reporting { () throws(Failure) in
        guard let lease else { throw .argument("the place for the lease is null") }
        lease.pointee = pbr_lease()
        return Int32(bitPattern: try Reader.of(reader).read(&lease.pointee, timeout: timeout).rawValue)
    }
}

@c @implementation
public func pbr_release(_ lease: UnsafeMutablePointer<pbr_lease>!) {
    guard let lease, let owner = lease.pointee.owner else { return }
    lease.pointee.owner = nil
    (lease.pointee.data, lease.pointee.size) = (nil, 0)
    (lease.pointee.side_data, lease.pointee.side_data_size) = (nil, 0)
    FrameLease.end(handedOver: owner)
}

@c @implementation
public func pbr_reader_seek(_ reader: OpaquePointer!, _ start: UInt32, _ at: Int64) -> Int32 {
    reporting { () throws(Failure) in
        try Reader.of(reader).seek(try ReaderStart(start, at))
        return 0
    }
}

@c @implementation
public func pbr_reader_reopen(_ reader: OpaquePointer!, _ timeout: Int64) -> Int32 {
    reporting { () throws(Failure) in
        try Reader.of(reader).reopen(timeout: timeout)
        return 0
    }
}

@c @implementation
public func pbr_reader_format(_ reader: OpaquePointer!) -> UnsafePointer<pbr_format>! {
    guard let reader = try? Reader.of(reader) else { return nil }
    return reader.format
}

@c @implementation
public func pbr_reader_extradata(
    _ reader: OpaquePointer!, _ size: UnsafeMutablePointer<Int>!
) -> UnsafeRawPointer! {
    guard let reader = try? Reader.of(reader) else { return nil }
    size?.pointee = reader.extradata.count
    return reader.extradata.baseAddress
}

@c @implementation
public func pbr_reader_statistics(
    _ reader: OpaquePointer!, _ statistics: UnsafeMutablePointer<pbr_statistics>!
) -> Int32 {
    reporting { () throws(Failure) in
        guard let statistics else { throw .argument("the place for the statistics is null") }
        statistics.pointee = try Reader.of(reader).statistics
        return 0
    }
}
