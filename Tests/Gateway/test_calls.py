"""The four kinds of gRPC call, metadata, sizes, early answers and cancellation, through the gateway."""

import concurrent.futures
import threading
import time

import grpc
import pytest
from hyperframe.frame import DataFrame, HeadersFrame

from peers import http2, objects, waiting
from peers.backend import Caller
from peers.frames import CANCEL, INTERNAL_ERROR, NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM, Stream
from peers.gateway import Gateway


def test_unary(caller):
    reply, call = caller.unary(message=b"hello")
    assert reply == b"hello"
    assert call.code() == grpc.StatusCode.OK


def test_server_stream(caller):
    assert list(caller.stream(metadata=[("x-count", "100")])) == [b"%d" % number for number in range(100)]


def test_client_stream(caller):
    assert caller.collect(iter([b"abc"] * 50)) == b"50 messages, 150 octets"


def test_bidirectional_stream_message_by_message(caller):
    asked = threading.Semaphore(0)

    def messages():
        for number in range(20):
            assert asked.acquire(timeout=60)
            yield b"%d" % number

    replies = caller.chat(messages())
    for number in range(20):
        asked.release()  # the next message leaves only after the last one came back
        assert next(replies) == b"%d" % number
    assert list(replies) == []


def test_empty_messages(caller):
    assert caller.unary(message=b"")[0] == b""
    assert list(caller.chat(iter([b""] * 5))) == [b""] * 5


def an_empty_stream(peer, number, headers):
    """HEADERS and an empty DATA frame that ends the stream, in one write."""
    data = DataFrame(number)
    data.flags.add("END_STREAM")
    head = HeadersFrame(number, peer.block(headers))
    head.flags.add("END_HEADERS")
    peer.raw(head.serialize() + data.serialize())


def test_a_stream_without_a_message_ends_with_data_on_both_sides():
    """grpc-go waits for ever for the end of a stream whose HEADERS had it."""
    def script(peer, _number):
        for _ in range(2):
            stream = peer.next_request(10)
            peer.wait(lambda stream=stream: stream.over)
            an_empty_stream(peer, stream.number, [(":status", "200"), ("content-type", "application/grpc")])

    with http2.ScriptedUpstream(script) as upstream, Gateway(objects.echo(upstream)) as gateway:
        with http2.connect(gateway.port) as client:
            for number in (1, 3):  # before and after the upstream connection is there
                client.streams[number] = stream = Stream(number)
                an_empty_stream(client, number, http2.grpc_headers())
                client.wait(lambda stream=stream: stream.over)
                assert stream.reset is None and stream.ended and not stream.headers_ended_stream
        assert [stream.headers_ended_stream for stream in upstream.requests] == [False, False]
        assert [bytes(stream.data) for stream in upstream.requests] == [b"", b""]


def test_it_ends_so_at_the_next_endpoint_too():
    def refusing(peer, _number):
        while True:
            peer.send_reset(peer.next_request(10).number, REFUSED_STREAM)

    with http2.ScriptedUpstream(refusing) as first, http2.ScriptedUpstream(http2.answering) as second:
        with Gateway(objects.echo(first, second)) as gateway, http2.connect(gateway.port) as client:
            for number in (1, 3, 5, 7):
                client.streams[number] = stream = Stream(number)
                an_empty_stream(client, number, http2.grpc_headers())
                client.wait(lambda stream=stream: stream.over)
                assert stream.grpc_status == 0
        assert first.requests and len(second.requests) == 4
        assert not [stream for stream in first.requests + second.requests if stream.headers_ended_stream]


def test_a_request_that_its_headers_end_ends_so_upstream():
    with http2.ScriptedUpstream(http2.answering) as upstream:
        with Gateway(objects.echo(upstream)) as gateway, http2.connect(gateway.port) as client:
            client.exchange(http2.get_headers())
        assert upstream.requests[0].headers_ended_stream


def test_a_big_message_both_ways(caller):
    octets = bytes(range(256)) * (50 << 12)  # 50 MiB
    assert caller.unary(message=octets, timeout=50)[0] == octets


def test_many_calls_at_once_on_one_connection(caller):
    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        replies = list(pool.map(lambda number: caller.unary(message=b"%d" % number)[0], range(2000)))
    assert replies == [b"%d" % number for number in range(2000)]


def test_metadata_both_ways(caller, backend):
    sent = [("x-text", "plain value"), ("x-many", "1"), ("x-many", "2"), ("x-octets-bin", b"\x00\x01\xfe\xff")]
    _, call = caller.unary(metadata=sent)
    seen = backend.last
    assert seen.value("x-text") == "plain value"
    assert seen.values("x-many") in (["1", "2"], ["1,2"], ["1, 2"])
    assert seen.value("x-octets-bin") == b"\x00\x01\xfe\xff"
    initial, trailing = dict(call.initial_metadata()), dict(call.trailing_metadata())
    assert initial["x-backend"] == "backend"
    assert initial["x-initial-bin"] == b"\x00\xff\x10"
    assert trailing["x-trailer"] == "v1"
    assert trailing["x-trailer-bin"] == b"\xfe\x00"


def test_the_method_and_the_authority_arrive_unchanged(gateway, backend):
    with http2.connect(gateway.port) as client:
        client.exchange(http2.grpc_headers("/a.B.C/D?x=%20", "some.host:99"), http2.message())
    assert backend.last.method == "/a.B.C/D?x=%20"


