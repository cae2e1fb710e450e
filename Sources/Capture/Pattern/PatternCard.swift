// The test card: where its parts lie, and its still background.
//
// From the top: eight colour bars (EBU 100/0/75/0), a grey ramp, the moving part on black (a block that slides by the
// same number of pixels each field, and a lamp for each frame of a second), a line of text. Pure values.
internal import Media

/// Geometry and background of the card for one picture format.
struct PatternCard: Sendable {
    let width: Int, height: Int
    /// Lines of the four parts.
    let bars: Range<Int>, ramp: Range<Int>, motion: Range<Int>, text: Range<Int>
    /// Lines of the sliding block and of the lamps, within `motion`.
    let track: Range<Int>, lampLines: Range<Int>
    /// Lamps in the row: as many as frames in a second, at most 60 and as many as there is room for.
    let lampCount: Int
    /// Width of the block, and by how much it moves each field (each frame of progressive pictures), pixels.
    let blockWidth: Int, blockStep: Int
    /// Pixels a dot of the timecode, where it begins, its characters.
    let timecodeScale: Int, timecodeX: Int, timecodeY: Int
    let frameDigits: Int
    let labelScale: Int

    init(size: PictureSize, rate: FrameRate, fields: Int) {
        (width, height) = (size.width, size.height)
        // Multiples of 4 lines, so that chroma lines of either field belong to one part.
        func line(_ percent: Int) -> Int { size.height * percent / 100 & ~3 }
        (bars, ramp, motion) = (0..<line(60), line(60)..<line(67), line(67)..<line(82))
        text = line(82)..<size.height
        let middle = motion.lowerBound + motion.count * 6 / 10 & ~1
        let gap = max(size.height / 90 & ~1, 2)
        track = motion.lowerBound + gap..<middle
        lampLines = middle + gap..<motion.upperBound - gap / 2
        let nominal = Int(min(rate.doubleValue.rounded(.up), 1000))
        lampCount = max(min(nominal, 60, size.width / 5), 1)
        blockWidth = size.width / 24 & ~1
        // About two seconds from edge to edge.
        blockStep = max(Int(Double(size.width) / (2 * rate.doubleValue * Double(fields))) & ~1, 2)
        frameDigits = nominal > 100 ? 3 : 2
        let characters = 9 + frameDigits
        let byHeight = text.count * 7 / 10 / PatternFont.rows
        let byWidth = size.width / 2 / (characters * PatternFont.advance)
        timecodeScale = max(min(byHeight, byWidth), 1)
        timecodeX = (size.width - PatternFont.width(characters: characters, scale: timecodeScale)) / 2
        timecodeY = text.lowerBound + (text.count - PatternFont.rows * timecodeScale) / 2
        labelScale = max(timecodeScale / 2, 1)
    }

    /// Columns of lamp `index`, a gap left between two.
    func lamp(_ index: Int) -> PatternArea {
        let (left, right) = (index * width / lampCount, (index + 1) * width / lampCount)
        return PatternArea(x: left + (width > 640 ? 2 : 1)..<right - (width > 640 ? 2 : 1), y: lampLines)
    }

    /// Paints everything that doesn't move.
    func paintBackground(
        _ label: String, _ description: [String], colours: PatternColours, on canvas: PatternCanvas,
        in memory: UnsafeMutableRawPointer
    ) {
        let all = 0..<width
        canvas.fill(PatternArea(x: all, y: 0..<height), colours.grey(0), in: memory)
        paintBars(colours, canvas, memory)
        for x in all {
            let level = Double(x) / Double(width - 1)
            let dot = PatternArea(x: x..<x + 1, y: ramp.lowerBound..<ramp.lowerBound + 1)
            canvas.fillGrey(dot, colours.grey(level), in: memory)
        }
        canvas.repeatFirstLine(of: PatternArea(x: all, y: ramp), in: memory)
        for index in 0..<lampCount { canvas.fillGrey(lamp(index), colours.grey(0.15), in: memory) }
        paintText(label, description, colours, canvas, memory)
        // The frame number's row: black, and neutral, so that only luma has to be painted over it.
        let side = FrameNumber.side(width: width)
        let row = PatternArea(x: 0..<FrameNumber.squares * side, y: 0..<side)
        canvas.fill(row, colours.number(false), in: memory)
    }

    /// EBU Tech 3325, 100/0/75/0: white at 100 %, the colours at 75 %, then black.
    private func paintBars(_ colours: PatternColours, _ canvas: PatternCanvas, _ memory: UnsafeMutableRawPointer) {
        for bar in 0..<8 {
            let level = bar == 0 ? 1 : 0.75
            let code = 7 - bar  // green, red, blue as bits 2, 1, 0: falling luma
            let ink = colours.ink(
                code & 2 != 0 ? level : 0, code & 4 != 0 ? level : 0, code & 1 != 0 ? level : 0)
            let right = bar == 7 ? width : (bar + 1) * width / 8 & ~1
            canvas.fill(PatternArea(x: bar * width / 8 & ~1..<right, y: bars), ink, in: memory)
        }
    }

    /// The format in words: size and scan, frame rate to two decimals.
    static func words(_ size: PictureSize, isInterlaced: Bool, _ rate: FrameRate) -> [String] {
        let hundredths = (Int(rate.numerator) * 100 + Int(rate.denominator) / 2) / Int(rate.denominator)
        let (whole, rest) = hundredths.quotientAndRemainder(dividingBy: 100)
        let decimals = rest == 0 ? "" : rest < 10 ? ".0\(rest)" : ".\(rest)"
        return ["\(size.width)X\(size.height)\(isInterlaced ? "I" : "P")", "\(whole)\(decimals)"]
    }

    /// The label to the left of the timecode and the format to its right, cut to the room there is.
    private func paintText(
        _ label: String, _ description: [String], _ colours: PatternColours, _ canvas: PatternCanvas,
        _ memory: UnsafeMutableRawPointer
    ) {
        let margin = 4 * labelScale
        let room = max((timecodeX - 2 * margin) / (PatternFont.advance * labelScale), 0)
        let y = text.lowerBound + (text.count - PatternFont.rows * labelScale) / 2
        func draw(_ text: some Sequence<UInt8>, from x: Int) {
            for (index, character) in text.enumerated() {
                PatternFont.draw(
                    character, x: x + index * PatternFont.advance * labelScale, y: y, scale: labelScale,
                    ink: colours.grey(0.75), on: canvas, in: memory)
            }
        }
        draw(label.utf8.prefix(room), from: margin)
        // Half a number would mislead: only whole words of the format, as many as fit.
        var right = description[...]
        while right.joined(separator: " ").utf8.count > room, right.popLast() != nil {}
        let words = Array(right.joined(separator: " ").utf8)
        draw(words, from: width - margin - PatternFont.width(characters: words.count, scale: labelScale))
    }
}
