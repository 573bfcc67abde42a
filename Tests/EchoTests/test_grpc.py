"""The echo server, called by gRPC's own Python client."""

import random
import time

import grpc
import pytest

from echo import Echo
from peers import waiting


def hello_request(name):
    return b"\x0a" + bytes([len(name)]) + name.encode()


def hello_reply(message):
    assert message[0] == 0x0A and message[1] == len(message) - 2
    return message[2:].decode()


@pytest.fixture(scope="module")
def echo():
    with Echo("--hostname", "pod-1", "--version", "v2") as server:
        yield server


@pytest.fixture(scope="module")
def channel(echo):
    with grpc.insecure_channel(echo.address, [("grpc.max_receive_message_length", -1)]) as channel:
        yield channel


def unary(channel, octets=b"ping", method="/main.MainService/Do", timeout=60, **steer):
    metadata = [("echo-" + name, str(value)) for name, value in steer.items()]
    return channel.unary_unary(method).with_call(octets, metadata=metadata, timeout=timeout)


def failure(channel, **steer):
    with pytest.raises(grpc.RpcError) as caught:
        unary(channel, **steer)
    return caught.value


def test_greets_as_the_seeds_do(channel):
    reply, call = unary(channel, hello_request("you"), "/helloworld.Greeter/SayHello")
    assert hello_reply(reply) == "hostname:pod-1, in:you, version:v2"
    assert ("x-echo-host", "pod-1") in call.initial_metadata()


def test_a_greeting_that_is_no_hello_request_fails(channel):
    with pytest.raises(grpc.RpcError) as caught:
        unary(channel, b"\xff", "/helloworld.Greeter/SayHello")
    assert caught.value.code() == grpc.StatusCode.INTERNAL


def test_no_octets_of_a_hello_request_end_the_server(echo, channel):
    chance = random.Random(7)
    for _ in range(300):
        octets = chance.randbytes(chance.randrange(40))
        try:
            unary(channel, octets, "/helloworld.Greeter/SayHello")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.INTERNAL
    assert echo.process.poll() is None


@pytest.mark.parametrize("length", [0, 1, 16_384, 65_536, 1_000_000])
def test_sends_a_message_back(channel, length):
    message = bytes(length)
    assert unary(channel, message)[0] == message


def test_sends_a_compressed_message_back(channel):
    call = channel.unary_unary("/a/B")
    assert call(b"x" * 10_000, compression=grpc.Compression.Gzip, timeout=60) == b"x" * 10_000


def test_client_stream_is_answered_with_as_many_messages(channel):
    calls = channel.stream_stream("/a/B")(iter([b"a", b"", b"c" * 100_000]), timeout=60)
    assert list(calls) == [b"a", b"", b"c" * 100_000]


def test_each_message_comes_back_before_the_next_is_sent(channel):
    received = []

    def requests():
        for number in range(5):
            yield str(number).encode()
            waiting.until(lambda number=number: len(received) > number)

    for reply in channel.stream_stream("/a/B")(requests(), timeout=60):
        received.append(reply)
    assert received == [b"0", b"1", b"2", b"3", b"4"]


def test_streams_copies_of_the_first_message(channel):
    replies = channel.unary_stream("/a/B")(b"again", metadata=[("echo-stream", "1000")], timeout=60)
    assert list(replies) == [b"again"] * 1000


def test_copies_end_with_the_wanted_status(channel):
    metadata = [("echo-stream", "2"), ("echo-status", "10"), ("echo-message", "enough")]
    replies = channel.unary_stream("/a/B")(b"x", metadata=metadata, timeout=60)
    assert [next(replies), next(replies)] == [b"x", b"x"]
    with pytest.raises(grpc.RpcError):
        next(replies)
    assert (replies.code(), replies.details()) == (grpc.StatusCode.ABORTED, "enough")


def test_pads_a_reply(channel):
    assert unary(channel, b"ab", size=100_000)[0] == b"ab" + b"0" * 99_998
    reply, _ = unary(channel, hello_request("you"), "/helloworld.Greeter/SayHello", size=5000)
    assert len(reply) >= 5000


