// What the documentation says is so: its graphs are valid, its paths and links lead somewhere, its byte table is the
// header's, its example of a node is one that is compiled.
import Foundation
import Graph
import Testing

@testable import patchbay

@Suite struct DocumentationTests {
    private static let root = (0..<3).reduce(#filePath) { path, _ in (path as NSString).deletingLastPathComponent }

    /// README.md and every page in a DocC catalogue, relative to the root.
    private static let pages: [String] = {
        let sources = FileManager.default.enumerator(atPath: root + "/Sources")?.compactMap { $0 as? String } ?? []
        return ["README.md"]
            + sources.filter { $0.contains(".docc/") && $0.hasSuffix(".md") }.map { "Sources/" + $0 }.sorted()
    }()

    private static func text(_ path: String) throws -> String {
        try String(contentsOfFile: "\(root)/\(path)", encoding: .utf8)
    }

    private static func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

    /// The fenced blocks of a language.
    private static func blocks(_ languages: Set<String>, in page: String) -> [String] {
        var result: [String] = []
        var block: [String]?
        for line in page.split(separator: "\n", omittingEmptySubsequences: false) {
            let bare = line.trimmingCharacters(in: .whitespaces)
            if let lines = block {
                if bare == "```" {
                    result.append(lines.joined(separator: "\n") + "\n")
                    block = nil
                } else {
                    block = lines + [String(line)]
                }
            } else if bare.hasPrefix("```"), languages.contains(String(bare.dropFirst(3))) {
                block = []
            }
        }
        return result
    }

    @Test func everyTargetHasItsPage() {
        let targets = [
            "Rings", "Media", "AV", "Graph", "Files", "Engine", "Capture", "Codecs", "Routing", "Meters", "Metering",
            "Watch", "HLS",
            "Recording",
            "Failover",
            "API", "Store", "PatchbayRing",
            "patchbay",
        ]
        for target in targets { #expect(Self.pages.contains("Sources/\(target)/\(target).docc/\(target).md")) }
    }

    // MARK: Graphs

    @Test(arguments: pages) func graphsAreValid(page: String) throws {
        for block in Self.blocks(["json", "json5"], in: try Self.text(page)) {
            let document = try GraphDocument(JSONText(block, syntax: .relaxed))
            // Anything else than a whole document is a piece of one.
            guard document.json["patchbay"] != nil else { continue }
            if case .failure(let faults) = document.validate(against: Kinds.catalogue) {
                Issue.record("\(page): \(faults.description)\n\(block)")
            }
        }
    }

    @Test func someGraphsAreShown() throws {
        let blocks = try Self.pages.flatMap { Self.blocks(["json", "json5"], in: try Self.text($0)) }
        #expect(blocks.count { $0.contains("\"patchbay\": 1") } >= 4)
    }

    // MARK: Paths and links

    @Test(arguments: pages) func pathsExist(page: String) throws {
        let path = /\b(?:tools|Sources|Tests|Benchmarks|graphs)\/[\w.\/+-]+/
        for match in try Self.text(page).matches(of: path) {
            let name = match.output.trimmingCharacters(in: CharacterSet(charactersIn: "./"))
            #expect(Self.exists("\(Self.root)/\(name)"), "\(page) names \(name)")
        }
    }

    @Test(arguments: pages) func linksLeadSomewhere(page: String) throws {
        let text = try Self.text(page)
        let folder = ("\(Self.root)/\(page)" as NSString).deletingLastPathComponent
        for match in text.matches(of: /\]\(([^)\s]+)\)/) {
            let target = String(match.output.1.prefix { $0 != "#" })
            guard !target.isEmpty, !target.contains("://") else { continue }
            #expect(Self.exists("\(folder)/\(target)"), "\(page) links to \(target)")
        }
        for match in text.matches(of: /<doc:([\w-]+)>/) {
            #expect(Self.exists("\(folder)/\(match.output.1).md"), "\(page) links to the page \(match.output.1)")
        }
    }

    // MARK: The contract of a node

