"""A real HAProxy in TCP mode, like a cloud's classic load balancer: it knows connections and health checks, no HTTP."""

import csv
import io
import pathlib
import shutil
import socket
import subprocess
import tempfile

from peers import waiting

PROGRAM = shutil.which("haproxy") or next(iter(map(str, pathlib.Path("/usr/sbin").glob("haproxy"))), None)
INTERVAL_MILLISECONDS, FALL = 100, 3

CONFIGURATION = """
global
    stats socket {folder}/admin mode 600 level admin
defaults
    mode tcp
    timeout connect 10s
    timeout client 120s
    timeout server 120s
listen edge
    bind 127.0.0.1:{port}
    balance roundrobin
    option httpchk GET /healthz/ready
    default-server check inter {interval}ms fall {fall} rise 1
"""


class HAProxy:
    """`gateways` have a port and a status port."""

    def __init__(self, gateways):
        self.folder = tempfile.TemporaryDirectory(prefix="portico-haproxy-")
        self.port = waiting.free_port()
        text = CONFIGURATION.format(
            folder=self.folder.name, port=self.port, interval=INTERVAL_MILLISECONDS, fall=FALL)
        for number, gateway in enumerate(gateways):
            text += f"    server gateway{number} 127.0.0.1:{gateway.port} port {gateway.status_port}\n"
        file = pathlib.Path(self.folder.name) / "haproxy.cfg"
        file.write_text(text)
        self.process = subprocess.Popen([PROGRAM, "-db", "-f", str(file)], stdout=subprocess.DEVNULL)

    @property
    def target(self):
        return f"127.0.0.1:{self.port}"

    def servers(self):
        """Name → (state, connections so far, connections that were not made or broke)."""
        with socket.socket(socket.AF_UNIX) as admin:
            admin.settimeout(60)
            admin.connect(f"{self.folder.name}/admin")
            admin.sendall(b"show stat\n")
            text = b"".join(iter(lambda: admin.recv(65536), b"")).decode()
        rows = list(csv.DictReader(io.StringIO(text.lstrip("# "))))
        return {row["svname"]: (row["status"].split()[0], int(row["stot"]), int(row["econ"]) + int(row["wretr"]))
                for row in rows if row["svname"].startswith("gateway")}

    def wait(self, number, state, seconds=30):
        def is_there():
            try:
                return self.servers()[f"gateway{number}"][0] == state
            except OSError:
                return False

        waiting.until(is_there, seconds, f"gateway{number} to be {state}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)
        self.folder.cleanup()
