"""No refusal without a line: what HTTP turns down is logged with its rule and its peer, and counted by the rule."""

import socket
import struct

import pytest
from hyperframe.frame import GoAwayFrame

from peers import http1, http2, objects, waiting
from peers.frames import PROTOCOL_ERROR
from peers.gateway import Gateway
from peers.refusals import counted, errors


def test_without_an_access_log_the_message_goes_to_standard_error(backend):
    with Gateway(objects.echo(backend), arguments=["--access-log", "off"]) as gateway:
        with http2.connect(gateway.port) as client:
            client.wait(lambda: client.acknowledged, 5)
            client.send_headers(2, http2.grpc_headers(), end=True)
            client.wait_closed(5)
        said = waiting.until(
            lambda: next((line for line in gateway.errors if "refused: " in line), None), 5, "a message")
        words = "a client must not use this stream number (RFC 9113 §5.1.1): HEADERS of "
        assert words in said and " on stream 2; client 127.0.0.1:" in said
        assert " warning portico: [Proxy] " in said


# HTTP/2 requests


def with_field(name, value):
    return [*http2.get_headers("/named", "echo.test"), (name, value)]


def without(name):
    return [pair for pair in http2.get_headers("/named", "echo.test") if pair[0] != name]


def replaced(name, value):
    return [(name, value) if pair[0] == name else pair for pair in http2.get_headers("/named", "echo.test")]


