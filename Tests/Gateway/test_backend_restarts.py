"""Backends restart under load in every way in which backends do: no idempotent request may fail.

Each test prints its account (`pytest -s`). Where the default of `retries` does not do, the rule here is the one that
docs/behaviour.md tells users to write.
"""

import collections
import contextlib
import os
import signal
import socket
import threading
import time

import pytest

from peers import http1, objects, waiting
from peers.backend import Backend, Caller
from peers.echo import Echo
from peers.gateway import Gateway
from peers.listening import FullQueue

# For calls that may be made twice: docs/behaviour.md, Backends that restart. It says 1 s; the machine may be busy here.
IDEMPOTENT = {"attempts": 3, "perTryTimeout": "3s",
              "retryOn": "connect-failure,refused-stream,reset,unavailable,cancelled,5xx"}
QUICK_CONNECT = {"connectionPool": {"tcp": {"connectTimeout": "1s"}}}
CHECKS = {"portico.dev/health-check": "tcp", "portico.dev/health-check-interval": "100ms",
          "portico.dev/health-check-timeout": "1s"}


class Load:
    """Clients that send one request after the other until the block ends; `results` counts what they got, and what
    ended a client."""

    def __init__(self, send, clients=4):
        self.send, self.clients = send, clients
        self.results, self.longest = collections.Counter(), 0.0
        self.over, self.lock = threading.Event(), threading.Lock()

    def __enter__(self):
        self.threads = [threading.Thread(target=self._run, args=(number,), daemon=True)
                        for number in range(self.clients)]
        for thread in self.threads:
            thread.start()
        self.more(20)
        return self

    def _run(self, number):
        try:
            with self.send(number) as once:
                while not self.over.is_set():
                    began = time.monotonic()
                    self._count(once(), time.monotonic() - began)
        except Exception as error:  # A client that ends is a request that failed.
            self._count(repr(error), 0)

    def _count(self, result, seconds):
        with self.lock:
            self.results[result] += 1
            self.longest = max(self.longest, seconds)

    def more(self, count=100, seconds=60):
        """Until so many more requests have ended."""
        target = sum(self.results.values()) + count
        waiting.until(lambda: sum(self.results.values()) >= target, seconds, f"{count} more requests")

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(60)

    def assert_all(self, good, gateway, what):
        retries = gateway.metric(r"^portico_retries_total")
        failures = gateway.metric(r"^portico_upstream_connect_failures_total")
        print(f"\n{what}: {dict(self.results)}, the longest {self.longest * 1000:.0f} ms, {retries:.0f} tries again, "
              f"{failures:.0f} connections failed")
        assert set(self.results) == {good}, self.results


class calls:
    """gRPC calls of one client."""

    def __init__(self, gateway, **named):
        self.caller, self.named = Caller(gateway.target), named

    def __enter__(self):
        def call():
            code, details = self.caller.status(**self.named)
            return code.name if code.name == "OK" else f"{code.name}: {details}"

        return call

    def __exit__(self, *_):
        self.caller.channel.close()


class gets:
    """GET requests of one client, on a connection that is kept."""

    def __init__(self, gateway):
        self.client = http1.connect(gateway.port, seconds=30.0)

    def __enter__(self):
        def get():
            self.client.send("GET / HTTP/1.1\r\nHost: echo.test\r\n\r\n")
            return self.client.response().status

        return get

    def __exit__(self, *_):
        self.client.close()


def grpc_config(*backends, policy=None, annotations=None, **rule):
    made = objects.echo(*backends, **rule)
    if annotations:
        made[2]["metadata"]["annotations"] = annotations
    if policy:
        made.append(objects.destination_rule("echo", trafficPolicy=policy))
    return made


def http_config(*backends, policy=None, **rule):
    made = objects.echo(*backends, protocol="HTTP", protocol_name="http", **rule)
    if policy:
        made.append(objects.destination_rule("echo", trafficPolicy=policy))
    return made


@pytest.mark.parametrize("workers", [1, 2])
def test_a_rolling_restart_that_takes_endpoints_out_first(workers):
    """What Kubernetes does with a readiness probe: out of the slice, then SIGTERM; the server says GOAWAY and ends."""
    old = [Backend(name=f"old-{number}") for number in range(3)]
    serving = list(old)
    with Gateway(grpc_config(*serving), workers=workers) as gateway, Load(lambda _: calls(gateway)) as load:
        for backend in old:
            serving.append(Backend(name="new"))
            serving.remove(backend)
            gateway.write(grpc_config(*serving))
            gateway.reload()
            backend.stop(grace=5)
            load.more(50)
        load.assert_all("OK", gateway, f"endpoints taken out, GOAWAY, {workers} workers")
    for backend in serving:
        backend.stop()


