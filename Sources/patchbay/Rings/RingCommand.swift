// `patchbay ring`: looks at rings, reads and writes them, gives back what nobody uses. Needs no engine.
import CLinux
import CRingLayout
import Engine
import FrameCache
import Graph
import Media
import Rings

enum RingCommand {
    static let command = Command(
        "ring", ["list|info|read|write|reclaim", "[NAME]"],
        "Lists, describes, reads and writes rings: slots of the frame cache and outlets of running graphs.",
        HTTPClient.options + [
            Option("json", "list, info: prints JSON."),
            Option("live", "info: goes on, once a second, until Ctrl-C."),
            Option("for", "TIME", "info --live, read, write: ends after this time, as in 10s."),
        ] + RingReadCommand.options + RingWriteCommand.options
    ) { (arguments) async throws(UsageError) in
        let place = try RingPlace(arguments)
        do throws(RingCommandFault) {
            switch arguments.operands[0] {
            case "list":
                list(place, isJSON: arguments.has("json"))
                return .success
            case "info": return try await info(place, name(arguments), arguments)
            case "read": return try RingReadCommand(place, name(arguments), arguments).run()
            case "write": return try RingWriteCommand(place, name(arguments), arguments).run()
            case "reclaim":
                reclaim(place)
                return .success
            case let other:
                throw RingCommandFault(
                    "\"\(other)\" is nothing that ring does; expected list, info, read, write or reclaim")
            }
        } catch {
            writeToStandardError("patchbay: \(error)\n")
            return .failure
        }
    }

    private static func name(_ arguments: Arguments) throws(RingCommandFault) -> String {
        guard arguments.operands.count == 2 else {
            throw RingCommandFault(
                "ring \(arguments.operands[0]) needs a NAME: a slot such as cam1, or an outlet such as camera.video")
        }
        return arguments.operands[1]
    }

    // MARK: list

    private static func list(_ place: RingPlace, isJSON: Bool) {
        let now = linux_monotonic_nanoseconds()
        let rings = place.rings.map { ring in
            JSON.object(JSONObject([("name", .string(ring.name))] + ring.mapping.description(at: now)))
        }
        guard !isJSON else {
            writeToStandardOutput(JSON.object(JSONObject([("rings", .array(rings))])).pretty + "\n")
            return
        }
        let rows = rings.map { ring in
            [
                ring["name"]?.string ?? "", ring["state"]?.string ?? "",
                ring["writer"]?["alive"]?.bool == true ? "alive" : "none", ring["rate"]?.double.map { "\($0)" } ?? "",
                "\(ring["head"]?.integer ?? 0)", "\(ring["readers"]?.array?.count ?? 0)",
                "\((ring["bytes"]?.integer ?? 0) >> 10) KiB", ring["format"]?.string ?? "",
            ]
        }
        writeToStandardOutput(
            aligned([["NAME", "STATE", "WRITER", "GRAINS/S", "HEAD", "READERS", "SIZE", "FORMAT"]] + rows))
    }

    // MARK: info

    private static func info(
        _ place: RingPlace, _ name: String, _ arguments: Arguments
    ) async throws(RingCommandFault) -> ExitCode {
        var ring = try place.ring(name)
        let end = try deadline(arguments)
        while true {
            show(name, ring, isJSON: arguments.has("json"))
            guard arguments.has("live"), linux_monotonic_nanoseconds() < end else { return .success }
            do { try await Task.sleep(nanoseconds: 1_000_000_000) } catch { return .success }
            // A ring of the next generation may have taken the name.
            if ring.state == UInt32(PBR_STATE_SUPERSEDED) || ring.nameCount == 0 { ring = try place.ring(name) }
        }
    }

    private static func show(_ name: String, _ ring: RingMapping, isJSON: Bool) {
        let json = JSON.object(
            JSONObject([("name", .string(name))] + ring.description(at: linux_monotonic_nanoseconds())))
        guard !isJSON else {
            writeToStandardOutput(json.utf8Text + "\n")
            return
        }
        func number(_ key: String, _ unit: String) -> String {
            json[key]?.double.map { "\($0)\(unit)" } ?? "unknown"
        }
        var lines = [
            "\(name): \(json["type"]?.string ?? ""), \(json["format"]?.string ?? "format unknown")",
            "  state \(json["state"]?.string ?? ""), writer \(ring.isWriterAlive ? "alive" : "none"), head \(ring.head), "
                + "generation \(ring.identity.generation), layout \(ring.identity.layout_major).\(ring.identity.layout_minor)",
            "  rate \(number("rate", "/s")), jitter \(number("jitterMilliseconds", " ms")), age "
                + "\(number("ageMilliseconds", " ms")), dropped \(ring.dropped), copied \(ring.copied)",
            "  depth \(ring.identity.depth), \(ring.identity.file_size) bytes",
        ]
        for reader in json["readers"]?.array ?? [] {
            func count(_ key: String) -> Int { reader[key]?.integer ?? 0 }
            lines.append(
                "  reader \(count("id")) \"\(reader["name"]?.string ?? "")\" of process \(count("pid")): lag "
                    + "\(count("lag")), holds \(count("leases")) of \(count("leaseLimit")), lost \(count("lost")), read "
                    + "\(count("taken"))")
        }
        writeToStandardOutput(lines.joined(separator: "\n") + "\n")
    }

    /// When `--for` is over, monotonic nanoseconds; far away without it.
    static func deadline(_ arguments: Arguments) throws(RingCommandFault) -> Int64 {
        guard let text = arguments.text("for") else { return .max }
        guard let time = MediaTime(duration: text) else {
            throw RingCommandFault("--for is \"\(text)\"; expected a time such as 10s")
        }
        return linux_monotonic_nanoseconds() + time.nanoseconds
    }

    // MARK: reclaim

    /// Frees the places of dead readers everywhere, and what dead writers and dead engines left.
    private static func reclaim(_ place: RingPlace) {
        let readers = place.rings.reduce(0) { $0 + $1.mapping.sweepDeadReaders() }
        let found = RingFolder.reclaim(place.folder)
        // A folder that a writer made where no engine ran, if nothing is left in it. Of an engine it is a link.
        rmdir(place.folder)
        writeToStandardOutput(
            "gave back \(found.count) rings, \(found.reduce(0) { $0 + $1.bytes } >> 10) KiB"
                + (found.isEmpty ? "" : ": \(found.map(\.name).joined(separator: ", "))")
                + "; freed the places of \(readers) dead readers\n")
    }
}

extension JSON {
    /// On one line.
    fileprivate var utf8Text: String { String(decoding: utf8(pretty: false), as: UTF8.self) }
}
