// swift-tools-version: 6.2
import PackageDescription

/// What every Swift target is compiled with: language mode 6 and no warning left standing.
let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
    // glibc's structures differ by this macro: every module must see the same ones.
    .unsafeFlags(["-Xcc", "-D_GNU_SOURCE"]),
]
/// What the program is made of does without Swift's regular expressions, which take a megabyte of each process.
let lean: [SwiftSetting] =
    strict + [.unsafeFlags(["-Xfrontend", "-disable-implicit-string-processing-module-import"])]
/// What runs when a graph changes and not for each grain: small code before fast code.
let small: [SwiftSetting] = lean + [.unsafeFlags(["-Osize"], .when(configuration: .release))]
/// Targets that touch no memory by hand say so to the compiler.
let memorySafe: [SwiftSetting] = small + [.strictMemorySafety()]

/// A module map and static inline shims over something that Debian ships; no code of ours is compiled there.
func header(_ name: String) -> Target { .systemLibrary(name: name, path: "Sources/C/\(name)") }

let package = Package(
    name: "patchbay",
    products: [.executable(name: "patchbay", targets: ["patchbay"])],
    targets: [
        // Floor 0: headers.
        header("CLinux"),  // futex, mmap, OFD locks, epoll, clocks
        header("CFFmpeg"),  // libavformat, libavcodec, libavfilter, libavutil, libswscale, libswresample
        header("CSRT"),  // libsrt: the copy that libavformat has loaded
        header("CURing"),  // liburing
        header("CMicroHTTPD"),  // libmicrohttpd
        header("CSQLite"),  // libsqlite3
        header("CEBUR128"),  // libebur128
        header("CRingLayout"),  // what lies in shared memory

        // Floor 1: values and rings.
        .target(name: "Rings", dependencies: ["CRingLayout", "CLinux"], swiftSettings: lean),
        .target(
            name: "Media", dependencies: ["CRingLayout"], swiftSettings: lean,
            linkerSettings: [.linkedLibrary("m")]),  // rounding of Double, where nothing imports Glibc

        // Floor 2: libav, the document, files.
        .target(name: "AV", dependencies: ["CFFmpeg", "Rings", "Media"], swiftSettings: lean),
        .target(name: "Graph", dependencies: ["Media"], swiftSettings: memorySafe),
        .target(name: "Files", dependencies: ["CURing", "CLinux"], swiftSettings: lean),
        .target(
            name: "Meters", dependencies: ["Media", "CEBUR128"], swiftSettings: lean,
            linkerSettings: [.linkedLibrary("m")]),  // logarithms of loudness

        // Floor 3: what runs a graph.
        .target(
            name: "Engine", dependencies: ["AV", "Graph", "Files", "Meters", "Rings", "Media", "CLinux"],
            swiftSettings: lean),

        // Floor 4: capabilities.
        .target(name: "Capture", dependencies: ["Engine", "CSRT"], swiftSettings: lean),
        .target(name: "Codecs", dependencies: ["Engine"], swiftSettings: lean),
        .target(name: "Routing", dependencies: ["Engine"], swiftSettings: lean),
        .target(name: "Metering", dependencies: ["Engine"], swiftSettings: lean),
        .target(name: "Watch", dependencies: ["Engine"], swiftSettings: small),
        .target(name: "HLS", dependencies: ["Engine"], swiftSettings: lean),
        .target(name: "Recording", dependencies: ["Engine"], swiftSettings: small),
        .target(name: "Failover", dependencies: ["Engine"], swiftSettings: small),
        .target(name: "FrameCache", dependencies: ["Engine"], swiftSettings: small),

        // Floor 5: faces.
        .target(name: "Store", dependencies: ["Engine", "CSQLite", "CLinux"], swiftSettings: small),
        .target(
            name: "API", dependencies: ["Engine", "CMicroHTTPD", "CLinux"],
            resources: [.embedInCode("Resources/dashboard.html")], swiftSettings: small),

        // The C library for other programs: checked here, built by tools/library.
        .target(
            name: "PatchbayRing", dependencies: ["Rings", "Media", "CRingLayout", "CLinux"], swiftSettings: lean),

        // Floor 6: the program.
        .executableTarget(
            name: "patchbay",
            dependencies: [
                "API", "Capture", "Codecs", "Routing", "Metering", "Watch", "Failover", "HLS", "Recording",
                "FrameCache", "Store",
                "Engine",
                "Files", "CLinux",
            ],
            swiftSettings: small),

        // Tests mirror Sources.
        .testTarget(name: "MediaTests", dependencies: ["Media", "CRingLayout"], swiftSettings: strict),
        .testTarget(name: "MetersTests", dependencies: ["Meters", "Media"], swiftSettings: strict),
        .testTarget(
            name: "CaptureTests",
            dependencies: ["Capture", "Codecs", "Routing", "Engine", "AV", "Files", "Graph", "Media", "GraphHarness"],
            swiftSettings: strict),
        .testTarget(
            name: "EngineTests",
            dependencies: [
                "Engine", "Capture", "Codecs", "Routing", "Metering", "HLS", "Recording", "FrameCache", "CLinux",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "CodecsTests",
            dependencies: [
                "Codecs", "Capture", "Routing", "HLS", "HLSChecker", "Recording", "Engine", "GraphHarness", "Media",
                "Rings",
                "Graph", "CRingLayout",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "StoreTests", dependencies: ["Store", "Engine", "Graph", "Media", "CSQLite", "CLinux"],
            swiftSettings: strict),
        .testTarget(
            name: "RoutingTests",
            dependencies: [
                "Routing", "AV", "Capture", "Codecs", "Recording", "Engine", "Rings", "Graph", "GraphHarness", "Media",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "WatchTests",
            dependencies: ["Watch", "Capture", "Codecs", "Routing", "Engine", "Graph", "Media", "GraphHarness"],
            swiftSettings: strict),
        .testTarget(
            name: "MeteringTests",
            dependencies: [
                "Metering", "Codecs", "Routing", "Engine", "Rings", "Graph", "Media", "GraphHarness", "CRingLayout",
            ],
            swiftSettings: strict),
        .testTarget(name: "FilesTests", dependencies: ["Files", "CLinux"], swiftSettings: strict),
        // HLS: its tests, and the RFC 8216 checker that they share with the end-to-end tests.
        .target(name: "HLSChecker", path: "Tests/Support/HLSChecker", swiftSettings: strict),
        .testTarget(
            name: "HLSTests", dependencies: ["HLS", "HLSChecker", "Media", "Capture", "GraphHarness"],
            swiftSettings: strict),
        .testTarget(
            name: "FrameCacheTests",
            dependencies: [
                "FrameCache", "Capture", "Routing", "Engine", "Rings", "Graph", "GraphHarness", "CRingLayout",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "FailoverTests",
            dependencies: [
                "Failover", "Metering", "Codecs", "Routing", "Engine", "Rings", "Graph", "Media", "GraphHarness",
                "CRingLayout",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "RecordingTests", dependencies: ["Recording", "Capture", "GraphHarness", "Media"],
            swiftSettings: strict),
        // An engine over a scratch folder, and the ffmpeg command, for tests of nodes.
        .target(
            name: "GraphHarness", dependencies: ["Engine"], path: "Tests/Support/GraphHarness", swiftSettings: strict),
        .testTarget(
            name: "PatchbayTests",
            dependencies: [
                "patchbay", "API", "Capture", "Engine", "Failover", "Files", "FrameCache", "Graph", "GraphHarness",
                "Media",
                "Routing", "Store", "CLinux",
            ],
            swiftSettings: strict),
        // Tests.
        .testTarget(name: "AVTests", dependencies: ["AV", "CFFmpeg", "Media"], swiftSettings: strict),
        .testTarget(name: "GraphTests", dependencies: ["Graph", "Media"], swiftSettings: strict),
        .testTarget(
            name: "APITests",
            dependencies: ["API", "Engine", "Graph", "CLinux", "CMicroHTTPD", "EndToEnd", "GraphHarness"],
            swiftSettings: strict),
        // End to end: the built program with real peers. The support is shared by all its suites.
        .target(
            name: "EndToEnd", dependencies: ["GraphHarness", "Capture", "Media"], path: "Tests/Support/EndToEnd",
            swiftSettings: strict),
        .testTarget(
            name: "EndToEndTests",
            dependencies: ["EndToEnd", "GraphHarness", "HLSChecker", "Capture", "Media", "patchbay"],
            exclude: ["Programs"], swiftSettings: strict),
        // Tests of the rings, with the other process that they need.
        .executableTarget(
            name: "RingPeer", dependencies: ["Rings", "CRingLayout", "CLinux"], path: "Tests/Support/RingPeer",
            swiftSettings: strict),
        .testTarget(
            name: "RingsTests", dependencies: ["Rings", "CRingLayout", "CLinux", "RingPeer"], swiftSettings: strict),

        // The C library's tests compile programs in C with it.
        .testTarget(
            name: "PatchbayRingTests",
            dependencies: ["PatchbayRing", "EndToEnd", "GraphHarness", "Rings", "CLinux", "CRingLayout"],
            exclude: ["Programs", "Frozen"], swiftSettings: strict),

        // Benchmarks.
        .executableTarget(
            name: "RingBench", dependencies: ["Engine", "Rings", "CRingLayout", "CLinux"],
            path: "Benchmarks/RingBench", swiftSettings: strict),
        .executableTarget(
            name: "Bench", dependencies: ["Graph", "Media", "Rings", "CRingLayout", "CLinux"], path: "Benchmarks/Bench",
            swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6]
)

// tools/threads builds the rings and their tests with ThreadSanitizer, and nothing else.
if Context.environment["PATCHBAY_ONLY_RINGS"] != nil {
    let wanted: Set = ["CLinux", "CRingLayout", "Rings", "RingPeer", "RingsTests"]
    package.targets.removeAll { !wanted.contains($0.name) }
    package.products = []
}
