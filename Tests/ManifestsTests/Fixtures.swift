import Manifests
import Support

/// Where the test data lies.
enum Fixtures {
    static let seeds = TestFiles.tests + "/Fixtures/seeds"
    static let golden = TestFiles.tests + "/ManifestsTests/Golden"
}

/// Loads one text as the file `input.yaml`.
func load(_ text: String) -> ManifestSet {
    ManifestReader.load(sources: [("input.yaml", Array(text.utf8))])
}
