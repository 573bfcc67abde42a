"""SIGTERM: readiness turns, GOAWAY in two steps, what runs finishes, exit 0; a second signal ends at once."""

import signal
import time

import pytest

from peers import http1, http2, objects, waiting
from peers.backend import Caller, paced
from peers.gateway import Gateway

LARGEST = 2**31 - 1
LONG = "5m"  # never what ends a process here
SOON = ["--deregistration", "500ms"]  # after that clients hear of it


def test_an_idle_gateway_ends_soon_and_says_zero(backend):
    with Gateway(objects.echo(backend), drain=LONG, arguments=SOON) as gateway:
        gateway.signal(signal.SIGTERM)
        assert gateway.wait_exit(15) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_running_stream_completes(backend, number):
    with Gateway(objects.echo(backend), drain=LONG, arguments=SOON) as gateway, Caller(gateway.target) as caller:
        asked, messages = paced(3)
        replies = caller.chat(messages)
        assert next(replies) == b"0"
        gateway.signal(number)
        waiting.until(lambda: gateway.status("/healthz/ready")[0] == 503, 5, "the drain")
        for index in (1, 2):
            asked.release()
            assert next(replies) == b"%d" % index
        assert list(replies) == []
        assert gateway.wait_exit(15) == 0


def test_http2_connections_get_the_two_step_goaway(backend):
    with Gateway(objects.echo(backend), drain=LONG, arguments=SOON) as gateway:
        with http2.connect(gateway.port) as idle, http2.connect(gateway.port) as busy:
            stream = busy.open(http2.grpc_headers("/test.Echo/Chat"), end=False)
            busy.send_data(stream.number, http2.message())
            busy.wait(lambda: stream.data, 5)
            assert idle.exchange(http2.grpc_headers(), http2.message()).grpc_status == 0
            gateway.signal(signal.SIGTERM)
            for client in (idle, busy):
                client.wait(lambda: client.goaways, 12, "the notice")
                assert client.goaways[0] == (LARGEST, 0)
            busy.wait(lambda: len(busy.goaways) == 2, 12, "the second GOAWAY")
            assert busy.goaways[1] == (stream.number, 0)
            busy.send_data(stream.number, b"", end=True)
            busy.wait(lambda: stream.over, 5)
            assert stream.grpc_status == 0
            busy.wait_closed(10)
            idle.wait_closed(10)
        assert gateway.wait_exit(15) == 0


def test_readiness_turns_while_requests_are_served(backend):
    with Gateway(objects.echo(backend), drain=LONG) as gateway, http2.connect(gateway.port) as client:
        stream = client.open(http2.grpc_headers("/test.Echo/Chat"), end=False)
        client.send_data(stream.number, http2.message())
        client.wait(lambda: stream.data, 5)
        gateway.signal(signal.SIGTERM)
        waiting.until(lambda: gateway.status("/healthz/ready")[0] == 503, 5, "readiness to turn")
        assert gateway.status("/healthz/live")[0] == 200
        client.send_data(stream.number, b"", end=True)
        client.wait(lambda: stream.over, 5)
        assert stream.grpc_status == 0


def test_http1_answers_say_close_while_draining(web):
    config = objects.echo(web, protocol="HTTP", protocol_name="http")
    with Gateway(config, drain=LONG, arguments=SOON) as gateway, \
            http2.connect(gateway.port) as busy, http1.connect(gateway.port) as one:
        one.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        assert one.response().status == 200
        stream = busy.open(http2.get_headers("/hold", method="POST"), end=False)  # keeps the gateway draining
        gateway.signal(signal.SIGTERM)
        waiting.until(lambda: gateway.status("/healthz/ready")[0] == 503, 5)
        try:
            one.send("GET /y HTTP/1.1\r\nHost: a\r\n\r\n")
            response = one.response()
            assert (response.status, response.value("connection")) == (200, "close")
        except (EOFError, OSError):
            pass  # an idle connection may be closed at once
        busy.send_reset(stream.number)


def test_the_drain_time_ends_what_never_ends(backend):
    with Gateway(objects.echo(backend), drain="1s") as gateway, http2.connect(gateway.port) as client:
        stream = client.open(http2.grpc_headers("/test.Echo/Chat"), end=False)
        client.send_data(stream.number, http2.message())
        client.wait(lambda: stream.data, 5)
        start = time.monotonic()
        gateway.signal(signal.SIGTERM)
        assert gateway.wait_exit(15) == 0
        assert time.monotonic() - start >= 0.8


def test_a_second_signal_ends_at_once(backend):
    with Gateway(objects.echo(backend), drain=LONG) as gateway, http2.connect(gateway.port) as client:
        stream = client.open(http2.grpc_headers("/test.Echo/Chat"), end=False)
        client.send_data(stream.number, http2.message())
        client.wait(lambda: stream.data, 5)
        gateway.signal(signal.SIGTERM)
        waiting.until(lambda: gateway.status("/healthz/ready")[0] == 503, 5)
        gateway.signal(signal.SIGTERM)
        gateway.killed = True  # its exit code is its own
        gateway.wait_exit(3)


def test_connections_are_accepted_for_the_settable_time(backend):
    with Gateway(objects.echo(backend), drain=LONG, arguments=["--drain-accept", "2s"]) as gateway:
        begun = time.monotonic()
        gateway.signal(signal.SIGTERM)
        while time.monotonic() < begun + 1.7:
            try:
                with http2.connect(gateway.port) as client:
                    assert client.exchange(http2.grpc_headers(), http2.message()).grpc_status == 0
            except (AssertionError, OSError):
                assert time.monotonic() > begun + 1.9, "only one that the machine held up may come too late"


def test_no_call_of_a_busy_client_fails_while_connections_are_accepted(backend):
    """grpcio obeys GOAWAY: it connects anew and sends again what was not processed."""
    with Gateway(objects.echo(backend), drain=LONG, arguments=["--drain-accept", "20s"]) as gateway:
        with Caller(gateway.target, options=[("grpc.enable_retries", 1)]) as caller:
            answers = [caller.status(timeout=60) for _ in range(20)]
            gateway.signal(signal.SIGTERM)
            end = time.monotonic() + 5
            while len(answers) < 500 and time.monotonic() < end:
                answers.append(caller.status(timeout=60))
        assert [details for code, details in answers if code.value[0]] == [] and len(answers) > 20
