"""Two hundred reloads while requests run, each of a new route, other endpoints and another certificate."""

import contextlib
import os
import re
import subprocess
import threading

from peers import certificates, http1, objects, waiting
from peers.gateway import Gateway
from test_tls import handshake

# A gateway under a sanitizer is ten times slower, and keeps what was freed.
SANITIZED = "PORTICO_SANITIZER" in os.environ
RELOADS, WARM, ROUTES = (10, 10, 20) if SANITIZED else (200, 50, 300)
HOST = "load.test"


class Load:
    """h2load again and again, so that connections of every age meet the reloads."""

    ROUND = ["h2load", *(["-n", "100"] if SANITIZED else ["-D", "2"]), "-m", "4"]

    def __init__(self, *arguments):
        self.command = [*self.ROUND, *arguments]
        self.outputs, self.over = [], threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self.over.is_set():
            done = subprocess.run(self.command, capture_output=True, text=True, timeout=120)
            self.outputs.append(done.stdout + done.stderr)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join(120)

    def succeeded(self):
        """How many requests there were, after asserting that each was answered with 200."""
        assert self.outputs and not self.thread.is_alive()
        total = 0
        for output in self.outputs:
            found = re.search(r"(\d+) succeeded, 0 failed, 0 errored, 0 timeout", output)
            assert found and re.search(r"status codes: \d+ 2xx, 0 3xx, 0 4xx, 0 5xx", output), output
            total += int(found[1])
        return total


class Nghttpd:
    """A fast HTTP/2 upstream that serves `/load`."""

    address = "127.0.0.1"

    def __init__(self, folder):
        (folder / "load").write_text("0123456789")
        self.port = waiting.free_port()
        command = ["nghttpd", "--no-tls", "-a", self.address, "-m", "1024", "-d", str(folder), str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        waiting.until(self._accepts, 10, "nghttpd")

    def _accepts(self):
        try:
            http1.connect(self.port).close()
            return True
        except OSError:
            return False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)


def config(number, upstreams, pairs):
    """The objects of one reload; a plan that is not given back shows, because there are many routes."""
    chosen = [upstreams[:1], upstreams, upstreams[1:]][number % 3]
    rules = [objects.rule("web", match=[{"uri": {"exact": "/load"}}])]
    rules += [objects.rule("web", match=[{"uri": {"exact": f"/{number}/{path}"}}]) for path in range(ROUTES)]
    tls = {"mode": "SIMPLE", "credentialName": "cert"}
    return [
        objects.gateway(), objects.gateway("secure", 443, "HTTPS", [HOST], tls),
        objects.virtual_service(rules, gateways=["edge", "secure"], hosts=[HOST]),
        *objects.served_by("web", *chosen, port=80, protocol_name="http2"),
        objects.tls_secret("cert", pairs[number % len(pairs)]),
    ]


def serial(gateway):
    with handshake(gateway.map[443], HOST) as connection:
        return int(connection.getpeercert()["serialNumber"], 16)


def test_two_hundred_reloads_under_load_fail_no_request_and_keep_no_memory(tmp_path):
    pairs = [certificates.authority().issue(HOST) for _ in range(3)]
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        upstreams = [enter(Nghttpd(tmp_path)) for _ in range(2)]
        gateway = enter(Gateway(config(0, upstreams, pairs), [8000, 443], workers=2))
        clear, secure = gateway.map[8000], gateway.map[443]
        loads = [
            enter(Load("-c", "8", "-H", f":authority: {HOST}", f"http://127.0.0.1:{clear}/load")),
            enter(Load("-c", "4", "--connect-to", f"127.0.0.1:{secure}", f"https://{HOST}:{secure}/load")),
        ]
        memory = []
        for number in range(1, RELOADS + 1):
            gateway.write(config(number, upstreams, pairs))
            gateway.reload(60 if SANITIZED else 10)
            wanted = pairs[number % len(pairs)].serial
            waiting.until(lambda: serial(gateway) == wanted, 20, f"the certificate of reload {number}")
            memory.append(gateway.memory_octets())
        for load in loads:
            load.__exit__()
        assert all(load.succeeded() > (50 if SANITIZED else 1000) for load in loads)
        # nghttpd has no such file, and says so itself.
        assert b"nghttpd" in http1.get(clear, f"/{RELOADS}/{ROUTES - 1}", HOST).body
        assert b"nghttpd" not in http1.get(clear, f"/1/{ROUTES - 1}", HOST).body
        # The least of some, since what is in flight comes on top. A plan of these routes has 0.6 MiB.
        before, after = (min(memory[max(at - 20, 0):at]) for at in (WARM, RELOADS))
        print(f"{sum(load.succeeded() for load in loads)} requests; MiB resident after {WARM} reloads "
              f"{before / (1 << 20):.1f}, after {RELOADS} {after / (1 << 20):.1f}")
        assert SANITIZED or after - before < 8 << 20, [octets >> 10 for octets in memory]
