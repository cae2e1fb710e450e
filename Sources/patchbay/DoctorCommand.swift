// `patchbay doctor`: what of this machine stands in the way of a good run, and how to mend it.
import API
import AV
import CLinux
import Engine
import Files
import FrameCache
import Graph
import Media
import Rings

enum DoctorCommand {
    static let command = Command(
        "doctor", [], "Looks at what a run needs of this machine, and says what to mend.",
        [
            Option("json", "Prints the findings as JSON."),
            Option("data", "DIR", "The data folder that is meant."),
            Option("listen", "ADDR:PORT", "The address that is meant; 127.0.0.1:7435 by default."),
        ]
    ) { (arguments) async throws(UsageError) in
        let findings = try examine(arguments)
        if arguments.has("json") {
            let json = JSON.object(JSONObject([("findings", .array(findings.map(\.json)))]))
            writeToStandardOutput(json.pretty + "\n")
        } else {
            for finding in findings { writeToStandardOutput(finding.text) }
        }
        return findings.contains { $0.verdict == .bad } ? .failure : .success
    }

    /// One thing that was looked at.
    struct Finding {
        enum Verdict: String { case good, poor, bad }
        let subject: String
        let verdict: Verdict
        let found: String
        /// What to do; nil where nothing is to be done.
        let remedy: String?

        init(_ subject: String, _ verdict: Verdict, _ found: String, _ remedy: String? = nil) {
            (self.subject, self.verdict, self.found, self.remedy) = (subject, verdict, found, remedy)
        }

        var json: JSON {
            [
                "subject": .string(subject), "verdict": .string(verdict.rawValue), "found": .string(found),
                "remedy": remedy.map(JSON.string) ?? .null,
            ]
        }

        var text: String {
            "\(padded(verdict.rawValue, 5)) \(padded(subject, 16)) \(found)\n"
                + (remedy.map { padded("", 23) + "→ \($0)\n" } ?? "")
        }
    }

    private static func examine(_ arguments: Arguments) throws(UsageError) -> [Finding] {
        [
            sharedMemory(), limit("open files", RLIMIT_NOFILE, atLeast: 4096, "ulimit -n 65536"),
            limit(
                "locked memory", __RLIMIT_MEMLOCK, atLeast: 8 << 20, "ulimit -l unlimited, for io_uring on old kernels"),
            limit("processes", __RLIMIT_NPROC, atLeast: 1024, "ulimit -u 4096"), fileBackend(), waiting(),
            try port(arguments),
            try dataFolder(arguments), codecs(), processors(),
        ]
    }

    // MARK: Memory

    private static func sharedMemory() -> Finding {
        var status = statvfs()
        guard statvfs("/dev/shm", &status) == 0 else {
            return Finding("/dev/shm", .bad, "is not there", "mount -t tmpfs tmpfs /dev/shm; rings lie there")
        }
        let (size, free) = (
            UInt64(status.f_blocks) * UInt64(status.f_frsize), UInt64(status.f_bavail) * UInt64(status.f_frsize)
        )
        let text = "\(size >> 20) MiB, \(free >> 20) MiB free\(slotOfHD)"
        // The default of Docker is 64 MiB: a few edges of HD fill it.
        if free < 256 << 20 {
            return Finding(
                "/dev/shm", .bad, text, "mount -o remount,size=4G /dev/shm; in a container, --shm-size=4g")
        }
        return Finding(
            "/dev/shm", free < 1 << 30 ? .poor : .good, text,
            free < 1 << 30 ? "mount -o remount,size=4G /dev/shm, for slots of HD" : nil)
    }

    /// What a slot takes where nobody says how deep it is to be and who will read it.
    private static var slotOfHD: String {
        let wish: JSON = ["id": "cam1", "video": ["size": "1920x1080", "rate": "50", "pixelFormat": "uyvy422"]]
        do throws(DocumentFaults) {
            let ring = try SlotRequest(wish).ring
            return ring.fileSize.map {
                " (a slot of \(ring.depth) pictures of 1920x1080 uyvy422 takes \($0 / 1_000_000) MB)"
            } ?? ""
        } catch { return "" }
    }

