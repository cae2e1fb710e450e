import CLinux
import Testing

@testable import Files

@Suite struct OutputRootsTests {
    @Test func takesPathsBelowARoot() throws {
        let folder = try TemporaryFolder()
        let roots = OutputRoots([OutputRoot(name: "data", folder: folder.path)])
        #expect(try roots.resolve("shows/one.mp4", in: "data") == folder("shows/one.mp4"))
        #expect(try roots.resolve("..x/.y", in: "data") == folder("..x/.y"))
    }

    @Test(arguments: [
        ("", OutputPathError.empty), ("/etc/passwd", .absolute("/etc/passwd")), ("a\0b", .containsNUL),
        ("../x", .component("..", path: "../x")), ("a/../../x", .component("..", path: "a/../../x")),
        ("a//b", .component("", path: "a//b")), ("a/", .component("", path: "a/")),
        ("./a", .component(".", path: "./a")),
    ])
    func refusesWhatIsNotPlain(_ path: String, _ error: OutputPathError) throws {
        let roots = OutputRoots([OutputRoot(name: "data", folder: "/tmp")])
        #expect(throws: error) { try roots.resolve(path, in: "data") }
        #expect(error.message.contains(": "))
    }

    @Test func refusesUnknownRootsAndLongPaths() throws {
        let roots = OutputRoots([OutputRoot(name: "data", folder: "/tmp")])
        #expect(throws: OutputPathError.unknownRoot("x", known: ["data"])) { try roots.resolve("a", in: "x") }
        #expect(throws: OutputPathError.tooLong(bytes: 5000)) {
            try roots.resolve(String(repeating: "a", count: 5000), in: "data")
        }
    }

    @Test func refusesLinksThatLeaveTheRoot() throws {
        let (folder, outside) = (try TemporaryFolder(), try TemporaryFolder())
        try #require(mkdir(folder("in"), 0o755) == 0)
        try #require(symlink(outside.path, folder("out")) == 0)
        try #require(symlink("/nowhere/at/all", folder("dangling")) == 0)
        try #require(symlink(folder("in"), folder("alias")) == 0)
        let roots = OutputRoots([OutputRoot(name: "data", folder: folder.path)])
        for path in ["out/x", "out", "dangling", "dangling/x"] {
            #expect(throws: OutputPathError.self, "\(path)") { try roots.resolve(path, in: "data") }
        }
        #expect(try roots.resolve("alias/x/y", in: "data") == folder("alias/x/y"))
        // A root beside it whose name begins alike is outside.
        try #require(symlink(folder.path + "-other", folder("twin")) == 0)
        try #require(mkdir(folder.path + "-other", 0o755) == 0)
        defer { rmdir(folder.path + "-other") }
        #expect(throws: OutputPathError.self) { try roots.resolve("twin/x", in: "data") }
    }

    @Test func checksThatAFolderCanBeWritten() throws {
        let folder = try TemporaryFolder()
        try OutputRoots.checkWritable(folder("a/b/c"))
        #expect(names(in: folder("a/b/c")).isEmpty)
        try #require(linux_open(folder("file"), O_CREAT | O_WRONLY, 0o644) >= 0)
        #expect(throws: FileFault(.makeFolder, errno: ENOTDIR, path: folder("file"))) {
            try OutputRoots.checkWritable(folder("file"))
        }
        #expect(throws: FileFault.self) { try OutputRoots.checkWritable("/proc/nothing/here") }
    }
}
