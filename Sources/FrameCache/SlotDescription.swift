// What `GET /slots` and `patchbay ring info` say of a ring. Made from the ring's own memory: nobody is asked.
import CRingLayout
import Engine
package import Graph
package import Media
package import Rings

extension Slot {
    /// The slot as `GET /slots/ID` shows it; times and sizes have their unit in their name or are bytes.
    /// - Parameter now: monotonic nanoseconds.
    package func json(at now: Int64) -> JSON {
        let members: [JSONObject.Member] = [
            ("id", .string(id)), ("slot_id", .string(id)), ("path", .string(path)),
            ("origin", .string(origin.rawValue)),
            ("outlet", outlet.map(JSON.string) ?? .null),
        ]
        return .object(JSONObject(members + mapping.description(at: now)))
    }
}

extension RingMapping {
    /// What the ring says of itself.
    /// - Parameter now: monotonic nanoseconds.
    package func description(at now: Int64) -> [JSONObject.Member] {
        let format = streamFormat
        let state = Signal(rawValue: state) ?? .waiting
        return [
            ("type", .string(format.map(\.type.phrase) ?? "unknown")),
            ("format", format.map { .string("\($0)") } ?? .null),
            ("layout", ["major": .count(identity.layout_major), "minor": .count(identity.layout_minor)]),
            ("generation", .count(identity.generation)), ("bytes", .count(identity.file_size)),
            ("depth", .count(identity.depth)), ("buffers", .count(identity.buffer_count)),
            ("state", .string(state.name)), ("writer", ["alive": .bool(isWriterAlive)]), ("head", .count(head)),
            ("dropped", .count(dropped)), ("copied", .count(copied)),
            ("rate", measuredRate().map(JSON.rounded) ?? .null),
            ("jitterMilliseconds", measuredJitter().map(JSON.milliseconds) ?? .null),
            ("ageMilliseconds", age(at: now).map(JSON.milliseconds) ?? .null),
            ("readers", .array((0..<Int(PBR_MAX_READERS)).compactMap(readerDescription))),
        ]
    }

    /// Nil also of an origin that no clock can have: any process may write one.
    private func age(at now: Int64) -> Int64? {
        guard let origin = newestOrigin else { return nil }
        let (age, isAbsurd) = now.subtractingReportingOverflow(origin)
        return isAbsurd ? nil : age
    }

    private func readerDescription(_ id: Int) -> JSON? {
        guard let reader = reader(id) else { return nil }
        let name = withUnsafeBytes(of: reader.name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        let lag = head &- reader.cursor
        return [
            "id": .count(id), "name": .string(name), "pid": .count(reader.pid), "lag": .count(min(lag, 1 << 48)),
            "leases": .count(reader.leases), "leaseLimit": .count(reader.lease_limit), "lost": .count(reader.lost),
            "taken": .count(reader.taken), "lossless": .bool(reader.owner == UInt32(PBR_READER_LOSSLESS)),
        ]
    }

    /// The header's format as a value, nil for one that no picture or sound can have.
    package var streamFormat: StreamFormat? {
        do throws(FormatError) { return try StreamFormat(format, extradata: Array(extradata)) } catch { return nil }
    }
}
