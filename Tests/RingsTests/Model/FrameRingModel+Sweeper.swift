// The sweeper of dead readers, which may be killed itself: mirrors RingMapping.sweepDeadReaders.

extension FrameRingModel {
    func sweeperSteps(_ state: State, _ visit: (State) -> Void) {
        let sweeper = state.sweeper
        let target = Int(sweeper.target)
        var next = state
        switch sweeper.step {
        case .look:
            for id in 0..<readers where state[reader: id].isLive {
                next.sweeper.step = .lock
                next.sweeper.target = UInt8(id)
                visit(next)
            }
            return
        case .lock:
            if state[reader: target].lock == 0 {
                next[reader: target].lock = 2
                next.sweeper.step = .check
            } else if safeguards.contains(.lockBeforeSweep) {
                next.sweeper = Sweeper(deaths: sweeper.deaths)
            } else {
                next.sweeper.step = .check
            }
        case .check: next.sweeper.step = state[reader: target].isLive ? .clear : .unlock
        case .clear:
            next.words[Int(sweeper.progress)] &= ~(UInt8(1) << sweeper.target)
            next.sweeper.progress += 1
            if Int(next.sweeper.progress) == buffers { next.sweeper.step = .free }
        case .free:
            next[reader: target].isLive = false
            next.sweeper.step = .unlock
        case .unlock:
            if state[reader: target].lock == 2 { next[reader: target].lock = 0 }
            next.sweeper = Sweeper(deaths: sweeper.deaths)
        }
        visit(next)
        if sweeper.deaths == 0 {
            // The sweeper dies here and another one starts: its lock goes with it, what it did stays.
            var dead = state
            if dead[reader: target].lock == 2 { dead[reader: target].lock = 0 }
            dead.sweeper = Sweeper(deaths: 1)
            visit(dead)
        }
    }
}
