"""What a request takes in instructions, allocations and reference counts has a limit.

See docs/performance.md, "The guard".
"""

import dataclasses
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from measure import callgrind, limits  # noqa: E402

KNOWN = limits.read(limits.FILE.read_text())


def test_a_call_that_began_before_is_left_out_for_callgrind_annotate():
    assert callgrind.annotatable("fn=(1)\n0 5\ncfn=(2)\ncalls=0 0\n0 700\ncfn=(3)\ncalls=1 0\n0 7\n") == (
        "fn=(1)\n0 5\ncfn=(2)\ncfn=(3)\ncalls=1 0\n0 7\n")


@pytest.mark.parametrize("name", limits.CASES)
def test_a_request_takes_no_more_than_its_limit(name):
    if limits.foreign(KNOWN):
        pytest.skip(limits.foreign(KNOWN))
    fault = limits.exceeded(name, limits.measure_fairly(name, KNOWN), KNOWN)
    assert not fault, "\n" + fault


def test_policies_cost_little_more():
    """15 % at most are wanted; 1 % is left for chance."""
    if limits.foreign(KNOWN):
        pytest.skip(limits.foreign(KNOWN))
    plain, policies = (limits.measure(name, limits.LONG).instructions for name in ("unary", "policies"))
    assert policies <= 1.16 * plain, f"{policies:,.0f} instructions per request, and {plain:,.0f} without policies"


@pytest.mark.parametrize("counts, passes", [([9], True), ([11, 9], True), ([11, 12, 11, 10], True), ([11] * 4, False)])
def test_a_count_above_its_limit_is_made_again_three_times_at_most(monkeypatch, counts, passes):
    left = list(counts)
    monkeypatch.setattr(limits, "measure", lambda name, scale=1: limits.Figures(left.pop(0), 0, 0, []))
    line = {"measured": 8, "limit": 10}
    known = {"unary": {key: line for key in limits.ROOM}}
    figures = limits.measure_fairly("unary", known)
    assert not left and bool(limits.exceeded("unary", figures, known)) is not passes


FIGURES = limits.Figures(
    57_000.4, 0.5, 31.5, [("hurried", 0.4), ("$s7Routing10RouteTableCMa", 0.1)], [("careful", 31.5)])
LINE = {"instructions": {"measured": 50_000, "limit": 56_000}, "allocations": {"measured": 0.01, "limit": 0.07},
        "references": {"measured": 20, "limit": 31}}


def test_what_is_above_its_limit_is_said_with_who_how_to_look_and_how_to_allow_it():
    said = limits.exceeded("unary", FIGURES, {"unary": LINE})
    assert "instructions per request rose from 50,000, when the limit was set, to 57,000; the limit is 56,000" in said
    assert "allocations per request rose from 0.01, when the limit was set, to 0.50; the limit is 0.07" in said
    assert "Who allocates: hurried (0.40)" in said
    assert "references per request rose from 20.00" in said and "Who counts references: careful (31.50)" in said
    assert "callgrind_annotate .build/guard/unary.callgrind" in said and "make guard CASES=unary UPDATE=1" in said
    fewer = dataclasses.replace(FIGURES, instructions=56_000, allocations=0.07, references=31)
    assert limits.exceeded("unary", fewer, {"unary": LINE}) == ""


def test_an_update_changes_the_figures_of_its_cases_and_nothing_else():
    before = limits.FILE.read_text()
    after = limits.updated(before, {"http1": limits.Figures(10_000, 0, 20, [])})
    known = limits.read(after)
    assert known["http1"] == {"instructions": {"measured": 10_000, "limit": 11_200},
                              "allocations": {"measured": 0.0, "limit": 0.05},
                              "references": {"measured": 20.0, "limit": 22.9}}
    assert {name: known[name] for name in KNOWN if name != "http1"} == {
        name: KNOWN[name] for name in KNOWN if name != "http1"}
    assert [line for line in after.split("\n") if line[:1] == "#"] == [
        line for line in before.split("\n") if line[:1] == "#"]


def test_a_case_without_limits_is_over_them_until_an_update_writes_some():
    known = limits.read('architecture = "x86_64"\n')
    assert "the limit is 0.00" in limits.exceeded("unary", FIGURES, known)
    known = limits.read(limits.updated('architecture = "x86_64"\n', {"unary": FIGURES}))
    assert limits.exceeded("unary", FIGURES, known) == ""


def test_an_allocation_counts_once_for_the_function_that_asked_for_it():
    """Through the Swift runtime, directly, and not what the C library does inside; numbers stand for names."""
    profile = callgrind.read("""\
summary: 1234
ob=(1) /bin/portico
fn=(1) asks
cfn=(2) swift_allocObject
calls=3 0
0 30
cob=(2) /usr/lib/libc.so.6
cfn=(3) malloc
calls=2 0
0 20

fn=(2)
cfn=(4) swift_slowAlloc
calls=3 0
0 30

fn=(4)
cob=(2)
cfn=(5) posix_memalign
calls=3 0
0 30

ob=(2)
fn=(5)
cfn=(3)
calls=3 0
0 30
totals: 1234
""")
    assert profile.instructions == 1234 and profile.allocators == {"asks": 5} and not profile.counters


def test_a_reference_count_counts_once_for_the_function_that_asked_for_it():
    profile = callgrind.read("""\
summary: 7
ob=(1) /bin/portico
fn=(1) asks
cfn=(2) swift_retain
calls=3 0
0 30
cfn=(3) swift_bridgeObjectRelease
calls=2 0
0 20
cfn=(5) swift_retainCount
calls=9 0
0 9

fn=(3)
cfn=(4) swift_release
calls=2 0
0 20
""")
    assert profile.counters == {"asks": 5}
