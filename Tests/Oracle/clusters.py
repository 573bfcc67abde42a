"""What Istio's control plane makes of a DestinationRule's `trafficPolicy`, of what the cases use."""


def fields(policy):
    """Fields of Envoy's cluster."""
    made = {}
    pool = policy.get("connectionPool", {})
    limits = {
        "max_connections": pool.get("tcp", {}).get("maxConnections"),
        "max_pending_requests": pool.get("http", {}).get("http1MaxPendingRequests"),
        "max_requests": pool.get("http", {}).get("http2MaxRequests")}
    if pool:
        made["circuit_breakers"] = {"thresholds": [{
            **{key: value if value else 4294967295 for key, value in limits.items()}, "max_retries": 4294967295}]}
    if "outlierDetection" in policy:
        made["outlier_detection"] = _detection(policy["outlierDetection"])
    if "consistentHash" in policy.get("loadBalancer", {}):
        made.update(lb_policy="RING_HASH", ring_hash_lb_config={"minimum_ring_size": 1024})
    return made


def _detection(wanted):
    made = {"enforcing_success_rate": 0}
    if "consecutive5xxErrors" in wanted:
        made["consecutive_5xx"] = wanted["consecutive5xxErrors"]
    if "maxEjectionPercent" in wanted:
        made["max_ejection_percent"] = wanted["maxEjectionPercent"]
    if "baseEjectionTime" in wanted:
        made.update(base_ejection_time="3600s", max_ejection_time="3600s")
    return made


def hashed(policy):
    """The hash policies of Envoy's route."""
    wanted = policy.get("loadBalancer", {}).get("consistentHash")
    if not wanted:
        return []
    cookie = wanted["httpCookie"]
    return [{"cookie": {"name": cookie["name"], "ttl": cookie["ttl"]}}]