def test_fails_with_the_wanted_status_and_message(channel):
    error = failure(channel, status=14, message="out of order: 100 %")
    assert (error.code(), error.details()) == (grpc.StatusCode.UNAVAILABLE, "out of order: 100 %")


def test_a_failure_does_not_wait_for_the_requests_end(channel):
    def endless():
        while True:
            yield bytes(1000)

    replies = channel.stream_stream("/a/B")(endless(), metadata=[("echo-status", "8")], timeout=60)
    with pytest.raises(grpc.RpcError):
        next(replies)
    assert replies.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_waits_as_long_as_wanted(channel):
    begin = time.monotonic()
    unary(channel, sleep="300ms")
    assert 0.3 <= time.monotonic() - begin < 30


def test_returns_the_request_headers(channel):
    metadata = [("echo-headers", "1"), ("color", "blue"), ("raw-bin", b"\x00\xff")]
    _, call = channel.unary_unary("/a/B").with_call(b"", metadata=metadata, timeout=60)
    returned = dict(call.initial_metadata())
    assert returned["echo-color"] == "blue"
    assert returned["echo-raw-bin"] == b"\x00\xff"
    assert returned["echo-path"] == "/a/B"


def test_resets_the_stream_with_the_wanted_code(channel):
    assert failure(channel, reset=8).code() == grpc.StatusCode.CANCELLED
    assert failure(channel, reset=7).code() == grpc.StatusCode.UNAVAILABLE


def test_goes_away_and_is_there_again(channel):
    for _ in range(3):
        assert unary(channel, goaway=1)[0] == b"ping"


@pytest.mark.parametrize("steer", [{"sleep": "soon"}, {"status": "99"}, {"size": "-1"}, {"stream": "1.5"}])
def test_a_steering_header_that_cannot_be_read_is_an_error(channel, steer):
    error = failure(channel, **steer)
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "cannot be read" in error.details()


def test_a_cancelled_call_is_logged():
    with Echo("--verbose") as echo, grpc.insecure_channel(echo.address) as channel:
        call = channel.unary_unary("/a/B").future(b"", metadata=[("echo-sleep", "60s")])
        with pytest.raises(grpc.FutureTimeoutError):
            call.result(timeout=1)
        call.cancel()
        assert echo.process.stdout.readline() == "stream reset by peer: code 8 (/a/B)\n"


def test_a_reader_that_waits_does_not_make_memory_grow():
    # Without it grpcio widens its windows and reads ahead, up to 20 GiB into this process.
    options = [("grpc.http2.bdp_probe", 0)]
    with Echo() as echo, grpc.insecure_channel(echo.address, options) as channel:
        metadata = [("echo-stream", "100000"), ("echo-size", "100000")]
        replies = [channel.unary_stream("/a/B")(b"x", metadata=metadata) for _ in range(20)]
        for stream in replies:
            for _ in range(5):
                next(stream)
        assert echo.resident_kilobytes() < 65_536
        for stream in replies:
            stream.cancel()


def test_sigterm_lets_a_call_finish():
    with Echo() as echo, grpc.insecure_channel(echo.address) as channel:
        call = channel.unary_unary("/a/B").future(b"late", metadata=[("echo-sleep", "3s")])
        with pytest.raises(grpc.FutureTimeoutError):
            call.result(timeout=1)
        echo.process.terminate()
        assert call.result(timeout=60) == b"late"
        assert echo.process.wait(60) == 0


def test_each_listener_answers_as_itself():
    with Echo(listeners=2) as echo:
        for address in echo.addresses:
            with grpc.insecure_channel(address) as channel:
                reply, _ = unary(channel, hello_request("a"), "/helloworld.Greeter/SayHello")
                assert hello_reply(reply) == f"hostname:{address.partition(':')[0]}, in:a, version:v1"


def test_a_call_with_too_large_metadata_ends(channel):
    metadata = [(f"x-{number}", "v") for number in range(120)]
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/a/B").with_call(b"", metadata=metadata, timeout=60)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
