"""HTTP/2 in, HTTP/1.1 out: no request becomes two, and none becomes another one.

Each hostile request is followed by a good one, on the same connection to the upstream where it lasts. The upstream
keeps every octet that it gets.
"""

import re

import pytest

from peers import http1, http2, objects, waiting
from peers.gateway import Gateway
from peers.listening import Listener

SMUGGLED = "GET /smuggled HTTP/1.1\r\nhost: evil.test\r\n\r\n"
CRLF_PATHS = ["/a HTTP/1.1\r\nhost: a\r\n\r\n" + SMUGGLED, "/a\r\nx: y", "/a\nx: y", "/a b", "/a\tb", "/a\0b", "/a\x7f"]


class Recorder(Listener):
    """Answers each request that it can read, and keeps all octets as they came."""

    def __init__(self):
        self.octets, self.requests = [], []
        super().__init__(self._serve)

    def _serve(self, plain, _number):
        connection = http1.Connection(plain, 60)
        more = connection._more
        place = len(self.octets)
        self.octets.append(b"")

        def noting():
            before = len(connection.buffer)
            found = more()
            self.octets[place] += connection.buffer[before:]
            return found
        connection._more = noting
        try:
            while True:
                self.requests.append(connection.request())
                connection.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        except (OSError, EOFError, ValueError):
            connection.close()


@pytest.fixture(scope="module")
def recorded():
    with Recorder() as upstream, Gateway(objects.echo(upstream, protocol="HTTP", protocol_name="http")) as gateway:
        yield gateway, upstream


def headers(path="/hostile", method="GET", authority="echo.test", scheme="http", more=()):
    return [(":method", method), (":scheme", scheme), (":path", path), (":authority", authority), *more]


# Requests that HTTP/1.1 cannot say, or that would say something else in it.
REFUSED = {
    **{f"the path {path[:12]!r}": headers(path) for path in CRLF_PATHS},
    "a method with a line": headers(method="GET / HTTP/1.1\r\nx: y\r\n\r\nGET"),
    "a method with a space": headers(method="GET /smuggled"),
    "a method without octets": headers(method=""),
    "a scheme with a line": headers(scheme="http\r\nx: y"),
    "an authority with a line": headers(authority="a\r\nx: y"),
    "an authority with a path": headers(authority="echo.test/a"),
    "an authority with a user": headers(authority="u@echo.test"),
    "two authorities": [(":authority", "a"), *headers()],
    "a value with a line": headers(more=[("x", "a\r\n\r\n" + SMUGGLED)]),
    "a value with a line feed": headers(more=[("x", "a\nb: c")]),
    "a value with a carriage return": headers(more=[("x", "a\rb: c")]),
    "a value with a NUL": headers(more=[("x", "a\0b")]),
    "a name with a colon": headers(more=[("x: y\r\nb", "c")]),
    "a name with a line": headers(more=[("x\r\nb", "c")]),
    "a name with a space": headers(more=[("x ", "c")]),
    "a name with a colon inside": headers(more=[("x:y", "c")]),
    "transfer-encoding": headers(method="POST", more=[("transfer-encoding", "chunked")]),
    "connection": headers(more=[("connection", "x-forwarded-for")]),
    "upgrade": headers(more=[("upgrade", "h2c")]),
    "two lengths": headers(method="POST", more=[("content-length", "1"), ("content-length", "2")]),
    "a list of lengths": headers(method="POST", more=[("content-length", "1, 1")]),
    "a length with a sign": headers(method="POST", more=[("content-length", "+1")]),
    "two hosts": headers(more=[("host", "a"), ("host", "b")]),
    "CONNECT with a path": headers(method="CONNECT"),
}


def good(gateway, upstream, number):
    """The good request that comes next arrives as it was sent, and nothing before it that nobody sent."""
    with http2.connect(gateway.port) as client:
        assert client.exchange(http2.get_headers(f"/good/{number}"), seconds=10).status == 200
    assert upstream.requests[-1].target == f"/good/{number}"


