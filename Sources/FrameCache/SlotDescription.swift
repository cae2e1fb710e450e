// What `GET /slots` says of a slot. Made from the ring's own memory: nobody is asked.
import CRingLayout
import Engine
package import Graph
package import Media
package import Rings

extension Slot {
    /// The slot as `GET /slots/ID` shows it; times and sizes have their unit in their name or are bytes.
    /// - Parameter now: monotonic nanoseconds.
    package func json(at now: Int64) -> JSON {
        let identity = mapping.identity
        let format = mapping.streamFormat
        let state = Signal(rawValue: mapping.state) ?? .waiting
        let isAlive = mapping.isWriterAlive
        let age = mapping.newestOrigin.map { JSON.milliseconds(now - $0) }
        return [
            "id": .string(id), "slot_id": .string(id), "path": .string(path), "origin": .string(origin.rawValue),
            "outlet": outlet.map(JSON.string) ?? .null,
            "type": .string(format.map(\.type.phrase) ?? "unknown"),
            "format": format.map { .string("\($0)") } ?? .null,
            "layout": ["major": .count(identity.layout_major), "minor": .count(identity.layout_minor)],
            "generation": .count(identity.generation), "bytes": .count(identity.file_size),
            "depth": .count(identity.depth), "buffers": .count(identity.buffer_count), "state": .string(state.name),
            "writer": ["alive": .bool(isAlive)], "head": .count(mapping.head),
            "dropped": .count(mapping.dropped), "copied": .count(mapping.copied),
            "rate": mapping.measuredRate().map(JSON.rounded) ?? .null, "ageMilliseconds": age ?? .null,
            "readers": .array((0..<Int(PBR_MAX_READERS)).compactMap(reader)),
        ]
    }

    private func reader(_ id: Int) -> JSON? {
        guard let reader = mapping.reader(id) else { return nil }
        let name = withUnsafeBytes(of: reader.name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        let lag = mapping.head &- reader.cursor
        return [
            "id": .count(id), "name": .string(name), "pid": .count(reader.pid), "lag": .count(min(lag, 1 << 48)),
            "leases": .count(reader.leases), "leaseLimit": .count(reader.lease_limit), "lost": .count(reader.lost),
            "taken": .count(reader.taken), "lossless": .bool(reader.owner == UInt32(PBR_READER_LOSSLESS)),
        ]
    }
}

extension RingMapping {
    /// The header's format as a value, nil for one that no picture or sound can have.
    package var streamFormat: StreamFormat? {
        do throws(FormatError) { return try StreamFormat(format, extradata: Array(extradata)) } catch { return nil }
    }
}
