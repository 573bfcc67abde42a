"""What Portico answers by itself, plain and gRPC: docs/behaviour.md, Local replies."""

import pytest

from peers import http1, http2, objects, waiting
from peers.backend import Backend
from peers.gateway import Gateway


class Nowhere:
    address = "127.0.0.1"

    def __init__(self):
        self.port = waiting.free_port()


@pytest.fixture(scope="module")
def stage():
    """One host with a path per situation."""
    def rule(prefix, *destinations):
        return objects.rule(*destinations, match=[{"uri": {"prefix": prefix}}])

    with Backend() as backend:
        config = [
            objects.gateway(),
            objects.virtual_service([
                rule("/ok", "echo"), rule("/none", "none"), rule("/absent", "absent"), rule("/refused", "refused"),
                rule("/subset", objects.to("echo", subset="missing")), rule("/port", objects.to("echo", port=9)),
            ], hosts=["a.test"]),
            *objects.served_by("echo", backend), *objects.served_by("none"),
            *objects.served_by("refused", Nowhere()),
        ]
        with Gateway(config) as gateway:
            yield gateway


SITUATIONS = [
    ("/nothing", "a.test", 404, 12), ("/ok", "b.test", 404, 12), ("/none", "a.test", 503, 14),
    ("/absent", "a.test", 503, 14), ("/refused", "a.test", 503, 14), ("/subset", "a.test", 503, 14),
    ("/port", "a.test", 503, 14),
]


@pytest.mark.parametrize("path, host, status, grpc_status", SITUATIONS)
def test_plain_http1(stage, path, host, status, grpc_status):
    with http1.connect(stage.port) as client:
        client.send(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")
        response = client.response()
        assert response.status == status
        assert response.value("grpc-status") is None
        assert response.value("content-length") is not None
        assert response.value("connection") != "close"
        client.send("GET /again HTTP/1.1\r\nHost: a.test\r\n\r\n")  # a complete request keeps the connection
        assert client.response().status == 404


@pytest.mark.parametrize("path, host, status, grpc_status", SITUATIONS)
def test_plain_http2(stage, path, host, status, grpc_status):
    with http2.connect(stage.port) as client:
        stream = client.exchange(http2.get_headers(path, host))
        assert (stream.status, stream.grpc_status, stream.ended) == (status, None, True)


@pytest.mark.parametrize("path, host, status, grpc_status", SITUATIONS)
def test_grpc(stage, path, host, status, grpc_status):
    with http2.connect(stage.port) as client:
        stream = client.exchange(http2.grpc_headers(path, host), http2.message())
        assert (stream.status, stream.grpc_status) == (200, grpc_status)
        assert stream.trailers_only
        assert stream.header("content-type") == "application/grpc"
        assert stream.header("content-length") is None
        assert stream.grpc_message, "the message says what happened"
        assert all(0x20 <= ord(sign) <= 0x7E for sign in stream.grpc_message)


@pytest.mark.parametrize("content_type, is_grpc", [
    ("application/grpc", True), ("application/grpc+proto", True), ("application/grpc+json", True),
    ("application/grpcfoo", False), ("text/plain", False),
])
def test_which_content_types_are_grpc(stage, content_type, is_grpc):
    with http2.connect(stage.port) as client:
        stream = client.exchange(http2.grpc_headers("/nothing", "a.test", content_type=content_type), http2.message())
        assert (stream.grpc_status == 12) == is_grpc
        assert stream.status == (200 if is_grpc else 404)


def test_head_gets_headers_only(stage):
    response = http1.send(stage.port, "HEAD /none HTTP/1.1\r\nHost: a.test\r\n\r\n", to="HEAD")
    assert response.status == 503


def test_an_unfinished_request_is_answered_at_once_on_http2(stage):
    with http2.connect(stage.port) as client:
        stream = client.open(http2.grpc_headers("/nothing", "a.test"), end=False)
        client.wait(lambda: stream.grpc_status == 12, 3, "the early answer")


def test_an_unfinished_request_closes_the_connection_on_http1(stage):
    with http1.connect(stage.port) as client:
        client.send("POST /nothing HTTP/1.1\r\nHost: a.test\r\ncontent-length: 10\r\n\r\nabc")
        response = client.response()
        assert (response.status, response.value("connection")) == (404, "close")
        assert client.is_closed_by_peer()


def test_connect_is_refused(stage):
    with http1.connect(stage.port) as client:
        client.send("CONNECT a.test:80 HTTP/1.1\r\nHost: a.test\r\n\r\n")
        assert client.response().status in (400, 404, 405, 501)


def test_options_star_is_answered(stage):
    with http1.connect(stage.port) as client:
        client.send("OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n")
        assert client.response().status in (400, 404)
