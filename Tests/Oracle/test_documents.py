"""docs/differences.md has every difference that is measured, and leads to every one that docs/istio.md tells."""

import pathlib
import re

import differences
import test_relays
import test_websockets

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
TEXT = (DOCS / "differences.md").read_text()


def slug(heading):
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_every_measured_difference_is_told():
    reasons = {reason for each in differences.DIFFERENCES.values() for reason in each.values()}
    reasons |= set(test_relays.DIFFERENCES.values()) | {test_websockets.TRANSLATED}
    rows = {line.split("|")[1].strip() for line in TEXT.splitlines() if line.startswith("| ")}
    assert reasons <= rows
    measured = TEXT.split("## Measured")[1].split("## ")[0]
    told = {line.split("|")[1].strip() for line in measured.splitlines() if line.startswith("| ")} - {"Difference"}
    assert told == reasons, "no longer differs, or is not measured: remove it from the table"


def test_every_difference_of_istio_is_linked():
    heading, missing = "", []
    for line in (DOCS / "istio.md").read_text().splitlines():
        if found := re.match(r"##+ (.*)", line):
            heading = found[1]
        if "*Portico:* " in line and heading and f"(istio.md#{slug(heading)})" not in TEXT:
            missing.append(heading)
    assert not missing


def test_no_link_is_dead():
    for name, anchor in re.findall(r"\((\w+\.md)#([\w-]+)\)", TEXT):
        headings = re.findall(r"^#+ (.*)$", (DOCS / name).read_text(), re.MULTILINE)
        assert anchor in {slug(each) for each in headings}, f"{name}#{anchor}"
