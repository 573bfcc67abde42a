"""Mixed traffic for a while: unary calls, streams, requests that are given up, clients that read slowly, reloads, and
backends that are replaced. Each request says a name of its own, and no answer may have another one's. `make soak` runs
it for half an hour, `make test` for some seconds (PORTICO_SOAK_SECONDS)."""

import contextlib
import itertools
import os
import re
import socket
import subprocess
import threading
import time

import pytest

from peers import certificates, http2, objects, waiting
from peers.backend import Caller
from peers.clients import Asking
from peers.echo import BINARY, Echo
from peers.gateway import Gateway

SANITIZED = "PORTICO_SANITIZER" in os.environ
SECONDS = float(os.environ.get("PORTICO_SOAK_SECONDS", "20"))
HOST = "soak.test"
CALLS = 200 if SANITIZED else 20_000
OWN, FOREIGN = (rf"replies of {words} +(\d+)" for words in ("its own", "another call"))


class Checked(Asking):
    """Runs of `portico-echo call` that check whose each reply is. `statuses`: those that a call may have."""

    def __init__(self, url, *arguments, calls=CALLS, statuses=("0", "200")):
        super().__init__()
        self.command = [str(BINARY), "call", url, "-n", str(calls), "--authority", HOST, "--check-replies", *arguments]
        self.statuses, self.foreign = statuses, 0

    def _ask(self):
        done = subprocess.run(self.command, capture_output=True, text=True, timeout=600)
        counts = [re.search(pattern, done.stdout) for pattern in (OWN, FOREIGN)]
        if not all(counts):
            self.failures.append(done.stdout + done.stderr)
            return
        self.count += int(counts[0][1])
        self.foreign += int(counts[1][1])
        found = dict(re.findall(r"(?:grpc-status|HTTP status) (\d+) +(\d+)", done.stdout))
        if "no answer" in done.stdout or set(found) - set(self.statuses):
            self.failures.append(done.stdout)


class Chats(Asking):
    """Bidirectional streams by grpcio, each message with a number of its own."""

    numbers = itertools.count()

    def __init__(self, target):
        super().__init__()
        self.caller = Caller(target, None, [("grpc.default_authority", HOST)])

    def _ask(self):
        sent = [b"chat-%d" % next(self.numbers) for _ in range(50)]
        got = list(self.caller.chat(iter(sent), timeout=60))
        if got != sent:
            self.failures.append((sent, got))
        self.count += len(sent)

    def __exit__(self, *exception):
        super().__exit__(*exception)
        self.caller.__exit__(*exception)


class SlowReader(Asking):
    """Asks for a megabyte by HTTP/1.1 and reads it a little at a time."""

    def __init__(self, port):
        super().__init__()
        self.port = port

    def _ask(self):
        name = f"slow-{id(self)}-{self.count}"
        request = f"GET /slow HTTP/1.1\r\nHost: {HOST}\r\nx-name: {name}\r\necho-headers: 1\r\necho-size: 1000000\r\n"
        with socket.create_connection(("127.0.0.1", self.port), 60) as plain:
            plain.sendall(f"{request}connection: close\r\n\r\n".encode())
            got = b""
            while piece := plain.recv(16_384):
                got += piece
                self.over.wait(0.01)
        if f"echo-x-name: {name}\r\n".encode() not in got or len(got) < 1_000_000:
            self.failures.append((name, len(got), got[:400]))
        self.count += 1


class Resets(Asking):
    """A client of HTTP/2 that gives its requests up at once."""

    def __init__(self, port):
        super().__init__()
        self.port = port

    def _ask(self):
        with http2.connect(self.port) as client:
            for _ in range(50):
                stream = client.open(http2.grpc_headers(authority=HOST), end=False)
                client.send_reset(stream.number)
                self.count += 1
            code = client.exchange(http2.get_headers(authority=HOST)).status
        if code != 200:
            self.failures.append(code)


