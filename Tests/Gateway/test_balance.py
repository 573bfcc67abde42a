"""Requests, not connections, are spread; the spread does not depend on the number of workers."""

import concurrent.futures

import pytest

from peers import http2, objects, waiting
from peers.backend import Backend, Caller
from peers.gateway import Gateway
from peers.listening import FullQueue


@pytest.fixture(scope="module")
def three():
    with Backend(name="a") as first, Backend(name="b") as second, Backend(name="c") as third:
        yield first, second, third


def spread(three, gateway, calls, connections=1, at_once=1):
    for backend in three:
        backend.clear()
    callers = [Caller(gateway.target) for _ in range(connections)]
    with concurrent.futures.ThreadPoolExecutor(max(at_once, 1)) as pool:
        for _ in pool.map(lambda number: callers[number % connections].unary(), range(calls)):
            pass
    for caller in callers:
        caller.channel.close()
    return [len(backend.calls) for backend in three]


def policy(three, simple=None):
    config = objects.echo(*three)
    if simple:
        config.append(objects.destination_rule("echo", trafficPolicy={"loadBalancer": {"simple": simple}}))
    return config


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("connections", [1, 4])
def test_round_robin_is_exact(three, workers, connections):
    with Gateway(policy(three, "ROUND_ROBIN"), workers=workers) as gateway:
        assert spread(three, gateway, 300, connections) == [100, 100, 100]


@pytest.mark.parametrize("workers", [1, 2])
def test_the_default_is_even_within_ten_per_cent(three, workers):
    with Gateway(policy(three), workers=workers) as gateway:
        counts = spread(three, gateway, 600, connections=4, at_once=8)
    assert sum(counts) == 600
    assert all(140 <= count <= 260 for count in counts), counts


def test_random_reaches_everyone(three):
    with Gateway(policy(three, "RANDOM")) as gateway:
        counts = spread(three, gateway, 600)
    assert sum(counts) == 600
    assert all(140 <= count <= 260 for count in counts), counts


def test_least_request_counts_what_is_in_flight(three):
    """Calls that stay open pile up evenly, also those that wait for the first connection."""
    with Gateway(policy(three, "LEAST_REQUEST")) as gateway, http2.connect(gateway.port) as client:
        for backend in three:
            backend.clear()
        held = [client.open(http2.grpc_headers(x_sleep="10"), http2.message()) for _ in range(60)]
        waiting.until(lambda: sum(len(backend.calls) for backend in three) >= 60, 5)
        loads = [len(backend.calls) for backend in three]
        assert max(loads) - min(loads) <= 12, loads
        for stream in held:
            client.send_reset(stream.number)


def test_least_request_counts_what_waits_for_a_connection(three):
    """An endpoint that accepts no connection gets no more than its share."""
    calls = 40
    with FullQueue() as full, Gateway(policy((full, three[0]), "LEAST_REQUEST")) as gateway:
        three[0].clear()
        with http2.connect(gateway.port) as client:
            held = [client.open(http2.grpc_headers(x_sleep="10"), http2.message()) for _ in range(calls)]
            active = rf'^portico_endpoint_active_requests.*endpoint="127.0.0.1:{{}}"'
            waiting.until(lambda: gateway.metric(active.format("[0-9]*")) == calls, 5, "all calls")
            stuck = gateway.metric(active.format(full.port))
            assert stuck <= calls / 2 + 2, stuck
            waiting.until(lambda: len(three[0].calls) == calls - stuck, 5, "the other calls")
            for stream in held:
                client.send_reset(stream.number)
            waiting.until(lambda: gateway.metric(active.format("[0-9]*")) == 0, 5, "the end of all")


def test_weights_are_kept(three):
    config = [
        objects.gateway(protocol="GRPC"),
        objects.virtual_service([objects.rule(
            objects.to("a", weight=70), objects.to("b", weight=30), objects.to("c", weight=0))]),
    ]
    for name, backend in zip("abc", three):
        config += objects.served_by(name, backend)
    with Gateway(config) as gateway:
        counts = spread(three, gateway, 2000, at_once=8)
    assert counts[2] == 0
    assert 1300 <= counts[0] <= 1500


def test_subsets_choose_by_labels(three):
    """Endpoints by Pods, so that they have labels; a subset overrides the policy."""
    pods = [{
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"pod-{name}", "labels": {"app": "x", "version": name}},
        "spec": {"containers": [{"name": "main", "ports": [{"name": "grpc", "containerPort": backend.port}]}]},
        "status": {"phase": "Running", "podIP": "127.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]},
    } for name, backend in zip("abc", three)]
    service = objects.service("echo")
    service["spec"]["selector"] = {"app": "x"}
    service["spec"]["ports"][0]["targetPort"] = "grpc"
    config = [
        objects.gateway(protocol="GRPC"),
        objects.virtual_service([
            objects.rule(objects.to("echo", subset=name), match=[{"headers": {"want": {"exact": name}}}])
            for name in "abc"]),
        service, *pods,
        objects.destination_rule("echo", subsets=[{"name": name, "labels": {"version": name}} for name in "abc"]),
    ]
    with Gateway(config) as gateway, Caller(gateway.target) as caller:
        for backend in three:
            backend.clear()
        for name in "aabccc":
            caller.unary(metadata=[("want", name)])
    assert [len(backend.calls) for backend in three] == [2, 1, 3]


def test_pods_that_are_not_ready_get_nothing(three):
    config = objects.echo(*three)
    config[-1]["endpoints"][0]["conditions"]["ready"] = False
    with Gateway(config) as gateway:
        counts = spread(three, gateway, 30)
    assert counts[2] == 0 and sum(counts) == 30


def test_endpoints_object_and_service_entry(three):
    endpoints = {
        "apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "old"},
        "subsets": [{"addresses": [{"ip": "127.0.0.1"}], "ports": [{"name": "grpc", "port": three[0].port}]}],
    }
    entry = {
        "apiVersion": objects.NETWORKING, "kind": "ServiceEntry", "metadata": {"name": "outside"},
        "spec": {
            "hosts": ["outside.test"], "location": "MESH_EXTERNAL", "resolution": "STATIC",
            "ports": [{"number": 80, "name": "grpc", "protocol": "GRPC", "targetPort": three[1].port}],
            "endpoints": [{"address": "127.0.0.1"}],
        },
    }
    config = [
        objects.gateway(protocol="GRPC"),
        objects.virtual_service([
            objects.rule(objects.to("old"), match=[{"uri": {"prefix": "/old.S/"}}]),
            objects.rule(objects.to("outside.test", port=80), match=[{"uri": {"prefix": "/out.S/"}}])]),
        objects.service("old"), endpoints, entry,
    ]
    with Gateway(config) as gateway, Caller(gateway.target) as caller:
        for backend in three:
            backend.clear()
        caller.unary("/old.S/M")
        caller.unary("/out.S/M")
    assert [len(backend.calls) for backend in three] == [1, 1, 0]
