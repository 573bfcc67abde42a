"""Scenarios of connections rather than of requests: memory of idle ones (j), handshakes (k)."""

import time

from . import http2, load, machine, site as sites


def idle_memory(gateway, job, count):
    """Octets of the gateway's memory per connection that has done one request and waits.

    A few connections go before, so that code and pools that the first request needs are there.
    """
    context = http2.tls_context() if job.tls else None
    clients = []

    def connect(how_many):
        for _ in range(how_many):
            client = http2.Client(gateway.port, context)
            client.get(sites.METHOD, "https" if job.tls else "http")
            clients.append(client)

    try:
        connect(20)
        machine.run_on(0.3)
        before = gateway.process.memory()
        used, start = gateway.process.processor_seconds(), time.monotonic()
        connect(count)
        seconds = time.monotonic() - start
        used = gateway.process.processor_seconds() - used
        machine.run_on(1)  # what is freed a little later is not counted
        return {"cost": (gateway.process.memory() - before) / count / 1000, "rate": count / seconds,
                "processor µs": used * 1e6 / count}
    finally:
        for client in clients:
            client.close()


def handshakes(gateway, count, resumed):
    """Processor µs per connection with a TLS 1.3 handshake and the exchange of HTTP/2 settings."""
    context = http2.tls_context()

    def connect(session):
        client = http2.Client(gateway.port, context, session)
        client.frames()  # with the server's settings come its session tickets
        made, reused = client.socket.session, client.socket.session_reused
        client.close()
        return made, reused

    session = None
    for _ in range(min(20, count)):
        session, _ = connect(session if resumed else None)
    times, before, start = [], gateway.process.processor_seconds(), time.monotonic()
    for _ in range(count):
        began = time.monotonic_ns()
        made, reused = connect(session if resumed else None)
        times.append((time.monotonic_ns() - began) / 1000)
        if reused != resumed:
            raise RuntimeError("a session was not resumed" if resumed else "a session was resumed")
        session = made
    seconds = time.monotonic() - start
    machine.run_on(0.05)  # the closing of the last ones is theirs too
    cost = (gateway.process.processor_seconds() - before) * 1e6 / count
    times.sort()
    return {"cost": cost, "rate": count / seconds, "mean": sum(times) / count, "p50": load.percentile(times, 0.5),
            "p99": load.percentile(times, 0.99), "per second of processor": 1e6 / cost}
