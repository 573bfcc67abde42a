"""Peers that do what they like: clients and upstreams that send random frames, good and bad, in any order.

What each does follows from its seed; what the gateway sees also depends on time, so a failure is found
again by running the seed several times.
"""

import random
import socket
import struct

from hpack import Encoder

from peers.frames import PREFACE
from peers.listening import Listener

GRPC = [(":status", "200"), ("content-type", "application/grpc")]
OK = [("grpc-status", "0")]
MESSAGE = b"\0\0\0\0\3abc"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW = 0, 1, 3, 4, 6, 7, 8
MOST_STREAMS, INITIAL_WINDOW, TABLE_OCTETS = 3, 4, 1
END, END_HEADERS = 1, 4


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def number(value):
    return struct.pack(">I", value)


def setting(name, value):
    return frame(SETTINGS, 0, 0, struct.pack(">HI", name, value))


class Frames:
    """Random frames of one end of one connection; `live` are streams that make sense."""

    def __init__(self, chooser):
        self.chooser, self.encoder, self.live = chooser, Encoder(), []

    def section(self, stream, headers, end=False):
        block = self.encoder.encode(headers, huffman=False)
        return frame(HEADERS, END_HEADERS | (END if end else 0), stream, block)

    def stream(self):
        if self.live and self.chooser.random() < 0.9:
            return self.chooser.choice(self.live)
        return self.chooser.choice([0, 1, 3, 5, 7, 2, 101])

    def control(self):
        pick, stream = self.chooser.choice, self.stream()
        return pick([
            lambda: frame(RESET, 0, stream, number(pick([0, 1, 2, 7, 8, 11, 99]))),
            lambda: frame(GOAWAY, 0, 0, number(pick([0, stream, 2**31 - 1])) + number(pick([0, 0, 1, 11]))),
            lambda: setting(MOST_STREAMS, pick([0, 1, 2, 100])),
            lambda: setting(INITIAL_WINDOW, pick([0, 1, 65535, 2**31 - 1])),
            lambda: setting(TABLE_OCTETS, pick([0, 100, 4096, 65536])),
            lambda: frame(WINDOW, 0, pick([0, stream]), number(pick([1, 1000, 65535]))),
            lambda: frame(PING, 0, 0, b"12345678"),
            lambda: b"" if self.chooser.random() < 0.9 else self.nonsense(),
        ])()

    def nonsense(self):
        chooser = self.chooser
        octets = chooser.randbytes(chooser.randrange(30))
        return frame(chooser.randrange(11), chooser.randrange(256), chooser.randrange(6), octets)

    def good_answer(self, stream):
        return self.section(stream, GRPC) + frame(DATA, 0, stream, MESSAGE) + self.section(stream, OK, end=True)

    def answer(self):
        pick, stream = self.chooser.choice, self.stream()
        octets = self.chooser.randbytes(self.chooser.randrange(3000))
        return pick([
            lambda: self.section(stream, GRPC),
            lambda: self.section(stream, GRPC + OK, end=True),
            lambda: frame(DATA, pick([0, 0, END]), stream, octets),
            lambda: self.section(stream, [(":status", pick(["100", "103", "101", "199", "099"]))]),
            lambda: self.section(stream, [("grpc-status", pick(["0", "14", "999", "x", ""]))], end=True),
            lambda: self.section(stream, [(":status", "200"), ("x-big", "b" * pick([100, 15000]))]),
            lambda: self.section(stream, GRPC) + frame(RESET, 0, stream, number(pick([0, 2, 7, 8]))),
            lambda: self.section(stream, GRPC + [("content-length", "5")]) + frame(DATA, END, stream, b"abc"),
            lambda: self.section(stream, [(":status", pick(["204", "abc", ""]))], end=pick([False, True])),
            lambda: self.section(stream, GRPC) + frame(GOAWAY, 0, 0, number(stream) + number(0)),
            lambda: self.section(stream, GRPC) + frame(DATA, END, stream, MESSAGE),
            lambda: self.good_answer(stream),
        ])()

    def request(self, paths):
        pick, chance = self.chooser.choice, self.chooser.random
        stream = 1 + 2 * len(self.live)
        self.live.append(stream)
        headers = [(":method", pick(["POST", "GET", "HEAD"])), (":scheme", "http"), (":path", pick(paths)),
                   (":authority", pick(["echo.test", "echo.test", "a@b", b"\xff\xfe"]))]
        headers += [("content-type", "application/grpc"), ("te", "trailers")] if chance() < 0.6 else []
        headers += [("grpc-timeout", pick(["1m", "50m", "1n", "0S", "99999999H"]))] if chance() < 0.2 else []
        headers += [("content-length", "10")] if chance() < 0.1 else []
        headers += [("expect", "100-continue")] if chance() < 0.1 else []
        end = chance() < 0.5
        octets = self.section(stream, headers, end)
        if chance() < 0.2:
            return octets + frame(RESET, 0, stream, number(pick([0, 8, 7, 1])))
        return octets if end or chance() < 0.6 else octets + frame(DATA, END, stream, MESSAGE)

    def body(self):
        octets = self.chooser.randbytes(self.chooser.choice([0, 10, 16384]))
        if self.chooser.random() < 0.2:
            return self.section(self.stream(), [("x-trailer", "1")], end=True)
        return frame(DATA, self.chooser.choice([0, 0, END]), self.stream(), octets)


