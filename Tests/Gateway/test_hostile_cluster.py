"""Objects and answers of an API server that nobody should send: nothing falls, memory stays bounded, a finding names
the object and what is wrong with it, and all other objects stay in effect."""

import copy
import json
import os

import pytest

from peers import objects, waiting
from peers.backend import Caller
from peers.kubernetes import POLICIES, Raw
from test_kubernetes import cluster, reaches, server, two, watching, weighted  # noqa: F401

SANITIZED = "PORTICO_SANITIZER" in os.environ  # a sanitizer keeps what was freed
WRONG = [7, -1, 1.5, 10 ** 40, "x", "", "\u0000\u202e", [], ["x"], {}, {"x": 1}, True, [[[]]], [None], "x" * 10_240]


def full():
    """Objects of each kind with many of their fields."""
    yield objects.virtual_service([objects.rule(
        objects.to("one", port=50051, weight=60), objects.to("two", weight=40), timeout="3s",
        match=[{"uri": {"prefix": "/x"}, "headers": {"a": {"exact": "b"}}, "port": 8000}], name="rule",
        retries={"attempts": 2, "perTryTimeout": "1s", "retryOn": "5xx"}, rewrite={"uri": "/y"},
        headers={"request": {"set": {"a": "b"}, "remove": ["c"]}}, mirror={"host": "two"},
        fault={"abort": {"percentage": {"value": 0}, "httpStatus": 500}},
        corsPolicy={"allowOrigins": [{"exact": "http://a"}], "maxAge": "1h"})], hosts=["bad.test"])
    yield objects.gateway(servers=[{
        "port": {"number": 8443, "name": "https", "protocol": "HTTPS"}, "hosts": ["bad.test"],
        "tls": {"mode": "SIMPLE", "credentialName": "tls", "minProtocolVersion": "TLSV1_2"}}])
    yield objects.destination_rule("bad", trafficPolicy={
        "loadBalancer": {"consistentHash": {"httpHeaderName": "a"}}, "tls": {"mode": "DISABLE"},
        "connectionPool": {"tcp": {"maxConnections": 9}, "http": {"http1MaxPendingRequests": 9}},
        "outlierDetection": {"consecutive5xxErrors": 5, "interval": "1s", "baseEjectionTime": "1s"},
        "portLevelSettings": [{"port": {"number": 50051}}]}, subsets=[{"name": "v1", "labels": {"version": "v1"}}])
    yield objects.service("bad") | {"spec": {
        "selector": {"app": "bad"}, "type": "ClusterIP", "clusterIP": "10.0.0.1",
        "ports": [{"name": "grpc", "port": 50051, "targetPort": 1, "protocol": "TCP", "appProtocol": "grpc"}]}}
    yield objects.endpoint_slice("bad", "127.0.0.9", 9)
    yield {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bad", "labels": {"app": "bad"}}}
    yield {"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {"name": "bad"}, "spec": {
        "hosts": ["bad.example.com"], "location": "MESH_EXTERNAL", "resolution": "STATIC", "addresses": ["10.1.1.1"],
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}], "exportTo": ["*"],
        "endpoints": [{"address": "10.9.9.9", "ports": {"http": 80}, "labels": {"a": "b"}, "weight": 1}]}}


