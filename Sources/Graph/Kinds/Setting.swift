// One setting of a kind, declared once: from this come reading, checking, documentation, JSON Schema and the decision
// whether a change restarts the node. Values: any thread.

/// A typed setting. Declared as a static constant of a node's settings and used as the key of `SettingValues`.
package struct Setting<Value: SettingValue>: Sendable {
    package let name: String
    /// Nil: the document must give one.
    package let fallback: Value?
    /// One or two sentences for people; no unit, no default.
    package let documentation: String
    /// Of plain numbers: `samples a second`.
    package let unit: String?
    /// Whether a running node takes a change of it.
    package private(set) var isLive: Bool
    /// What such a change does, where that is not seen at once or not by all: "in place with libx264".
    fileprivate var liveNote: String?
    /// Limits beyond those of the type.
    fileprivate var limit: Limit<Value>?
    /// Whether the value is the path of something that the node reads.
    fileprivate var isInput = false
    /// The inputs that it does something for, where a node of the kind takes raw or coded ones; nil: any.
    fileprivate var inputs: InputCoding?

    /// A setting that need not be given.
    package init(
        _ name: String, default fallback: Value, _ documentation: String, unit: String? = nil, isLive: Bool = false
    ) {
        self.init(name, fallback, documentation, unit, isLive, nil)
    }

    /// A setting that must be given.
    package init(required name: String, _ documentation: String, unit: String? = nil, isLive: Bool = false) {
        self.init(name, nil, documentation, unit, isLive, nil)
    }

    private init(
        _ name: String, _ fallback: Value?, _ documentation: String, _ unit: String?, _ isLive: Bool,
        _ limit: Limit<Value>?
    ) {
        self.name = name
        self.fallback = fallback
        self.documentation = documentation
        self.unit = unit
        self.isLive = isLive
        self.limit = limit
    }
}

/// What a node's inputs carry, where its kind takes either.
package enum InputCoding: String, Sendable {
    case raw, coded
}

/// Bounds of a value; both belong to it.
private struct Limit<Value: Sendable>: Sendable {
    let phrase: String
    let holds: @Sendable (Value) -> Bool
    /// For plain numbers.
    var minimum: JSON?
    var maximum: JSON?
}

extension Setting where Value: Comparable {
    /// Held to `range`, both ends included.
    package func within(_ range: ClosedRange<Value>) -> Setting {
        var setting = self
        setting.limit = Limit(
            phrase: rangePhrase(range), holds: { range.contains($0) }, minimum: bound(range.lowerBound),
            maximum: bound(range.upperBound))
        return setting
    }
}

extension Setting {
    /// A running node takes a change of it, in the way that `note` says.
    package func live(_ note: String) -> Setting {
        var setting = self
        (setting.isLive, setting.liveNote) = (true, note)
        return setting
    }
}

extension Setting {
    /// It does nothing where the node's inputs are others.
    package func of(_ inputs: InputCoding) -> Setting {
        var setting = self
        setting.inputs = inputs
        return setting
    }
}

extension Setting where Value == FilePath {
    /// Something that the node reads: documents that come over HTTP may name it in some folders only.
    package func asInput() -> Setting {
        var setting = self
        setting.isInput = true
        return setting
    }
}

extension Setting where Value == FilePath? {
    /// Something that the node reads, where it is given.
    package func asInput() -> Setting {
        var setting = self
        setting.isInput = true
        return setting
    }
}

extension Setting {
    /// Held to `range` where it is given, both ends included.
    package func within<Bound: SettingValue & Comparable>(_ range: ClosedRange<Bound>) -> Setting
    where Value == Bound? {
        var setting = self
        setting.limit = Limit(
            phrase: rangePhrase(range), holds: { $0.map(range.contains) ?? true }, minimum: bound(range.lowerBound),
            maximum: bound(range.upperBound))
        return setting
    }

    /// The value that `json` stands for, nil where it is none.
    func read(_ json: JSON) -> Value? {
        guard let value = Value(setting: json), limit?.holds(value) ?? true else { return nil }
        return value
    }
}

private func rangePhrase<Bound: SettingValue>(_ range: ClosedRange<Bound>) -> String {
    "from \(plain(range.lowerBound)) to \(plain(range.upperBound))"
}

private func plain(_ value: some SettingValue) -> String { value.settingJSON.string ?? value.settingJSON.compact }

private func bound(_ value: some SettingValue) -> JSON? {
    if case .number = value.settingJSON { value.settingJSON } else { nil }
}

/// A setting without its type, as catalogues keep it.
package struct SettingDeclaration: Sendable {
    package let name: String
    package let documentation: String
    package let unit: String?
    package let isLive: Bool
    /// What a change does to a running node, where that is not seen at once or not by all.
    package let liveNote: String?
    package let isRequired: Bool
    package let isSecret: Bool
    /// Whether the value is the path of something that the node reads.
    package let isInputPath: Bool
    /// The inputs that it does something for, where a node of the kind takes raw or coded ones; nil: any.
    package let inputs: InputCoding?
    /// `bit rate`, `integer from 0 to 64`.
    package let typeName: String
    /// What a faulty value should have been.
    package let expectation: String
    /// As a document would have it; nil where the setting is required or absent by default.
    package let fallback: JSON?
    /// JSON Schema of the value.
    package let schema: JSON
    /// Whether the value is one.
    package let accepts: @Sendable (JSON) -> Bool
    /// Whether two accepted values mean the same: `"4M"` and `"4000k"` do. Nil is the default.
    package let isSame: @Sendable (JSON?, JSON?) -> Bool
    /// The value in the form that documentation uses; nil for what is not accepted. Secrets come out masked.
    package let normalized: @Sendable (JSON) -> JSON?
    /// What a command line's text means, before it is checked.
    package let json: @Sendable (_ text: String) -> JSON
}

extension Setting {
    /// For the `declarations` of a node's settings.
    package var declaration: SettingDeclaration {
        let phrase = limit.map { " \($0.phrase)" } ?? ""
        return SettingDeclaration(
            name: name, documentation: documentation, unit: unit, isLive: isLive, liveNote: liveNote,
            isRequired: fallback == nil,
            isSecret: Value.isSecret, isInputPath: isInput, inputs: inputs,
            typeName: Value.typeName + phrase,
            expectation: Value.expectation + phrase,
            fallback: fallback.map(\.settingJSON).flatMap { $0.isNull ? nil : $0 }, schema: schema,
            accepts: { read($0) != nil },
            isSame: { a, b in (a.flatMap(read) ?? fallback) == (b.flatMap(read) ?? fallback) },
            normalized: { read($0)?.settingJSON }, json: Value.settingJSON(fromText:))
    }

    private var schema: JSON {
        var schema = Value.schema.object ?? JSONObject()
        if let minimum = limit?.minimum { schema = schema.setting("minimum", to: minimum) }
        if let maximum = limit?.maximum { schema = schema.setting("maximum", to: maximum) }
        let text = [documentation, unit.map { "Unit: \($0)." }].compactMap(\.self).joined(separator: " ")
        schema = schema.setting("description", to: .string(text))
        if let fallback, !fallback.settingJSON.isNull { schema = schema.setting("default", to: fallback.settingJSON) }
        return .object(schema)
    }
}

extension [SettingDeclaration] {
    /// The declarations of settings of any types: `.of(encoder, bitRate, gop)`.
    package static func of<each Value>(_ settings: repeat Setting<each Value>) -> [SettingDeclaration] {
        var declarations: [SettingDeclaration] = []
        for setting in repeat each settings { declarations.append(setting.declaration) }
        return declarations
    }
}
