// The switch of the preloaded library that lets a disk hang (Benchmarks/HangingDisk/hang.c). One thread.
import CLinux

final class HangingDisk {
    private let path: String
    private let folder: String
    private let table: UnsafeMutableRawPointer

    /// - Parameter folder: everything below it is on the disk.
    init(_ path: String, folder: String) throws(BenchError) {
        (self.path, self.folder) = (path, folder)
        let file = linux_open(path, O_RDWR | O_CREAT | O_TRUNC, 0o600)
        guard file >= 0, ftruncate(file, 8) == 0,
            let table = linux_map(nil, 8, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
        else { throw BenchError("\(path) can't be mapped: errno \(linux_errno())") }
        close(file)
        self.table = table
    }

    /// Whoever waited goes on.
    deinit {
        hangs = false
        munmap(table, 8)
    }

    /// For the program that is to have such a disk.
    func environment(_ library: String) -> [String] {
        ["LD_PRELOAD=\(library)", "HANG_FILE=\(path)", "HANG_FOLDER=\(folder)"]
    }

    var hangs: Bool = false {
        didSet { table.storeBytes(of: hangs ? 1 : 0, as: UInt32.self) }
    }

    /// Calls that had to wait so far.
    var waited: Int { Int(table.load(fromByteOffset: 4, as: UInt32.self)) }
}
