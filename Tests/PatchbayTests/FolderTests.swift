// Where data and rings lie, and who may use them.
import CLinux
import Graph
import GraphHarness
import Testing

@testable import patchbay

@Suite struct FolderTests {
    private func standard(user: UInt32, _ variables: [String: String]) -> String? {
        DataFolder.standard(user: user, environment: { variables[$0] })
    }

    @Test func defaultsFollowSystemdRootAndXDG() {
        let user = ["HOME": "/home/ann", "XDG_STATE_HOME": "/x/state"]
        #expect(standard(user: 1000, ["STATE_DIRECTORY": "/var/lib/a:/var/lib/b", "HOME": "/h"]) == "/var/lib/a")
        #expect(standard(user: 0, user) == "/var/lib/patchbay")
        #expect(standard(user: 1000, user) == "/x/state/patchbay")
        #expect(standard(user: 1000, ["HOME": "/home/ann"]) == "/home/ann/.local/state/patchbay")
        // The XDG specification: a path that is not absolute is to be ignored.
        #expect(
            standard(user: 1000, ["HOME": "/home/ann", "XDG_STATE_HOME": "state"]) == "/home/ann/.local/state/patchbay")
        #expect(standard(user: 1000, [:]) == nil)
    }

    @Test func secondEngineOnADataFolderIsRefused() throws {
        let scratch = try Scratch()
        let first = try DataFolder(scratch.file("a/b"))
        #expect(throws: FolderError.self) { _ = try DataFolder(scratch.file("a/../a/b")) }
        do throws(FolderError) { _ = try DataFolder(scratch.file("a/b")) } catch {
            #expect(error.description.contains("is in use by process \(getpid())"))
        }
        #expect(first.path.hasSuffix("/a/b"))
    }

    @Test func lockGoesWithItsHolder() throws {
        let scratch = try Scratch()
        for _ in 0..<2 { #expect(try DataFolder(scratch.file("a")).path.hasSuffix("/a")) }
    }

    @Test func fileInTheWayIsSaid() throws {
        let scratch = try Scratch()
        let path = scratch.file("file")
        close(linux_open(path, O_CREAT | O_WRONLY, 0o600))
        do throws(FolderError) { _ = try DataFolder(path + "/data") } catch {
            #expect(error.description.contains(path))
            #expect(error.description.contains("--data DIR"))
            return
        }
        Issue.record("a folder was made in a file")
    }

    @Test func ringFolderIsRemovedWithWhatIsInIt() throws {
        let scratch = try Scratch()
        let parent = scratch.file("shm")
        let path = "\(parent)/\(RingFolder.instance("/data"))"
        try makeFolders(path, "")
        for name in ["camera.video", ".camera.video.2147483646.2"] {
            close(linux_open(path + "/" + name, O_CREAT | O_WRONLY, 0o600))
        }
        do {
            let folder = try RingFolder(dataFolder: "/data", group: nil, parent: parent)
            var status = stat()
            #expect(stat(folder.path, &status) == 0)
            #expect(status.st_mode & 0o7777 == 0o2770)
            #expect(access(folder.path + "/.camera.video.2147483646.2", F_OK) != 0)
            #expect(throws: FolderError.self) {
                _ = try RingFolder(dataFolder: "/data", group: nil, parent: parent)
            }
            #expect(access(folder.path, F_OK) == 0)
        }
        #expect(access(path, F_OK) != 0)
    }

    @Test func documentsFromHTTPStayInTheirFolders() throws {
        let scratch = try Scratch()
        try makeFolders(scratch.file("media/sub"), "")
        for name in ["media/a.mp4", "secret.mp4"] {
            close(linux_open(scratch.file(name), O_CREAT | O_WRONLY, 0o600))
        }
        #expect(symlink(scratch.file("secret.mp4"), scratch.file("media/link.mp4")) == 0)
        let readable = ReadableFolders(folders: [scratch.file("media")])
        func isTaken(_ path: String, besides old: String? = nil) -> Bool {
            func document(_ path: String) -> GraphDocument {
                GraphDocument([
                    "patchbay": 1, "nodes": ["in": ["kind": "source.file", "settings": ["path": .string(path)]]],
                ])
            }
            return readable.faults(in: document(path).changedNodes(since: old.map(document)), Kinds.catalogue).isEmpty
        }
        #expect(isTaken(scratch.file("media/a.mp4")))
        #expect(isTaken(scratch.file("media/sub/../a.mp4")))
        #expect(!isTaken(scratch.file("media/../secret.mp4")))
        #expect(!isTaken(scratch.file("media/link.mp4")))
        #expect(!isTaken(scratch.file("media")))
        #expect(!isTaken("/etc/passwd"))
        #expect(!isTaken(scratch.file("media/missing.mp4")))
        // What the start-up file reads stays as it is.
        #expect(isTaken("/etc/passwd", besides: "/etc/passwd"))
        #expect(!isTaken("/etc/shadow", besides: "/etc/passwd"))
    }
}
