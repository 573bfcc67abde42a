"""HTTP/1.1 on the client's side: keep-alive, framing, pipelining, Expect, upgrades, both protocols on one port."""

import socket
import subprocess

import pytest
from hyperframe.frame import SettingsFrame

from peers import http1, http2, objects, waiting
from peers.backend import Caller
from peers.frames import PREFACE, FramePeer
from peers.gateway import Gateway

GET = "GET {} HTTP/1.1\r\nHost: echo.test\r\n{}\r\n"


def test_a_connection_serves_many_requests(web_gateway):
    with http1.connect(web_gateway.port) as client:
        for number in range(20):
            client.send(GET.format(f"/{number}", ""))
            response = client.response()
            assert response.status == 200
            assert response.body == f"upstream GET /{number} HTTP/1.1\n".encode()


def test_upstream_connections_are_kept_and_reused(web_gateway, web):
    before = web.connections
    for number in range(10):
        assert http1.get(web_gateway.port, f"/{number}").status == 200
    assert web.connections <= before + 1


def test_pipelined_requests_are_answered_in_order(web_gateway):
    with http1.connect(web_gateway.port) as client:
        client.send("".join(GET.format(f"/{number}", "") for number in range(10)))
        for number in range(10):
            assert client.response().body == f"upstream GET /{number} HTTP/1.1\n".encode()


def test_pipelined_requests_with_bodies_keep_their_bodies(web_gateway):
    with http1.connect(web_gateway.port) as client:
        text = "POST /{0} HTTP/1.1\r\nHost: a\r\ncontent-length: 3\r\n\r\nb{0}{0}"
        client.send("".join(text.format(number) for number in range(5)))
        for number in range(5):
            assert client.response().body == f"upstream POST /{number} HTTP/1.1\nb{number}{number}".encode()


