"""portico-echo under test: the real binary on free ports of 127.0.0.1."""

import os
import pathlib
import re
import signal
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("PORTICO_ECHO", ROOT / ".build/release/portico-echo"))


class Echo:
    """One process; `address` is its first listener. Leaving the block sends SIGTERM and wants exit 0."""

    def __init__(self, *arguments, listeners=1):
        command = [str(BINARY), "serve", *arguments]
        for number in range(listeners):
            command += ["--listen", f"127.0.0.{number + 1}:0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        lines = [self.process.stdout.readline() for _ in range(listeners)]
        self.addresses = [re.search(r"listens on (\S+)", line).group(1) for line in lines]
        self.address = self.addresses[0]
        self.port = int(self.address.rpartition(":")[2])

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        assert kind or code == 0, f"portico-echo ended with {code}"

    def resident_kilobytes(self):
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", text).group(1))


def call(url, *arguments):
    """`portico-echo call`: exit code and text."""
    done = subprocess.run(
        [str(BINARY), "call", url, *map(str, arguments)], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr
