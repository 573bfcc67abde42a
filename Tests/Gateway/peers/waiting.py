"""Waiting with a bound: nothing here sleeps for a fixed time and hopes."""

import random
import socket
import time


def until(condition, seconds=10.0, what="the condition"):
    """Polls until `condition()` is true and returns its value; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {seconds} s (last: {value!r})")
        time.sleep(0.005)


_given = set()


def free_port():
    """A port below the kernel's ephemeral range, so that no client socket takes it meanwhile. No port is
    given twice in one run: two of the three that a gateway needs would be the same now and then."""
    for _ in range(1000):
        port = random.SystemRandom().randrange(12000, 32000)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("", port))  # free on every address
            except OSError:
                continue
        _given.add(port)
        return port
    raise AssertionError("no free port found")
