"""Upstreams that refuse, go away, reset or die: each request is retried when provably unprocessed, or answered."""

import threading

import pytest

from peers import http1, http2, objects, waiting
from peers.backend import Backend, Caller
from peers.frames import CANCEL, INTERNAL_ERROR, PROTOCOL_ERROR, REFUSED_STREAM
from peers.gateway import Gateway, elapsed


class Closed:
    """An address where nobody listens."""

    def __init__(self):
        self.address, self.port = "127.0.0.1", waiting.free_port()


def call(gateway, seconds=5, body=None, **headers):
    with http2.connect(gateway.port) as client:
        return client.exchange(http2.grpc_headers(**headers), body or http2.message(), seconds)


def test_connection_refused_is_14_or_503():
    closed = Closed()
    with Gateway(objects.echo(closed)) as gateway:
        stream = call(gateway)
        assert (stream.status, stream.grpc_status, stream.trailers_only) == (200, 14, True)
        address = f"127.0.0.1:{closed.port}"
        assert f"endpoint {address}: connection refused" in stream.grpc_message
        assert http1.get(gateway.port).status == 503
        assert gateway.metric('portico_upstream_connect_failures_total{reason="refused"}') >= 2
        line = gateway.access_log("UF")
        assert '"connection_refused"' in line
        words = f"endpoint {address}: connection refused; check that the pod listens on this port"
        waiting.until(lambda: any(words in line for line in list(gateway.errors)), 10, "a line about it")


def test_a_refused_connection_is_retried_on_another_endpoint():
    with Backend() as backend, Gateway(objects.echo(Closed(), backend)) as gateway:
        with Caller(gateway.target) as caller:
            for _ in range(20):
                caller.unary()
        assert len(backend.calls) == 20


def first_then_answers(first):
    """A script: the first request of the first connection meets `first(peer, stream)`, later ones are answered."""

    def script(peer, number):
        if number == 1:
            first(peer, peer.next_request(10))
        http2.answering(peer)

    return script


def refuse(peer, stream):
    peer.send_reset(stream.number, REFUSED_STREAM)


def go_away(peer, stream):
    peer.wait(lambda: stream.over, 5)
    peer.send_goaway(0)


def go_away_and_close(peer, stream):
    go_away(peer, stream)
    peer.close()


@pytest.mark.parametrize("first", [refuse, go_away, go_away_and_close])
def test_what_was_provably_not_processed_is_sent_again(first):
    with http2.ScriptedUpstream(first_then_answers(first)) as upstream, Gateway(objects.echo(upstream)) as gateway:
        stream = call(gateway)
        assert stream.grpc_status == 0
        assert bytes(stream.data) == http2.message()
        # The second try carried the whole request again.
        assert [bytes(each.data) for each in upstream.requests][-1] == http2.message()
        assert len(upstream.requests) == 2


def test_always_refused_is_answered():
    def script(peer, _number):
        while True:
            refuse(peer, peer.next_request(10))

    with http2.ScriptedUpstream(script) as upstream, Gateway(objects.echo(upstream)) as gateway:
        took, stream = elapsed(lambda: call(gateway))
        assert stream.grpc_status == 14
        assert took < 3 * waiting.SLOWNESS
        assert 1 < len(upstream.requests) <= 10


@pytest.mark.parametrize("code", [PROTOCOL_ERROR, INTERNAL_ERROR, CANCEL, 11])
def test_a_reset_before_headers_is_answered_and_not_retried(code):
    def script(peer, _number):
        while True:
            peer.send_reset(peer.next_request(10).number, code)

    with http2.ScriptedUpstream(script) as upstream, Gateway(objects.echo(upstream)) as gateway:
        stream = call(gateway)
        # Either the code as it came, or an answer of the gateway's own.
        assert stream.reset == code or stream.grpc_status == 14
        assert len(upstream.requests) == 1


def test_goaway_lets_the_running_stream_finish_and_new_ones_go_elsewhere():
    proceed = threading.Event()

    def script(peer, number):
        stream = peer.next_request(10)
        if number == 1:
            peer.send_goaway(stream.number)
            assert proceed.wait(60)
            http2.answer(peer, stream)
        else:
            http2.answer(peer, stream)
            http2.answering(peer)

    with http2.ScriptedUpstream(script) as upstream, Gateway(objects.echo(upstream)) as gateway:
        with http2.connect(gateway.port) as client:
            first = client.open(http2.grpc_headers(), http2.message())
            waiting.until(lambda: upstream.requests)
            client.wait(lambda: not first.over, 1)
            second = client.exchange(http2.grpc_headers(), http2.message(), 5)
            proceed.set()
            client.wait(lambda: first.over, 5, "the first stream")
        assert (first.grpc_status, second.grpc_status) == (0, 0)
        assert len(upstream.peers) == 2


def test_an_upstream_that_closes_with_requests_open_leaves_none_hanging():
    def script(peer, _number):
        peer.wait(lambda: len(peer.streams) >= 20, 10)
        peer.close()

    with http2.ScriptedUpstream(script) as upstream, Gateway(objects.echo(upstream)) as gateway:
        with http2.connect(gateway.port) as client:
            streams = [client.open(http2.grpc_headers(), http2.message()) for _ in range(20)]
            client.wait(lambda: all(stream.over for stream in streams), 5, "the end of every stream")
        assert {stream.grpc_status for stream in streams} == {14}


