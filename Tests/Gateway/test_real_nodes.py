"""Where endpoints are by the Nodes of a real kube-apiserver, and that Nodes are read only where a rule needs them."""

import pytest

from peers import objects, real_cluster, waiting
from peers.backend import Backend, Caller
from peers.gateway import run
from test_real_status import cluster, server  # noqa: F401

real_cluster.needed()
REGION, ZONE = "topology.kubernetes.io/region", "topology.kubernetes.io/zone"


@pytest.fixture
def two():
    with Backend(name="one") as one, Backend(name="two") as two:
        yield one, two


def node(name, region):
    return {"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": {REGION: region, ZONE: f"{region}-1"}}}


def spread(two, *rules, subset=None):
    made = objects.served_by("echo", *two)
    for each, name in zip(made[1:], ("near", "far")):
        each["endpoints"][0]["nodeName"] = name
    return [objects.gateway(protocol="GRPC"),
            objects.virtual_service([objects.rule(objects.to("echo", subset=subset))]), *made, *rules]


def by(gateway):
    """Who answers ten calls."""
    with Caller(gateway.target) as caller:
        return {dict(caller.unary("/test.S/M")[1].initial_metadata())["x-backend"] for _ in range(10)}


def reads_nodes(gateway):
    return "Node" in gateway.admin("/kubernetes")[1]


def test_nodes_are_watched_once_a_rule_needs_them_and_followed(cluster, two):
    cluster.put(node("near", "west"), node("far", "east"), *spread(two))
    with cluster.gateway() as gateway:
        assert by(gateway) == {"one", "two"} and not reads_nodes(gateway)
        east = objects.destination_rule("echo", subsets=[{"name": "east", "labels": {REGION: "east"}}])
        # The rule takes effect with the Nodes that it needs: no call between is answered by an error.
        cluster.put(east, objects.virtual_service([objects.rule(objects.to("echo", subset="east"))]))
        waiting.until(lambda: by(gateway) == {"two"}, 20, "the endpoint in the east")
        assert reads_nodes(gateway)
        cluster.put(node("near", "east"), node("far", "west"))
        waiting.until(lambda: by(gateway) == {"one"}, 20, "the nodes that have moved")
    done = run("routes", "--kubeconfig", cluster.kubeconfig, seconds=60)
    assert f"{two[0].address}:{two[0].port}" in done.stdout and f"{two[1].address}:{two[1].port}" not in done.stdout
    asked = run("rbac", "--kubeconfig", cluster.kubeconfig, seconds=60).stdout
    assert "nodes" in asked


def test_a_gateway_prefers_the_region_of_its_own_node_from_the_first_call_on(cluster, two):
    rule = objects.destination_rule(
        "echo", trafficPolicy={"loadBalancer": {"zoneAwareLbSetting": {"enabled": True}}})
    cluster.put(node("near", "west"), node("far", "east"), *spread(two, rule))
    with cluster.gateway(arguments=["--node", "far"]) as gateway:
        assert by(gateway) == {"two"}
    with cluster.gateway(arguments=["--node", "near"]) as gateway:
        assert by(gateway) == {"one"}


def test_nodes_that_may_not_be_read_cost_nothing_but_the_places(cluster, two):
    rule = objects.destination_rule(
        "echo", trafficPolicy={"loadBalancer": {"zoneAwareLbSetting": {"enabled": True}}})
    cluster.put(node("near", "west"), *spread(two, rule))
    account = cluster.account("blind")
    rules = [{"apiGroups": ["", "networking.istio.io", "discovery.k8s.io", "security.istio.io"],
              "verbs": ["list", "watch"],
              "resources": ["services", "pods", "endpointslices", "gateways", "virtualservices", "destinationrules",
                            "serviceentries", "workloadentries", "authorizationpolicies", "requestauthentications"]}]
    reader = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "blind"}}
    cluster.put(
        {**reader, "kind": "ClusterRole", "rules": rules},
        {**reader, "kind": "ClusterRoleBinding",
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "blind"},
         "subjects": [{"kind": "ServiceAccount", "name": "blind", "namespace": "default"}]})
    with cluster.gateway(account, arguments=["--node", "near"]) as gateway:
        assert by(gateway) == {"one", "two"}
        assert "objects of kind Node cannot be read" in gateway.admin("/config")[1]
