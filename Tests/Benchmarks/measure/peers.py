"""Portico and its peers: how each is configured (../peers), started and told to read its files again."""

import base64
import os
import pathlib
import re
import shutil
import signal
import subprocess
import urllib.request

from . import machine, site as sites, template

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "peers"
VENV = sites.ROOT / ".build/venv/bin"


class Peer:
    """One of them, running: a context manager. `port` is where it listens."""

    share = 1.0  # of the requests that the others get
    table_share = 1.0  # of these, with 100,000 routes: who tries one after the other needs milliseconds
    name = ""
    files = ()  # (template, file made from it)
    environment = {}

    def __init__(self, job, site):
        self.site, self.port, self.secure, self.passed, self.admin = site, *(machine.free_port() for _ in range(4))
        self.folder = site.folder / self.name
        self.folder.mkdir(exist_ok=True)
        self.log = self.folder / "access.log"
        self.log.unlink(missing_ok=True)
        self.write(job)
        self.publish()
        self.process = machine.Process(
            self.command(job), machine.GATEWAY_CORE, self.folder, "output", self.environment)
        try:
            self.process.wait_for_port(self.port, 180)
        except BaseException:
            self.process.stop()
            raise

    def write(self, job):
        """Makes all files beside the old ones; `publish` puts them in place."""
        values = self._values(job)
        for source, target in self.files:
            made = template.fill((FOLDER / source).read_text(), values)
            (self.folder / f"{target}.new").write_text(made)

    def publish(self):
        """Each file is replaced at once, so that a reader never sees half of it."""
        for _, target in self.files:
            (self.folder / f"{target}.new").rename(self.folder / target)

    def _values(self, job):
        site = self.site
        encoded = {
            f"{name}_base64": base64.b64encode(path.read_bytes()).decode()
            for name, path in (("certificate", site.certificate), ("key", site.key))}
        return {
            "listen": self.port, "admin": self.admin, "backend": site.backend_of(job), "folder": self.folder,
            "requests": not job.relay, "relay": bool(job.relay), "relay_tcp": job.relay == "tcp",
            "relay_tls": job.relay == "tls", "attacked": job.attacked and site.attacked,
            "attacked_sink": site.attacked_sink, "certified": job.tls or job.attacked, "log": job.log,
            "log_file": self.log, "tls": job.tls, "http1": job.http1,
            "upstream_tls": job.upstream_tls, "clear2": not job.http1 and not job.upstream_tls,
            "plain1": job.http1 and not job.tls, "plain2": not job.http1 and not job.tls,
            "kind": "http" if job.http1 else "grpc", "protocol": "HTTP" if job.http1 else "GRPC",
            "catch2": not job.http1 and not job.hosts, "table": job.routes or job.hosts, "policies": job.policies,
            "routes": [{"index": index} for index in range(job.routes)],
            "hosts": [{"index": index} for index in range(job.hosts)],
            "all_routes": " ".join(f"/r{index}/*" for index in range(job.routes)),
            "all_hosts": " ".join(f"h{index}.test" for index in range(job.hosts)),
            "certificate": site.certificate, "key": site.key, "pem": site.pem, **encoded,
        }

    def logged(self):
        """Octets of access log so far; who has no file of its own writes to standard output."""
        file = self.log if self.log.exists() else self.process.output
        return file.stat().st_size

    def reload(self):
        """After `publish`: tells it to read its files again, and returns without waiting for that."""
        os.kill(self.process.child.pid, signal.SIGHUP)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stop()

    @classmethod
    def binary(cls):
        """The program, or None if it is not installed."""
        found = shutil.which(cls.name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        return pathlib.Path(found) if found else None

    @classmethod
    def version(cls):
        done = subprocess.run([str(cls.binary()), *cls.ask_version], capture_output=True, text=True, timeout=20)
        found = re.search(r"\d+\.\d+\.\d+[-+.\w]*", done.stdout + done.stderr)
        return found[0] if found else "unknown version"

    ask_version = ("--version",)


class Portico(Peer):
    name = "portico"
    files = (("portico.yaml", "objects.yaml"),)
    ask_version = ("version",)

    @classmethod
    def binary(cls):
        return sites.PORTICO if sites.PORTICO.exists() else None

    def command(self, job):
        # Metrics are always on; they have no switch.
        attacked = [
            "--memory", "256Mi", "--listen-map", f"8443={self.secure}", "--listen-map", f"8444={self.passed}"
        ] if job.attacked else []
        return [
            self.binary(), "serve", "--config", self.folder / "objects.yaml", "--workers", 1, "--listen-map",
            f"8888={self.port}", "--admin", f"127.0.0.1:{self.admin}", "--drain", "0s",
            "--access-log", "on" if job.log else "off", *attacked]


class Envoy(Peer):
    share = 0.4
    table_share = 0.1
    name = "envoy"
    files = (("envoy-routes.yaml", "envoy-routes.yaml"), ("envoy.yaml", "envoy.yaml"))

    @classmethod
    def binary(cls):
        return VENV / "envoy" if (VENV / "envoy").exists() else super().binary()

    def command(self, job):
        return [
            self.binary(), "-c", self.folder / "envoy.yaml", "--concurrency", 1, "--disable-hot-restart",
            "--log-level", "error"]

    def reload(self):
        pass  # it watches the file of routes


class HAProxy(Peer):
    share = 0.6
    name = "haproxy"
    files = (("haproxy-routes.map", "routes.map"), ("haproxy-hosts.map", "hosts.map"), ("haproxy.cfg", "haproxy.cfg"))
    ask_version = ("-v",)

    def command(self, job):
        return [self.binary(), "-W", "-f", self.folder / "haproxy.cfg"]

    def reload(self):
        os.kill(self.process.child.pid, signal.SIGUSR2)


class Nginx(Peer):
    share = 0.3
    name = "nginx"
    files = (("nginx.conf", "nginx.conf"),)
    ask_version = ("-v",)

    def command(self, job):
        return [self.binary(), "-p", self.folder, "-c", self.folder / "nginx.conf"]


class Nghttpx(Peer):
    name = "nghttpx"
    files = (("nghttpx.conf", "nghttpx.conf"),)

    def command(self, job):
        return [self.binary(), f"--conf={self.folder / 'nghttpx.conf'}"]


class Caddy(Peer):
    share = 0.1
    table_share = 0.1
    name = "caddy"
    files = (("Caddyfile", "Caddyfile"),)
    ask_version = ("version",)

    def __init__(self, job, site):
        self.environment = {"GOMAXPROCS": "1", "HOME": str(site.folder), "XDG_DATA_HOME": str(site.folder)}
        super().__init__(job, site)

    def command(self, job):
        return [self.binary(), "run", "--adapter", "caddyfile", "--config", self.folder / "Caddyfile"]

    def reload(self):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.admin}/load", (self.folder / "Caddyfile").read_bytes(),
            {"Content-Type": "text/caddyfile"})
        urllib.request.urlopen(request, timeout=300).close()


ALL = {peer.name: peer for peer in (Envoy, HAProxy, Nginx, Nghttpx, Caddy, Portico)}