@pytest.mark.parametrize("name", REFUSED)
def test_what_http1_cannot_say_does_not_go_upstream(recorded, name):
    gateway, upstream = recorded
    count = len(upstream.requests)
    with http2.connect(gateway.port) as client:
        body = None if dict(REFUSED[name]).get(":method") != "POST" else b"a"
        stream = client.exchange(REFUSED[name], body, 10)
        assert stream.reset is not None or stream.status in (400, 404, 405, 421, 501), stream.status
    good(gateway, upstream, count)
    assert len(upstream.requests) == count + 1
    assert not any(b"smuggled" in octets or b"\r\nx: y" in octets for octets in upstream.octets)


BODIES = {
    "more than its length": (headers(method="POST", more=[("content-length", "3")]), b"abc" + SMUGGLED.encode()),
    "less than its length": (headers(method="POST", more=[("content-length", "300")]), SMUGGLED.encode()),
    "a length of 0": (headers(method="POST", more=[("content-length", "0")]), SMUGGLED.encode()),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_of_another_length_never_becomes_a_request(recorded, name):
    gateway, upstream = recorded
    fields, body = BODIES[name]
    with http2.connect(gateway.port) as client:
        stream = client.open(fields, end=False)
        client.send_data(stream.number, body, end=True)
        client.wait(lambda: stream.over, 10, "a refusal")
        assert stream.reset is not None or stream.status >= 400
    good(gateway, upstream, name.replace(" ", "-"))
    assert not any(request.target == "/smuggled" for request in upstream.requests)


def test_a_body_that_looks_like_a_request_stays_a_body(recorded):
    gateway, upstream = recorded
    octets = (SMUGGLED + "0\r\n\r\n" + SMUGGLED).encode()
    for more in ([], [("content-length", str(len(octets)))]):
        with http2.connect(gateway.port) as client:
            stream = client.exchange(headers("/body", "POST", more=more), octets, 10)
            assert stream.status == 200
        assert upstream.requests[-1].body == octets and upstream.requests[-1].target == "/body"
    good(gateway, upstream, "behind")


def test_trailers_cannot_add_fields_or_requests(recorded):
    gateway, upstream = recorded
    before = {place: len(octets) for place, octets in enumerate(upstream.octets)}
    for trailers in ([("content-length", "1")], [("transfer-encoding", "chunked")], [("x", "a\r\n\r\n" + SMUGGLED)],
                     [(":path", "/smuggled")], [("x-forwarded-for", "6.6.6.6")]):
        with http2.connect(gateway.port) as client:
            stream = client.open(headers("/trailers", "POST"), end=False)
            client.send_data(stream.number, b"abc")
            client.send_headers(stream.number, trailers, end=True)
            client.wait(lambda: stream.over, 10, "an end")
    good(gateway, upstream, "trailers")
    new = b"".join(octets[before.get(place, 0):] for place, octets in enumerate(upstream.octets))
    assert b"/trailers" in new and b"smuggled" not in new and b"6.6.6.6" not in new


def test_the_line_of_a_request_has_its_own_host_and_length_once(recorded):
    gateway, upstream = recorded
    with http2.connect(gateway.port) as client:
        more = [("host", "echo.test"), ("content-length", "3"), ("cookie", "a=1"), ("cookie", "b=2")]
        assert client.exchange(headers("/once", "POST", more=more), b"abc", 10).status == 200
    request = waiting.until(
        lambda: next((each for each in upstream.requests if each.target == "/once"), None), 5, "the request")
    names = [name.lower() for name, _ in request.headers]
    for name in ("host", "content-length", "cookie"):
        assert names.count(name) == 1, request.headers
    assert "transfer-encoding" not in names and "connection" not in names
    assert not any(re.match(r"[^a-z0-9-]", name) for name in names)
