"""Scenario n: attacks, beside a well-behaved client on a connection of its own."""

import json
import pathlib
import sys
import time

from . import attackers, http2, load, machine, site as sites

PAUSE = 0.005  # seconds between two calls
MESSAGE = b"\0\0\0\0\x0a0123456789"


class Neighbour:
    """A client of gRPC: one call after the other, each with its own time. A call that fails ends the measurement."""

    def __init__(self, port):
        self.client = http2.Client(port)

    def call(self):
        client = self.client
        client.last_stream += 2
        stream = client.last_stream
        client.socket.sendall(
            client.opening(stream, sites.METHOD) + http2.frame(http2.DATA, http2.END_STREAM, stream, MESSAGE))
        while True:
            for _, flags, number, _ in client.frames():
                if number == stream and flags & http2.END_STREAM:
                    return

    def p99(self, count):
        """The 99th percentile of so many calls, in µs."""
        times = []
        for _ in range(count):
            began = time.monotonic_ns()
            self.call()
            times.append((time.monotonic_ns() - began) / 1000)
            machine.run_on(PAUSE)
        return load.percentile(sorted(times), 0.99)


def measure(gateway, site, name, count):
    """How many times longer the neighbour's p99 is beside the attack than before it.

    `direct` is the same ratio for a client of the backend without a gateway: what the attack takes from everybody
    who shares its core, and no gateway can prevent.
    """
    neighbour, direct = Neighbour(gateway.port), Neighbour(site.backend)
    try:
        for one in (neighbour, direct):
            one.p99(max(20, count // 10))
        before, direct_before = neighbour.p99(count), direct.p99(count)
        program = pathlib.Path(attackers.__file__)
        with machine.Process(
                [sys.executable, program, name, gateway.port, gateway.secure, gateway.passed], machine.LOAD_CORE,
                site.folder, "attack", yields=True) as attack:
            machine.run_on(0.5)
            used, start = gateway.process.processor_seconds(), time.monotonic()
            beside = neighbour.p99(count)
            share = (gateway.process.processor_seconds() - used) / (time.monotonic() - start)
            direct_beside = direct.p99(count)
            if attack.child.poll() is not None:
                raise RuntimeError(f"the attack has ended by itself:\n{attack.tail()}")
            memory = gateway.process.memory()
            attack.child.terminate()
            attack.child.wait(10)
            told = json.loads(attack.output.read_text().splitlines()[-1])
        machine.run_on(0.5)
        after = neighbour.p99(count)
        return {
            "cost": beside / before, "before": before, "p99": beside, "after": after, "direct": direct_beside /
            direct_before, "gateway %": share * 100, "MB": memory / 1e6, "attack MB": told["sent"] / 1e6,
            "ended": told["ended"]}
    finally:
        neighbour.client.close()
        direct.client.close()