    private static func limit(_ name: String, _ which: __rlimit_resource, atLeast wanted: UInt64, _ remedy: String)
        -> Finding
    {
        var limit = rlimit()
        guard getrlimit(which, &limit) == 0 else { return Finding(name, .poor, "unknown") }
        let isUnlimited = limit.rlim_cur == rlim_t.max
        return Finding(
            name, isUnlimited || limit.rlim_cur >= wanted ? .good : .poor,
            isUnlimited ? "unlimited" : "\(limit.rlim_cur)", limit.rlim_cur >= wanted ? nil : remedy)
    }

    // MARK: Kernel

    private static func fileBackend() -> Finding {
        do throws(FileFault) {
            let files = try FileService()
            defer { _ = files.shutdown(deadline: linux_monotonic_nanoseconds() + 1_000_000_000) }
            switch files.backend.kind {
            case .ioUring: return Finding("io_uring", .good, "files are written through it")
            case .pwrite, .automatic:
                return Finding(
                    "io_uring", .poor, "refused: \(files.backend.reason); files are written with pwrite",
                    "sysctl kernel.io_uring_disabled=0; in a container, allow io_uring in its seccomp profile")
            }
        } catch { return Finding("io_uring", .bad, error.message) }
    }

    private static func waiting() -> Finding {
        var word: UInt32 = 0
        let result = withUnsafePointer(to: &word) { word -> Int32 in
            var words: [UnsafeRawPointer?] = [UnsafeRawPointer(word)]
            var expected: [UInt32] = [1]
            return linux_futex_wait_any(&words, &expected, 1, linux_monotonic_nanoseconds())
        }
        // The word is not what was expected, so that a kernel that has the call says EAGAIN.
        return result == -EAGAIN
            ? Finding("futex_waitv", .good, "rings of other processes are waited for")
            : Finding(
                "futex_waitv", .poor, "refused: \(errorText(-result)); such rings are looked at each millisecond",
                "Linux 5.16 or later has it; in a container, allow it in the seccomp profile")
    }

    private static func processors() -> Finding {
        let count = sysconf(Int32(_SC_NPROCESSORS_ONLN))
        return Finding(
            "processors", count < 2 ? .poor : .good, "\(count)", count < 2 ? "a lane waits for another" : nil)
    }

    // MARK: Faces

    private static func port(_ arguments: Arguments) throws(UsageError) -> Finding {
        let text = arguments.text("listen") ?? "127.0.0.1:7435"
        guard let address = ListenAddress(text) else {
            throw UsageError("--listen is \"\(text)\"; expected ADDR:PORT.")
        }
        do throws(ListenError) {
            let socket = try ListeningSocket(address)
            _ = consume socket
            return Finding("port \(address.port)", .good, "free")
        } catch { return Finding("port \(address.port)", .poor, "\(error)", "end that program, or choose --listen") }
    }

    private static func dataFolder(_ arguments: Arguments) throws(UsageError) -> Finding {
        guard let path = arguments.text("data") ?? DataFolder.standard(user: geteuid(), environment: environment)
        else { return Finding("data folder", .bad, "unknown", "name one with --data DIR") }
        do throws(FolderError) {
            let folder = try DataFolder(path)
            var status = statvfs()
            guard statvfs(folder.path, &status) == 0 else { return Finding("data folder", .poor, folder.path) }
            let free = UInt64(status.f_bavail) * UInt64(status.f_frsize)
            return Finding(
                "data folder", free < 1 << 30 ? .poor : .good, "\(folder.path), \(free >> 30) GiB free",
                free < 1 << 30 ? "make room, or choose another with --data DIR" : nil)
        } catch { return Finding("data folder", .bad, error.description, "choose another with --data DIR") }
    }

    private static func codecs() -> Finding {
        let wanted = ["libx264", "libx265", "aac", "libopus"]
        let missing = wanted.filter { !hasEncoder($0) }
        return Finding(
            "codecs", missing.isEmpty ? .good : .poor,
            missing.isEmpty ? wanted.joined(separator: ", ") : "missing: \(missing.joined(separator: ", "))",
            missing.isEmpty ? nil : "install Debian's libavcodec-extra, or use others")
    }
}
