// Paints the pictures of `source.pattern`.
//
// The background is rendered once; each picture is one copy of it plus the few rectangles that change, all of them
// grey on neutral ground, so that only luma (or R, G and B) is touched. Every picture is painted whole: ring buffers
// come back with anything in them. Invariant: `paint` allocates nothing, makes no system call and depends on nothing
// but its arguments. Used by the lane of the source's node.
import CLinux
package import Media

/// Why no picture can be painted in a format.
package enum PatternError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Smaller than the frame number and the text need.
    case tooSmall(PictureSize)
    /// A pattern moves: it needs a frame rate.
    case noRate

    package var description: String {
        switch self {
        case .tooSmall(let size): "a picture of \(size) is too small for the pattern: use 160x90 or more"
        case .noRate: "the pattern has no frame rate: set one, for example \"50\""
        }
    }
}

/// A painter of test cards in one format. Holds one picture of memory.
package struct PatternPainter: ~Copyable {
    package static let smallest = PictureSize(width: 160, height: 90)

    package let format: VideoFormat
    package let flashes: FlashSchedule
    private let background: UnsafeMutableRawBufferPointer
    private let canvas: PatternCanvas
    private let card: PatternCard
    private let size: Int
    private let fields: Int, firstLine: Int
    private let white: PatternInk, black: PatternInk, one: PatternInk, zero: PatternInk
    private let numberSide: Int

    /// Renders the background.
    /// - Parameter label: shown beside the timecode, cut to fit: the node's name. Letters, digits and `: ; . , - _ / +`.
    package init(_ format: VideoFormat, label: String) throws(PatternError) {
        let picture = format.picture
        guard picture.size.width >= Self.smallest.width, picture.size.height >= Self.smallest.height else {
            throw .tooSmall(picture.size)
        }
        guard let rate = picture.rate, rate.isPositive else { throw .noRate }
        self.format = format
        flashes = FlashSchedule(rate: rate)
        let isInterlaced = picture.fieldOrder == .topFirst || picture.fieldOrder == .bottomFirst
        fields = isInterlaced ? 2 : 1
        firstLine = picture.fieldOrder == .bottomFirst ? 1 : 0
        size = format.planes.size
        let colours = PatternColours(format)
        (white, black) = (colours.grey(1), colours.grey(0))
        (one, zero) = (colours.number(true), colours.number(false))
        numberSide = FrameNumber.side(width: picture.size.width)
        canvas = PatternCanvas(format, size: picture.size)
        card = PatternCard(size: picture.size, rate: rate, fields: fields)
        background = .allocate(byteCount: size, alignment: 64)
        guard let memory = background.baseAddress else { return }
        memset(memory, 0, size)
        // What is allocated beyond the displayed picture is black, as encoders that look at it would like it.
        let whole = format.codedSize
        PatternCanvas(format, size: whole)
            .fill(PatternArea(x: 0..<whole.width, y: 0..<whole.height), black, in: memory)
        let words = PatternCard.words(picture.size, isInterlaced: isInterlaced, rate)
        card.paintBackground(label, words, colours: colours, on: canvas, in: memory)
    }

    deinit { background.deallocate() }

    /// Paints frame `frame` (counted from media time 0) over the whole of `buffer`; the burned number is its low 32 bits.
    /// - Precondition: `buffer` holds at least the format's `planes.size` bytes.
    package func paint(frame: Int64, timecode: Timecode, into buffer: UnsafeMutableRawBufferPointer) {
        precondition(buffer.count >= size, "\(buffer.count) bytes for a picture of \(size)")
        guard let memory = buffer.baseAddress, let source = background.baseAddress else { return }
        if flashes.isFlash(frame: frame) {
            canvas.fill(PatternArea(x: 0..<canvas.width, y: 0..<canvas.height), white, in: memory)
        } else {
            memcpy(memory, source, size)
            paintMotion(frame, memory)
            paintTimecode(timecode, memory)
        }
        paintNumber(UInt32(truncatingIfNeeded: frame), memory)
    }

    private func paintMotion(_ frame: Int64, _ memory: UnsafeMutableRawPointer) {
        for field in 0..<fields {
            // The field that is shown first takes the earlier position.
            let position = wrapped(frame &* Int64(fields) &+ Int64(field), times: card.blockStep, in: card.width)
            let parity = field ^ firstLine
            let lines = card.track.lowerBound + (fields == 2 ? parity : 0)..<card.track.upperBound
            let end = position + card.blockWidth
            canvas.fillGrey(PatternArea(x: position..<end, y: lines), white, every: fields, in: memory)
            // What leaves on the right comes back on the left.
            if end > card.width {
                canvas.fillGrey(PatternArea(x: 0..<end - card.width, y: lines), white, every: fields, in: memory)
            }
        }
        canvas.fillGrey(card.lamp(wrapped(frame, times: 1, in: card.lampCount)), white, in: memory)
    }

    /// index × step modulo `length`, never negative.
    private func wrapped(_ index: Int64, times step: Int, in length: Int) -> Int {
        let rest = Int(index % Int64(length)) * step % length
        return rest < 0 ? rest + length : rest
    }

    private func paintTimecode(_ timecode: Timecode, _ memory: UnsafeMutableRawPointer) {
        var x = card.timecodeX
        func draw(_ character: UInt8) {
            PatternFont.draw(
                character, x: x, y: card.timecodeY, scale: card.timecodeScale, ink: white, on: canvas, in: memory)
            x += PatternFont.advance * card.timecodeScale
        }
        func draw(_ value: Int, digits: Int) {
            if digits > 2 { draw(48 + UInt8(truncatingIfNeeded: value / 100 % 10)) }
            draw(48 + UInt8(truncatingIfNeeded: value / 10 % 10))
            draw(48 + UInt8(truncatingIfNeeded: value % 10))
        }
        let (colon, semicolon) = (UInt8(58), UInt8(59))
        draw(timecode.hours, digits: 2)
        draw(colon)
        draw(timecode.minutes, digits: 2)
        draw(colon)
        draw(timecode.seconds, digits: 2)
        draw(timecode.isDropFrame ? semicolon : colon)
        draw(timecode.frames, digits: card.frameDigits)
    }

    private func paintNumber(_ counter: UInt32, _ memory: UnsafeMutableRawPointer) {
        let bits = FrameNumber.bits(of: counter)
        for square in 0..<FrameNumber.squares {
            let isOne = bits >> UInt64(FrameNumber.squares - 1 - square) & 1 == 1
            let columns = square * numberSide..<(square + 1) * numberSide
            let area = PatternArea(x: columns, y: 0..<1)
            canvas.fillGrey(area, isOne ? one : zero, in: memory)
        }
        canvas.repeatFirstLine(
            of: PatternArea(x: 0..<FrameNumber.squares * numberSide, y: 0..<numberSide), in: memory)
    }
}
