// A JSON number as it was written: no digit is lost between reading and writing. Plain value: any thread.

/// A number by its text.
package struct JSONNumber: Sendable {
    /// Valid by RFC 8259 section 6.
    package let text: String

    /// - Parameter text: must be valid; the parser has seen to it.
    init(validated text: String) { self.text = text }

    package init(_ value: some BinaryInteger) { text = String(value) }

    /// Nil for what JSON can't say: infinities and NaN.
    package init?(_ value: Double) {
        guard value.isFinite else { return nil }
        text = value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : "\(value)"
    }

    /// Nil unless `text` is a JSON number and nothing else.
    package init?(text: String) {
        do throws(JSONFault) {
            guard case .number(let number) = try JSONText(text).parse(), number.text == text else { return nil }
            self = number
        } catch {
            return nil
        }
    }

    /// The value where it is whole and fits; `4.0` and `1e3` are whole.
    package var integer: Int? {
        if let value = Int(text) { return value }
        guard let value = Double(text), abs(value) < 9e15 else { return nil }
        return Int(exactly: value)
    }
    package var double: Double? { Double(text) }

    /// Sign, significant digits and the power of ten behind them; nil where the exponent is beyond all use.
    private var canonical: (isNegative: Bool, digits: [UInt8], exponent: Int)? {
        var digits: [UInt8] = []
        var exponent = 0
        var isFraction = false
        let parts = text.utf8.split(omittingEmptySubsequences: false) {
            $0 == UInt8(ascii: "e") || $0 == UInt8(ascii: "E")
        }
        for byte in parts[0] {
            switch byte {
            case UInt8(ascii: "."): isFraction = true
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                if isFraction { exponent -= 1 }
                if byte != UInt8(ascii: "0") || !digits.isEmpty { digits.append(byte) }
            default: break
            }
        }
        if parts.count > 1 {
            guard let written = Int(Substring(parts[1])), abs(written) < 1 << 40 else { return nil }
            exponent += written
        }
        while digits.last == UInt8(ascii: "0") {
            digits.removeLast()
            exponent += 1
        }
        let isZero = digits.isEmpty
        return (!isZero && text.utf8.first == UInt8(ascii: "-"), digits, isZero ? 0 : exponent)
    }
}

/// Equality by value: `1`, `1.0` and `10e-1` are one number.
extension JSONNumber: Equatable {
    package static func == (a: JSONNumber, b: JSONNumber) -> Bool {
        if a.text == b.text { return true }
        guard let a = a.canonical, let b = b.canonical else { return false }
        return a == b
    }
}
