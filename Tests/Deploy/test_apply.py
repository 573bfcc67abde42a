"""deploy/ applied to a real API server (1.20.2), and the rights it grants used by a real `portico serve --kubernetes`.

Server-side apply refuses a field that the kind does not have. What this server has in an older version only (policy,
autoscaling) is applied in that version, whose fields are the same; `shapes_of_deploy.py` holds the new one.
"""

import subprocess

import pytest
import rendering
import yaml
from peers import certificates, objects, waiting
from peers.backend import Backend, Caller
from peers.gateway import BINARY
from pods import NODE, variables
from rendering import only
from test_tls import handshake

ACCOUNT = "system:serviceaccount:portico:portico"
WHERE = [".", *(f"overlays/{name}" for name in rendering.OVERLAYS)]


CHART = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "chart"}}


@pytest.fixture(scope="module")
def installed(cluster, tmp_path_factory):
    """The base with both components, applied."""
    found = rendering.with_components(".", tmp_path_factory.mktemp("render"))
    cluster.apply(rendering.for_old_server(found))
    return found


def can(cluster, verb, resource, *options, namespace="portico"):
    asked = cluster.kubectl("auth", "can-i", verb, resource, "--as", ACCOUNT, "-n", namespace, *options, code=None)
    return asked.strip().splitlines()[-1] == "yes"


@pytest.mark.parametrize("where", WHERE)
def test_every_overlay_is_accepted(cluster, where, tmp_path):
    found = rendering.for_old_server(rendering.with_components(where, tmp_path))
    said = cluster.apply(found)
    assert said.count("serverside-applied") == len(found)
    service = cluster.answer("GET", "/api/v1/namespaces/portico/services/portico")
    cluster.answer("DELETE", "/api/v1/namespaces/portico/services/portico")  # another overlay changes its type
    wanted = only(found, "Service", "portico")["spec"]
    assert service["spec"]["type"] == wanted["type"]
    assert service["spec"]["externalTrafficPolicy"] == wanted["externalTrafficPolicy"]
    for port, want in zip(service["spec"]["ports"], wanted["ports"], strict=True):
        assert want.items() <= port.items()


def test_the_chart_is_accepted(cluster):
    found = rendering.for_old_server(rendering.charted(namespace="chart", name="edge"))
    cluster.apply([CHART])
    assert cluster.apply(found).count("serverside-applied") == len(found)
    cluster.kubectl("delete", "-f", "-", stdin=yaml.safe_dump_all(found))


def test_a_misspelt_field_is_refused(cluster):
    found = rendering.for_old_server(rendering.kustomized(rendering.KUBERNETES))
    cluster.apply([only(found, "Namespace")])
    cluster.apply(found, "--dry-run=server")
    for kind in ("Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget", "Role"):
        wrong = yaml.safe_load(yaml.safe_dump(next(each for each in found if each["kind"] == kind)))
        (wrong["rules"][0] if kind == "Role" else wrong["spec"])["noSuchField"] = "x"
        said = cluster.kubectl(
            "apply", "--server-side", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(wrong), code=1)
        assert "noSuchField" in said, said


def test_secrets_are_got_by_name_and_never_listed(cluster, installed):
    assert can(cluster, "get", "secrets/portico-tls") and can(cluster, "watch", "secrets/portico-tls")
    assert not can(cluster, "list", "secrets") and not can(cluster, "list", "secrets/portico-tls")
    assert not can(cluster, "get", "secrets/other") and not can(cluster, "get", "secrets")
    assert not can(cluster, "watch", "secrets") and not can(cluster, "list", "secrets", "--all-namespaces")
    assert not can(cluster, "get", "secrets/portico-tls", namespace="default")


