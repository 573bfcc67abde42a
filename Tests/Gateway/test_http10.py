"""Clients of HTTP/1.0: old libraries, load balancers' probes, `ab`."""

import subprocess

import pytest

from peers import http1, http2, objects
from peers.gateway import Gateway


def get(more="", path="/", method="GET"):
    return f"{method} {path} HTTP/1.0\r\nhost: a.test\r\n{more}\r\n"


def test_the_answer_is_closed_and_never_chunked():
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    with http1.Upstream(http1.replying(chunked)) as upstream:
        with Gateway(objects.echo(upstream, protocol="HTTP", protocol_name="http")) as gateway:
            for more in ("", "connection: keep-alive\r\n"):
                with http1.connect(gateway.port) as client:
                    client.send(get(more))
                    answer = client.response()
                    assert (answer.first, answer.body) == ("HTTP/1.0 200 OK", b"abcde")
                    assert answer.value("transfer-encoding") is None and answer.value("connection") == "close"
            assert upstream.last.first == "GET / HTTP/1.1" and upstream.last.value("connection") is None
            assert '"GET / HTTP/1.0" 200' in gateway.access_log("/")


def test_keep_alive_is_honoured_where_the_length_is_known(web_gateway):
    with http1.connect(web_gateway.port) as client:
        for _ in range(3):
            client.send(get("connection: keep-alive\r\n"))
            answer = client.response()
            assert (answer.first, answer.value("connection")) == ("HTTP/1.0 200 OK", "keep-alive")
        client.send(get("connection: keep-alive\r\n", method="HEAD"))
        assert client.response("HEAD").value("connection") == "keep-alive"
        client.send(get("content-length: 3\r\n", method="POST") + "abc")
        answer = client.response()
        assert answer.body.endswith(b"abc") and answer.value("connection") == "close"
        assert client.is_closed_by_peer()


def test_what_is_sent_ahead_is_answered_only_on_a_connection_that_stays(web_gateway, web):
    for more, count in (("", 1), ("connection: keep-alive\r\n", 2)):
        before = len(web.requests)
        with http1.connect(web_gateway.port) as client:
            client.send(get(more) + get())
            assert client.rest().count(b"HTTP/1.0 200 OK") == count
        assert len(web.requests) - before == count


def test_own_answers(web_gateway):
    missing = http1.send(web_gateway.port, "GET / HTTP/1.0\r\n\r\n")
    assert (missing.status, missing.value("connection")) == (400, "close")
    upgrade = get("connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: x\r\n")
    assert http1.send(web_gateway.port, upgrade).status == 200
    assert http1.send(web_gateway.port, get(path="/%00")).first.startswith("HTTP/1.0 400 ")


@pytest.mark.parametrize("kind", ["application/grpc", "application/grpc-web"])
def test_calls(gateway, kind):
    """gRPC-Web has its trailers in the body; a status of gRPC has no place, and the call is refused."""
    body = http2.message(b"old")
    with http1.connect(gateway.port) as client:
        fields = f"content-type: {kind}\r\nte: trailers\r\ncontent-length: {len(body)}\r\n"
        head = get(fields, "/test.Old/Unary", "POST")
        client.send(head.encode() + body)
        answer = client.response()
    assert answer.status == 200
    if kind == "application/grpc":
        assert not answer.body and answer.value("grpc-status") == "13"
        assert "grpc_over_http1" in gateway.access_log("/test.Old/Unary")
    else:
        assert answer.body.startswith(body) and b"grpc-status:0" in answer.body


def test_curl(web_gateway):
    address = f"http://127.0.0.1:{web_gateway.port}/curl"
    done = subprocess.run(["curl", "-s", "-0", "-i", address], capture_output=True, timeout=120, check=True)
    assert done.stdout.startswith(b"HTTP/1.0 200 OK\r\n") and b"GET /curl HTTP/1.1" in done.stdout
