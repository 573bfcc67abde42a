"""deploy/helm/portico as Helm's library renders it, beside what kustomize makes: both have the same content."""

import copy

import pytest
import rendering
import shapes_of_deploy as shapes
from rendering import charted, container, only, read, values

EXTRA = {"networkPolicy": {"enabled": True}, "serviceMonitor": {"enabled": True}}
HELM_LABELS = {
    "app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "app.kubernetes.io/version", "helm.sh/chart"}


def cloud(name):
    """The values of a file of clouds/."""
    (found,) = read(rendering.CHART / "clouds" / f"{name}.yaml")
    return found


def plain(objects):
    """By kind and name, without what only Helm or only kustomize says and what is Kubernetes' default."""
    found = {}
    for each in copy.deepcopy(objects):
        if each["kind"] == "Namespace":  # Helm makes it by --create-namespace
            continue
        _without_helm(each)
        if each["kind"] == "Deployment":
            for one in each["spec"]["template"]["spec"]["containers"]:
                assert one.pop("imagePullPolicy", "IfNotPresent") == "IfNotPresent"
        found[each["kind"], each["metadata"]["name"]] = each
    return found


def _without_helm(value):
    if isinstance(value, dict):
        for name in HELM_LABELS:
            value.pop(name, None)
        for inner in value.values():
            _without_helm(inner)
    elif isinstance(value, list):
        for inner in value:
            _without_helm(inner)


def test_the_chart_is_what_the_base_with_its_components_is(tmp_path):
    assert plain(charted(EXTRA)) == plain(rendering.with_components(".", tmp_path))


def test_the_chart_with_the_status_is_what_the_base_with_that_component_is(tmp_path):
    whole = rendering.with_components(".", tmp_path, ["status-writer"])
    assert plain(charted({"statusWriter": {"enabled": True}})) == plain(whole)


def test_the_chart_with_nodes_is_what_the_base_with_that_component_is(tmp_path):
    whole = rendering.with_components(".", tmp_path, ["nodes"])
    assert plain(charted({"nodes": {"enabled": True}})) == plain(whole)


@pytest.mark.parametrize("name", rendering.CLOUDS)
def test_the_values_of_a_cloud_are_its_overlay(name):
    assert plain(charted(cloud(name))) == plain(rendering.kustomized(rendering.KUBERNETES / "overlays" / name))


def test_each_overlay_of_a_cloud_has_values():
    assert rendering.CLOUDS == [name for name in rendering.OVERLAYS if name != "kind"]


def test_helm_finds_no_fault():
    helm = pytest.importorskip("helm_python")
    report = helm.lint(str(rendering.CHART), strict=True)
    assert report["errors"] == [] and all(each["severity"] < 2 for each in report["messages"]), report


@pytest.mark.parametrize("wrong", [
    {"servce": {}}, {"image": {"repositry": "x"}}, {"ports": []}, {"workers": "2"}, {"logFormat": "xml"},
    {"ports": [{"name": "http", "port": 80, "containerPort": 80}]}, {"service": {"type": "loadbalancer"}},
    {"proxyProtocol": ["on"]}, {"trustedHops": 101},
    {"secretNames": ["a", "a"]}, {"preStopSeconds": "25s"}, {"serviceMonitor": {"interval": 15}},
])
def test_values_that_mean_nothing_are_refused(wrong):
    helm = pytest.importorskip("helm_python")
    with pytest.raises(helm.errors.HelmError):
        charted(wrong)


# Values, and what the rendered text of all objects then has.
EFFECTS = [
    ({"image": {"repository": "r.example/p", "tag": "7", "pullPolicy": "Always"}}, [
        "r.example/p:7", "'imagePullPolicy': 'Always'"]),
    ({"image": {"pullSecrets": ["pull"]}}, ["'imagePullSecrets': [{'name': 'pull'}]"]),
    ({"autoscaling": {"enabled": False}, "replicas": 5}, ["'replicas': 5"]),
    ({"autoscaling": {"minReplicas": 3, "maxReplicas": 30, "cpu": 70}}, [
        "'minReplicas': 3", "'maxReplicas': 30", "'averageUtilization': 70"]),
    ({"gatewayLabels": {"istio": "edge"}}, ["'--label', 'istio=edge'"]),
    ({"clusterDomain": "k8s.example"}, ["'--cluster-domain', 'k8s.example'"]),
    ({"workers": 8, "logFormat": "text"}, ["'value': '8'", "'--log-format', 'text'"]),
    ({"statusPort": 15022}, [
        "'0.0.0.0:15022'", "{'name': 'status', 'containerPort': 15022}", "'prometheus.io/port': '15022'"]),
    ({"prometheusAnnotations": False, "podAnnotations": {"x": "y"}}, ["'annotations': {'x': 'y'}"]),
    ({"preStopSeconds": 60, "deregistrationSeconds": 20, "drainSeconds": 300}, [
        "['sleep', '60']", "'--deregistration', '20s'", "'--drain', '300s'", "'terminationGracePeriodSeconds': 375"]),
    ({"extraArgs": ["--max-connections", "9"], "extraEnv": [{"name": "PORTICO_MEMORY", "value": "1Gi"}]}, [
        "'--max-connections', '9'", "{'name': 'PORTICO_MEMORY', 'value': '1Gi'}"]),
    ({"service": {"annotations": {"a": "b"}, "loadBalancerClass": "c", "loadBalancerSourceRanges": ["192.0.2.0/24"]}}, [
        "'annotations': {'a': 'b'}", "'loadBalancerClass': 'c'", "'loadBalancerSourceRanges': ['192.0.2.0/24']"]),
    ({"podDisruptionBudget": {"maxUnavailable": "25%"}}, ["'maxUnavailable': '25%'"]),
    ({"networkPolicy": {
        "enabled": True, "monitoringNamespace": "watch", "apiServerCIDRs": ["192.0.2.1/32"],
        "backendNamespaceLabels": {"edge": "yes"},
        "extraEgress": [{"to": [{"ipBlock": {"cidr": "198.51.100.0/24"}}]}]}}, [
            "'kubernetes.io/metadata.name': 'watch'", "'192.0.2.1/32'", "{'edge': 'yes'}", "'198.51.100.0/24'"]),
    ({"serviceMonitor": {"enabled": True, "labels": {"release": "p"}, "interval": "1m"}}, [
        "'release': 'p'", "'interval': '1m'"]),
    ({"serviceAccount": {"annotations": {"role": "arn"}}}, ["'annotations': {'role': 'arn'}"]),
    ({"podAnnotations": {"x": "y"}, "nodeSelector": {"edge": "yes"}, "priorityClassName": "high"}, [
        "'x': 'y'", "'nodeSelector': {'edge': 'yes'}", "'priorityClassName': 'high'"]),
    ({"tolerations": [{"key": "edge", "operator": "Exists"}], "affinity": {"podAntiAffinity": {}}}, [
        "'tolerations': [{'key': 'edge', 'operator': 'Exists'}]", "'affinity': {'podAntiAffinity': {}}"]),
    ({"resources": {"requests": {"cpu": "3"}}}, ["'cpu': '3'"]),
    ({"secretNames": ["one", "two"]}, ["'resourceNames': ['one', 'two']"]),
    ({"ports": [{"name": "grpc", "port": 8000, "containerPort": 8000}]}, ["{'name': 'grpc', 'containerPort': 8000}"]),
    ({"watchNamespaces": ["shop"]}, ["'--watch-namespace', 'shop'"]),
    ({"adminPort": 15001}, ["'127.0.0.1:15001'"]),
    ({"proxyProtocol": ["443=require", "80=off"], "proxyProtocolFrom": ["10.0.0.0/8", "fd00::/8"]}, [
        "{'name': 'PORTICO_PROXY_PROTOCOL', 'value': '443=require,80=off'}",
        "{'name': 'PORTICO_PROXY_PROTOCOL_FROM', 'value': '10.0.0.0/8,fd00::/8'}"]),
    ({"trustedHops": 1, "trustedHopsFrom": ["10.0.0.0/8"]}, [
        "{'name': 'PORTICO_TRUSTED_HOPS', 'value': '1'}", "'PORTICO_TRUSTED_HOPS_FROM', 'value': '10.0.0.0/8'"]),
    ({"statusWriter": {"enabled": True}}, ["'--status-writer'", "'resourceNames': ['portico-status']"]),
    ({"nodes": {"enabled": True}}, ["'spec.nodeName'", "'resources': ['nodes']"]),
]


@pytest.mark.parametrize("given, expected", EFFECTS)
def test_a_value_is_in_effect(given, expected):
    text, before = str(charted(given)), str(charted())
    for words in expected:
        assert words in text and words not in before, words


def test_every_value_is_among_those():
    (known,) = read(rendering.CHART / "values.yaml")
    assert {name for given, _ in EFFECTS for name in given} == set(known)


def test_what_is_switched_off_is_not_there():
    objects = charted({
        "autoscaling": {"enabled": False}, "podDisruptionBudget": {"enabled": False}, "secretNames": [], "adminPort": 0,
        "service": {"type": "ClusterIP"}, "ports": [{"name": "grpc", "port": 8000, "containerPort": 8000}]})
    assert sorted(each["kind"] for each in objects) == [
        "ClusterRole", "ClusterRoleBinding", "Deployment", "Service", "ServiceAccount"]
    arguments = container(objects)["args"]
    assert "--admin" not in arguments and "--listen-map" not in arguments
    assert "externalTrafficPolicy" not in only(objects, "Service")["spec"]


def test_namespaces_that_are_watched_have_a_role_each_and_there_is_no_cluster_role():
    objects = charted({"watchNamespaces": ["shop", "pay"]})
    roles = {(each["kind"], each["metadata"]["namespace"]) for each in objects if each["kind"].startswith("Role")}
    assert {("Role", "shop"), ("Role", "pay"), ("RoleBinding", "shop"), ("RoleBinding", "pay")} <= roles
    assert not [each for each in objects if each["kind"].startswith("ClusterRole")]
    assert values(container(objects)["args"], "--watch-namespace") == ["shop", "pay"]
    whole = only(charted(), "ClusterRole")["rules"]
    for each in objects:
        if each["kind"] == "Role" and each["metadata"]["namespace"] != "portico":
            assert each["rules"] == whole


@pytest.mark.parametrize("given", [{}, EXTRA, {"watchNamespaces": ["shop"]}, *map(cloud, rendering.CLOUDS)])
def test_every_object_is_well_formed(given):
    assert [problem for each in charted(given) for problem in shapes.problems(each)] == []


def test_two_releases_do_not_share_a_name_or_a_pod():
    all_of_it = {**EXTRA, "statusWriter": {"enabled": True}, "nodes": {"enabled": True}}
    one, two = charted(all_of_it, name="edge"), charted(all_of_it, name="inner")
    names = [{(each["kind"], each["metadata"]["name"]) for each in objects} for objects in (one, two)]
    assert not names[0] & names[1]
    labels = only(two, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert not only(one, "Service", "edge-portico")["spec"]["selector"].items() <= labels.items()
