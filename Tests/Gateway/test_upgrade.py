"""SIGUSR2: another process takes the listening sockets, and no request is lost; what cannot work changes nothing."""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest

from peers import gateway as portico
from peers import http1, http2, objects, waiting
from peers.backend import Backend, Caller, paced
from peers.clients import Curls, GrpcCalls, Load
from peers.gateway import Gateway

SANITIZED = "PORTICO_SANITIZER" in os.environ
LIMIT = ["--upgrade-limit", "5m"]


class Upgradable(Gateway):
    """A gateway from a copy of the binary, which a test may replace. `process` stays the one that was started; others
    are found by the lines that it says."""

    reading_seconds = 1  # its successors have the same pipes

    def __init__(self, config, *arguments, **options):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="portico-upgrade-"))
        self.binary = self.home / "portico"
        self.install(portico.BINARY)
        self.pids = []
        kept, portico.BINARY = portico.BINARY, self.binary
        try:
            super().__init__(config, arguments=[*LIMIT, *arguments], **options)
        finally:
            portico.BINARY = kept
        self.pids.append(self.process.pid)

    def install(self, binary):
        """Puts another program in the place of this one, as installers do."""
        part = self.home / "portico.new"
        shutil.copy2(binary, part)
        part.rename(self.binary)

    def script(self, text, mode=0o755):
        """Puts a shell script in the place of the program."""
        part = self.home / "portico.script"
        part.write_text(text)
        part.chmod(mode)
        part.rename(self.binary)

    @property
    def pid(self):
        """Of the process that serves."""
        return self.pids[-1]

    def says(self, pattern, seconds=60, since=0):
        def found():
            return next((match for line in self.errors[since:] if (match := re.search(pattern, line))), None)

        return waiting.until(found, seconds, f"{pattern} in {self.errors[-30:]}")

    def ask(self):
        """SIGUSR2 to the process that serves; returns where its messages begin."""
        since = len(self.errors)
        os.kill(self.pid, signal.SIGUSR2)
        return since

    def upgrade(self):
        since = self.ask()
        self.pids.append(int(self.says(r"upgraded: process (\d+) serves", since=since)[1]))

    def refused(self, pattern):
        """An upgrade that is not made; the same process serves on."""
        since = self.ask()
        self.says(pattern, since=since)
        assert self.status("/healthz/ready")[0] == 200
        return since

    def __exit__(self, *exception):
        for pid in self.pids[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        try:
            for pid in self.pids[1:]:
                waiting.until(lambda: not alive(pid), 20, f"the end of process {pid}")
            if self.process.poll() == 0:
                self.killed = True
            super().__exit__(*exception)
        finally:
            for pid in self.pids[1:]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            shutil.rmtree(self.home)


def alive(pid):
    """Whether the process runs; one that has ended and that nobody has waited for does not."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] not in "ZX"


@pytest.fixture
def served(backend):
    with Upgradable(objects.echo(backend), drain="20s", workers=2) as gateway:
        yield gateway


def test_three_upgrades_under_load_fail_no_request():
    with Backend() as backend, http1.Upstream() as web:
        config = [
            objects.gateway(),
            objects.virtual_service([
                objects.rule("web", match=[{"uri": {"prefix": "/web"}}]), objects.rule("calls"),
            ]),
            *objects.served_by("web", web, port=80, protocol_name="http"),
            *objects.served_by("calls", backend, port=80, protocol_name="grpc"),
        ]
        with Upgradable(config, drain="2m", workers=2) as gateway:
            loads = [GrpcCalls(gateway.target), GrpcCalls(gateway.target), Curls(f"http://{gateway.target}/web"),
                     Load("-c", "4", "--h1", f"http://{gateway.target}/web", streams=1)]
            with contextlib.ExitStack() as stack:
                for load in loads:
                    stack.enter_context(load)
                for _ in range(3):
                    reached = [load.count for load in loads]
                    waiting.until(lambda: all(load.count > before for load, before in zip(loads, reached)), 60,
                                  "requests of every client")
                    gateway.upgrade()
                    assert gateway.status("/healthz/ready")[0] == 200
                reached = [load.count for load in loads]
                waiting.until(lambda: all(load.count > before for load, before in zip(loads, reached)), 60,
                              "requests of every client")
            for load in loads:
                print(load, load.count, load.failures[:5])
            assert [load.failures for load in loads] == [[]] * len(loads)
            waiting.until(lambda: not alive(gateway.pids[0]) and not alive(gateway.pids[1]), 60, "the old ones' end")
            assert len(set(gateway.pids)) == 4
            gateway.says("nothing was cut")


def test_a_health_check_that_the_old_process_has_begun_to_read_is_good(served):
    """Whoever gets a 503 takes the address for one that does not serve."""
    with Caller(served.target) as caller:
        asked, messages = paced(2)  # a call keeps the old process
        replies = caller.chat(messages)
        assert next(replies) == b"0"
        with socket.create_connection(("127.0.0.1", served.status_port), 10) as check:
            check.sendall(b"GET /healthz/ready HTTP/1.1\r\n")
            served.upgrade()
            check.sendall(b"host: a\r\n\r\n")
            answer = b"".join(iter(lambda: check.recv(4096), b""))
        asked.release()
        assert [*replies] == [b"1"]
    assert answer.startswith(b"HTTP/1.1 200") and b"the gateway after this one serves" in answer, answer


def test_a_running_stream_completes_in_the_old_process(served):
    with Caller(served.target) as caller:
        asked, messages = paced(3)
        replies = caller.chat(messages)
        assert next(replies) == b"0"
        served.upgrade()
        for index in (1, 2):
            asked.release()
            assert next(replies) == b"%d" % index
        assert list(replies) == []
    assert served.wait_exit(30) == 0


def test_who_connects_in_the_middle_of_an_upgrade_is_served(backend):
    """Each sends its request at once: to one that is idle, the old process says GOAWAY after a while."""
    def ask():
        client = http2.connect(gateway.port)
        return client, client.open(http2.grpc_headers(), http2.message())

    with Upgradable(objects.echo(backend), drain="2m", workers=2) as gateway:
        since = gateway.ask()
        gateway.says(r"process \d+ is started", since=since)
        asked = [ask() for _ in range(50)]
        gateway.pids.append(int(gateway.says(r"upgraded: process (\d+) serves", since=since)[1]))
        asked += [ask() for _ in range(50)]
        for client, stream in asked:
            client.wait(lambda stream=stream: stream.over, 20)
            assert stream.grpc_status == 0
            client.close()


def test_the_sockets_are_the_same_and_as_many(served):
    def inodes(pid):
        links = []
        for number in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):  # closed since it was listed
                links.append(os.readlink(f"/proc/{pid}/fd/{number}"))
        listening = {line.split()[9] for table in ("tcp", "tcp6")
                     for line in pathlib.Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
                     if line.split()[3] == "0A"}
        return {link for link in links if re.sub(r"\D", "", link) in listening and link.startswith("socket:")}

    before = inodes(served.pid)
    assert len(before) == 2 + 2  # a listener's of two workers, status, admin
    served.upgrade()
    assert inodes(served.pid) == before


def test_a_broken_configuration_leaves_the_old_process_in_charge(served, backend):
    good = served.file.read_text()
    served.write("a: [\n")
    served.refused(r"upgrade to process \d+ has failed: it ended with status 2; this process goes on")
    served.write(good.replace("number: 8000", "number: no-number"))
    served.refused(r"upgrade to process \d+ has failed")
    with Caller(served.target) as caller:
        assert caller.status()[0].value[0] == 0
    served.write(good)
    served.upgrade()
    with Caller(served.target) as caller:
        assert caller.status()[0].value[0] == 0


def test_one_invalid_object_is_enough_because_its_last_good_version_would_be_lost(served):
    text = served.file.read_text()
    served.write(text + "\n---\n" + objects.text([{
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "broken"},
        "spec": {"hosts": 5}}]))
    since = served.refused(r"has failed: it ended with status 2")
    served.says("those of the gateway before this one 0: it goes on", since=since)
    # Once the old process has the same error itself, nothing is lost by it.
    served.reload()
    served.upgrade()


def test_a_program_that_is_gone_or_no_program(served):
    served.binary.unlink()
    served.refused(r"no upgrade: cannot start .*: No such file or directory; this process goes on")
    served.script("#!/bin/sh\nexit 7\n")
    served.refused(r"has failed: it ended with status 7; this process goes on")
    served.script("no program\n", 0o644)
    served.refused(r"no upgrade: cannot start .*: Permission denied")
    served.install(portico.BINARY)
    served.upgrade()


def test_a_program_that_never_says_that_it_is_ready_is_ended(backend):
    with Upgradable(objects.echo(backend), "--upgrade-limit", "1s") as gateway:
        gateway.script("#!/bin/sh\nexec sleep 600\n")
        since = gateway.ask()
        child = int(gateway.says(r"process (\d+) is started", since=since)[1])
        gateway.says(r"has failed: it does not serve within 1 s \(--upgrade-limit\)", since=since)
        assert gateway.metric('limit="upgrade_time"') == 1
        waiting.until(lambda: not alive(child), 10, "the end of the child")
        with Caller(gateway.target) as caller:
            assert caller.status()[0].value[0] == 0


def test_a_program_that_says_nonsense_is_ended(served):
    served.script("#!/bin/sh\nprintf x >&3\nexec sleep 600\n")
    since = served.ask()
    child = int(served.says(r"process (\d+) is started", since=since)[1])
    served.says(r"has failed: ", since=since)
    waiting.until(lambda: not alive(child), 10, "the end of the child")


def test_a_second_signal_and_a_reload_wait_for_the_first_upgrade(served):
    served.script("#!/bin/sh\nexec sleep 600\n")
    since = served.ask()
    served.says(r"process (\d+) is started", since=since)
    again = served.ask()
    child = int(served.says(r"no upgrade: process (\d+) is being started already", since=again)[1])
    before = served.metric(r"reload")
    os.kill(served.pid, signal.SIGHUP)
    os.kill(child, signal.SIGKILL)
    served.says(r"has failed: signal 9 ended it", since=since)
    waiting.until(lambda: served.metric(r"reload") > before, 10, "the reload that had to wait")


def test_no_upgrade_while_draining(backend):
    with Upgradable(objects.echo(backend), drain="2m") as gateway, http2.connect(gateway.port) as client:
        stream = client.open(http2.grpc_headers("/test.Echo/Chat"), end=False)
        client.send_data(stream.number, http2.message())
        client.wait(lambda: stream.data, 5)
        os.kill(gateway.pid, signal.SIGTERM)
        gateway.says("draining: ")
        since = gateway.ask()
        gateway.says("no upgrade: this process drains", since=since)
        client.send_data(stream.number, b"", end=True)
        client.wait(lambda: stream.over, 5)
        assert stream.grpc_status == 0


def test_sigterm_during_an_upgrade_ends_both(backend):
    with Upgradable(objects.echo(backend), drain="2s") as gateway:
        gateway.script("#!/bin/sh\nexec sleep 600\n")
        since = gateway.ask()
        child = int(gateway.says(r"process (\d+) is started", since=since)[1])
        os.kill(gateway.pid, signal.SIGTERM)
        gateway.says("has failed: the process is asked to end", since=since)
        assert gateway.wait_exit(20) == 0
        waiting.until(lambda: not alive(child), 10, "the end of the child")


def test_sigterm_to_the_old_process_after_an_upgrade_lets_it_drain(served):
    with http2.connect(served.port) as client:
        stream = client.open(http2.grpc_headers("/test.Echo/Chat"), end=False)
        client.send_data(stream.number, http2.message())
        client.wait(lambda: stream.data, 5)
        served.upgrade()
        os.kill(served.pids[0], signal.SIGTERM)
        served.says("draining since the upgrade")
        client.send_data(stream.number, b"", end=True)
        client.wait(lambda: stream.over, 5)
        assert stream.grpc_status == 0


def test_what_came_from_standard_input_cannot_be_read_again(backend):
    with Upgradable(objects.echo(backend)) as gateway:
        command = [str(gateway.binary), "serve", "--config", "-", "--listen-map", f"8000={waiting.free_port()}"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            process.stdin.write(objects.text(objects.echo(backend)))
            process.stdin.close()
            lines = iter(process.stderr.readline, "")
            assert any("serving on" in line for line in lines)
            process.send_signal(signal.SIGUSR2)
            assert any("standard input, which is read only once" in line for line in lines)
            process.kill()


# systemd


def spawn(arguments, sockets, environment, owner="$$"):
    """`portico serve` with listening sockets as its descriptors 3, 4 and so on, as systemd starts services."""
    # Numbers beyond those that are given, so that none is overwritten before it is copied.
    copies = [os.dup(each.fileno()) for each in sockets]
    moved = [os.dup2(number, 100 + index) for index, number in enumerate(copies)]
    script = "".join(f"exec {3 + index}<&{number} {number}<&-; " for index, number in enumerate(moved))
    script += f'export LISTEN_PID={owner} LISTEN_FDS={environment.pop("LISTEN_FDS", len(sockets))}; exec "$@"'
    try:
        return subprocess.Popen(
            ["bash", "-c", script, "bash", str(portico.BINARY), "serve", *arguments], stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, pass_fds=moved, env={**os.environ, **environment})
    finally:
        for number in copies + moved:
            os.close(number)


@pytest.fixture
def file(tmp_path, web):
    path = tmp_path / "objects.yaml"
    path.write_text(objects.text(objects.echo(web, protocol="HTTP", protocol_name="http")))
    return path


def test_sockets_of_systemd_are_used_and_systemd_hears_of_the_upgrade(file, tmp_path):
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    manager.settimeout(60)
    pid_file = tmp_path / "portico.pid"
    with socket.create_server(("0.0.0.0", 0)) as service, socket.create_server(("127.0.0.1", 0)) as status:
        # A client that comes before the gateway.
        early = http1.connect(service.getsockname()[1])
        early.send("GET /early HTTP/1.1\r\nHost: a\r\n\r\n")
        process = spawn(
            ["--config", str(file), "--workers", "3", "--listen-map", f"8000={service.getsockname()[1]}", "--status",
             f"127.0.0.1:{status.getsockname()[1]}", "--pid-file", str(pid_file), "--drain", "2s"],
            [service, status], {"NOTIFY_SOCKET": str(tmp_path / "notify"), "LISTEN_FDNAMES": "http:status"})
        main = process.pid
        try:
            assert early.response().status == 200
            assert b"READY=1" in manager.recv(1000)
            waiting.until(lambda: pid_file.exists() and pid_file.read_text() == f"{process.pid}\n", 10, "the file")
            os.kill(process.pid, signal.SIGUSR2)
            main = int(re.search(rb"MAINPID=(\d+)", manager.recv(1000))[1])
            assert main != process.pid and alive(main)
            assert http1.get(service.getsockname()[1], "/late").status == 200
            assert process.wait(60) == 0
            assert pid_file.read_text() == f"{main}\n"
            os.kill(main, signal.SIGTERM)
            assert b"STOPPING=1" in manager.recv(1000)
            waiting.until(lambda: not alive(main) and not pid_file.exists(), 20, "its end, and that of the file")
        finally:
            for pid in (process.pid, main):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait(60)
            process.stderr.close()
            manager.close()


def test_sockets_for_another_process_are_not_touched(file):
    with socket.create_server(("127.0.0.1", 0)) as other:
        process = spawn(["--config", str(file), "--listen-map", f"8000={waiting.free_port()}"], [other], {}, owner="1")
        with process:
            assert any("serving on" in line for line in iter(process.stderr.readline, ""))
            process.kill()


@pytest.mark.parametrize("environment, words", [
    ({"LISTEN_FDS": "x"}, "understand the variable LISTEN_FDS"),
    ({"LISTEN_FDS": "-1"}, "understand the variable LISTEN_FDS"),
    ({"LISTEN_FDS": "99999999999999999999"}, "understand the variable LISTEN_FDS"),
    ({"LISTEN_FDS": "2147483647"}, "understand the variable LISTEN_FDS"),
    ({"LISTEN_FDS": "1000000"}, "take over descriptor"),
    ({"LISTEN_FDS": "2"}, "take over descriptor 4"),
    ({"PORTICO_SUCCESSION": "x"}, "understand the variable PORTICO_SUCCESSION"),
    ({"PORTICO_SUCCESSION": "1,2"}, "understand the variable PORTICO_SUCCESSION"),
    ({"PORTICO_SUCCESSION": "-1,2,3"}, "understand the variable PORTICO_SUCCESSION"),
    ({"PORTICO_SUCCESSION": "1,0,0"}, "understand the variable PORTICO_SUCCESSION"),
    ({"PORTICO_SUCCESSION": "1,1,0,"}, "understand the variable PORTICO_SUCCESSION"),
    ({"PORTICO_SUCCESSION": "0,1,0"}, "speak with the gateway before this one"),
    ({"PORTICO_SUCCESSION": "1048576,1,0"}, "take over descriptor"),
])
def test_what_is_handed_over_may_be_nonsense(file, environment, words):
    with socket.create_server(("127.0.0.1", 0)) as given:
        process = spawn(["--config", str(file)], [given], dict(environment))
        errors = process.communicate(timeout=120)[1]
        assert process.returncode == 2 and words in errors, errors
        assert "Fatal error" not in errors and "crash" not in errors


def test_more_sockets_than_workers_are_an_error_that_says_what_to_do(file):
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(socket.create_server(("0.0.0.0", 0), reuse_port=True))
        port = first.getsockname()[1]
        second = stack.enter_context(socket.create_server(("0.0.0.0", port), reuse_port=True))
        process = spawn(
            ["--config", str(file), "--workers", "1", "--listen-map", f"8000={port}"], [first, second], {})
        errors = process.communicate(timeout=120)[1]
        assert process.returncode == 2 and "--workers 2" in errors, errors
