// What `patchbay kinds` prints, from the same declarations. Pure functions.
import Media

extension Catalogue {
    /// One line a kind.
    package var listing: String {
        let width = kinds.map(\.name.count).max() ?? 0
        return kinds.map { "\(padded($0.name, width))  \($0.summary)" }.joined(separator: "\n")
    }

    /// Everything of every kind.
    package var manual: String { kinds.map(\.manual).joined(separator: "\n\n") }
}

extension KindDeclaration {
    /// Everything of this kind: ports, settings, defaults, units, and which settings are live.
    package var manual: String {
        var lines = ["\(name): \(summary)"]
        if groups != nil { lines.append("  in   named groups, each a program or an edge for each of:") }
        for inlet in inlets {
            let notes = [inlet.isRequired ? "required" : nil, inlet.takesMany && groups == nil ? "takes several" : nil]
                .compactMap(
                    \.self)
            lines.append(
                "  in   \(inlet.name): \(inlet.phrase)" + (notes.isEmpty ? "" : " (\(notes.joined(separator: ", ")))")
                    + (inlet.documentation.isEmpty ? "" : ". \(inlet.documentation)"))
        }
        switch outlets {
        case .tracks:
            lines.append("  out  the keys of \"tracks\", by default video (coded video) and audio (coded audio)")
        case .fixed(let outlets):
            for outlet in outlets {
                let note = outlet.inlet.map { " (while inlet \($0) is wired)" } ?? ""
                let type = outlet.type?.phrase ?? (outlet.inlet.flatMap(inlet)?.phrase ?? "") + ", as what is wired"
                lines.append("  out  \(outlet.name): \(type)\(note)")
            }
        }
        let width = settings.map(\.name.count).max() ?? 0
        lines += settings.map { "  set  \(padded($0.name, width))  \($0.line)" }
        return lines.joined(separator: "\n")
    }
}

extension SettingDeclaration {
    /// Type, default, unit, whether it is live, documentation.
    fileprivate var line: String {
        var notes = [typeName]
        if let unit { notes.append(unit) }
        if isRequired {
            notes.append("required")
        } else {
            notes.append(fallback.map { "default \($0.string ?? $0.compact)" } ?? "no default")
        }
        if isLive { notes.append(liveNote.map { "live: \($0)" } ?? "live") }
        return "\(documentation) [\(notes.joined(separator: "; "))]"
    }
}

private func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
}
