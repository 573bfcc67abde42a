"""Copies of requests for mirrors: docs/istio.md, Mirrors. Whatever becomes of them, the client notices nothing."""

import threading

import pytest

from peers import http1, objects, waiting
from peers.backend import Backend, Caller
from peers.gateway import Gateway, elapsed


def given(main, *mirrors, kind="http", **fields):
    targets = [mirror for mirror in mirrors]
    named = {"mirrors": [{"destination": {"host": f"mirror{number}"}} for number in range(len(targets))], **fields}
    return [
        objects.gateway(protocol="HTTP" if kind == "http" else "GRPC"),
        objects.virtual_service([objects.rule("main", **named)]),
        *objects.served_by("main", main, protocol_name=kind),
        *(each for number, mirror in enumerate(targets)
          for each in objects.served_by(f"mirror{number}", mirror, protocol_name=kind)),
    ]


# Case 96
def test_a_mirror_gets_one_copy_and_its_answer_is_dropped():
    broken = http1.replying("HTTP/1.1 500 X\r\ncontent-length: 3\r\n\r\nbad")
    with http1.Upstream() as main, http1.Upstream(broken) as mirror, Gateway(given(main, mirror)) as gateway:
        request = "POST /a?b HTTP/1.1\r\nhost: a.com\r\nx-k: v\r\ncontent-length: 5\r\n\r\nhello"
        response = http1.send(gateway.port, request, to="POST")
        assert response.status == 200 and response.body.endswith(b"hello")
        waiting.until(lambda: mirror.requests, 10, "the copy")
        copy = mirror.last
        assert (copy.first, copy.body) == ("POST /a?b HTTP/1.1", b"hello")
        assert copy.value("host") == "a.com-shadow" and copy.value("x-k") == "v"
        assert copy.value("x-request-id") == main.last.value("x-request-id")
        waiting.until(
            lambda: gateway.metric('portico_mirrored_requests_total{result="completed"}') == 1, 10, "its result")
        assert len(mirror.requests) == 1


def test_several_mirrors_each_get_a_copy():
    with http1.Upstream() as main, http1.Upstream() as one, http1.Upstream() as two:
        with Gateway(given(main, one, two)) as gateway:
            assert http1.get(gateway.port).status == 200
            waiting.until(lambda: one.requests and two.requests, 10, "both copies")


def test_a_mirror_that_is_gone_or_silent_delays_nobody():
    class Closed:
        address, port = "127.0.0.1", waiting.free_port()

    release = threading.Event()

    def silent(_connection, _request):
        release.wait(60)
        raise EOFError

    with http1.Upstream() as main, http1.Upstream(silent) as mirror, Gateway(given(main, mirror, Closed)) as gateway:
        for _ in range(5):
            took, response = elapsed(lambda: http1.get(gateway.port))
            assert response.status == 200 and took < 5
        waiting.until(
            lambda: gateway.metric('portico_mirrored_requests_total{result="failed"}') == 5, 10, "the failures")
        release.set()


@pytest.mark.parametrize("share", [{"value": 0}, {}])
def test_a_share_of_nothing_copies_nothing(share):
    with http1.Upstream() as main, http1.Upstream() as mirror:
        rule = given(main, mirror, mirrors=[{"destination": {"host": "mirror0"}, "percentage": share}])
        with Gateway(rule) as gateway:
            assert [http1.get(gateway.port).status for _ in range(10)] == [200] * 10
            assert gateway.metric("portico_mirrored_requests_total") == 0 and not mirror.requests


def test_grpc_streams_are_copied():
    with Backend(name="main") as main, Backend(name="mirror") as mirror:
        with Gateway(given(main, mirror, kind="grpc")) as gateway, Caller(gateway.target) as caller:
            assert caller.collect(iter([b"a", b"bc"])) == b"2 messages, 3 octets"
            waiting.until(lambda: mirror.calls and mirror.calls[0].messages == 2, 10, "the copy")
            assert mirror.calls[0].octets == 3


def test_a_mirror_that_takes_nothing_gets_no_copy():
    release = threading.Event()

    class Deaf(http1.Upstream):
        def _serve(self, plain, _number):
            release.wait(120)
            plain.close()

    body = "x" * 3_000_000
    empty = http1.replying("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    with http1.Upstream(empty) as main, Deaf() as mirror, Gateway(given(main, mirror)) as gateway:
        request = f"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {len(body)}\r\n\r\n{body}"
        assert http1.send(gateway.port, request, to="POST", seconds=60).status == 200
        assert gateway.metric('portico_mirrored_requests_total{result="dropped"}') == 1
        release.set()