def leave(connection, chooser):
    """Closes, often with a TCP reset."""
    try:
        if chooser.random() < 0.4:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    except OSError:
        pass


def in_pieces(connection, octets, chooser):
    step = chooser.choice([len(octets) or 1] * 4 + [7])
    for at in range(0, len(octets), step):
        connection.sendall(octets[at:at + step])


class Upstream(Listener):
    """Accepts, and runs `converse(connection, chooser)` on each connection."""

    def __init__(self, seed):
        self.seed = seed
        super().__init__(self._converse)

    def _converse(self, connection, number):
        chooser = random.Random(self.seed * 100_003 + number)
        try:
            connection.settimeout(0.2)
            self.converse(connection, chooser)
        except OSError:
            pass
        leave(connection, chooser)


class HTTP2Upstream(Upstream):
    def converse(self, connection, chooser):
        if chooser.random() < 0.1:
            return connection.sendall(chooser.choice([b"", b"HTTP/1.1 400 Bad\r\n\r\n", chooser.randbytes(50)]))
        frames, buffer, honest = Frames(chooser), b"", chooser.random() < 0.4
        connection.sendall(chooser.choice([frame(SETTINGS), setting(MOST_STREAMS, chooser.choice([0, 1, 1000]))]))
        for _ in range(chooser.randrange(1, 60)):
            try:
                octets = connection.recv(65536)
                if not octets:
                    return
                buffer = self._read(connection, frames, buffer + octets)
            except TimeoutError:
                pass
            if honest:
                answers = b"".join(frames.good_answer(stream) for stream in frames.live)
                frames.live = []
            else:
                makers = chooser.choices([frames.answer, frames.control], [2, 1], k=chooser.randrange(1, 6))
                answers = b"".join(make() for make in makers)
            in_pieces(connection, answers, chooser)

    def _read(self, connection, frames, buffer):
        if buffer.startswith(PREFACE):
            buffer = buffer[len(PREFACE):]
        while len(buffer) >= 9 and len(buffer) >= 9 + int.from_bytes(buffer[:3], "big"):
            kind, flags, stream = buffer[3], buffer[4], int.from_bytes(buffer[5:9], "big")
            buffer = buffer[9 + int.from_bytes(buffer[:3], "big"):]
            if kind == HEADERS:
                frames.live.append(stream)
            elif kind == SETTINGS and not flags & 1:
                connection.sendall(frame(SETTINGS, 1))
            elif kind == RESET and stream in frames.live:
                frames.live.remove(stream)
        return buffer


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
ANSWERS = [HEAD + b"content-length: 5\r\n\r\nhello", CHUNKED + b"5\r\nhello\r\n0\r\n\r\n"]
BAD_ANSWERS = [
    HEAD + b"content-length: 50\r\n\r\nhello", b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 103 Early\r\nlink: a\r\n\r\n" * 40,
    b"HTTP/1.1 101 Switching\r\n\r\n", b"HTTP/1.1 204 No\r\ncontent-length: 3\r\n\r\nabc", HEAD + b"\r\nuntil close",
    b"HTTP/1.0 200 OK\r\n\r\nold", b"garbage", HEAD + b"content-length: 5\r\n\r\nhelloEXTRA", b"",
    CHUNKED + b"zz\r\n", HEAD + b"x: " + b"y" * 70_000 + b"\r\n\r\n",
    HEAD + b"content-length: 5\r\nconnection: close\r\n\r\nhello", b"HTTP/1.1 304 Not\r\ncontent-length: 9\r\n\r\n",
    HEAD + b"content-length: 99999999999999999999\r\n\r\n", HEAD + b"content-length: 300000\r\n\r\n" + bytes(300_000),
    CHUNKED + b"ffffffffffffffff\r\nx",
]


