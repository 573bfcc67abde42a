"""Runs the failed tests of the suites once more, one at a time. The first run has two files at a time and compilers
beside it: what only a busy machine breaks is a fault of the test. A test that fails again has failed. One that passes
is named by `summary.py`, so that somebody mends it.

usage: alone.py FOLDER    exit 0: all of them pass alone
"""

import pathlib
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

# More than these are no accident.
MOST = 5


def node(case):
    """The name by which pytest runs a test case of its JUnit file."""
    parts = ["Tests", *case.get("classname").split(".")]
    depth = len(parts)
    while depth > 1 and not pathlib.Path(*parts[:depth]).with_suffix(".py").is_file():
        depth -= 1
    file = pathlib.Path(*parts[:depth]).with_suffix(".py")
    return "::".join([str(file), *parts[depth:], case.get("name")])


def failed(file):
    """The failed test cases of a JUnit file."""
    for case in ElementTree.parse(file).getroot().iter("testcase"):
        if {child.tag for child in case} & {"failure", "error"}:
            yield case


def main():
    folder = pathlib.Path(sys.argv[1])
    try:
        nodes = [node(case) for case in failed(folder / "pytest.xml")]
    except (OSError, ElementTree.ParseError):
        return 1  # the run itself broke
    if not 0 < len(nodes) <= MOST:
        return 1
    return subprocess.call([
        sys.executable, "-m", "pytest", *nodes, "-c", "Tests/pytest.ini", "--junitxml", folder / "alone.xml"])


if __name__ == "__main__":
    sys.exit(main())
