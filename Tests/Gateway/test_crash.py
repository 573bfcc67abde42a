"""A crash leaves a report with names on standard error, and the exit status of its signal."""

import re
import signal

import pytest

from peers import http1
from peers.gateway import Gateway


@pytest.fixture
def crashing(web):
    from peers import objects

    with Gateway(objects.echo(web, protocol="HTTP", protocol_name="http")) as gateway:
        yield gateway


@pytest.mark.parametrize("number", [signal.SIGILL, signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE])
def test_a_crash_names_the_functions(crashing, number):
    secret = "GET /secret-path HTTP/1.1\r\nhost: a\r\nauthorization: Bearer secret-token\r\n\r\n"
    assert http1.send(crashing.port, secret).status == 200
    crashing.signal(number)
    assert crashing.wait_exit() == -number
    crashing.killed = True
    report = "\n".join(line for line in crashing.errors if line.startswith("portico: "))
    assert f"portico: crash: {number.name} " in report
    assert re.search(r"version [0-9.]+, process \d+, thread portico", report)
    assert re.search(r"serving 1 listeners \(\S+:\d+\), 1 clusters, 4 objects, load 1, by 1 workers; serving", report)
    # The main thread, which took the signal, waits in its loop; mangled first, then readable.
    assert re.search(r"\d+ 0x[0-9a-f]{16} \$s7Control0A5PlaneC\S* \+ \d+", report), report
    assert re.search(r"\d+ ControlPlane\.\S+|\d+ Control\.ControlPlane\.\S+", report), report
    assert "secret" not in "\n".join(crashing.errors)
