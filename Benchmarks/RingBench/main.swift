// RingBench: what the rings cost, beside floors and rivals measured in the same run.
//
//     RingBench scene [--subjects futex,ring] [--readers 1] [--placement one|apart|free] [--drive paced|flat|spin|...]
//                     [--rate 50] [--round 0.5] [--rounds 10]
//     RingBench lanes [--seconds 10] [--rate 50]
//     RingBench lossless [--seconds 10]
//
// `scene` is from one process to others (Scene.swift), `lanes` from node to node through an engine, `lossless` the same as
// fast as it goes.
//
// Prints one JSON line; times are in microseconds.
import CLinux
import Graph

/// What `lanes` and `lossless` are told.
struct Options {
    var seconds = 10.0
    var rate = 50.0
}

/// `--name value` pairs.
struct Words {
    private var rest: ArraySlice<String>
    init(_ rest: ArraySlice<String>) { self.rest = rest }

    mutating func next() throws(BenchFault) -> (name: String, value: String)? {
        guard let name = rest.popFirst() else { return nil }
        guard name.hasPrefix("--"), let value = rest.popFirst() else { throw .usage("\(name) needs a value") }
        return (name, value)
    }
}

func positive(_ word: (name: String, value: String)) throws(BenchFault) -> Double {
    guard let value = Double(word.value), value > 0, value.isFinite else {
        throw .usage("\(word.name) is to be a number above 0")
    }
    return value
}

func sceneOptions(_ arguments: ArraySlice<String>) throws(BenchFault) -> SceneOptions {
    var options = SceneOptions()
    var words = Words(arguments)
    while let word = try words.next() {
        switch word.name {
        case "--subjects":
            options.subjects = word.value.split(separator: ",").compactMap { Subject(rawValue: String($0)) }
        case "--readers": options.readers = Int(try positive(word))
        case "--placement": options.placement = Placement(rawValue: word.value) ?? .free
        case "--drive":
            guard let drive = Drive(name: word.value) else { throw .usage("there is no drive \(word.value)") }
            options.drive = drive
        case "--rate": options.rate = try positive(word)
        case "--round": options.roundSeconds = try positive(word)
        case "--rounds": options.rounds = Int(try positive(word))
        default: throw .usage("there is no option \(word.name)")
        }
    }
    return options
}

func lanesOptions(_ arguments: ArraySlice<String>) throws(BenchFault) -> Options {
    var options = Options()
    var words = Words(arguments)
    while let word = try words.next() {
        switch word.name {
        case "--seconds": options.seconds = try positive(word)
        case "--rate": options.rate = try positive(word)
        default: throw .usage("there is no option \(word.name)")
        }
    }
    return options
}

func complain(_ message: String) {
    var line = message + "\n"
    line.withUTF8 { _ = write(2, $0.baseAddress, $0.count) }
}

let arguments = CommandLine.arguments.dropFirst()
do {
    switch arguments.first {
    case "scene":
        let scene = try Scene(sceneOptions(arguments.dropFirst()))
        try scene.run()
        print(scene.json.compact)
    case "reader": try Reader(Array(arguments.dropFirst())).run()
    case "lanes": print(try await LaneHop.compare(lanesOptions(arguments.dropFirst())))
    case "lossless": print(try await LaneFlood.compare(lanesOptions(arguments.dropFirst())))
    default: throw BenchFault.usage("usage: RingBench scene|lanes|lossless [--option value]...")
    }
} catch {
    complain("RingBench: \(error)")
    exit(1)
}
