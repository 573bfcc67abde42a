"""The API server that the suites of this folder share."""

import os
import subprocess
import sys

import cluster as clusters
import pytest


def say(words):
    """On standard error itself, past what pytest keeps."""
    os.write(sys.__stderr__.fileno(), f"\n{words}\n\n".encode())


def start(folder):
    """An API server; skips, and says so aloud, where there is none."""
    if reason := clusters.missing():
        say(f"SKIPPED: the tests of deploy/ against a real kube-apiserver: {reason}")
        pytest.skip(reason)
    return clusters.Cluster(folder)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    made = start(tmp_path_factory.mktemp("cluster"))
    yield made
    made.stop()


@pytest.fixture
def empty_cluster(tmp_path_factory):
    """For a test that wants to begin without anything in it."""
    made = start(tmp_path_factory.mktemp("cluster"))
    yield made
    made.stop()


@pytest.fixture
def pods(tmp_path):
    """Makes pods, each in a folder of its own, and ends them."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"]).returncode != 0:
        pytest.skip("a pod's root file system needs root and a mount namespace")
    made = []

    def make(cluster, objects, image=None):
        folder = tmp_path / f"pod-{len(made)}"
        folder.mkdir()
        made.append(clusters.Pod(cluster, objects, folder, image))
        return made[-1]

    yield make
    for pod in made:
        pod.stop()
