"""Hostile peers and clumsy operators on the data path: whatever they do, requests end and nothing is left.

Each test ends with `settled`: no request active, no endpoint in use, and the gateway still serves.
"""

import array
import fcntl
import resource
import signal
import socket
import struct
import termios
import threading
import time

import hpack
import pytest

from peers import hostile, http1, http2, objects, waiting
from peers.frames import CANCEL, PREFACE, SettingsFrame
from peers.gateway import Gateway, Peak
from peers.listening import Listener

MEBI = 1 << 20
GET = "GET {} HTTP/1.1\r\nHost: echo.test\r\n\r\n"


def web(*upstreams):
    """Objects that send everything to HTTP/1.1 upstreams."""
    return objects.echo(*upstreams, protocol="HTTP", protocol_name="http")


def settled(gateway, seconds=8):
    """Nothing is left of any request."""
    def is_quiet():
        requests = gateway.metric(r"^portico_requests_active")
        endpoints = gateway.metric(r"^portico_endpoint_active_requests")
        return requests == 0 and endpoints == 0
    waiting.until(is_quiet, seconds, "the end of all requests")


def unsent(connection):
    """Octets that the peer's kernel has not taken yet (SIOCOUTQ)."""
    room = array.array("i", [0])
    fcntl.ioctl(connection, termios.TIOCOUTQ, room)
    return room[0]


def upstream_connections(gateway):
    return gateway.metric(r'^portico_connections\{.*upstream')


# HTTP/1.1 clients


def test_pipelined_requests_of_more_than_a_buffer_are_all_answered():
    """What waits in the kernel while the gateway holds back is read later, without a new event."""
    count, padding = 300, "x" * 900
    with http1.Upstream() as upstream, Gateway(web(upstream)) as gateway, http1.connect(gateway.port) as client:
        request = f"GET /p HTTP/1.1\r\nHost: echo.test\r\nx-padding: {padding}\r\n\r\n"
        client.send(request * count)
        for _ in range(count):
            assert client.response().status == 200
        settled(gateway)


def test_pipelined_answers_that_nobody_reads_do_not_grow_the_gateway():
    body = b"b" * 200_000
    reply = http1.replying(b"HTTP/1.1 200 OK\r\ncontent-length: 200000\r\n\r\n" + body)
    with http1.Upstream(reply) as upstream, Gateway(web(upstream)) as gateway, Peak(gateway) as peak:
        before = gateway.memory_octets()
        with http1.connect(gateway.port) as client:
            client.send(GET.format("/p") * 1000)
            waiting.until(lambda: upstream.requests)
            waiting.steady(lambda: len(upstream.requests))
            assert peak.octets - before < 16 * MEBI
            for _ in range(20):
                assert client.response().body == body
        settled(gateway)


def test_pipelined_local_answers_that_nobody_reads_do_not_grow_the_gateway():
    config = [objects.gateway(), objects.virtual_service([objects.rule("echo")], hosts=("other.test",))]
    with Gateway(config) as gateway, Peak(gateway) as peak:
        before = gateway.memory_octets()
        client = socket.create_connection(("127.0.0.1", gateway.port))
        client.settimeout(0.5)
        octets, sent = GET.format("/none").encode() * 2000, 0
        try:
            while sent < 100 * MEBI:
                sent += client.send(octets)
        except TimeoutError:
            pass
        client.close()
        assert peak.octets - before < 16 * MEBI, f"{sent >> 20} MiB of requests taken"
        settled(gateway)


