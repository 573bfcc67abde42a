"""Octets through a gateway that relays them: how much processor it needs for a gigabyte."""

import functools
import os
import socket
import ssl
import threading

from . import machine

PIECE = bytes(1 << 18)


@functools.cache
def client_hello(name, protocols=()):
    """What a client of TLS says first. The gateway looks at nothing behind it, so the rest need not be TLS."""
    context, outgoing = ssl.create_default_context(), ssl.MemoryBIO()
    if protocols:
        context.set_alpn_protocols([*protocols])
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def _send(port, octets, first, errors):
    os.sched_setaffinity(0, {machine.LOAD_CORE})  # of this thread
    try:
        with socket.create_connection(("127.0.0.1", port), 60) as connection:
            connection.sendall(first)
            for _ in range(octets // len(PIECE)):
                connection.sendall(PIECE)
            connection.shutdown(socket.SHUT_WR)
            expected = len(first) + octets // len(PIECE) * len(PIECE)
            said = b""
            while part := connection.recv(8):
                said += part
            if int.from_bytes(said, "big") != expected:
                raise RuntimeError(f"{int.from_bytes(said, 'big')} of {expected} octets came")
    except (OSError, RuntimeError) as error:
        errors.append(error)


def _all(port, connections, octets, first):
    errors = []
    threads = [threading.Thread(target=_send, args=(port, octets, first, errors)) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise RuntimeError(f"not every connection was relayed: {errors[0]}")


def measure(gateway, job, connections, octets):
    """`octets` over all connections, towards the backend."""
    first = client_hello("relay.test") if job.relay == "tls" else b""
    each = max(octets // connections, len(PIECE))
    _all(gateway.port, connections, len(PIECE), first)
    before = gateway.process.processor_seconds()
    _all(gateway.port, connections, each, first)
    used = gateway.process.processor_seconds() - before
    return {"cost": used / (each * connections / 1e9)}
