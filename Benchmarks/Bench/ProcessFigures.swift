// What a process holds at a moment, as the kernel counts it.
import CLinux

/// Counts and bytes of one process.
struct ProcessFigures: Equatable {
    /// Proportional set size, rings included, bytes.
    var memory = 0
    /// Pages that belong to no file: heap, stacks; bytes.
    var anonymous = 0
    /// Heap, stacks and rings, bytes: what can leak. Pages of the program and its libraries are left out; how many of them
    /// count as whose changes with the neighbours that map them too.
    var own = 0
    var descriptors = 0
    /// Without the pools of Swift's executor and of io_uring, which grow and shrink with the load.
    var threads = 0
    /// Files in the engine's ring folder.
    var rings = 0

    /// - Parameter ringFolder: where the engine's rings lie.
    init(_ process: pid_t, ringFolder: String) {
        let text = contents(of: "/proc/\(process)/smaps_rollup") ?? ""
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count > 1, let pages = Int(words[1]) else { continue }
            if words[0] == "Pss:" { memory = pages << 10 }
            if words[0] == "Anonymous:" { anonymous = pages << 10 }
            if words[0] == "Pss_Anon:" || words[0] == "Pss_Shmem:" { own += pages << 10 }
        }
        descriptors = Self.count("/proc/\(process)/fd")
        threads = names(in: "/proc/\(process)/task", endingIn: "").count { thread in
            guard let name = contents(of: "/proc/\(process)/task/\(thread)/comm") else { return false }
            return !name.contains("qos") && !name.hasPrefix("iou-wrk")
        }
        rings = Self.count(ringFolder)
    }

    private static func count(_ folder: String) -> Int {
        names(in: folder, endingIn: "").count { $0 != "." && $0 != ".." }
    }

    /// The counts that must be the same whenever the graph is.
    var counts: [Int] { [descriptors, threads, rings] }
}

/// CPU that the threads of a process which carry patches out have had, milliseconds: those of Swift's executor, of HTTP, of the
/// history. Lanes are left out.
func controlProcessor(of process: pid_t) -> Double {
    names(in: "/proc/\(process)/task", endingIn: "").reduce(0) { sum, thread in
        let path = "/proc/\(process)/task/\(thread)"
        guard let name = contents(of: "\(path)/comm"),
            name.contains("qos") || name.hasPrefix("MHD") || name.hasPrefix("history"),
            let time = contents(of: "\(path)/schedstat")?.split(separator: " ").first.flatMap({ Double($0) })
        else { return sum }
        return sum + time / 1e6
    }
}

/// The slope of a straight line through points by least squares, in units of y a unit of x.
func slope(_ points: [(x: Double, y: Double)]) -> Double {
    let n = Double(points.count)
    let (meanX, meanY) = (points.reduce(0) { $0 + $1.x } / n, points.reduce(0) { $0 + $1.y } / n)
    let spread = points.reduce(0) { $0 + ($1.x - meanX) * ($1.x - meanX) }
    return spread > 0 ? points.reduce(0) { $0 + ($1.x - meanX) * ($1.y - meanY) } / spread : .nan
}
