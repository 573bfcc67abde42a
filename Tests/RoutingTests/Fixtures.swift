import Manifests
import Routing
import Support

/// Where the test data lies.
enum Fixtures {
    /// Compares with a golden file, or rewrites it when `PORTICO_GOLDEN=write`.
    static func matchesGolden(_ found: String, _ name: String) -> Bool {
        TestFiles.matches(found, golden: "\(TestFiles.tests)/RoutingTests/Golden/\(name)")
    }
}