    @Test func exampleOfANodeIsCompiled() throws {
        let page = try Self.text("Sources/Engine/Engine.docc/NodeContract.md")
        let compiled = try ["Routing/NullSink.swift", "patchbay/Kinds.swift"].map { try Self.text("Sources/\($0)") }
        let blocks = Self.blocks(["swift"], in: page)
        #expect(!blocks.isEmpty)
        for block in blocks { #expect(compiled.contains { $0.contains(block) }, "not in the sources:\n\(block)") }
    }

    // MARK: The layout of a ring

    private static let layoutPage = "Sources/Rings/Rings.docc/RingLayout.md"

    /// The cells of every table row under a heading.
    private static func rows(_ page: String, under heading: String) -> [[String]] {
        let lines = page.split(separator: "\n", omittingEmptySubsequences: false)
        guard let start = lines.firstIndex(where: { $0.hasPrefix("#") && $0.hasSuffix(" " + heading) }) else {
            return []
        }
        return lines[(start + 1)...].prefix { !$0.hasPrefix("#") }.filter { $0.hasPrefix("|") }.dropFirst(2).map {
            line in
            line.split(separator: "|").map { $0.trimmingCharacters(in: CharacterSet(charactersIn: " `")) }
        }
    }

    @Test func offsetsAreTheHeaders() throws {
        let header = try LayoutHeader(Self.text("Sources/C/CRingLayout/patchbay_ring_layout.h"))
        let rows = Self.rows(try Self.text(Self.layoutPage), under: "Header")
        let told = Dictionary(uniqueKeysWithValues: rows.map { ($0[2], Int($0[0])) })
        let offsets = header.constants.filter { $0.key.hasPrefix("PBR_AT_") }
        #expect(offsets.count >= 15)
        #expect(told == offsets.mapValues(Optional.some))
    }

    @Test func constantsAreTheHeaders() throws {
        let header = try LayoutHeader(Self.text("Sources/C/CRingLayout/patchbay_ring_layout.h"))
        let rows = Self.rows(try Self.text(Self.layoutPage), under: "Constants")
        #expect(rows.count >= 8)
        for row in rows { #expect(header.constants[row[0]] == Int(row[1]), "\(row[0])") }
    }

    @Test(arguments: ["pbr_identity", "pbr_reader", "pbr_grain", "pbr_format"])
    func fieldsAreTheHeaders(structure: String) throws {
        let header = try LayoutHeader(Self.text("Sources/C/CRingLayout/patchbay_ring_layout.h"))
        let fields = try #require(header.structures[structure])
        let rows = Self.rows(try Self.text(Self.layoutPage), under: "`\(structure)`")
        let told = rows.map { LayoutHeader.Field(name: $0[2], offset: Int($0[0]) ?? -1, size: Int($0[1]) ?? -1) }
        #expect(told == fields)
    }

    @Test func everySYNCIsTold() throws {
        let folder = Self.root + "/Sources/Rings"
        let files = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".swift") }
        let page = try Self.text(Self.layoutPage)
        let label = /SYNC ([a-z ]+?)[:.]/
        var labels: Set<String> = []
        for file in files {
            for match in try Self.text("Sources/Rings/\(file)").matches(of: label) {
                labels.insert(String(match.output.1))
            }
        }
        #expect(labels.count >= 5)
        for label in labels { #expect(page.contains("SYNC \(label)"), "\(label)") }
    }
}

/// As much of the C header as the page repeats: numbers of `#define`, and where a structure's fields lie.
private struct LayoutHeader {
    struct Field: Equatable {
        let name: String
        let offset: Int
        let size: Int
    }
    private(set) var constants: [String: Int] = [:]
    private(set) var structures: [String: [Field]] = [:]
    /// Size and alignment of a type, bytes.
    private var types: [String: (size: Int, alignment: Int)] = [
        "char": (1, 1), "uint8_t": (1, 1), "uint16_t": (2, 2), "uint32_t": (4, 4), "int32_t": (4, 4),
        "uint64_t": (8, 8),
        "int64_t": (8, 8),
    ]

    init(_ text: String) {
        for match in text.matches(of: /#define (PBR_\w+) (\d+)\b/) {
            constants[String(match.output.1)] = Int(match.output.2)
        }
        for match in text.matches(of: /typedef struct (\w+) \{([^}]*)\}/) {
            add(String(match.output.1), body: String(match.output.2).replacing(/\/\/[^\n]*/, with: ""))
        }
    }

    private mutating func add(_ structure: String, body: String) {
        var fields: [Field] = []
        var end = 0
        var alignment = 1
        for declaration in body.split(separator: ";") {
            let words = declaration.trimmingCharacters(in: .whitespacesAndNewlines).split(separator: " ", maxSplits: 1)
            guard words.count == 2, let type = types[String(words[0])] else { continue }
            for declarator in words[1].split(separator: ",") {
                let parts = declarator.trimmingCharacters(in: .whitespaces).split { "[]".contains($0) }.map(String.init)
                let count = parts.count > 1 ? Int(parts[1]) ?? constants[parts[1]] ?? 0 : 1
                end = (end + type.alignment - 1) / type.alignment * type.alignment
                fields.append(Field(name: parts[0], offset: end, size: type.size * count))
                end += type.size * count
                alignment = max(alignment, type.alignment)
            }
        }
        structures[structure] = fields
        types[structure] = ((end + alignment - 1) / alignment * alignment, alignment)
    }
}
