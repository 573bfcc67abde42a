"""Localities: which endpoints a DestinationRule prefers by where they are."""

import collections
import contextlib

import pytest

from peers import http1, objects, waiting
from peers.gateway import Gateway, run


class Somewhere:
    """An HTTP/1.1 server with its name in the answer, and a status of the moment."""

    def __init__(self, name):
        self.name, self.status = name, 200
        self.server = http1.Upstream(self.reply)

    def reply(self, connection, _request):
        connection.send(b"HTTP/1.1 %d X\r\nx-name: %s\r\ncontent-length: 0\r\n\r\n" % (self.status, self.name.encode()))

    def __enter__(self):
        self.server.__enter__()
        return self

    def __exit__(self, *ended):
        self.server.__exit__(*ended)


@pytest.fixture
def places():
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Somewhere(name)) for name in ("west/w1/a", "west/w1/b", "west/w2", "east/e1")]


def config(places, setting=None, subsets=(), subset=None, resolution="STATIC", **policy):
    """A ServiceEntry with an endpoint at each place."""
    endpoints = [
        {"address": each.server.address, "ports": {"http": each.server.port}, "locality": each.name} for each in places]
    entry = {
        "apiVersion": objects.NETWORKING, "kind": "ServiceEntry", "metadata": {"name": "out"},
        "spec": {
            "hosts": ["out.example.com"], "resolution": resolution, "endpoints": endpoints,
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}]},
    }
    balancer = {"simple": "ROUND_ROBIN", **({"localityLbSetting": setting} if setting else {})}
    rule = objects.destination_rule(
        "out.example.com", subsets=[*subsets], trafficPolicy={"loadBalancer": balancer, **policy})
    routes = objects.virtual_service([objects.rule(objects.to("out.example.com", subset=subset))])
    return [objects.gateway(), routes, entry, rule]


def names(gateway, amount):
    return collections.Counter(http1.get(gateway.port).value("x-name") for _ in range(amount))


OUTLIERS = {"consecutive5xxErrors": 1, "interval": "100ms", "baseEjectionTime": "300ms", "maxEjectionPercent": 100}
HERE = ["--locality", "west/w1/a"]


def test_requests_stay_near_until_an_endpoint_is_ejected_and_return(places):
    near, zone, region, far = places
    with Gateway(config(places, outlierDetection=OUTLIERS), arguments=HERE, workers=2) as gateway:
        assert names(gateway, 20) == {near.name: 20}
        near.status = zone.status = 503
        assert names(gateway, 1) == {near.name: 1}
        waiting.until(lambda: names(gateway, 1)[region.name] == 1, 10, "the next zone")
        region.status = 500
        waiting.until(lambda: names(gateway, 1)[far.name] == 1, 10, "the other region")
        near.status = zone.status = region.status = 200
        waiting.until(lambda: names(gateway, 10) == {near.name: 10}, 10, "the return")
        page = gateway.admin("/endpoints")[1]
        assert near.server.address in page


def test_without_outlier_detection_or_a_place_all_share(places):
    everybody = {place.name: 5 for place in places}
    with Gateway(config(places), arguments=HERE) as gateway:
        assert names(gateway, 20) == everybody
    with Gateway(config(places, outlierDetection=OUTLIERS)) as gateway:
        assert names(gateway, 20) == everybody
    with Gateway(config(places, {"enabled": False}, outlierDetection=OUTLIERS), arguments=HERE) as gateway:
        assert names(gateway, 20) == everybody


@pytest.mark.parametrize("resolution", ["STATIC", "DNS"])
def test_each_place_gets_its_share_and_a_reload_changes_it(places, resolution):
    def shares(**to):
        return {"distribute": [{"from": "west/*", "to": to}]}

    first = shares(**{"west/w1/*": 60, "east": 40})
    with Gateway(config(places, first, resolution=resolution), arguments=HERE) as gateway:
        assert names(gateway, 100) == {"west/w1/a": 30, "west/w1/b": 30, "east/e1": 40}
        gateway.write(config(places, shares(**{"west/w1/*": 10, "east": 90}), resolution=resolution))
        gateway.reload()
        assert names(gateway, 100) == {"west/w1/a": 5, "west/w1/b": 5, "east/e1": 90}
        gateway.write(config(places, shares(north=100), resolution=resolution))
        gateway.reload()
        assert http1.get(gateway.port).status == 503


