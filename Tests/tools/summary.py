"""The last line of `make test`: the sum over all JUnit files, and exit 1 if anything failed.

usage: summary.py FOLDER [BROKEN-STEP ...]
A step that broke without leaving a failed test behind (a build error, a crash) counts as one failure.
"""

import pathlib
import sys
import xml.etree.ElementTree as ElementTree


def count(file):
    passed = failed = skipped = 0
    for case in ElementTree.parse(file).getroot().iter("testcase"):
        tags = {child.tag for child in case}
        if tags & {"failure", "error"}:
            failed += 1
            print(f"failed: {case.get('classname')}: {case.get('name')}")
        elif "skipped" in tags:
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped


def durations(file):
    """Seconds and name of each test of a JUnit file."""
    for case in ElementTree.parse(file).getroot().iter("testcase"):
        yield float(case.get("time") or 0), f"{case.get('classname')}: {case.get('name')}"


def print_slowest(times, most=15):
    print(f"the slowest {most} tests:")
    for seconds, name in sorted(times, reverse=True)[:most]:
        print(f"{seconds:8.1f} s  {name}")


def main():
    folder, broken = pathlib.Path(sys.argv[1]), sys.argv[2:]
    passed = failed = skipped = 0
    times = []
    for file in sorted(folder.glob("*.xml")):
        try:
            more = count(file)
        except ElementTree.ParseError:
            continue  # cut short by a crash, which `broken` names
        passed, failed, skipped = passed + more[0], failed + more[1], skipped + more[2]
        times += durations(file)
    print_slowest(times)
    for step in broken:
        print(f"broken step: {step}")
    failed = max(failed, len(broken))
    if skipped:
        print(f"({skipped} skipped or expected to fail, each with its reason in the test)")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or broken else 0


if __name__ == "__main__":
    sys.exit(main())
