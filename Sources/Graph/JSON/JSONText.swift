// JSON as text: UTF-8 bytes, how strictly they are read, and where in them each value stands. Any thread.

/// A place in a text, both counted from 1; columns are code points.
package struct TextPosition: Sendable, Hashable, CustomStringConvertible {
    package let line: Int
    package let column: Int

    package init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }

    package var description: String { "line \(line) column \(column)" }
}

/// Why a text is not JSON.
package struct JSONFault: Error, Sendable, Equatable, CustomStringConvertible {
    package let position: TextPosition
    /// What was found and what was expected.
    package let message: String

    package init(position: TextPosition, message: String) {
        self.position = position
        self.message = message
    }

    package var description: String { "\(position): \(message)" }
}

/// How strictly text is read.
package enum JSONSyntax: Sendable {
    /// RFC 8259 to the letter: what comes over HTTP.
    case strict
    /// Files that people write: also `//` and `/* */` comments, trailing commas and keys without quotes, as in JSON5.
    case relaxed
}

/// A text that should be JSON.
package struct JSONText: Sendable {
    package let bytes: [UInt8]
    package let syntax: JSONSyntax
    package let limits: JSONLimits

    package init(_ bytes: [UInt8], syntax: JSONSyntax = .strict, limits: JSONLimits = JSONLimits()) {
        self.bytes = bytes
        self.syntax = syntax
        self.limits = limits
    }

    package init(_ text: String, syntax: JSONSyntax = .strict, limits: JSONLimits = JSONLimits()) {
        self.init(Array(text.utf8), syntax: syntax, limits: limits)
    }

    /// Reads the value. O(bytes).
    package func parse() throws(JSONFault) -> JSON {
        var parser = JSONParser(self)
        return try parser.document()
    }

    /// Where every value stands, by its pointer; empty where the text is not JSON. Costs several times a plain parse,
    /// and so is asked for only when there is a fault to show.
    package func positions() -> [JSONPointer: TextPosition] {
        var parser = JSONParser(self, recordsPositions: true)
        do throws(JSONFault) {
            _ = try parser.document()
            return positions(of: parser.offsets)
        } catch {
            return [:]
        }
    }

    /// Line and column of a byte.
    package func position(ofByte offset: Int) -> TextPosition {
        let before = bytes[..<min(offset, bytes.count)]
        let start = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        let line = before[..<start].count { $0 == UInt8(ascii: "\n") } + 1
        return TextPosition(line: line, column: before[start...].count { $0 & 0xC0 != 0x80 } + 1)
    }

    /// Lines and columns of all offsets in one pass over the text.
    private func positions(of offsets: [(JSONPointer, Int)]) -> [JSONPointer: TextPosition] {
        var positions: [JSONPointer: TextPosition] = [:]
        var (line, column, byte) = (1, 1, 0)
        for (pointer, offset) in offsets {
            while byte < offset {
                if bytes[byte] == UInt8(ascii: "\n") {
                    (line, column) = (line + 1, 1)
                } else if bytes[byte] & 0xC0 != 0x80 {
                    column += 1
                }
                byte += 1
            }
            positions[pointer] = TextPosition(line: line, column: column)
        }
        return positions
    }
}
