"""Backends that were taken over, or are broken: each costs its own requests, and nobody else anything."""

import struct

import pytest

from peers import http1, http2, objects, waiting
from peers.gateway import Gateway, Peak
from peers.listening import Listener

HEADERS, SETTINGS, PUSH_PROMISE, GOAWAY, WINDOW_UPDATE, CONTINUATION, DATA = 1, 4, 5, 7, 8, 9, 0
MEBI = 1 << 20
OK = b"HTTP/1.1 200 OK\r\n"

# An answer in HTTP/1.1, and the statuses that the client may get; None: it is broken off behind the head.
HTTP1 = {
    "no HTTP": (b"\x00\x01\x02garbage\r\n\r\n", {502}),
    "HTTP/2": (b"\0\0\0\4\0\0\0\0\0" * 4, {502}),
    "a request": (b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", {502}),
    "a status of two digits": (b"HTTP/1.1 20 OK\r\n\r\n", {502}),
    "a status of four digits": (b"HTTP/1.1 2000 OK\r\n\r\n", {502}),
    "another version": (b"HTTP/3.0 200 OK\r\n\r\n", {502}),
    "both lengths": (OK + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", {502}),
    "both lengths, reversed": (OK + b"transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n", {502}),
    "two different lengths": (OK + b"content-length: 3\r\ncontent-length: 4\r\n\r\nabcd", {502}),
    "a length that is no number": (OK + b"content-length: 3x\r\n\r\nabc", {502}),
    "a length beyond 64 bits": (OK + b"content-length: 99999999999999999999\r\n\r\nabc", {502}),
    "an unknown coding": (OK + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", {502}),
    "a folded line": (OK + b"x: 1\r\n 2\r\ncontent-length: 0\r\n\r\n", {502}),
    "a line feed alone": (OK + b"x: 1\ny: 2\r\n\r\n", {502}),
    "a carriage return in a value": (OK + b"x: 1\r2\r\n\r\n", {502}),
    "a NUL in a value": (OK + b"x: 1\x002\r\n\r\n", {502}),
    "a space before the colon": (OK + b"x : 1\r\n\r\n", {502}),
    "a name without octets": (OK + b": 1\r\n\r\n", {502}),
    "fields without an end": (OK + b"x: y\r\n" * 100_000, {502}),
    "a value without an end": (OK + b"x: " + b"y" * 1_000_000, {502}),
    "a status line without an end": (b"HTTP/1.1 200 " + b"O" * 1_000_000, {502}),
    "interim responses without an end": (b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n" * 10_000, {502}),
    "an upgrade that nobody asked for": (
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", {502}),
    "a chunk that is no number": (OK + b"transfer-encoding: chunked\r\n\r\nZZ\r\n", {502, None}),
    "a chunk beyond 64 bits": (OK + b"transfer-encoding: chunked\r\n\r\n1FFFFFFFFFFFFFFFF\r\nabc", {502, None}),
    "a chunk longer than its size": (OK + b"transfer-encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", {502, None}),
    "an extension without an end": (OK + b"transfer-encoding: chunked\r\n\r\n3;" + b"a" * 1_000_000, {502, None}),
    "trailers without an end": (OK + b"transfer-encoding: chunked\r\n\r\n0\r\n" + b"x: y\r\n" * 100_000, {502, None}),
}


def serving(*upstreams, **named):
    """Rules for /bad and /good, each with an upstream of its own."""
    bad, good = upstreams
    return [
        objects.gateway(),
        objects.virtual_service([
            objects.rule("bad", match=[{"uri": {"prefix": "/bad"}}], **named), objects.rule("good")]),
        *objects.served_by("bad", bad, protocol_name=bad.protocol),
        *objects.served_by("good", good, protocol_name="http"),
    ]


def upstream_errors(gateway):
    return gateway.metric(r'^portico_protocol_errors_total\{.*side="upstream"')


@pytest.fixture(scope="module")
def plain():
    """An HTTP/1.1 backend whose answer a test chooses, beside a good one, and the gateway in front."""
    with http1.Upstream(lambda connection, _: connection.send(bad.octets)) as bad, http1.Upstream() as good:
        bad.octets, bad.protocol = b"", "http"
        with Gateway(serving(bad, good)) as gateway:
            yield gateway, bad


@pytest.mark.parametrize("name", HTTP1)
def test_an_http1_backend_costs_its_own_request_only(plain, name):
    gateway, bad = plain
    bad.octets, statuses = HTTP1[name]
    before, memory = upstream_errors(gateway), gateway.memory_octets()
    with Peak(gateway) as peak, http1.connect(gateway.port) as client, http1.connect(gateway.port) as neighbour:
        client.send("GET /bad HTTP/1.1\r\nHost: echo.test\r\n\r\n")
        response = client.response()
        assert response.status in statuses or (None in statuses and not response.complete), response
        neighbour.send("GET /good HTTP/1.1\r\nHost: echo.test\r\n\r\n")
        assert neighbour.response().status == 200
    assert peak.octets - memory < 16 * MEBI
    waiting.until(lambda: upstream_errors(gateway) == before + 1, 5, "the count")
    waiting.until(lambda: gateway.metric("^portico_requests_active") == 0, 5, "the end of the request")


def test_octets_behind_an_answer_reach_nobody(plain):
    """An answer that no request asked for must not become the next client's."""
    gateway, bad = plain
    bad.octets = OK + b"content-length: 2\r\n\r\nok" + OK + b"content-length: 6\r\n\r\nforged"
    for _ in range(20):
        assert http1.get(gateway.port, "/bad").body == b"ok"


def test_an_answer_before_the_body_has_come_ends_the_connection():
    """What is left of a body would be the next requests upstream, and the answers to them those of other clients."""
    heads = {}

    def script(connection, number):
        http = http1.Connection(connection, 10)
        try:
            while True:
                heads.setdefault(number, []).append(http.head().first)
                http.send(OK + b"content-length: 5\r\n\r\nearly")
        except (OSError, EOFError):
            pass

    with Listener(script) as bad, http1.Upstream() as good:
        bad.protocol = "http"
        with Gateway(serving(bad, good)) as gateway:
            for _ in range(3):
                with http1.connect(gateway.port) as client:
                    client.send("POST /bad HTTP/1.1\r\nHost: echo.test\r\nContent-Length: 70000\r\n\r\n")
                    client.send("GET /bad HTTP/1.1\r\nHost: a\r\n\r\n" * 3)
                    assert client.head().status == 200
            assert http1.get(gateway.port, "/bad/last").body == b"early"
            assert [first for first, *_ in heads.values()] == ["POST /bad HTTP/1.1"] * 3 + ["GET /bad/last HTTP/1.1"]


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    """A field of HPACK that is in no table."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


STATUS = b"\x88"        # :status 200, from the static table
NUMBERS = struct.pack(">I", 2)
BOMB = b"\x40\x03x-y\x7f\x81\x1e" + b"a" * 4000 + b"\xbe" * 4000

# What an endpoint says to its first request, on stream 1.
HTTP2 = {
    "no HTTP/2": b"HTTP/1.1 400 Bad Request\r\n\r\n" * 4,
    "DATA before the headers": frame(DATA, 1, 1, b"abc"),
    "DATA behind the end": frame(HEADERS, 5, 1, STATUS) + frame(DATA, 0, 1, b"abc") * 100,
    "headers behind the end": frame(HEADERS, 5, 1, STATUS) + frame(HEADERS, 5, 1, STATUS) * 100,
    "trailers without an end": frame(HEADERS, 4, 1, STATUS) + frame(HEADERS, 4, 1, literal(b"x-t", b"1")),
    "trailers with a pseudo-header field": frame(HEADERS, 4, 1, STATUS) + frame(HEADERS, 5, 1, STATUS),
    "no status": frame(HEADERS, 5, 1, literal(b"x", b"1")),
    "a status that is none": frame(HEADERS, 5, 1, literal(b":status", b"2000")),
    "a status of 101": frame(HEADERS, 4, 1, literal(b":status", b"101")),
    "two statuses": frame(HEADERS, 5, 1, STATUS + STATUS),
    "a field of requests": frame(HEADERS, 5, 1, STATUS + literal(b":path", b"/")),
    "a line feed in a value": frame(HEADERS, 5, 1, STATUS + literal(b"x", b"a\r\nb: c")),
    "connection": frame(HEADERS, 5, 1, STATUS + literal(b"connection", b"close")),
    "a body longer than its length": (
        frame(HEADERS, 4, 1, STATUS + literal(b"content-length", b"1")) + frame(DATA, 1, 1, b"abc")),
    "a body shorter than its length": (
        frame(HEADERS, 4, 1, STATUS + literal(b"content-length", b"9")) + frame(DATA, 1, 1, b"abc")),
    "PUSH_PROMISE": frame(PUSH_PROMISE, 4, 1, NUMBERS + b"\x82"),
    "a stream that it opened itself": frame(HEADERS, 5, 2, STATUS),
    "a stream that was never opened": frame(HEADERS, 5, 99, STATUS),
    "DATA of a stream that was never opened": frame(DATA, 1, 99, b"abc"),
    "a frame larger than is allowed": frame(DATA, 0, 1, bytes(70_000)),
    "CONTINUATION without HEADERS": frame(CONTINUATION, 4, 1, STATUS),
    "another frame within a header section": frame(HEADERS, 0, 1, STATUS) + frame(DATA, 0, 1, b"a"),
    "a header section without an end": frame(HEADERS, 0, 1, STATUS) + frame(CONTINUATION, 0, 1, b"") * 20_000,
    "an HPACK bomb": frame(HEADERS, 5, 1, STATUS + BOMB),
    "a table that is none": frame(HEADERS, 5, 1, b"\xff\xff\xff\xff\x0f"),
    "a window beyond 31 bits": frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 0x7fffffff)) * 2,
    "a window that grows by 0": frame(WINDOW_UPDATE, 0, 1, bytes(4)),
    "SETTINGS of a wrong size": frame(SETTINGS, 0, 0, b"abc"),
    "SETTINGS with a wrong value": frame(SETTINGS, 0, 0, struct.pack(">HI", 5, 1)),
    "many SETTINGS": frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 9) + struct.pack(">HI", 4, 65535)) * 50_000,
    "a GOAWAY for a stream that is not there": (
        frame(GOAWAY, 0, 0, struct.pack(">II", 99, 0)) + frame(HEADERS, 5, 1, b"\xbe")),
    "a GOAWAY that takes back more and more": b"".join(
        frame(GOAWAY, 0, 0, struct.pack(">II", last, 0)) for last in (9, 1, 9)) + frame(HEADERS, 5, 1, b"\xbe"),
}


@pytest.fixture(scope="module")
def chosen():
    """The same for HTTP/2: the endpoint says a test's octets to the first request of a connection."""
    def script(peer, _number):
        stream = peer.next_request(60)
        peer.wait(lambda: stream.over, 10)
        peer.raw(bad.octets)
        peer.wait(lambda: peer.closed, 60)

    with http2.ScriptedUpstream(script) as bad, http1.Upstream() as good:
        bad.octets, bad.protocol = b"", "grpc"
        with Gateway(serving(bad, good, timeout="30s", retries={"attempts": 0})) as gateway:
            yield gateway, bad


# What is no fault of the whole connection, or is said too late to change the answer.
HARMLESS = {"DATA behind the end", "headers behind the end"}


@pytest.mark.parametrize("name", HTTP2)
def test_an_http2_backend_costs_its_own_connection_only(chosen, name):
    gateway, bad = chosen
    bad.octets = HTTP2[name]
    before, memory = upstream_errors(gateway), gateway.memory_octets()
    with Peak(gateway) as peak, http2.connect(gateway.port) as client, http1.connect(gateway.port) as neighbour:
        stream = client.open(http2.get_headers("/bad"))
        client.wait(lambda: stream.over, 10, "an answer")
        is_whole = stream.reset is None and stream.status == 200
        assert is_whole == (name in HARMLESS), (stream.status, stream.reset)
        assert is_whole or stream.reset is not None or stream.status in (502, 503), stream.status
        neighbour.send("GET /good HTTP/1.1\r\nHost: echo.test\r\n\r\n")
        assert neighbour.response().status == 200
    assert peak.octets - memory < 16 * MEBI
    if name not in HARMLESS:
        waiting.until(lambda: upstream_errors(gateway) > before, 5, "the count")
    waiting.until(lambda: gateway.metric("^portico_requests_active") == 0, 5, "the end of the request")
    for peer in bad.peers:
        peer.close()
    bad.octets = frame(HEADERS, 5, 1, STATUS)

    def serves():
        with http2.connect(gateway.port) as client:
            return client.exchange(http2.get_headers("/bad"), seconds=10).status == 200
    waiting.until(serves, 10, "a backend that is well again")
    for peer in bad.peers:
        peer.close()
