"""HTTP/2 that breaks the rules, and attacks: docs/behaviour.md."""

import random
import socket
import struct
import time

import pytest
from hyperframe.frame import ContinuationFrame, DataFrame, HeadersFrame, PriorityFrame, SettingsFrame

from peers import http2, waiting
from peers.frames import (
    CANCEL, COMPRESSION_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, PREFACE, PROTOCOL_ERROR, FramePeer,
)
from peers.gateway import Peak


def with_header(name, value):
    return http2.grpc_headers() + [(name, value)]


def without(name):
    return [pair for pair in http2.grpc_headers() if pair[0] != name]


MALFORMED = {
    "upper-case name": with_header("X-Upper", "1"),
    "connection": with_header("connection", "keep-alive"),
    "keep-alive": with_header("keep-alive", "5"),
    "transfer-encoding": with_header("transfer-encoding", "chunked"),
    "upgrade": with_header("upgrade", "h2c"),
    "te gzip": [pair for pair in http2.grpc_headers() if pair[0] != "te"] + [("te", "gzip")],
    "no method": without(":method"),
    "no path": without(":path"),
    "no scheme": without(":scheme"),
    "two paths": [(":path", "/a"), *http2.grpc_headers()],
    "unknown pseudo-header": [(":unknown", "1"), *http2.grpc_headers()],
    "pseudo-header after regular ones": [*without(":path"), (":path", "/a")],
    "response pseudo-header": [(":status", "200"), *http2.grpc_headers()],
    "empty path": [(":path", ""), *without(":path")],
    "path without a slash": [(":path", "a"), *without(":path")],
    "NUL in a value": with_header("x", "a\0b"),
    "LF in a value": with_header("x", "a\nb"),
    "CR in a value": with_header("x", "a\rb"),
    "empty name": with_header("", "x"),
    "space in a name": with_header("a b", "x"),
    "space in a name of Envoy's": with_header("x-envoy-a b", "x"),
    "two content-lengths": [*http2.grpc_headers(), ("content-length", "15"), ("content-length", "15")],
    "content-length not a number": with_header("content-length", "+15"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_request_costs_its_stream_only(gateway, backend, name):
    count = len(backend.calls)
    with http2.connect(gateway.port) as client:
        stream = client.exchange(MALFORMED[name], http2.message(), 5)
        assert stream.reset == PROTOCOL_ERROR or stream.status == 400
        assert len(backend.calls) == count
        assert client.exchange(http2.grpc_headers(), http2.message(), 5).grpc_status == 0


def test_no_authority_and_no_host_is_refused(gateway):
    with http2.connect(gateway.port) as client:
        stream = client.exchange(without(":authority"), http2.message(), 5)
        assert stream.reset == PROTOCOL_ERROR or stream.status == 400 or stream.grpc_status not in (None, 0)


def test_host_serves_where_authority_is_missing(gateway):
    with http2.connect(gateway.port) as client:
        stream = client.exchange([*without(":authority"), ("host", "echo.test")], http2.message(), 5)
        assert stream.grpc_status == 0


@pytest.mark.parametrize("length, body", [("10", b"abc"), ("2", b"abc")])
def test_content_length_that_lies_is_a_stream_error(gateway, length, body):
    with http2.connect(gateway.port) as client:
        stream = client.open(http2.grpc_headers(content_length=length), body)
        client.wait(lambda: stream.over, 5)
        assert stream.reset == PROTOCOL_ERROR


def connection_error(gateway, send, codes):
    """Sends, then expects GOAWAY with one of the codes and the end of the connection; others go on."""
    with http2.connect(gateway.port) as client:
        client.wait(lambda: client.acknowledged, 5)
        try:
            send(client)
            client.wait_closed(5)
        except OSError:
            pass
        assert client.goaways and client.goaways[-1][1] in codes, client.goaways
    with http2.connect(gateway.port) as client:
        assert client.exchange(http2.grpc_headers(), http2.message(), 5).grpc_status == 0


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


DATA, HEADERS, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 5, 6, 7, 8, 9

CONNECTION_ERRORS = {
    "DATA on an idle stream": (lambda client: client.send(DataFrame(1, b"x")), {PROTOCOL_ERROR}),
    "an even stream": (
        lambda client: client.send_headers(2, http2.grpc_headers(), end=True), {PROTOCOL_ERROR}),
    "CONTINUATION without HEADERS": (lambda client: client.send(ContinuationFrame(1, b"x")), {PROTOCOL_ERROR}),
    "another frame inside a header block": (
        lambda client: (client.send_headers(1, http2.grpc_headers(), end_headers=False), client.send_ping()),
        {PROTOCOL_ERROR}),
    "SETTINGS of a wrong length": (lambda client: client.raw(frame(SETTINGS, 0, 0, b"12345")), {FRAME_SIZE_ERROR}),
    "PING of a wrong length": (lambda client: client.raw(frame(PING, 0, 0, b"123")), {FRAME_SIZE_ERROR}),
    "a frame over 16384": (lambda client: client.raw(frame(DATA, 0, 1, bytes(16385))), {FRAME_SIZE_ERROR}),
    "bad HPACK": (lambda client: client.raw(frame(HEADERS, 5, 1, b"\xff" * 7)), {COMPRESSION_ERROR}),
    "WINDOW_UPDATE 0 on the connection": (
        lambda client: client.raw(frame(WINDOW_UPDATE, 0, 0, bytes(4))), {PROTOCOL_ERROR}),
    "window overflow on the connection": (
        lambda client: client.raw(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 2**31 - 1)) * 2), {FLOW_CONTROL_ERROR}),
    "a bad SETTINGS value": (
        lambda client: client.send(SettingsFrame(0, settings={4: 2**31})), {FLOW_CONTROL_ERROR, PROTOCOL_ERROR}),
    "ENABLE_PUSH 2": (lambda client: client.send(SettingsFrame(0, settings={2: 2})), {PROTOCOL_ERROR}),
    "PUSH_PROMISE from a client": (
        lambda client: client.raw(frame(PUSH_PROMISE, 4, 1, struct.pack(">I", 2) + b"\x82")), {PROTOCOL_ERROR}),
    "SETTINGS on a stream": (lambda client: client.raw(frame(SETTINGS, 0, 1, b"")), {PROTOCOL_ERROR}),
    "RST_STREAM on an idle stream": (
        lambda client: client.raw(frame(RST_STREAM, 0, 9, struct.pack(">I", CANCEL))), {PROTOCOL_ERROR}),
}


