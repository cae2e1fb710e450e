// The command line's table: what is taken, what is refused and how, what the help derives.
import API
import Engine
import Files
import Media
import Testing

@testable import patchbay

@Suite struct OptionTests {
    private let command = Command(
        "run", ["GRAPH"], "Runs.",
        [
            Option("listen", "ADDR:PORT", "Where."), Option("set", "N.S=V", isRepeatable: true, "Sets."),
            Option("ring-memory", "BYTES", "Memory."), Option("quiet", "Says nothing."),
        ]
    ) { _ in .success }

    private func refusal(_ words: [String], _ variables: [String: String] = [:]) -> String? {
        do throws(UsageError) {
            _ = try Arguments(words, command, environment: { variables[$0] })
            return nil
        } catch { return error.description }
    }

    @Test func takesValuesInBothForms() throws {
        let arguments = try Arguments(
            ["g.json", "--listen", "a:1", "--set=x.y=a=b", "--set", "p.q=2", "--quiet"], command)
        #expect(arguments.operands == ["g.json"])
        #expect(arguments.text("listen") == "a:1")
        #expect(arguments.all("set") == ["x.y=a=b", "p.q=2"])
        #expect(arguments.has("quiet"))
        #expect(!arguments.has("ring-memory"))
    }

    @Test func endsOptionsAtTwoDashes() throws {
        #expect(try Arguments(["--", "--quiet"], command).operands == ["--quiet"])
        #expect(try Arguments(["-"], command).operands == ["-"])
    }

    @Test func takesTheEnvironmentBehindTheCommandLine() throws {
        let variables = [
            "PATCHBAY_LISTEN": "b:2", "PATCHBAY_RING_MEMORY": "1G", "PATCHBAY_SET": "a.b=1;c.d=2",
            "PATCHBAY_QUIET": "1",
        ]
        let arguments = try Arguments(["g", "--listen", "a:1"], command, environment: { variables[$0] })
        #expect(arguments.text("listen") == "a:1")
        #expect(arguments.text("ring-memory") == "1G")
        #expect(arguments.all("set") == ["a.b=1", "c.d=2"])
        #expect(arguments.has("quiet"))
        let off = try Arguments(["g"], command, environment: { $0 == "PATCHBAY_QUIET" ? "0" : nil })
        #expect(!off.has("quiet"))
    }

    @Test func saysWhatIsWrong() {
        #expect(refusal(["g", "--lisen", "a:1"]) == "run has no option --lisen; \"patchbay run --help\" lists them.")
        #expect(refusal(["g", "--listen"]) == "--listen needs a value: --listen ADDR:PORT.")
        #expect(refusal(["g", "--quiet=1"]) == "--quiet takes no value.")
        #expect(refusal(["g", "--listen", "a", "--listen", "b"]) == "--listen is given twice; it is taken once.")
        #expect(refusal([]) == "run needs GRAPH: patchbay run GRAPH [options].")
        #expect(refusal(["g", "h"]) == "\"h\" is more than patchbay run GRAPH [options] takes.")
        #expect(refusal(["g"], ["PATCHBAY_QUIET": "perhaps"]) == "PATCHBAY_QUIET is \"perhaps\"; expected 1 or 0.")
        #expect(refusal(["--help"]) == nil)
    }

    @Test(arguments: Program.commands.map(\.name)) func everyOptionStandsInTheHelp(name: String) throws {
        let command = try #require(Program.commands.first { $0.name == name })
        for option in command.options {
            #expect(command.manual.contains("--\(option.name)"))
            #expect(!option.help.isEmpty)
        }
        #expect(Set(command.options.map(\.name)).count == command.options.count)
    }

    @Test func probeCountsLatencyInMilliseconds() throws {
        let target = try ProbeTarget("srt://h:1?passphrase=0123456789&latency=120")
        #expect(target.url == "srt://h:1?passphrase=0123456789&latency=120000")
        #expect(target.name == "srt://h:1")
        #expect(try ProbeTarget("clip.ts").url == "clip.ts")
        #expect(throws: UsageError.self) { try ProbeTarget("srt://h:1?latency=soon") }
        #expect(throws: UsageError.self) { try ProbeTarget("http://h/clip.ts") }
    }

    @Test func readsRunOptions() throws {
        let run = RunCommand.command
        let options = try RunOptions(
            Arguments(
                [
                    "g", "--listen", "[::1]:0", "--for", "1500ms", "--data", "/d", "--root", "nas=/mnt/nas",
                    "--ring-memory", "512M", "--log-format", "json", "--log-level", "error",
                ], run))
        #expect(options.listen.description == "[::1]:0")
        #expect(options.duration?.nanoseconds == 1_500_000_000)
        #expect(options.drain.nanoseconds == 10_000_000_000)
        #expect(options.ringMemory == 512 << 20)
        #expect(options.logFormat == .json)
        #expect(options.roots.map(\.name) == ["nas"])
        for words in [
            ["--listen", "here"], ["--for", "soon"], ["--for", "-1s"], ["--root", "nas"],
            ["--root", "a=/x", "--root", "a=/y"],
            ["--ring-memory", "much"], ["--ring-memory", "0"], ["--log-level", "loud"],
            ["--ring-group", "no-such-group"],
        ] {
            let arguments = try Arguments(["g", "--data", "/d"] + words, run)
            #expect(throws: UsageError.self, "\(words)") { try RunOptions(arguments) }
        }
    }
}