def test_servers_that_end_before_the_slice_says_so():
    """SIGTERM and the slice race: GOAWAY comes while the endpoint is still in it, then its port is closed."""
    backends = [Backend(name=f"{number}") for number in range(3)]
    with Gateway(grpc_config(*backends)) as gateway, Load(lambda _: calls(gateway)) as load:
        backends[0].stop(grace=5)
        load.more(100)
        backends[1].stop(grace=5)
        load.more(100)
        load.assert_all("OK", gateway, "GOAWAY with the endpoint in the slice")
    backends[2].stop()


def test_servers_that_are_killed():
    """SIGKILL cuts calls that are under way: only the caller's rule can say that they may be made again."""
    backends = [Echo() for _ in range(3)]
    try:
        with Gateway(grpc_config(*backends, retries=IDEMPOTENT)) as gateway, Load(lambda _: calls(gateway)) as load:
            for victim in backends[:2]:
                victim.process.kill()
                load.more(200)
            load.assert_all("OK", gateway, "SIGKILL")
    finally:
        for backend in backends:
            backend.__exit__()


@pytest.mark.parametrize("sends_rst", [False, True])
def test_connections_that_end_or_are_reset_between_http1_requests(sends_rst):
    """The default does for GET: a kept connection that ends under a request is no failure of the request."""
    def reply(connection, request):
        body = b"x" * 10
        connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n" + body)
        counts[connection] += 1
        if counts[connection] >= 5:
            if sends_rst:
                connection.socket.setsockopt(1, 13, b"\x01\0\0\0\0\0\0\0")  # SO_LINGER: RST
            connection.socket.close()
            raise EOFError

    counts = collections.Counter()
    with http1.Upstream(reply) as one, http1.Upstream(reply) as two:
        with Gateway(http_config(one, two)) as gateway, Load(lambda _: gets(gateway)) as load:
            load.more(400)
            load.assert_all(200, gateway, f"kept connections {'reset' if sends_rst else 'closed'}")


def once(together, sends_rst=False):
    """A server's reply to one request of each connection, which ends under the next request on it. Requests for
    `/together` wait for each other, so that each has a connection of its own."""
    served = set()

    def reply(connection, request):
        if connection in served:
            if sends_rst:
                connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            connection.socket.close()
            raise EOFError
        served.add(connection)
        if request.first.startswith("GET /together "):
            together.wait(30)
        connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    return reply


def get_together(gateway, count, stack):
    """Clients whose requests were answered at the same time: the gateway keeps as many connections to its endpoints."""
    clients = [stack.enter_context(http1.connect(gateway.port, seconds=30.0)) for _ in range(count)]
    for client in clients:
        client.send("GET /together HTTP/1.1\r\nHost: echo.test\r\n\r\n")
    assert [client.response().status for client in clients] == [200] * count
    return clients


def get_after(client):
    client.send("GET /after HTTP/1.1\r\nHost: echo.test\r\n\r\n")
    return client.response().status


def test_a_request_meets_one_lost_connection_at_most():
    """All kept connections of all endpoints end under the next request on them: the first try has one of them, the
    second has a connection of its own, however many are kept."""
    reply = once(threading.Barrier(6), sends_rst=True)
    with http1.Upstream(reply) as one, http1.Upstream(reply) as two, Gateway(http_config(one, two)) as gateway:
        with contextlib.ExitStack() as stack:
            assert get_after(get_together(gateway, 6, stack)[0]) == 200
        assert gateway.metric(r"^portico_retries_total") == 1


def test_a_lost_connection_leaves_its_place_to_a_new_one():
    """The endpoint has as many connections as it may have, and each ends under the next request on it."""
    limits = ["--max-upstream-connections", "3"]
    with http1.Upstream(once(threading.Barrier(3))) as one, Gateway(http_config(one), arguments=limits) as gateway:
        with contextlib.ExitStack() as stack:
            assert get_after(get_together(gateway, 3, stack)[0]) == 200
        assert gateway.metric(r"^portico_retries_total") == 1


