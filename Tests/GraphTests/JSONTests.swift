// The parser's grammar, its complaints, its bounds, and the serializer.
import Graph
import Testing

private func parse(_ text: String, _ syntax: JSONSyntax = .strict) throws -> JSON {
    try JSONText(text, syntax: syntax).parse()
}

@Suite struct JSONTests {
    @Test(arguments: [
        "null", "true", "false", "0", "-0", "-1.5e+10", "123456789012345678901234567890.000", "\"\"", "\"a\\\"b\\\\c\"",
        "[]", "{}", "[1,[2,[3]],{\"a\":{\"b\":[]}}]", "{\"z\":1,\"a\":2,\"m\":[null,true]}", "\"ü€😀\"",
    ])
    func textComesBackAsItWas(text: String) throws {
        let value = try parse(text)
        #expect(value.compact == text)
        #expect(try parse(value.pretty) == value)
    }

    @Test func escapesAreRead() throws {
        #expect(try parse(#""\u0041\n\t\/\b\f\r\u00e9\uD83D\uDE00""#) == .string("A\n\t/\u{8}\u{c}\ré😀"))
        #expect(JSON.string("\u{1}\u{7F}\n\"").compact == #""\u0001\u007f\n\"""#)
    }

    @Test(arguments: [
        ("", "line 1 column 1: found the end of the document, expected a value"),
        ("[1,\n  ,2]", "line 2 column 3: found ',', expected a value"),
        ("[1 2]", "line 1 column 4: found '2', expected ',' or ']'"),
        ("[1,]", "line 1 column 4: found ']', expected a value: there is a ',' before it"),
        ("{\"a\":1,}", "line 1 column 8: found '}', expected a key: there is a ',' before it"),
        ("{a:1}", "line 1 column 2: found 'a', expected a key in double quotes"),
        ("{\"a\" 1}", "line 1 column 6: found '1', expected ':' after the key \"a\""),
        ("{\"a\":1", "line 1 column 7: found the end of the document, expected ',' or '}'"),
        ("{\"a\":1,\"b\":2,\"a\":3}", "line 1 column 1: found the key \"a\" twice in one object, expected it once"),
        ("01", "line 1 column 2: found '1', expected a number without leading zeros"),
        ("1.", "line 1 column 3: found the end of the document, expected a digit"),
        ("-", "line 1 column 2: found the end of the document, expected a digit"),
        ("1e+", "line 1 column 4: found the end of the document, expected a digit"),
        ("tru", "line 1 column 1: found tru, expected a value"),
        ("1 2", "line 1 column 3: found '2', expected the end of the document"),
        (
            "\"é\u{1}\"",
            "line 1 column 3: found byte 1, expected a text without control characters: write them as \\n or \\u000a"
        ),
        ("\"ab", "line 1 column 1: found the end of the document, expected '\"' to close this text"),
        ("\"\\x\"", "line 1 column 3: found 'x', expected an escape: one of \" \\ / b f n r t u"),
        ("\"\\uD800\"", "line 1 column 2: found half of a surrogate pair, expected both halves"),
        ("\"\\uD800\\u0041\"", "line 1 column 2: found half of a surrogate pair, expected both halves"),
        ("\"\\uDC00\"", "line 1 column 2: found half of a surrogate pair, expected both halves"),
        ("\"\\u00g0\"", "line 1 column 6: found 'g', expected four hexadecimal digits"),
        ("// x\n1", "line 1 column 1: found a comment, expected JSON without comments"),
        ("NaN", "line 1 column 1: found 'N', expected a value"),
    ])
    func faultsSayWhereAndWhat(text: String, message: String) throws {
        let fault = #expect(throws: JSONFault.self) { try parse(text) }
        #expect(fault?.description == message)
    }

    @Test func invalidUTF8IsRefused() throws {
        for bytes: [UInt8] in [
            [0x22, 0xFF, 0x22], [0x22, 0xC0, 0x80, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22], [0x22, 0xE2, 0x22],
        ] {
            #expect(throws: JSONFault.self) { try JSONText(bytes).parse() }
        }
    }

