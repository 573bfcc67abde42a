"""WebSockets over HTTP/1.1 and HTTP/2: the handshake passes, then every octet, both ways, until one side ends it."""

import threading
import time

import pytest

from peers import http1, http2, objects, waiting
from peers.gateway import Gateway

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
FIELDS = f"connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: {KEY}\r\nsec-websocket-version: 13\r\n"
HELLO = f"GET /chat?room=1 HTTP/1.1\r\nhost: a.test\r\n{FIELDS}\r\n"
ACCEPTED = (
    "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
    "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")


def accept(connection, _request):
    """Says 101 and then sends back whatever comes, until the peer ends."""
    connection.send(ACCEPTED)
    while octets := connection.buffer or connection.socket.recv(65536):
        connection.buffer = b""
        connection.send(octets)
    raise EOFError


def config(upstream, protocol_name="http", **rule):
    return objects.echo(upstream, protocol="HTTP", protocol_name=protocol_name, **rule)


def opened(gateway, hello=HELLO):
    client = http1.connect(gateway.port)
    client.send(hello)
    answer = client.head()
    return client, answer


@pytest.fixture(scope="module")
def chat():
    with http1.Upstream(accept) as upstream, Gateway(config(upstream)) as gateway:
        yield gateway, upstream


def test_the_handshake_passes_with_its_fields(chat):
    gateway, upstream = chat
    client, answer = opened(gateway)
    with client:
        assert answer.status == 101
        assert answer.value("upgrade") == "websocket" and answer.value("connection").lower() == "upgrade"
        assert answer.value("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    seen = upstream.last
    assert (seen.target, seen.value("sec-websocket-key"), seen.value("host")) == ("/chat?room=1", KEY, "a.test")
    assert seen.value("connection").lower() == "upgrade" and seen.value("upgrade") == "websocket"
    assert seen.value("content-length") is None and seen.value("transfer-encoding") is None


@pytest.mark.parametrize("size", [1, 125, 65_536, 3_000_000])
def test_octets_pass_both_ways(chat, size):
    client, _ = opened(chat[0])
    sent = bytes(number % 251 for number in range(size))
    with client:
        sender = threading.Thread(target=client.send, args=(sent,))
        sender.start()
        assert client._exactly(size) == sent
        sender.join()


def test_frames_that_come_with_the_handshake_wait_for_the_answer(chat):
    client, answer = opened(chat[0], HELLO.encode() + b"\x81\x03abc")
    with client:
        assert answer.status == 101
        assert client._exactly(5) == b"\x81\x03abc"


def test_the_end_of_the_client_ends_the_upstream(chat):
    gateway, _ = chat
    ended = threading.Event()
    received = []

    def reply(connection, _request):
        connection.send(ACCEPTED)
        received.append(connection.rest())
        ended.set()
        raise EOFError

    with http1.Upstream(reply) as upstream, Gateway(config(upstream)) as gateway:
        client, _ = opened(gateway)
        client.send(b"\x88\x02\x03\xe8")
        client.close()
        assert ended.wait(60)
        assert received == [b"\x88\x02\x03\xe8"]


def test_the_end_of_the_upstream_ends_the_client():
    def reply(connection, _request):
        connection.send(ACCEPTED + "bye")
        connection.close()
        raise EOFError

    with http1.Upstream(reply) as upstream, Gateway(config(upstream)) as gateway:
        client, answer = opened(gateway)
        with client:
            assert (answer.status, client.rest()) == (101, b"bye")


def test_nothing_behind_the_handshake_reaches_an_upstream_that_refuses():
    with http1.Upstream() as upstream, Gateway(config(upstream)) as gateway:
        client, answer = opened(gateway, HELLO + "GET /smuggled HTTP/1.1\r\nhost: a.test\r\n\r\n")
        with client:
            assert (answer.status, answer.value("connection")) == (200, "close")
            client._exactly(int(answer.value("content-length")))
            assert client.rest() == b""
        assert http1.get(gateway.port).status == 200
        assert [request.target for request in upstream.requests] == ["/chat?room=1", "/"]


@pytest.mark.parametrize("request_text", [
    f"POST / HTTP/1.1\r\nhost: a.test\r\n{FIELDS}content-length: 1\r\n\r\nx",
    f"GET / HTTP/1.1\r\nhost: a.test\r\n{FIELDS}content-length: 1\r\n\r\nx",
])
def test_only_a_get_without_body_opens_one(chat, request_text):
    assert http1.send(chat[0].port, request_text).status == 403


CONNECT = [
    (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":authority", "a.test"),
    (":path", "/chat?room=1"), ("sec-websocket-version", "13")]
CONNECT_PROTOCOL = 8  # SETTINGS_ENABLE_CONNECT_PROTOCOL


def test_a_port_that_speaks_http2_has_none_unless_it_says_so():
    with http2.ScriptedUpstream(http2.answering) as upstream, Gateway(config(upstream, "grpc")) as gateway:
        assert http1.send(gateway.port, HELLO).status == 502
        with http2.connect(gateway.port) as client:
            stream = client.open(CONNECT, end=False)
            client.wait(lambda: stream.over)
            assert stream.status == 502
            assert client.exchange(http2.grpc_headers(), http2.message()).grpc_status == 0
        assert "SETTINGS_ENABLE_CONNECT_PROTOCOL" in gateway.access_log("/chat")
        assert all(":protocol" not in dict(peer_headers) for peer_headers in upstream_headers(upstream))


def upstream_headers(upstream):
    return [stream.blocks[0] for peer in upstream.peers for stream in peer.streams.values() if stream.blocks]


def accept_connect(peer, _number):
    """Agrees to each WebSocket and sends back whatever comes, until the peer ends."""
    while True:
        stream = peer.next_request(60)
        threading.Thread(target=echo_stream, args=(peer, stream), daemon=True).start()


def echo_stream(peer, stream):
    peer.send_headers(stream.number, [(":status", "200"), ("sec-websocket-protocol", "chat")])
    sent = 0
    while True:
        peer.wait(lambda: len(stream.data) > sent or stream.over, 60)
        octets = bytes(stream.data[sent:])
        sent += len(octets)
        if octets:
            peer.send_data(stream.number, octets)
        elif stream.over:
            return peer.send_data(stream.number, b"", end=True)


@pytest.fixture(scope="module")
def http2_chat():
    settings = {CONNECT_PROTOCOL: 1}
    with http2.ScriptedUpstream(accept_connect, settings=settings) as upstream:
        with Gateway(config(upstream, "grpc")) as gateway:
            yield gateway, upstream


@pytest.mark.parametrize("size", [1, 65_536, 1_000_000])
def test_http2_to_http1(chat, size):
    gateway, upstream = chat
    sent = bytes(number % 251 for number in range(size))
    with http2.connect(gateway.port) as client:
        client.wait(lambda: client.peer_settings.get(CONNECT_PROTOCOL) == 1)
        stream = client.open(CONNECT, end=False)
        client.wait(lambda: stream.headers)
        assert stream.status == 200
        assert stream.header("sec-websocket-accept") is None and stream.header("upgrade") is None
        client.send_data(stream.number, sent)
        client.wait(lambda: len(stream.data) == size, 30)
        assert bytes(stream.data) == sent and not stream.over
        client.send_data(stream.number, b"", end=True)
        client.wait(lambda: stream.over)
        assert stream.ended
    seen = upstream.last
    assert seen.first == "GET /chat?room=1 HTTP/1.1" and seen.value("upgrade") == "websocket"
    assert len(seen.value("sec-websocket-key")) == 24 and seen.value("sec-websocket-version") == "13"


@pytest.mark.parametrize("size", [1, 65_536, 1_000_000])
def test_http1_to_http2(http2_chat, size):
    gateway, upstream = http2_chat
    sent = bytes(number % 251 for number in range(size))
    client, answer = opened(gateway)
    with client:
        assert answer.status == 101
        assert answer.value("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        sender = threading.Thread(target=client.send, args=(sent,))
        sender.start()
        assert client._exactly(size) == sent
        sender.join()
    fields = dict(upstream_headers(upstream)[-1])
    assert (fields[":method"], fields[":protocol"], fields[":path"]) == ("CONNECT", "websocket", "/chat?room=1")
    assert "sec-websocket-key" not in fields


def test_http2_to_http2(http2_chat):
    gateway, _ = http2_chat
    with http2.connect(gateway.port) as client:
        streams = [client.open(CONNECT, end=False) for _ in range(20)]
        for number, stream in enumerate(streams):
            client.send_data(stream.number, b"%d" % number)
        for number, stream in enumerate(streams):
            client.wait(lambda: bytes(stream.data) == b"%d" % number)
            client.send_data(stream.number, b"", end=True)
        for stream in streams:
            client.wait(lambda: stream.over)
            assert (stream.status, stream.ended) == (200, True)
        assert client.exchange([*http2.grpc_headers()], b"x").data == b"x"  # the connection serves calls, too


@pytest.mark.parametrize("fields, status", [
    ([(":protocol", "webtransport")], 501), ([(":protocol", "WebSocket")], 200), ([(":protocol", "")], None),
    ([(":protocol", "websocket"), (":protocol", "websocket")], None)])
def test_other_protocols_are_refused(chat, fields, status):
    headers = [CONNECT[0], *fields, *CONNECT[2:]]
    with http2.connect(chat[0].port) as client:
        stream = client.open(headers, end=False)
        client.wait(lambda: stream.headers or stream.over)
        assert stream.status == (status or 0)
        if status == 501:
            client.wait(lambda: stream.over)
            assert b"websocket only" in stream.data


@pytest.mark.parametrize("headers", [
    [(":method", "GET"), *CONNECT[1:]], [each for each in CONNECT if each[0] != ":path"],
    [each for each in CONNECT if each[0] != ":authority"], [*CONNECT[:4], (":path", "*")],
    [*CONNECT[2:], (":protocol", "websocket"), CONNECT[0]]])
def test_a_malformed_connect_is_reset(chat, headers):
    with http2.connect(chat[0].port) as client:
        stream = client.open(headers, end=False)
        client.wait(lambda: stream.over)
        assert stream.reset == 1


def test_a_plain_connect_says_why_it_is_refused(chat):
    with http2.connect(chat[0].port) as client:
        stream = client.exchange([(":method", "CONNECT"), (":authority", "a.test:443")])
        assert (stream.status, bytes(stream.data)) == (404, b"CONNECT is not served here.")


def test_a_client_on_http2_that_leaves_ends_the_upstream(chat):
    ended = threading.Event()

    def reply(connection, _request):
        connection.send(ACCEPTED)
        connection.rest()
        ended.set()
        raise EOFError

    with http1.Upstream(reply) as upstream, Gateway(config(upstream)) as gateway:
        with http2.connect(gateway.port) as client:
            stream = client.open(CONNECT, end=False)
            client.wait(lambda: stream.headers)
            client.send_reset(stream.number)
            assert ended.wait(60)


def test_an_answer_101_to_another_request_is_a_failure():
    with http1.Upstream(http1.replying(ACCEPTED)) as upstream, Gateway(config(upstream)) as gateway:
        assert http1.get(gateway.port).status == 502


def test_the_routes_timeout_is_for_the_answer_and_not_for_the_socket():
    silent = threading.Event()

    def reply(connection, request):
        if request.target == "/silent":
            silent.wait(60)
            raise EOFError
        accept(connection, request)

    with http1.Upstream(reply) as upstream, Gateway(config(upstream, timeout="0.5s")) as gateway:
        client, answer = opened(gateway, HELLO.replace("/chat?room=1", "/silent"))
        with client:
            assert answer.status == 504
        silent.set()
        client, answer = opened(gateway)
        with client:
            assert answer.status == 101
            end = time.monotonic() + 1.2
            while time.monotonic() < end:
                client.send(b"x")
                assert client._exactly(1) == b"x"


def test_a_reader_that_is_slow_holds_up_the_sender():
    sent = []

    def reply(connection, _request):
        connection.send(ACCEPTED)
        connection.socket.settimeout(60)
        for _ in range(600):
            connection.send(bytes(100_000))
            sent.append(100_000)
        connection.close()
        raise EOFError

    with http1.Upstream(reply) as upstream, Gateway(config(upstream)) as gateway:
        client, _ = opened(gateway)
        with client:
            assert waiting.steady(lambda: len(sent)) < 600, "60 MB went into the gateway"
            count = len(client.buffer)
            while more := client.socket.recv(1 << 20):
                count += len(more)
            assert count == 60_000_000


def test_a_drain_lets_it_go_on():
    soon = ["--deregistration", "500ms"]
    with http1.Upstream(accept) as upstream, Gateway(config(upstream), drain="5m", arguments=soon) as gateway:
        client, _ = opened(gateway)
        with client:
            gateway.signal(15)
            waiting.until(lambda: gateway.status("/healthz/ready")[0] == 503, 5, "the drain")
            client.send(b"abc")
            assert client._exactly(3) == b"abc"
        assert gateway.wait_exit() == 0


def test_the_access_log_has_both_counts():
    with http1.Upstream(accept) as upstream:
        with Gateway(config(upstream)) as gateway:
            client, _ = opened(gateway)
            with client:
                client.send(b"abc")
                assert client._exactly(3) == b"abc"
            waiting.until(lambda: any('" 101 ' in line for line in gateway.output), 5, "the line")
