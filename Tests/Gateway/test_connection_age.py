"""A client's connection ends after a while in two steps, so that load balancers can spread clients anew; silent clients
are asked whether they are there."""

import time

import pytest
from hyperframe.frame import PingFrame

from peers import http1, http2, objects
from peers.backend import Caller
from peers.gateway import Gateway

LARGEST = 2**31 - 1
KEEPALIVE = r'^portico_limit_reached_total\{limit="keepalive"\}'


@pytest.fixture(scope="module")
def young(backend):
    with Gateway(objects.echo(backend), arguments=["--max-connection-age", "1s"]) as gateway:
        yield gateway


def test_a_connection_ends_by_its_age_in_two_steps_and_its_streams_go_on(young):
    began = time.monotonic()
    with http2.connect(young.port) as client, http2.connect(young.port) as idle:
        stream = client.open(http2.grpc_headers("/test.Echo/Chat"), end=False)
        client.send_data(stream.number, http2.message())
        client.wait(lambda: stream.data, 5)
        client.wait(lambda: client.goaways, 20, "the notice")
        assert client.goaways[0] == (LARGEST, 0) and time.monotonic() - began > 0.85
        # Until the second step, what a client sends is served.
        late = client.exchange(http2.grpc_headers(), http2.message(), 10)
        assert late.grpc_status == 0
        client.wait(lambda: len(client.goaways) == 2, 30, "the second GOAWAY")
        assert client.goaways[1] == (late.number, 0)
        idle.wait_closed(20)
        # Longer than a linger time: a stream is no reason to hurry.
        client.send_data(stream.number, http2.message())
        client.wait(lambda: len(stream.data) >= 2 * len(http2.message()), 10)
        client.send_data(stream.number, b"", end=True)
        client.wait(lambda: stream.over, 10)
        assert stream.grpc_status == 0
        client.wait_closed(20)
    assert young.metric(KEEPALIVE.replace('keepalive', 'connection_age')) >= 2


def test_no_call_fails_by_the_age_of_connections(young):
    with Caller(young.target, options=[("grpc.enable_retries", 1)]) as caller:
        end, count = time.monotonic() + 5, 0
        while time.monotonic() < end:
            assert caller.status(timeout=60)[0].value[0] == 0
            count += 1
    assert count > 5


def test_an_http1_connection_says_close_in_the_next_answer(web):
    config = objects.echo(web, protocol="HTTP", protocol_name="http")
    with Gateway(config, arguments=["--max-connection-age", "1s"]) as gateway, http1.connect(gateway.port) as client:
        end = time.monotonic() + 20
        while True:
            client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
            response = client.response()
            assert response.status == 200 and time.monotonic() < end
            if response.value("connection") == "close":
                break
        # One without requests is closed, too.
        with http1.connect(gateway.port) as idle:
            idle.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
            assert idle.response().status == 200
            idle.socket.settimeout(30)
            assert idle.socket.recv(1) == b""


def test_a_client_that_answers_no_ping_is_given_up(backend):
    arguments = ["--keepalive", "300ms", "--keepalive-timeout", "400ms"]
    with Gateway(objects.echo(backend), arguments=arguments) as gateway:
        with http2.connect(gateway.port) as dead, http2.connect(gateway.port) as alive:
            streams = []
            for client in (dead, alive):
                stream = client.open(http2.grpc_headers("/test.Echo/Chat"), end=False)
                client.send_data(stream.number, http2.message())
                client.wait(lambda stream=stream: stream.data, 5)
                streams.append(stream)
            dead._answer = lambda _frame: None  # from now on it is gone without a word
            end = time.monotonic() + 20
            while gateway.metric(KEEPALIVE) < 1:
                assert time.monotonic() < end
                size = len(streams[1].data)
                alive.send_data(streams[1].number, http2.message())
                alive.wait(lambda size=size: len(streams[1].data) > size, 10)
            alive.send_data(streams[1].number, b"", end=True)
            alive.wait(lambda: streams[1].over, 10)
            assert streams[1].grpc_status == 0
            dead.wait_closed(10)
        assert gateway.metric(KEEPALIVE.replace('keepalive', 'keepalive_ping')) >= 1


def test_a_silent_client_that_answers_is_kept(backend):
    arguments = ["--keepalive", "200ms", "--keepalive-timeout", "5s"]
    with Gateway(objects.echo(backend), arguments=arguments) as gateway, http2.connect(gateway.port) as client:
        stream = client.open(http2.grpc_headers("/test.Echo/Chat"), end=False)
        client.send_data(stream.number, http2.message())
        client.wait(lambda: stream.data, 5)
        client.wait(lambda: sum(isinstance(frame, PingFrame) for frame in client.frames) >= 3, 20, "three PINGs")
        client.send_data(stream.number, b"", end=True)
        client.wait(lambda: stream.over, 10)
        assert stream.grpc_status == 0 and gateway.metric(KEEPALIVE) == 0