@pytest.mark.parametrize("name", CONNECTION_ERRORS)
def test_a_connection_error_is_told_and_ends_that_connection_only(gateway, name):
    send, codes = CONNECTION_ERRORS[name]
    connection_error(gateway, send, codes)


def test_unknown_frames_and_priorities_are_ignored(gateway):
    with http2.connect(gateway.port) as client:
        client.raw(frame(0xFA, 0xFF, 0, b"whatever"))
        client.send(PriorityFrame(3, depends_on=1, stream_weight=1))
        assert client.exchange(http2.grpc_headers(), http2.message(), 5).grpc_status == 0


def test_a_priority_on_itself_is_ignored(gateway):
    with http2.connect(gateway.port) as client:
        client.send(PriorityFrame(1, depends_on=1, stream_weight=1))
        assert client.exchange(http2.grpc_headers(), http2.message(), 5).grpc_status == 0


@pytest.mark.parametrize("octets", [
    PREFACE[:20] + b"XXXX", PREFACE + b"GET / HTTP/1.1\r\n\r\n", PREFACE + bytes(9),
    b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
])
def test_a_wrong_preface_ends_the_connection(gateway, octets):
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as client:
        client.sendall(octets)
        client.settimeout(60)
        try:
            while client.recv(65536):
                pass
        except ConnectionResetError:
            pass


def serves(gateway):
    with http2.connect(gateway.port) as client:
        return client.exchange(http2.grpc_headers(), http2.message(), 5).grpc_status == 0


def flood(gateway, send, seconds=120):
    """Repeats `send(client, number)` until the gateway ends the connection; returns how often. A gateway under a
    sanitizer takes tens of seconds for what another one does in three."""
    client = http2.connect(gateway.port)
    sent, cut = 0, False
    try:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not client.closed:
            send(client, sent)
            sent += 1
    except OSError:
        cut = True
    cut = cut or client.closed or bool(client.goaways)
    client.close()
    return sent, cut


def test_rapid_reset_is_cut(gateway, backend):
    """Both frames in one segment, so that no call is answered before its reset: that would be none of the flood."""
    def send(client, number):
        client.raw(b"".join(
            frame(HEADERS, 5, stream, client.block(http2.grpc_headers()))
            + frame(RST_STREAM, 0, stream, struct.pack(">I", CANCEL))
            for stream in range(1 + 200 * number, 201 + 200 * number, 2)))

    floods = 'reason="http2.reset_flood"'
    before = gateway.metric(floods)
    sent, closed = flood(gateway, send)
    assert closed, f"{100 * sent} resets were taken"
    assert gateway.metric(floods) == before + 1
    assert serves(gateway)


def test_a_continuation_flood_is_cut_and_memory_stays(gateway):
    def send(client, number):
        if number == 0:
            client.send_headers(1, http2.grpc_headers(), end_headers=False)
        client.send(ContinuationFrame(1, b"\x00\x03x-y\x7f\x81\x07" + b"a" * 1024))

    with Peak(gateway) as peak:
        before = gateway.memory_octets()
        _, closed = flood(gateway, send)
    assert closed
    assert peak.octets - before < 16 << 20
    assert serves(gateway)


