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
