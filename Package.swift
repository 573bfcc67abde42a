// swift-tools-version: 6.2
import PackageDescription

/// Every Swift target: Swift 6 mode, strict memory safety, warnings are errors.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
    // Walls cost nothing in release: the fast path crosses modules.
    // Exclusivity is checked at run time in debug builds, which the tests use; in release it was a tenth
    // of a request's processor time.
    .unsafeFlags(
        ["-cross-module-optimization", "-enforce-exclusivity=unchecked"], .when(configuration: .release)),
]

func part(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func test(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: settings)
}

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")

let package = Package(
    name: "portico",
    products: [
        .executable(name: "portico", targets: ["portico"]),
        .executable(name: "portico-echo", targets: ["portico-echo"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    ],
    targets: [
        // C libraries: module maps and thin shims. Each is imported by exactly one module.
        .systemLibrary(name: "CLinux"),
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CNghttp2", pkgConfig: "libnghttp2", providers: [.apt(["libnghttp2-dev"])]),
        .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
        .target(name: "CCrash"),
        .target(name: "CYAMLMemory"),
        .target(name: "COpenSSLMemory", dependencies: ["COpenSSL"]),
        .target(name: "CRE2", cxxSettings: [.unsafeFlags(["-O2"])], linkerSettings: [.linkedLibrary("re2")]),

        // The walls, lowest first. Imports point downwards only, and to nothing else: `Tests/Tidy` checks it.
        part("Octets"),
        part("JSON", ["Octets"]),
        part("Patterns", ["CRE2", "Octets"]),
        part("Reactor", ["CLinux", "CCrash", "Octets"]),
        part("TLS", ["COpenSSL", "COpenSSLMemory", "Octets"]),
        part("HTTP", ["CNghttp2", "Octets"]),
        part("Kubernetes", ["JSON", "HTTP", "TLS", "Reactor", "Octets"]),
        part("Balancing", ["Octets"]),
        part("Manifests", ["CYAML", "CYAMLMemory", "Balancing", "JSON", "Patterns", "Octets"]),
        part("Routing", ["Manifests", "Balancing", "Patterns", "Octets"]),
        part("Telemetry", ["Balancing", "HTTP", "TLS", "Reactor", "Octets"]),
        part("Proxy", ["Telemetry", "Routing", "Balancing", "HTTP", "TLS", "Reactor", "Octets"]),
        part(
            "Control",
            [
                "Kubernetes", "Proxy", "Telemetry", "Routing", "Balancing", "Manifests", "JSON", "TLS", "Reactor",
                "Octets", logging,
            ]),
        part("Admin", ["Telemetry", "HTTP", "Reactor", "Octets"]),
        .executableTarget(
            name: "portico",
            dependencies: [
                "Admin", "Control", "Kubernetes", "Proxy", "Telemetry", "Routing", "Balancing", "Manifests", "HTTP",
                "TLS",
                "Reactor", "Octets", argumentParser, logging,
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "portico-echo",
            dependencies: ["HTTP", "Reactor", "TLS", "Octets", argumentParser],
            swiftSettings: settings),

        // What tests share.
        .target(name: "Support", dependencies: ["Octets"], path: "Tests/Support", swiftSettings: settings),
        test("Tidy", []),
        test("OctetsTests", ["Octets"]),
        test("KubernetesTests", ["Kubernetes", "JSON", "HTTP", "TLS", "Reactor", "Octets", "Support"]),
        test("JSONTests", ["JSON", "Octets", "Support"]),
        test("ManifestsTests", ["Manifests", "Balancing", "Octets", "Reactor", "Support"], exclude: ["Golden"]),
        test("BalancingTests", ["Balancing"]),
        test("HTTPTests", ["HTTP", "Octets", "Support"]),
        test("TelemetryTests", ["Telemetry", "HTTP", "Balancing", "Reactor", "Octets", "TLS"]),
        test(
            "ProxyTests",
            ["Proxy", "Telemetry", "Routing", "Manifests", "HTTP", "Balancing", "Reactor", "Octets", "TLS", "Support"]),
        test(
            "ControlTests",
            [
                "Control", "Kubernetes", "Proxy", "Telemetry", "Routing", "Balancing", "Manifests", "TLS", "Reactor",
                "Octets", "Support",
            ]),
        test("AdminTests", ["Admin", "Telemetry", "Reactor", "Octets"]),
        test(
            "RoutingTests", ["Routing", "Manifests", "Balancing", "Patterns", "Octets", "Support"],
            exclude: ["Golden"]),
        test("TLSTests", ["TLS", "Octets", "Support"]),
        test("ReactorTests", ["Reactor", "Octets", "Support"]),
    ],
    cxxLanguageStandard: .cxx17
)

// What libFuzzer runs. It is there for `Tests/tools/fuzz` alone, so that other builds need neither time nor libFuzzer.
if Context.environment["PORTICO_FUZZ"] != nil {
    package.targets += [
        .target(
            name: "FuzzTargets",
            dependencies: [
                "Control", "Kubernetes", "Proxy", "Routing", "Manifests", "JSON", "TLS", "HTTP", "Reactor", "Octets",
                "Support",
            ],
            path: "Tests/Fuzz/Targets", swiftSettings: settings),
        .executableTarget(
            name: "portico-fuzz", dependencies: ["FuzzTargets"], path: "Tests/Fuzz/Driver", swiftSettings: settings),
    ]
}
