"""For every suite here: a network of its own where that is allowed, and a binary that knows `serve`."""

import ctypes
import fcntl
import pathlib
import socket
import struct
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent / "Gateway"))

from peers.gateway import BINARY  # noqa: E402

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1


def pytest_configure():
    """The seeds' pods have fixed addresses; in a network namespace a running demo does not hold them.

    Needs root; without it the tests use the machine's own loopback.
    """
    if ctypes.CDLL(None).unshare(CLONE_NEWNET) != 0:
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def pytest_collection_modifyitems():
    """Tests of a binary that does not run must not end as skipped, which is green."""
    try:
        usable = subprocess.run([BINARY, "serve", "--help"], capture_output=True, timeout=20).returncode == 0
    except OSError:
        usable = False
    if not usable:
        pytest.exit(f"{BINARY} does not run: `make build` makes it", returncode=1)
