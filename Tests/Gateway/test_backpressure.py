"""A slow reader holds its sender back; it does not fill the gateway's memory."""

import os
import threading
import time

import pytest

from peers import http1, http2, objects, waiting
from peers.backend import Backend
from peers.gateway import Gateway, Peak

MEBI = 1 << 20
LIMIT = 64 * MEBI


def read_slowly(client, stream, total, rate):
    """Takes 1 MiB at a time, at most `rate` MiB/s, by reopening the windows by hand."""
    taken, began = 0, time.monotonic()
    while taken < total:
        client.wait(lambda: len(stream.data) >= MEBI or stream.over, 30, "the next octets")
        got = len(stream.data)
        stream.data.clear()
        taken += got
        if stream.over:
            break
        client.send_window(stream.number, got)
        client.send_window(0, got)
        waiting.until_time(began + taken / MEBI / rate)
    return taken, time.monotonic() - began


def slow_reading(backend, mebibytes, rate):
    """The gateway's largest resident memory while a slow reader takes so much; and the seconds it took."""
    total = mebibytes * (MEBI + 5)
    with Gateway(objects.echo(backend)) as gateway, Peak(gateway) as peak:
        with http2.connect(gateway.port, hold_windows=True, settings={4: MEBI}) as client:
            client.send_window(0, MEBI)
            headers = http2.grpc_headers("/test.Echo/Stream", x_count=str(mebibytes), x_size=str(MEBI))
            stream = client.open(headers, http2.message())
            taken, seconds = read_slowly(client, stream, total, rate)
            client.wait(lambda: stream.over, 20)
        assert taken + len(stream.data) == total
        assert stream.grpc_status == 0
    return peak.octets, seconds


def test_a_slow_reader_of_256_mebibytes_does_not_grow_the_gateway(backend):
    assert slow_reading(backend, 256, rate=25.6)[0] < LIMIT


@pytest.mark.skipif("PORTICO_LONG" not in os.environ, reason="17 minutes at 1 MiB/s; PORTICO_LONG=1 runs it")
@pytest.mark.timeout(0)
def test_a_reader_of_a_gibibyte_at_one_mebibyte_a_second_does_not_grow_the_gateway(backend):
    """PORTICO_LONG_RATE sets another rate, in MiB/s."""
    rate = float(os.environ.get("PORTICO_LONG_RATE", "1"))
    peak, seconds = slow_reading(backend, 1024, rate)
    print(f"1 GiB in {seconds:.0f} s ({1024 / seconds:.1f} MiB/s): at most {peak / MEBI:.1f} MiB resident")
    assert peak < LIMIT


def test_a_reader_that_stops_stops_the_backend(backend):
    """With the client's window closed the upstream may run ahead only by what is buffered on the way."""
    sent = []

    def script(peer, _number):
        stream = peer.next_request(10)
        peer.send_headers(stream.number, [(":status", "200"), ("content-type", "application/grpc")])
        piece = bytes(65536)
        while True:
            peer.send_data(stream.number, piece, seconds=30)
            sent.append(len(piece))

    with http2.ScriptedUpstream(script) as upstream, Gateway(objects.echo(upstream)) as gateway:
        with http2.connect(gateway.port, hold_windows=True) as client:
            client.open(http2.grpc_headers(), http2.message())
            waiting.until(lambda: sent)
            waiting.steady(lambda: len(sent))
            assert sum(sent) < 8 * MEBI


def test_a_backend_that_stops_reading_stops_the_client():
    """The other way: an upload to an upstream that never reopens its window."""
    with http2.ScriptedUpstream(lambda peer, _: peer.next_request(10), hold_windows=True) as upstream:
        with Gateway(objects.echo(upstream)) as gateway, Peak(gateway) as peak:
            with http2.connect(gateway.port) as client:
                stream = client.open(http2.grpc_headers("/test.Echo/Collect"), end=False)
                sent = [0]

                def push():
                    try:
                        while True:
                            client.send_data(stream.number, bytes(65536), seconds=2)
                            sent[0] += 65536
                    except (AssertionError, OSError):
                        pass

                pushing = threading.Thread(target=push, daemon=True)
                pushing.start()
                pushing.join(120)
                assert not pushing.is_alive(), "the client could send without end"
                assert sent[0] < 8 * MEBI
    assert peak.octets < LIMIT


def test_one_stalled_stream_does_not_stall_its_neighbours(gateway):
    """Same client connection, one stream whose window stays closed."""
    with http2.connect(gateway.port, hold_windows=True) as client:
        client.send_window(0, 1 << 29)
        headers = http2.grpc_headers("/test.Echo/Stream", x_count="64", x_size=str(MEBI))
        stalled = client.open(headers, http2.message())
        client.wait(lambda: len(stalled.data) >= 65535, 5, "the stalled stream's window to be used up")
        for _ in range(20):
            assert client.exchange(http2.grpc_headers(), http2.message(), 5).grpc_status == 0
        client.send_reset(stalled.number)


def test_a_slow_http1_reader_does_not_grow_the_gateway():
    total = 128 * MEBI

    def reply(connection, request):
        connection.send(f"HTTP/1.1 200 OK\r\ncontent-length: {total}\r\n\r\n")
        for _ in range(128):
            connection.send(bytes(MEBI))

    with http1.Upstream(reply) as upstream:
        config = objects.echo(upstream, protocol="HTTP", protocol_name="http")
        with Gateway(config) as gateway, Peak(gateway) as peak, http1.connect(gateway.port) as client:
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            head = client.head()
            assert head.value("content-length") == str(total)
            taken = len(client.buffer)
            while taken < total:
                more = client.socket.recv(4 * MEBI)
                assert more
                taken += len(more)
                waiting.until_time(time.monotonic() + 0.01)
    assert peak.octets < LIMIT


def test_memory_returns_after_many_big_messages(backend, gateway):
    from peers.backend import Caller

    with Caller(gateway.target) as caller:
        caller.unary(message=bytes(MEBI))
        for _ in range(20):
            caller.unary(message=bytes(20 * MEBI))
    assert gateway.memory_octets() < LIMIT


def test_a_fast_client_does_not_grow_the_gateway_in_front_of_a_slow_backend():
    """A backend that sleeps before it reads: the body waits at the client, not in the gateway."""
    with Backend() as slow, Gateway(objects.echo(slow)) as gateway, Peak(gateway) as peak:
        with http2.connect(gateway.port) as client:
            headers = http2.grpc_headers("/test.Echo/Collect", x_sleep="2")
            stream = client.open(headers, end=False)
            body = b"".join(http2.message(bytes(MEBI)) for _ in range(48))
            client.send_data(stream.number, body, end=True)
            client.wait(lambda: stream.over, 20)
            assert stream.grpc_status == 0
        assert slow.last.octets == 48 * MEBI
    assert peak.octets < LIMIT