class HTTP1Upstream(Upstream):
    def converse(self, connection, chooser):
        for _ in range(chooser.randrange(20)):
            try:
                if chooser.random() < 0.9 and not connection.recv(65536):
                    return
            except TimeoutError:
                pass
            answer = chooser.choice(BAD_ANSWERS if chooser.random() < 0.4 else ANSWERS)
            if chooser.random() < 0.2:
                answer = answer[:chooser.randrange(len(answer) + 1)]
            in_pieces(connection, answer[:200], chooser)
            connection.sendall(answer[200:])


def http2_client(connection, chooser, paths):
    frames = Frames(chooser)
    window = setting(INITIAL_WINDOW, chooser.choice([0, 1, 10, 65535]))
    connection.sendall(PREFACE + chooser.choice([frame(SETTINGS), window]))
    for _ in range(chooser.randrange(40)):
        make = chooser.choices([lambda: frames.request(paths), frames.body, frames.control], [3, 2, 1])[0]
        in_pieces(connection, make(), chooser)
        if chooser.random() < 0.3:
            connection.recv(65536)


def http1_request(chooser, path):
    size = chooser.choice([0, 5, 200_000])
    body = bytes(chooser.choice([size, size // 2, size + 3]))
    ends = [b"0\r\n\r\n", b"", b"zz", b"0\r\nx: y\r\n\r\n"]
    return chooser.choice([
        b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path * chooser.choice([1, 1, 3, 30]),
        b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (path, size) + body,
        b"POST %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n" % path
        + chooser.choice(ends),
        b"HEAD %s HTTP/1.1\r\nHost: a\r\n\r\n" % path,
        b"POST %s HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello" % path,
        b"GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % path,
        b"POST %s HTTP/1.1\r\nHost: a\r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\n\r\n" % path,
        b"\r\n", b"\x16\x03\x01", chooser.randbytes(20),
    ])


def http1_client(connection, chooser, paths):
    for _ in range(chooser.randrange(10)):
        octets = http1_request(chooser, chooser.choice(paths).encode())
        if chooser.random() < 0.1:
            octets = octets[:chooser.randrange(len(octets) + 1)]
        in_pieces(connection, octets[:300], chooser)
        connection.sendall(octets[300:])
        if chooser.random() < 0.1:
            connection.shutdown(socket.SHUT_WR)
        if chooser.random() < 0.5:
            connection.recv(300_000)


def attack(port, seed, paths, is_over):
    """Connects again and again and misbehaves until `is_over()`."""
    chooser = random.Random(seed)
    while not is_over():
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                connection.settimeout(0.05)
                chooser.choice([http2_client, http1_client])(connection, chooser, paths)
                leave(connection, chooser)
        except OSError:
            pass
