import Media
import Testing

@Suite("Finding runs") struct FindingTests {
    @Test(
        arguments: [
            ("srt://host", "://", 3), ("://", "://", 0), ("a:/b://", "://", 4), ("", "x", nil), ("abc", "abcd", nil),
            ("aab", "ab", 1), ("abc", "", 0), ("", "", 0), ("äöü", "ü", 2),
        ] as [(String, String, Int?)])
    func finds(_ text: String, _ part: String, _ place: Int?) {
        let found = text.find(part)
        #expect(found.map { text.distance(from: text.startIndex, to: $0.lowerBound) } == place)
        if let found { #expect(text[found] == part) }
    }

    @Test func findsBytes() {
        #expect([1, 2, 3, 2, 3, 4].find([2, 3, 4]) == 3..<6)
        #expect([1, 2, 3].find([3, 4]) == nil)
    }

    @Test(arguments: [
        ("a/b/c", "/", "~", "a~b~c"), ("key=secret&x=secret", "secret", "***", "key=***&x=***"),
        ("aaa", "aa", "b", "ba"),
        ("abc", "", "x", "abc"), ("", "a", "b", ""), ("xx", "x", "xx", "xxxx"),
    ])
    func substitutes(_ text: String, _ part: String, _ other: String, _ result: String) {
        #expect(text.substituting(part, by: other) == result)
    }
}
