// The program starts here. The main thread stays behind to receive signals: they are blocked before any other thread
// exists, so that none of them takes one.
import CLinux

StopSignals.block()
Task.detached { exit(await Program.run(Array(CommandLine.arguments.dropFirst()))) }
StopSignals.receive()
