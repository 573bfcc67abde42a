"""What a worker does between two flushes: credit, requests that were framed and did not leave."""

import contextlib
import random

from hyperframe.frame import DataFrame, HeadersFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame

from peers import http2, objects, waiting
from peers.frames import FramePeer
from peers.gateway import Gateway, Peak
from peers.listening import Listener

MEBI = 1 << 20
ACKNOWLEDGED = SettingsFrame(0, flags=["ACK"]).serialize()


def head(client, stream):
    frame = HeadersFrame(stream, client.block(http2.grpc_headers()))
    frame.flags.add("END_HEADERS")
    return frame.serialize()


def test_credit_for_a_stream_is_not_given_to_the_next(gateway):
    """All in one turn: a body, its end by a reset, and a request that takes over what kept the books."""
    with http2.connect(gateway.port) as client:
        assert client.exchange(http2.grpc_headers(), http2.message()).grpc_status == 0
        body = b"".join(DataFrame(3, bytes(16000)).serialize() for _ in range(3))
        client.raw(head(client, 3) + body + RstStreamFrame(3, error_code=8).serialize() + head(client, 5))
        client.send_ping()
        client.wait(lambda: client.pings)
        client.send_ping()
        client.wait(lambda: client.pings > 1)
        credit = [frame for frame in client.frames if frame.type == 8 and frame.stream_id == 5]
        assert not credit, f"a window for octets that were never sent: {credit}"


class StalledUpstream(Listener):
    """Says its SETTINGS, reads until the gateway has acknowledged them, and then nothing any more."""

    def __init__(self, **settings):
        self.settings, self.read = {getattr(SettingsFrame, name): value for name, value in settings.items()}, []
        super().__init__(lambda connection, number: None, receive_octets=4096)

    def admit(self, connection):
        window = WindowUpdateFrame(0, window_increment=1 << 30)
        connection.sendall(SettingsFrame(0, settings=self.settings).serialize() + window.serialize())
        octets = b""
        while ACKNOWLEDGED not in octets:
            more = connection.recv(256)
            if not more:
                raise OSError("ended before it acknowledged SETTINGS")
            octets += more
        self.read.append(octets)
        return connection

    def peers(self):
        """Goes on reading: a peer for each connection."""
        return [FramePeer(connection, is_client=False, first_octets=False, received=octets)
                for connection, octets in zip(self.sockets, self.read)]


def test_a_request_that_was_framed_is_not_sent_elsewhere():
    """The socket is full when the upstream lowers its limit: what waits for it cannot be taken back."""
    with StalledUpstream(INITIAL_WINDOW_SIZE=1 << 30) as upstream, Gateway(objects.echo(upstream)) as gateway:
        with http2.connect(gateway.port) as client:
            big = client.open(http2.grpc_headers(), http2.message(), end=False)
            waiting.until(lambda: upstream.sockets)
            with contextlib.suppress(AssertionError, OSError):
                client.send_data(big.number, bytes(64 << 20), seconds=1)
            client.open(http2.grpc_headers("/late"), end=True)
            client.send_ping()
            client.wait(lambda: client.pings)
            lower = SettingsFrame(0, settings={SettingsFrame.MAX_CONCURRENT_STREAMS: 1})
            upstream.sockets[0].sendall(lower.serialize())

            def goes_elsewhere():
                """The lower limit is known when a new request gets a connection of its own."""
                client.open(http2.grpc_headers("/probe"), end=True)
                return len(upstream.sockets) > 1

            waiting.until(goes_elsewhere)
            peers = upstream.peers()

            def paths():
                return [dict(stream.blocks[0])[":path"] for peer in peers for stream in list(peer.requests)]

            waiting.until(lambda: "/late" in paths() and "/probe" in paths(), 20)
            for peer in peers:
                peer.send_ping()
                peer.wait(lambda peer=peer: peer.pings)
            assert paths().count("/late") == 1, paths()


def test_requests_given_up_do_not_pile_up_before_an_upstream_that_does_not_read():
    with StalledUpstream() as upstream, Gateway(objects.echo(upstream)) as gateway, Peak(gateway) as peak:
        before = gateway.memory_octets()
        for _ in range(30):
            with http2.connect(gateway.port) as client:
                for _ in range(15):
                    # Long, and never the same twice: HPACK cannot make them short.
                    streams = [client.open(http2.grpc_headers(grpc_timeout="10m", x=f"{random.random()}" * 200))
                               for _ in range(50)]
                    client.wait(lambda: all(stream.over for stream in streams))
        assert peak.octets - before < 24 * MEBI, f"{peak.octets - before >> 10} KiB"
