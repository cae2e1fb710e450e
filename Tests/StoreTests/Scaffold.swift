// What tests of the history share: a folder that goes, entries, and another process's lock.
import CLinux
import CSQLite
import Engine
import Foundation
import Graph
import Media
import Testing

@testable import Store

/// A folder that goes with its last reference.
final class Folder: Sendable {
    let path: String
    var file: String { path + "/graph.sqlite" }

    init() throws {
        path = NSTemporaryDirectory() + "patchbay-store-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    var names: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted() }
}

/// A document with `count` nodes; `value` is a setting of the first.
func document(_ value: Int, nodes count: Int = 3) -> JSON {
    let nodes = (0..<count).map { i in
        ("n\(i)", ["kind": "sink.null", "settings": ["value": .number(JSONNumber(i == 0 ? value : 0))]] as JSON)
    }
    return ["patchbay": 1, "nodes": .object(JSONObject(nodes.map { (key: $0.0, value: $0.1) }))]
}

/// The change from `document(value - 1)` to `document(value)`, as revision `number`.
func entry(_ number: Int, previous: Int? = nil, value: Int? = nil, nodes: Int = 3) -> JournalEntry {
    func patch(_ value: Int) -> JSON {
        [["op": "replace", "path": "/nodes/n0/settings/value", "value": .number(JSONNumber(value))]]
    }
    let value = value ?? number
    return JournalEntry(
        number: number, previous: previous ?? number - 1, time: 1_000_000_000 * Int64(number), author: "me",
        reason: "test \(number)", patch: patch(value), inverse: patch(value - 1),
        document: document(value, nodes: nodes))
}

/// Another connection that holds the write lock, as another process would.
final class Intruder {
    private var handle: OpaquePointer?

    init(_ path: String) throws {
        try #require(sqlite3_open(path, &handle) == SQLITE_OK)
        try #require(sqlite3_exec(handle, "BEGIN IMMEDIATE", nil, nil, nil) == SQLITE_OK)
    }
    func run(_ sql: String) { sqlite3_exec(handle, sql, nil, nil, nil) }
    deinit { sqlite3_close(handle) }
}

/// Runs statements on a file that nobody has open.
func alter(_ path: String, _ sql: String) throws {
    var handle: OpaquePointer?
    try #require(sqlite3_open(path, &handle) == SQLITE_OK)
    #expect(sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK, "\(String(cString: sqlite3_errmsg(handle)))")
    sqlite3_close(handle)
}

/// Waits for a condition, looking every few milliseconds; records an issue when it doesn't come.
func eventually(within seconds: Double = 20, _ what: Comment, _ condition: () -> Bool) async {
    let end = linux_monotonic_nanoseconds() + Int64(seconds * 1e9)
    while linux_monotonic_nanoseconds() < end {
        if condition() { return }
        await Task.yield()
        _ = poll(nil, 0, 2)
    }
    Issue.record("did not come within \(seconds) s: \(what)")
}
