"""deploy/ as far as it can be tried without a cluster, a container engine or systemd.

Always: kustomization.yaml is resolved here, by a few lines that know only what it uses, and each object
is held against its shape. Where kubectl is installed, what `kubectl kustomize` renders is held against
the same checks (Debian 12 has it in `kubernetes-client`, but version 1.20, too old for `labels`; PyPI
has none). Not tried: an API server, the load balancer, and building the image.
"""

import os
import pathlib
import re
import shutil
import subprocess

import pytest
import shapes_of_deploy as shapes
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
BASE = ROOT / "deploy" / "kubernetes"
KUBECTL = shutil.which("kubectl")
BINARY = pathlib.Path(os.environ.get("PORTICO", ROOT / ".build" / "release" / "portico"))


class StrictLoader(yaml.SafeLoader):
    """Refuses a key that stands twice, which YAML readers otherwise drop in silence."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        assert not twice, f"{node.start_mark}: {twice} stands twice"
        return super().construct_mapping(node, deep)


def documents(text):
    return [document for document in yaml.load_all(text, StrictLoader) if document is not None]


def read(path):
    return documents(path.read_text())


def resolved():
    """What kustomize makes of the base: resources, namespace, labels and the generated ConfigMap."""
    (custom,) = read(BASE / "kustomization.yaml")
    known = {"apiVersion", "kind", "namespace", "resources", "labels", "configMapGenerator", "images"}
    assert set(custom) <= known
    found = [document for name in custom["resources"] for document in read(BASE / name)]
    for generator in custom["configMapGenerator"]:
        files = [BASE / name for name in generator["files"]]
        found.append({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": generator["name"]},
            "data": {file.name: file.read_text() for file in files},
        })
    for document in found:
        if document["kind"] != "Namespace":
            document["metadata"]["namespace"] = custom["namespace"]
        for label in custom["labels"]:
            document["metadata"].setdefault("labels", {}).update(label["pairs"])
            if document["kind"] == "Deployment":
                document["spec"]["selector"] = {"matchLabels": label["pairs"]}
                document["spec"]["template"]["metadata"].setdefault("labels", {}).update(label["pairs"])
            if document["kind"] == "Service":
                document["spec"].setdefault("selector", {}).update(label["pairs"])
    return found


def rendered():
    """What kubectl makes of it; skips where kubectl is missing or older than kustomize's `labels`."""
    if not KUBECTL:
        pytest.skip("kubectl is not installed")
    asked = subprocess.run([KUBECTL, "version", "--client", "-o", "json"], capture_output=True, timeout=50)
    version = re.search(r'"gitVersion":\s*"v1\.(\d+)', asked.stdout.decode(errors="replace"))
    if version and int(version[1]) < 22:
        pytest.skip(f"kubectl 1.{version[1]} is too old for this kustomization")
    done = subprocess.run([KUBECTL, "kustomize", str(BASE)], capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr.lower(), done.stderr
    return documents(done.stdout)


@pytest.fixture(scope="module", params=["python", "kubectl"])
def objects(request):
    return rendered() if request.param == "kubectl" else resolved()


def only(objects, kind):
    (found,) = [document for document in objects if document["kind"] == kind]
    return found


def container(objects):
    (found,) = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    return found


def values(arguments, flag):
    return [after for before, after in zip(arguments, arguments[1:]) if before == flag]


def seconds(text):
    return int(re.fullmatch(r"(\d+)s", text)[1])


def test_every_object_is_well_formed_and_there_once(objects):
    assert [problem for document in objects for problem in shapes.problems(document)] == []
    kinds = sorted(document["kind"] for document in objects)
    assert kinds == sorted([
        "Namespace", "ServiceAccount", "ConfigMap", "Deployment", "Service", "PodDisruptionBudget",
        "HorizontalPodAutoscaler",
    ])
    assert all(document["metadata"].get("namespace", "portico") == "portico" for document in objects)


def test_a_misspelt_field_would_be_seen(objects):
    service = only(objects, "Service")
    assert shapes.problems(service | {"spec": service["spec"] | {"externaltrafficPolicy": "Local"}}) == [
        "Service.spec: unknown field externaltrafficPolicy"]
    assert shapes.problems({"apiVersion": "v1", "kind": "Servise"})


def test_the_optional_network_policy_is_well_formed_and_names_the_ports(objects):
    (policy,) = read(BASE / "network-policy.yaml")
    assert shapes.problems(policy) == []
    names = {port["name"] for port in container(objects)["ports"]}
    used = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
    assert used == names


def test_labels_select_the_pods(objects):
    pods = only(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    selectors = [
        only(objects, "Deployment")["spec"]["selector"]["matchLabels"],
        only(objects, "Service")["spec"]["selector"],
        only(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
    ]
    for selector in selectors:
        assert selector and selector.items() <= pods.items()
    target = only(objects, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    deployment = only(objects, "Deployment")
    assert (target["kind"], target["name"]) == ("Deployment", deployment["metadata"]["name"])
    assert "replicas" not in deployment["spec"], "the autoscaler owns the number of pods"


def test_ports_agree_from_the_load_balancer_to_the_gateway_objects(objects):
    pod = container(objects)
    ports = {port["name"]: port["containerPort"] for port in pod["ports"]}
    mapped = dict(pair.split("=") for pair in values(pod["args"], "--listen-map"))
    for port in only(objects, "Service")["spec"]["ports"]:
        assert mapped[str(port["port"])] == str(ports[port["targetPort"]])
    (gateway,) = read(BASE / "config" / "gateway.yaml")
    assert {str(server["port"]["number"]) for server in gateway["spec"]["servers"]} == set(mapped)
    assert all(int(port) >= 1024 for port in mapped.values()), "a port that needs root"


def test_probes_ask_the_status_port(objects):
    pod = container(objects)
    (status,) = values(pod["args"], "--status")
    port = {port["name"]: port["containerPort"] for port in pod["ports"]}["status"]
    assert status == f"0.0.0.0:{port}" and port == 15021
    paths = {name: pod[name]["httpGet"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert all(get["port"] == "status" for get in paths.values())
    assert paths["readinessProbe"]["path"] == "/healthz/ready"
    assert paths["livenessProbe"]["path"] == "/healthz/live"


def test_a_pod_has_time_to_leave(objects):
    pod = container(objects)
    spec = only(objects, "Deployment")["spec"]["template"]["spec"]
    wait = int(pod["lifecycle"]["preStop"]["exec"]["command"][1])
    (drain,) = values(pod["args"], "--drain")
    assert spec["terminationGracePeriodSeconds"] >= wait + seconds(drain) + 10
    notes = only(objects, "Service")["metadata"]["annotations"]
    prefix = "service.beta.kubernetes.io/aws-load-balancer-healthcheck-"
    assert wait >= int(notes[prefix + "interval"]) * int(notes[prefix + "unhealthy-threshold"])


def test_the_load_balancer_passes_http2_through(objects):
    service = only(objects, "Service")
    assert service["spec"]["type"] == "LoadBalancer"
    assert service["spec"]["externalTrafficPolicy"] == "Local"
    notes = service["metadata"]["annotations"]
    prefix = "service.beta.kubernetes.io/aws-load-balancer-"
    assert notes[prefix + "backend-protocol"] == "tcp"
    assert prefix + "proxy-protocol" not in notes, "breaks every connection until Portico reads it"


def test_the_pod_has_no_rights_it_does_not_need(objects):
    spec = only(objects, "Deployment")["spec"]["template"]["spec"]
    pod = container(objects)
    assert spec["securityContext"]["runAsNonRoot"] is True and spec["securityContext"]["runAsUser"] > 0
    assert spec["automountServiceAccountToken"] is False
    assert pod["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }
    assert all(mount["readOnly"] for mount in pod["volumeMounts"])


def test_the_pod_reads_every_file_of_the_configuration(objects):
    pod = container(objects)
    mounts = {mount["name"]: mount["mountPath"] for mount in pod["volumeMounts"]}
    settings = only(objects, "ConfigMap")
    assert values(pod["args"], "--config") == [mounts["config"]]
    assert all(name.endswith((".yaml", ".yml")) for name in settings["data"])
    spec = only(objects, "Deployment")["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert volumes["config"]["configMap"]["name"] == settings["metadata"]["name"]
    (gateway,) = documents(settings["data"]["gateway.yaml"])
    tls = [server["tls"] for server in gateway["spec"]["servers"] if "tls" in server]
    assert all(path["privateKey"].startswith(mounts["tls"] + "/") for path in tls)


def test_kustomize_names_the_configuration_by_its_contents_and_sets_the_image():
    objects = rendered()
    assert re.fullmatch(r"portico-config-[a-z0-9]{10}", only(objects, "ConfigMap")["metadata"]["name"])
    assert container(objects)["image"] == "registry.example.org/portico:0.1.0"


def test_portico_itself_finds_no_fault_in_the_configuration():
    asked = [BINARY, "check", "--help"]
    if not BINARY.exists() or subprocess.run(asked, capture_output=True, timeout=20).returncode != 0:
        pytest.skip(f"{BINARY} has no `check` yet")
    done = subprocess.run([BINARY, "check", BASE / "config"], capture_output=True, text=True, timeout=20)
    # The certificate's files are in the pod only.
    faults = [line for line in done.stdout.splitlines() if " error:" in line and "/etc/portico/tls" not in line]
    assert faults == [] and done.returncode in (0, 1), done.stdout + done.stderr


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
    done = subprocess.run([analyze, "verify", str(copy)], capture_output=True, text=True, timeout=50)
    assert "portico.service" not in done.stderr, done.stderr
