"""`portico rbac` against a real kube-apiserver: with exactly the rights that it prints the program runs."""

import contextlib
import http.client
import ssl
import subprocess

import pytest
import yaml

from peers import certificates, objects, real_cluster, waiting
from peers.backend import Caller
from peers.gateway import run
from test_real_status import WRITES, backend, broken, cluster, says, served, server  # noqa: F401
from test_tls import handshake

real_cluster.needed()


def rights(cluster, *arguments, kubeconfig=None):
    done = run("rbac", "--kubeconfig", kubeconfig or cluster.kubeconfig, *arguments, seconds=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def secured(pair):
    server = {"port": {"number": 8443, "name": "https", "protocol": "HTTPS"}, "hosts": ["a.test"],
              "tls": {"mode": "SIMPLE", "credentialName": "tls"}}
    return [objects.gateway("secure", servers=[server]), objects.tls_secret("tls", pair)]


@pytest.fixture
def least(cluster, backend):
    """A gateway's objects, and its service account with the rights that `portico rbac` prints."""
    pair = certificates.authority().issue("a.test")
    cluster.put(*served(backend), *secured(pair), objects.tls_secret("other", pair))
    account = cluster.account("portico")
    text = rights(cluster, "--status-writer")
    roles = [each for each in yaml.safe_load_all(text) if each]
    cluster.put(*roles)
    yield account, roles, pair
    for each in roles:
        cluster.delete(each)


def serial(gateway):
    with handshake(gateway.map[8443], "a.test") as connection:
        return int(connection.getpeercert()["serialNumber"], 16)


def test_with_the_printed_rights_everything_works_and_nothing_more(cluster, backend, least):
    account, roles, pair = least
    with cluster.gateway(account, ports=(8000, 8443), arguments=WRITES) as gateway, Caller(gateway.target) as caller:
        assert serial(gateway) == pair.serial and caller.status("/test.S/M")[0].value[0] == 0
        waiting.until(lambda: says(cluster, served(backend)[1], "True"), 30, "the status")
        renewed = certificates.authority().issue("a.test")
        cluster.put(objects.tls_secret("tls", renewed))
        waiting.until(lambda: serial(gateway) == renewed.serial, 10, "the new certificate")
        cluster.put(broken())
        waiting.until(lambda: says(cluster, served(backend)[1], "False"), 30, "the status of the error")
        waiting.until(lambda: gateway.metric(r'^portico_status_writes_total\{result="success"\}') >= 5, 10, "the Event")
        assert gateway.metric(r'^portico_status_writes_total\{result="failure"\}') == 0
        assert not any("permission" in line for line in gateway.errors), gateway.said
        assert "refused" not in gateway.admin("/kubernetes")[1]


def test_the_printed_rights_list_no_secret(cluster, least):
    account = yaml.safe_load(open(least[0]))
    token = account["users"][0]["user"]["token"]
    context = ssl.create_default_context(cafile=str(cluster.folder / "pki/ca.crt"))

    def code(path):
        with contextlib.closing(
                http.client.HTTPSConnection("127.0.0.1", cluster.port, context=context, timeout=60)) as connection:
            connection.request("GET", path, headers={"authorization": f"Bearer {token}"})
            return connection.getresponse().status

    secrets = "/api/v1/namespaces/default/secrets"
    assert code(f"{secrets}/tls") == 200
    for path in ("/api/v1/secrets", secrets, f"{secrets}/other", f"{secrets}?watch=1&timeoutSeconds=1",
                 "/api/v1/namespaces/kube-system/secrets"):
        assert code(path) == 403, path


LOST = [
    ("ClusterRole", "services", "list", 'verb "list" on resource "services" in all namespaces'),
    ("ClusterRole", "virtualservices", "list", 'verb "list" on resource "virtualservices.networking.istio.io"'),
    ("ClusterRole", "endpointslices", "watch", 'verb "watch" on resource "endpointslices.discovery.k8s.io"'),
    ("Role", "secrets", "get", 'verb "get" on resource "secrets" named "tls" in namespace "default"'),
    ("Role", "secrets", "watch", 'verb "watch" on resource "secrets" named "tls" in namespace "default"'),
    ("ClusterRole", "virtualservices/status", "patch", 'verb "patch" on resource "virtualservices/status'),
    ("ClusterRole", "events", "create", 'verb "create" on resource "events" in namespace "default"'),
    ("Role", "leases", "get", 'verb "get" on resource "leases.coordination.k8s.io" named "portico-status"'),
    ("Role", "leases", "create", 'verb "create" on resource "leases.coordination.k8s.io" in namespace "default"'),
    ("Role", "leases", "update", 'verb "update" on resource "leases.coordination.k8s.io" named "portico-status"'),
]


@pytest.mark.parametrize("kind, resource, verb, message", LOST)
def test_one_verb_less_is_missed_by_its_name(cluster, least, kind, resource, verb, message):
    account, roles, _ = least
    role = next(each for each in roles if each["kind"] == kind)
    rules = []
    for rule in role["rules"]:
        others = [each for each in rule["resources"] if each != resource]
        if resource in rule["resources"]:
            rules.append({**rule, "resources": [resource], "verbs": [each for each in rule["verbs"] if each != verb]})
        if others:
            rules.append({**rule, "resources": others})
    cluster.put({**role, "rules": [each for each in rules if each["verbs"]]})
    cluster.put(broken())  # so that there is an Event to be written
    with cluster.gateway(account, ports=(8000, 8443), ready=False, arguments=WRITES) as gateway:
        waiting.until(lambda: any(message in line for line in gateway.errors), 40, f"the message: {message}")
    cluster.put(role)


def test_rbac_names_secrets_and_namespaces_and_compares(cluster, backend, least, tmp_path):
    account, _, pair = least
    text = rights(cluster, "--status-writer", kubeconfig=account)
    assert "not needed" not in text and "not granted" not in text, text
    text = rights(cluster, kubeconfig=account)
    assert "# granted in namespace default and not needed: patch virtualservices/status.networking.istio.io\n" in text
    text = rights(cluster, "--status-writer", "--status-name", "edge", kubeconfig=account)
    assert "needed in namespace default and not granted: update leases.coordination.k8s.io named edge-status" in text
    # The administrator may do everything, and needs little of it.
    assert "# granted in namespace default and not needed: * *.*" in rights(cluster)
    found = [each for each in yaml.safe_load_all(rights(cluster, "--watch-namespace", "default")) if each]
    assert [each["kind"] for each in found] == ["Role", "RoleBinding"]
    assert [each["resourceNames"] for each in found[0]["rules"] if each["resources"] == ["secrets"]] == [["tls"]]
    assert found[1]["subjects"] == [{"kind": "ServiceAccount", "name": "portico", "namespace": "default"}]
    # Without a cluster, of files.
    file = tmp_path / "objects.yaml"
    file.write_text(objects.text(secured(pair)))
    done = run("rbac", file, "--service-account", "edge", "--namespace", "default")
    found = [each for each in yaml.safe_load_all(done.stdout) if each]
    assert [each["metadata"]["name"] for each in found] == ["edge-default", "edge-default", "edge", "edge"], done
    applied = subprocess.run([real_cluster.PROGRAMS / "bin/kubectl", "--kubeconfig", cluster.kubeconfig, "apply",
                              "--dry-run=server", "-f", "-"], input=done.stdout, capture_output=True, text=True)
    assert applied.returncode == 0, applied.stderr
