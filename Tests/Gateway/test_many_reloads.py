"""1,000 reloads under load, of routes, endpoints and certificates, with broken ones among them: no request fails, and
memory and descriptors are as before. PORTICO_RELOADS says how many; `make test` has time for fewer."""

import contextlib
import os
import re

import pytest

from peers import certificates, http1, objects, waiting
from peers.clients import Load
from peers.gateway import Gateway
from test_reload_under_load import Nghttpd, serial

SANITIZED = "PORTICO_SANITIZER" in os.environ
RELOADS = int(os.environ.get("PORTICO_RELOADS", "20" if SANITIZED else "150"))
WARM = min(100, RELOADS // 2)
ROUTES = 100
HOST = "load.test"
RELOADED = r'^portico_reloads_total\{{result="{}"\}}'


def broken(config, number):
    """What people do to files: not YAML, a field of the wrong type, a certificate that is cut off."""
    kind = number % 4
    if kind == 3:
        config = [{**each, "spec": {**each["spec"], "http": 5}} if each["kind"] == "VirtualService" else each
                  for each in config]
    text = objects.text(config)
    if kind == 0:
        return text + "\n---\n  a: [\n"
    if kind == 1:
        return text.replace("/load", "/load\n\t")
    if kind == 2:
        return re.sub(r"tls\.crt: \S+", lambda match: match[0][:60], text)
    return text


def config(number, upstreams, pairs):
    """Other routes, endpoints and certificates with each number; /load is always there."""
    chosen = [upstreams[:1], upstreams, upstreams[1:]][number % 3]
    rules = [objects.rule("web", match=[{"uri": {"exact": "/load"}}])]
    rules += [objects.rule("web", match=[{"uri": {"exact": f"/{number}/{path}"}}]) for path in range(ROUTES)]
    return [
        objects.gateway(),
        objects.gateway("secure", 443, "HTTPS", [HOST], {"mode": "SIMPLE", "credentialName": "cert"}),
        objects.virtual_service(rules, gateways=["edge", "secure"], hosts=[HOST]),
        *objects.served_by("web", *chosen, port=80, protocol_name="http2"),
        objects.tls_secret("cert", pairs[number % len(pairs)]),
    ]


class Reloads:
    """Reloads a gateway under load, and measures it at rest."""

    def __init__(self, gateway, upstreams, pairs):
        self.gateway, self.upstreams, self.pairs = gateway, upstreams, pairs
        self.number, self.requests, self.failures = 0, 0, []

    def _loads(self):
        clear, secure = self.gateway.map[8000], self.gateway.map[443]
        authority = ["-H", f":authority: {HOST}", f"http://127.0.0.1:{clear}/load"]
        return [
            Load("-c", "4", *authority, requests=2000), Load("-c", "2", "--rps", "200", *authority),
            Load("-c", "2", "--connect-to", f"127.0.0.1:{secure}", f"https://{HOST}:{secure}/load", requests=500),
        ]

    def until(self, last):
        """Reloads up to that number; resident octets and descriptors when the clients are gone."""
        loads = self._loads()
        with contextlib.ExitStack() as stack:
            for load in loads:
                stack.enter_context(load)
            while self.number < last:
                self.number += 1
                self._reload()
            waiting.until(lambda: all(load.count for load in loads), 120, "answers to every client")
        self.requests += sum(load.count for load in loads)
        self.failures += [failure for load in loads for failure in load.failures]
        connections = r"^portico_connections\{"
        waiting.until(lambda: self.gateway.metric(connections) == 0, 60, "the end of all connections")
        files = waiting.steady(self.gateway.open_files, 1, 120, "the descriptors")
        return waiting.steady(lambda: self.gateway.memory_octets() >> 18, 1, 120, "the memory") << 18, files

    def _reload(self):
        wanted = config(self.number, self.upstreams, self.pairs)
        self.gateway.write(broken(wanted, self.number // 5) if self.number % 5 == 0 else wanted)
        self.gateway.reload(60)
        if self.number % 10 != 1:
            return
        number = self.pairs[self.number % len(self.pairs)].serial
        waiting.until(lambda: serial(self.gateway) == number, 60, f"the certificate of reload {self.number}")
        path = f"/{self.number}/{ROUTES - 1}"
        assert b"nghttpd" in http1.get(self.gateway.map[8000], path, HOST).body


@pytest.mark.timeout(300 + 3 * RELOADS)
def test_many_reloads_under_load_fail_no_request_and_keep_nothing(tmp_path):
    pairs = [certificates.authority().issue(HOST) for _ in range(3)]
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        upstreams = [enter(Nghttpd(tmp_path)) for _ in range(2)]
        # Idle connections to endpoints are gone before anything is measured.
        arguments = ["--access-log", "off", "--upstream-idle-timeout", "500ms"]
        gateway = enter(Gateway(config(0, upstreams, pairs), [8000, 443], workers=2, arguments=arguments))
        reloads = Reloads(gateway, upstreams, pairs)
        before = reloads.until(WARM)
        after = reloads.until(RELOADS)
        failed = int(gateway.metric(RELOADED.format("failure")))
        print(f"{reloads.requests} requests, {RELOADS} reloads, {failed} of them broken; resident {before[0] >> 10} → "
              f"{after[0] >> 10} KiB, descriptors {before[1]} → {after[1]}")
        assert reloads.failures == []
        assert failed == RELOADS // 5
        # A gateway under a sanitizer keeps what was freed.
        assert SANITIZED or after[0] <= before[0] * 1.05
        assert after[1] <= before[1]
