import Testing

@testable import API

@Suite struct ByteRangeTests {
    @Test(arguments: [
        ("bytes=0-0", ByteRange.part(0..<1)), ("bytes=0-", .part(0..<100)), ("bytes=10-19", .part(10..<20)),
        ("bytes=90-1000", .part(90..<100)), ("bytes=-1", .part(99..<100)), ("bytes=-1000", .part(0..<100)),
        ("Bytes = 1-2", .part(1..<3)), ("bytes=99-99999999999999999999999", .part(99..<100)),
        ("bytes=100-", .unsatisfiable),
        ("bytes=99999999999999999999-", .unsatisfiable), ("bytes=-0", .unsatisfiable), ("bytes=5-4", .whole),
        ("bytes=", .whole),
        ("bytes=-", .whole), ("bytes=a-b", .whole), ("bytes=1", .whole), ("bytes=0-1,5-6", .whole),
        ("lines=0-1", .whole),
        ("bytes=--5", .whole), ("bytes=+1-2", .whole), ("", .whole),
    ])
    func reads(_ header: String, _ range: ByteRange) { #expect(ByteRange(header, length: 100) == range) }

    @Test func emptyContentHasNoRanges() {
        #expect(ByteRange("bytes=0-", length: 0) == .unsatisfiable)
        #expect(ByteRange("bytes=-5", length: 0) == .unsatisfiable)
        #expect(ByteRange(nil, length: 0) == .whole)
    }

    @Test func entityTagListsAreRead() throws {
        let list = try #require(EntityTagList(#""a", W/"b" ,"c""#))
        #expect(list.tags.map(\.text) == ["a", "b", "c"] && list.tags.map(\.isWeak) == [false, true, false])
        #expect(list.matches("b") && !list.matches("d"))
        #expect(EntityTagList(" *")?.matches("anything") == true)
        for broken in ["", "a", "\"a", "\"a\"b", "W/a", ","] { #expect(EntityTagList(broken) == nil, "\(broken)") }
    }
}
