"""`make demo`, as a person sees it: in a terminal, ended by Ctrl-C. In a network namespace of its own,
because its ports are fixed."""

import os
import pathlib
import pty
import select
import signal
import subprocess
import sys
import time

import pytest

from echo import BINARY, ROOT

PORTICO = os.environ.get("PORTICO_BINARY", str(ROOT / ".build/release/portico"))
# Brings `lo` up (SIOCSIFFLAGS, IFF_UP | IFF_RUNNING), then becomes the demo.
PREPARE = """
import fcntl, os, socket, struct
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14x", b"lo", 0x41))
os.execv("Tests/tools/demo", ["demo"])
"""


def namespace():
    """The command before a command that gives it its own network: root may, others as root of a user
    namespace, which a container or a chroot often refuses. None where neither works."""
    for flags in ("-n", "-rn"):
        try:
            if subprocess.run(["unshare", flags, "true"], capture_output=True).returncode == 0:
                return ["unshare", flags]
        except OSError:
            pass
    return None


NAMESPACE = namespace()


@pytest.mark.slow
@pytest.mark.skipif(not NAMESPACE, reason="no network namespace can be made here")
@pytest.mark.skipif(not pathlib.Path(PORTICO).exists(), reason=f"{PORTICO} is not built")
def test_the_demo_meets_its_expectations_and_ends_with_ctrl_c():
    terminal, inside = pty.openpty()
    environment = {**os.environ, "PORTICO_BINARY": PORTICO, "PORTICO_ECHO": str(BINARY)}
    environment.pop("DEMO_EXIT", None)
    demo = subprocess.Popen(
        [*NAMESPACE, sys.executable, "-c", PREPARE], cwd=ROOT, env=environment,
        stdin=inside, stdout=inside, stderr=inside,
        preexec_fn=lambda: (os.login_tty(inside), signal.signal(signal.SIGINT, signal.SIG_DFL)))
    os.close(inside)
    text, asked, deadline = b"", False, time.monotonic() + 400
    try:
        while True:
            # A demo that hangs says how far it came, and does not take the whole run along.
            ready = select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0]
            assert ready, "the demo hangs after:\n" + text.decode(errors="replace")
            try:
                text += os.read(terminal, 65_536)
            except OSError:  # EIO: everybody on the inside is gone
                break
            if not asked and b"  logs: " in text:
                asked = True
                os.write(terminal, b"\x03")
            if not asked and demo.poll() is not None:
                break
        assert demo.wait(60) == 0, text.decode(errors="replace")
    finally:
        demo.kill()
        os.close(terminal)
    assert b"All expectations were met" in text and b"NOT MET" not in text and b"Traceback" not in text
