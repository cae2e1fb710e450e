// What `source.fault` can be told: a timetable, chance, a seed. Values: any thread.
package import Graph
import Media

/// Faults as the document gives them; what is wrong with one is said by the kind's check.
package struct FaultTable: SettingValue {
    package let json: JSON

    package static var typeName: String { "faults" }
    package static var expectation: String {
        "a list of faults such as [{ \"at\": \"10s\", \"for\": \"2s\", \"kind\": \"stall\" }], or one kind of fault"
    }
    package static var schema: JSON {
        let kinds = JSON.array(FaultKind.allCases.map { .string($0.rawValue) })
        let fault: JSON = [
            "type": "object", "required": ["kind"], "additionalProperties": false,
            "properties": [
                "kind": ["enum": kinds], "at": MediaTime.schema, "for": MediaTime.schema,
                "share": ["type": "string", "pattern": "^[0-9.]+%$"], "by": MediaTime.schema,
            ],
        ]
        return [
            "anyOf": [
                ["enum": kinds],
                ["type": "array", "maxItems": .number(JSONNumber(FaultReader.mostFaults)), "items": fault],
            ]
        ]
    }
    package init?(setting json: JSON) {
        guard json.array != nil || json.string != nil else { return nil }
        self.json = json
    }
    package var settingJSON: JSON { json }
    package static func settingJSON(fromText text: String) -> JSON {
        do throws(JSONFault) { return try JSONText(text).parse() } catch { return .string(text) }
    }

    static let none = FaultTable(list: [])
    private init(list: [JSON]) { json = .array(list) }
}

/// Reads a timetable whole, so that all that is wrong is said at once.
struct FaultReader {
    static let mostFaults = 1000
    private(set) var faults: [Fault] = []
    private(set) var wrong: [SettingFault] = []

    init(_ table: JSON) {
        let kinds = FaultKind.allCases.map(\.rawValue).joined(separator: ", ")
        // A word is one fault, from now on.
        let list = table.array ?? [["kind": table]]
        guard list.count <= Self.mostFaults else {
            add([], "found \(list.count) faults", "expected at most \(Self.mostFaults)", "remove some")
            return
        }
        for (i, json) in list.enumerated() {
            let path = table.array == nil ? [] : ["\(i)"]
            guard let object = json.object else {
                add(path, "found \(json.phrase)", "expected a fault", "write { \"kind\": \"stall\", \"for\": \"2s\" }")
                continue
            }
            read(object, path, kinds)
        }
    }

    private mutating func add(_ path: [String], _ found: String, _ expected: String, _ remedy: String) {
        wrong.append(SettingFault("faults", path: path, found: found, expected: expected, remedy: remedy))
    }

    private mutating func read(_ object: JSONObject, _ path: [String], _ kinds: String) {
        guard let kind = object["kind"]?.string.flatMap(FaultKind.init(rawValue:)) else {
            let found = object["kind"].map { "found \($0.phrase)" } ?? "\"kind\" is missing"
            return add(path, found, "expected one of \(kinds)", "rename it")
        }
        var fault = Fault(kind)
        let known = ["kind", "at", "for"] + kind.keys
        for key in object.keys where !known.contains(key) {
            add(
                path + [key], "unknown key \"\(key.prefix(80))\"", "expected one of \(known.joined(separator: ", "))",
                "remove it")
        }
        if let at = time(object, "at", path, least: 0) { fault.begin = at }
        if let length = time(object, "for", path, least: 1) { fault.end = fault.begin + length }
        if let delay = time(object, "by", path, least: 1) { fault.delay = delay }
        if let share = object["share"] {
            if let text = share.string, text.hasSuffix("%"), let value = Double(text.dropLast()),
                (0...100).contains(value)
            {
                fault.share = value / 100
            } else {
                add(path + ["share"], "found \(share.phrase)", "expected a percentage such as \"10%\"", "write one")
            }
        }
        faults.append(fault)
    }

    private mutating func time(_ object: JSONObject, _ key: String, _ path: [String], least: Int64) -> Int64? {
        guard let json = object[key] else { return nil }
        if let time = MediaTime(setting: json)?.nanoseconds, (least...Self.longest).contains(time) { return time }
        add(path + [key], "found \(json.phrase)", "expected a duration such as \"2s\", at most a day", "write one")
        return nil
    }
    static let longest: Int64 = 24 * 3600 * 1_000_000_000
}

extension FaultKind {
    /// Beside when and how long.
    fileprivate var keys: [String] {
        switch self {
        case .drop, .corrupt: ["share"]
        case .jitter: ["by"]
        case .stall, .freeze, .black, .silence, .disconnect, .format: []
        }
    }
}

extension RandomFaults: SettingValue {
    package static var typeName: String { "random faults" }
    package static var expectation: String {
        "an object such as { \"every\": \"30s\", \"for\": \"2s\", \"kinds\": [\"stall\", \"drop\"] }"
    }
    package static var schema: JSON {
        [
            "type": "object", "required": ["every", "for"], "additionalProperties": false,
            "properties": [
                "every": MediaTime.schema, "for": MediaTime.schema,
                "kinds": ["type": "array", "items": ["enum": .array(FaultKind.allCases.map { .string($0.rawValue) })]],
            ],
        ]
    }
    package init?(setting json: JSON) {
        guard let object = json.object, object.keys.allSatisfy({ ["every", "for", "kinds"].contains($0) }),
            let every = object["every"].flatMap({ MediaTime(setting: $0) })?.nanoseconds,
            let length = object["for"].flatMap({ MediaTime(setting: $0) })?.nanoseconds,
            (1_000_000...FaultReader.longest).contains(every), (1_000_000...FaultReader.longest).contains(length)
        else { return nil }
        (pause, self.length, kinds) = (every, length, FaultKind.allCases)
        guard let list = object["kinds"] else { return }
        let kinds = list.array?.compactMap { $0.string.flatMap(FaultKind.init(rawValue:)) } ?? []
        guard !kinds.isEmpty, kinds.count == list.array?.count else { return nil }
        self.kinds = kinds
    }
    package var settingJSON: JSON {
        [
            "every": .string(MediaTime(nanoseconds: pause).durationText),
            "for": .string(MediaTime(nanoseconds: length).durationText),
            "kinds": .array(kinds.map { .string($0.rawValue) }),
        ]
    }
    package static func settingJSON(fromText text: String) -> JSON { FaultTable.settingJSON(fromText: text) }
}

/// Settings of `source.fault`.
package struct FaultSettings: NodeSettings, Equatable {
    static let faults = Setting(
        "faults", default: FaultTable.none,
        "What goes wrong and when: \"kind\" (" + FaultKind.allCases.map(\.rawValue).joined(separator: ", ")
            + "), \"at\" (counted from when this was given; now without it), \"for\" (without it until this is changed), "
            + "\"share\" of what is lost or corrupt, \"by\" of the jitter.", isLive: true)
    static let random = Setting<RandomFaults?>(
        "random", default: nil, "Faults that come by chance: how often, for how long, and of which \"kinds\".",
        isLive: true)
    static let seed = Setting("seed", default: 1, "The same seed throws the same dice.", isLive: true)
        .within(0...Int(Int32.max))

    package static let declarations: [SettingDeclaration] = .of(faults, random, seed)

    let faults: [Fault]
    let random: RandomFaults?
    let seed: UInt64

    package init(_ values: SettingValues) {
        faults = FaultReader(values[Self.faults].json).faults
        random = values[Self.random]
        seed = UInt64(values[Self.seed])
    }

    var timetable: FaultTimetable { FaultTimetable(faults, random: random, seed: seed) }
}
