"""Attacks by HTTP/2 that have names, beside those of test_attacks.py, test_floods.py and test_hostile_http2.py."""

import struct

import pytest

from peers import http2, waiting
from peers.frames import ENHANCE_YOUR_CALM, PROTOCOL_ERROR
from peers.refusals import errors

DATA, HEADERS, RST_STREAM, WINDOW_UPDATE = 0, 1, 3, 8
ATTEMPTS = 60_000       # of octets that are prepared; the connection ends long before


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


# What makes a server reset a stream that has just begun. Source: CVE-2025-8671.
MADE_RESETS = {
    "a window that grows by 0": lambda stream: frame(WINDOW_UPDATE, 0, stream, bytes(4)),
    "a window that grows too large": lambda stream: frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", 0x7fffffff)),
    "a body beyond its length": lambda stream: frame(DATA, 1, stream, b"0123456789"),
}


def poured(client, octets):
    """Sends until the gateway ends the connection; whether it did."""
    try:
        for start in range(0, len(octets), 1 << 16):
            client.raw(octets[start:start + (1 << 16)])
            if client.closed or client.goaways:
                break
        client.wait(lambda: client.goaways or client.closed, 30)
    except OSError:
        pass
    return client.closed or client.goaways


def table(client, headers):
    """The header block of the request once all of its fields are in the table of both sides."""
    stream = client.open(headers, end=False)
    client.send_reset(stream.number, 8)
    return client.block(headers), stream.number + 2


@pytest.mark.parametrize("name", MADE_RESETS)
def test_who_makes_the_gateway_reset_is_cut(gateway, backend, name):
    """Each stream ends by a reset of the gateway's own, so that those of the client are none."""
    before = errors(gateway, "http2.violation_flood")
    with http2.connect(gateway.port) as neighbour, http2.connect(gateway.port) as client:
        client.wait(lambda: client.peer_settings, 5)
        headers = http2.grpc_headers(content_length="1")
        block, first = table(client, headers)
        octets = b"".join(
            frame(HEADERS, 4, stream, block) + MADE_RESETS[name](stream)
            for stream in range(first, first + 2 * ATTEMPTS, 2))
        assert poured(client, octets), "all of it was taken"
        if client.goaways:
            assert client.goaways[-1][1] == ENHANCE_YOUR_CALM
        assert neighbour.exchange(http2.grpc_headers(), http2.message()).grpc_status == 0
    waiting.until(lambda: errors(gateway, "http2.violation_flood") == before + 1, 5, "the count")
    waiting.until(lambda: gateway.metric("^portico_requests_active") == 0, 10, "the end of all requests")
    waiting.until(lambda: gateway.metric("^portico_endpoint_active_requests") == 0, 10, "the end of them upstream")


def test_cookies_in_very_many_fields_are_refused(gateway, backend):
    """They are joined for the backend, but each counts as a field. Source: RFC 9113 §8.2.3."""
    count, before = len(backend.calls), errors(gateway, "http2.too_many_headers")
    with http2.connect(gateway.port) as client:
        crumbs = [("cookie", f"c{number}=1") for number in range(200)]
        stream = client.exchange(http2.grpc_headers() + crumbs, http2.message(), 5)
        assert stream.grpc_status == 8
        assert len(backend.calls) == count
        assert client.exchange(http2.grpc_headers() + crumbs[:50], http2.message(), 5).grpc_status == 0
    waiting.until(lambda: errors(gateway, "http2.too_many_headers") == before + 1, 5, "the count")


def test_names_without_octets_are_refused_and_then_cut(gateway):
    before = errors(gateway, "http2.violation_flood")
    with http2.connect(gateway.port) as neighbour, http2.connect(gateway.port) as client:
        client.wait(lambda: client.peer_settings, 5)
        stream = client.exchange([*http2.grpc_headers(), ("", "x")], http2.message(), 5)
        assert stream.reset == PROTOCOL_ERROR
        block = client.block(http2.grpc_headers()) + b"\x00\x00\x00" * 50
        octets = b"".join(frame(HEADERS, 5, 3 + 2 * number, block) for number in range(ATTEMPTS))
        assert poured(client, octets), "all of it was taken"
        assert neighbour.exchange(http2.grpc_headers(), http2.message()).grpc_status == 0
    waiting.until(lambda: errors(gateway, "http2.violation_flood") == before + 1, 5, "the count")
