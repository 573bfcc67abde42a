"""HTTP/1.1 by hand: a client that sends given octets, and a scripted server."""

import dataclasses
import socket

from peers.listening import Listener
from peers.waiting import SLOWNESS


@dataclasses.dataclass
class Message:
    """One request or response: its first line, its headers in order, its body."""

    first: str
    headers: list
    body: bytes = b""
    complete: bool = True
    trailers: list = dataclasses.field(default_factory=list)

    @property
    def status(self):
        return int(self.first.split(" ")[1])

    @property
    def target(self):
        return self.first.split(" ")[1]

    def value(self, name):
        values = self.values(name)
        return values[0] if values else None

    def values(self, name):
        return [value for key, value in self.headers if key.lower() == name]


class Connection:
    """Octets out, messages in. It waits for `seconds` of an idle machine."""

    def __init__(self, connection, seconds=10.0):
        self.socket, self.buffer = connection, b""
        self.socket.settimeout(seconds * SLOWNESS)

    def send(self, octets):
        self.socket.sendall(octets.encode("latin-1") if isinstance(octets, str) else octets)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _more(self):
        more = self.socket.recv(65536)
        self.buffer += more
        return bool(more)

    def _line(self):
        while b"\r\n" not in self.buffer:
            if not self._more():
                raise EOFError(f"connection ended after {self.buffer[:200]!r}")
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line.decode("latin-1")

    def _exactly(self, count):
        while len(self.buffer) < count:
            if not self._more():
                raise EOFError("the body is cut")
        octets, self.buffer = self.buffer[:count], self.buffer[count:]
        return octets

    def rest(self):
        """Everything until the peer closes; a TCP reset counts as a close."""
        try:
            while self._more():
                pass
        except ConnectionResetError:
            pass
        octets, self.buffer = self.buffer, b""
        return octets

    def is_closed_by_peer(self):
        """Waits (bounded) for the peer's close; False when octets come instead."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def head(self):
        first = self._line()
        headers = []
        while line := self._line():
            name, _, value = line.partition(":")
            headers.append((name, value.strip(" \t")))
        return Message(first, headers)

    def request(self, say_continue=False):
        message = self.head()
        if say_continue and message.value("expect"):
            self.send("HTTP/1.1 100 Continue\r\n\r\n")
        self._body(message)
        return message

    def response(self, to="GET"):
        """The next final response; interim ones are skipped (see `head` for them)."""
        message = self.head()
        while 100 <= message.status < 200 and message.status != 101:
            message = self.head()
        if to == "HEAD" or message.status in (204, 304, 101):
            return message
        if message.value("content-length") is None and message.value("transfer-encoding") is None:
            message.body = self.rest()
        else:
            self._body(message)
        return message

    def _body(self, message):
        try:
            if "chunked" in (message.value("transfer-encoding") or "").lower():
                while size := int(self._line().split(";")[0], 16):
                    message.body += self._exactly(size)
                    assert self._exactly(2) == b"\r\n"
                while line := self._line():
                    name, _, value = line.partition(":")
                    message.trailers.append((name.lower(), value.strip()))
            else:
                message.body = self._exactly(int(message.value("content-length") or 0))
        except (EOFError, ConnectionResetError):
            message.complete = False
            message.body += self.buffer


def connect(port, context=None, server_name=None, address="127.0.0.1", seconds=10.0):
    connection = socket.create_connection((address, port), timeout=seconds * SLOWNESS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if context:
        connection = context.wrap_socket(connection, server_hostname=server_name)
    return Connection(connection, seconds)


def send(port, octets, to="GET", **named):
    """One request on its own connection; its response."""
    with connect(port, **named) as client:
        client.send(octets)
        return client.response(to)


def get(port, path="/", host="echo.test", **named):
    return send(port, f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n", **named)


class Upstream(Listener):
    """An HTTP/1.1 server; `reply(connection, request)` answers each request, by default with an echo.

    A reply that closes the connection ends it; `requests` holds what arrived, `connections` how many.
    """

    def __init__(self, reply=None, address="127.0.0.1", port=0, name="upstream", say_continue=False):
        self.reply, self.name, self.requests, self.say_continue = reply or self.echo, name, [], say_continue
        super().__init__(self._serve, address, port)

    @property
    def connections(self):
        return len(self.sockets)

    def _serve(self, plain, _number):
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(plain, 120.0)
        try:
            while True:
                request = connection.request(self.say_continue)
                self.requests.append(request)
                self.reply(connection, request)
        except (OSError, EOFError, ValueError):
            connection.close()

    def echo(self, connection, request):
        text = f"{self.name} {request.first}\n".encode() + request.body
        connection.send(f"HTTP/1.1 200 OK\r\nx-upstream: {self.name}\r\ncontent-length: {len(text)}\r\n\r\n")
        connection.send(b"" if request.first.startswith("HEAD ") else text)

    @property
    def last(self):
        return self.requests[-1]


def replying(octets, then_close=False):
    """A reply of exactly these octets."""

    def reply(connection, _request):
        connection.send(octets)
        if then_close:
            connection.socket.shutdown(socket.SHUT_RDWR)
            raise EOFError

    return reply
