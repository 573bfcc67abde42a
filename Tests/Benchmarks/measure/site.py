"""What every peer is put in front of: backends, certificates, bodies, in a folder that goes away."""

import dataclasses
import os
import pathlib
import subprocess
import sys
import tempfile

from . import machine

ROOT = pathlib.Path(__file__).resolve().parents[3]
PORTICO = pathlib.Path(os.environ.get("PORTICO_BINARY", ROOT / ".build/release/portico")).absolute()
ECHO = pathlib.Path(os.environ.get("PORTICO_ECHO", ROOT / ".build/release/portico-echo")).absolute()
METHOD = "/main.MainService/Get"


@dataclasses.dataclass(frozen=True)
class Job:
    """What a peer has to do: the same for all of them."""

    tls: bool = False  # TLS 1.3 from the client
    upstream_tls: bool = False  # TLS 1.3 towards the backend, whose certificate is verified; never with `http1`
    http1: bool = False  # HTTP/1.1 in and out instead of HTTP/2
    log: bool = False  # a line of access log per request, into a file
    echo: bool = False  # backend portico-echo instead of nghttpd; always with `http1`
    routes: int = 0  # so many more routes, by path prefix: /r0/ …
    policies: bool = False  # its one rule rewrites the path and has four header operations
    attacked: bool = False  # a second backend behind /attacked/, and a ceiling of memory
    hosts: int = 0  # so many more hosts, a VirtualService each: h0.test …
    relay: str = ""  # octets instead of requests: `tcp`, or `tls` that is passed on


class Site:
    def __init__(self, big_octets):
        self._folder = tempfile.TemporaryDirectory(prefix="portico-bench-")
        self.folder = pathlib.Path(self._folder.name)
        self.big_octets = big_octets
        self._running = []
        self._make_files()
        self._make_certificate()
        self.backend = machine.free_port()
        # The trailer makes it a gRPC server as far as a gateway can see. Windows: 1 MiB and 16 MiB.
        self._start("nghttpd", self.backend, [
            "nghttpd", "--no-tls", "-m", 1024, "-w", 20, "-W", 24, "--trailer", "grpc-status: 0", "-d",
            self.folder / "www", self.backend])
        self.secured = machine.free_port()
        self._start("secured", self.secured, [
            "nghttpd", "-m", 1024, "-w", 20, "-W", 24, "--trailer", "grpc-status: 0", "-d", self.folder / "www",
            self.secured, self.key, self.certificate])
        self.attacked = machine.free_port()
        self._start("attacked", self.attacked, [
            "nghttpd", "--no-tls", "-m", 1024, "-w", 20, "-W", 24, "-d", self.folder / "www", self.attacked],
            yields=True)
        self.echo = machine.free_port()
        if ECHO.exists():
            self._start("portico-echo", self.echo, [ECHO, "serve", "--listen", f"127.0.0.1:{self.echo}"])

        sink = pathlib.Path(__file__).parent / "sink.py"
        self.sink, self.attacked_sink = machine.free_port(), machine.free_port()
        self._start("sink", self.sink, [sys.executable, sink, self.sink])
        self._start("attacked-sink", self.attacked_sink, [sys.executable, sink, self.attacked_sink], yields=True)

    def _start(self, name, port, command, yields=False):
        process = machine.Process(command, machine.LOAD_CORE, self.folder, name, yields=yields)
        self._running.append(process)
        process.wait_for_port(port)

    def _make_files(self):
        """A gRPC message of ten octets, and a big one; each is request body and answer."""
        self.small, self.big = self.folder / "small", self.folder / "big"
        self.small.write_bytes(b"\0\0\0\0\x0a0123456789")
        self.big.write_bytes(b"\0" + self.big_octets.to_bytes(4, "big") + bytes(self.big_octets))
        for path, body in ((METHOD, self.small), ("/main.MainService/Big", self.big)):
            self.offer(path, body)
        mebi = self.folder / "mebi"
        mebi.write_bytes(bytes(1 << 20))
        self.offer("/attacked/Mebi", mebi)
        self.offer("/attacked/Sink", self.small)

    def offer(self, path, body):
        place = self.folder / "www" / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            os.link(body, place)

    def _make_certificate(self):
        """ECDSA P-256 for everybody; in one file for HAProxy."""
        self.certificate, self.key, self.pem = (self.folder / name for name in ("cert.pem", "key.pem", "both.pem"))
        subprocess.run([
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=bench.test", "-addext", "subjectAltName=DNS:bench.test,IP:127.0.0.1", "-keyout", self.key,
            "-out", self.certificate], check=True, capture_output=True)
        self.pem.write_text(self.certificate.read_text() + self.key.read_text())

    def backend_of(self, job):
        if job.relay:
            return self.sink
        if job.upstream_tls:
            return self.secured
        return self.echo if job.http1 or job.echo else self.backend

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self._running:
            process.stop()
        self._folder.cleanup()
