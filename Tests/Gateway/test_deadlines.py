"""Timeouts of routes and deadlines of clients: the smaller wins, what is left is forwarded, 4 or 504 at the end."""

import re
import time

import grpc
import pytest

from peers import http1, http2, objects, waiting
from peers.backend import Backend, Caller
from peers.frames import CANCEL
from peers.gateway import Gateway, elapsed

UNITS = {"H": 3600, "M": 60, "S": 1, "m": 1e-3, "u": 1e-6, "n": 1e-9}


def seconds(text):
    assert re.fullmatch(r"[0-9]{1,8}[HMSmun]", text), text
    return int(text[:-1]) * UNITS[text[-1]]


def forwarded(gateway, upstream, **headers):
    """The grpc-timeout that the upstream saw, in seconds, or None."""
    with http2.connect(gateway.port) as client:
        assert client.exchange(http2.grpc_headers(**headers), http2.message()).grpc_status == 0
    value = dict(upstream.requests[-1].blocks[0]).get("grpc-timeout")
    return value and seconds(value)


@pytest.fixture(scope="module")
def answering():
    with http2.ScriptedUpstream(http2.answering) as upstream:
        yield upstream


def test_without_any_timeout_none_is_forwarded(answering):
    with Gateway(objects.echo(answering)) as gateway:
        assert forwarded(gateway, answering) is None


def test_the_clients_deadline_is_forwarded_as_what_is_left(answering):
    with Gateway(objects.echo(answering)) as gateway:
        for text, whole in (("20S", 20), ("5000m", 5), ("1H", 3600)):
            took, left = elapsed(lambda: forwarded(gateway, answering, grpc_timeout=text))
            assert whole - took <= left <= whole


def test_the_smaller_of_route_timeout_and_deadline_is_forwarded(answering):
    with Gateway(objects.echo(answering, timeout="20s")) as gateway:
        for text, smaller in (("50S", 20), ("10S", 10)):
            took, left = elapsed(lambda: forwarded(gateway, answering, grpc_timeout=text))
            assert smaller - took <= left <= smaller


@pytest.mark.parametrize("text", ["xx", "5", "S", "-1S", "123456789S", "1s", "1 S"])
def test_a_malformed_grpc_timeout_counts_as_none(answering, text):
    with Gateway(objects.echo(answering)) as gateway, http2.connect(gateway.port) as client:
        assert client.exchange(http2.grpc_headers(grpc_timeout=text), http2.message()).grpc_status == 0


def keeping_the_deadline(early, begun=False):
    """Resets one call after the other with CANCEL when `early` seconds are left of the deadline it was told."""
    def script(peer, _number):
        while True:
            stream = peer.next_request(60)
            end = time.monotonic() + seconds(dict(stream.blocks[0])["grpc-timeout"]) - early
            if begun:
                peer.send_headers(stream.number, [(":status", "200"), ("content-type", "application/grpc")])
            while time.monotonic() < end:  # a sleep would be late, and the gateway's own timer first
                pass
            peer.send_reset(stream.number, CANCEL)

    return http2.ScriptedUpstream(script)


@pytest.mark.parametrize("begun", [False, True])
def test_an_upstream_that_notices_the_deadline_first_is_no_failure(begun):
    with keeping_the_deadline(early=0.0008, begun=begun) as upstream, Gateway(objects.echo(upstream)) as gateway:
        with http2.connect(gateway.port) as client:
            for milliseconds in range(5, 40, 2):
                stream = client.exchange(http2.grpc_headers(grpc_timeout=f"{milliseconds}m"), http2.message())
                assert stream.grpc_status == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]


def test_an_upstream_that_cancels_long_before_the_deadline_has_failed():
    with keeping_the_deadline(early=5) as upstream, Gateway(objects.echo(upstream)) as gateway:
        with http2.connect(gateway.port) as client:
            stream = client.exchange(http2.grpc_headers(grpc_timeout="5S"), http2.message())
        assert stream.grpc_status == grpc.StatusCode.UNAVAILABLE.value[0]


def silent(resets):
    def script(peer, _number):
        stream = peer.next_request(10)
        peer.wait(lambda: stream.reset is not None, 10)
        resets.append(stream.reset)

    return script


@pytest.mark.parametrize("rule, header", [({"timeout": "0.5s"}, {}), ({}, {"grpc_timeout": "500m"}),
                                          ({"timeout": "5m"}, {"grpc_timeout": "500m"}),
                                          ({"timeout": "500ms"}, {"grpc_timeout": "5M"})])
def test_expiry_is_status_4_and_a_reset_upstream(rule, header):
    resets = []
    with http2.ScriptedUpstream(silent(resets)) as upstream, Gateway(objects.echo(upstream, **rule)) as gateway:
        with http2.connect(gateway.port) as client:
            took, stream = elapsed(lambda: client.exchange(http2.grpc_headers(**header), http2.message()))
        assert (stream.status, stream.grpc_status) == (200, 4)
        assert stream.trailers_only
        assert took >= 0.45
        waiting.until(lambda: resets, 2, "the reset upstream")
        assert resets == [CANCEL]
        whose = "the timeout of route " if rule.get("timeout") in ("0.5s", "500ms") else "the client's grpc-timeout"
        message = stream.grpc_message
        assert message.startswith(f"upstream request timeout: {whose}") and ", 500ms, has passed" in message
        assert message.endswith(" had the request")


def test_expiry_of_a_plain_request_is_504():
    with http1.Upstream(lambda connection, request: connection.socket.recv(1)) as upstream:
        config = objects.echo(upstream, protocol="HTTP", protocol_name="http", timeout="0.5s")
        with Gateway(config) as gateway:
            took, response = elapsed(lambda: http1.get(gateway.port))
    assert response.status == 504
    assert took >= 0.45


def test_expiry_after_the_first_message_ends_the_call():
    with Backend() as backend, Gateway(objects.echo(backend, timeout="0.5s")) as gateway:
        with Caller(gateway.target) as caller:
            with pytest.raises(grpc.RpcError) as ended:
                list(caller.stream(metadata=[("x-stall", "600")]))
            assert ended.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert backend.last.cancelled.wait(60)


def test_a_stream_within_its_deadline_is_left_alone(backend, gateway):
    with Caller(gateway.target) as caller:
        assert len(list(caller.stream(metadata=[("x-stall", "0.3"), ("x-count", "2")], timeout=60))) == 2


def test_a_route_without_timeout_waits(backend, gateway):
    with Caller(gateway.target) as caller:
        took, _ = elapsed(lambda: caller.unary(metadata=[("x-sleep", "1.5")]))
    assert took >= 1.5