MALFORMED = {
    "capital letters": (with_field("X-Upper", "1"), "field_name"),
    "a space in a name": (with_field("a b", "1"), "field_name"),
    "an empty name": (with_field("", "1"), "field_name"),
    "a line feed in a value": (with_field("x", "a\nb"), "field_value"),
    "connection": (with_field("connection", "close"), "connection_field"),
    "transfer-encoding": (with_field("transfer-encoding", "chunked"), "connection_field"),
    "te": (with_field("te", "gzip"), "te"),
    "two lengths": (with_field("content-length", "1") + [("content-length", "1")], "content_length"),
    "no length": (with_field("content-length", "-1"), "content_length"),
    "a length and no body": (with_field("content-length", "7"), "content_length_mismatch"),
    "two hosts": (with_field("host", "a") + [("host", "b")], "host"),
    "a pseudo-header field at the end": ([*without(":path"), ("x", "1"), (":path", "/late")], "pseudo_order"),
    "an unknown pseudo-header field": ([(":x", "1"), *http2.get_headers()], "pseudo_unknown"),
    "a response's": ([(":status", "200"), *http2.get_headers()], "pseudo_unknown"),
    "two paths": ([(":path", "/first"), *http2.get_headers()], "pseudo_repeated"),
    "no path": (without(":path"), "pseudo_missing"),
    "no method": (without(":method"), "pseudo_missing"),
    "no scheme": (without(":scheme"), "pseudo_missing"),
    "a method with a space": (replaced(":method", "G T"), "method"),
    "a scheme with a space": (replaced(":scheme", "h ttp"), "scheme"),
    "an authority with a space": (replaced(":authority", "a b"), "authority"),
    "a path with a space": (replaced(":path", "/a b"), "path"),
    "a path without a slash": (replaced(":path", "a"), "path"),
    "CONNECT with a path": (replaced(":method", "CONNECT"), "connect"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_request_leaves_a_line_that_names_the_rule(gateway, name):
    headers, rule = MALFORMED[name]
    reason = f"http2.{rule}"
    before = errors(gateway, reason)
    with http2.connect(gateway.port) as client:
        port = client.socket.getsockname()[1]
        stream = client.open(headers, end=True)
        client.wait(lambda: stream.over, 5, "the end of the stream")
        assert stream.reset == PROTOCOL_ERROR
    line = gateway.access_log(f"127.0.0.1:{port} ")
    assert f' HTTP/2" 0 DPE {reason} ' in line
    fields = dict(reversed(headers))
    if fields.get(":path", "") == "/named" and fields.get(":method") == "GET":
        assert '"GET /named HTTP/2"' in line
    if fields.get(":authority") == "echo.test":
        assert '"echo.test"' in line
    counted(gateway, reason, before, errors)


def test_a_body_that_lies_leaves_a_line_although_its_request_was_sent_on(gateway):
    before = errors(gateway, "http2.content_length_mismatch")
    with http2.connect(gateway.port) as client:
        port = client.socket.getsockname()[1]
        stream = client.open(http2.grpc_headers("/test.Echo/Lie", content_length="100"), http2.message())
        client.wait(lambda: stream.over, 5)
        assert stream.reset == PROTOCOL_ERROR
    line = gateway.access_log(f"127.0.0.1:{port} ")
    assert '"POST /test.Echo/Lie HTTP/2" 0 DPE http2.content_length_mismatch ' in line
    counted(gateway, "http2.content_length_mismatch", before, errors)


def test_what_was_malformed_is_in_the_line_as_far_as_it_is_known(gateway):
    with http2.connect(gateway.port) as client:
        stream = client.open(replaced(":path", "/a b\x01"), end=True)
        client.wait(lambda: stream.over, 5)
    assert '"GET /a_b\\x01 HTTP/2" 0 DPE http2.path ' in gateway.access_log(r"/a_b\x01")


def test_long_fields_of_what_was_malformed_are_left_out_and_counted(gateway):
    before = gateway.metric('limit="log_value"')
    with http2.connect(gateway.port) as client:
        stream = client.open([*replaced(":path", "/long\x01"), ("user-agent", "v" * 3000)], end=True)
        client.wait(lambda: stream.over, 5)
    assert "vvv" not in gateway.access_log(r"/long\x01")
    waiting.until(lambda: gateway.metric('limit="log_value"') == before + 1, 10, "its count")


def large(fields, grpc):
    headers = http2.grpc_headers("/test.Echo/Large") if grpc else http2.get_headers("/large")
    return headers + fields


TOO_LARGE = {
    "many fields": ([(f"x-{number}", "1") for number in range(120)], "too_many_headers"),
    "large in sum": ([(f"x-{number}", "v" * 8000) for number in range(9)], "headers_too_large"),
    "one large field": ([("cookie", "v" * 63_000)], "headers_too_large"),
    "one field that HPACK's library refuses": ([("cookie", "v" * 100_000)], "headers_too_large"),
}


def send_section(client, number, headers, end=True):
    """A header section in as many frames as it needs, without Huffman's code."""
    block = client.encoder.encode(headers, huffman=False)
    parts = [block[at:at + 16_384] for at in range(0, len(block), 16_384)]
    for index, part in enumerate(parts):
        flags = (1 if end and index == 0 else 0) | (4 if index == len(parts) - 1 else 0)
        kind = 9 if index else 1
        client.raw(struct.pack(">I", len(part))[1:] + bytes([kind, flags]) + struct.pack(">I", number) + part)


@pytest.mark.parametrize("name", TOO_LARGE)
@pytest.mark.parametrize("grpc", [False, True], ids=["http", "grpc"])
@pytest.mark.parametrize("end", [False, True], ids=["body", "no body"])
def test_a_request_that_is_too_large_is_answered(gateway, name, grpc, end):
    fields, rule = TOO_LARGE[name]
    reason = f"http2.{rule}"
    before = errors(gateway, reason)
    with http2.connect(gateway.port) as client:
        client.wait(lambda: client.peer_settings, 5)
        port = client.socket.getsockname()[1]
        send_section(client, 1, large(fields, grpc), end)
        client.wait(lambda: 1 in client.streams and client.streams[1].over, 5, "an answer")
        stream = client.streams[1]
        if grpc:
            assert stream.grpc_status == 8 and "limit" in stream.grpc_message
        else:
            assert stream.status == 431
        client._next = 3
        assert client.exchange(http2.grpc_headers(), http2.message(), 5).grpc_status == 0
    line = gateway.access_log(f"127.0.0.1:{port} ")
    assert f" {200 if grpc else 431} DPE {reason} " in line and ("/test.Echo/Large" if grpc else "/large") in line
    counted(gateway, reason, before, errors)


@pytest.mark.parametrize("begun", [False, True], ids=["no answer yet", "an answer that has begun"])
def test_trailers_that_are_too_large_are_answered_where_they_can_be(begun):
    def script(peer, _number):
        stream = peer.next_request(10)
        if begun:
            peer.send_headers(stream.number, GRPC_HEAD)
        peer.wait(lambda: stream.over, 10)

    with http2.ScriptedUpstream(script) as upstream, Gateway(objects.echo(upstream)) as gateway:
        with http2.connect(gateway.port) as client:
            client.wait(lambda: client.peer_settings, 5)
            client.send_headers(1, http2.grpc_headers())
            if begun:
                client.wait(lambda: 1 in client.streams and client.streams[1].blocks, 5, "response headers")
            send_section(client, 1, [("x-large", "v" * 63_000)])
            client.wait(lambda: 1 in client.streams and client.streams[1].over, 5, "an answer")
            # Clients of gRPC take ENHANCE_YOUR_CALM for RESOURCE_EXHAUSTED too.
            assert client.streams[1].reset == 11 if begun else client.streams[1].grpc_status == 8
        assert " DPE http2.headers_too_large " in gateway.access_log("/test.Echo/Unary")


def test_streams_beyond_the_limit_leave_a_line_and_their_counter(gateway):
    before = errors(gateway, "http2.too_many_streams")
    with http2.connect(gateway.port) as client:
        client.wait(lambda: client.peer_settings, 5)
        port = client.socket.getsockname()[1]
        limit = client.peer_settings[3]
        streams = [client.open(http2.grpc_headers(), end=False) for _ in range(limit + 1)]
        client.wait(lambda: streams[-1].over, 5, "a refusal")
        assert streams[-1].reset == 7
        assert ' "- - HTTP/2" 0 DPE http2.too_many_streams{HEADERS_of_' in gateway.access_log(f"127.0.0.1:{port} ")
    counted(gateway, "http2.too_many_streams", before, errors)


def test_a_connection_error_is_told_with_its_rule(gateway):
    before = errors(gateway, "http2.push_promise")
    with http2.connect(gateway.port) as client:
        client.wait(lambda: client.acknowledged, 5)
        port = client.socket.getsockname()[1]
        client.raw(b"\x00\x00\x05\x05\x04\x00\x00\x00\x01\x00\x00\x00\x02\x82")
        client.wait_closed(5)
        assert client.goaways[-1][1] == PROTOCOL_ERROR
        assert "(RFC 9113 §8.4): PUSH_PROMISE of 5 octets on stream 1".encode() in next(
            frame.additional_data for frame in client.frames if isinstance(frame, GoAwayFrame))
    told = "http2.push_promise{PUSH_PROMISE_of_5_octets_on_stream_1,_RFC_9113_§8.4}"
    assert f' "- - HTTP/2" 0 DPE {told} ' in gateway.access_log(f"127.0.0.1:{port} ")
    counted(gateway, "http2.push_promise", before, errors)


# Upstreams


def scripted(section):
    """Answers every call well, but those whose path begins with /test.Bad with `section`."""
    def script(peer, _number):
        waiting_calls = []
        while True:
            stream = peer.next_request(20)
            if dict(stream.blocks[0])[":path"].startswith("/test.Bad"):
                section(peer, stream)
                for each in waiting_calls:
                    http2.answer(peer, each)
                waiting_calls = []
            else:
                waiting_calls.append(stream)
    return script


GRPC_HEAD = [(":status", "200"), ("content-type", "application/grpc")]


def large_headers(peer, stream):
    send_section(peer, stream.number, [*GRPC_HEAD, ("x", "v" * 70_000)], end=False)


def huge_headers(peer, stream):
    send_section(peer, stream.number, [*GRPC_HEAD, ("x", "v" * 1_000_000)], end=False)


def large_trailers(peer, stream):
    peer.send_headers(stream.number, GRPC_HEAD)
    peer.send_data(stream.number, http2.message())
    send_section(peer, stream.number, [("grpc-status", "0"), ("x", "v" * 300_000)])


def large_name(peer, stream):
    send_section(peer, stream.number, [(":status", "200"), ("x" * 70_000, "v"), ("later", "1")], end=False)


@pytest.mark.parametrize("section", [large_headers, huge_headers, large_trailers, large_name])
def test_a_response_that_is_too_large_costs_its_own_call_only(section):
    before = 31
    with http2.ScriptedUpstream(scripted(section)) as upstream, Gateway(objects.echo(upstream)) as gateway:
        with http2.connect(gateway.port) as client:
            good = [client.open(http2.grpc_headers(), http2.message()) for _ in range(before)]
            waiting.until(lambda: len(upstream.requests) == before, 5, "all calls")
            bad = client.open(http2.grpc_headers("/test.Bad/Call"), http2.message())
            client.wait(lambda: bad.over and all(stream.over for stream in good), 10, "the end of all calls")
            assert [stream.grpc_status for stream in good] == [0] * before
            again = client.open(http2.grpc_headers("/test.Bad/Call"), http2.message())
            client.wait(lambda: again.over, 10)
        assert len(upstream.peers) == 1
        assert errors(gateway, "http2.headers_too_large", "upstream") == 2
        assert errors(gateway, "http2.headers_too_large") == 0
        assert " UPE " in gateway.access_log("/test.Bad/Call")


def test_errors_of_upstreams_are_not_counted_as_clients(web_gateway):
    with http1.Upstream(http1.replying(b"220 mail.test ESMTP\r\n")) as upstream:
        config = objects.echo(upstream, protocol="HTTP", protocol_name="http")
        with Gateway(config) as gateway:
            assert http1.get(gateway.port).status == 502
            assert gateway.metric(r'^portico_protocol_errors_total\{side="upstream"') == 1
            assert gateway.metric(r'^portico_protocol_errors_total\{side="downstream"') == 0
            said = waiting.until(
                lambda: next((line for line in gateway.errors if "refused: " in line), None), 5, "a message")
            assert "; endpoint 127.0.0.1:" in said


def test_uploads_that_were_given_up_do_not_keep_their_upstream_connection():
    """An HTTP/1.1 endpoint that reads nothing: what waits for it in the kernel is thrown away with the request."""
    listener = socket.create_server(("127.0.0.1", 0))

    class Place:
        address, port = listener.getsockname()

    with Gateway(objects.echo(Place, protocol="HTTP", protocol_name="http")) as gateway:
        clients = []
        for _ in range(10):
            client = socket.create_connection(("127.0.0.1", gateway.port))
            client.settimeout(0.3)
            client.sendall(b"POST /up HTTP/1.1\r\nhost: a\r\ncontent-length: 100000000\r\n\r\n")
            try:
                while True:
                    client.sendall(bytes(65536))
            except TimeoutError:
                pass
            clients.append(client)
        assert gateway.metric(r'^portico_connections\{side="upstream"\}') == 10
        for client in clients:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        waiting.until(lambda: gateway.metric(r'^portico_connections\{side="upstream"\}') == 0, 5, "no connection left")
    listener.close()
