// What was recorded of a failover, decoded: the numbers and the times of its pictures, in the order of their times.
import CLinux
import Media

struct RecordedPictures {
    /// A change from one input to the other.
    struct Change {
        /// Of the first picture of the other.
        let place: Int
        /// From the last picture of the one to the first of the other, milliseconds: a period where nothing is missing.
        let gap: Double
        /// When the first of the other comes, seconds.
        let time: Double
    }

    private static let width = 1280
    private static var rows: Int { FrameNumber.side(width: width) }
    private static let rate = 50.0
    /// Pictures that may come in another order than they are shown.
    private static let reordered = 4

    /// Nil for pictures without a number that can be read.
    private let numbers: [UInt32?]
    /// Seconds.
    private let times: [Double]
    /// Lines that the decoder had to say.
    let errors: Int

    /// - Parameter folder: with one recording.
    init(_ folder: String, _ options: Options) throws(BenchError) {
        guard let name = names(in: folder, endingIn: ".mp4").first else { throw BenchError("nothing was recorded") }
        let (path, bytes, log) = (
            "\(folder)/\(name)", "\(options.folder)/failover.gray", "\(options.folder)/failover.decoder"
        )
        _ = try run(
            [
                "ffmpeg", "-v", "error", "-y", "-i", path, "-vf", "crop=\(Self.width):\(Self.rows):0:0", "-fps_mode",
                "passthrough", "-pix_fmt", "gray", "-f", "rawvideo", bytes,
            ], log: log)
        errors = (contents(of: log) ?? "").split(separator: "\n").count
        numbers = try Self.load(bytes)
        _ = try run(["rm", "-f", bytes])
        let list = "\(options.folder)/failover.times"
        _ = try run(
            [
                "ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "packet=pts_time", "-of",
                "csv=p=0", path,
            ], log: options.log, output: list)
        times = (contents(of: list) ?? "").split(separator: "\n").compactMap { Double($0.prefix { $0 != "," }) }
            .sorted()
        guard times.count == numbers.count else {
            throw BenchError("\(path) has \(times.count) packets and \(numbers.count) pictures")
        }
    }

    /// The first rows of each picture.
    private static func load(_ path: String) throws(BenchError) -> [UInt32?] {
        let file = linux_open(path, O_RDONLY, 0)
        guard file >= 0 else { throw BenchError("\(path) can't be read") }
        defer { close(file) }
        let length = width * rows
        var (numbers, picture): ([UInt32?], [UInt8]) = ([], Array(repeating: 0, count: length))
        while true {
            var filled = 0
            while filled < length {
                let count = picture.withUnsafeMutableBytes {
                    read(file, $0.baseAddress.map { $0 + filled }, length - filled)
                }
                guard count > 0 else { return numbers }
                filled += count
            }
            numbers.append(FrameNumber.read(width: width) { x, y in Int(picture[y * width + x]) })
        }
    }

    /// Steps of time in periods, from each picture to the next.
    private var steps: [Double] {
        // A recording may be stopped between a picture and those that are shown before it.
        let settled = times.dropLast(Self.reordered)
        return zip(settled.dropFirst(), settled).map { ($0.0 - $0.1) * Self.rate }
    }
    /// Periods of the grid in which there is no picture.
    var missed: Int { steps.reduce(0) { $0 + max(0, Int($1.rounded()) - 1) } }
    /// Steps that are not one period; times are told to the microsecond.
    var unevenSteps: Int { steps.count { abs($0 - 1) > 0.001 } }

    var changes: [Change] {
        var changes: [Change] = []
        var last: (number: UInt32, place: Int)?
        for (place, number) in numbers.enumerated() {
            guard let number, number != last?.number else { continue }
            if let last {
                let (step, periods) = (Int(number) - Int(last.number), (times[place] - times[last.place]) * Self.rate)
                // Within half a second of where the same input would be, it is that, with pictures missing.
                if abs(Double(step) - periods) > 25 {
                    // Times are told to the microsecond.
                    let gap = (periods * 10_000 / Self.rate).rounded() / 10
                    changes.append(Change(place: place, gap: gap, time: times[place]))
                }
            }
            last = (number, place)
        }
        return changes
    }

    /// How late content is after each change, in periods, beside the earliest that the same input was: what is repeated at a
    /// change puts it off. Inputs take turns.
    var lags: [Double] {
        let begins = [numbers.firstIndex { $0 != nil } ?? 0] + changes.map(\.place)
        let offsets = begins.map { begin in Double(begin - Int(numbers[begin] ?? 0)) }
        let earliest = [0, 1].map { turn in offsets.enumerated().filter { $0.offset % 2 == turn }.map(\.element).min() }
        return offsets.enumerated().map { i, offset in offset - (earliest[i % 2] ?? offset) }
    }

    /// Pictures that are not the one after what their input gave at the same pace: each input's numbers and the places of
    /// its pictures go side by side. From shortly before the first change on: publishers begin with a burst.
    var disturbed: Int {
        var (offsets, last, count): ([Int], Int?, Int) = ([], nil, 0)
        let begin = max(0, (changes.first?.place ?? 0) - 20)
        for (i, number) in numbers.enumerated().dropFirst(begin) {
            guard let number else {
                count += 1
                continue
            }
            let offset = Int(number) - i
            if offset == last { continue }
            // Two inputs have two offsets, found once each.
            if offsets.count < 2, !offsets.contains(offset) { offsets.append(offset) }
            if !offsets.contains(offset) { count += 1 }
            last = offset
        }
        return count
    }
}
