"""docs/threat-model.md: the limits, counters and tests that it names are there."""

import re

from peers.gateway import ROOT

PAGE = (ROOT / "docs/threat-model.md").read_text()
LIMITS, METRICS = ((ROOT / "docs" / name).read_text() for name in ("limits.md", "metrics.md"))


def rows():
    """The cells of the rows of the tables of attacks, without their headings."""
    lines = [line for line in PAGE.splitlines() if re.match(r"\| (?!Attack |Who )\S", line)]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_each_test_that_the_page_names_is_there():
    named = re.findall(r"`(\w+/\w+\.(?:py|swift))`((?: `[^`]+`(?:, (?=`test_))?)*)", PAGE)
    assert len(named) > 50
    for file, names in named:
        path = ROOT / "Tests" / file
        assert path.is_file(), file
        for name in re.findall(r"`([^`]+)`", names):
            assert f"def {name}(" in path.read_text() or f"func `{name}`(" in path.read_text(), (file, name)


def test_each_counter_that_the_page_names_is_in_the_page_of_metrics():
    families = set(re.findall(r"`(\w+_total|config_problems)`", PAGE))
    assert len(families) > 5
    for family in families:
        assert f"`portico_{family}`" in METRICS, family
    for reason in re.findall(r"`(http[12]\.\w+)`", PAGE):
        assert f"`{reason}`" in METRICS, reason
    for limit in re.findall(r"`limit_reached_total` `(\w+)`", PAGE):
        assert f'limit_reached_total{{limit="{limit}"}}' in LIMITS, limit


def test_each_target_of_the_fuzzer_that_the_page_names_is_there():
    list_of_targets = (ROOT / "Tests/Fuzz/Targets/FuzzTarget.swift").read_text()
    targets = set(re.findall(r'FuzzTarget\(name: "([\w-]+)"', list_of_targets))
    lists = re.findall(r"libFuzzer's targets? ((?:`[\w-]+`(?:, )?)+)", PAGE)
    named = [re.findall(r"`([\w-]+)`", words) for words in lists]
    assert named and {name for names in named for name in names} <= targets


def test_each_attack_has_a_test_and_each_limit_that_it_names_is_in_the_page_of_limits():
    attacks = [row for row in rows() if len(row) > 3]
    assert len(attacks) > 35
    for row in attacks:
        assert re.search(r"`\w+/\w+\.(py|swift)`", row[-1]), row
        limit = row[2] if len(row) == 5 else row[1]
        for name in re.split(r"[;:,]", limit)[:1]:
            name = name.strip()
            assert name in ("none", "–", "the same") or f"| {name}" in LIMITS, name