@pytest.mark.parametrize("code", [1, 2, 3, 5, 7, 8, 9, 10, 11, 13, 14, 15, 16])
def test_each_status_comes_back_with_its_message(caller, code):
    expected = next(each for each in grpc.StatusCode if each.value[0] == code)
    assert caller.status(metadata=[("x-fail", f"{code}:because%20%C3%A9%20%25")]) == (expected, "because é %")


def test_a_status_after_messages(caller):
    replies = caller.stream(metadata=[("x-count", "2"), ("x-fail-late", "9:late")])
    assert [next(replies), next(replies)] == [b"0", b"1"]
    with pytest.raises(grpc.RpcError) as error:
        next(replies)
    assert (error.value.code(), error.value.details()) == (grpc.StatusCode.FAILED_PRECONDITION, "late")


def test_trailers_only_stays_one_header_block(gateway):
    with http2.connect(gateway.port) as client:
        stream = client.exchange(http2.grpc_headers(x_fail="5:gone"), http2.message())
    assert stream.trailers_only
    assert (stream.status, stream.grpc_status, stream.grpc_message) == (200, 5, "gone")


def test_an_early_answer_arrives_before_the_request_ends(gateway):
    with http2.connect(gateway.port) as client:
        stream = client.open(http2.grpc_headers("/test.Echo/Collect", x_early="1"), http2.message(), end=False)
        client.wait(lambda: stream.grpc_status is not None, 5, "the early answer")
        assert stream.grpc_status == 0
        again = client.exchange(http2.grpc_headers(), http2.message())
        assert again.grpc_status == 0


def test_headers_and_first_messages_are_not_held_back(gateway):
    """A stream that is slow between messages: each arrives when it was sent."""
    with http2.connect(gateway.port) as client:
        stream = client.open(http2.grpc_headers("/test.Echo/Chat"), end=False)
        client.send_data(stream.number, http2.message(b"one"))
        client.wait(lambda: len(stream.data) == 8, 2, "the first echo")
        client.send_data(stream.number, http2.message(b"two"))
        client.wait(lambda: len(stream.data) == 16, 2, "the second echo")
        client.send_data(stream.number, b"", end=True)
        client.wait(lambda: stream.over, 2)
        assert stream.grpc_status == 0


def test_a_cancelled_call_is_cancelled_at_the_backend_at_once(caller, backend):
    count = len(backend.calls)
    replies = caller.stream(metadata=[("x-sleep", "30")])
    waiting.until(lambda: len(backend.calls) > count)
    start = time.monotonic()
    replies.cancel()
    assert backend.last.cancelled.wait(60)
    assert backend.last.cancelled_at - start < 5


def test_a_client_that_vanishes_cancels_all_its_calls(gateway, backend):
    count = len(backend.calls)
    client = http2.connect(gateway.port)
    for _ in range(5):
        client.open(http2.grpc_headers(x_sleep="30"), http2.message())
    waiting.until(lambda: len(backend.calls) == count + 5)
    client.abort()
    for call in backend.calls[-5:]:
        assert call.cancelled.wait(60)


@pytest.mark.parametrize("code", [NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, CANCEL, 11])
def test_a_clients_reset_reaches_the_upstream_with_its_code(code):
    with http2.ScriptedUpstream(lambda peer, _: peer.next_request(10)) as upstream:
        with Gateway(objects.echo(upstream)) as gateway, http2.connect(gateway.port) as client:
            stream = client.open(http2.grpc_headers(), http2.message(), end=False)
            waiting.until(lambda: upstream.requests)
            client.send_reset(stream.number, code)
            seen = upstream.requests[0]
            upstream.peers[0].wait(lambda: seen.reset is not None, 2, "the reset")
            assert seen.reset == code


@pytest.mark.parametrize("code", [INTERNAL_ERROR, CANCEL, 11, 13])
def test_an_upstreams_reset_after_its_headers_reaches_the_client_with_its_code(code):
    def script(peer, _number):
        stream = peer.next_request(10)
        peer.send_headers(stream.number, [(":status", "200"), ("content-type", "application/grpc")])
        peer.send_data(stream.number, http2.message())
        peer.send_reset(stream.number, code)

    with http2.ScriptedUpstream(script) as upstream:
        with Gateway(objects.echo(upstream)) as gateway, http2.connect(gateway.port) as client:
            stream = client.exchange(http2.grpc_headers(), http2.message(), 5)
            assert stream.status == 200
            assert stream.reset == code
            assert bytes(stream.data) == http2.message()


def test_no_trailers_is_relayed_as_it_is():
    def script(peer, _number):
        stream = peer.next_request(10)
        peer.send_headers(stream.number, [(":status", "200"), ("content-type", "application/grpc")])
        peer.send_data(stream.number, http2.message(), end=True)

    with http2.ScriptedUpstream(script) as upstream:
        with Gateway(objects.echo(upstream)) as gateway, http2.connect(gateway.port) as client:
            stream = client.exchange(http2.grpc_headers(), http2.message(), 5)
            assert stream.ended and stream.grpc_status is None and stream.reset is None


def test_connections_to_the_backend_are_reused(gateway, backend):
    backend.clear()
    for _ in range(10):
        with Caller(gateway.target) as caller:
            caller.unary()
    assert len(backend.connections) == 1
