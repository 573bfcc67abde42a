internal import Manifests

extension RuleCompiler {
    /// A match that can hold, and where it is written.
    struct Candidate {
        let match: RuleMatch
        let place: SourcePlace
        let path: FieldPath
        let part: NeverReached.Part
    }
}
