"""A real kube-apiserver for the tests of this folder, and what a pod of the Deployment is on this machine."""

import json
import os
import pathlib
import ssl
import subprocess
import threading
import urllib.error
import urllib.request

import yaml
from peers import waiting
from peers.gateway import BINARY
from rendering import ROOT, only

TOOLS = ROOT / "Tests" / "tools" / "kubernetes"
HERE = pathlib.Path(__file__).resolve().parent


def missing():
    """Why there is no API server here, or None."""
    folder = subprocess.run([TOOLS / "folder"], capture_output=True, text=True).stdout.strip()
    if pathlib.Path(folder, "stamp").exists():
        return None
    return f"there is no kube-apiserver in {folder}; Tests/tools/kubernetes/build makes it"


class Cluster:
    """The API server; it writes who asked for what, and with which answer, into an audit log."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        policy = self.folder / "audit-policy.yaml"
        policy.write_text(yaml.safe_dump({
            "apiVersion": "audit.k8s.io/v1", "kind": "Policy",
            "rules": [{"level": "Metadata", "userGroups": ["system:serviceaccounts"]}, {"level": "None"}]}))
        self.audit = self.folder / "audit.log"
        self._control(
            "start", f"--audit-policy-file={policy}", f"--audit-log-path={self.audit}", "--audit-log-mode=blocking")
        self.address = f"https://127.0.0.1:{(self.folder / 'port').read_text().strip()}"
        pki = self.folder / "pki"
        self.authority = pki / "ca.crt"
        self.context = ssl.create_default_context(cafile=self.authority)
        self.context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        self.kubeconfig = self.folder / "kubeconfig"
        kinds = [TOOLS / "endpointslices.yaml", TOOLS / "istio.yaml", HERE / "kinds.yaml"]
        files = [word for file in kinds for word in ("-f", file)]
        self.kubectl("apply", "--validate=false", *files)
        self.kubectl("wait", "--for", "condition=Established", "--timeout", "60s", *files)

    def _control(self, action, *arguments):
        log = self.folder / "control.log"
        with log.open("w") as output:  # the server must not hold a pipe that somebody waits for
            done = subprocess.run(
                [TOOLS / "cluster", action, self.folder, *arguments], stdout=output, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL, timeout=120)
        assert done.returncode == 0, log.read_text()[-2000:]

    def stop(self):
        self._control("stop")

    def kubectl(self, *arguments, stdin=None, code=0):
        done = subprocess.run(
            [TOOLS / "cluster", "kubectl", self.folder, *map(str, arguments)], input=stdin, capture_output=True,
            text=True, timeout=100)
        assert code is None or done.returncode == code, done.stdout + done.stderr
        return done.stdout if code == 0 else done.stdout + done.stderr

    def apply(self, objects, *options):
        return self.kubectl("apply", "--server-side", "--force-conflicts", *options, "-f", "-",
                            stdin=yaml.safe_dump_all(objects))

    def request(self, method, path, body=None, content_type="application/json"):
        """The answer to a request of the administrator; an error's is an assertion."""
        asked = urllib.request.Request(
            self.address + path, method=method, data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": content_type})
        try:
            with urllib.request.urlopen(asked, context=self.context, timeout=20) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()[:500]}") from None

    def token(self, namespace, account):
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        return self.request("POST", path, {"spec": {}})["status"]["token"]

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


class Pod:
    """The process of a Deployment's container, with its arguments, variables, user and token. `image` is the root file
    system of an image, in which `binary` takes its place; without one it is this machine's, and `binary` is beside it.

    It is no container: cgroups and seccomp are missing. What is there: the user and group, no capabilities and none to
    be had, a root file system that cannot be written to, and the files of the service account. It needs root.
    """

    SCRIPT = """set -e
mount --make-rprivate /
if [ -n "$image" ]; then
    mount --bind "$image" "$top"
    for each in proc sys dev; do mount --rbind "/$each" "$top/$each"; done
else
    mount --rbind / "$top"
fi
mount -t tmpfs tmpfs "$top/run"
mkdir -p "$top/run/secrets/kubernetes.io"
cp -r "$account" "$top/run/secrets/kubernetes.io/serviceaccount"
chmod -R a+rX "$top/run/secrets"
touch "$top/run/portico"
mount --bind "$binary" "$top$program"
mount -o remount,bind,ro "$top"
exec chroot "$top" setpriv --reuid "$user" --regid "$group" --clear-groups --no-new-privs --bounding-set=-all \
    --inh-caps=-all -- "$@"
"""

    def __init__(self, cluster, objects, folder, image=None, binary=BINARY):
        deployment = only(objects, "Deployment")
        namespace = deployment["metadata"]["namespace"]
        spec = deployment["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        folder = pathlib.Path(folder)
        (folder / "top").mkdir()
        account = folder / "serviceaccount"
        account.mkdir()
        (account / "token").write_text(cluster.token(namespace, spec["serviceAccountName"]))
        (account / "ca.crt").write_bytes(cluster.authority.read_bytes())
        (account / "namespace").write_text(namespace)
        program, user = "/usr/local/bin/portico" if image else "/run/portico", spec["securityContext"]
        host, port = cluster.address.removeprefix("https://").split(":")
        environment = {
            "PATH": os.environ["PATH"], "KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port,
            **variables(container, namespace), "image": str(image or ""), "top": str(folder / "top"),
            "account": str(account), "binary": str(binary.resolve()),
            "program": program, "user": str(user["runAsUser"]), "group": str(user["runAsGroup"])}
        self.process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", self.SCRIPT, "sh", program, *container["args"]], env=environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace")
        self.output, self.errors = [], []
        for stream, lines in ((self.process.stdout, self.output), (self.process.stderr, self.errors)):
            threading.Thread(target=self._collect, args=(stream, lines), daemon=True).start()

    @staticmethod
    def _collect(stream, lines):
        for line in stream:
            lines.append(line.rstrip("\n"))

    @staticmethod
    def status(path, port=15021):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return None, str(error)

    def wait_ready(self, seconds=20):
        def is_ready():
            assert self.process.poll() is None, f"it ended: {self.errors[-20:]}"
            return self.status("/healthz/ready")[0] == 200

        waiting.until(is_ready, seconds, "readiness")

    def stop(self):
        """Two signals: no drain. Its exit status."""
        self.process.terminate()
        self.process.terminate()
        return self.process.wait(20)


def variables(container, namespace):
    """The environment of a container, as the kubelet makes it."""
    found = {}
    for each in container.get("env", []):
        if "value" in each:
            found[each["name"]] = each["value"]
        else:
            assert each["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.namespace", each
            found[each["name"]] = namespace
    return found