@pytest.mark.parametrize("size", [0, 1, 1000, 65_536, 5_000_000])
def test_bodies_by_length_and_in_chunks(web_gateway, web, size):
    body = bytes(range(256)) * (size // 256) + bytes(size % 256)
    with http1.connect(web_gateway.port) as client:
        client.send(f"POST /length HTTP/1.1\r\nHost: a\r\ncontent-length: {size}\r\n\r\n")
        client.send(body)
        assert client.response().body.endswith(body)
        assert web.last.body == body
        client.send("POST /chunks HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n")
        for start in range(0, size, 100_000):
            piece = body[start:start + 100_000]
            client.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        client.send("0\r\n\r\n")
        assert client.response().status == 200
        assert web.last.body == body


def test_octets_may_arrive_one_by_one(web_gateway):
    with http1.connect(web_gateway.port) as client:
        for octet in GET.format("/slow", "x: y\r\n"):
            client.send(octet)
        assert client.response().status == 200


def test_connection_close_is_honoured(web_gateway):
    with http1.connect(web_gateway.port) as client:
        client.send(GET.format("/", "connection: close\r\n"))
        response = client.response()
        assert response.value("connection") == "close"
        assert client.is_closed_by_peer()


def test_expect_100_continue_gets_its_answer():
    """Either the gateway or the upstream says 100; the body is then taken."""
    with http1.Upstream(say_continue=True) as upstream:
        with Gateway(objects.echo(upstream, protocol="HTTP", protocol_name="http")) as gateway:
            with http1.connect(gateway.port, seconds=5) as client:
                client.send("POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 5\r\nExpect: 100-continue\r\n\r\n")
                assert client.head().status == 100
                client.send("hello")
                response = client.response()
                assert (response.status, response.body[-5:]) == (200, b"hello")


def test_curl_expecting_continue_is_served(web_gateway):
    command = ["curl", "-sS", "-m", "60", "-H", "Expect: 100-continue", "--expect100-timeout", "1", "-d", "a" * 2000,
               f"http://{web_gateway.target}/curl"]
    output = subprocess.run(command, capture_output=True, timeout=120).stdout
    assert output.endswith(b"a" * 2000)


@pytest.mark.parametrize("upgrade", ["h2c", "TLS/1.0", "foo/2, bar"])
def test_an_upgrade_that_is_not_offered_is_ignored(web_gateway, web, upgrade):
    headers = f"connection: Upgrade, HTTP2-Settings\r\nupgrade: {upgrade}\r\nhttp2-settings: AAMAAABkAAQAoAAA\r\n"
    with http1.connect(web_gateway.port) as client:
        client.send(GET.format("/upgrade", headers))
        assert client.response().status == 200
        assert web.last.value("upgrade") is None
        assert web.last.value("http2-settings") is None
        client.send(GET.format("/again", ""))
        assert client.response().status == 200


def test_head_has_no_body_and_the_connection_goes_on(web_gateway):
    with http1.connect(web_gateway.port) as client:
        client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        response = client.response(to="HEAD")
        assert response.status == 200 and int(response.value("content-length")) > 0
        client.send(GET.format("/", ""))
        assert client.response().status == 200


def test_any_method_is_passed_on(web_gateway, web):
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"):
        assert http1.send(web_gateway.port, f"{method} /m HTTP/1.1\r\nHost: a\r\n\r\n").status == 200
        assert web.last.first == f"{method} /m HTTP/1.1"


def test_both_protocols_on_one_port(web_gateway):
    assert http1.get(web_gateway.port, "/one").body == b"upstream GET /one HTTP/1.1\n"
    with http2.connect(web_gateway.port) as client:
        assert bytes(client.exchange(http2.get_headers("/two")).data) == b"upstream GET /two HTTP/1.1\n"


def test_a_preface_that_arrives_in_pieces_is_recognised(gateway):
    connection = socket.create_connection(("127.0.0.1", gateway.port))
    for octet in PREFACE + SettingsFrame(0).serialize():
        connection.send(bytes([octet]))
        waiting.taken(connection)
    with FramePeer(connection, is_client=True, first_octets=False) as client:
        assert client.exchange(http2.grpc_headers(), http2.message()).grpc_status == 0


def test_http2_request_without_length_reaches_http1_in_chunks(web_gateway, web):
    with http2.connect(web_gateway.port) as client:
        stream = client.exchange(http2.get_headers("/up", method="POST"), b"x" * 100_000)
    assert stream.status == 200
    assert web.last.body == b"x" * 100_000
    assert web.last.value("transfer-encoding") == "chunked"


def test_http2_request_with_length_keeps_it(web_gateway, web):
    with http2.connect(web_gateway.port) as client:
        headers = http2.get_headers("/up", method="POST", content_length="5")
        assert client.exchange(headers, b"hello").status == 200
    assert web.last.value("content-length") == "5"


def test_curl_in_both_protocols(web_gateway):
    for flag in ("--http1.1", "--http2-prior-knowledge"):
        command = ["curl", "-sS", "-m", "60", flag, "-w", "%{http_version} %{http_code}",
                   f"http://{web_gateway.target}/curl"]
        output = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
        assert output.endswith("1.1 200" if flag == "--http1.1" else "2 200")


def test_a_grpc_request_reaches_an_http_port_in_http2():
    """`application/grpc` is spoken to in HTTP/2 whatever the port is called."""
    with http2.ScriptedUpstream(http2.answering) as upstream:
        config = objects.echo(upstream, protocol="HTTP", protocol_name="http")
        with Gateway(config) as gateway, Caller(gateway.target) as caller:
            assert caller.unary()[0] == b"0123456789"


def test_grpc_over_http1_is_answered(gateway):
    """`te: trailers` asks for trailers, and gets them behind the last chunk."""
    body = http2.message()
    text = (f"POST /test.Echo/Unary HTTP/1.1\r\nHost: a\r\ncontent-type: application/grpc\r\nte: trailers\r\n"
            f"content-length: {len(body)}\r\n\r\n").encode()
    response = http1.send(gateway.port, text + body)
    assert response.status == 200
    assert response.body == body
    assert ("grpc-status", "0") in response.trailers
    assert ("x-trailer", "v1") in response.trailers


def test_a_grpc_call_whose_status_would_be_lost_is_refused():
    """More of it in test_doctor.py."""
    body = http2.message()
    text = f"POST /test.Echo/Lost HTTP/1.1\r\nHost: a\r\ncontent-type: application/grpc\r\ncontent-length: {len(body)}"
    with http2.ScriptedUpstream(http2.answering) as upstream, Gateway(objects.echo(upstream)) as gateway:
        response = http1.send(gateway.port, f"{text}\r\n\r\n".encode() + body)
        assert (response.status, response.body, response.value("grpc-status")) == (200, b"", "13")
        assert "grpc_over_http1{no_place_for_grpc-status}" in gateway.access_log("/test.Echo/Lost")


@pytest.mark.parametrize("fields", [
    "transfer-encoding: chunked\r\n", "content-length: 7\r\n", "content-length: 7\r\ntransfer-encoding: chunked\r\n"])
def test_a_204_has_no_body_whatever_its_upstream_announces(fields):
    with http1.Upstream(http1.replying(f"HTTP/1.1 204 No Content\r\n{fields}\r\n".encode())) as upstream:
        with Gateway(objects.echo(upstream, protocol="HTTP", protocol_name="http")) as gateway:
            for _ in range(3):
                response = http1.get(gateway.port)
                assert response.status == 204
                assert response.value("content-length") is None and response.value("transfer-encoding") is None


REFUSED = {
    "GET / HTTP/1.1\r\nhost: a\r\nbad line\r\n\r\n": 400, "GET /%00 HTTP/1.1\r\nhost: a\r\n\r\n": 400,
    "GET / HTTP/0.9\r\nhost: a\r\n\r\n": 426, "GET / HTTP/1.1\r\n\r\n": 400, "GET / HTTP/2.7\r\nhost: a\r\n\r\n": 505,
    "GET / HTTP/1.1\r\nhost: a\r\n" + 101 * "x: y\r\n" + "\r\n": 431,
    "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n": 501,
    "POST / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n": 403,
}


@pytest.mark.parametrize("text, status", REFUSED.items())
def test_an_answer_made_here_has_a_date_and_says_why(web_gateway, text, status):
    response = http1.send(web_gateway.port, text)
    assert response.status == status
    assert len(response.values("date")) == 1 and response.values("server") == ["portico"]
    sentence = response.body.decode()
    assert len(sentence.split()) >= 4 and sentence.endswith("."), sentence