def test_http2_answers_that_nobody_reads_do_not_grow_the_gateway():
    """Headers need no window: a client that asks and asks and never reads is not listened to any longer."""
    def frame(stream, section):
        return struct.pack(">I", len(section))[1:] + b"\x01\x05" + struct.pack(">I", stream) + section

    config = [objects.gateway(), objects.virtual_service([objects.rule("echo")], hosts=("other.test",))]
    with Gateway(config) as gateway, Peak(gateway) as peak:
        before = gateway.memory_octets()
        encoder = hpack.Encoder()
        # The answers name the authority: long, and never the same as the one before.
        blocks = [encoder.encode([
            hpack.NeverIndexedHeaderTuple(*pair) for pair in http2.grpc_headers(authority=f"{number}." + "a" * 600)
        ], huffman=False) for number in range(25)]
        sender, sent, stream = socket.create_connection(("127.0.0.1", gateway.port)), 0, 1
        sender.settimeout(0.5)
        sender.sendall(PREFACE + SettingsFrame(0).serialize())
        try:
            while sent < 100_000:
                # No more at once than it allows to be open.
                sender.sendall(b"".join(frame(stream + 2 * number, block) for number, block in enumerate(blocks)))
                stream += 50
                sent += 25
                if sent % 500 == 0:
                    waiting.taken(sender, seconds=0.5)
        except (TimeoutError, AssertionError):      # it reads no more
            pass
        sender.close()
        assert sent < 100_000 and peak.octets - before < 16 * MEBI, f"{sent} requests taken"
        settled(gateway)


