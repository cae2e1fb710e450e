// The page as an operator uses it: it changes a running graph, and takes the change back. And the commands that show the
// same on a terminal.
import EndToEnd
import Foundation
import GraphHarness
import Testing

extension EndToEndTests {
    @Suite struct LivePageTests {
        private func setting(_ engine: Patchbay) throws -> String? {
            let answer = try engine.get("/v1/graph")
            let graph = try JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: Any]
            let node = (graph?["nodes"] as? [String: Any])?["h264"] as? [String: Any]
            return (node?["settings"] as? [String: Any])?["gop"] as? String
        }

        @Test func aPersonChangesASettingAndTakesItBack() throws {
            let engine = try Patchbay(
                Patchbay.graph("first-light"), data: Scratch(),
                ["--set", "camera.size=320x180", "--set", "camera.rate=25"])
            let before = try setting(engine)
            let browser = try Browser(engine.base)
            #expect(try browser.becomes("document.querySelectorAll('.node').length === 4"))
            _ = try browser.text("[...document.querySelectorAll('.node')].find(n => n.title === 'h264').click()")
            #expect(try browser.becomes("document.querySelector('#inspector input[name=gop]') !== null"))
            _ = try browser.text(
                """
                (() => { const field = document.querySelector('#inspector input[name=gop]'); field.value = '3s';
                field.dispatchEvent(new Event('change')); return ''; })()
                """)
            #expect(try browser.becomes("document.getElementById('answer').textContent === 'h264.gop is set'"))
            #expect(try setting(engine) == "3s")
            #expect(try browser.becomes("document.getElementById('happened').textContent.includes('graphCommitted')"))
            try browser.keepPictures("live-page")
            _ = try browser.text("document.getElementById('undo').click()")
            #expect(try browser.becomes("document.getElementById('undo').disabled"))
            #expect(try browser.becomes("document.getElementById('answer').textContent === 'h264.gop is as before'"))
            #expect(try setting(engine) == before)
            // What the graph doesn't take is said, and nothing is to be taken back.
            _ = try browser.text(
                """
                (() => { const field = document.querySelector('#inspector input[name=gop]'); field.value = 'soon';
                field.dispatchEvent(new Event('change')); return ''; })()
                """)
            #expect(try browser.becomes("document.getElementById('answer').className === 'bad'"))
            #expect(try browser.text("document.getElementById('undo').disabled") == "true")
            #expect(try setting(engine) == before)
            try commandsAgree(engine)
            #expect(engine.interrupt() == 0, "\(engine.child.messages)")
        }

        @Test func aPersonPutsInputsOnAir() throws {
            let data = try Scratch()
            let camera = #"{"kind": "source.pattern", "settings": {"size": "160x90", "rate": "25"}}"#
            let graph = try data.write(
                "graph.json",
                """
                {"patchbay": 1, "nodes": {"cam1": \(camera), "cam2": \(camera),
                  "air": {"kind": "switch", "inputs": {"main": {"video": "cam1.video"}, "spare": {"video": "cam2.video"}}},
                  "out": {"kind": "sink.null", "inputs": {"in": "air.video"}}}}
                """)
            let engine = try Patchbay(graph, data: data)
            let browser = try Browser(engine.base)
            #expect(try browser.becomes("document.querySelectorAll('.node').length === 4"))
            _ = try browser.text("[...document.querySelectorAll('.node')].find(n => n.title === 'air').click()")
            func press(_ name: String) throws {
                let button =
                    "[...document.querySelectorAll('#inspector .inputs button')].find(b => b.textContent === '\(name)')"
                #expect(try browser.becomes("\(button) !== undefined"), "\(name)")
                _ = try browser.text("\(button).click()")
            }
            func isOnAir(_ name: String) throws -> Bool {
                try browser.becomes(
                    """
                    document.querySelector('#inspector .inputs .on')?.textContent === '\(name)' &&
                    [...document.querySelectorAll('.node .port.in')].filter(p => p.textContent.includes('on air'))
                      .map(p => p.textContent.includes('/\(name)')).join() === 'true'
                    """)
            }
            #expect(try isOnAir("main"))
            try press("spare")
            #expect(try isOnAir("spare"))
            _ = try browser.text("document.getElementById('undo').click()")
            #expect(try isOnAir("main"))
            // A failover's switch is its own: it is asked.
            let added = try engine.patch(
                #"""
                [{"op": "add", "path": "/nodes/keeper", "value": {"kind": "control.failover", "settings": {"switch": "air",
                  "silence": "1m", "inputs": {"main": {"priority": 1}, "spare": {"priority": 2}}}}}]
                """#)
            #expect(added.status == 200, "\(added.text)")
            func chosen() throws -> String {
                let answer = try JSONSerialization.jsonObject(with: Data(engine.get("/v1/failovers/keeper").body))
                return (answer as? [String: Any])?["override_input"] as? String ?? ""
            }
            #expect(
                try browser.becomes(
                    "document.querySelector('#inspector .inputs').textContent.includes('let keeper decide')"))
            try press("spare")
            #expect(try isOnAir("spare"))
            #expect(try chosen() == "spare")
            try browser.keepPictures("live-page-switch")
            try press("let keeper decide")
            #expect(try browser.becomes("document.getElementById('answer').textContent === 'keeper decides'"))
            #expect(try chosen() == "")
            #expect(engine.interrupt() == 0, "\(engine.child.messages)")
        }

        /// `patchbay top` and `patchbay events` of the same engine.
        private func commandsAgree(_ engine: Patchbay) throws {
            let top = try command(["top", "--json", "--at", engine.base])
            let edges = try JSONSerialization.jsonObject(with: Data(top.utf8)) as? [[String: Any]] ?? []
            #expect(
                Set(edges.compactMap { $0["to"] as? String }) == [
                    "h264.video", "aac.audio", "live.video", "live.audio",
                ])
            #expect(edges.allSatisfy { $0["lost"] as? Int != nil && $0["rate"] as? Double != nil })
            let table = try command(["top", "--at", engine.base])
            #expect(table.hasPrefix("FROM ") && table.contains("camera.video") && !table.contains("\u{1b}"))
            let output = Pipe()
            let events = try ChildProcess(
                Patchbay.program, ["events", "--after", "0", "--type", "graphCommitted", "--at", engine.base],
                output: output)
            var text = ""
            while !text.contains("graphCommitted - revision=3") {
                var poller = pollfd(fd: output.fileHandleForReading.fileDescriptor, events: Int16(POLLIN), revents: 0)
                guard poll(&poller, 1, 20_000) > 0, events.isRunning else { break }
                text += String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
            }
            #expect(text.contains("graphCommitted - revision=3"), "\(text)")
            #expect(!text.contains("nodeStarted"))
            let wrong = try ChildProcess(Patchbay.program, ["events", "--type", "nothing", "--at", engine.base])
            #expect(wrong.exit(within: 20) == 1 && wrong.messages.contains("There is no type of event"))
        }

        private func command(_ arguments: [String]) throws -> String {
            let process = Process()
            let output = Pipe()
            process.executableURL = URL(fileURLWithPath: Patchbay.program)
            process.arguments = arguments
            process.standardOutput = output
            try process.run()
            let data = output.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            #expect(process.terminationStatus == 0)
            return String(decoding: data, as: UTF8.self)
        }
    }
}