def places(value, path=()):
    """All fields and elements below a value, and their paths."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, key)
        if isinstance(inner, (dict, list)):
            yield from places(inner, (*path, key))


def with_wrong(value, path, wrong, name):
    made = copy.deepcopy(value)
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = wrong
    made["metadata"] = {**value["metadata"], **(made["metadata"] if isinstance(made["metadata"], dict) else {})}
    made["metadata"]["name"] = name
    return made


def settled(server, gateway, caller, two):
    """What was put before is in effect, and so is everything else."""
    for weights, backend in (((0, 100), two[1]), ((100, 0), two[0])):
        server.put(weighted(*weights))
        waiting.until(lambda backend=backend: reaches(caller, backend), 30, "the weights")
    assert gateway.process.poll() is None


def findings(gateway):
    lines = gateway.admin("/config")[1].splitlines()
    return [line for line in lines if line.startswith("kubernetes:") and ": note: the server has no" not in line]


@pytest.mark.parametrize("value", list(full()), ids=lambda value: value["kind"])
def test_wrong_types_in_every_field(server, two, value):
    server.put(*cluster(two))
    with watching(server) as gateway, Caller(gateway.target) as caller:
        assert reaches(caller, two[0])
        fields = [path for path in places(value) if path[0] not in ("apiVersion", "kind") and path != ("metadata",)]
        bad = [with_wrong(value, path, wrong, f"bad-{number}-{place}") for number, path in enumerate(fields)
               for place, wrong in enumerate(WRONG) if path[-1] not in ("name", "namespace") or path[0] != "metadata"]
        server.put(*bad)
        settled(server, gateway, caller, two)
        found = [line for line in findings(gateway) if "/bad-" in line]
        if value["kind"] != "Pod":  # nothing is read of a Pod but its metadata
            named = {line.split(": ")[0].rpartition("/")[2] for line in found}
            assert len(named) > len(bad) / 6, (len(named), len(bad))
        for each in bad:
            server.delete(each["kind"], each["metadata"]["name"])
        settled(server, gateway, caller, two)
        assert not [line for line in findings(gateway) if "/bad-" in line]


def raw(name, rest, kind="VirtualService"):
    head = b'{"metadata":{"name":"%s","namespace":"default","resourceVersion":"@VERSION@"},' % name.encode()
    return Raw(kind, name, head + rest + b"}")


DEEP = b"[" * 5000 + b"]" * 5000
OTHER = json.dumps(objects.virtual_service([objects.rule("nobody")], hosts=["other.test"])["spec"]).encode()
HOSTILE = {
    "deep": (raw("deep", b'"spec":{"hosts":' + DEEP + b"}"), "values are nested too deep"),
    "labels": (Raw("VirtualService", "labels", b'{"metadata":{"name":"labels","namespace":"default",'
                   b'"resourceVersion":"@VERSION@","labels":{"x":' + DEEP + b'}},"spec":{}}'), "nested too deep"),
    "binary": (raw("binary", b'"spec":{"hosts":["\xff\xfe"]}'), "a text is not UTF-8"),
    "surrogate": (raw("surrogate", b'"spec":{"hosts":["\\ud800"]}'), "no escape sequence of JSON"),
    "twice": (raw("twice", b'"spec":' + OTHER + b',"spec":' + OTHER), "twice"),
    "exponent": (raw("exponent", b'"spec":{"http":[{"route":[{"destination":{"host":"one"},"weight":1e999}]}]}'),
                 "spec.http[0].route[0].weight"),
    "digits": (raw("digits", b'"spec":{"http":[{"x":' + b"9" * 5000 + b"}]}"), "a number has too many digits"),
    "word": (raw("word", b'"spec":{"hosts":[truth]}'), "this is no value"),
    "annotations": (raw("annotations", b'"spec":{"hosts":7},"x":{' + b",".join(
        b'"a%d":"b"' % number for number in range(10_000)) + b"}"), "spec.hosts"),
    "ports": (raw("ports", b'"spec":{"ports":[{"name":"a","port":-1},{"name":"b","port":99999999999999999999},'
                  b'{"name":"c","port":0},{"name":"d","port":65536}]}', "Service"), "spec.ports[0].port"),
    "h" * 200_000: (raw("h" * 200_000, b'"spec":{"hosts":7}'), "at most 253"),
}


def test_no_object_harms_another(server, two):
    """The same objects come one after the other in a watch, all together, and in a list."""
    server.put(*cluster(two))
    host = ".".join(["a" * 1000] * 10)
    long = objects.virtual_service([objects.rule("one")], name="long", hosts=[host, f"*.{host}"])
    many = objects.gateway("many", hosts=[f"h{number}.test" for number in range(20_000)])
    annotated = objects.service("annotated")
    annotated["metadata"]["annotations"] = {f"example.com/a{number}": "x" * 30 for number in range(10_000)}
    with watching(server) as gateway, Caller(gateway.target) as caller:
        def lacking():
            lines = findings(gateway)
            return [name[:60] for name, (_, word) in HOSTILE.items()
                    if not any(f"/{name[:60]}" in line and word in line for line in lines)]

        assert reaches(caller, two[0])
        for value, _ in HOSTILE.values():
            server.put(value)
        server.put(long, many, annotated)
        settled(server, gateway, caller, two)
        assert not lacking(), findings(gateway)
        before = gateway.memory_octets()
        for _ in range(3):
            server.stop()
            server.start()
            settled(server, gateway, caller, two)
        assert not lacking()
        if not SANITIZED:
            assert gateway.memory_octets() < before + (64 << 20)
    # They are there when the gateway starts.
    with watching(server) as gateway, Caller(gateway.target) as caller:
        settled(server, gateway, caller, two)
        assert not lacking()


def test_an_object_that_becomes_unreadable_keeps_its_last_good_version(server, two):
    server.put(*cluster(two))
    with watching(server) as gateway, Caller(gateway.target) as caller:
        assert reaches(caller, two[0])
        server.put(raw("routes", b'"spec":{"hosts":' + DEEP + b"}"))
        report = "kubernetes:default/VirtualService/routes: error: the object is not JSON"
        waiting.until(lambda: any(report in line for line in findings(gateway)), 10, "the report")
        assert reaches(caller, two[0])
        server.leave()  # and in a list, if it comes to that
        server.put(objects.virtual_service([objects.rule("two")]))
        waiting.until(lambda: reaches(caller, two[1]), 20, "the better version")
        assert not findings(gateway)


def policy(selector, action="DENY"):
    return {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": {"name": "deny"},
            "spec": {"action": action, "selector": {"matchLabels": selector}, "rules": [{"to": []}]}}


def test_an_access_policy_that_cannot_be_read_closes_the_gateway_until_it_can(server, two):
    server.groups["security.istio.io"] = {"v1": [*POLICIES.values()]}
    server.put(*cluster(two))
    unreadable = raw("deny", b'"spec":{"rules":' + DEEP + b"}", "AuthorizationPolicy")
    with watching(server) as gateway, Caller(gateway.target) as caller:
        def answers(code):
            return caller.status("/test.S/M")[0].value[0] == code

        assert reaches(caller, two[0])
        server.put(unreadable)
        waiting.until(lambda: answers(14), 20, "the gateway to close")
        assert any("cannot be read, and may select this gateway: all requests are answered 503" in line
                   for line in findings(gateway)), findings(gateway)
        server.put(policy({"app": "another"}))
        waiting.until(lambda: answers(0), 20, "a policy for others")
        server.put(unreadable)  # the version with a selector stays in effect
        waiting.until(lambda: any("last good version stays" in line for line in gateway.errors), 20, "the report")
        assert answers(0)
        server.delete("AuthorizationPolicy", "deny")
        waiting.until(lambda: not findings(gateway), 20, "the policy's end")
        server.put(unreadable)
        waiting.until(lambda: answers(14), 20, "the gateway to close again")
        server.delete("AuthorizationPolicy", "deny")
        waiting.until(lambda: answers(0), 20, "the policy's end")


@pytest.mark.parametrize("items", [
    b"null", b"7", b'"x"', b"[]", b"{}", b'{"metadata":null}', b'{"metadata":{"name":{}}}'])
def test_items_without_a_name_are_reported_and_the_rest_of_the_list_counts(server, two, items):
    server.put(*cluster(two), Raw("VirtualService", "a", items), Raw("Service", "a", items))
    with watching(server) as gateway, Caller(gateway.target) as caller:
        assert reaches(caller, two[0])
        lines = findings(gateway)
        assert any(line.startswith("kubernetes:VirtualService: error") for line in lines), lines
        assert any(line.startswith("kubernetes:Service: error") for line in lines), lines


def test_a_list_with_an_item_without_a_name_takes_nothing_away(server, two):
    server.put(*cluster(two))
    with watching(server) as gateway, Caller(gateway.target) as caller:
        assert reaches(caller, two[0])
        server.put(Raw("VirtualService", "routes", b'{"metadata":{"name":{}}}'))  # it is what the object was
        server.stop()
        server.oldest = server.version  # so that all is listed again
        server.start()
        waiting.until(lambda: any(line.startswith("kubernetes:VirtualService: error") for line in findings(gateway)),
                      30, "the report")
        assert reaches(caller, two[0])
        server.put(weighted(0, 100))
        waiting.until(lambda: reaches(caller, two[1]), 30, "the better version")


def test_the_same_event_for_ever_is_one_change(server, two):
    server.put(*cluster(two))
    with watching(server) as gateway, Caller(gateway.target) as caller:
        def events():
            return gateway.metric("^portico_kubernetes_events_total")

        assert reaches(caller, two[0])
        changed = server.objects["virtualservices"]["default", "routes"]
        changed["metadata"]["annotations"] = {"x": "y" * 1000}
        line = server._line("MODIFIED", changed, False)
        begin, before = events(), gateway.memory_octets()
        loads = sum("objects added" in each for each in gateway.errors)
        for _ in range(40):
            server.send("virtualservices", line * 500)
        waiting.until(lambda: events() >= begin + 20_000, 60, "twenty thousand events")
        assert sum("objects added" in each for each in gateway.errors) <= loads + 1
        if not SANITIZED:
            assert gateway.memory_octets() < before + (32 << 20)
        settled(server, gateway, caller, two)


def test_bookmarks_may_go_back_and_be_nonsense(server, two):
    server.put(*cluster(two))
    with watching(server) as gateway, Caller(gateway.target) as caller:
        for version in (1, 10 ** 30, "x" * 100_000, "\u0000", 2):
            server.bookmark(version)
        settled(server, gateway, caller, two)
        server.bookmark(1)
        server.leave()  # the watch goes on from there: everything comes once more
        settled(server, gateway, caller, two)


def test_a_list_that_does_not_end_is_reported_and_asked_for_again(server, two):
    server.put(*cluster(two))
    server.endless.add("serviceentries")
    with watching(server, ready=False) as gateway, Caller(gateway.target) as caller:
        word = "the server's list of serviceentries.networking.istio.io does not end"
        waiting.until(lambda: any(word in line for line in gateway.errors), 20, word)
        assert sum("/serviceentries?limit" in each for each in server.requests) < 60
        server.endless.clear()
        gateway.wait_ready(40)
        settled(server, gateway, caller, two)


@pytest.mark.parametrize("octets", [
    b"\n" * 50_000, b"\xff" * 1000 + b"\n", b"{" * 100_000 + b"\n", b'{"type":"ADDED"}\n',
    b'{"type":"ADDED","object":7}\n', b'{"type":"ERROR","object":{}}\n',
    b'{"type":"ERROR","object":' + DEEP + b"}\n", b"x" * (5 << 20)],
    ids=["lines", "binary", "braces", "nothing", "number", "error", "deep error", "endless line"])
def test_lines_of_a_watch_that_are_none(server, two, octets):
    server.put(*cluster(two))
    with watching(server) as gateway, Caller(gateway.target) as caller:
        assert reaches(caller, two[0])
        for resource in ("virtualservices", "services", "pods"):
            server.send(resource, octets)
        settled(server, gateway, caller, two)
