"""The last line of `make test`: what counts as passed, and what as failed."""

import pathlib
import subprocess
import sys

import pytest

SUMMARY = pathlib.Path(__file__).parents[1] / "tools/summary.py"
FAILED, PASSED = "<failure/>", ""


def junit(**cases):
    start = '<testcase classname="Gateway.test_a" time="1" name='
    texts = "".join(f'{start}"{name}">{end}</testcase>' for name, end in cases.items())
    return f"<testsuites><testsuite>{texts}</testsuite></testsuites>"


def summary(folder, *broken):
    done = subprocess.run([sys.executable, SUMMARY, folder, *broken], capture_output=True, text=True)
    return done.returncode, done.stdout.splitlines()


@pytest.mark.parametrize("alone, status, last", [
    (None, 1, "1 passed, 1 failed"), (FAILED, 1, "1 passed, 2 failed"), (PASSED, 0, "2 passed, 0 failed"),
])
def test_a_test_that_failed_beside_others_counts_by_its_run_alone(tmp_path, alone, status, last):
    (tmp_path / "pytest.xml").write_text(junit(one=PASSED, two=FAILED))
    if alone is not None:
        (tmp_path / "alone.xml").write_text(junit(two=alone))
    code, lines = summary(tmp_path)
    assert (code, lines[-1]) == (status, last)
    assert ("failed beside other tests, passed alone: Gateway.test_a: two" in lines) == (alone == PASSED)


def test_a_step_that_broke_without_a_failed_test_counts_as_one(tmp_path):
    (tmp_path / "pytest.xml").write_text(junit(one=PASSED))
    assert summary(tmp_path, "fuzz") == (1, [
        "the slowest 15 tests:", "     1.0 s  Gateway.test_a: one", "broken step: fuzz", "1 passed, 1 failed"])


@pytest.mark.parametrize("end, named", [
    ("", ['  "waits \\"for ever\\"" of it"']), ("✔ Test run with 3 tests in 1 suite passed after 9.0 seconds.", None),
])
def test_a_run_of_swift_tests_that_was_stopped_names_what_had_not_ended(tmp_path, end, named):
    log = tmp_path / "swift.log"
    log.write_text("\n".join([
        "◇ Test run started.", '◇ Suite "A" started.', '◇ Test "passed after all" started.',
        '◇ Test "waits \\"for ever\\"" of it" started.', '◇ Test "is read" started.',
        '◇ Test case passing 1 argument a → "b" to "is read" started.',
        '✔ Test "is read" with 4 test cases passed after 1.0 seconds.',
        '✘ Test "passed after all" failed after 1.0 seconds with 1 issue.', end]))
    program = SUMMARY.with_name("unfinished.py")
    done = subprocess.run([sys.executable, program, log], capture_output=True, text=True, check=True)
    head = ["1 Swift tests have begun and have not ended; the first ones are:"]
    assert done.stdout.splitlines() == (head + named if named else [])
