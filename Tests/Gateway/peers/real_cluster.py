"""A real kube-apiserver with its etcd, in a folder of the test's own. `Tests/tools/kubernetes/build` makes the
programs; where they are missing, tests are skipped, and the summary says so."""

import base64
import contextlib
import http.client
import json
import pathlib
import ssl
import subprocess

import pytest
import yaml

from peers import waiting
from peers.gateway import ROOT, Gateway
from peers.kubernetes import plural

TOOLS = ROOT / "Tests/tools/kubernetes"
PROGRAMS = pathlib.Path(subprocess.run([TOOLS / "folder"], capture_output=True, text=True).stdout.strip())
NOTHING = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "nothing"}}


def needed():
    """Skips the tests of a module where there is no kube-apiserver."""
    if not (PROGRAMS / "stamp").exists():
        pytest.skip(f"there is NO real kube-apiserver in {PROGRAMS}: Tests/tools/kubernetes/build makes it",
                    allow_module_level=True)


class RealCluster:
    """Leaving the `with` block ends the server. `put`, `delete` and `get` go to it directly, `kubectl` as people do."""

    def __init__(self, folder, *flags, kinds=("endpointslices", "istio")):
        self.folder = pathlib.Path(folder)
        self.control("start", *flags)
        self.port = int((self.folder / "port").read_text())
        self.context = ssl.create_default_context(cafile=str(self.folder / "pki/ca.crt"))
        self.context.load_cert_chain(self.folder / "pki/admin.crt", self.folder / "pki/admin.key")
        for each in kinds:
            self.define(each)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.control("stop")

    def control(self, action, *arguments):
        """One of the actions of `Tests/tools/kubernetes/cluster`."""
        # The server must not hold a pipe that is waited for.
        log = self.folder.with_name(self.folder.name + ".log")
        with open(log, "w") as output:
            done = subprocess.run([TOOLS / "cluster", action, self.folder, *map(str, arguments)], stdout=output,
                                  stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=120)
        assert done.returncode == 0, f"{action} {arguments}: {log.read_text()[-2000:]}"
        return log.read_text()

    def kubectl(self, *arguments):
        return self.control("kubectl", *arguments)

    def define(self, name):
        """Applies definitions of kinds, and waits until the server has them."""
        file = TOOLS / f"{name}.yaml"
        self.kubectl("apply", "--validate=false", "-f", file)
        self.kubectl("wait", "--for", "condition=Established", "--timeout", "60s", "-f", file)
        definition = next(each for each in yaml.safe_load_all(file.read_text()) if each)
        group = definition["spec"]["group"]
        version = definition["spec"]["versions"][0]["name"]
        path = f"/apis/{group}/{version}/{definition['spec']['names']['plural']}"
        waiting.until(lambda: self.request("GET", path)[0] == 200, 20, path)

    @property
    def kubeconfig(self):
        """The administrator's."""
        return str(self.folder / "kubeconfig")

    def account(self, name, namespace="default"):
        """The path of a kubeconfig of a service account, which is made, without any right."""
        self.put({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}})
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        code, answer = self.request(
            "POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token", body)
        assert code == 201, answer
        authority = base64.b64encode((self.folder / "pki/ca.crt").read_bytes()).decode()
        text = yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {
                "server": f"https://127.0.0.1:{self.port}", "certificate-authority-data": authority}}],
            "users": [{"name": name, "user": {"token": answer["status"]["token"]}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name, "namespace": namespace}}]})
        file = self.folder / f"{name}.kubeconfig"
        file.write_text(text)
        return str(file)

    # Objects

    def request(self, method, path, body=None, content_type="application/json"):
        """(status, JSON) of the server's answer to the administrator."""
        with contextlib.closing(
                http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context, timeout=20)) as connection:
            octets = None if body is None else json.dumps(body)
            connection.request(method, path, octets, {"content-type": content_type} if octets else {})
            answer = connection.getresponse()
            text = answer.read().decode()
            return answer.status, json.loads(text) if text.startswith("{") else text

    @staticmethod
    def path(value, name=""):
        version = value["apiVersion"]
        root = "/api/v1" if version == "v1" else f"/apis/{version}"
        namespace = value["metadata"].get("namespace", "default")
        is_wide = value["kind"] in ("Namespace", "ClusterRole", "ClusterRoleBinding", "Node")
        place = "" if is_wide else f"/namespaces/{namespace}"
        return f"{root}{place}/{plural(value['kind'])}" + (f"/{name}" if name else "")

    def put(self, *objects):
        """Creates objects, or changes what these say of those that are there."""
        for each in objects:
            code, answer = self.request("POST", self.path(each), each)
            if code == 409:
                path = self.path(each, each["metadata"]["name"])
                code, answer = self.request("PATCH", path, each, "application/merge-patch+json")
            assert code in (200, 201), (each, answer)

    def get(self, value):
        code, answer = self.request("GET", self.path(value, value["metadata"]["name"]))
        assert code == 200, answer
        return answer

    def delete(self, value):
        code, answer = self.request("DELETE", self.path(value, value["metadata"]["name"]))
        assert code in (200, 202), answer

    def clear(self, namespaces=("default", "test")):
        """Removes what tests have put, but for the server's own Service."""
        for namespace in namespaces:
            self._clear(namespace)

    def _clear(self, namespace):
        for group, kinds in (
                ("/apis/networking.istio.io/v1", ["gateways", "virtualservices", "destinationrules"]),
                ("/apis/discovery.k8s.io/v1", ["endpointslices"]), ("/api/v1", ["secrets", "pods", "events"]),
                ("/apis/coordination.k8s.io/v1", ["leases"])):
            for kind in kinds:
                self.request("DELETE", f"{group}/namespaces/{namespace}/{kind}?gracePeriodSeconds=0")
        for each in self.request("GET", f"/api/v1/namespaces/{namespace}/services")[1]["items"]:
            if each["metadata"]["name"] != "kubernetes":
                self.request("DELETE", f"/api/v1/namespaces/{namespace}/services/{each['metadata']['name']}")

    def gateway(self, kubeconfig=None, config=None, ports=(8000,), ready=True, arguments=(), **options):
        """A gateway that reads the cluster's objects."""
        return Gateway(
            config or [NOTHING], ports=ports, ready=ready,
            arguments=["--kubeconfig", kubeconfig or self.kubeconfig, "--log-level", "debug", *arguments], **options)
