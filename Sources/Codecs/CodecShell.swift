// The life of a codec between an inlet and an outlet, the same for decoders and encoders, of pictures and of sound: when
// it is opened, emptied and opened anew, and what readers are told meanwhile. On the node's lane.
import Engine
import Media

/// What a turn of a codec came to.
enum CodecStep {
    case busy, idle, ended
    /// The codec is to be emptied and opened anew before it takes the input that its work holds back.
    case renew
    case failed(NodeFault)

    var step: Step {
        switch self {
        case .busy, .renew: .again
        case .idle: .wait
        case .ended: .finished
        case .failed(let fault): .failed(fault)
        }
    }
}

/// What looking for a codec's next output came to.
enum CodecOutput {
    /// `publish` brings it to the outlet.
    case ready
    /// Feed first.
    case none
    /// All that was fed before `finish` is out.
    case end
    /// Its input was no good, which has been counted.
    case refused
    case failed(NodeFault)
}

/// What one kind of codec does of its own. Called by its shell alone.
protocol CodecWork: AnyObject {
    /// Output waits that `publish` has not got rid of yet.
    var hasOutput: Bool { get }
    /// Opens a codec for what the inlet gives.
    func open(_ format: StreamFormat) throws(NodeFault)
    /// Looks for output.
    func receive() -> CodecOutput
    /// Brings output to the outlet, if that is ready.
    func publish() -> CodecStep
    /// Gives the codec the next input, if there is any.
    func feed() -> CodecStep
    /// What comes next is of another stream.
    func noteRewired()
    /// No more input: what is inside comes out.
    /// - Parameter isLost: because the signal went.
    func finish(isLost: Bool)
    /// Lets go of the codec.
    func close()
    /// Lets go of input that is held back.
    func letGo()
}

extension CodecWork {
    func noteRewired() {}
    func letGo() {}
}

struct CodecShell<Work: CodecWork> {
    private enum Phase {
        /// No format yet.
        case waiting
        case running
        /// The inlet ended, fell silent or changed its format: what is inside comes out, then comes `next`, or the end.
        case finishing(next: StreamFormat?)
        case ended
    }

    private let work: Work
    private let inlet: Inlet
    private let outlet: Outlet
    private var phase = Phase.waiting
    /// What the codec is open for.
    private var format: StreamFormat?
    /// What readers are told once the codec is empty.
    private var signalAfterwards: Signal?
    /// The work holds input back, which belongs to `format`, while the codec is emptied.
    private var isRenewing = false
    /// What comes after that input, where the inlet ended, fell silent or changed its format behind it.
    private var afterRenewal: StreamFormat??
    private var fault: NodeFault?

    init(_ work: Work, _ inlet: Inlet, _ outlet: Outlet) {
        (self.work, self.inlet, self.outlet) = (work, inlet, outlet)
    }

    private var isOpen: Bool {
        switch phase {
        case .running, .finishing: true
        case .waiting, .ended: false
        }
    }

    // MARK: News

    mutating func changed(_ news: InletNews) {
        switch news {
        case .format(let format): if isOpen { finish(then: format) } else { open(format) }
        case .ended: if isOpen { finish(then: nil) } else { phase = .ended }
        case .noSignal: silence(.noSignal)
        case .absent: silence(.absent)
        case .rewired: work.noteRewired()
        }
    }

    /// What is inside belongs to what was: it is given out before readers are told, and what comes is started afresh.
    private mutating func silence(_ signal: Signal) {
        guard isOpen, let format = inlet.format else { return outlet.set(signal) }
        signalAfterwards = signal
        finish(then: format)
    }

    private mutating func finish(then next: StreamFormat?) {
        work.finish(isLost: signalAfterwards != nil)
        phase = .finishing(next: next)
    }

    private mutating func open(_ format: StreamFormat) {
        do throws(NodeFault) {
            try work.open(format)
            self.format = format
            phase = .running
        } catch { fault = error }
    }

    // MARK: Steps

    mutating func step() -> CodecStep {
        if let fault { return .failed(fault) }
        switch phase {
        case .waiting: return .idle
        case .ended: return .ended
        case .running, .finishing: break
        }
        if work.hasOutput { return work.publish() }
        switch work.receive() {
        case .ready: return work.publish()
        case .none: return feed()
        case .end: return reopen()
        case .refused: return .busy
        case .failed(let fault): return .failed(fault)
        }
    }

    private mutating func feed() -> CodecStep {
        guard case .running = phase else { return .busy }
        let step = work.feed()
        isRenewing = false
        if case .renew = step {
            isRenewing = true
            finish(then: format)
            return .busy
        }
        if let next = afterRenewal.take() { finish(then: next) }
        return step
    }

    private mutating func reopen() -> CodecStep {
        guard case .finishing(let next) = phase else { return .idle }
        work.close()
        phase = .waiting
        if isRenewing, next != format || signalAfterwards != nil, let format {
            // What is held back is still of the format before: a codec of its own, and then what follows.
            afterRenewal = .some(next)
            open(format)
            return .busy
        }
        if let signal = signalAfterwards { outlet.set(signal) }
        signalAfterwards = nil
        guard let next else {
            phase = .ended
            return .ended
        }
        open(next)
        return .busy
    }

    mutating func stop() {
        // Leases go back before the inlet leaves its ring, buffers before the outlet does.
        work.letGo()
        work.close()
        phase = .ended
    }
}
