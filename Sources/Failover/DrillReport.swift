// What came of a drill, told from the switches that were made meanwhile. A value: any thread.
import Engine
import Graph
import Media

/// What was seen of one fault.
struct DrillFinding: Sendable, Equatable {
    /// Instants are monotonic nanoseconds.
    let began: Int64
    let ended: Int64
    let wasOnAir: Bool
    /// The switch away from its input.
    var away: SwitchRecord?
    /// The switch back to it.
    var back: SwitchRecord?
    /// What is not as it was to be; nil: nothing.
    var failure: String?
}

struct DrillReport: Sendable {
    private(set) var findings: [DrillFinding] = []
    /// What is wrong with the whole.
    private(set) var failures: [String] = []
    private let script: DrillScript
    private let switches: [SwitchRecord]
    private let began: Int64

    /// What was on air, and how that went on.
    struct Course {
        /// When the drill began, monotonic nanoseconds.
        var began: Int64
        /// How much later the last fault may have been given, nanoseconds.
        var delay: Int64
        var activeBefore: String?
        var activeAfter: String?
        /// Oldest first.
        var switches: [SwitchRecord]
        /// How often every input was degraded.
        var exhaustions: UInt64
        var silence: MediaTime

        func active(at instant: Int64) -> String? {
            switches.last { $0.at <= instant }?.to ?? activeBefore
        }
    }

    init(_ script: DrillScript, _ course: Course) {
        (self.script, switches, began) = (script, course.switches, course.began)
        findings = script.steps.map { Self.finding($0, course) }
        if let before = course.activeBefore, course.activeAfter != before {
            failures.append("\(before) was on air before, and \(course.activeAfter ?? "nothing") is now")
        }
        if course.exhaustions > 0 { failures.append("every input was degraded at once") }
    }

    private static func finding(_ step: DrillStep, _ course: Course) -> DrillFinding {
        let (began, ended) = (course.began + step.begin, course.began + step.end)
        var finding = DrillFinding(
            began: began, ended: ended, wasOnAir: course.active(at: began) == step.input)
        // A fault that is over in time is found out about until the silence is.
        let latest = ended + course.delay + course.silence.nanoseconds + 1_000_000_000
        finding.away = course.switches.first {
            $0.at >= began && $0.at <= latest && $0.from == step.input && $0.to != step.input && $0.reason.isAutomatic
        }
        if let away = finding.away { finding.back = course.switches.first { $0.at > away.at && $0.to == step.input } }
        finding.failure = failure(step, finding, course.silence)
        return finding
    }

    private static func failure(_ step: DrillStep, _ finding: DrillFinding, _ silence: MediaTime) -> String? {
        switch step.expectation ?? (finding.wasOnAir ? step.likely(silence) : nil) {
        case .switch?:
            if !finding.wasOnAir { return "\(step.input) was not on air when it came" }
            return finding.away == nil ? "nothing followed: \(step.input) stayed on air" : nil
        case .stay?: return finding.away.map { "\(step.input) was left for \($0.to): \($0.detail)" }
        case nil: return nil
        }
    }

    var hasPassed: Bool { failures.isEmpty && findings.allSatisfy { $0.failure == nil } }

    // MARK: As people read it

    /// - Parameters:
    ///   - nodes: the nodes that broke the grains of each input.
    ///   - time: a monotonic instant as text.
    func json(_ nodes: [String: [String]], _ time: (Int64) -> JSON) -> JSON {
        [
            "passed": .bool(hasPassed), "began": time(began),
            "faults": .array(
                zip(script.steps, findings).map { step, finding in
                    Self.json(step, finding, nodes[step.input] ?? [], time)
                }),
            "switches": .array(switches.map { Self.json($0, since: began, time) }),
            "failures": .array(failures.map(JSON.string)),
        ]
    }

    private static func json(
        _ step: DrillStep, _ finding: DrillFinding, _ nodes: [String], _ time: (Int64) -> JSON
    ) -> JSON {
        [
            "input": .string(step.input), "kind": .string(step.kind), "nodes": .array(nodes.map(JSON.string)),
            "at": time(finding.began), "forMilliseconds": .milliseconds(finding.ended - finding.began),
            "wasOnAir": .bool(finding.wasOnAir),
            // From the beginning of the fault to the switch, and from its end to the switch back.
            "switched": finding.away.map { json($0, since: finding.began, time) } ?? .null,
            "cameBack": finding.back.map { json($0, since: finding.ended, time) } ?? .null,
            "failure": finding.failure.map(JSON.string) ?? .null,
        ]
    }

    private static func json(_ record: SwitchRecord, since: Int64, _ time: (Int64) -> JSON) -> JSON {
        [
            "at": time(record.at), "afterMilliseconds": .milliseconds(record.at - since),
            "from": record.from.map(JSON.string) ?? .null, "to": .string(record.to),
            "reason": .string(record.reason.rawValue), "detail": .string(record.detail),
        ]
    }
}

extension DrillStep {
    /// What is to be expected of it where nobody says: silence and errors are always found out about.
    fileprivate func likely(_ silence: MediaTime) -> Expectation? {
        switch kind {
        case "disconnect": .switch
        case "stall": end - begin > silence.nanoseconds ? .switch : .stay
        default: nil
        }
    }
}
