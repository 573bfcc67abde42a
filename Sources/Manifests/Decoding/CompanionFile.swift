/// Files that are found beside objects and hold none. They belong to the tool that makes the objects and are recognised
/// by their names.
enum CompanionFile {
    case chart, kustomization

    init?(path: String) {
        let name = path.split(separator: "/").last.map(String.init) ?? path
        guard let end = [".yaml", ".yml", ".json"].first(where: name.hasSuffix) else { return nil }
        switch name.dropLast(end.count) {
        case "kustomization": self = .kustomization
        case "Chart", "values", "values.schema": self = .chart
        case let other where other.hasPrefix("values-") || other.hasPrefix("values."): self = .chart
        default: return nil
        }
    }

    var message: String {
        switch self {
        case .chart: "a file of a Helm chart, not read: Portico reads what the chart makes"
        case .kustomization: "a file of kustomize, not read: Portico reads the objects as they lie in the files"
        }
    }

    var hint: String {
        switch self {
        case .chart: "to render the chart: `helm template NAME CHART`"
        case .kustomization: "to apply it: `kubectl kustomize FOLDER`"
        }
    }
}
