"""The last line of `make test`: the sum over all JUnit files, and exit 1 if anything failed.

usage: summary.py FOLDER [BROKEN-STEP ...]
A step that broke without leaving a failed test behind (a build error, a crash) counts as one failure.
"""

import pathlib
import sys
import xml.etree.ElementTree as ElementTree


def name(case):
    return f"{case.get('classname')}: {case.get('name')}"


def passing(file):
    """The names of the tests that `alone.py` has seen pass; none without its file."""
    if not file.is_file():
        return set()
    return {name(case) for case in ElementTree.parse(file).getroot().iter("testcase") if not len(case)}


def count(file, alone):
    """How many tests of a JUnit file passed, failed and were skipped. Those of `alone` are not counted as failed: they
    passed in a file of their own."""
    passed = failed = skipped = 0
    for case in ElementTree.parse(file).getroot().iter("testcase"):
        tags = {child.tag for child in case}
        if tags & {"failure", "error"} and name(case) in alone:
            print(f"failed beside other tests, passed alone: {name(case)}")
        elif tags & {"failure", "error"}:
            failed += 1
            print(f"failed: {name(case)}")
        elif "skipped" in tags:
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped


def durations(file):
    """Seconds and name of each test of a JUnit file."""
    for case in ElementTree.parse(file).getroot().iter("testcase"):
        yield float(case.get("time") or 0), name(case)


def print_slowest(times, most=15):
    print(f"the slowest {most} tests:")
    for seconds, name in sorted(times, reverse=True)[:most]:
        print(f"{seconds:8.1f} s  {name}")


def main():
    folder, broken = pathlib.Path(sys.argv[1]), sys.argv[2:]
    passed = failed = skipped = 0
    times = []
    try:
        alone = passing(folder / "alone.xml")
    except ElementTree.ParseError:
        alone = set()  # cut short by a crash
    for file in sorted(folder.glob("*.xml")):
        try:
            more = count(file, alone)
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
