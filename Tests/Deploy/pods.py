"""What a pod of the Deployment is on this machine."""

import os
import pathlib
import subprocess
import threading
import urllib.error
import urllib.request

from peers import waiting
from peers.gateway import BINARY
from rendering import only


NODE = "node-a"  # on which pods run


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
        (account / "token").write_text(cluster.token(spec["serviceAccountName"], namespace))
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
        return self.process.wait(60)


def variables(container, namespace):
    """The environment of a container, as the kubelet makes it."""
    found = {}
    for each in container.get("env", []):
        if "value" in each:
            found[each["name"]] = each["value"]
        else:
            found[each["name"]] = {"metadata.namespace": namespace, "spec.nodeName": NODE}[
                each["valueFrom"]["fieldRef"]["fieldPath"]]
    return found

