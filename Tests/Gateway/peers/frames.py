"""HTTP/2 by hand: frames from hyperframe, header blocks from hpack, no state machine in between.

A `FramePeer` is one end of one connection. It acknowledges SETTINGS and PING and reopens windows
by itself (unless told not to), keeps what arrives per stream, and sends whatever a test asks for.
"""

import dataclasses
import select
import socket
import ssl
import struct
import threading
import time

from hpack import Decoder, Encoder
from hyperframe.frame import (
    ContinuationFrame, DataFrame, Frame, GoAwayFrame, HeadersFrame, PingFrame, PriorityFrame, RstStreamFrame,
    SettingsFrame, WindowUpdateFrame,
)

from peers.waiting import SLOWNESS

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED = 0, 1, 2, 3, 5
FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 6, 7, 8, 9, 11


@dataclasses.dataclass
class Stream:
    """What one stream brought so far."""

    number: int
    blocks: list = dataclasses.field(default_factory=list)
    data: bytearray = dataclasses.field(default_factory=bytearray)
    ended: bool = False
    reset: int | None = None
    headers_ended_stream: bool = False
    times: dict = dataclasses.field(default_factory=dict)

    @property
    def over(self):
        return self.ended or self.reset is not None

    @property
    def final(self):
        """The index of the first block that is not an interim (1xx) response, or None."""
        for index, block in enumerate(self.blocks):
            if not dict(block).get(":status", "200").startswith("1"):
                return index
        return None

    @property
    def headers(self):
        return [] if self.final is None else self.blocks[self.final]

    @property
    def trailers(self):
        return [] if self.final is None or self.final + 1 >= len(self.blocks) else self.blocks[-1]

    def header(self, name):
        return dict(self.headers).get(name)

    def header_values(self, name):
        return [value for key, value in self.headers if key == name]

    def trailer(self, name):
        return dict(self.trailers).get(name)

    @property
    def status(self):
        return int(self.header(":status") or 0)

    @property
    def grpc_status(self):
        value = self.trailer("grpc-status") or self.header("grpc-status")
        return None if value is None else int(value)

    @property
    def grpc_message(self):
        return self.trailer("grpc-message") or self.header("grpc-message")

    @property
    def trailers_only(self):
        return len(self.blocks) == 1 and self.headers_ended_stream and not self.data