def test_a_header_block_that_is_too_large_costs_its_stream(gateway):
    with http2.connect(gateway.port) as client:
        big = with_header("x-big", "a" * 15_000) + [(f"x-{number}", "b" * 15_000) for number in range(6)]
        block = client.block(big)
        first = HeadersFrame(1, block[:16000])
        first.flags.add("END_STREAM")
        frames = [first] + [ContinuationFrame(1, block[at:at + 16000]) for at in range(16000, len(block), 16000)]
        frames[-1].flags.add("END_HEADERS")
        client.send(*frames)
        client.wait(lambda: (1 in client.streams and client.streams[1].over) or client.goaways, 5, "a refusal")
        stream = client.streams.get(1)
        assert stream.grpc_status == 8
    assert serves(gateway)


def test_too_many_header_fields_cost_their_stream(gateway, backend):
    count = len(backend.calls)
    with http2.connect(gateway.port) as client:
        headers = http2.grpc_headers() + [("x", str(number)) for number in range(300)]
        stream = client.exchange(headers, http2.message(), 5)
        assert stream.reset is not None or stream.status in (400, 431) or stream.grpc_status not in (None, 0)
        assert len(backend.calls) == count
        assert client.exchange(http2.grpc_headers(), http2.message(), 5).grpc_status == 0


def test_an_hpack_bomb_is_refused(gateway):
    """One entry of 4 KB, indexed thousands of times."""
    with http2.connect(gateway.port) as client:
        block = client.block(http2.grpc_headers()) + b"\x40\x03x-y\x7f\x81\x1e" + b"a" * 4000
        block += b"\xbe" * 4000
        first = HeadersFrame(1, block[:16000])
        first.flags.add("END_STREAM")
        first.flags.add("END_HEADERS")
        with Peak(gateway) as peak:
            before = gateway.memory_octets()
            client.send(first)
            client.wait(lambda: client.streams.get(1) and client.streams[1].over or client.goaways, 5, "a refusal")
        assert peak.octets - before < 16 << 20
    assert serves(gateway)


@pytest.mark.parametrize("name", ["PING", "SETTINGS"])
def test_a_control_flood_that_is_never_read_is_bounded(gateway, name):
    octets = (frame(PING, 0, 0, b"12345678") if name == "PING" else frame(SETTINGS, 0, 0, b"")) * 500
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(1)
    connection.connect(("127.0.0.1", gateway.port))
    with Peak(gateway) as peak:
        before = gateway.memory_octets()
        try:
            connection.sendall(PREFACE + frame(SETTINGS, 0, 0, b""))
            deadline = time.monotonic() + 3
            while time.monotonic() < deadline:
                connection.sendall(octets)
        except OSError:
            pass  # cut, or held back: either is bounded
    connection.close()
    assert peak.octets - before < 16 << 20
    assert serves(gateway)


def test_streams_beyond_the_limit_are_refused(gateway):
    with http2.connect(gateway.port) as client:
        client.wait(lambda: client.peer_settings, 5)
        limit = client.peer_settings.get(3)
        assert limit and 100 <= limit <= 1024


def test_window_zero_clients_cost_little(gateway):
    """Fifty clients that ask for 1 MiB each and never open a window."""
    before = gateway.memory_octets()
    clients = [http2.connect(gateway.port, hold_windows=True, settings={4: 0}) for _ in range(50)]
    for client in clients:
        headers = http2.grpc_headers("/test.Echo/Stream", x_count="4", x_size="262144")
        client.open(headers, http2.message())
    waiting.until(lambda: gateway.metric("portico_requests_active") >= 50, 10, "fifty calls")
    waiting.steady(lambda: gateway.memory_octets() >> 20)
    grown = gateway.memory_octets() - before
    for client in clients:
        client.close()
    assert grown < 50 * (1 << 20)
    assert serves(gateway)


def test_random_frames_never_end_the_gateway(gateway):
    chooser = random.Random(20261121)
    for _ in range(100):
        connection = socket.create_connection(("127.0.0.1", gateway.port), timeout=60)
        try:
            connection.sendall(PREFACE + frame(SETTINGS, 0, 0, b""))
            for _ in range(chooser.randrange(1, 8)):
                payload = chooser.randbytes(chooser.randrange(0, 40))
                connection.sendall(frame(chooser.randrange(11), chooser.randrange(256), chooser.randrange(6), payload))
        except OSError:
            pass
        connection.close()
    assert serves(gateway)


def test_a_peer_that_only_connects_is_harmless(gateway):
    sockets = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(100)]
    assert serves(gateway)
    for connection in sockets:
        connection.close()
    with FramePeer(socket.create_connection(("127.0.0.1", gateway.port)), is_client=True):
        assert serves(gateway)
