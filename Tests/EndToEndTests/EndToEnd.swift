// All suites of this target, one test after another: each wants the machine for itself, real time included.
import Testing

/// The parent of every suite; they are declared in extensions of it.
@Suite(.serialized, .ownThread) enum EndToEndTests {}
