"""The image of deploy/Dockerfile, as far as it can be made without a container engine.

Its run stage is made for real by Tests/tools/image: a Debian base, and the RUN commands in it. The build stage takes
too long for each run and needs Debian's packages, while tests have a network of their own: `Tests/tools/image
build-stage` carries it out, and PORTICO_IMAGE_BUILD=1 has these tests take what it made. Else the binary under test
takes the place of that, and is stripped as it is there. What results is run with its root file system, as the
Deployment says, against a real API server.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest
import rendering
from peers import objects
from peers.backend import Backend, Caller
from peers.gateway import BINARY
from rendering import ROOT, only

# The first test that wants the API server waits for its start.
pytestmark = pytest.mark.timeout(300)
TOOL = ROOT / "Tests" / "tools" / "image"
ENTRY = "/usr/local/bin/portico"


def stage(number):
    """The instructions of a stage of the Dockerfile: (name, text)."""
    text = (ROOT / "deploy" / "Dockerfile").read_text()
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    found = [tuple(line.split(None, 1)) for line in lines.replace("\\\n", " ").splitlines() if line.strip()]
    starts = [index for index, (name, _) in enumerate(found) if name == "FROM"]
    return found[starts[number]:(starts + [None])[number + 1]]


@pytest.fixture(scope="module")
def stripped(tmp_path_factory, say):
    """What the build stage makes, or what stands for it."""
    if os.environ.get("PORTICO_IMAGE_BUILD") == "1":
        folder = subprocess.run([TOOL, "folder"], capture_output=True, text=True).stdout.strip()
        made = pathlib.Path(folder, "portico")
        assert made.is_file(), "the build stage was not carried out: `Tests/tools/image build-stage` does it"
        return made
    say("The build stage of the image is not carried out, which takes 10 to 20 minutes: "
        "`Tests/tools/image build-stage` does it, and PORTICO_IMAGE_BUILD=1 tests what it made")
    if not shutil.which("strip"):
        pytest.skip("there is no strip")
    file = tmp_path_factory.mktemp("binary") / "portico"
    shutil.copy(BINARY, file)
    (command,) = re.findall(r"strip [^&]*/out/portico", stage(0)[-1][1])
    subprocess.run(command.replace("/out/portico", str(file)), shell=True, check=True)
    os.chmod(file.parent, 0o755)
    file.chmod(0o755)
    return file


@pytest.fixture(scope="module")
def image(say):
    """The root file system; skips, and says so aloud, where it was not made."""
    def ask(what):
        return subprocess.run([TOOL, what], capture_output=True, text=True).stdout.strip()

    place = pathlib.Path(ask("folder"))
    if not (place / "stamp").exists() or (place / "stamp").read_text() != ask("stamp"):
        reason = f"there is no image of this Dockerfile in {place}; Tests/tools/image build makes it"
        say(f"SKIPPED: the tests of the image: {reason}")
        pytest.skip(reason)
    return place


def inside(image, stripped, *command):
    """What a command says in the root file system, with the binary in its place."""
    script = 'mount --bind "$binary" "$root' + ENTRY + '" && exec chroot --userspec=65532:65532 "$root" "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", *command], capture_output=True, text=True, timeout=120,
        env={"root": str(image / "root"), "binary": str(stripped), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_small(image, stripped, say):
    layer = json.loads((image / "layer.json").read_text())
    parts = {**layer, "portico": stripped.stat().st_size}
    lines = [f"{octets / 1e6:7.1f} MB  {name}" for name, octets in sorted(parts.items(), key=lambda each: -each[1])]
    total = sum(parts.values())
    say("\n".join([f"The image has {total / 1e6:.1f} MB on top of Debian's slim image:", *lines]))
    assert total <= 60e6, lines
    assert {"libssl3", "libre2-9", "libnghttp2-14", "libyaml-0-2", "ca-certificates"} <= set(layer)


def test_what_is_stripped_keeps_the_names_of_functions(stripped):
    names = subprocess.run(["nm", stripped], capture_output=True, text=True).stdout
    assert sum(" t " in line or " T " in line for line in names.splitlines()) > 10_000
    sections = subprocess.run(["readelf", "-S", "-W", stripped], capture_output=True, text=True).stdout
    assert ".symtab" in sections and ".debug_info" not in sections


def test_the_binary_finds_its_libraries_there(image, stripped):
    libraries = inside(image, stripped, "ldd", ENTRY)
    assert "libssl.so.3" in libraries and "libre2.so.9" in libraries and "not found" not in libraries
    assert re.match(r"\S", inside(image, stripped, ENTRY, "version"))
    assert inside(image, stripped, "sleep", "0") == ""  # the Deployment's preStop
    assert int(inside(image, stripped, "wc", "-c", "/etc/ssl/certs/ca-certificates.crt").split()[0]) > 100_000


def test_it_has_no_shell_history_no_sources_and_no_package_lists(image):
    root = image / "root"
    assert not list((root / "var/lib/apt/lists").iterdir())
    assert not list((root / "var/cache/apt/archives").glob("*.deb"))
    assert not (root / "source").exists() and not (root / "usr/bin/gcc").exists()


def test_the_dockerfile_and_the_deployment_agree():
    run = dict(stage(1))
    deployment = only(rendering.kustomized(rendering.KUBERNETES), "Deployment")["spec"]["template"]["spec"]
    user = deployment["securityContext"]
    assert run["USER"] == f"{user['runAsUser']}:{user['runAsGroup']}"
    assert json.loads(run["ENTRYPOINT"]) == [ENTRY]
    assert run["COPY"] == f"--from=build /out/portico {ENTRY}"
    ports = [str(port["containerPort"]) for port in deployment["containers"][0]["ports"]]
    assert run["EXPOSE"].split() == ports
    # What the tests were built with is what the build stage builds.
    assert "swift build -c release --static-swift-stdlib --product portico" in stage(0)[-1][1]


def test_the_image_serves_as_the_deployment_says(image, stripped, cluster, pods):
    found = rendering.kustomized(rendering.KUBERNETES / "overlays" / "kind")
    cluster.apply(rendering.for_old_server([each for each in found if each["kind"] != "Service"]))
    with Backend(name="hello") as backend:
        made = rendering.yaml.safe_dump_all([
            objects.gateway(port=80), objects.virtual_service([objects.rule("hello", match=[
                {"uri": {"regex": "/test\\.[A-Z]/M"}}])]), *objects.served_by("hello", backend)])
        cluster.kubectl("apply", "-f", "-", stdin=made)
        pod = pods(cluster, found, image=image / "root", binary=stripped)
        pod.wait_ready()
        with Caller("127.0.0.1:8080") as caller:
            assert caller.status("/test.S/M")[0].value[0] == 0
        assert len(backend.calls) == 1
        assert pod.stop() == 0
        cluster.kubectl("delete", "-f", "-", stdin=made)