def test_a_kept_connection_does_where_no_new_one_may_be_made():
    """The second try's endpoint has as many connections as it may have: the one that it keeps is used at once."""
    together = threading.Barrier(2)

    def reply(ends):
        def answer(connection, request):
            if request.first.startswith("GET /together "):
                together.wait(30)
            elif ends:
                connection.socket.close()
                raise EOFError
            connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        return answer

    with http1.Upstream(reply(True)) as one, http1.Upstream(reply(False)) as two:
        limits = ["--max-upstream-connections", "1"]
        with Gateway(http_config(one, two), arguments=limits) as gateway, contextlib.ExitStack() as stack:
            client = get_together(gateway, 2, stack)[0]
            while len(one.requests) < 2:
                assert get_after(client) == 200
            assert gateway.metric(r"^portico_retries_total") == 1 and two.connections == 1


def test_a_kept_connection_does_where_the_endpoint_takes_no_new_one():
    """A server that ends accepts no connections and ends the idle ones, while others of them still serve."""
    together = threading.Barrier(2)

    def reply(connection, request):
        if request.first.startswith("GET /together "):
            together.wait(30)
        elif not ended:
            ended.append(connection)
            connection.socket.close()
            raise EOFError
        connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    ended = []
    with http1.Upstream(reply) as one, Gateway(http_config(one)) as gateway, contextlib.ExitStack() as stack:
        client = get_together(gateway, 2, stack)[0]
        one.listener.shutdown(socket.SHUT_RDWR)
        one.listener.close()
        assert get_after(client) == 200 and ended


def test_a_process_that_is_paused():
    """SIGSTOP: the kernel accepts and the process says nothing. The time of a try finds it, and its ejection keeps
    further calls from it."""
    backends = [Echo() for _ in range(3)]
    try:
        config = grpc_config(*backends, retries=IDEMPOTENT, policy={
            "outlierDetection": {"consecutive5xxErrors": 2, "maxEjectionPercent": 50, "baseEjectionTime": "2s"}})
        with Gateway(config) as gateway, Load(lambda _: calls(gateway)) as load:
            os.kill(backends[0].process.pid, signal.SIGSTOP)
            waiting.until(
                lambda: gateway.metric(r"^portico_outlier_ejections_total") >= 1, 30, "the ejection of what is silent")
            load.more(100)
            os.kill(backends[0].process.pid, signal.SIGCONT)
            load.more(100)
            load.assert_all("OK", gateway, "SIGSTOP")
    finally:
        for backend in backends:
            backend.process.send_signal(signal.SIGCONT)
            backend.__exit__()


def test_an_endpoint_that_is_a_black_hole():
    """Nothing answers a SYN: `connectTimeout` of the DestinationRule says how long that holds a call up; checks keep
    calls from it after that."""
    with Backend() as one, Backend() as two, FullQueue() as hole:
        config = grpc_config(one, two, hole, policy=QUICK_CONNECT, annotations=CHECKS)
        with Gateway(config) as gateway, Load(lambda _: calls(gateway)) as load:
            waiting.until(lambda: "fails its health check" in gateway.said, 20, "the failed check")
            waiting.until(
                lambda: gateway.metric(rf'^portico_endpoint_active_requests.*:{hole.port}"') == 0, 20, "its last call")
            failures = gateway.metric(r"^portico_upstream_connect_failures_total")
            load.more(200)
            assert gateway.metric(r"^portico_upstream_connect_failures_total") == failures
            load.assert_all("OK", gateway, "black hole")


def test_a_queue_of_connections_that_is_full_for_a_while():
    """An overloaded server accepts nothing for a while, and then what has waited."""
    with http1.Upstream() as one, FullQueue() as full, contextlib.ExitStack() as later:
        with Gateway(http_config(one, full, policy=QUICK_CONNECT)) as gateway:
            with Load(lambda _: gets(gateway)) as load:
                load.more(100)
                port = full.port
                full.stop()
                two = later.enter_context(http1.Upstream(port=port))
                waiting.until(lambda: two.requests, 20, "requests after its recovery")
                load.more(50)
            load.assert_all(200, gateway, "full queue of connections")


def test_an_only_endpoint_that_restarts():
    """There is nowhere else to go: calls that wait are held back for a tenth of a second, and none hangs."""
    port = waiting.free_port()
    backend = Backend(port=port)
    try:
        with Gateway(grpc_config(backend)) as gateway, Caller(gateway.target) as caller:
            assert caller.status()[0].name == "OK"
            backend.stop()
            code, details = caller.status()
            assert code.name == "UNAVAILABLE" and str(port) in details
            backend = Backend(port=port)
            assert caller.status()[0].name == "OK", "the first call after it listens"
    finally:
        backend.stop()