    @Test func filesMayHaveCommentsTrailingCommasAndPlainKeys() throws {
        let text = "\u{FEFF}// top\n{ a: 1, /* two\nlines */ \"b\": [1, 2,], $c_1: {}, } // end"
        #expect(try parse(text, .relaxed) == ["a": 1, "b": [1, 2], "$c_1": [:]])
        for bad in ["/* open", "/ 1", "{,}", "[,]", "{a b:1}", "[1,,2]"] {
            #expect(throws: JSONFault.self) { try parse(bad, .relaxed) }
        }
    }

    @Test(arguments: [("[", "]"), ("{\"a\":", "}")])
    func deepNestingIsRefused(open: String, close: String) throws {
        let deep = String(repeating: open, count: 100_000) + "1" + String(repeating: close, count: 100_000)
        let fault = #expect(throws: JSONFault.self) { try parse(deep) }
        #expect(fault?.message == "found values nested more than 64 deep, expected fewer levels")
        #expect(throws: JSONFault.self) { try parse(String(repeating: open, count: 100_000)) }
        #expect(try parse(String(repeating: open, count: 64) + "1" + String(repeating: close, count: 64)).depth == 64)
    }

    @Test func sizeIsBounded() throws {
        let text = JSONText("[1, 2, 3]", limits: JSONLimits(bytes: 8))
        #expect(throws: JSONFault.self) { try text.parse() }
    }

    @Test func numbersAreEqualByValue() throws {
        for (a, b) in [("1", "1.0"), ("10e-1", "1"), ("0", "-0.0e7"), ("1200", "1.2E3"), ("0.001", "1e-3")] {
            #expect(try parse(a) == parse(b))
        }
        for (a, b) in [("1", "-1"), ("12345678901234567890", "12345678901234567891"), ("1e400", "1e401")] {
            #expect(try parse(a) != parse(b))
        }
        #expect(try parse("4.0").integer == 4 && parse("1e3").integer == 1000 && parse("1.5").integer == nil)
        #expect(JSON.double(.infinity) == .null && JSON.double(0.5).compact == "0.5" && JSON.double(3).compact == "3")
        #expect(
            JSONNumber(text: "01") == nil && JSONNumber(text: " 1") == nil
                && JSONNumber(text: "-2.5e3")?.double == -2500)
    }

    @Test func objectsAreEqualWhateverTheirOrder() throws {
        #expect(try parse(#"{"a":1,"b":2}"#) == parse(#"{"b":2,"a":1}"#))
        #expect(try parse(#"{"a":1}"#) != parse(#"{"a":1,"b":2}"#))
        #expect(JSON.string("\u{e9}") != .string("e\u{301}"))
    }

    @Test func everyValueHasItsPosition() throws {
        let positions = JSONText("{\n  \"ü\": [1,\n {\"b\": true}]\n}", syntax: .strict).positions()
        #expect(positions[[]] == TextPosition(line: 1, column: 1))
        #expect(positions[["ü"]] == TextPosition(line: 2, column: 8))
        #expect(positions[["ü", "0"]] == TextPosition(line: 2, column: 9))
        #expect(positions[["ü", "1", "b"]] == TextPosition(line: 3, column: 8))
        #expect(positions.count == 5)
    }

    @Test func prettyIsStable() throws {
        #expect(
            try parse(#"{"b":[1,{"x":[]}],"a":{}}"#).pretty == """
                {
                  "b": [
                    1,
                    {
                      "x": []
                    }
                  ],
                  "a": {}
                }
                """)
    }

    @Test func largeObjectsFindTheirMembers() throws {
        var object = JSONObject((0..<1000).map { ("k\($0)", JSON.number(JSONNumber($0))) })
        #expect(object["k999"] == 999 && object["x"] == nil)
        object = object.setting("x", to: true).setting("k5", to: "five").removing("k7")
        #expect(object["x"] == true && object["k5"] == "five" && object["k7"] == nil && object["k8"] == 8)
        #expect(object.count == 1000 && object.keys.last == "x" && object.keys[7] == "k8")
    }
}
