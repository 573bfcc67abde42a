"""Clients that go on asking while something happens to the gateway, each in a thread of its own. `count` is how many
requests were answered as they should be, `failures` is what happened to the others."""

import re
import subprocess
import threading

import grpc

from peers.backend import Caller


class Asking:
    """Calls `_ask` until the block ends."""

    def __init__(self):
        self.count, self.failures, self.over = 0, [], threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        try:
            while not self.over.is_set():
                self._ask()
        except Exception as error:  # a client that breaks is a failure of the test, not a silent end
            self.failures.append(repr(error))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        """Also called twice: by a test that wants to know the end, and by its block."""
        self.over.set()
        self.thread.join(180)
        if self.thread.is_alive():
            self.failures.append("the client hangs")


class GrpcCalls(Asking):
    """Unary calls by grpcio, one after the other on one connection. It obeys GOAWAY, and sends again what the gateway
    has said that it did not process."""

    def __init__(self, target, timeout=120):
        super().__init__()
        options = [("grpc.enable_retries", 1), ("grpc.initial_reconnect_backoff_ms", 50),
                   ("grpc.min_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 200)]
        self.caller, self.timeout = Caller(target, options=options), timeout

    def _ask(self):
        code, details = self.caller.status(timeout=self.timeout)
        if code.value[0]:
            self.failures.append((code, details))
        else:
            self.count += 1

    def __exit__(self, *exception):
        super().__exit__(*exception)
        self.caller.__exit__(*exception)


class Curls(Asking):
    """Twenty requests in a run of curl, which keeps its connection as long as the gateway does.

    In HTTP/1.1: curl 7.88 with `--http2-prior-knowledge` fails on each connection that it uses again, see
    test_curl_goaway.py, which has HTTP/2.
    """

    def __init__(self, url, *arguments):
        super().__init__()
        self.command = ["curl", "--silent", "--show-error", "--max-time", "120", *arguments]
        self.command += ["--write-out", "%{http_code}\n", *(["--output", "/dev/null", url] * 20)]

    def _ask(self):
        done = subprocess.run(self.command, capture_output=True, text=True, timeout=300)
        codes = done.stdout.split()
        self.count += codes.count("200")
        if done.returncode or codes != ["200"] * 20:
            self.failures.append((done.returncode, done.stderr, codes))


class Load(Asking):
    """h2load again and again, so that connections of every age meet what happens."""

    def __init__(self, *arguments, streams=4, requests=200):
        super().__init__()
        self.command = ["h2load", "-n", str(requests), "-m", str(streams), *arguments]

    def _ask(self):
        done = subprocess.run(self.command, capture_output=True, text=True, timeout=300)
        found = re.search(r"(\d+) succeeded, 0 failed, 0 errored, 0 timeout", done.stdout)
        if found and re.search(r"status codes: \d+ 2xx, 0 3xx, 0 4xx, 0 5xx", done.stdout):
            self.count += int(found[1])
        else:
            self.failures.append(done.stdout + done.stderr)


class Streams(GrpcCalls):
    """Bidirectional calls of twenty messages, each of which waits for its echo."""

    def _ask(self):
        ready = threading.Semaphore(1)

        def messages():
            for number in range(20):
                ready.acquire()
                yield b"%d" % number

        answered = []
        try:
            for answer in self.caller.chat(messages(), timeout=self.timeout):
                answered.append(answer)
                ready.release()
        except grpc.RpcError as error:
            self.failures.append((error.code(), error.details(), len(answered)))
            return
        finally:
            for _ in range(20):
                ready.release()
        if answered == [b"%d" % number for number in range(20)]:
            self.count += 1
        else:
            self.failures.append(answered)