class Memory(threading.Thread):
    """The gateway's resident octets, once a second."""

    def __init__(self, gateway):
        super().__init__(daemon=True)
        self.gateway, self.over, self.samples = gateway, threading.Event(), []

    def run(self):
        while not self.over.wait(1):
            self.samples.append(self.gateway.memory_octets())

    def growth(self):
        """What the second half of the samples has more than the first one, in octets on average; the first tenth, in
        which pools and caches fill, is left out."""
        kept = self.samples[len(self.samples) // 10:]
        half = len(kept) // 2
        return sum(kept[half:]) / (len(kept) - half) - sum(kept[:half]) / half


def config(backends, pair, reload):
    rules = [objects.rule("echo", name=f"r{reload % 7}")]
    return [
        objects.gateway(),
        objects.gateway("secure", 443, "HTTPS", [HOST], {"mode": "SIMPLE", "credentialName": "cert"}),
        objects.virtual_service(rules, gateways=["edge", "secure"], hosts=[HOST]),
        *objects.served_by("echo", *backends), objects.tls_secret("cert", pair),
    ]


class Operator:
    """Reloads the gateway, and replaces one backend after the other as a careful cluster does: first the endpoint
    leaves, then the process."""

    def __init__(self, gateway, pair, stack):
        self.gateway, self.pair, self.stack = gateway, pair, stack
        self.reloads, self.replaced = 0, 0

    def write(self, backends):
        self.reloads += 1
        self.gateway.write(config(backends, self.pair, self.reloads))
        self.gateway.reload(60)

    def replace(self, backends):
        new = self.stack.enter_context(Echo())
        self.write([*backends, new])
        old, *rest = backends
        self.write([*rest, new])
        old.process.terminate()  # it finishes what it has
        waiting.until(lambda: old.process.poll() is not None, 120, "the end of what the endpoint has")
        self.replaced += 1
        return [*rest, new]


@pytest.mark.timeout(SECONDS + 300)
def test_mixed_traffic_mixes_nothing_up(tmp_path):
    authority = certificates.authority()
    ca = tmp_path / "ca.pem"
    ca.write_bytes(authority.certificate)
    with contextlib.ExitStack() as stack:
        backends = [stack.enter_context(Echo()) for _ in range(3)]
        pair = authority.issue(HOST)
        arguments = ["--access-log", "off", "--max-connection-age", "10s"]
        gateway = stack.enter_context(
            Gateway(config(backends, pair, 0), [8000, 443], workers=2, arguments=arguments))
        clear, secure = (f"127.0.0.1:{gateway.map[port]}" for port in (8000, 443))
        busy = ["-c", "32", "--connections", "4"]
        checked = [
            Checked(f"grpc://{clear}", *busy), Checked(f"grpcs://{secure}", *busy, "--cacert", str(ca)),
            Checked(f"http://{clear}/a", "-c", "8", "--connections", "8"),
            Checked(f"grpc://{clear}", "-c", "20", "-H", "echo-sleep: 20ms", "--timeout", "10ms", calls=400,
                    statuses=("0", "4")),
        ]
        others = [Chats(clear), SlowReader(gateway.map[8000]), Resets(gateway.map[8000])]
        memory = Memory(gateway)
        operator = Operator(gateway, pair, stack)
        begin = time.monotonic()
        with contextlib.ExitStack() as clients:
            for client in [*checked, *others]:
                clients.enter_context(client)
            memory.start()
            while time.monotonic() < begin + SECONDS:
                backends = operator.replace(backends)
        memory.over.set()
        memory.join()
        count, foreign = sum(each.count for each in checked), sum(each.foreign for each in checked)
        rest = ", ".join(f"{type(each).__name__} {each.count}" for each in others)
        print(f"{count} replies of their own, {foreign} of another call; {rest}; {operator.reloads} reloads, "
              f"{operator.replaced} backends replaced; {max(memory.samples) >> 20} MiB at most, "
              f"{memory.growth() / 1024:.0f} KiB more in the second half")
        assert foreign == 0
        assert [failure for each in [*checked, *others] for failure in each.failures] == []
        assert count > 0 and all(each.count for each in [*checked[:3], *others])
        if SECONDS >= 600 and not SANITIZED:
            assert abs(memory.growth()) < 0.05 * max(memory.samples)
