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


def free_port(address="127.0.0.1"):
    """A port below the kernel's ephemeral range, so that no client socket takes it meanwhile."""
    for _ in range(200):
        port = random.SystemRandom().randrange(18000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind((address, port))
                return port
            except OSError:
                continue
    raise AssertionError("no free port found")
