// The settings of one node, checked: what the document gives, with defaults behind it. Values are read from their JSON
// when they are asked for, so that ten thousand nodes cost no more than their document. Any thread.

/// Checked settings. Only made where every given value was accepted by its declaration and no required one is missing.
package struct SettingValues: Sendable {
    /// As the document gives them.
    package let given: JSONObject

    /// - Parameter given: checked against the declarations that it will be asked with.
    init(checked given: JSONObject) { self.given = given }

    /// The value of a setting, its default where the document gives none.
    /// - Precondition: the setting belongs to the kind that these settings were checked for.
    package subscript<Value>(_ setting: Setting<Value>) -> Value {
        if let json = given[setting.name], let value = setting.read(json) { return value }
        guard let fallback = setting.fallback else {
            preconditionFailure("setting \"\(setting.name)\" is required, and these settings were not checked for it")
        }
        return fallback
    }

    /// Whether the document gives a value.
    package func gives<Value>(_ setting: Setting<Value>) -> Bool { given[setting.name] != nil }

    /// These with another value of one setting; nil where the kind has no such setting, or it does not take that.
    package func setting(_ name: String, to value: JSON, _ kind: KindDeclaration) -> SettingValues? {
        guard let declaration = kind.setting(name), declaration.accepts(value) else { return nil }
        return SettingValues(checked: given.setting(name, to: value))
    }

    /// Every setting with its value, as a document would have it, secrets masked.
    package func resolved(_ declarations: [SettingDeclaration]) -> JSON {
        .object(
            JSONObject(
                declarations.map { declaration in
                    let value = given[declaration.name].flatMap(declaration.normalized) ?? declaration.fallback
                    return (declaration.name, value ?? .null)
                }))
    }
}

/// The settings of a kind as a plain structure.
package protocol NodeSettings: Sendable, Equatable {
    /// All settings, in the order in which documentation lists them.
    static var declarations: [SettingDeclaration] { get }
    /// Reads each by its typed setting; can't fail, since the values were checked.
    init(_ values: SettingValues)
}

extension NodeSettings {
    /// Settings from JSON without a document, checked as those of a node are.
    package static func read(_ json: JSON = [:], at pointer: JSONPointer = []) -> Result<Self, DocumentFaults> {
        var faults = FaultList()
        guard let values = SettingValues.check(json, declarations, at: pointer, &faults) else {
            return .failure(DocumentFaults(faults.finished))
        }
        return .success(Self(values))
    }
}

extension SettingValues {
    /// Checks `json` (nil: nothing given) against the declarations; nil where anything is wrong with it.
    static func check(
        _ json: JSON?, _ declarations: [SettingDeclaration], at pointer: JSONPointer, _ faults: inout FaultList
    ) -> SettingValues? {
        let before = faults.count
        let given: JSONObject
        switch json {
        case nil: given = JSONObject()
        case .object(let object)?: given = object
        case let other?:
            faults.add(pointer, "found \(other.phrase)", "expected an object", "write { \"name\": value, … }")
            return nil
        }
        var found = 0
        for declaration in declarations {
            if let value = given[declaration.name] {
                found += 1
                if !declaration.accepts(value) { faults.add(value, declaration, at: pointer) }
            } else if declaration.isRequired {
                faults.add(
                    pointer, "setting \"\(declaration.name)\" is missing", "it takes \(declaration.expectation)",
                    "add \"\(declaration.name)\"")
            }
        }
        if found < given.count {
            let names = declarations.map(\.name)
            for key in given.keys where !names.contains(key) {
                faults.addUnknown("setting", key, among: names, at: pointer / key)
            }
        }
        return faults.count == before ? SettingValues(checked: given) : nil
    }
}

extension FaultList {
    fileprivate mutating func add(_ value: JSON, _ declaration: SettingDeclaration, at pointer: JSONPointer) {
        add(
            pointer / declaration.name, "found " + (declaration.isSecret ? "an unfit value" : value.phrase),
            "expected \(declaration.expectation)",
            declaration.fallback.map { "leave it out for the default \($0.compact)" } ?? "change the value")
    }
}
