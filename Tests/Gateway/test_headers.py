"""What the gateway adds to a request, what it removes, and what it must not touch."""

import re

import pytest

from peers import http1, http2, objects
from peers.gateway import Gateway


def seen(gateway, web, headers, path="/"):
    assert http1.send(gateway.port, f"GET {path} HTTP/1.1\r\nHost: echo.test\r\n{headers}\r\n").status == 200
    return web.last


def test_x_forwarded_for_is_the_client(web_gateway, web):
    assert seen(web_gateway, web, "").value("x-forwarded-for") == "127.0.0.1"


def test_x_forwarded_for_is_appended_to(web_gateway, web):
    value = ",".join(seen(web_gateway, web, "x-forwarded-for: 1.1.1.1\r\n").values("x-forwarded-for"))
    assert value.replace(" ", "") == "1.1.1.1,127.0.0.1"


def test_x_forwarded_proto_is_the_connections(web_gateway, web):
    assert seen(web_gateway, web, "").value("x-forwarded-proto") == "http"
    assert seen(web_gateway, web, "x-forwarded-proto: https\r\n").values("x-forwarded-proto") == ["http"]


def test_x_request_id_is_a_new_uuid_each_time(web_gateway, web):
    first = seen(web_gateway, web, "").value("x-request-id")
    second = seen(web_gateway, web, "").value("x-request-id")
    pattern = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    assert re.fullmatch(pattern, first) and re.fullmatch(pattern, second)
    assert first != second


def test_a_clients_x_request_id_does_not_survive_the_edge(web_gateway, web):
    values = seen(web_gateway, web, "x-request-id: a\r\n").values("x-request-id")
    assert len(values) == 1 and values != ["a"]


def test_grpc_requests_get_them_too(gateway, backend):
    with http2.connect(gateway.port) as client:
        client.exchange(http2.grpc_headers(), http2.message())
    call = backend.last
    assert call.value("x-forwarded-for") == "127.0.0.1"
    assert call.value("x-forwarded-proto") == "http"
    assert len(call.value("x-request-id")) == 36


@pytest.mark.parametrize("headers, name", [
    ("connection: x-gone\r\nx-gone: 1\r\n", "x-gone"),
    ("connection: keep-alive, X-Gone\r\nx-gone: 1\r\n", "x-gone"),
    ("connection: keep-alive\r\nkeep-alive: timeout=5\r\n", "keep-alive"),
    ("proxy-connection: keep-alive\r\n", "proxy-connection"),
    ("connection: upgrade\r\nupgrade: h2c\r\n", "upgrade"),
    ("connection: te\r\nte: gzip\r\n", "te"),
    ("x-envoy-retry-on: 5xx\r\n", "x-envoy-retry-on"),
    ("x-envoy-upstream-rq-timeout-ms: 1\r\n", "x-envoy-upstream-rq-timeout-ms"),
    ("x-envoy-internal: true\r\n", "x-envoy-internal"),
])
def test_a_header_that_stops_here(web_gateway, web, headers, name):
    assert seen(web_gateway, web, headers).value(name) is None


@pytest.mark.parametrize("name, value", [
    ("via", "1.1 x"), ("forwarded", "for=1"), ("x-custom", "a b  c"), ("referer", "bad"), ("authorization", "Basic x"),
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), ("user-agent", "me"),
    ("x-obs", "caf\xe9"), ("x-empty", ""), ("accept", "*/*"), ("x-forwarded-host", "other"),
])
def test_a_header_that_passes_unchanged(web_gateway, web, name, value):
    assert seen(web_gateway, web, f"{name}: {value}\r\n").values(name) == [value]


@pytest.mark.parametrize("value", [" leading", "trailing ", "\ttab\t", "  both  ", " "])
def test_blanks_around_a_value_are_stripped_both_ways(value):
    """gRPC clients send them in metadata; the protocol says that they may be stripped."""
    def script(peer, _number):
        while True:
            stream = peer.next_request(60)
            peer.wait(lambda stream=stream: stream.over)
            http2.answer(peer, stream, headers=[("x-back", value)], trailers=[("x-end", value)])

    with http2.ScriptedUpstream(script) as upstream, Gateway(objects.echo(upstream)) as gateway:
        with http2.connect(gateway.port) as client:
            stream = client.exchange(http2.grpc_headers(x_meta=value), http2.message())
            assert stream.grpc_status == 0
            assert (stream.header("x-back"), stream.trailer("x-end")) == (value.strip(), value.strip())
            assert dict(upstream.requests[0].blocks[0])["x-meta"] == value.strip()
            refused = client.exchange(http2.get_headers(" /"))
            assert refused.reset is not None


