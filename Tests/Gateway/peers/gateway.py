"""Portico under test: the real binary, started on free ports, watched until it ends."""

import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import threading
import time

from peers import objects, waiting

ROOT = pathlib.Path(__file__).resolve().parents[3]
BINARY = pathlib.Path(os.environ.get("PORTICO_BINARY", ROOT / ".build/release/portico"))


def run(*arguments, stdin=None, seconds=20, environment=None):
    """A command of the binary that ends by itself, within `seconds` of an idle machine: check, routes, explain."""
    return subprocess.run(
        [str(BINARY), *map(str, arguments)], input=stdin, capture_output=True, text=True,
        timeout=seconds * waiting.SLOWNESS, env={**os.environ, **(environment or {})},
    )


def _mounts():
    """Whether a process may see a file of ours in the place of /etc/hosts."""
    try:
        command = ["unshare", "--mount", "mount", "--bind", "/etc/hosts", "/etc/hosts"]
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


MOUNTS = _mounts()


class Gateway:
    """`ports` are the Gateway objects' port numbers; each is mapped to a free one, see `port`.

    `config` is a list of objects or a text of them (written to a file that `write` replaces), or a list of paths.
    `hosts` are names and their addresses, which the gateway's resolver finds besides what it finds otherwise;
    `nameserver` is the address of the only server that it asks; both need `MOUNTS`. Leaving the `with` block sends
    SIGTERM and asserts that the process was alive and exits 0.
    """

    reading_seconds = 30  # for the last of what the process has said, once it has ended

    def __init__(self, config, ports=(8000,), workers=1, mesh=False, arguments=(), drain=None, ready=True,
                 open_files=None, hosts=None, nameserver=None):
        self.folder = tempfile.TemporaryDirectory(prefix="portico-test-")
        self.file = pathlib.Path(self.folder.name) / "objects.yaml"
        self.map = {port: waiting.free_port() for port in ports}
        self.status_port, self.admin_port = waiting.free_port(), waiting.free_port()
        self.mesh_port = waiting.free_port() if mesh else None
        self.killed = False
        if config and not isinstance(config, str) and isinstance(config[0], (str, pathlib.Path)):
            paths = config
        else:
            self.write(config)
            paths = [self.file]
        command = [str(BINARY), "serve", "--workers", str(workers), "--drain", drain or "1s"]
        # Where the drain is not what is tested, a gateway without requests ends at once and not half a second later.
        command += [] if drain else ["--drain-accept", "0s"]
        for path in paths:
            command += ["--config", str(path)]
        for port, bound in self.map.items():
            command += ["--listen-map", f"{port}={bound}"]
        command += ["--status", f"127.0.0.1:{self.status_port}", "--admin", f"127.0.0.1:{self.admin_port}"]
        if mesh:
            command += ["--mesh", f"127.0.0.1:{self.mesh_port}"]
        if open_files:
            command = ["sh", "-c", f'ulimit -n {open_files} && exec "$@"', "sh", *command]
        if hosts:
            command = self._mounted("hosts", "".join(f"{address} {name}\n" for name, address in hosts)) + command
        if nameserver:
            text = f"nameserver {nameserver}\noptions timeout:5 attempts:1\n"
            command = self._mounted("resolv.conf", text) + command
        self.command = command + list(arguments)
        self.output, self.errors = [], []
        self.start()
        if ready:
            self.wait_ready()

    def _mounted(self, name, text):
        """A command that gives the command behind it a text in the place of a file of /etc."""
        file = pathlib.Path(self.folder.name) / name
        file.write_text(text)
        return ["unshare", "--mount", "sh", "-c", f'mount --bind "$0" /etc/{name} && exec "$@"', file]

    def start(self):
        """Starts the process, also again after its end, with the same flags and ports."""
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace")
        self.readers = [
            threading.Thread(target=self._collect, args=pair, daemon=True)
            for pair in ((self.process.stdout, self.output), (self.process.stderr, self.errors))
        ]
        for reader in self.readers:
            reader.start()

    @staticmethod
    def _collect(stream, lines):
        for line in stream:
            lines.append(line.rstrip("\n"))

    @property
    def port(self):
        """The bound port of the only (or first) Gateway port."""
        return next(iter(self.map.values()))

    @property
    def target(self):
        return f"127.0.0.1:{self.port}"

    def write(self, config, file=None):
        """Replaces the file of objects by rename, so that no reader sees half of it."""
        file = file or self.file
        part = file.with_suffix(".part")
        part.write_text(config if isinstance(config, str) else objects.text(config))
        part.rename(file)

    # The process

    def wait_ready(self, seconds=15):
        def is_ready():
            assert self.process.poll() is None, f"portico ended: {self.said}"
            try:
                return self.status("/healthz/ready")[0] == 200
            except OSError:
                return False

        try:
            waiting.until(is_ready, seconds, "readiness")
        except AssertionError as error:
            self.kill()
            raise AssertionError(f"{error}; {self.said}") from None

    @property
    def said(self):
        return "\n".join(["stderr:", *self.errors[-40:], "stdout:", *self.output[-20:]])

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.killed = True
        self.process.kill()
        self.process.wait(10 * waiting.SLOWNESS)

    def wait_exit(self, seconds=15):
        code = self.process.wait(seconds * waiting.SLOWNESS)
        for reader in self.readers:
            reader.join(self.reading_seconds)
        return code

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if self.killed:
                return
            code = self.process.poll()
            if code is None:
                if kind is None:
                    self._assert_nothing_in_flight()
                self.signal(signal.SIGTERM)
                try:
                    code = self.wait_exit()
                except subprocess.TimeoutExpired:
                    self.kill()
                    code = "none: it did not end after SIGTERM"
            if kind is None or code not in (0, None):
                assert code == 0, f"portico's exit code is {code}; {self.said}"
        finally:
            self.folder.cleanup()

    def _assert_nothing_in_flight(self):
        """When no client waits for anything, no endpoint counts a request. Copies for mirrors may take longer."""
        def is_settled():
            text = self.metrics()
            if re.search(r"^portico_(requests|relays)_active [^0]", text, re.MULTILINE):
                return True
            return not re.search(r"^portico_endpoint_active_requests.* [^0]\S*$", text, re.MULTILINE)

        try:
            if not self.file.exists() or "mirror" not in self.file.read_text():
                waiting.until(is_settled, 5, "endpoints without requests in flight")
        except (OSError, http.client.HTTPException):
            return  # it is ending, or its status port is what is tested

    # Facts about it

    def status(self, path, port=None, method="GET", seconds=5):
        """(code, body) from the status port, or from another one."""
        connection = http.client.HTTPConnection(
            "127.0.0.1", port or self.status_port, timeout=seconds * waiting.SLOWNESS)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def admin(self, path, method="GET"):
        return self.status(path, self.admin_port, method)

    def metrics(self):
        return self.status("/metrics")[1]

    def metric(self, pattern):
        """The sum of all samples whose `name{labels}` matches the regular expression."""
        samples = re.findall(r"^([a-zA-Z_:][\w:]*(?:\{[^\n]*\})?) ([0-9.eE+-]+)$", self.metrics(), re.MULTILINE)
        return sum(float(value) for name, value in samples if re.search(pattern, name))

    def reload(self, seconds=10):
        """SIGHUP, then waits until the reload was counted."""
        before = self.metric(r"reload")
        self.signal(signal.SIGHUP)
        waiting.until(lambda: self.metric(r"reload") > before, seconds, "the reload")

    def memory_octets(self):
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) * 1024

    def open_files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def access_log(self, containing, seconds=5):
        """The first line of standard output that contains the text."""
        return waiting.until(
            lambda: next((line for line in list(self.output) if containing in line), None), seconds,
            f"a line with {containing!r} in the access log")

    def access_log_json(self, containing, seconds=5):
        return json.loads(self.access_log(containing, seconds))


class Peak:
    """The largest resident memory while the block runs; 0 under a sanitizer, which keeps what was freed: no bound of
    memory holds there."""

    def __init__(self, gateway):
        self.gateway, self.octets, self.over = gateway, 0, threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()
        return self

    def _watch(self):
        while "PORTICO_SANITIZER" not in os.environ and not self.over.wait(0.02):
            try:
                self.octets = max(self.octets, self.gateway.memory_octets())
            except (OSError, TypeError):
                return

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def elapsed(work):
    """(seconds, result) of `work()`."""
    start = time.monotonic()
    result = work()
    return time.monotonic() - start, result
