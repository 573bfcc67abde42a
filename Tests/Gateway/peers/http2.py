"""A raw HTTP/2 client of the gateway, and a scripted HTTP/2 upstream, both of `FramePeer`s."""

import socket
import threading

from peers.frames import FramePeer
from peers.listening import Listener
from peers.waiting import SLOWNESS


def grpc_headers(path="/test.Echo/Unary", authority="echo.test", scheme="http", **extra):
    """The header block of a gRPC request; an underscore in a keyword stands for a dash."""
    headers = [
        (":method", "POST"), (":scheme", scheme), (":path", path), (":authority", authority),
        ("content-type", "application/grpc"), ("te", "trailers"),
    ]
    return _with(headers, extra)


def _with(headers, extra):
    """An extra header replaces one of the same name."""
    extra = {name.replace("_", "-"): value for name, value in extra.items()}
    return [pair for pair in headers if pair[0] not in extra] + list(extra.items())


def get_headers(path="/", authority="echo.test", scheme="http", method="GET", **extra):
    headers = [(":method", method), (":scheme", scheme), (":path", path), (":authority", authority)]
    return _with(headers, extra)


def message(octets=b"0123456789"):
    """One length-prefixed gRPC message."""
    return b"\x00" + len(octets).to_bytes(4, "big") + octets


def connect(port, context=None, server_name=None, address="127.0.0.1", receive_octets=None, **named):
    """A client connection with its first octets sent. `receive_octets` makes the socket buffer small."""
    connection = socket.socket()
    if receive_octets:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_octets)
    connection.settimeout(10 * SLOWNESS)
    connection.connect((address, port))
    if context:
        connection = context.wrap_socket(connection, server_hostname=server_name)
        assert connection.selected_alpn_protocol() == "h2", connection.selected_alpn_protocol()
    connection.settimeout(None)  # a TLS peer makes it non-blocking itself
    return FramePeer(connection, is_client=True, **named)


class ScriptedUpstream(Listener):
    """Accepts connections and runs `script(peer, number)` on each, in a thread of its own.

    A script returns or raises to end; the connection then stays open until `stop`, unless it closed it.
    """

    def __init__(self, script, address="127.0.0.1", port=0, **named):
        self.script, self.named, self.peers, self.errors = script, named, [], []
        super().__init__(self._converse, address, port)

    def admit(self, connection):
        self.peers.append(FramePeer(connection, is_client=False, **self.named))
        return self.peers[-1]

    def _converse(self, peer, number):
        try:
            self.script(peer, number)
        except (AssertionError, OSError) as error:
            self.errors.append(error)

    def stop(self):
        super().stop()
        for peer in self.peers:
            peer.close()

    @property
    def requests(self):
        """Every request stream of every connection, in order of connection."""
        return [stream for peer in self.peers for stream in peer.streams.values()]


def answer(peer, stream, body=None, status="0", headers=(), trailers=()):
    """A whole gRPC response."""
    peer.send_headers(stream.number, [(":status", "200"), ("content-type", "application/grpc"), *headers])
    peer.send_data(stream.number, message() if body is None else body)
    peer.send_headers(stream.number, [("grpc-status", status), *trailers], end=True)


def answering(peer, _number=0, seconds=60):
    """A script: answers every request once it is complete."""
    while True:
        stream = peer.next_request(seconds)
        threading.Thread(target=_answer_when_complete, args=(peer, stream), daemon=True).start()


def _answer_when_complete(peer, stream):
    try:
        peer.wait(lambda: stream.over, 60)
        if stream.reset is None:
            answer(peer, stream)
    except (AssertionError, OSError):
        pass
