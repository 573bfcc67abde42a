"""`portico serve --kubeconfig`: objects are served, changes come into effect, and the API server may go away."""

import json
import re
import ssl

import pytest
import yaml

from peers import certificates, objects, waiting
from peers.backend import Backend, Caller
from peers.gateway import ROOT, Gateway, run
from peers.kubernetes import ApiServer
from test_tls import handshake


@pytest.fixture
def server(tmp_path):
    with ApiServer(tmp_path) as made:
        yield made


@pytest.fixture
def two():
    with Backend(name="one") as one, Backend(name="two") as two:
        yield one, two


def watching(server, config=None, ports=(8000,), ready=True, arguments=()):
    """A gateway that reads the server's objects, and files if there are any."""
    config = config or [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "nothing"}}]
    return Gateway(
        config, ports=ports, ready=ready,
        arguments=["--kubeconfig", server.kubeconfig(), "--log-level", "debug", *arguments])


def weighted(first, second):
    return objects.virtual_service([objects.rule(
        objects.to("one", weight=first), objects.to("two", weight=second))])


def cluster(two):
    return [
        objects.gateway(), weighted(100, 0), *objects.served_by("one", two[0]), *objects.served_by("two", two[1])]


def reaches(caller, backend):
    before = len(backend.calls)
    assert caller.status("/test.S/M")[0].value[0] == 0
    return len(backend.calls) > before


def test_a_clusters_objects_are_served_and_weights_change(server, two):
    server.put(*cluster(two))
    with watching(server) as gateway, Caller(gateway.target) as caller:
        assert reaches(caller, two[0])
        server.put(weighted(0, 100))
        waiting.until(lambda: reaches(caller, two[1]), 5, "the new weights")
        assert reaches(caller, two[1])
        server.delete("VirtualService", "routes")
        waiting.until(lambda: caller.status("/test.S/M")[0].value[0] == 12, 5, "the route's end")


def test_endpoints_are_scaled_without_a_load(server, two):
    server.put(objects.gateway(), objects.virtual_service([objects.rule("one")]), *objects.served_by("one", two[0]))
    with watching(server) as gateway, Caller(gateway.target) as caller:
        loads = sum("objects added" in line for line in gateway.errors)
        server.put(objects.endpoint_slice("one", two[1].address, two[1].port, 1))
        waiting.until(lambda: reaches(caller, two[1]), 5, "the second endpoint")
        server.delete("EndpointSlice", "one-0")
        waiting.until(lambda: two[0].address not in gateway.admin("/endpoints")[1]
                      or f":{two[0].port} " not in gateway.admin("/endpoints")[1], 5, "the end of the first one")
        assert all(reaches(caller, two[1]) for _ in range(4))
        server.delete("EndpointSlice", "one-1")
        waiting.until(lambda: caller.status("/test.S/M")[0].value[0] == 14, 5, "no endpoint")
        assert sum("objects added" in line for line in gateway.errors) == loads


def test_a_first_start_without_the_server_waits_and_says_why(server, two):
    server.put(*cluster(two))
    server.stop()
    with watching(server, ready=False) as gateway:
        def says(word):
            try:
                code, text = gateway.status("/healthz/ready")
            except OSError:
                return False
            return code == 503 and word in text

        waiting.until(lambda: says("waiting for the Kubernetes API server: no answer since"), 10, "the reason")
        assert gateway.status("/healthz/live")[0] == 200
        server.start()
        gateway.wait_ready(30)
        with Caller(gateway.target) as caller:
            assert reaches(caller, two[0])


