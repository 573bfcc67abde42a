"""Cases 108 to 114: what DestinationRules and access policies do."""

import collections
import threading
import uuid

from peers import http1, objects
from peers.istio import Case, asks, policy, routes, served, to

A = to("a")
SUBSET = [routes(to(objects.to("a", subset="v1")))]


def versions(backends):
    """The service `a` with two pods: version v1 is the backend `a`, and v2 is `b`."""
    return served("a", *(("127.0.0.1", backends[name].port) for name in "ab"),
                  pods=[{"version": "v1"}, {"version": "v2"}])


def subset(version, name="v1"):
    return {"name": name, "labels": {"version": version}}


def both(backends):
    """The service `a` with both backends."""
    return served("a", *(("127.0.0.1", backends[name].port) for name in "ab"))


def asks_with(port, *lines):
    head = "".join(f"{line}\r\n" for line in lines)
    return http1.send(port, f"GET / HTTP/1.1\r\nHost: a.com\r\nx-marked: {uuid.uuid4()}\r\n{head}\r\n", seconds=20)


def sticks(port):
    first = asks_with(port)
    cookie = first.value("set-cookie")
    assert cookie.startswith("c=") and "max-age" not in cookie.lower()
    came = {asks_with(port, f"cookie: {cookie.split(';')[0]}").value("x-by") for _ in range(20)}
    assert came == {first.value("x-by")}


def overflows(port):
    """One of three parallel requests waits, and one at least is refused."""
    statuses, overloaded, lock, over = collections.Counter(), [], threading.Lock(), threading.Event()

    def ask():
        with http1.connect(port, seconds=20) as client:
            client.send("GET / HTTP/1.1\r\nHost: a.com\r\nx-do: silent\r\n\r\n")
            try:
                response = client.response()
            except (OSError, EOFError):
                return
            with lock:
                statuses[response.status] += 1
                overloaded.append(response.value("x-envoy-overloaded"))
                over.set()

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    # Those that waited are over when the rule's timeout is. A request whose connection is still being made waits, too.
    assert over.is_set() and statuses in ({503: 1, 504: 2}, {503: 2, 504: 1}) and "true" in overloaded, statuses


CASES = [
    Case("108", lambda backends: [
        *SUBSET, *versions(backends),
        policy("*.app.svc.cluster.local", name="wide", namespace="gwns", subsets=[subset("v2")]),
        policy("a.app.svc.cluster.local", name="exact", subsets=[subset("v1")])], *[asks("b")] * 4),
    Case("109", lambda backends: [
        *SUBSET, *versions(backends), policy("a", name="z", created=2020, subsets=[subset("v2")]),
        policy("a", name="b", created=2024, subsets=[subset("v1"), subset("v1", "more")])], *[asks("b")] * 4),
    Case("110", [
        routes(A), policy("a", trafficPolicy={"outlierDetection": {
            "consecutive5xxErrors": 2, "maxEjectionPercent": 100, "baseEjectionTime": "1h"}})],
         *[asks({"status": 500, "by": "a"}, x_do="500")] * 2,
         asks({"status": 503, "by": None, "body": "no healthy upstream"}, x_do="500").awaited()),
    Case("111", [
        routes(to("a", timeout="2s")), policy("a", trafficPolicy={"connectionPool": {
            "tcp": {"maxConnections": 1}, "http": {"http1MaxPendingRequests": 1}}})], check=overflows),
    Case("112", lambda backends: [
        routes(A), *both(backends), policy("a", trafficPolicy={"loadBalancer": {"consistentHash": {
            "httpCookie": {"name": "c", "ttl": "0s"}}}})], check=sticks),
    Case("R2: the longest wildcard", lambda backends: [
        *SUBSET, *versions(backends),
        policy("*.svc.cluster.local", name="wide", subsets=[subset("v1")]),
        policy("*.app.svc.cluster.local", name="long", subsets=[subset("v2")])], *[asks("b")] * 4),
    Case("R1: a rule of the VirtualService's namespace alone", lambda backends: [
        routes(to(objects.to("a.app.svc.cluster.local", subset="v1")), namespace="team"), *versions(backends),
        policy("a.app.svc.cluster.local", namespace="team", subsets=[subset("v1")])],
         asks({"by": None, "status": 503, "body": ""})),
    Case("R4: the first policy as a whole", lambda backends: [
        routes(A), *served("a", ("127.0.0.1", backends["a"].port)),
        policy("a", name="x", created=2020, trafficPolicy={"connectionPool": {"http": {"http2MaxRequests": 100}}}),
        policy("a", name="b", created=2024, trafficPolicy={"outlierDetection": {
            "consecutive5xxErrors": 1, "maxEjectionPercent": 100}})],
         *[asks({"status": 500, "by": "a"}, x_do="500")] * 3),
]
