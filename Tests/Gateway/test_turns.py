"""What a worker does between two flushes: credit, requests that were framed and did not leave."""

import contextlib
import random
import socket
import threading
import time

from hyperframe.frame import DataFrame, HeadersFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame

from peers import http2, objects, waiting
from peers.frames import FramePeer
from peers.gateway import Gateway, Peak

MEBI = 1 << 20


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


class StalledUpstream:
    """Says its SETTINGS and reads nothing; `connections` are the sockets."""

    def __init__(self, **settings):
        self.connections, self.settings = [], settings
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.address, self.port = self.listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            settings = {getattr(SettingsFrame, name): value for name, value in self.settings.items()}
            window = WindowUpdateFrame(0, window_increment=1 << 30)
            connection.sendall(SettingsFrame(0, settings=settings).serialize() + window.serialize())
            self.connections.append(connection)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            connection.close()


def test_a_request_that_was_framed_is_not_sent_elsewhere():
    """The socket is full when the upstream lowers its limit: what waits for it cannot be taken back."""
    with StalledUpstream(INITIAL_WINDOW_SIZE=1 << 30) as upstream, Gateway(objects.echo(upstream)) as gateway:
        with http2.connect(gateway.port) as client:
            big = client.open(http2.grpc_headers(), http2.message(), end=False)
            waiting.until(lambda: upstream.connections)
            time.sleep(0.3)     # until the gateway has read SETTINGS
            with contextlib.suppress(AssertionError, OSError):
                client.send_data(big.number, bytes(64 << 20), seconds=1)
            client.open(http2.grpc_headers("/late"), end=True)
            client.send_ping()
            client.wait(lambda: client.pings)
            lower = SettingsFrame(0, settings={SettingsFrame.MAX_CONCURRENT_STREAMS: 1})
            upstream.connections[0].sendall(lower.serialize())
            time.sleep(0.3)     # it might have gone elsewhere by now
            peers = [FramePeer(connection, is_client=False) for connection in upstream.connections]
            time.sleep(0.3)
            paths = [dict(stream.blocks[0])[":path"] for peer in peers for stream in peer.requests]
            assert paths.count("/late") == 1, paths


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