def test_a_label_may_come_before_the_place(places):
    setting = {"failoverPriority": ["topology.kubernetes.io/region=east"]}
    with Gateway(config(places, setting, outlierDetection=OUTLIERS), arguments=HERE) as gateway:
        assert names(gateway, 8) == {"east/e1": 8}


def test_subsets_select_by_topology(places):
    subsets = [
        {"name": "zone", "labels": {"topology.kubernetes.io/zone": "w1"}},
        {"name": "far", "labels": {"topology.kubernetes.io/region": "east"}}]
    with Gateway(config(places, subsets=subsets, subset="zone")) as gateway:
        assert names(gateway, 8) == {"west/w1/a": 4, "west/w1/b": 4}
        gateway.write(config(places, subsets=subsets, subset="far"))
        gateway.reload()
        assert names(gateway, 8) == {"east/e1": 8}


@pytest.mark.parametrize("place", ["*", "a/*", "a//b", "", "a/b/c/d"])
def test_a_place_that_is_none_is_refused(place, tmp_path):
    file = tmp_path / "empty.yaml"
    file.write_text("")
    ended = run("check", "--locality", place, file)
    assert ended.returncode == 64 and "write region/zone/subzone" in ended.stderr


def test_routes_show_the_priorities(places, tmp_path):
    file = tmp_path / "objects.yaml"
    file.write_text(objects.text(config(places, outlierDetection=OUTLIERS)))
    shown = run("routes", "--locality", "west/w1/a", file).stdout
    assert "localityLbSetting: nearest to west/w1/a" in shown
    assert f"{places[3].server.address}:{places[3].server.port} priority 3" in shown


def node(name, region, zone):
    labels = {"topology.kubernetes.io/region": region, "topology.kubernetes.io/zone": zone}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}


def on_nodes(places, *rules, subset=None):
    """A Service whose endpoints are on the nodes n0 to n3."""
    made = objects.served_by("out", *(each.server for each in places), port=80, protocol_name="http")
    for number, each in enumerate(made[1:]):
        each["endpoints"][0]["nodeName"] = f"n{number}"
    return [
        objects.gateway(), objects.virtual_service([objects.rule(objects.to("out", subset=subset))]), *made, *rules,
        node("n0", "west", "w1"), node("n1", "west", "w1"), node("n2", "west", "w2"), node("n3", "east", "e1")]


def test_subsets_select_by_the_region_of_the_node(places):
    rule = objects.destination_rule("out", subsets=[
        {"name": "east", "labels": {"topology.kubernetes.io/region": "east"}},
        {"name": "w1", "labels": {"topology.kubernetes.io/zone": "w1"}}])
    with Gateway(on_nodes(places, rule, subset="east")) as gateway:
        assert names(gateway, 8) == {"east/e1": 8}
        gateway.write(on_nodes(places, rule, subset="w1"))
        gateway.reload()
        assert set(names(gateway, 8)) == {"west/w1/a", "west/w1/b"}


def test_a_gateway_on_a_node_stays_in_its_region(places):
    setting = {"zoneAwareLbSetting": {"enabled": True, "minClusterSize": 1}, "simple": "ROUND_ROBIN"}
    rule = objects.destination_rule(
        "out", trafficPolicy={"loadBalancer": setting, "outlierDetection": OUTLIERS})
    with Gateway(on_nodes(places, rule), arguments=["--node", "n2"]) as gateway:
        assert names(gateway, 9) == {"west/w1/a": 3, "west/w1/b": 3, "west/w2": 3}
        for place in places[:3]:
            place.status = 503
        waiting.until(lambda: names(gateway, 1)["east/e1"] == 1, 10, "the other region")
    with Gateway(on_nodes(places, rule), arguments=["--node", "n3"]) as gateway:
        assert names(gateway, 4) == {"east/e1": 4}
