"""docs/operations.md says of each response flag what it means and what to do."""

import re

from peers.gateway import ROOT


def test_the_list_of_response_flags_is_whole():
    source = (ROOT / "Sources/Telemetry/ResponseFlag.swift").read_text()
    flags = re.findall(r'^    case \w+ = "([A-Z-]+)"', source, re.MULTILINE)
    earlier = re.findall(r'\(\.\w+, "([A-Z]+)"\)', source)
    assert len(flags) > 15 and earlier == ["DI", "FI", "URX", "UO"]
    page = (ROOT / "docs/operations.md").read_text().partition("## Response flags")[2].partition("\n### ")[0]
    rows = [line.strip("|").split(" | ") for line in page.splitlines() if line.startswith("| `")]
    assert sorted(row[0].strip(" `") for row in rows) == sorted({*flags, *earlier})
    assert all(len(row) == 3 and all(len(cell.strip()) > 5 for cell in row[1:] if cell.strip() != "nothing")
               for row in rows)
