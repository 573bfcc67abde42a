"""Scenario l: one host more, read by a running gateway: how long until it answers, and who feels it."""

import dataclasses
import os
import subprocess
import time

from . import http2, load, machine, site as sites

CLIENTS, RATE = 16, 50  # connections, and requests per second of each
PATIENCE = 60  # seconds for a reload


def measure(gateway, site, job, seconds):
    """`seconds` is how long the load goes on; the new host is added after two of them."""
    log = site.folder / "reload.tsv"
    log.unlink(missing_ok=True)
    gateway.write(dataclasses.replace(job, hosts=job.hosts + 1))
    new_host = f"h{job.hosts}.test"
    if _answers(gateway.port, new_host) or not _answers(gateway.port, "h0.test"):
        raise RuntimeError("hosts are not told apart")
    memory = gateway.process.memory()
    steady = load.Load(CLIENTS, 8, 0, sites.METHOD, "small", (*load.GRPC, ":authority: h0.test"))
    words = load.command(steady, site, gateway.port, log)
    place = words.index("-n")
    words[place:place + 2] = ["-D", str(seconds), f"--rps={RATE}"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {machine.LOAD_CORE})) as loader:
        machine.run_on(2)
        used, began = gateway.process.processor_seconds(), time.time()
        gateway.publish()
        gateway.reload()
        peaks = [memory]

        def answers():
            peaks.append(gateway.process.memory())
            return _answers(gateway.port, new_host)

        try:
            machine.wait_for("the new host", answers, PATIENCE, pause=0.005)
        except TimeoutError:
            loader.kill()
            raise
        took = time.time() - began
        used = gateway.process.processor_seconds() - used
        peak = max(*peaks, gateway.process.memory())
        if loader.poll() is not None:
            raise RuntimeError(f"the load of {seconds} s ended before the reload of {took:.1f} s did")
        text, _ = loader.communicate(timeout=seconds + 30)
    return {"cost": took, "processor s": used, "MB before": memory / 1e6, "MB at most": peak / 1e6,
            "MB after": gateway.process.memory() / 1e6, **_felt(log, began * 1e6, (began + took) * 1e6, text)}


def _answers(port, host):
    """A new connection each time: some gateways go on with old settings on old connections."""
    try:
        client = http2.Client(port)
    except OSError:
        return False
    try:
        return client.get(sites.METHOD, authority=host)
    except OSError:
        return False
    finally:
        client.close()


def _felt(log, began, ended, text):
    """p99 of the requests under way while it reloaded (and half a second after), beside those before."""
    rows = load.rows(log)
    if not rows:
        raise RuntimeError(f"the load did nothing: {text[-1000:]}")
    before = sorted(took for start, status, took in rows if start + took < began and status == 200)
    during = sorted(took for start, status, took in rows
                    if start + took >= began and start < ended + 5e5 and status == 200)
    errors = {"errors": sum(status != 200 for _, status, _ in rows)}
    if not before or not during:  # h2load does not connect again where connections were cut
        return errors
    return {"p99 before": load.percentile(before, 0.99), "p50": load.percentile(during, 0.5),
            "p99": load.percentile(during, 0.99), **errors}
