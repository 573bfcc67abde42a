"""Scenario g: bidirectional streams. Each has one small message on its way; the backend echoes it."""

import selectors
import time

from . import http2, load

MESSAGE = b"\0\0\0\0\x64" + bytes(100)
PER_STREAM = 100
PATH = "/bench.Echo/Chat"


class _Caller:
    """One connection with `width` streams; a stream that has done its messages makes room for the next."""

    def __init__(self, port, width, budget):
        self.client, self.budget = http2.Client(port), budget
        self.streams = {}  # number: [octets received, messages sent, when the last one was]
        self.times = []
        output = b"".join(self._begin() for _ in range(width))
        self.client.socket.sendall(output)

    def _begin(self):
        if self.budget < PER_STREAM:
            return b""
        self.budget -= PER_STREAM
        self.client.last_stream += 2
        number = self.client.last_stream
        self.streams[number] = [0, 0, 0]
        return self.client.opening(number, PATH) + self._send(number)

    def _send(self, number):
        stream = self.streams[number]
        stream[1] += 1
        stream[2] = time.monotonic_ns()
        self.client.window -= len(MESSAGE)
        return http2.frame(http2.DATA, http2.END_STREAM if stream[1] == PER_STREAM else 0, number, MESSAGE)

    def turn(self):
        """Takes what came and sends what follows from it; true when all is done."""
        output = b""
        for kind, flags, number, payload in self.client.frames():
            stream = self.streams.get(number)
            if stream is None:
                continue
            if kind == http2.DATA:
                stream[0] += len(payload)
                if stream[0] == stream[1] * len(MESSAGE):
                    self.times.append((time.monotonic_ns() - stream[2]) / 1000)
                    if stream[1] < PER_STREAM:
                        output += self._send(number)
            if flags & http2.END_STREAM and kind in (http2.DATA, http2.HEADERS):
                if stream[0] != PER_STREAM * len(MESSAGE):
                    raise RuntimeError(f"a stream ended after {stream[0]} octets")
                del self.streams[number]
                output += self._begin()
        if self.client.window < 0:
            raise RuntimeError("the gateway's connection window is too small for this scenario")
        if output:
            self.client.socket.sendall(output)
        return not self.streams


def chat(gateway, clients, width, messages):
    """Processor µs per message: there and back."""
    def once(budget):
        callers = [_Caller(gateway.port, width, budget // clients) for _ in range(clients)]
        with selectors.DefaultSelector() as selector:
            for caller in callers:
                selector.register(caller.client.socket, selectors.EVENT_READ, caller)
            running = len(callers)
            while running:
                for key, _ in selector.select(30):
                    if key.data.turn():
                        selector.unregister(key.fileobj)
                        running -= 1
        for caller in callers:
            caller.client.close()
        return sorted(when for caller in callers for when in caller.times)

    once(clients * PER_STREAM)
    before, start = gateway.process.processor_seconds(), time.monotonic()
    times = once(messages)
    seconds = time.monotonic() - start
    used = gateway.process.processor_seconds() - before
    return {"cost": used * 1e6 / len(times), "rate": len(times) / seconds, "mean": sum(times) / len(times),
            "p50": load.percentile(times, 0.5), "p99": load.percentile(times, 0.99)}
