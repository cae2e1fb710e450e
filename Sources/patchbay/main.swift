// The program starts here. The main thread stays behind to receive signals: they are blocked before any other thread
// exists, so that none of them takes one.
import CLinux

// Blocks from 64 KiB on (segments, a muxer's fragment, x264's tables) are mapped by themselves and go back when they are
// freed. By default glibc raises that bound with each such free, up to 32 MiB, and keeps them in the arena of the thread
// that freed them: 2.5 MB of 180 in a transcode of 720p, for which 1000 page faults less in half a minute are no price.
// Small blocks come from an arena for each processor and no more: with eight, and room left on top of each, every one of
// two hundred restreamed channels takes 0.15 MB more.
mallopt(M_MMAP_THRESHOLD, 64 << 10)
mallopt(M_TRIM_THRESHOLD, 64 << 10)
mallopt(M_TOP_PAD, 16 << 10)
mallopt(M_ARENA_MAX, max(2, Int32(clamping: sysconf(Int32(_SC_NPROCESSORS_ONLN)))))
StopSignals.block()
Task.detached { exit(await Program.run(Array(CommandLine.arguments.dropFirst()))) }
StopSignals.receive()
