// What a folder holds. Blocking: for control threads and for nodes that open.
import CLinux

/// Names in the folder at `path` without `.` and `..`, in no order; none where there is no folder or it can't be read.
/// - Parameter limit: at most so many.
package func namesInFolder(_ path: String, limit: Int = .max) -> [String] {
    guard let stream = opendir(path) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while names.count < limit, let entry = readdir(stream) {
        let name = withUnsafeBytes(of: &entry.pointee.d_name) {
            String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
        }
        if name != ".", name != ".." { names.append(name) }
    }
    return names
}
