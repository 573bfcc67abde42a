"""A real kube-apiserver with its etcd, in a folder of the test's own, for the suites of Gateway and of Deploy.
`Tests/tools/kubernetes/build` makes the programs; where they are missing, tests are skipped, and the summary says so.
"""

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
KINDS = (TOOLS / "endpointslices.yaml", TOOLS / "istio.yaml")
NOTHING = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "nothing"}}


def missing():
    """Why there is no API server here, or None."""
    if (PROGRAMS / "stamp").exists():
        return None
    return f"there is NO real kube-apiserver in {PROGRAMS}: Tests/tools/kubernetes/build makes it"


def needed():
    """Skips the tests of a module where there is no kube-apiserver."""
    if reason := missing():
        pytest.skip(reason, allow_module_level=True)


class RealCluster:
    """Leaving the `with` block ends the server. `put`, `delete` and `get` go to it directly, `kubectl` and `apply` as
    people do. With `audits` it writes who asked for what, and with which answer, into a log."""

    def __init__(self, folder, *flags, kinds=KINDS, audits=False):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.control("start", *flags, *(self._auditing() if audits else ()))
        self.port = int((self.folder / "port").read_text())
        self.address = f"https://127.0.0.1:{self.port}"
        self.authority = self.folder / "pki/ca.crt"
        self.context = ssl.create_default_context(cafile=str(self.authority))
        self.context.load_cert_chain(self.folder / "pki/admin.crt", self.folder / "pki/admin.key")
        self.define(*kinds)

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
                                  stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=300)
        assert done.returncode == 0, f"{action} {arguments}: {log.read_text()[-2000:]}"
        return log.read_text()

    def kubectl(self, *arguments, stdin=None, code=0):
        """What kubectl prints. `code` is what it must end with; None: anything."""
        done = subprocess.run(
            [TOOLS / "cluster", "kubectl", self.folder, *map(str, arguments)], input=stdin, capture_output=True,
            text=True, timeout=300)
        assert code is None or done.returncode == code, f"{arguments}: {(done.stdout + done.stderr)[-2000:]}"
        return done.stdout if code == 0 else done.stdout + done.stderr

    def apply(self, values, *options):
        return self.kubectl(
            "apply", "--server-side", "--force-conflicts", *options, "-f", "-", stdin=yaml.safe_dump_all(values))

    def define(self, *files):
        """Applies definitions of kinds, and waits until the server has them."""
        if not files:
            return
        named = [word for file in files for word in ("-f", file)]
        self.kubectl("apply", "--validate=false", *named)
        self.kubectl("wait", "--for", "condition=Established", "--timeout", "60s", *named)
        for file in files:
            spec = next(each for each in yaml.safe_load_all(file.read_text()) if each)["spec"]
            path = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
            waiting.until(lambda path=path: self.request("GET", path)[0] == 200, 20, path)

    # Who asked for what

    def _auditing(self):
        policy, self.audit = self.folder / "audit-policy.yaml", self.folder / "audit.log"
        policy.write_text(yaml.safe_dump({
            "apiVersion": "audit.k8s.io/v1", "kind": "Policy",
            "rules": [{"level": "Metadata", "userGroups": ["system:serviceaccounts"]}, {"level": "None"}]}))
        return f"--audit-policy-file={policy}", f"--audit-log-path={self.audit}", "--audit-log-mode=blocking"

    def audited(self, user):
        """What this user asked for: (verb, resource, namespace or None, name or None, status). The status is None of
        what has not been answered: a watch is not before its first event."""
        found = set()
        for line in self.audit.read_text().splitlines():
            event = json.loads(line)
            if event["user"]["username"] != user:
                continue
            asked = event.get("objectRef") or {}
            found.add((event["verb"], asked.get("resource", event["requestURI"]), asked.get("namespace"),
                       asked.get("name"), event.get("responseStatus", {}).get("code")))
        return found

    @property
    def kubeconfig(self):
        """The administrator's."""
        return str(self.folder / "kubeconfig")

    def account(self, name, namespace="default"):
        """The path of a kubeconfig of a service account, which is made, without any right."""
        self.put({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}})
        token = self.token(name, namespace)
        authority = base64.b64encode(self.authority.read_bytes()).decode()
        text = yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {
                "server": self.address, "certificate-authority-data": authority}}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name, "namespace": namespace}}]})
        file = self.folder / f"{name}.kubeconfig"
        file.write_text(text)
        return str(file)

    def token(self, name, namespace="default"):
        """A token of a service account that is there."""
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        return self.answer("POST", path, body)["status"]["token"]

    # Objects

    def answer(self, method, path, body=None, content_type="application/json"):
        """The JSON of the server's answer to the administrator; an error's is an assertion."""
        code, answer = self.request(method, path, body, content_type)
        assert 200 <= code < 300, f"{method} {path}: {code} {str(answer)[:500]}"
        return answer

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
