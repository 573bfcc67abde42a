"""What `make steady` says of runs: which tests fail in some of them, and which always."""

import importlib.machinery
import importlib.util
import pathlib

import pytest

PATH = pathlib.Path(__file__).parents[1] / "tools" / "steady"
JUNIT = '<suite><testcase classname="a" name="b">{}</testcase></suite>'


@pytest.fixture
def steady():
    loader = importlib.machinery.SourceFileLoader("steady", str(PATH))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("steady", loader))
    loader.exec_module(module)
    return module


@pytest.mark.parametrize("inner, passed", [("", True), ("<failure/>", False), ("<error/>", False)])
def test_a_result_is_read(steady, tmp_path, inner, passed):
    file = tmp_path / "swift-run-1.xml"
    (tmp_path / "swift-run-1-swift-testing.xml").write_text(JUNIT.format(inner))
    assert list(steady.outcomes(file)) == [("a: b", passed)]


def test_what_was_skipped_is_no_result(steady, tmp_path):
    (tmp_path / "x.xml").write_text(JUNIT.format("<skipped/>"))
    assert list(steady.outcomes(tmp_path / "x.xml")) == []


def test_a_part_that_crashes_is_a_failure_and_leaves_nothing_of_the_last_run(steady, tmp_path):
    file = tmp_path / "x.xml"
    file.write_text(JUNIT.format(""))
    found = steady.run(["sh", "-c", "exit 3"], file, tmp_path / "log")
    assert [passed for _, passed in found] == [False] and "ended with 3" in found[0][0]


def test_flakes_are_told_from_what_fails_always(steady, capsys):
    assert steady.report(3, steady.collections.Counter({"a": 3, "b": 1})) == 1
    assert capsys.readouterr().out.splitlines()[:2] == ["fails always, 3 of 3: a", "flake, 1 of 3: b"]
    assert steady.report(3, steady.collections.Counter()) == 0
