"""Waiting for a condition, with a bound. The only sleep of all tests is in `until`; a `Tidy` test says so."""

import fcntl
import os
import random
import socket
import struct
import termios
import time

# A bound says how long an idle machine may take. One that is busy, or runs a sanitizer, may take so many times as long.
# A wait that comes true costs nothing by it.
SLOWNESS = float(os.environ.get("PORTICO_SLOWNESS", "6"))


def until(condition, seconds=10.0, what="the condition"):
    """Polls until `condition()` is true and returns its value; fails after `seconds` of an idle machine."""
    seconds *= SLOWNESS
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {seconds} s (last: {value!r})")
        time.sleep(0.005)


def until_time(when):
    """Until the clock `time.monotonic` says so: for peers whose slowness is what is tested."""
    until(lambda: time.monotonic() >= when, max(0, when - time.monotonic()) + 10, "the time")


def steady(reading, quiet=0.5, seconds=20.0, what="it"):
    """Until `reading()` has stayed the same for `quiet` seconds; returns it."""
    seen = [reading(), time.monotonic()]

    def is_steady():
        value = reading()
        if value != seen[0]:
            seen[:] = value, time.monotonic()
        return time.monotonic() - seen[1] >= quiet

    until(is_steady, seconds, f"{what} to come to rest")
    return seen[0]


FIN_WAIT1 = 4


def delivered(connection, seconds=5.0):
    """Until all that was sent, the end of the stream too, has come to the other side's kernel."""
    def is_delivered():
        unacknowledged = struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)))[0]
        state = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        return unacknowledged == 0 and state != FIN_WAIT1

    until(is_delivered, seconds, "delivery")


def taken(connection, seconds=5.0):
    """Until the program at the other end, on this machine, has read all that was sent."""
    def name(address):
        return f"{socket.inet_aton(address[0])[::-1].hex().upper()}:{address[1]:04X}"

    here, there = name(connection.getsockname()), name(connection.getpeername())

    def is_taken():
        for table in ("tcp", "tcp6"):
            with open(f"/proc/thread-self/net/{table}") as lines:
                for fields in map(str.split, lines):
                    if fields[1].endswith(there) and fields[2].endswith(here):
                        return fields[4].endswith(":00000000")
        return False

    delivered(connection, seconds)
    until(is_taken, seconds, "the other side to read")


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
