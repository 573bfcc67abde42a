internal import Balancing
internal import Manifests

extension PolicyDirectory.Policy {
    /// How the endpoints of a port and subset are watched; nil where they are not. An empty block asks for Envoy's
    /// defaults. Source: istio/api networking/v1alpha3/destination_rule.proto (OutlierDetection).
    func outliers(port: Int, subset: Subset?) -> OutlierPolicy? {
        block(\.outlierDetection, port: port, subset: subset).map(OutlierPolicy.init)
    }
}

extension OutlierPolicy {
    fileprivate init(_ written: OutlierDetection) {
        self.init()
        consecutive5xx = written.consecutive5xxErrors ?? consecutive5xx
        consecutiveGateway = written.consecutiveGatewayErrors ?? consecutiveGateway
        splitsLocalOrigin = written.splitExternalLocalOriginErrors
        consecutiveLocalOrigin = written.consecutiveLocalOriginFailures ?? consecutiveLocalOrigin
        interval = written.interval ?? interval
        baseEjectionTime = written.baseEjectionTime ?? baseEjectionTime
        maxEjectionPercent = written.maxEjectionPercent ?? maxEjectionPercent
        minHealthPercent = written.minHealthPercent ?? minHealthPercent
        if !written.errorCodes.isEmpty { errorCodes = Set(written.errorCodes).sorted() }
    }

    /// Names and values of its fields, as `portico routes` shows them.
    var lines: [(name: String, value: String)] {
        var lines = [
            (name: "consecutive5xxErrors", value: "\(consecutive5xx)"),
            (name: "consecutiveGatewayErrors", value: "\(consecutiveGateway)"),
            (name: "interval", value: interval.milliseconds),
            (name: "baseEjectionTime", value: baseEjectionTime.milliseconds),
            (name: "maxEjectionPercent", value: "\(maxEjectionPercent)"),
            (name: "minHealthPercent", value: "\(minHealthPercent)"),
        ]
        if splitsLocalOrigin {
            lines.append((name: "consecutiveLocalOriginFailures", value: "\(consecutiveLocalOrigin)"))
        }
        if let errorCodes {
            let codes = errorCodes.map(String.init).joined(separator: " ")
            lines.append((name: "outlierDetectionHttpErrorCodes", value: codes))
        }
        return lines
    }
}
