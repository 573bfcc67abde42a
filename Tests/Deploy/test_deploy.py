"""deploy/kubernetes as kustomize renders it, deploy/systemd and the Dockerfile, held against rules.

Each overlay goes through the same checks. What a real API server says to them is in `test_apply.py`; not tried are the
load balancers.
"""

import pathlib
import re
import shutil
import subprocess

import pytest
import rendering
import shapes_of_deploy as shapes
import yaml
from peers.gateway import run
from rendering import ROOT, container, only, read, values

BASE_KINDS = [
    "Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Deployment", "Service",
    "PodDisruptionBudget", "HorizontalPodAutoscaler",
]


@pytest.fixture(scope="module", params=[".", *(f"overlays/{name}" for name in rendering.OVERLAYS)])
def overlay(request):
    return request.param


@pytest.fixture(scope="module")
def objects(overlay):
    return rendering.kustomized(rendering.KUBERNETES / overlay)


def seconds(text):
    return int(re.fullmatch(r"(\d+)s", text)[1])


def test_there_is_an_overlay_for_each_place():
    assert rendering.OVERLAYS == ["aws-classic", "aws-nlb", "kind", "node-port", "tencent-clb"]


def test_every_object_is_well_formed_and_there_once(objects, overlay):
    assert [problem for document in objects for problem in shapes.problems(document)] == []
    kinds = sorted(document["kind"] for document in objects)
    assert kinds == sorted(kind for kind in BASE_KINDS if (overlay, kind) != (
        "overlays/kind", "HorizontalPodAutoscaler"))
    cluster_wide = {"Namespace", "ClusterRole", "ClusterRoleBinding"}
    for document in objects:
        namespace = None if document["kind"] in cluster_wide else "portico"
        assert document["metadata"].get("namespace") == namespace
    for kind in ("RoleBinding", "ClusterRoleBinding"):
        assert only(objects, kind)["subjects"] == [
            {"kind": "ServiceAccount", "name": "portico", "namespace": "portico"}]


def test_a_misspelt_field_would_be_seen(objects):
    service = only(objects, "Service")
    assert shapes.problems(service | {"spec": service["spec"] | {"externaltrafficPolicy": "Local"}}) == [
        "Service.spec: unknown field externaltrafficPolicy"]
    assert shapes.problems({"apiVersion": "v1", "kind": "Servise"})


def test_the_components_are_well_formed_and_name_the_ports(overlay, tmp_path):
    objects = rendering.with_components(overlay, tmp_path)
    assert [problem for document in objects for problem in shapes.problems(document)] == []
    policy = only(objects, "NetworkPolicy")
    names = {port["name"] for port in container(objects)["ports"]}
    used = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
    assert used == names
    monitor, metrics = only(objects, "ServiceMonitor"), only(objects, "Service", "portico-metrics")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= metrics["metadata"]["labels"].items()
    assert [port["name"] for port in metrics["spec"]["ports"]] == [
        endpoint["port"] for endpoint in monitor["spec"]["endpoints"]]
    clients = only(objects, "Service", "portico")
    assert not monitor["spec"]["selector"]["matchLabels"].items() <= clients["metadata"]["labels"].items()
    assert all(port["targetPort"] != "status" for port in clients["spec"]["ports"])


def test_the_status_can_be_switched_on(overlay, tmp_path):
    objects = rendering.with_components(overlay, tmp_path, ["status-writer"])
    assert [problem for document in objects for problem in shapes.problems(document)] == []
    assert "--status-writer" in container(objects)["args"]


