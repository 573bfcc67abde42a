"""h2load: one run of load, and what it says about it."""

import dataclasses
import os
import pathlib
import re
import subprocess

from . import machine

GRPC = ("content-type: application/grpc", "te: trailers")


@dataclasses.dataclass(frozen=True)
class Load:
    clients: int
    streams: int
    requests: int
    path: str
    body: str | None = None  # name of a file of the site; None is GET
    headers: tuple = GRPC
    tls: bool = False
    http1: bool = False

    def times(self, requests):
        return dataclasses.replace(self, requests=max(requests, self.clients))


def command(load, site, port, log=None):
    scheme = "https" if load.tls else "http"
    words = ["h2load", "-c", load.clients, "-m", load.streams, "-n", load.requests]
    words += ["--h1"] if load.http1 else []
    words += ["-d", site.folder / load.body] if load.body else []
    words += [f"--log-file={log}"] if log else []
    for header in load.headers:
        words += ["-H", header]
    return [str(word) for word in [*words, f"{scheme}://127.0.0.1:{port}{load.path}"]]


def percentile(ordered, share):
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def rows(log):
    """(start in µs since 1970, status, µs until the end of the response) of each request."""
    with log.open() as file:
        return [tuple(map(int, line.split("\t")[:3])) for line in file if line.count("\t") >= 2]


def run(load, site, port):
    """Runs it and returns wall seconds, mean, p50 and p99 in µs. Every request must succeed."""
    log = pathlib.Path(site.folder) / "h2load.tsv"
    log.unlink(missing_ok=True)
    done = subprocess.run(
        command(load, site, port, log), capture_output=True, text=True, timeout=600,
        preexec_fn=lambda: os.sched_setaffinity(0, {machine.LOAD_CORE}))
    found = re.search(r"finished in ([\d.]+)(us|ms|s|m)\b", done.stdout)
    good = re.search(r"status codes: (\d+) 2xx", done.stdout)
    if not found or not good or int(good[1]) != load.requests or f" {load.requests} succeeded" not in done.stdout:
        raise RuntimeError(f"not every request succeeded:\n{done.stdout[-1500:]}{done.stderr[-500:]}")
    seconds = float(found[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60}[found[2]]
    times = sorted(row[2] for row in rows(log))
    if not times:
        raise RuntimeError("h2load wrote no log")
    return {
        "seconds": seconds, "mean": sum(times) / len(times), "p50": percentile(times, 0.5),
        "p99": percentile(times, 0.99)}
