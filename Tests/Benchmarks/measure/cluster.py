"""A large cluster on a fake API server, read by the gateway: seconds until it is ready, and its resident memory."""

import os
import pathlib
import tempfile
import time

from peers import objects, waiting
from peers.backend import Backend, Caller
from peers.gateway import Gateway
from peers.kubernetes import ApiServer

SERVICES, ENDPOINTS = int(os.environ.get("SERVICES", 10_000)), int(os.environ.get("ENDPOINTS", 5))
VIRTUAL_SERVICES, PODS = int(os.environ.get("VIRTUAL_SERVICES", 5_000)), os.environ.get("PODS") == "1"


def placed(value, number):
    return {**value, "metadata": {**value["metadata"], "namespace": f"ns{number % 100}"}}


def large(number):
    """A Service with its EndpointSlice, and perhaps a VirtualService and Pods."""
    name = f"s{number}"
    made = objects.endpoint_slice(name, "10.0.0.1", 8080)
    made["endpoints"] = [
        {"addresses": [f"10.{number // 250}.{number % 250}.{each + 1}"],
         "conditions": {"ready": True, "serving": True, "terminating": False}, "nodeName": f"node-{number % 50}",
         "targetRef": {"kind": "Pod", "name": f"{name}-{each}", "namespace": f"ns{number % 100}"}}
        for each in range(ENDPOINTS)]
    yield objects.service(name)
    yield made
    if number < VIRTUAL_SERVICES:
        yield objects.virtual_service(
            [objects.rule(name, match=[{"uri": {"prefix": f"/pkg.S{number}/"}}]), objects.rule(name)], name=name,
            hosts=[f"h{number}.test"], gateways=["default/edge"])
    for each in range(ENDPOINTS if PODS else 0):
        labels = {"app": name, "version": "v1", "pod-template-hash": "5d4f8"}
        yield {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"{name}-{each}", "labels": labels}}


def main():
    with tempfile.TemporaryDirectory() as folder, Backend() as one, Backend() as two, ApiServer(folder) as server:
        for number in range(SERVICES):
            server.put(*(placed(each, number) for each in large(number)))
        own = [objects.gateway(), objects.virtual_service([objects.rule("one")], hosts=["own.test"]),
               *objects.served_by("one", one), *objects.served_by("two", two)]
        server.put(*own)
        begin = time.monotonic()
        arguments = ["--kubeconfig", server.kubeconfig(), "--load-limit", "120s"]
        nothing = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "nothing"}}]
        with Gateway(nothing, ready=False, arguments=arguments) as gateway:
            gateway.wait_ready(120)
            ready = time.monotonic() - begin
            pods = f", {SERVICES * ENDPOINTS} Pods" if PODS else ""
            print(f"{SERVICES} Services, {SERVICES * ENDPOINTS} endpoints, {VIRTUAL_SERVICES} VirtualServices{pods}: "
                  f"ready after {ready:.1f} s, {gateway.memory_octets() >> 20} MiB resident")
            with Caller(gateway.target, None, [("grpc.default_authority", "own.test")]) as caller:
                change(server, caller, one, two)
                storm(server, caller, one, two)
            begin, spent = time.monotonic(), processor(gateway)
            waiting.until(lambda: time.monotonic() > begin + 5, 10, "five seconds")
            print(f"idle afterwards: {100 * (processor(gateway) - spent) / 5:.1f} % of a core")
            print(f"afterwards {gateway.memory_octets() >> 20} MiB resident")


def processor(gateway):
    """Seconds of processor that the gateway has spent."""
    fields = pathlib.Path(f"/proc/{gateway.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def storm(server, caller, one, two):
    """All EndpointSlices change, then all VirtualServices; the last change of each is one that a request shows."""
    def reached(backend):
        before = len(backend.calls)
        caller.status("/test.S/M")
        return len(backend.calls) > before

    own = objects.virtual_service([objects.rule("one")], hosts=["own.test"])
    storms = [
        ("EndpointSlices", SERVICES, two, 1, objects.endpoint_slice("two", two.address, two.port)),
        ("VirtualServices", VIRTUAL_SERVICES, one, 2, own),
    ]
    for what, count, backend, place, last in storms:
        changed = []
        for number in range(count):
            value = placed(list(large(number))[place], number)
            if what == "EndpointSlices":
                value["endpoints"].pop()
            else:
                value["spec"]["http"][0]["timeout"] = "7s"
            changed.append(value)
        begin = time.monotonic()
        server.put(*changed)
        sent = time.monotonic()
        server.put(last)
        waiting.until(lambda backend=backend: reached(backend), 60, "the last change")
        print(f"{count} changed {what}, sent within {sent - begin:.1f} s: the last one is in effect "
              f"{1000 * (time.monotonic() - sent):.0f} ms later")


def change(server, caller, one, two):
    """The time from a changed VirtualService, or EndpointSlice, to the first request that follows it. Each change comes
    alone: after a load, the gateway rests for as long as the load took."""
    def reached(backend):
        before = len(backend.calls)
        caller.status("/test.S/M")
        return len(backend.calls) > before

    def rested():
        begin = time.monotonic()
        waiting.until(lambda: time.monotonic() > begin + 1, 10, "the end of a rest")

    def timed(what, backend, *changed):
        rested()
        begin = time.monotonic()
        server.put(*changed)
        waiting.until(lambda: reached(backend), 20, what)
        print(f"{what}: {1000 * (time.monotonic() - begin):.0f} ms")

    assert reached(one)
    for backend, name in ((two, "two"), (one, "one"), (two, "two")):
        timed("a changed VirtualService to the first request that follows it", backend,
              objects.virtual_service([objects.rule(name)], hosts=["own.test"]))
    timed("a changed EndpointSlice to the first request that follows it", one,
          objects.endpoint_slice("two", one.address, one.port))


if __name__ == "__main__":
    main()
