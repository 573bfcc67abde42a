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
        return re.sub(r"tls\.crt: \S+|\"tls\.crt\": \"[^\"]+\"", lambda match: match[0][:60] + '"', text)
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


def within(values, before, share):
    """Whether the values are no more than that share beyond those of before."""
    return values <= before * (1 + share)


@pytest.mark.timeout(120 + 3 * RELOADS)
def test_many_reloads_under_load_fail_no_request_and_keep_nothing(tmp_path):
    pairs = [certificates.authority().issue(HOST) for _ in range(3)]
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        upstreams = [enter(Nghttpd(tmp_path)) for _ in range(2)]
        gateway = enter(Gateway(config(0, upstreams, pairs), [8000, 443], workers=2, arguments=["--access-log", "off"]))
        clear, secure = gateway.map[8000], gateway.map[443]
        target = f"127.0.0.1:{secure}"
        loads = [
            enter(Load("-c", "4", "-H", f":authority: {HOST}", f"http://127.0.0.1:{clear}/load", requests=2000)),
            enter(Load("-c", "2", "-H", f":authority: {HOST}", "--rps", "200", f"http://127.0.0.1:{clear}/load")),
            enter(Load("-c", "2", "--connect-to", target, f"https://{HOST}:{secure}/load", requests=500)),
        ]
        memory, files = [], []
        for number in range(1, RELOADS + 1):
            wanted = config(number, upstreams, pairs)
            is_broken = number % 5 == 0
            gateway.write(broken(wanted, number // 5) if is_broken else wanted)
            gateway.reload(60)
            if number % 10 == 1:
                serial_number = pairs[number % len(pairs)].serial
                waiting.until(lambda: serial(gateway) == serial_number, 60, f"the certificate of reload {number}")
                assert b"nghttpd" in http1.get(clear, f"/{number}/{ROUTES - 1}", HOST).body
            memory.append(gateway.memory_octets())
            files.append(gateway.open_files())
        for load in loads:
            load.__exit__()
        failed = int(gateway.metric(RELOADED.format("failure")))
        # The least of some, since what is in flight comes on top.
        least = [[min(each[max(at - 20, 0):at]) for at in (WARM, RELOADS)] for each in (memory, files)]
        print(f"{sum(load.count for load in loads)} requests, {RELOADS} reloads, {failed} of them broken; resident "
              f"{least[0][0] >> 10} → {least[0][1] >> 10} KiB, descriptors {least[1][0]} → {least[1][1]}")
        assert [load.failures for load in loads] == [[]] * len(loads)
        assert failed == RELOADS // 5
        assert all(load.count > (50 if SANITIZED else 500) for load in loads)
        # A gateway under a sanitizer keeps what was freed.
        assert SANITIZED or within(least[0][1], least[0][0], 0.05), [octets >> 10 for octets in memory]
        assert within(least[1][1], least[1][0], 0.05), files
