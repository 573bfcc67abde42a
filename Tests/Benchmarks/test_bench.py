"""`make bench` works: every figure is there. What they are is not tested; machines differ."""

import json
import pathlib
import subprocess
import sys
import xml.etree.ElementTree

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from measure import report, template  # noqa: E402


def bench(*arguments):
    return subprocess.run(
        [sys.executable, str(HERE / "bench"), *map(str, arguments)], capture_output=True, text=True, timeout=300)


def test_a_quick_run_measures_every_scenario_it_has(tmp_path):
    results, chart, tables = tmp_path / "results.json", tmp_path / "chart.svg", tmp_path / "tables.md"
    done = bench("--quick", "--peers", "portico", "--json", results, "--chart", chart, "--markdown", tables)
    assert done.returncode == 0, done.stdout + done.stderr
    made = json.loads(results.read_text())
    assert {case["letter"] for case in made["cases"]} == set("abcdefhjkmnop")
    for case in made["cases"]:
        assert case["peers"]["portico"]["cost"] > 0, case["name"]
        assert case["name"] in done.stdout
    assert {"direct", "portico"} == set(next(case for case in made["cases"] if case["letter"] == "d")["peers"])
    xml.etree.ElementTree.parse(chart)
    assert "| portico |" in tables.read_text()


@pytest.mark.parametrize("arguments", [("--scenario", "z"), ("--peers", "apache")])
def test_an_unknown_name_is_refused_with_the_known_ones(arguments):
    done = bench(*arguments)
    assert done.returncode != 0 and "there are" in done.stderr


def test_the_ratio_is_to_the_best_peer_and_never_to_portico():
    case = {"peers": {"portico": {"cost": 1.0}, "direct": {"cost": 0.5}, "envoy": {"cost": 4.0},
                      "nginx": {"cost": 2.0}, "caddy": {"error": "no"}}}
    assert report.best_peer(case) == 2.0
    assert report.best_peer({"peers": {"portico": {"cost": 1.0}}}) is None


def test_a_template_knows_conditions_loops_and_names():
    text = "%if yes\na {{x}}\n%if not yes\nb\n%end\n%end\n%each many\nc {{n}} {{x}}\n%end\nd"
    assert template.fill(text, {"yes": True, "x": 1, "many": [{"n": 5}, {"n": 6}]}) == "a 1\nc 5 1\nc 6 1\nd"


@pytest.mark.parametrize("text", ["%end", "%if yes\na"])
def test_a_template_with_a_lone_mark_is_refused(text):
    with pytest.raises(ValueError, match="%end"):
        template.fill(text, {"yes": True})
