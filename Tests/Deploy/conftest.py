"""The API server that the suites of this folder share."""

import os
import pathlib
import subprocess

import pytest
from peers import real_cluster
from pods import Pod

KINDS = (*real_cluster.KINDS, pathlib.Path(__file__).with_name("kinds.yaml"))


@pytest.fixture(scope="session")
def say(request):
    """Prints, past what pytest keeps of the output of tests that pass."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def now(words):
        with capture.global_and_fixture_disabled():
            print(f"\n{words}\n", flush=True)

    return now


def start(folder, say):
    """An API server; skips, and says so aloud, where there is none."""
    if reason := real_cluster.missing():
        say(f"SKIPPED: the tests of deploy/ against a real kube-apiserver: {reason}")
        pytest.skip(reason)
    return real_cluster.RealCluster(folder / "run", kinds=KINDS, audits=True)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory, say):
    with start(tmp_path_factory.mktemp("cluster"), say) as made:
        yield made


@pytest.fixture
def empty_cluster(tmp_path_factory, say):
    """For a test that wants to begin without anything in it."""
    with start(tmp_path_factory.mktemp("cluster"), say) as made:
        yield made


@pytest.fixture
def pods(tmp_path):
    """Makes pods, each in a folder of its own, and ends them."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"]).returncode != 0:
        pytest.skip("a pod's root file system needs root and a mount namespace")
    made = []

    def make(cluster, objects, **how):
        folder = tmp_path / f"pod-{len(made)}"
        folder.mkdir()
        made.append(Pod(cluster, objects, folder, **how))
        return made[-1]

    yield make
    for pod in made:
        pod.stop()