def test_while_the_server_is_away_everything_is_served(server, two):
    server.put(*cluster(two))
    with watching(server) as gateway, Caller(gateway.target) as caller:
        assert gateway.metric("^portico_kubernetes_connected") == 1
        assert gateway.metric('^portico_kubernetes_objects{kind="Service"}') == 2
        server.stop()
        waiting.until(lambda: gateway.metric("^portico_kubernetes_connected") == 0, 20, "the outage")
        assert gateway.metric("^portico_kubernetes_unreachable_since_seconds") > 1e9
        assert "no answer since" in gateway.admin("/kubernetes")[1]
        assert gateway.status("/healthz/ready")[0] == 200 and reaches(caller, two[0])
        server.put(weighted(0, 100))
        server.start()
        waiting.until(lambda: reaches(caller, two[1]), 30, "what changed meanwhile")
        waiting.until(lambda: gateway.metric("^portico_kubernetes_connected") == 1, 30, "the server's return")
        assert gateway.metric("^portico_kubernetes_unreachable_since_seconds") == 0
        assert json.loads(gateway.admin("/kubernetes?format=json")[1])["unreachableSince"] is None


def test_secrets_are_read_by_name_and_renewed(server, two):
    first, second = certificates.authority().issue("a.test"), certificates.authority().issue("a.test")
    secured = objects.gateway(port=8443, protocol="HTTPS", tls={"mode": "SIMPLE", "credentialName": "tls"})
    server.put(secured, weighted(100, 0), *objects.served_by("one", two[0]), *objects.served_by("two", two[1]),
               objects.tls_secret("tls", first), objects.tls_secret("other", second))
    with watching(server, ports=(8443,)) as gateway:
        def serial():
            with handshake(gateway.port, "a.test") as connection:
                return connection.getpeercert()["serialNumber"]

        shown = serial()
        server.put(objects.tls_secret("tls", second))
        waiting.until(lambda: serial() != shown, 5, "the new certificate")
        paths = [path for path in server.requests if "/secrets" in path]
        assert paths and all("/secrets/tls" in path or "metadata.name%3Dtls" in path for path in paths), paths


def test_a_refused_secret_disables_its_server_alone(server, two):
    pair = certificates.authority().issue("a.test", "b.test")
    servers = [
        {"port": {"number": 8443, "name": name, "protocol": "HTTPS"}, "hosts": [f"{name}.test"],
         "tls": {"mode": "SIMPLE", "credentialName": name}} for name in ("a", "b")]
    server.put(objects.gateway(servers=servers), weighted(100, 0), *objects.served_by("one", two[0]),
               *objects.served_by("two", two[1]), objects.tls_secret("a", pair), objects.tls_secret("b", pair))
    server.refused.add("b")
    with watching(server, ports=(8443,)) as gateway:
        handshake(gateway.port, "a.test").close()
        with pytest.raises((ssl.SSLError, OSError)):
            handshake(gateway.port, "b.test")
        text = gateway.admin("/config")[1]
        assert 'kubernetes:default/Secret/b: error: this Secret cannot be read: verb "get" on resource "secrets" ' \
               'named "b" in namespace "default" lacks' in text, text


def test_files_and_a_cluster_are_one_configuration_and_the_file_counts(server, two):
    server.put(weighted(0, 100), *objects.served_by("two", two[1]))
    files = [objects.gateway(), weighted(100, 0), *objects.served_by("one", two[0])]
    with watching(server, files) as gateway, Caller(gateway.target) as caller:
        assert reaches(caller, two[0])
        text = gateway.admin("/config")[1]
        assert "VirtualService default/routes is in a file and in the cluster: the file's counts" in text
        gateway.write([objects.gateway(), *objects.served_by("one", two[0])])
        gateway.reload()
        waiting.until(lambda: reaches(caller, two[1]), 5, "the cluster's routes")


def test_an_object_that_becomes_invalid_keeps_its_last_good_version(server, two):
    server.put(*cluster(two))
    with watching(server) as gateway, Caller(gateway.target) as caller:
        broken = weighted(100, 0)
        broken["spec"]["hosts"] = 7
        server.put(broken)
        report = "kubernetes:default/VirtualService/routes: error: spec.hosts"
        waiting.until(lambda: report in gateway.admin("/config")[1], 5, "the report")
        assert reaches(caller, two[0])


