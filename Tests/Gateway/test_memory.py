"""The process stays below its ceiling of memory, whatever clients leave unread, and others are served meanwhile."""

import threading

import pytest

from peers import http1, http2, objects, waiting
from peers.echo import Echo
from peers.gateway import Gateway, Peak
from test_amplification import answered, hoard, hoarding_config, sink

MEBI = 1 << 20
CEILING = 96 * MEBI
MARGIN = 8 * MEBI       # what a worker reads until it looks again
ARGUMENTS = ["--memory", f"{CEILING // MEBI}Mi"]
REACHED = r'^portico_limit_reached_total\{limit="memory"\}'
ACTIVE = "^portico_requests_active"


class Good:
    """A client that takes its answers, one call after the other, while others do not."""

    def __init__(self, gateway):
        self.gateway, self.statuses, self.over = gateway, [], threading.Event()

    def __enter__(self):
        self.client = http2.connect(self.gateway.port)
        self.thread = threading.Thread(target=self._call, daemon=True)
        self.thread.start()
        return self

    def _call(self):
        while not self.over.is_set():
            self.statuses.append(self.client.exchange(http2.grpc_headers(), http2.message()).grpc_status)

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.client.close()


def unread(gateway, streams, headers):
    """A client that asks for much on many streams and never opens a window."""
    client = http2.connect(gateway.port, hold_windows=True, settings={4: 0})
    for _ in range(streams):
        client.open(headers, http2.message())
    return client


def calm_again(gateway, before, clients):
    for client in clients:
        client.close()
    waiting.until(lambda: gateway.metric(ACTIVE) <= 1, 10, "the streams' end")
    waiting.until(lambda: gateway.memory_octets() < before + 24 * MEBI, 10, "memory to be returned")


@pytest.mark.parametrize("workers", [1, 2])
def test_answers_that_nobody_takes_stay_below_the_ceiling(workers):
    """W4: connections of 100 streams, window 0, answers of 1 MB each from an upstream that speaks HTTP/2."""
    headers = http2.grpc_headers(echo_size=str(MEBI))
    with Echo() as echo, Gateway(objects.echo(echo), workers=workers, arguments=ARGUMENTS) as gateway:
        before = gateway.memory_octets()
        with Peak(gateway) as peak, Good(gateway) as good:
            clients = [unread(gateway, 100, headers) for _ in range(20)]
            waiting.until(lambda: gateway.metric(REACHED) > 200, 20, "many of them to be ended")
            there = len(good.statuses)
            waiting.until(lambda: len(good.statuses) > there + 50, 20, "good calls")
            calm_again(gateway, before, clients)
        assert set(good.statuses) == {0}
        assert peak.octets < CEILING + MARGIN
        assert " OM " in gateway.access_log(" OM ")


def test_many_clients_with_few_answers_each_stay_below_the_ceiling():
    """W4's other case: connections that leave their answers of 179 kB unread in the kernel and here."""
    headers = http2.grpc_headers(echo_size="179000")
    with Echo() as echo, Gateway(objects.echo(echo), arguments=ARGUMENTS) as gateway:
        before = gateway.memory_octets()
        with Peak(gateway) as peak, Good(gateway) as good:
            clients = [unread(gateway, 10, headers) for _ in range(300)]
            waiting.until(lambda: gateway.metric(REACHED) > 200, 20, "many of them to be ended")
            calm_again(gateway, before, clients)
        assert set(good.statuses) == {0}
        assert peak.octets < CEILING + MARGIN


def test_answers_of_http1_that_nobody_takes_stay_below_the_ceiling():
    with Echo() as echo:
        config = objects.echo(echo, protocol="HTTP", protocol_name="http")
        with Gateway(config, arguments=ARGUMENTS) as gateway, Peak(gateway) as peak, Good(gateway) as good:
            clients = [http1.connect(gateway.port) for _ in range(300)]
            for client in clients:
                client.send(f"GET / HTTP/1.1\r\nhost: echo.test\r\necho-size: {16 * MEBI}\r\n\r\n")
            waiting.until(lambda: gateway.metric(REACHED) > 20, 20, "some of them to be ended")
            assert peak.octets < CEILING + MARGIN
            for client in clients:
                client.close()
        assert set(good.statuses) == {0}


def test_header_sections_stay_below_the_ceiling(backend):
    """A4: 40 connections of 100 calls that do not end, of 56 kB of fields each, in 400 kB; 220 MiB decoded."""
    with sink() as endpoint, Gateway(hoarding_config(endpoint, backend), arguments=ARGUMENTS) as gateway:
        before = gateway.memory_octets()
        with Peak(gateway) as peak, Good(gateway) as good:
            clients = [http2.connect(gateway.port) for _ in range(40)]
            for client in clients:
                hoard(client)
            for client in clients:
                answered(client)
            assert 12 * MEBI < gateway.metric("^portico_header_memory_bytes") <= CEILING // 4
            there = len(good.statuses)
            waiting.until(lambda: len(good.statuses) > there + 50, 20, "good calls")
            calm_again(gateway, before, clients)
        assert set(good.statuses) == {0}
        assert peak.octets < CEILING
        refused = r'^portico_protocol_errors_total\{side="downstream",reason="http2.header_memory"\}'
        assert gateway.metric(refused) > 1000


def test_when_nothing_can_be_given_up_new_requests_are_refused_and_say_why(web):
    """A ceiling below what the process has after its start: nothing waits that could be ended."""
    with Gateway(objects.echo(web, protocol="HTTP", protocol_name="http"), arguments=["--memory", "8Mi"]) as gateway:
        with http1.connect(gateway.port) as client:
            client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            assert client.response().status == 503
        with http2.connect(gateway.port) as client:
            assert client.exchange(http2.grpc_headers(), http2.message()).grpc_status == 8
        assert " OM overload" in gateway.access_log(" OM ")
        waiting.until(lambda: "new requests are refused" in gateway.said, 5, "a warning")
        assert gateway.status("/healthz/ready")[0] == 200
