"""The same health checks, made by a real Envoy and by Portico: which answers, and how many of them, leave an endpoint
in use. Each check of a case gets the answer whose turn it is; behind the last one a check waits, so that both can be
asked what they made of those before."""

import json
import re
import socket
import threading
import urllib.request

import envoy
import grpc
import pytest
from peers import http1, objects, waiting
from peers.backend import Backend
from peers.gateway import Gateway

UNHEALTHY, HEALTHY = 3, 2  # the thresholds of all cases
NAMES = ("envoy", "portico")


class Script:
    """What the checks of one case get from one of both, in turn."""

    def __init__(self, outcomes):
        self.outcomes, self.asked, self.released = outcomes, 0, threading.Event()

    def next(self):
        """The next outcome; behind the last one it waits for the end of the tests."""
        self.asked += 1
        if self.asked <= len(self.outcomes):
            return self.outcomes[self.asked - 1]
        self.released.wait(120)
        raise EOFError

    @property
    def is_over(self):
        return self.asked > len(self.outcomes)


class Checked:
    """An HTTP/1.1 server and a server of gRPC's health service. The path of the one and the service that the other is
    asked for, `envoy-N` or `portico-N`, choose the script."""

    def __init__(self):
        self.scripts = {
            f"{name}-{number}": Script(outcomes) for name in NAMES
            for number, (_, outcomes) in enumerate(CASES)}
        self.http = http1.Upstream(self._reply)
        self.grpc = HealthService(self.scripts)

    def _reply(self, connection, request):
        outcome = self.scripts[request.target.strip("/")].next()
        if isinstance(outcome, int):
            outcome = b"HTTP/1.1 %d X\r\ncontent-length: 0\r\n\r\n" % outcome
        connection.send(outcome)
        connection.socket.shutdown(socket.SHUT_RDWR)
        raise EOFError

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for each in self.scripts.values():
            each.released.set()
        self.http.stop()
        self.grpc.stop()


class HealthService(Backend):
    """Its outcomes: the octets of HealthCheckResponses, or a status code that ends the call."""

    def __init__(self, scripts):
        self.scripts = scripts
        super().__init__()

    def service(self, details):
        def check(request, context):
            try:
                outcome = self.scripts[request[2:].decode()].next()
            except EOFError:
                outcome = grpc.StatusCode.CANCELLED
            if isinstance(outcome, grpc.StatusCode):
                context.abort(outcome, "as the script says")
            yield from outcome

        return grpc.unary_stream_rpc_method_handler(check)


CLOSED = b""
GARBAGE = b"220 mail.example ESMTP\r\n"
CUT = b"HTTP/1.1 200 OK\r\ncontent-le"
BODY = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
EARLY = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
LATE = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n"
HTTP = {
    "the first check passes": [200],
    "the first check fails": [503],
    "the first connection ends": [CLOSED],
    "a status in the range": [299],
    "a status of its own": [404],
    "a status behind the range": [300],
    "a status that fails later": [200, 500],
    "a redirection fails": [200, 301],
    "too many requests fail": [200, 429],
    "one connection ends": [200, CLOSED],
    "two connections end": [200, CLOSED, CLOSED],
    "three connections end": [200, CLOSED, CLOSED, CLOSED],
    "a success counts anew": [200, CLOSED, CLOSED, 200, CLOSED, CLOSED],
    "a status needs no threshold": [200, CLOSED, 503],
    "one success is too few": [503, 200],
    "two successes suffice": [503, 200, 200],
    "two successes in a row": [503, 200, 503, 200],
    "one success after the first connection ended": [CLOSED, 200],
    "a connection that ends between successes": [503, 200, CLOSED, 200],
    "twice something that is not HTTP": [200, GARBAGE, GARBAGE],
    "three times something that is not HTTP": [200, GARBAGE, GARBAGE, GARBAGE],
    "twice half a header section": [200, CUT, CUT],
    "three times half a header section": [200, CUT, CUT, CUT],
    "bodies": [BODY, CHUNKED, BODY],
    "an interim answer, then a good one": [200, EARLY],
    "an interim answer, then a bad one": [200, LATE],
}


def says(health):
    """A HealthCheckResponse with a value of its enum. Source: grpc/grpc-proto health.proto."""
    return [b"\x08" + bytes([health])]


