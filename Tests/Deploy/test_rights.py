"""`portico rbac` prints the rights that deploy/ grants: neither has one that the other has not."""

import pytest
import rendering
import yaml
from peers import objects
from peers.gateway import run


def granted(documents):
    """Each right: (namespace of the binding or None, group, resource, name or None, verb)."""
    roles = {(each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]): each["rules"]
             for each in documents if each["kind"] in ("Role", "ClusterRole")}
    found = set()
    for each in documents:
        if each["kind"] not in ("RoleBinding", "ClusterRoleBinding"):
            continue
        namespace, role = each["metadata"].get("namespace"), each["roleRef"]
        where = None if role["kind"] == "ClusterRole" else namespace
        (subject,) = each["subjects"]
        assert subject["kind"] == "ServiceAccount" and subject["name"] in ("portico", "edge-portico")
        for rule in roles[role["kind"], where, role["name"]]:
            found |= {
                (namespace, group, resource, name, verb) for group in rule["apiGroups"]
                for resource in rule["resources"] for name in rule.get("resourceNames", [None])
                for verb in rule["verbs"]}
    return found


def printed(tmp_path, *arguments, rules=()):
    """For a Gateway that names the Secret of the Role."""
    file = tmp_path / "gateway.yaml"
    file.write_text(yaml.safe_dump_all([objects.gateway(
        port=443, protocol="HTTPS", tls={"mode": "SIMPLE", "credentialName": "portico-tls"}), *rules]))
    done = run("rbac", file, "--service-account", "portico", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return granted([each for each in yaml.safe_load_all(done.stdout) if each])


def test_the_base_grants_what_is_printed(tmp_path):
    base = rendering.kustomized(rendering.KUBERNETES)
    assert granted(base) == printed(tmp_path, "--namespace", "portico")


def test_the_chart_grants_what_is_printed(tmp_path):
    chart = rendering.charted(namespace="chart", name="edge")
    assert granted(chart) == printed(tmp_path, "--namespace", "chart")


def test_the_writer_of_the_status_is_granted_what_is_printed(tmp_path):
    flags = ["--status-writer", "--namespace"]
    base = rendering.with_components(".", tmp_path, ["status-writer"])
    assert granted(base) == printed(tmp_path, *flags, "portico")
    chart = rendering.charted({"statusWriter": {"enabled": True}}, namespace="chart", name="edge")
    name = rendering.values(rendering.container(chart)["args"], "--status-name")
    assert granted(chart) == printed(tmp_path, *flags, "chart", "--status-name", *name)


@pytest.mark.parametrize("policy", [
    {"loadBalancer": {"zoneAwareLbSetting": {"enabled": True}}},
    {"loadBalancer": {"localityLbSetting": {"failover": [{"from": "west", "to": "east"}]}}, "outlierDetection": {}},
    {"outlierDetection": {"consecutive5xxErrors": 5}},  # endpoints that are near come first
], ids=["zones", "failover", "outliers"])
def test_rules_by_place_are_granted_nodes(tmp_path, policy):
    rule = objects.destination_rule("one", trafficPolicy=policy)
    base = rendering.with_components(".", tmp_path, ["nodes"])
    wanted = printed(tmp_path, "--namespace", "portico", "--node", "a", rules=[rule])
    assert granted(base) == wanted and (None, "", "nodes", None, "watch") in wanted
    chart = rendering.charted({"nodes": {"enabled": True}}, namespace="chart", name="edge")
    assert granted(chart) == printed(tmp_path, "--namespace", "chart", "--node", "a", rules=[rule])


def test_the_charts_roles_in_watched_namespaces_are_what_is_printed(cluster, tmp_path):
    """With a cluster, which --watch-namespace needs; there is nothing in these two."""
    watched = {"watchNamespaces": ["shop", "pay"]}
    flags = ["--namespace", "chart", "--kubeconfig", cluster.kubeconfig, "--watch-namespace", "shop"]
    flags += ["--watch-namespace", "pay"]
    assert granted(rendering.charted(watched, namespace="chart", name="edge")) == printed(tmp_path, *flags)
    writing = rendering.charted({**watched, "statusWriter": {"enabled": True}}, namespace="chart", name="edge")
    assert granted(writing) == printed(tmp_path, *flags, "--status-writer", "--status-name", "edge-portico")
