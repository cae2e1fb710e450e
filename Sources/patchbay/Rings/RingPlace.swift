// Where commands find rings: the folder of an engine's port, where writers without an engine make theirs too. Names are
// checked before they become part of a path.
import API
import CLinux
import Files
import FrameCache
import Graph
import Media
import Rings

/// The rings of one engine's port.
struct RingPlace {
    let port: UInt16
    let folder: String

    init(_ arguments: Arguments) throws(UsageError) {
        port = try HTTPClient(arguments).port
        folder = "\(RingFolder.parent)/port-\(port)"
    }

    /// The file of the slot or outlet `name`: `cam1`, `camera.video`, `ch1/h264.packets`.
    func path(_ name: String) throws(UsageError) -> String {
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        let isValid =
            parts.count <= 2
            && parts.allSatisfy {
                $0.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { Identifier.isValid(String($0)) }
            }
            && (parts.count == 2 || Identifier.isValid(name))
        guard isValid else {
            throw UsageError(
                "\"\(name)\" is no name of a ring; expected a slot such as cam1, or an outlet such as camera.video.")
        }
        return folder + "/" + name.substituting("/", by: "~")
    }

    /// Every ring, by name; those that are none are left out.
    var rings: [(name: String, mapping: RingMapping)] {
        namesInFolder(folder).filter { !$0.hasPrefix(".") && $0 != "engine.lock" }.sorted().compactMap { name in
            do throws(RingError) {
                return (
                    name.substituting("~", by: "/"), try RingMapping.open(path: folder + "/" + name, populates: false)
                )
            } catch { return nil }
        }
    }

    /// Opens a ring for looking at it.
    func ring(_ name: String, populates: Bool = false) throws(RingCommandFault) -> RingMapping {
        let path: String
        do throws(UsageError) { path = try self.path(name) } catch { throw RingCommandFault(error.description) }
        do throws(RingError) { return try RingMapping.open(path: path, populates: populates) } catch {
            throw RingCommandFault(error, name, self)
        }
    }
}

/// Why a command on a ring failed, in words.
struct RingCommandFault: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }

    init(_ error: RingError, _ name: String, _ place: RingPlace) {
        switch error {
        case .system(.open, ENOENT):
            let names = place.rings.map(\.name)
            let there = names.isEmpty ? "there are none" : "there are \(names.joined(separator: ", "))"
            description =
                "there is no ring \"\(name)\" at port \(place.port); \(there). Start its writer, or name its engine with --at."
        case .system(_, let errno): description = "the ring \"\(name)\" can't be opened: \(errorText(errno))"
        case .foreignLayout(let major, let minor):
            description =
                "the ring \"\(name)\" has layout \(major).\(minor), made by another version: use that version's tools"
        case .notARing(let defect):
            description = "\"\(name)\" is not a ring that can be trusted (\(defect)): remove the file"
        case .noReaderPlace: description = "all 62 places for readers of \"\(name)\" are taken: end one of them"
        case .leasesDoNotFit:
            description = "\"\(name)\" has no buffers left for another reader: make it with more \"readers\""
        case .writerAlive: description = "\"\(name)\" is being written by another process: end it first"
        case .noSpace(let bytes):
            description = "\(bytes >> 20) MiB of shared memory are needed, and there are less left: enlarge /dev/shm"
        default: description = "the ring \"\(name)\" can't be used: \(error)"
        }
    }
}
