"""Few octets of one peer that would cost the gateway, or others behind it, much."""

import socket
import threading

import pytest
from hyperframe.frame import HeadersFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame

from peers import http2, objects, waiting
from peers.frames import PREFACE
from peers.gateway import Gateway, Peak
from peers.listening import Listener

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
            streams = [client.open(http2.grpc_headers(grpc_timeout="2S"), None if ends else b"", end=ends)
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
            assert arrived.wait(60)
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


def sink():
    """An endpoint that takes everything, says nothing, and keeps nothing."""
    return Listener(swallow)


def swallow(connection, _number):
    window = WindowUpdateFrame(0, window_increment=1 << 30)
    connection.sendall(SettingsFrame(0, settings={3: 100_000}).serialize() + window.serialize())
    while connection.recv(1 << 20):
        pass


# POST, http, /hold/Call, echo.test, application/grpc, without the connection's table.
HOLD = b"\x83\x86\x04\x0a/hold/Call\x01\x09echo.test\x0f\x10\x10application/grpc"


def hoard(client):
    """100 calls that do not end, of 56 kB of fields each, in 10 kB."""
    client.raw(section(1, HOLD + LITERAL) + b"".join(
        section(number, HOLD + AGAIN * 14) for number in range(3, 201, 2)))


def hoarding_config(endpoint, backend):
    rules = [objects.rule("hold", match=[{"uri": {"prefix": "/hold"}}]), objects.rule("echo")]
    return [objects.gateway(), objects.virtual_service(rules), *objects.served_by("hold", endpoint),
            *objects.served_by("echo", backend)]


def test_header_sections_have_a_sum(backend):
    """40 connections that would hold 220 MiB of decoded fields; who holds little is served all the while."""
    with sink() as endpoint, Gateway(hoarding_config(endpoint, backend)) as gateway:
        refused = r'^portico_protocol_errors_total\{side="downstream",reason="http2.header_memory"\}'
        hoarders = [http2.connect(gateway.port) for _ in range(40)]
        with http2.connect(gateway.port) as good:
            before = gateway.memory_octets()
            with Peak(gateway) as peak:
                for client in hoarders:
                    hoard(client)
                for client in hoarders:
                    answered(client)
                for number in range(20):
                    stream = good.exchange(http2.grpc_headers(), http2.message(b"%d" % number), 5)
                    assert stream.grpc_status == 0
            assert peak.octets - before < 120 * MEBI, f"{peak.octets - before >> 20} MiB"
            assert 48 * MEBI < gateway.metric("^portico_header_memory_bytes") <= 64 * MEBI
            count = gateway.metric(refused)
            assert count > 1000
            resets = [stream.reset for client in hoarders for stream in client.streams.values() if stream.over]
            assert set(resets) == {7} and len(resets) == count
            assert " OM http2.header_memory{HEADERS_of_" in gateway.access_log("http2.header_memory")
            for client in hoarders:
                client.close()
            waiting.until(lambda: gateway.metric("portico_requests_active") == 0, 8, "the end of their calls")
            waiting.until(lambda: gateway.metric("^portico_header_memory_bytes") == 0, 5, "no octet held")
            waiting.until(lambda: gateway.memory_octets() - before < 48 * MEBI, 15, "memory to be given back")
            # What they held may be held again.
            with http2.connect(gateway.port) as client:
                hoard(client)
                answered(client)
                assert gateway.metric(refused) == count and not any(each.over for each in client.streams.values())


def test_sections_that_never_end_are_part_of_the_sum(backend, many_files):
    """Each of 1,500 connections begins one request of 56 kB, and does not end its headers: 82 MiB."""
    with sink() as endpoint, Gateway(hoarding_config(endpoint, backend)) as gateway:
        begin = HeadersFrame(1, HOLD + LITERAL + AGAIN * 13).serialize()
        before = gateway.memory_octets()
        clients = []
        with Peak(gateway) as peak, http2.connect(gateway.port) as good:
            for _ in range(1500):
                clients.append(socket.create_connection(("127.0.0.1", gateway.port), 60))
                clients[-1].sendall(PREFACE + SettingsFrame(0).serialize() + begin)
            ended = r'^portico_protocol_errors_total\{side="downstream",reason="http2.header_(memory|hoard)"\}'
            waiting.until(lambda: gateway.metric(ended) >= 200, 10, "the end of what is too much")
            for _ in range(20):
                # One that was refused because nothing is left may be sent again: room is made.
                for _attempt in range(3):
                    stream = good.exchange(http2.grpc_headers(), http2.message(), 5)
                    if stream.reset is None:
                        break
                assert stream.grpc_status == 0
        assert peak.octets - before < 160 * MEBI, f"{peak.octets - before >> 20} MiB"
        for client in clients:
            client.close()
