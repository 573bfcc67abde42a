"""portico-echo as a backend: an HTTP/2 server that keeps to flow control and bears thousands of streams."""

import os
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[3]
BINARY = pathlib.Path(os.environ.get("PORTICO_ECHO", ROOT / ".build/release/portico-echo"))


class Echo:
    """Has `address` and `port`, as all backends."""

    def __init__(self, address="127.0.0.1"):
        self.process = subprocess.Popen(
            [str(BINARY), "serve", "--listen", f"{address}:0"], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.address, self.port = address, int(re.search(r":(\d+)$", line.strip())[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)
        self.process.stdout.close()
