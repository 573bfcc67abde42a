"""docs/tutorial.md, run as it is written: each block marked `sh`, in its order, in one shell.

kubectl is the real one and asks a real API server. What `apply -k` and `delete -k` mean goes through a newer kubectl,
which renders it, and has the kinds that this server does not know in older versions. `player.py` starts the pods; they
are on this machine, so a port-forward has nothing to do, and `logs` has the process's output. `grpcurl.py` is in
grpcurl's place.
"""

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys

import pytest
import rendering
from peers import waiting
from player import Player

DOCUMENTS = [rendering.ROOT / "docs" / name for name in ("tutorial.md", "tutorial.zh.md")]
HERE = pathlib.Path(__file__).resolve().parent

# The blocks that change something are run once; the others are run until they show what they should.
CHANGES = re.compile(r"kubectl( -n \w+)? (apply|patch|create|delete|port-forward|rollout)|^kill ", re.M)

PRELUDE = r"""
kubectl() {
    case " $* " in
        *" apply -k "*) "$python" "$here/lowered.py" "${@: -1}" | "$cluster" kubectl "$folder" apply -f - ;;
        *" delete -k "*) "$python" "$here/lowered.py" "$3" | "$cluster" kubectl "$folder" delete --wait=false -f - ;;
        *" port-forward "*) "$cluster" kubectl "$folder" get "${@:1:2}" "$4" > /dev/null && exec tail -f /dev/null ;;
        *" logs "*) local last="${@: -1}"; tail -n "${last#--tail=}" "$folder/gateway.log" ;;
        *) "$cluster" kubectl "$folder" "$@" ;;
    esac
}
grpcurl() { "$python" "$here/grpcurl.py" "$@"; }
"""


def blocks(file):
    return re.findall(r"^```sh\n(.*?)^```", file.read_text(), re.M | re.S)


class Shell:
    """One bash for all blocks, so that jobs and variables last."""

    def __init__(self, folder, environment, player):
        self.player = player
        self.log = folder / "shell.log"
        self.log.touch()
        self.process = subprocess.Popen(
            ["bash", "--norc"], cwd=rendering.ROOT, env=environment, text=True, stdin=subprocess.PIPE,
            stdout=self.log.open("w"), stderr=subprocess.STDOUT, start_new_session=True)
        self.number, self.seen = 0, 0
        self.write(PRELUDE + "set -o pipefail\n")

    def write(self, text):
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def stop(self):
        """Ends it, with what it has started."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(60)

    def run(self, block, seconds=130):
        """Runs a block up to its first command that fails; its exit status and output."""
        self.number += 1
        mark = f"=== {self.number} "
        self.write("set -E; failed=0; trap 'failed=1' ERR\n" + block)
        self.write(f"trap - ERR; printf '\\n%s\\n' '{mark}'$failed\n")

        def ended():
            assert self.player.fault is None, repr(self.player.fault)
            assert self.process.poll() is None, self.log.read_text()[-2000:]
            text = self.log.read_text()[self.seen:]
            return re.search(rf"^{mark}(\d)\n", text, re.M) and text

        text = waiting.until(ended, seconds, block)
        self.seen += len(text)
        return int(text.rsplit(mark, 1)[1][0]), text.rsplit(mark, 1)[0]


# What the blocks that only look have to show, in their order.
SHOWS = [
    r'"reply": "hello world"',
    r"(?s)shop/edge.*shop/hello.*VirtualService.*current",
    r'"route_name":"shop/hello/0".*"upstream_host":"127\.0\.9\.[12]:9000"',
    r"(?s)(?=.*\|v1\|)(?=.*\|v2\|)",
    re.escape(re.search(r"^kubernetes:.*", DOCUMENTS[0].read_text(), re.M)[0]) + r"(?s:.*)UNAVAILABLE(?s:.*)it failed",
    r'"reply": "hello world"',
    r'"reply": "hello test"',
    r'"reply": "hello TLS"',
]


def test_both_languages_have_the_same_commands():
    assert blocks(DOCUMENTS[0]) == blocks(DOCUMENTS[1])


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_tutorial_works_as_written(empty_cluster, pods, tmp_path):
    cluster, commands = empty_cluster, blocks(DOCUMENTS[0])
    looks = [block for block in commands if not CHANGES.search(block)]
    assert len(looks) == len(SHOWS) and len(commands) > 15
    if not rendering.kubectl():
        pytest.skip("there is no kubectl 1.22 or newer")
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "python": sys.executable, "here": str(HERE),
        "cluster": str(rendering.ROOT / "Tests/tools/kubernetes/cluster"), "folder": str(cluster.folder),
        "GRPC_VERBOSITY": "NONE", "HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    shows = iter(SHOWS)
    with contextlib.ExitStack() as stack:
        player = stack.enter_context(Player(cluster, tmp_path))
        shell = Shell(tmp_path, environment, player)
        stack.callback(shell.stop)
        for block in commands:
            if CHANGES.search(block):
                failed, said = shell.run(block)
                assert not failed, f"{block}\n{said}\n{player.fault}"
                continue
            wanted, last = next(shows), []

            def is_shown():
                (cluster.folder / "gateway.log").write_text("".join(f"{line}\n" for line in player.gateway().output))
                last[:] = shell.run(block)
                return not last[0] and re.search(wanted, last[1])

            try:
                waiting.until(is_shown, 30, block)
            except AssertionError as error:
                raise AssertionError(f"{error}\n{last}\n{player.fault}") from None
        assert player.fault is None