def test_other_namespaces_are_not_read(server, two):
    server.put(*cluster(two))
    elsewhere = weighted(0, 100)
    elsewhere["metadata"] = {"name": "other", "namespace": "elsewhere"}
    server.put(elsewhere)
    with watching(server, arguments=["--watch-namespace", "default"]) as gateway:
        assert "elsewhere" not in gateway.admin("/config")[1]
        assert all("/namespaces/default/" in path for path in server.requests if path.count("/") > 3)


def test_check_and_routes_read_a_cluster_once(server, two):
    server.put(*cluster(two))
    done = run("check", "--kubeconfig", server.kubeconfig())
    assert done.returncode == 0, done.stdout + done.stderr
    done = run("routes", "--kubeconfig", server.kubeconfig())
    assert "rule default/routes" in done.stdout and f"{two[0].address}:{two[0].port}" in done.stdout, done.stdout
    server.put(objects.virtual_service([objects.rule("nobody")], name="bad", hosts=("x.test",)))
    done = run("check", "--kubeconfig", server.kubeconfig(), "--output", "json")
    found = [each for each in json.loads(done.stdout) if each["severity"] == "error"]
    assert done.returncode == 1 and found[0]["file"] == "kubernetes:default/VirtualService/bad"
    assert found[0]["path"].startswith("spec.http[0].route[0]") and found[0]["line"] is None


def test_explain_and_diff_read_a_cluster_once(server, two, tmp_path):
    server.put(*cluster(two))
    kubeconfig = ["--kubeconfig", server.kubeconfig()]
    done = run("explain", "http://any:8000/", *kubeconfig)
    assert done.returncode == 0 and f"{two[0].address}:{two[0].port}" in done.stdout, done.stdout + done.stderr
    changed = tmp_path / "changed.yaml"
    changed.write_text(objects.text([weighted(25, 75)]))
    done = run("diff", changed, *kubeconfig)
    assert done.returncode == 1 and "+       -> 25 of 100 " in done.stdout, done.stdout + done.stderr
    assert "listener" in done.stdout.splitlines()[0] and "-   " not in done.stdout.splitlines()[1]


@pytest.mark.parametrize("arguments, word", [
    (["--context", "x"], "--context"), (["--watch-namespace", "x"], "--watch-namespace"),
    (["--kubernetes", "--kubeconfig", "x"], "one of the two"), ([], "nothing to"),
    (["--kubeconfig", "/nowhere"], "/nowhere"),
])
def test_flags_that_mean_nothing_together_are_refused(arguments, word):
    for command in (["serve"], ["check"], ["routes"], ["explain", "http://a/"]):
        done = run(*command, *arguments)
        assert done.returncode != 0 and word in done.stderr, (command, done.stderr)


@pytest.mark.parametrize("arguments, word", [
    (["--status-writer"], "--status-writer needs --kubernetes"), (["--status-rate", "0"], "--status-rate"),
    (["--status-name", "Nonsense"], "--status-name Nonsense: write"), (["--status-name=-a"], "--status-name -a: write"),
    (["--status-name", "a" * 51], "1 to 50"),
])
def test_flags_of_the_status_are_refused_with_what_to_write(arguments, word):
    done = run("serve", "--config", "nowhere.yaml", *arguments)
    assert done.returncode == 64 and word in done.stderr, done.stderr


def test_the_manifests_grant_what_rbac_prints_and_nothing_else(tmp_path):
    file = tmp_path / "objects.yaml"
    file.write_text(objects.text([objects.gateway(
        port=8443, protocol="HTTPS", tls={"mode": "SIMPLE", "credentialName": "portico-tls"})]))
    done = run("rbac", file, "--namespace", "portico")
    assert done.returncode == 0, done.stderr

    def granted(text):
        rules = [rule for each in yaml.safe_load_all(text) if each and "rules" in each for rule in each["rules"]]
        return {(group, resource, verb, *rule.get("resourceNames", [])) for rule in rules
                for group in rule["apiGroups"] for resource in rule["resources"] for verb in rule["verbs"]}

    assert granted(done.stdout) == granted((ROOT / "deploy/kubernetes/base/rbac.yaml").read_text())