def test_an_upstream_that_dies_after_headers_ends_the_stream():
    def script(peer, _number):
        stream = peer.next_request(10)
        peer.send_headers(stream.number, [(":status", "200"), ("content-type", "application/grpc")])
        peer.send_data(stream.number, http2.message())
        peer.close()

    with http2.ScriptedUpstream(script) as upstream, Gateway(objects.echo(upstream)) as gateway:
        stream = call(gateway)
        assert stream.status == 200
        assert stream.reset is not None or stream.grpc_status == 14
        assert len(upstream.requests) == 1


def test_a_killed_backend_is_answered_and_its_return_is_noticed():
    backend = Backend()
    port = backend.port
    with Gateway(objects.echo(backend)) as gateway, Caller(gateway.target) as caller:
        caller.unary()
        backend.stop()
        assert caller.status()[0].value[0] == 14
        with Backend(port=port):
            waiting.until(lambda: caller.status()[0].value[0] == 0, 10, "a call after the backend's return")


def test_a_second_connection_is_opened_at_the_peers_stream_limit():
    proceed = threading.Event()

    def answer_later(peer, stream):
        assert proceed.wait(60)
        http2.answer(peer, stream)

    def script(peer, _number):
        while True:
            stream = peer.next_request(20)
            if dict(stream.blocks[0])[":path"] == "/warm.S/M":  # by its answer the gateway knows the limit
                http2.answer(peer, stream)
            else:
                threading.Thread(target=answer_later, args=(peer, stream), daemon=True).start()

    maximum_streams = {3: 2}
    with http2.ScriptedUpstream(script, settings=maximum_streams) as upstream:
        with Gateway(objects.echo(upstream)) as gateway, http2.connect(gateway.port) as client:
            assert client.exchange(http2.grpc_headers("/warm.S/M"), http2.message()).grpc_status == 0
            streams = [client.open(http2.grpc_headers(), http2.message()) for _ in range(5)]
            waiting.until(lambda: len(upstream.requests) >= 6, 5, "five requests upstream")
            proceed.set()
            client.wait(lambda: all(stream.over for stream in streams), 5)
            assert {stream.grpc_status for stream in streams} == {0}
            assert len(upstream.peers) >= 2


def test_an_upstream_that_talks_http1_on_a_grpc_port_is_answered():
    with http1.Upstream(http1.replying(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")) as upstream:
        with Gateway(objects.echo(upstream)) as gateway:
            assert call(gateway).grpc_status == 14


REPLIES = {
    "garbage": (b"nonsense\r\n\r\n", 502),
    "two lengths": (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 502),
    "nothing": (b"", 503),
    "half a head": (b"HTTP/1.1 200 OK\r\nx: ", 503),
    "too many headers": (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 5000 + b"\r\n", 502),
}


@pytest.mark.parametrize("name", REPLIES)
def test_an_http1_upstream_that_misbehaves_is_answered(name):
    octets, status = REPLIES[name]
    with http1.Upstream(http1.replying(octets, then_close=True)) as upstream:
        with Gateway(objects.echo(upstream, protocol="HTTP", protocol_name="http")) as gateway:
            response = http1.get(gateway.port)
            # A connection cut inside the head may be seen as either of the two.
            assert response.status in ({status, 502} if name == "half a head" else {status})


@pytest.mark.parametrize("octets", [
    b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nZZ\r\n",
])
def test_a_cut_http1_body_is_seen_as_cut_by_both_kinds_of_client(octets):
    with http1.Upstream(http1.replying(octets, then_close=True)) as upstream:
        with Gateway(objects.echo(upstream, protocol="HTTP", protocol_name="http")) as gateway:
            response = http1.get(gateway.port)
            assert (response.status, response.complete) == (200, False)
            with http2.connect(gateway.port) as client:
                stream = client.exchange(http2.get_headers())
                assert stream.reset is not None and not stream.ended


def test_a_kept_http1_connection_that_the_upstream_closed_is_not_used_again():
    """The upstream closes after each answer without having said so."""
    def reply(connection, request):
        connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        raise EOFError

    with http1.Upstream(reply) as upstream:
        with Gateway(objects.echo(upstream, protocol="HTTP", protocol_name="http")) as gateway:
            for _ in range(20):
                assert http1.get(gateway.port).status == 200


@pytest.mark.parametrize("method, body, status, tries", [("GET", "", 200, 3), ("POST", "x", 503, 2)])
def test_a_safe_request_lost_on_a_kept_connection_is_sent_again(method, body, status, tries):
    """The upstream closes for idleness when the next request is on its way; only a safe one may be repeated."""
    requests = []

    def reply(connection, request):
        requests.append(request)
        connection.served = getattr(connection, "served", 0) + 1
        if connection.served == 2:
            raise EOFError
        connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    with http1.Upstream(reply) as upstream:
        with Gateway(objects.echo(upstream, protocol="HTTP", protocol_name="http")) as gateway:
            assert http1.get(gateway.port).status == 200
            with http1.connect(gateway.port) as client:
                client.send(f"{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n{body}")
                assert client.response().status == status
    assert len(requests) == tries
