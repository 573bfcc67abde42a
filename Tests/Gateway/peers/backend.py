"""A gRPC server (grpcio, the C core) that answers any method and remembers what it saw.

The last part of the method's name chooses the kind of call: `Collect` (client stream), `Stream`
(server stream), `Chat` (bidirectional echo), `SayHello` (as in the seeds), anything else unary echo.
Metadata steers it: x-sleep SECONDS (before the headers), x-stall SECONDS (after them), x-fail CODE:MESSAGE
(percent-encoded), x-fail-late CODE:MESSAGE (after the messages), x-count N and x-size OCTETS (of a stream),
x-early 1 (answer before reading anything).
"""

import dataclasses
import threading
import time
import urllib.parse
from concurrent import futures

import grpc

from peers.waiting import SLOWNESS

SECONDS = 20 * SLOWNESS  # the deadline of calls that have none of their own


@dataclasses.dataclass
class Call:
    method: str
    metadata: list
    peer: str
    seconds_left: float | None
    cancelled: threading.Event = dataclasses.field(default_factory=threading.Event)
    cancelled_at: float | None = None
    messages: int = 0
    octets: int = 0

    def value(self, name):
        return dict(self.metadata).get(name)

    def values(self, name):
        return [value for key, value in self.metadata if key == name]


class Backend(grpc.GenericRpcHandler):
    def __init__(self, address="127.0.0.1", port=0, name="backend", version="v1", options=(), credentials=None):
        self.name, self.version = name, version
        self.calls, self.lock = [], threading.Lock()
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), *options]
        options.append(("grpc.so_reuseport", 0))
        self.server = grpc.server(futures.ThreadPoolExecutor(96), handlers=[self], options=options)
        where = f"{address}:{port}"
        if credentials:
            self.port = self.server.add_secure_port(where, credentials)
        else:
            self.port = self.server.add_insecure_port(where)
        assert self.port, f"{where} is taken"
        self.address = address
        self.server.start()

    @property
    def target(self):
        return f"{self.address}:{self.port}"

    def stop(self, grace=0):
        self.server.stop(grace).wait(60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def connections(self):
        with self.lock:
            return {call.peer for call in self.calls}

    def clear(self):
        with self.lock:
            self.calls = []

    @property
    def last(self):
        with self.lock:
            return self.calls[-1]

    def service(self, details):
        kind = details.method.rsplit("/", 1)[-1]

        def answer(requests, context):
            return self._answer(kind, details.method, requests, context)

        return grpc.stream_stream_rpc_method_handler(answer)

    def _answer(self, kind, method, requests, context):
        metadata = [(pair.key, pair.value) for pair in context.invocation_metadata()]
        call = Call(method, metadata, context.peer(), context.time_remaining())
        with self.lock:
            self.calls.append(call)

        def ended():
            if context.code() is None and not getattr(call, "finished", False):
                call.cancelled_at = time.monotonic()
                call.cancelled.set()

        context.add_callback(ended)
        wishes = dict(metadata)
        if "x-sleep" in wishes:  # before any header
            call.cancelled.wait(float(wishes["x-sleep"]))
        if "x-fail" not in wishes:  # a call that fails at once is answered by trailers only
            context.send_initial_metadata((("x-backend", self.name), ("x-initial-bin", b"\x00\xff\x10")))
        context.set_trailing_metadata((("x-trailer", self.version), ("x-trailer-bin", b"\xfe\x00")))
        if "x-stall" in wishes:  # after the headers
            call.cancelled.wait(float(wishes["x-stall"]))
        if "x-fail" in wishes:
            self._fail(call, context, wishes["x-fail"])
        yield from self._messages(kind, call, requests, wishes)
        if "x-fail-late" in wishes:
            self._fail(call, context, wishes["x-fail-late"])
        call.finished = True

    def _fail(self, call, context, wish):
        call.finished = True
        code, _, message = wish.partition(":")
        details = urllib.parse.unquote(message)
        context.abort(next(each for each in grpc.StatusCode if each.value[0] == int(code)), details)

    def _messages(self, kind, call, requests, wishes):
        if "x-early" in wishes:
            yield b"early"
            return
        if kind == "Stream":
            self._only(call, requests)
            for number in range(int(wishes.get("x-count", "3"))):
                yield bytes(int(wishes["x-size"])) if "x-size" in wishes else b"%d" % number
        elif kind == "Collect":
            for message in requests:
                self._count(call, message)
            yield b"%d messages, %d octets" % (call.messages, call.octets)
        elif kind == "Chat":
            for message in requests:
                self._count(call, message)
                yield message
        elif kind == "SayHello":
            name = hello_text(self._only(call, requests))
            yield hello(f"hostname:{self.name}, in:{name}, version:{self.version}")
        else:
            yield self._only(call, requests)

    def _only(self, call, requests):
        """The one message of a unary request, and its end: without it the answer would be an early one."""
        only = b""
        for only in requests:
            self._count(call, only)
        return only

    @staticmethod
    def _count(call, message):
        call.messages += 1
        call.octets += len(message)


def hello(text):
    """HelloRequest and HelloReply both: one string, field 1 (shorter than 16 KiB)."""
    octets = text.encode()
    size = bytes([len(octets)]) if len(octets) < 128 else bytes([len(octets) & 127 | 128, len(octets) >> 7])
    return b"\x0a" + size + octets


def hello_text(message):
    if not message.startswith(b"\x0a"):
        return ""
    return message[2:].decode() if message[1] < 128 else message[3:].decode()


def paced(count):
    """Messages `0`, `1` and so on of a stream: the first at once, each other one when the semaphore is released."""
    asked = threading.Semaphore(1)

    def messages():
        for index in range(count):
            assert asked.acquire(timeout=60)
            yield b"%d" % index

    return asked, messages()


class Caller:
    """A gRPC client (grpcio) with a connection of its own."""

    def __init__(self, target, credentials=None, options=()):
        usual = {
            "grpc.use_local_subchannel_pool": 1, "grpc.max_receive_message_length": -1,
            "grpc.max_send_message_length": -1, "grpc.enable_retries": 0,
        }
        options = list({**usual, **dict(options)}.items())
        if credentials:
            self.channel = grpc.secure_channel(target, credentials, options)
        else:
            self.channel = grpc.insecure_channel(target, options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()

    def unary(self, method="/test.Echo/Unary", message=b"ping", timeout=SECONDS, metadata=()):
        """Returns (reply, call); raises grpc.RpcError."""
        return self.channel.unary_unary(method).with_call(message, timeout=timeout, metadata=metadata)

    def status(self, *arguments, **named):
        """The status code of a unary call, whatever it is, and its details."""
        try:
            self.unary(*arguments, **named)
            return grpc.StatusCode.OK, ""
        except grpc.RpcError as error:
            return error.code(), error.details()

    def stream(self, method="/test.Echo/Stream", message=b"ping", timeout=SECONDS, metadata=()):
        return self.channel.unary_stream(method)(message, timeout=timeout, metadata=metadata)

    def collect(self, messages, method="/test.Echo/Collect", timeout=SECONDS, metadata=()):
        return self.channel.stream_unary(method)(messages, timeout=timeout, metadata=metadata)

    def chat(self, messages, method="/test.Echo/Chat", timeout=SECONDS, metadata=()):
        return self.channel.stream_stream(method)(messages, timeout=timeout, metadata=metadata)

    def hello(self, name="ann", timeout=SECONDS, metadata=()):
        reply, _ = self.unary("/helloworld.Greeter/SayHello", hello(name), timeout, metadata)
        return hello_text(reply)