def test_a_body_after_an_early_head_still_arrives_when_the_connection_will_close():
    """`connection: close` ends the connection after the exchange, not the request's body in the middle."""
    got = []

    def script(connection, _number):
        http = http1.Connection(connection, 5)
        http.head()
        http.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nearly\r\n")
        while b"0\r\n\r\n" not in http.buffer and http._more():
            pass
        got.append(http.buffer)
        http.send("4\r\nlate\r\n0\r\n\r\n")

    with Listener(script) as upstream, Gateway(web(upstream)) as gateway, http1.connect(gateway.port) as client:
        client.send("POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send("3\r\none\r\n")
        head = client.head()
        assert head.status == 200
        client.send("3\r\ntwo\r\n0\r\n\r\n")
        assert b"late" in client.rest()
        assert b"two" in got[0]
        settled(gateway)


def test_a_client_that_leaves_while_its_upload_is_held_back_is_noticed():
    with http2.ScriptedUpstream(lambda peer, _: peer.next_request(10), hold_windows=True) as upstream:
        with Gateway(objects.echo(upstream, protocol="HTTP")) as gateway:
            for leave in ("close", "reset"):
                client = http1.connect(gateway.port)
                client.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
                # In small pieces the gateway takes two windows and hardly more; the rest, and behind it
                # the client's end, must have room in its kernel.
                for _ in range(38):
                    client.send(bytes(4096))
                    waiting.until(lambda: unsent(client.socket) == 0, 5, "room for the upload")
                if leave == "reset":
                    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()
                settled(gateway)


def test_clients_that_vanish_between_the_answer_and_its_sending_leave_nothing():
    """More events than one turn takes: the last clients' resets are seen only when their answer is written."""
    waiting_for = []

    def script(peer, _number):
        while True:
            waiting_for.append((peer, peer.next_request(20)))

    with http2.ScriptedUpstream(script, settings={3: 1000}) as upstream, Gateway(objects.echo(upstream)) as gateway:
        clients = [http2.connect(gateway.port) for _ in range(400)]
        for client in clients:
            client.open(http2.grpc_headers(), http2.message())
        waiting.until(lambda: len(waiting_for) == 400, 10)
        gateway.signal(signal.SIGSTOP)
        for peer, stream in waiting_for:
            http2.answer(peer, stream)
        for peer, _ in waiting_for:
            waiting.delivered(peer.socket)
        for client in clients:
            client.abort()
        gateway.signal(signal.SIGCONT)
        settled(gateway)


def test_a_request_cancelled_before_its_connection_is_made_is_not_sent():
    """HTTP/1.1 upstreams: headers and reset in one segment; the upstream must not see the request."""
    with http1.Upstream() as upstream, Gateway(web(upstream)) as gateway, http2.connect(gateway.port) as client:
        client.wait(lambda: client.peer_settings, 5)
        for number in range(20):
            stream = 1 + 2 * number
            block = client.block(http2.get_headers("/cancelled"))
            frames = struct.pack(">I", len(block))[1:] + b"\x01\x05" + struct.pack(">I", stream) + block
            frames += b"\0\0\4\3\0" + struct.pack(">II", stream, CANCEL)
            client.raw(frames)
        client._next = 41
        assert client.exchange(http2.get_headers("/kept")).status == 200
        settled(gateway)
        assert [request.target for request in upstream.requests] == ["/kept"]


# Upstreams


def test_an_upstream_that_allows_no_streams_gets_no_endless_connections():
    """SETTINGS_MAX_CONCURRENT_STREAMS 0, said before and after the request arrives."""
    def script(peer, _number):
        peer.send(SettingsFrame(0, settings={3: 0}))

    with http2.ScriptedUpstream(script, settings={3: 0}) as upstream:
        with Gateway(objects.echo(upstream, timeout="2s")) as gateway:
            clients = [http2.connect(gateway.port) for _ in range(8)]
            streams = [client.open(http2.grpc_headers(), http2.message()) for client in clients for _ in range(25)]
            for client in clients:
                client.wait(lambda: all(stream.over for stream in client.streams.values()), 10, "answers")
            assert all(stream.grpc_status in (4, 14) for stream in streams)
            assert len(upstream.peers) <= 3 * len(streams)
            for client in clients:
                client.close()
            settled(gateway)
            waiting.until(lambda: upstream_connections(gateway) <= 2, 5, "few connections left")


def test_a_storm_of_interim_responses_is_bounded():
    def script(peer, _number):
        stream = peer.next_request(10)
        block = peer.block([(":status", "103"), ("link", "x" * 4000)])
        frame = struct.pack(">I", len(block))[1:] + b"\x01\x04" + struct.pack(">I", stream.number) + block
        for _ in range(2000):
            peer.raw(frame * 20)

    with http2.ScriptedUpstream(script) as upstream, Gateway(objects.echo(upstream)) as gateway:
        with Peak(gateway) as peak, http2.connect(gateway.port) as client:
            before = gateway.memory_octets()
            stream = client.open(http2.grpc_headers(), http2.message())
            client.wait(lambda: stream.over, 10, "an end of the storm")
            assert stream.grpc_status == 14
        assert peak.octets - before < 16 * MEBI
        settled(gateway)


def test_connections_to_a_removed_endpoint_end_with_their_requests():
    """Endpoints that a reload takes away while requests run on them, both protocols."""
    release = threading.Event()

    def reply(connection, request):
        release.wait(60)
        connection.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    def script(peer, _number):
        stream = peer.next_request(10)
        release.wait(60)
        http2.answer(peer, stream)

    with http1.Upstream(reply) as one, http2.ScriptedUpstream(script) as two, http1.Upstream() as new:
        with Gateway(web(one)) as gateway, http2.connect(gateway.port) as client:
            streams = [client.open(http2.get_headers()), client.open(http2.grpc_headers(), http2.message())]
            waiting.until(lambda: upstream_connections(gateway) == 2, 5)
            gateway.write(web(two))
            gateway.reload()
            streams.append(client.open(http2.grpc_headers(), http2.message()))
            waiting.until(lambda: two.requests, 5)
            gateway.write(web(new))
            gateway.reload()
            release.set()
            client.wait(lambda: streams[0].over and streams[2].over, 5, "answers")
            assert streams[0].status == 200 and streams[2].grpc_status == 0
            client.send_reset(streams[1].number)
            settled(gateway)
            waiting.until(lambda: upstream_connections(gateway) == 0, 5, "the end of the old connections")


def test_a_host_that_http1_cannot_say_costs_no_connection():
    with http1.Upstream() as upstream, Gateway(web(upstream)) as gateway, http2.connect(gateway.port) as client:
        before = gateway.open_files()
        for authority in ("a@b", "a b", "a/b", "[::1", "a\\b", "ä", "a:b:c", ""):
            for _ in range(5):
                stream = client.exchange(http2.get_headers(authority=authority))
                assert stream.reset is not None or stream.status >= 200
        settled(gateway)
        waiting.until(lambda: gateway.open_files() <= before + 3, 3, "closed connections")
        assert client.exchange(http2.get_headers()).status == 200


def test_an_upstream_that_speaks_nonsense_and_stays_costs_no_connection():
    """HTTP/1.1: nothing more is expected of it, so the gateway ends the connection."""
    with http1.Upstream(http1.replying(b"220 mail.test ESMTP\r\n")) as upstream, Gateway(web(upstream)) as gateway:
        for _ in range(20):
            assert http1.get(gateway.port).status == 502
        settled(gateway)
        waiting.until(lambda: upstream_connections(gateway) == 0, 3, "the end of the connections")


# Everything at once


@pytest.mark.parametrize("reloads", [False, True])
def test_hostile_clients_and_upstreams_leave_nothing(backend, reloads):
    """A few seconds of chance; with reloads that add and remove endpoints and a listener."""
    with hostile.HTTP2Upstream(1) as two, hostile.HTTP2Upstream(2) as other, hostile.HTTP1Upstream(3) as one:
        def config(number):
            rules = [
                objects.rule(name, match=[{"uri": {"prefix": f"/{name}"}}], timeout="1s") for name in ("two", "one")]
            listeners = [objects.gateway()] + [objects.gateway("extra", 8001)] * (number % 3 == 1)
            return [
                *listeners, objects.virtual_service([*rules, objects.rule("echo")]),
                *objects.served_by("two", *[[two, other], [two], [other]][number % 3]),
                *objects.served_by("one", one, protocol_name="http"), *objects.served_by("echo", backend)]

        with Gateway(config(0), ports=(8000, 8001), workers=2) as gateway, Peak(gateway) as peak:
            files, end = gateway.open_files(), time.monotonic() + 6
            threads = [
                threading.Thread(target=hostile.attack, args=(
                    gateway.port, seed, ["/two/x", "/one/x", "/echo/x", "/%ff\x7f"], lambda: time.monotonic() > end))
                for seed in range(10)]
            for thread in threads:
                thread.start()
            for number in range(1, 20) if reloads else ():
                gateway.write(config(number))
                gateway.reload()
            for thread in threads:
                thread.join()
            settled(gateway)
            assert gateway.metric(r"^portico_requests_total") > 50
            waiting.until(lambda: gateway.metric(r"^portico_connections\{.*downstream") == 0, 5, "the end of clients")
            assert gateway.open_files() < files + 100 and peak.octets < 80 * MEBI
            with http2.connect(gateway.port) as client:
                assert client.exchange(http2.grpc_headers(), http2.message()).grpc_status == 0


# Operators


def refuses(port, seconds=0.5):
    """Whether nobody listens there: the kernel itself refuses."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=seconds).close()
        return False
    except ConnectionRefusedError:
        return True


def test_a_removed_listener_gives_its_port_back_while_old_streams_run(backend):
    """A stream that outlives its listener must not keep the port half-open."""
    both = [*objects.echo(backend), objects.gateway("second", 8001)]
    both[1]["spec"]["gateways"].append("second")
    with Gateway(both, ports=(8000, 8001)) as gateway:
        second = gateway.map[8001]
        with http2.connect(second) as old, http2.connect(gateway.port) as client:
            stream = old.open(http2.grpc_headers("/test.Echo/Chat"), end=False)
            old.send_data(stream.number, http2.message())
            old.wait(lambda: stream.data, 5)
            assert client.exchange(http2.grpc_headers(), http2.message()).grpc_status == 0
            gateway.write(objects.echo(backend))
            gateway.reload()
            waiting.until(lambda: refuses(second), 5, "the port to be free")
            gateway.write(both)
            gateway.reload()
            with http2.connect(second) as new:
                assert new.exchange(http2.grpc_headers(), http2.message()).grpc_status == 0
            old.send_data(stream.number, b"", end=True)
            old.wait(lambda: stream.over, 5)
            assert stream.grpc_status == 0


def test_after_the_accept_time_of_a_drain_connections_are_refused_also_after_a_reload(backend):
    arguments = ["--drain-accept", "1s"]
    with Gateway(objects.echo(backend), drain="5m", arguments=arguments) as gateway, \
            http2.connect(gateway.port) as client:
        stream = client.open(http2.grpc_headers("/test.Echo/Chat"), end=False)
        client.send_data(stream.number, http2.message())
        client.wait(lambda: stream.data, 5)
        gateway.signal(signal.SIGTERM)
        waiting.until(lambda: refuses(gateway.port), 10, "the end of accepting")
        gateway.reload()
        client.send_ping()      # answered in a turn behind the one that took the new snapshot
        client.wait(lambda: client.pings)
        assert refuses(gateway.port)
        client.send_data(stream.number, b"", end=True)
        client.wait(lambda: stream.over, 5)
        assert stream.grpc_status == 0


def test_without_descriptors_the_gateway_waits_and_does_not_spin(backend):
    with Gateway(objects.echo(backend)) as gateway, http2.connect(gateway.port) as client:
        assert client.exchange(http2.grpc_headers(), http2.message()).grpc_status == 0
        limit = gateway.open_files() + 10
        resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, (limit, limit))
        sockets = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(40)]

        def failures():
            return sum(" accept_failed" in line for line in list(gateway.output))

        waiting.until(failures, 5, "a connection that cannot be accepted")
        before, used = failures(), processor_seconds(gateway)
        waiting.until(lambda: failures() >= before + 8, 10, "eight pauses of 100 ms")
        assert processor_seconds(gateway) - used < 0.3
        assert client.exchange(http2.grpc_headers(), http2.message()).grpc_status == 0
        for connection in sockets:
            connection.close()

        def serves():
            with http2.connect(gateway.port) as fresh:
                return fresh.exchange(http2.grpc_headers(), http2.message(), 5).grpc_status == 0
        assert serves()


def processor_seconds(gateway):
    fields = open(f"/proc/{gateway.process.pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


# Clients that cancel


def burst_of_cancels(client, count, good_every, first=1):
    """Frames of `count` calls that are cancelled at once, and the numbers of good calls among them."""
    block = client.block(http2.grpc_headers())
    block = client.block(http2.grpc_headers())      # from here on every field is in the table
    headers = struct.pack(">I", len(block))[1:] + b"\x01\x04"
    body = http2.message()
    data = struct.pack(">I", len(body))[1:] + b"\x00\x01"
    octets, good, stream = [], [], first
    for number in range(count):
        octets.append(headers + struct.pack(">I", stream) + block)
        octets.append(b"\0\0\4\3\0" + struct.pack(">II", stream, CANCEL))
        stream += 2
        if number % good_every == 0:
            octets.append(headers + struct.pack(">I", stream) + block + data + struct.pack(">I", stream) + body)
            good.append(stream)
            stream += 2
    return b"".join(octets), good


def test_ten_thousand_cancelled_calls_cost_no_other_call_of_the_connection(backend):
    """Clients of gRPC cancel in bursts, when a deadline or a user's patience is over."""
    with Gateway(objects.echo(backend)) as gateway, http2.connect(gateway.port) as client:
        client.send_headers(1, http2.grpc_headers())        # fills the table
        client.send_data(1, http2.message(), end=True)
        client.block(http2.grpc_headers())
        octets, good = burst_of_cancels(client, 10_000, good_every=200, first=3)
        client.raw(octets)
        client.wait(lambda: all(number in client.streams and client.streams[number].over for number in good), 20)
        assert [client.streams[number].grpc_status for number in good] == [0] * len(good)
        assert not client.goaways
        settled(gateway)


def test_who_only_cancels_is_slowed_down_and_then_cut(backend):
    with Gateway(objects.echo(backend)) as gateway, http2.connect(gateway.port) as client:
        client.send_headers(1, http2.grpc_headers())
        client.send_data(1, http2.message(), end=True)
        client.block(http2.grpc_headers())
        with http2.connect(gateway.port) as neighbour:
            octets, _ = burst_of_cancels(client, 40_000, good_every=50_000, first=3)
            sender = threading.Thread(target=lambda: attempt(lambda: client.raw(octets)), daemon=True)
            start = time.monotonic()
            sender.start()
            while not client.goaways:
                assert neighbour.exchange(http2.grpc_headers(), http2.message()).grpc_status == 0
                assert time.monotonic() - start < 100, "40,000 cancelled calls were taken"
        # 1,000 at once and then 5,000 in a second: it is not over sooner.
        assert time.monotonic() - start > 3
        assert client.goaways[-1][1] == 11
        assert gateway.metric('reason="http2.reset_flood"') == 1
        assert gateway.metric('limit="reset_pause"') >= 1
        settled(gateway)


def attempt(work):
    try:
        work()
    except OSError:
        pass