def test_nothing_can_be_written_and_nothing_else_be_read(cluster, installed):
    said = cluster.kubectl("auth", "can-i", "--list", "--as", ACCOUNT, "-n", "portico", "--no-headers")
    rows = [line for line in said.splitlines() if "selfsubject" not in line and "[/" not in line]
    verbs = {verb for line in rows for verb in line[line.rindex("[") + 1:line.rindex("]")].split()}
    assert verbs == {"get", "list", "watch"}, said
    for resource in ("configmaps", "nodes", "namespaces", "deployments.apps", "serviceaccounts"):
        assert not can(cluster, "get", resource) and not can(cluster, "list", resource)
    assert not can(cluster, "create", "pods", "--subresource", "exec") and not can(cluster, "get", "pods/some")


def certificate():
    """A new one, in the Secret that the Role names."""
    return objects.tls_secret("portico-tls", certificates.authority().issue("shop.test"), namespace="portico")


@pytest.fixture
def shop(cluster, installed):
    """A service of the cluster behind a Gateway with TLS; its backend."""
    with Backend(name="hello") as backend:
        host = "hello.default.svc.cluster.local"
        made = yaml.safe_dump_all([
            certificate(), objects.gateway(port=80), objects.virtual_service([objects.rule(host)]),
            objects.gateway(name="secure", port=443, protocol="HTTPS", tls={
                "mode": "SIMPLE", "credentialName": "portico-tls"}),
            *objects.served_by("hello", backend)])
        cluster.kubectl("apply", "-f", "-", stdin=made)
        yield backend
        cluster.kubectl("delete", "-f", "-", stdin=made)


def test_the_deployments_process_is_ready_with_its_rights_and_needs_all_of_them(cluster, installed, shop, pods):
    pod = pods(cluster, installed)
    pod.wait_ready()
    with Caller("127.0.0.1:8080") as caller:
        assert caller.status("/test.S/M")[0].value[0] == 0
    assert len(shop.calls) == 1

    said = "\n".join(pod.errors)
    assert "permission" not in said and "forbidden" not in said.lower(), said
    page = pod.status("/kubernetes", port=15000)[1]
    assert "refused" not in page, page
    assert "kubernetes-permission" not in pod.status("/config", port=15000)[1]

    def serial():
        with handshake(8443, "shop.test") as connection:
            return connection.getpeercert()["serialNumber"]

    shown = serial()
    cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(certificate()))
    waiting.until(lambda: serial() != shown, 20, "the new certificate, which shows that the Secret is watched")

    audited = cluster.audited(ACCOUNT)
    assert not [each for each in audited if each[4] in (401, 403)]
    granted = {
        (verb, resource) for kind in ("ClusterRole", "Role") for rule in only(installed, kind)["rules"]
        for resource in rule["resources"] for verb in rule["verbs"]}
    assert granted <= {each[:2] for each in audited}, "a right that is not used"
    assert {each[2] for each in audited if each[1] == "secrets"} == {"portico"}


def test_roles_in_the_namespaces_that_are_watched_are_enough(cluster, installed, shop, pods):
    found = rendering.for_old_server(
        rendering.charted({"watchNamespaces": ["default"], "secretNames": []}, namespace="chart", name="edge"))
    cluster.apply([CHART])
    cluster.apply(found)
    pod = pods(cluster, found)
    pod.wait_ready()
    with Caller("127.0.0.1:8080") as caller:
        assert caller.status("/test.S/M")[0].value[0] == 0
    audited = cluster.audited("system:serviceaccount:chart:edge-portico")
    assert {each[2] for each in audited if each[0] == "list"} == {"default"}
    # The Secret of the Gateway in `shop` is not among the names of this release.
    assert {each[:2] for each in audited if each[4] in (401, 403)} <= {("get", "secrets")}
    cluster.kubectl("delete", "-f", "-", stdin=yaml.safe_dump_all(found))