SERVING, NOT_SERVING = says(1), says(2)
CALLS = {
    "serving": [SERVING],
    "not serving": [NOT_SERVING],
    "unknown": [says(0)],
    "the service is unknown": [says(3)],
    "a value that is none": [says(99)],
    "an empty message": [[b""]],
    "no message": [[]],
    "two messages": [[*SERVING, *SERVING]],
    "no message of this kind": [[b"\xff\xff\xff"]],
    "UNIMPLEMENTED": [grpc.StatusCode.UNIMPLEMENTED],
    "not serving later": [SERVING, NOT_SERVING],
    "the service is unknown later": [SERVING, says(3)],
    "UNIMPLEMENTED later": [SERVING, grpc.StatusCode.UNIMPLEMENTED],
    "UNAVAILABLE later": [SERVING, grpc.StatusCode.UNAVAILABLE],
    "CANCELLED later": [SERVING, grpc.StatusCode.CANCELLED],
    "NOT_FOUND later": [SERVING, grpc.StatusCode.NOT_FOUND],
    "no message later": [SERVING, []],
    "two messages later": [SERVING, [*SERVING, *SERVING]],
    "no message of this kind later": [SERVING, [b"\xff\xff\xff"]],
    "one success is too few": [NOT_SERVING, SERVING],
    "two successes suffice": [NOT_SERVING, SERVING, SERVING],
}
CASES = [(("http", name), outcomes) for name, outcomes in HTTP.items()]
CASES += [(("grpc", name), outcomes) for name, outcomes in CALLS.items()]


def envoy_cluster(number, kind, port):
    every = {key: "0.05s" for key in ("interval", "no_traffic_interval")}
    check = {
        **every, "timeout": "60s", "unhealthy_threshold": UNHEALTHY, "healthy_threshold": HEALTHY,
        "reuse_connection": False}
    if kind == "http":
        check["http_health_check"] = {
            "path": f"/envoy-{number}", "expected_statuses": [{"start": 200, "end": 300}, {"start": 404, "end": 405}]}
    else:
        check["grpc_health_check"] = {"service_name": f"envoy-{number}"}
    return {**envoy.cluster(str(number), port, http2=kind == "grpc"), "health_checks": [check]}


def portico_objects(number, kind, server):
    made = objects.served_by(f"checked-{number}", server, protocol_name=kind)
    what = {"path": f"/portico-{number}", "statuses": "200-299, 404"} if kind == "http" else {
        "service": f"portico-{number}"}
    settings = {
        "interval": "100ms", "timeout": "1m", "unhealthy-threshold": str(UNHEALTHY), "healthy-threshold": str(HEALTHY),
        **what}
    made[0]["metadata"]["annotations"] = {"portico.dev/health-check": kind} | {
        f"portico.dev/health-check-{key}": value for key, value in settings.items()}
    return made


@pytest.fixture(scope="module")
def checked():
    """`checked(number)` is how the checks of a case ended with Envoy and with Portico: "passing" or "failing"."""
    with Checked() as peer:
        kinds = [kind for (kind, _), _ in CASES]
        servers = {"http": peer.http, "grpc": peer.grpc}
        rules = [
            objects.rule(f"checked-{number}", match=[{"uri": {"prefix": f"/{number}/"}}])
            for number in range(len(CASES))]
        config = [objects.gateway(), objects.virtual_service(rules)]
        for number, kind in enumerate(kinds):
            config += portico_objects(number, kind, servers[kind])
        clusters = [envoy_cluster(number, kind, servers[kind].port) for number, kind in enumerate(kinds)]
        with envoy.Checking(clusters) as oracle, Gateway(config) as gateway:
            def found(number):
                for name in NAMES:
                    script = peer.scripts[f"{name}-{number}"]
                    waiting.until(lambda: script.is_over, 30, f"the checks of {name}")
                return envoy_says(oracle, number), portico_says(gateway, number)

            yield found


def envoy_says(oracle, number):
    with urllib.request.urlopen(f"http://127.0.0.1:{oracle.admin_port}/clusters?format=json", timeout=10) as answer:
        clusters = json.load(answer)["cluster_statuses"]
    host = next(each for each in clusters if each["name"] == str(number))["host_statuses"][0]
    return "failing" if host["health_status"].get("failed_active_health_check") else "passing"


def portico_says(gateway, number):
    page = gateway.admin("/endpoints")[1]
    return re.search(rf"checked-{number}\..*?health=(\w+)", page, re.S)[1]


@pytest.mark.parametrize("number", range(len(CASES)), ids=[" ".join(name) for name, _ in CASES])
def test_envoy_agrees(checked, number):
    oracle, portico = checked(number)
    assert portico == oracle
