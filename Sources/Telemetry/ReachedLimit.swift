/// A limit of `docs/limits.md` whose reaching is counted, by its place among the counters. A test compares the labels
/// with that page, both ways, and finds a limit that is counted nowhere.
package enum ReachedLimit: Int, Sendable, CaseIterable {
    // Of clients' connections
    case downstreamConnections, listenerConnections, idleTimeout, connectionAge, keepalivePing, keepalive, lingerTimeout
    case headerTimeout, proxyHeaderValue, clientCertificate, tlsBuffers
    // Of relays
    case relayIdleTimeout, relayBuffer, relayPipes
    // Of requests
    case concurrentStreams, progressTimeout, heldBodies, unreadInput, replayBody, matchWork, localMessage, logValue
    case resetPause
    // Of endpoints
    case upstreamConnections, waitingRequests, waitingTimeout, idleUpstreamConnections, upstreamIdleTimeout
    case upstreamKeepalivePing, upstreamKeepalive, upstreamResets, upstreamHosts, clientPools, connectRace
    case hopelessDeadlines, healthChecks, hashTablePlaces
    // Of a cluster, by its DestinationRule
    case clusterConnections, clusterPendingRequests, clusterRequests, clusterRetries
    // Of names
    case nameLookups, firstNames, requestedHosts, requestedLookups, requestedTimeout, requestedAddresses, knownHosts
    case hostWaits, awaitedNames, nameAddresses
    // Of the process
    case memory, upgradeTime, authorityNames
    // Of the API server of Kubernetes
    case apiConnections, apiConnectTime, apiSilence, apiPreparation, apiPlugin, apiAnswerOctets, apiAnswerTime
    case apiEndlessList, apiAnswersWaiting, apiRetryAfter, apiSecretWatch, awaitedObjects, statusOthers
    // Of the status and admin listeners
    case adminConnections, adminRequestOctets, adminRequests, adminAnswers, adminIdleTime, adminTime, adminLinger
    case adminPause, reloadWaits

    /// The label of `portico_limit_reached_total`: the name of the case with `_` between its words.
    package var label: String {
        "\(self)".reduce(into: "") { label, letter in
            if letter.isUppercase { label.append("_") }
            label.append(contentsOf: letter.lowercased())
        }
    }
}
