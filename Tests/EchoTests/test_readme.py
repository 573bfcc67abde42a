"""The README's tutorial, run as it is written. In a network namespace of its own: its ports are fixed."""

import re
import subprocess
import sys

import pytest

from echo import ROOT
from test_demo import NAMESPACE, PREPARE

RELEASE = ROOT / ".build/release"


def tutorial():
    text = (ROOT / "README.md").read_text()
    section = re.search(r"^## Five minutes.*?(?=^## )", text, re.M | re.S).group(0)
    blocks = re.findall(r"^```sh\n(.*?)^```", section, re.M | re.S)
    return "set -e\n" + "".join(blocks).replace("make build\n", "")


@pytest.mark.slow
@pytest.mark.skipif(not NAMESPACE, reason="no network namespace can be made here")
@pytest.mark.skipif(not (RELEASE / "portico").exists(), reason="there is no release build")
def test_the_tutorial_works_as_written():
    prepare = PREPARE.replace('os.execv("Tests/tools/demo", ["demo"])', 'os.execvp("bash", ["bash", "-s"])')
    done = subprocess.run(
        [*NAMESPACE, sys.executable, "-c", prepare], cwd=ROOT, input=tutorial(), capture_output=True, text=True,
        timeout=120)
    assert done.returncode in (0, 143), done.stdout[-3000:] + done.stderr[-3000:]
    calls = re.findall(r"^  (127\.0\.1\.[12]|grpc-status \d+) +(\d+) ", done.stdout, re.M)
    assert calls == [
        ("127.0.1.1", "150"), ("127.0.1.2", "150"), ("grpc-status 0", "300"),
        ("127.0.1.1", "100"), ("grpc-status 0", "100"), ("127.0.1.2", "100"), ("grpc-status 0", "100"),
        ("grpc-status 4", "1"),
    ]
    assert "0 errors, 0 warnings" in done.stdout and "reloaded in" in done.stdout
    assert "stopped" in done.stderr


@pytest.mark.parametrize("page", ["README.md", *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/*.md"))])
def test_what_a_page_links_to_is_there(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text())
    missing = [link for link in links if not ((ROOT / page).parent / link).exists()]
    assert not missing


def test_files_named_by_the_architecture_exist():
    text = (ROOT / "docs/architecture.md").read_text()
    names = set(re.findall(r"`((?:Sources/|Tests/)?[A-Za-z-]+/[A-Za-z0-9_/]+\.(?:swift|py))`", text))
    places = [ROOT, ROOT / "Sources", ROOT / "Tests"]
    missing = [name for name in names if not any((place / name).exists() for place in places)]
    assert len(names) > 60 and not missing
