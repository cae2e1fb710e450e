// Errors on their way out: a code for the caller, and one line of text kept for the thread that made the call.
// swift-format-ignore-file: AlwaysUseLowerCamelCase

import CLinux
import CPatchbayRing
import Media
import Rings

/// Why a call failed: one of `pbr_error`, and what was found, expected, and to be done.
struct Failure: Error {
    let code: pbr_error
    let detail: String

    init(_ code: pbr_error, _ detail: String) {
        self.code = code
        self.detail = detail
    }

    static func argument(_ detail: String) -> Failure { Failure(PBR_ERROR_ARGUMENT, detail) }

    /// What Rings says of the ring called `name`.
    init(_ error: RingError, _ name: String) {
        switch error {
        case .system(_, ENOENT):
            self.init(PBR_ERROR_NOT_FOUND, "no ring is called \"\(name)\": start its writer, or wait with a timeout")
        case .system(_, EACCES), .system(_, EPERM):
            self.init(
                PBR_ERROR_SYSTEM,
                "\"\(name)\" may not be opened by this user: run as its owner, or start the engine with --ring-group")
        case .system(_, let number):
            self.init(PBR_ERROR_SYSTEM, "\"\(name)\": \(errorText(number))")
        case .noSpace(let bytes):
            self.init(
                PBR_ERROR_NO_SPACE,
                "\"\(name)\" takes \(bytes) bytes and /dev/shm hasn't as many left: enlarge it, or ask for less depth")
        case .notARing(let defect):
            self.init(
                PBR_ERROR_NOT_A_RING,
                "\"\(name)\" is no ring that can be trusted (\(defect.phrase)): remove the file and start its writer anew"
            )
        case .foreignLayout(let major, let minor):
            self.init(
                PBR_ERROR_LAYOUT,
                "\"\(name)\" has layout \(major).\(minor), this library reads \(PBR_LAYOUT_MAJOR).x: use the library "
                    + "that came with its writer")
        case .otherRingType:
            self.init(PBR_ERROR_FORMAT, "\"\(name)\" is a ring of the other type, frames or packets")
        case .noReaderPlace:
            self.init(PBR_ERROR_NO_PLACE, "\"\(name)\" has \(PBR_MAX_READERS) readers: detach one")
        case .leasesDoNotFit(let asked, let room):
            self.init(
                PBR_ERROR_NO_PLACE,
                "\"\(name)\" can promise \(room) more leases, not \(asked): ask for fewer, detach a reader, or make the "
                    + "ring with more")
        case .writerAlive:
            self.init(PBR_ERROR_TAKEN, "\"\(name)\" has a living writer: end it, or write under another id")
        case .removed:
            self.init(PBR_ERROR_REMOVED, "\"\(name)\" was deleted meanwhile: open it anew")
        }
    }
}

extension RingDefect {
    fileprivate var phrase: StaticString {
        switch self {
        case .tooShort: "too short"
        case .magic: "no magic number"
        case .ringType: "unknown type of ring"
        case .sizes: "sizes beyond the file's end"
        case .offsets: "areas that overlap or leave the file"
        case .counts: "counts out of bounds"
        case .formatType: "a format of another kind of ring"
        case .pictureSize: "a picture size that can't be"
        case .planes: "planes that don't fit their buffers"
        case .rate: "a rate that can't be"
        case .sound: "sound that can't be"
        case .extradataSize: "more extradata than there is room for"
        }
    }
}

func errorText(_ number: Int32) -> String {
    linux_error_text(number).map { String(cString: $0) } ?? "error \(number)"
}

/// Runs the body of a C function: a failure is kept for `pbr_last_error_detail` and becomes its code.
func reporting(_ body: () throws(Failure) -> Int32) -> Int32 {
    do {
        return try body()
    } catch {
        keep(error.detail)
        return error.code.rawValue
    }
}

private func keep(_ detail: String) {
    guard let text = linux_thread_text() else { return }
    var end = 0
    for byte in detail.utf8 where end < Int(LINUX_THREAD_TEXT) - 1 {
        text[end] = CChar(bitPattern: byte)
        end += 1
    }
    text[end] = 0
}

@c @implementation
public func pbr_last_error_detail() -> UnsafePointer<CChar>! { UnsafePointer(linux_thread_text()) }

@c @implementation
public func pbr_strerror(_ error: Int32) -> UnsafePointer<CChar>! {
    let text: StaticString =
        switch pbr_error(rawValue: error) {
        case PBR_ERROR_ARGUMENT: "an argument that no call can take"
        case PBR_ERROR_FORMAT: "unknown or unfitting format"
        case PBR_ERROR_NOT_FOUND: "no such ring"
        case PBR_ERROR_TAKEN: "the ring has another writer"
        case PBR_ERROR_NO_SPACE: "no shared memory left"
        case PBR_ERROR_NOT_A_RING: "not a ring that can be trusted"
        case PBR_ERROR_LAYOUT: "a ring of another major layout version"
        case PBR_ERROR_NO_PLACE: "no place for this reader"
        case PBR_ERROR_REFUSED: "the engine refused"
        case PBR_ERROR_SYSTEM: "a system call failed"
        case PBR_ERROR_NO_BUFFER: "no buffer is free"
        case PBR_ERROR_TOO_LARGE: "the packet is too large"
        case PBR_ERROR_LEASES: "as many grains are held as were declared"
        case PBR_ERROR_REMOVED: "the slot was deleted"
        default: error >= 0 ? "no error" : "unknown error"
        }
    return UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
}