def test_a_pod_can_be_told_its_node(overlay, tmp_path):
    objects = rendering.with_components(overlay, tmp_path, ["nodes", "status-writer"])
    assert [problem for document in objects for problem in shapes.problems(document)] == []
    node = {"name": "PORTICO_NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}
    assert node in container(objects)["env"]


def test_labels_select_the_pods(objects, overlay):
    deployment = only(objects, "Deployment")
    pods = deployment["spec"]["template"]["metadata"]["labels"]
    selectors = [
        deployment["spec"]["selector"]["matchLabels"], only(objects, "Service")["spec"]["selector"],
        only(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
    ]
    for selector in selectors:
        assert selector and selector.items() <= pods.items()
    if overlay == "overlays/kind":
        assert deployment["spec"]["replicas"] == 1
        return
    target = only(objects, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", deployment["metadata"]["name"])
    assert "replicas" not in deployment["spec"], "the autoscaler owns the number of pods"


def test_ports_agree_from_the_load_balancer_to_the_gateway_objects(objects):
    pod = container(objects)
    ports = {port["name"]: port["containerPort"] for port in pod["ports"]}
    mapped = dict(pair.split("=") for pair in values(pod["args"], "--listen-map"))
    service = only(objects, "Service")["spec"]
    assert [port["port"] for port in service["ports"]] == [80, 443]
    for port in service["ports"]:
        assert mapped[str(port["port"])] == str(ports[port["targetPort"]])
        node_port = {80: 30080, 443: 30443}[port["port"]] if service["type"] == "NodePort" else None
        assert port.get("nodePort") == node_port
    assert all(int(port) >= 1024 for port in mapped.values()), "a port that needs root"


def test_probes_ask_the_status_port(objects):
    pod = container(objects)
    (status,) = values(pod["args"], "--status")
    port = {port["name"]: port["containerPort"] for port in pod["ports"]}["status"]
    assert status == f"0.0.0.0:{port}" and port == 15021
    paths = {name: pod[name]["httpGet"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert all(get["port"] == "status" for get in paths.values())
    assert paths["readinessProbe"]["path"] == "/healthz/ready"
    # A pod that waits for the API server is not started again and again.
    assert paths["livenessProbe"]["path"] == paths["startupProbe"]["path"] == "/healthz/live"
    (admin,) = values(pod["args"], "--admin")
    assert admin.startswith("127.0.0.1:")


def test_a_pod_has_time_to_leave(objects, overlay):
    pod = container(objects)
    spec = only(objects, "Deployment")["spec"]["template"]["spec"]
    wait = int(pod["lifecycle"]["preStop"]["exec"]["command"][1])
    (drain,) = values(pod["args"], "--drain")
    (deregistration,) = values(pod["args"], "--deregistration")
    assert spec["terminationGracePeriodSeconds"] >= wait + seconds(drain) + 10
    # What docs/operations.md says of the default: 40 s for calls to end, after everybody was told.
    assert seconds(drain) >= seconds(deregistration) + 40
    notes = only(objects, "Service")["metadata"].get("annotations", {})
    prefix = "service.beta.kubernetes.io/aws-load-balancer-healthcheck-"
    checked = prefix + "interval" in notes
    assert checked == (overlay in ("overlays/aws-classic", "overlays/aws-nlb"))
    if checked:
        assert wait >= int(notes[prefix + "interval"]) * int(notes[prefix + "unhealthy-threshold"])


def test_load_balancers_pass_tcp_through_and_say_the_client_where_pods_expect_it(objects, overlay):
    service = only(objects, "Service")
    nodes = overlay in ("overlays/node-port", "overlays/kind")
    assert service["spec"]["type"] == ("NodePort" if nodes else "LoadBalancer")
    assert service["spec"]["externalTrafficPolicy"] == ("Cluster" if nodes else "Local")
    notes = service["metadata"].get("annotations", {})
    assert notes.get("service.beta.kubernetes.io/aws-load-balancer-backend-protocol", "tcp") == "tcp"
    # One without the other breaks every connection.
    says = notes.get("service.beta.kubernetes.io/aws-load-balancer-proxy-protocol")
    expects = {each["name"]: each.get("value") for each in container(objects)["env"]}.get("PORTICO_PROXY_PROTOCOL")
    assert (says, expects) == (("*", "require") if overlay.startswith("overlays/aws-") else (None, None))
    # With the client's address in its packets as well, connections of a pod to its own load balancer are lost.
    assert not says or "preserve_client_ip.enabled=true" not in "".join(notes.values())


def test_the_pod_has_no_rights_it_does_not_need(objects):
    spec = only(objects, "Deployment")["spec"]["template"]["spec"]
    pod = container(objects)
    assert spec["securityContext"]["runAsNonRoot"] is True and spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert only(objects, "ServiceAccount")["automountServiceAccountToken"] is False
    assert pod["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }
    rules = [rule for kind in ("ClusterRole", "Role") for rule in only(objects, kind)["rules"]]
    assert {verb for rule in rules for verb in rule["verbs"]} == {"get", "list", "watch"}
    for rule in rules:
        if "secrets" in rule["resources"]:
            assert "list" not in rule["verbs"] and rule["resourceNames"]
        assert "*" not in rule["resources"] + rule["apiGroups"]
    assert all("secrets" not in rule["resources"] for rule in only(objects, "ClusterRole")["rules"])


def test_pods_are_spread_over_zones_and_nodes(objects):
    spread = only(objects, "Deployment")["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert [each["topologyKey"] for each in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]


def test_flags_are_those_of_serve(objects):
    known = set(re.findall(r"^ {2}(--[a-z-]+)", run("serve", "--help").stdout, re.M))
    pod = container(objects)
    assert {flag for flag in pod["args"] if flag.startswith("--")} <= known
    assert {"--" + each["name"].removeprefix("PORTICO_").lower().replace("_", "-") for each in pod["env"]} <= known


def test_the_namespace_can_be_another_one(tmp_path):
    """All of it is in the place where a kustomization of a user's own says, the subjects of bindings too."""
    (tmp_path / "kustomization.yaml").write_text(
        f"namespace: edge\nresources: [{pathlib.Path(*['..'] * (len(tmp_path.parts) - 1))}{rendering.KUBERNETES}]\n")
    objects = rendering.kustomized(tmp_path, ["--load-restrictor", "LoadRestrictionsNone"])
    assert {each["metadata"].get("namespace", "edge") for each in objects} == {"edge"}
    assert only(objects, "ClusterRoleBinding")["subjects"][0]["namespace"] == "edge"
    assert only(objects, "Namespace")["metadata"]["name"] == "edge"


def test_portico_itself_finds_no_fault_in_the_example(tmp_path):
    """With the pods that the cluster adds."""
    pods = [{
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": f"hello-{version}", "namespace": "shop", "labels": {"app": "hello", "version": version}},
        "spec": {"containers": [{"name": "hello", "ports": [{"name": "grpc", "containerPort": 9000}]}]},
        "status": {"phase": "Running", "podIP": address, "conditions": [{"type": "Ready", "status": "True"}]}}
        for version, address in (("v1", "127.0.9.1"), ("v2", "127.0.9.2"))]
    (tmp_path / "pods.yaml").write_text(yaml.safe_dump_all(pods))
    done = run("check", rendering.KUBERNETES / "example", tmp_path)
    assert done.returncode == 0 and "0 errors, 0 warnings" in done.stdout, done.stdout


def test_kind_maps_the_ports_of_its_nodes():
    (cluster,) = read(rendering.KUBERNETES / "overlays" / "kind" / "cluster.yaml")
    mapped = {each["containerPort"] for node in cluster["nodes"] for each in node["extraPortMappings"]}
    service = only(rendering.kustomized(rendering.KUBERNETES / "overlays" / "kind"), "Service")
    assert mapped == {port["nodePort"] for port in service["spec"]["ports"]}


def test_the_image_runs_without_root_and_holds_no_build_tools():
    text = (ROOT / "deploy" / "Dockerfile").read_text()
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
    stages = [line.split()[1] for line in lines if line.startswith("FROM ")]
    assert len(stages) == 2 and all(":" in stage and not stage.endswith(":latest") for stage in stages)
    last = lines[max(index for index, line in enumerate(lines) if line.startswith("FROM ")):]
    assert any(re.fullmatch(r"USER [1-9]\d*:[1-9]\d*", line) for line in last)
    installed = " ".join(line for line in last if line.startswith("RUN "))
    assert "-dev" not in installed and "swift" not in installed
    ignored = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text().splitlines()
    assert "*" in ignored and not any(line.startswith("!") and "cert" in line for line in ignored)


def unit():
    lines = (ROOT / "deploy" / "systemd" / "portico.service").read_text().splitlines()
    return [tuple(line.split("=", 1)) for line in lines if "=" in line and not line.startswith("#")]


def test_the_unit_reloads_drains_and_binds_low_ports_without_root():
    settings = dict(unit())
    assert settings["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert settings["DynamicUser"] == "yes" and int(settings["LimitNOFILE"]) >= 65536
    assert settings["AmbientCapabilities"] == settings["CapabilityBoundingSet"] == "CAP_NET_BIND_SERVICE"
    (drain,) = values(settings["ExecStart"].split(), "--drain")
    assert int(settings["TimeoutStopSec"]) >= seconds(drain) + 10


def test_a_crash_is_survived_however_often(objects):
    settings = dict(unit())
    assert (settings["Restart"], settings["StartLimitIntervalSec"]) == ("on-failure", "0")
    assert only(objects, "Deployment")["spec"]["template"]["spec"]["restartPolicy"] == "Always"


def test_systemd_understands_the_unit(tmp_path):
    analyze = shutil.which("systemd-analyze")
    if not analyze:
        pytest.skip("systemd-analyze is not installed")
    text = (ROOT / "deploy" / "systemd" / "portico.service").read_text()
    copy = tmp_path / "portico.service"
    copy.write_text(text.replace("/usr/local/bin/portico", "/bin/true"))
    done = subprocess.run([analyze, "verify", str(copy)], capture_output=True, text=True, timeout=120)
    assert "portico.service" not in done.stderr, done.stderr
