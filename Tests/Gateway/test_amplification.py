"""Few octets of one peer that would cost the gateway, or others behind it, much."""

import socket
import threading

import pytest
from hyperframe.frame import HeadersFrame, RstStreamFrame

from peers import http2, objects, waiting
from peers.gateway import Gateway, Peak

MEBI = 1 << 20
VALUE = b"x" * 3900
# Into the table: a literal with incremental indexing.
LITERAL = b"\x40\x03x-a\x7f" + bytes([(len(VALUE) - 127) & 127 | 128, (len(VALUE) - 127) >> 7]) + VALUE
AGAIN = b"\xbe"  # that field, in one octet


def section(number, block, *flags):
    frame = HeadersFrame(number, block, flags=["END_HEADERS", *flags])
    return frame.serialize()


def reset(number):
    return RstStreamFrame(number, error_code=8).serialize()


def answered(client):
    """All that was sent before has been acted on."""
    before = client.pings
    client.send_ping()
    client.wait(lambda: client.pings > before or client.closed)


def silent(peer, _number):
    peer.wait(lambda: peer.closed, 60)


def test_requests_given_up_in_the_same_read_do_not_reach_the_upstream():
    """Upstreams count resets and end the connection that all clients share (CVE-2023-44487)."""
    with http2.ScriptedUpstream(silent) as upstream, Gateway(objects.echo(upstream)) as gateway:
        with http2.connect(gateway.port) as victim, http2.connect(gateway.port) as attacker:
            call = victim.open(http2.grpc_headers("/victim"), http2.message(), end=False)
            waiting.until(lambda: upstream.requests)
            block = attacker.block(http2.grpc_headers())
            attacker.raw(section(1, block, "END_STREAM") + reset(1))
            pairs = [section(number, attacker.block(http2.grpc_headers()), "END_STREAM") + reset(number)
                     for number in range(3, 181, 2)]
            attacker.raw(b"".join(pairs))
            answered(attacker)
            later = victim.open(http2.grpc_headers("/later"), http2.message(), end=False)
            waiting.until(lambda: any(
                request.blocks and dict(request.blocks[0])[":path"] == "/later" for request in upstream.requests))
            resets = sum(isinstance(frame, RstStreamFrame) for peer in upstream.peers for frame in peer.frames)
            assert resets <= 2 and not call.over and not later.over     # the reads may be cut between two frames
            waiting.until(lambda: gateway.metric("portico_requests_active") == 2)


def test_deadlines_that_nobody_can_meet_do_not_reach_the_upstream():
    with http2.ScriptedUpstream(silent) as upstream, Gateway(objects.echo(upstream)) as gateway:
        with http2.connect(gateway.port) as client:
            for timeout in ("1n", "1u", "49u"):
                assert client.exchange(http2.grpc_headers(grpc_timeout=timeout)).grpc_status == 4
            assert not upstream.requests


def test_a_deadline_of_a_millisecond_is_tried():
    """A server beside the gateway can answer in that time."""
    with http2.ScriptedUpstream(silent) as upstream, Gateway(objects.echo(upstream)) as gateway:
        with http2.connect(gateway.port) as client:
            client.open(http2.grpc_headers("/opens-the-connection"), http2.message(), end=False)
            waiting.until(lambda: upstream.requests)
            client.exchange(http2.grpc_headers("/soon", grpc_timeout="1m"))
            waiting.until(lambda: any(dict(request.blocks[0])[":path"] == "/soon" for request in upstream.requests))


@pytest.mark.parametrize("ends", [False, True])
def test_a_deadline_ends_a_call_whose_client_opens_no_window(ends):
    def script(peer, _number):
        while True:
            stream = peer.next_request(60)
            peer.send_headers(stream.number, [(":status", "200"), ("content-type", "application/grpc")])
            peer.send_data(stream.number, http2.message(bytes(2000)))

    with http2.ScriptedUpstream(script) as upstream, Gateway(objects.echo(upstream)) as gateway:
        with http2.connect(gateway.port, hold_windows=True, settings={4: 0}) as client:
            streams = [client.open(http2.grpc_headers(grpc_timeout="500m"), None if ends else b"", end=ends)
                       for _ in range(20)]
            client.wait(lambda: all(stream.reset == 8 for stream in streams))
            waiting.until(lambda: gateway.metric("portico_requests_active") == 0)


def test_large_sections_of_streams_given_up_in_one_read_are_few():
    with http2.ScriptedUpstream(silent) as upstream, Gateway(objects.echo(upstream)) as gateway:
        with http2.connect(gateway.port) as client, Peak(gateway) as peak:
            start = bytes.fromhex("83868401") + b"\x01a"  # POST http / a
            client.raw(section(1, start + LITERAL, "END_STREAM"))
            answered(client)
            before = gateway.memory_octets()
            octets = b"".join(
                section(number, start + AGAIN * 15) + section(number, AGAIN * 15, "END_STREAM") + reset(number)
                for number in range(3, 1901, 2))
            client.raw(octets)
            answered(client)
            assert peak.octets - before < 40 * MEBI, f"{len(octets)} octets: {peak.octets - before >> 20} MiB"


def test_interim_responses_for_a_client_that_does_not_read_are_few():
    arrived = threading.Event()

    def script(peer, _number):
        peer.wait(lambda: len(peer.requests) == 100, 20)
        numbers = [peer.next_request().number for _ in range(100)]
        peer.raw(section(numbers[0], b"\x08\x03103" + LITERAL))
        peer.raw(b"".join(section(number, b"\x08\x03103" + AGAIN * 60) for number in numbers for _ in range(16)))
        peer.send_ping()
        peer.wait(lambda: peer.pings)
        arrived.set()

    with http2.ScriptedUpstream(script) as upstream, Gateway(objects.echo(upstream)) as gateway:
        with Peak(gateway) as peak, socket.socket() as client:
            before = gateway.memory_octets()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", gateway.port))
            block = bytes.fromhex("83868401") + b"\x09echo.test" + b"\x0f\x10\x10application/grpc"
            client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0" + b"".join(
                section(number, block, "END_STREAM") for number in range(1, 201, 2)))
            assert arrived.wait(20)
            assert peak.octets - before < 100 * MEBI, f"{peak.octets - before >> 20} MiB"


@pytest.mark.parametrize("end", ["reset", "goaway"])
def test_an_answer_that_has_begun_is_not_called_refused(end):
    """REFUSED_STREAM would say that the request may be sent again (RFC 9113 §8.7)."""
    def script(peer, _number):
        stream = peer.next_request()
        peer.send_headers(stream.number, [(":status", "200"), ("content-type", "application/grpc")])
        peer.send_data(stream.number, http2.message())
        peer.wait(lambda: passed.is_set())
        peer.send_reset(stream.number, 7) if end == "reset" else peer.send_goaway(0)

    passed = threading.Event()
    with http2.ScriptedUpstream(script) as upstream, Gateway(objects.echo(upstream)) as gateway:
        with http2.connect(gateway.port) as client:
            stream = client.open(http2.grpc_headers(), http2.message())
            client.wait(lambda: stream.data)
            passed.set()
            with upstream.peers[0].changed:
                upstream.peers[0].changed.notify_all()
            client.wait(lambda: stream.over)
            assert stream.reset == 2
