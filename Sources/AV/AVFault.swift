// What went wrong inside libav: the call, its code, and libav's words for it.
internal import CFFmpeg

/// An error of libav. Made only off the data path, since it holds text.
package struct AVFault: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was being done, for people: `open /media/clip.ts`.
    package let operation: String
    /// libav's code: a negated errno or a negated tag.
    package let code: Int32
    /// What was found, in libav's words (`av_strerror`) or in ours where those say too little.
    package let message: String

    package init(operation: String, code: Int32, message: String? = nil) {
        self.operation = operation
        self.code = code
        self.message = message ?? Self.text(of: code)
    }

    package var description: String { "\(operation): \(message)" }

    /// Whether the interrupt callback ended the call.
    package var isInterruption: Bool { code == av_error_exit }

    fileprivate static func text(of code: Int32) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
            guard let base = buffer.baseAddress else { return "error \(code)" }
            buffer.initialize(repeating: 0)
            av_strerror(code, base, buffer.count)
            return String(cString: base)
        }
    }
}

/// Turns a negative return code into a fault; `operation` is only evaluated then.
@discardableResult
func check(_ code: Int32, _ operation: @autoclosure () -> String) throws(AVFault) -> Int32 {
    guard code < 0 else { return code }
    throw AVFault(operation: operation(), code: code)
}

/// The same of a call that says why in the log only.
func checkTold(_ operation: @autoclosure () -> String, _ call: () -> Int32) throws(AVFault) {
    let (code, told) = AVLog.hearing(call)
    guard code < 0 else { return }
    throw AVFault(
        operation: operation(), code: code, message: AVFault.text(of: code) + (told.map { ": \($0)" } ?? ""))
}

/// Unwraps what an allocating call of libav returned.
func checkAllocated<Pointee>(_ pointer: UnsafeMutablePointer<Pointee>?, _ operation: String) throws(AVFault)
    -> UnsafeMutablePointer<Pointee>
{
    guard let pointer else { throw AVFault(operation: operation, code: av_error_no_memory) }
    return pointer
}

/// A fault for input that libav has not seen, but that we know it could not take.
func refusal(_ operation: String, _ message: String) -> AVFault {
    AVFault(operation: operation, code: av_error_invalid_data, message: message)
}
