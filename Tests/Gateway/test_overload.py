"""Several attacks at once under a small ceiling of memory: who is served, who is refused, what is left afterwards."""

import contextlib
import socket
import threading
import time

import pytest

from peers import http1, http2, objects, waiting
from peers.echo import Echo
from peers.gateway import Gateway, Peak
from test_amplification import hoard, sink
from test_memory import ACTIVE, CEILING, MARGIN, MEBI, REACHED, Good, unread

# Besides what a worker reads until it looks again, each may have a turn's worth of header sections and frames.
WORKERS = 2
ALLOWED = CEILING + WORKERS * MARGIN


class Patient(Good):
    """The same, on a machine that has much else to do."""

    def _call(self):
        while not self.over.is_set():
            self.statuses.append(self.client.exchange(http2.grpc_headers(), http2.message(), 90).grpc_status)


class Health:
    """Asks for readiness over and over, as a balancer does, and for an admin page."""

    def __init__(self, gateway):
        self.gateway, self.codes, self.slowest, self.over = gateway, [], 0.0, threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self._ask, daemon=True)
        self.thread.start()
        return self

    def _ask(self):
        while not self.over.wait(0.02):
            start = time.monotonic()
            self.codes.append(self.gateway.status("/healthz/ready", seconds=90)[0])
            self.codes.append(self.gateway.status("/workers", self.gateway.admin_port, seconds=90)[0])
            self.slowest = max(self.slowest, time.monotonic() - start)

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def many_connections(gateway, stack):
    """Connections that say nothing, and others that never end their header section."""
    for number in range(3000):
        client = stack.enter_context(contextlib.closing(socket.create_connection(("127.0.0.1", gateway.port), 30)))
        if number % 3 == 0:
            client.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nx-" + b"a" * 8000)


def large_headers(gateway, stack):
    for _ in range(20):
        hoard(stack.enter_context(http2.connect(gateway.port)))


def slow_readers(gateway, stack):
    for _ in range(10):
        stack.enter_context(contextlib.closing(unread(gateway, 100, http2.grpc_headers(echo_size=str(MEBI)))))
    for _ in range(100):
        client = stack.enter_context(http1.connect(gateway.port, seconds=30))
        client.send(f"GET / HTTP/1.1\r\nhost: echo.test\r\necho-size: {8 * MEBI}\r\n\r\n")


def big_bodies(gateway, stack):
    """Bodies of 16 MiB to an endpoint that takes nothing of them."""
    for _ in range(100):
        client = stack.enter_context(http1.connect(gateway.port, seconds=30))
        client.socket.setblocking(False)
        with contextlib.suppress(OSError):
            client.socket.send(b"POST /stuck HTTP/1.1\r\nhost: echo.test\r\ncontent-length: 16777216\r\n\r\n")
            for _ in range(64):
                client.socket.send(bytes(262_144))


def config(echo, holder, stuck):
    rules = [objects.rule("hold", match=[{"uri": {"prefix": "/hold"}}]),
             objects.rule("stuck", match=[{"uri": {"prefix": "/stuck"}}]), objects.rule("echo")]
    return [objects.gateway(), objects.virtual_service(rules), *objects.served_by("hold", holder),
            *objects.served_by("stuck", stuck), *objects.served_by("echo", echo)]


def swallowing_nothing(connection, _number):
    http2_settings = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    connection.sendall(http2_settings)
    connection.settimeout(120)
    with contextlib.suppress(OSError):
        while not threading.Event().wait(0.5):
            connection.send(b"\x00\x00\x08\x06\x00\x00\x00\x00\x00" + bytes(8))


def attack(gateway, stack, kinds):
    """All kinds at the same time, and again a second time while the first lasts."""
    failures = []

    def run(kind):
        try:
            kind(gateway, stack)
        except OSError as error:        # the gateway has ended an attacker, who goes on with the others
            failures.append(error)

    for _ in range(2):
        threads = [threading.Thread(target=run, args=(kind,)) for kind in kinds]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(300)
            assert not thread.is_alive()


def test_several_attacks_at_once_stay_below_the_ceiling():
    """Health is answered all the time, a client that behaves is served, and memory and connections come back."""
    from peers.listening import Listener
    with Echo() as echo, sink() as holder, Listener(swallowing_nothing) as stuck:
        # An upload whose client is gone may look open: the FIN stands behind octets that the gateway does not read.
        arguments = ["--memory", f"{CEILING // MEBI}Mi", "--progress-timeout", "30s"]
        with Gateway(config(echo, holder, stuck), workers=WORKERS, arguments=arguments) as gateway:
            before, files = gateway.memory_octets(), gateway.open_files()
            with Peak(gateway) as peak, Health(gateway) as health, Patient(gateway) as good:
                with contextlib.ExitStack() as stack:
                    attack(gateway, stack, [many_connections, large_headers, slow_readers, big_bodies])
                    waiting.until(lambda: gateway.metric(REACHED) > 100, 90, "many of them to be ended")
                    there = len(good.statuses)
                    waiting.until(lambda: len(good.statuses) > there + 50, 90, "good calls during the attack")
                    with http1.connect(gateway.port, seconds=30) as late:
                        late.send("GET / HTTP/1.1\r\nhost: echo.test\r\n\r\n")
                        assert late.response().status in (200, 503)
                waiting.until(lambda: gateway.metric(ACTIVE) <= 1, 90, "the streams' end")
                waiting.until(lambda: gateway.memory_octets() < before + 24 * MEBI, 90, "memory to be returned")
                waiting.until(lambda: gateway.open_files() < files + 64, 90, "descriptors to be returned")
                there = len(good.statuses)
                waiting.until(lambda: len(good.statuses) > there + 50, 90, "good calls afterwards")
                assert good.statuses[there:].count(0) == len(good.statuses[there:])
            print(f"peak {peak.octets / MEBI:.1f} MiB of {CEILING // MEBI}, before {before / MEBI:.1f}; "
                  f"{len(good.statuses)} good calls, {len(good.statuses) - good.statuses.count(0)} of them refused; "
                  f"{len(health.codes)} answers of health, the slowest took {health.slowest:.2f} s")
            assert peak.octets < ALLOWED
            assert set(good.statuses) <= {0, 8}, "whoever is not served is refused as an overloaded gateway does"
            assert set(health.codes) == {200} and len(health.codes) > 50


@pytest.mark.parametrize("kind", [many_connections, big_bodies])
def test_idle_connections_make_room_when_memory_is_used_up(web, kind):
    """With a ceiling below what the process needs, connections without requests do not pile up, and all get answers."""
    with Gateway(objects.echo(web, protocol="HTTP", protocol_name="http"), arguments=["--memory", "8Mi"]) as gateway:
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):
                kind(gateway, stack)
            with http1.connect(gateway.port, seconds=30) as client:
                client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                assert client.response().status == 503
            if kind is many_connections:
                evicted = r'^portico_connections_refused_total\{reason="too_many_connections"\}'
                waiting.until(lambda: gateway.metric(evicted) > 1000, 20, "idle connections to be closed")
        assert gateway.status("/healthz/ready")[0] == 200