def test_te_trailers_is_kept(web_gateway, web, gateway):
    assert seen(web_gateway, web, "connection: te\r\nte: trailers, gzip\r\n").value("te") in ("trailers", None)
    with http2.ScriptedUpstream(http2.answering) as upstream, Gateway(objects.echo(upstream)) as other:
        with http2.connect(other.port) as client:
            client.exchange(http2.grpc_headers(), http2.message())
        headers = dict(upstream.requests[0].blocks[0])
    assert headers["te"] == "trailers"
    assert headers["content-type"] == "application/grpc"
    assert headers[":scheme"] == "http"
    assert headers[":authority"] == "echo.test"


def test_the_host_is_kept(web_gateway, web):
    assert seen(web_gateway, web, "").value("host") == "echo.test"
    with http2.connect(web_gateway.port) as client:
        client.exchange(http2.get_headers("/", "other.test:81"))
    assert web.last.values("host") == ["other.test:81"]


def test_names_are_lower_case_and_repeated_lines_stay_apart(web_gateway, web):
    request = seen(web_gateway, web, "X-One: 1\r\nx-one: 2\r\n")
    assert [pair for pair in request.headers if pair[0] == "x-one"] == [("x-one", "1"), ("x-one", "2")]


def test_cookie_crumbs_become_one_line(web_gateway, web):
    with http2.connect(web_gateway.port) as client:
        headers = http2.get_headers() + [("cookie", "a=0"), ("cookie", "a=1"), ("cookie", "a=2")]
        client.exchange(headers)
    assert web.last.values("cookie") == ["a=0; a=1; a=2"]


def answered(head, body=b"ok"):
    octets = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n{head}\r\n".encode() + body
    return http1.Upstream(http1.replying(octets))


@pytest.mark.parametrize("name", ["connection", "keep-alive", "proxy-connection", "x-gone", "upgrade"])
def test_a_response_header_that_stops_here(name):
    head = "connection: keep-alive, x-gone\r\nkeep-alive: 5\r\nproxy-connection: x\r\nx-gone: 1\r\nupgrade: h2c\r\n"
    with answered(head) as upstream:
        config = objects.echo(upstream, protocol="HTTP", protocol_name="http")
        with Gateway(config) as gateway, http2.connect(gateway.port) as client:
            stream = client.exchange(http2.get_headers())
            assert stream.status == 200
            assert stream.header(name) is None


def test_response_headers_pass_with_their_repetition():
    with answered("set-cookie: a=1\r\nset-cookie: b=2\r\nX-Custom: yes\r\ndate: old\r\n") as upstream:
        config = objects.echo(upstream, protocol="HTTP", protocol_name="http")
        with Gateway(config) as gateway:
            response = http1.get(gateway.port)
            assert response.values("set-cookie") == ["a=1", "b=2"]
            assert response.value("x-custom") == "yes"
            assert response.values("date") == ["old"]
            with http2.connect(gateway.port) as client:
                assert client.exchange(http2.get_headers()).header_values("set-cookie") == ["a=1", "b=2"]


def test_a_date_is_added_where_none_was(web_gateway):
    assert len(http1.get(web_gateway.port).values("date")) == 1


@pytest.mark.parametrize("sent, arrives", [
    ("/a/../b", "/b"), ("/a/%2e%2e/b", "/b"), ("/./a", "/a"), ("/a//b", "/a//b"), ("/a%2Fb", "/a%2Fb"),
    ("/a%20b", "/a%20b"), ("/x?y=../z", "/x?y=../z"),
])
def test_paths_are_normalised_as_istio_does_by_default(web_gateway, web, sent, arrives):
    assert seen(web_gateway, web, "", sent).target == arrives


@pytest.mark.parametrize("authority, path", [
    ("user@echo.test", "/"), ("echo.test:1:2", "/"), ("[::1", "/"), ("echo.test", "/?caf\xe9"),
])
def test_what_no_server_would_take_is_the_clients_fault(web_gateway, web, authority, path):
    """It was 502 and the upstream's fault when the upstream speaks HTTP/1.1."""
    with http2.connect(web_gateway.port) as client:
        client.encoder.huffman_coding = False
        stream = client.exchange([(":method", "GET"), (":scheme", "http"), (":path", path.encode("latin-1")),
                                  (":authority", authority)])
        assert stream.status == 400
        assert client.exchange(http2.get_headers("/?a=b")).status == 200