class FramePeer:
    def __init__(self, connection, is_client, settings=None, hold_windows=False, first_octets=True, received=b""):
        self.socket, self.is_client, self.hold_windows = connection, is_client, hold_windows
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.is_tls = isinstance(connection, ssl.SSLSocket)
        if self.is_tls:
            self.socket.setblocking(False)
        self.encoder, self.decoder = Encoder(), Decoder()
        self.changed = threading.Condition()
        self.streams, self.goaways, self.frames, self.requests = {}, [], [], []
        self.peer_settings, self.acknowledged, self.closed, self.pings = {}, False, False, 0
        self.failure = None
        self._next, self._block, self._buffer = (1 if is_client else 2), None, received
        self._window, self._windows, self._initial = 65535, {}, 65535
        self._sending = threading.Lock()
        self._taken = 0
        if first_octets:
            if is_client:
                self.raw(PREFACE)
            self.send(SettingsFrame(0, settings=settings or {}))
            if not hold_windows:
                self.send(WindowUpdateFrame(0, window_increment=(1 << 30)))
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    # Sending

    def raw(self, octets):
        with self._sending:
            self._write(octets)

    def _write(self, octets):
        """Under `_sending`. A TLS socket does not block, see `_receive`."""
        octets = memoryview(octets)
        while octets:
            try:
                octets = octets[self.socket.send(octets):]
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                select.select([], [self.socket], [], 1)

    def _receive(self):
        """One of two threads at a time may use an OpenSSL session; a plain socket does not mind."""
        if not self.is_tls:
            return self.socket.recv(262144)
        while True:
            with self._sending:
                try:
                    return self.socket.recv(262144)
                except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    pass
            select.select([self.socket], [], [], 1)

    def send(self, *frames):
        self.raw(b"".join(frame.serialize() for frame in frames))

    def block(self, headers):
        return self.encoder.encode(headers, huffman=False)

    def send_headers(self, stream, headers, end=False, end_headers=True):
        with self._sending:  # the encoder's table must follow the order on the wire
            frame = HeadersFrame(stream, self.block(headers))
            for name in [name for name, on in (("END_STREAM", end), ("END_HEADERS", end_headers)) if on]:
                frame.flags.add(name)
            self._write(frame.serialize())

    def send_data(self, stream, octets, end=False, seconds=20 * SLOWNESS):
        """Sends within the peer's windows; waits for them, so long at most."""
        octets = memoryview(bytes(octets))
        while True:
            with self.changed:
                room = min(self._window, self._windows.get(stream, self._initial), 16384)
                if octets and room <= 0:
                    if not self.changed.wait_for(lambda: self._may_send(stream), seconds):
                        raise AssertionError(f"no window for stream {stream} within {seconds} s")
                    if self.closed or self._over(stream):
                        raise ConnectionError(f"stream {stream} is over")
                    continue
                piece = octets[:max(room, 0)]
                self._window -= len(piece)
                self._windows[stream] = self._windows.get(stream, self._initial) - len(piece)
            octets = octets[len(piece):]
            frame = DataFrame(stream, bytes(piece))
            if end and not octets:
                frame.flags.add("END_STREAM")
            self.send(frame)
            if not octets:
                return

    def _over(self, stream):
        return stream in self.streams and self.streams[stream].reset is not None

    def _may_send(self, stream):
        windows = min(self._window, self._windows.get(stream, self._initial))
        return windows > 0 or self.closed or self._over(stream)

    def send_window(self, stream, octets):
        self.send(WindowUpdateFrame(stream, window_increment=octets))

    def send_reset(self, stream, code=CANCEL):
        self.send(RstStreamFrame(stream, error_code=code))

    def send_goaway(self, last, code=NO_ERROR):
        self.send(GoAwayFrame(0, last_stream_id=last, error_code=code))

    def send_ping(self, octets=b"12345678"):
        self.send(PingFrame(0, opaque_data=octets))

    def send_priority(self, stream, depends_on):
        self.send(PriorityFrame(stream, depends_on=depends_on, stream_weight=1, exclusive=False))

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        if threading.current_thread() is not self.reader:
            self.reader.join(2)  # else its descriptor, reused, could be read by a thread of the past
        self.socket.close()

    def abort(self):
        """Closes with a TCP reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # A client's requests

    def open(self, headers, body=None, end=True):
        """Starts a request and returns its stream; `body` is sent within the window."""
        stream, self._next = self._next, self._next + 2
        self.streams[stream] = Stream(stream)
        self.send_headers(stream, headers, end=end and body is None)
        if body is not None:
            self.send_data(stream, body, end=end)
        return self.streams[stream]

    def exchange(self, headers, body=None, seconds=15):
        stream = self.open(headers, body)
        self.wait(lambda: stream.over, seconds, f"the end of {headers}")
        return stream

    # Waiting

    def wait(self, condition, seconds=10.0, what="the peer"):
        """Until `condition()`; fails after `seconds` of an idle machine, and when the connection ends before."""
        seconds *= SLOWNESS
        with self.changed:
            if not self.changed.wait_for(lambda: condition() or self.closed, seconds) or not condition():
                state = f"closed={self.closed} goaways={self.goaways} streams={list(self.streams.values())[-3:]!r}"
                raise AssertionError(f"waited {seconds} s for {what}: {state[:1500]}")
            return condition()

    def wait_closed(self, seconds=10.0):
        self.wait(lambda: self.closed, seconds, "the end of the connection")

    def next_request(self, seconds=10.0):
        """On a server: the next stream whose headers arrived."""
        self.wait(lambda: self.requests, seconds, "a request")
        return self.requests.pop(0)

    # Receiving

    def _read(self):
        try:
            if not self.is_client:
                self._exactly(len(PREFACE))
            while True:
                head = self._exactly(9)
                frame, size = Frame.parse_frame_header(memoryview(head))
                frame.parse_body(memoryview(self._exactly(size)))
                with self.changed:
                    self._received(frame)
                    self.changed.notify_all()
                self._answer(frame)
        except (OSError, EOFError):
            pass
        except Exception as error:  # kept for the test's message; a peer that sends nonsense ends here
            self.failure = error
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def _exactly(self, count):
        while len(self._buffer) < count:
            more = self._receive()
            if not more:
                raise EOFError
            self._buffer += more
        octets, self._buffer = self._buffer[:count], self._buffer[count:]
        return octets

    def _received(self, frame):
        if not isinstance(frame, DataFrame):
            self.frames.append(frame)
        stream = self.streams.get(frame.stream_id)
        if stream is None and frame.stream_id:
            stream = self.streams[frame.stream_id] = Stream(frame.stream_id)
        if isinstance(frame, (HeadersFrame, ContinuationFrame)):
            self._received_headers(stream, frame)
        elif isinstance(frame, DataFrame):
            stream.data += frame.data
            stream.times.setdefault("data", time.monotonic())
            stream.ended = stream.ended or "END_STREAM" in frame.flags
        elif isinstance(frame, RstStreamFrame):
            stream.reset = frame.error_code
            stream.times["reset"] = time.monotonic()
        elif isinstance(frame, GoAwayFrame):
            self.goaways.append((frame.last_stream_id, frame.error_code))
        elif isinstance(frame, WindowUpdateFrame):
            if frame.stream_id:
                self._windows[frame.stream_id] = self._windows.get(frame.stream_id, self._initial)
                self._windows[frame.stream_id] += frame.window_increment
            else:
                self._window += frame.window_increment
        elif isinstance(frame, SettingsFrame) and "ACK" in frame.flags:
            self.acknowledged = True
        elif isinstance(frame, SettingsFrame):
            self._received_settings(frame)
        elif isinstance(frame, PingFrame) and "ACK" in frame.flags:
            self.pings += 1

    def _received_settings(self, frame):
        self.peer_settings.update(frame.settings)
        initial = frame.settings.get(SettingsFrame.INITIAL_WINDOW_SIZE, self._initial)
        for number in self._windows:
            self._windows[number] += initial - self._initial
        self._initial = initial

    def _received_headers(self, stream, frame):
        self._block = (self._block or b"") + frame.data
        if isinstance(frame, HeadersFrame):
            self._ends = "END_STREAM" in frame.flags
        if "END_HEADERS" not in frame.flags:
            return
        block, self._block = self.decoder.decode(self._block), None
        first = not stream.blocks
        stream.blocks.append([(str(name), str(value)) for name, value in block])
        stream.times.setdefault("headers", time.monotonic())
        if self._ends:
            stream.ended = stream.headers_ended_stream = True
        if first and not self.is_client:
            self.requests.append(stream)

    def _answer(self, frame):
        if isinstance(frame, SettingsFrame) and "ACK" not in frame.flags:
            acknowledgement = SettingsFrame(0)
            acknowledgement.flags.add("ACK")
            self.send(acknowledgement)
        elif isinstance(frame, PingFrame) and "ACK" not in frame.flags:
            acknowledgement = PingFrame(0, opaque_data=frame.opaque_data)
            acknowledgement.flags.add("ACK")
            self.send(acknowledgement)
        elif isinstance(frame, DataFrame) and frame.data and not self.hold_windows:
            updates = [] if "END_STREAM" in frame.flags else [
                WindowUpdateFrame(frame.stream_id, window_increment=frame.flow_controlled_length)]
            self._taken += frame.flow_controlled_length
            if self._taken > 1 << 20:
                updates.append(WindowUpdateFrame(0, window_increment=self._taken))
                self._taken = 0
            if updates:
                self.send(*updates)
