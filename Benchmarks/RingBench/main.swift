// RingBench: what the rings cost, beside a floor measured in the same run.
//
//     RingBench hop|lanes [--seconds 10] [--rate 50]
//
// `hop` is from a bare ring's publish to a reader that sleeps in `wait`, `lanes` from node to node through an engine.
//
// Prints one JSON line: p50, p99, p99.9 in microseconds of each subject and of the bare futex ping, and the ratio of
// their medians.
import CLinux

/// What the command line asks for.
struct Options {
    var command = ""
    var seconds = 10.0
    var rate = 50.0

    init?(_ arguments: ArraySlice<String>) {
        var rest = arguments
        guard let command = rest.popFirst() else { return nil }
        self.command = command
        while let option = rest.popFirst() {
            guard let value = rest.popFirst().flatMap(Double.init), value > 0, value.isFinite else { return nil }
            switch option {
            case "--seconds": seconds = value
            case "--rate": rate = value
            default: return nil
            }
        }
    }
}

func complain(_ message: String) {
    var line = message + "\n"
    line.withUTF8 { _ = write(2, $0.baseAddress, $0.count) }
}

guard let options = Options(CommandLine.arguments.dropFirst()), ["hop", "lanes"].contains(options.command) else {
    complain("usage: RingBench hop|lanes [--seconds 10] [--rate 50]")
    exit(64)
}
do {
    if options.command == "lanes" {
        print(try await LaneHop.compare(options))
    } else {
        print(try HopComparison(of: try FrameRingHop(), options).run())
    }
} catch {
    complain("RingBench: \(error)")
    exit(1)
}
