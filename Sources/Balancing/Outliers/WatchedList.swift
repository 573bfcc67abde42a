extension EndpointList {
    /// The same endpoints, watched. Endpoints that were watched before keep what is known of them.
    /// - Parameters:
    ///   - before: the list before.
    ///   - isAnew: the policy has changed; counts are kept, and counted by the new one.
    func watched(by detector: OutlierDetector, after before: EndpointList, isAnew: Bool = false) -> EndpointList {
        let thresholds = OutlierThresholds(detector.policy)
        var elsewhere: [ObjectIdentifier: OutlierMonitor] = [:]
        for (place, monitor) in before.monitors.enumerated()
        where place >= count || endpoints[place] !== monitor.endpoint {
            elsewhere[ObjectIdentifier(monitor.endpoint)] = monitor
        }
        let monitors = endpoints.indices.map { place in
            let endpoint = endpoints[place]
            var known = elsewhere.isEmpty ? nil : elsewhere[ObjectIdentifier(endpoint)]
            if place < before.monitors.count, before.monitors[place].endpoint === endpoint {
                known = before.monitors[place]
            }
            if let known, !isAnew { return known }
            return OutlierMonitor(endpoint, thresholds, after: known)
        }
        return EndpointList(endpoints, weights: weights, ranks: ranks, monitors: monitors, detector: detector)
    }

    /// Those of its endpoints that are chosen from. Marks the others, and those that are chosen again.
    func chosen(by detector: OutlierDetector) -> EndpointList {
        let ejected = detector.ejected()
        for monitor in monitors where ejected != nil || monitor.isEjected {
            monitor.isEjected = ejected?.endpoints.contains(ObjectIdentifier(monitor.endpoint)) ?? false
        }
        guard let ejected, !ejected.isPanic else { return self }
        return picking(endpoints.indices.filter { !ejected.endpoints.contains(ObjectIdentifier(endpoints[$0])) })
    }
}