def test_with_its_component_a_pod_reads_nodes_and_prefers_what_is_near(cluster, installed, shop, pods, tmp_path):
    found = rendering.for_old_server(rendering.with_components(".", tmp_path, ["nodes"]))
    cluster.apply(found)
    here, there = ({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {
        "topology.kubernetes.io/region": region, "topology.kubernetes.io/zone": f"{region}-1"}}}
        for name, region in ((NODE, "west"), ("node-b", "east")))
    host = "hello.default.svc.cluster.local"
    with Backend(name="far") as far:
        slices = [objects.endpoint_slice("hello", shop.address, shop.port),
                  objects.endpoint_slice("hello", far.address, far.port, 1)]
        for each, node in zip(slices, (NODE, "node-b")):
            each["endpoints"][0]["nodeName"] = node
        made = yaml.safe_dump_all([here, there, slices[1], objects.destination_rule(
            host, trafficPolicy={"loadBalancer": {"zoneAwareLbSetting": {"enabled": True}}})])
        cluster.kubectl("apply", "-f", "-", stdin=made + "---\n" + yaml.safe_dump(slices[0]))
        try:
            pod = pods(cluster, found)
            pod.wait_ready()
            with Caller("127.0.0.1:8080") as caller:
                assert all(caller.status("/test.S/M")[0].value[0] == 0 for _ in range(20))
            assert len(shop.calls) == 20 and not far.calls
            assert "Node: 2 objects" in pod.status("/kubernetes", port=15000)[1]
            assert ("watch", "nodes") in {each[:2] for each in cluster.audited(ACCOUNT)}
        finally:
            cluster.kubectl("delete", "-f", "-", stdin=made)


def test_the_process_has_no_privileges_and_cannot_write(cluster, installed, shop, pods):
    pod = pods(cluster, installed)
    pod.wait_ready()
    status = open(f"/proc/{pod.process.pid}/status").read()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == ["65532"] * 4 and fields["Gid"].split() == ["65532"] * 4
    assert fields["NoNewPrivs"] == "1" and fields["Groups"].strip() == ""
    assert all(int(fields[name], 16) == 0 for name in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"))
    mounts = [line.split() for line in open(f"/proc/{pod.process.pid}/mounts")]
    assert "ro" in next(mount for mount in mounts if mount[1] == "/")[3].split(",")
    assert pod.stop() == 0


@pytest.mark.parametrize("missing, words", [
    ("services", 'verb "list" on resource "services"'), ("secrets", 'verb "get" on resource "secrets"'),
])
def test_a_right_that_is_missing_is_named(cluster, installed, shop, pods, missing, words):
    lesser = []
    for each in rendering.for_old_server(installed):
        if each["kind"] in ("Role", "ClusterRole"):
            rules = [rule | {"resources": [name for name in rule["resources"] if name != missing]}
                     for rule in each["rules"]]
            each = each | {"rules": [rule for rule in rules if rule["resources"]]}
        lesser.append(each)
    cluster.apply(lesser)
    try:
        pod = pods(cluster, installed)
        waiting.until(lambda: any(words in line for line in pod.errors), 20, f"{words} in {pod.errors}")
    finally:
        cluster.apply(rendering.for_old_server(installed))


@pytest.mark.parametrize("where", [*WHERE, "chart"])
def test_a_pods_arguments_are_understood(where):
    """Outside of a cluster the process ends because it is no pod, which it looks at after all flags and variables."""
    pod = rendering.container(
        rendering.charted() if where == "chart" else rendering.kustomized(rendering.KUBERNETES / where))

    def said(arguments, environment):
        done = subprocess.run(
            [BINARY, *arguments], env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode != 0
        return done.stderr

    environment = variables(pod, "portico")
    assert "this is no pod" in said(pod["args"], environment)
    for wrong in (["--no-such-flag"], ["--listen-map", "443"], ["--drain", "soon"]):
        assert "this is no pod" not in said(pod["args"] + wrong, environment)
    assert "this is no pod" not in said(pod["args"], environment | {"PORTICO_WORKERS": "many"})
