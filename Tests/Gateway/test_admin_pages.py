"""docs/admin.md has every page that the listeners offer, and each page works as the table says."""

import json
import re

import pytest

from peers.gateway import ROOT

TEXT = (ROOT / "docs/admin.md").read_text()
ROWS = re.findall(r"^\| `(/[\w/]*)`(?:, `/`)? \| (GET|POST) \| (✓?) ?\| ✓ \| (.*) \|$", TEXT, re.MULTILINE)


def offered(gateway, port):
    return set(re.findall(r"^  (GET|POST) +(/[\w/]*) ", gateway.status("/help", port)[1], re.MULTILINE))


def test_the_table_has_the_pages_of_each_listener(gateway):
    assert ROWS
    assert offered(gateway, gateway.admin_port) == {(method, path) for path, method, _, _ in ROWS}
    assert offered(gateway, gateway.status_port) == {(method, path) for path, method, status, _ in ROWS if status}


@pytest.mark.parametrize("path, method", [row[:2] for row in ROWS])
def test_each_page_answers(gateway, path, method):
    assert gateway.admin(path, method)[0] == 200
    code, body = gateway.admin(path, "POST" if method == "GET" else "GET")
    assert code == 405 and method in body


def test_each_page_with_forms_has_json(gateway):
    found = re.findall(r"^  GET +(/\w+) .*\(\?format=json\)$", gateway.admin("/help")[1], re.MULTILINE)
    named = re.search(r"^(`/.*`) take `\?format=json`", TEXT, re.MULTILINE)[1]
    assert set(found) == set(re.findall(r"`(/\w+)`", named))
    for path in found:
        code, body = gateway.admin(f"{path}?format=json")
        assert code == 200 and isinstance(json.loads(body), (dict, list))


def test_no_page_is_registered_twice(gateway):
    pages = re.findall(r"^  (?:GET|POST) +(/[\w/]*) ", gateway.admin("/help")[1], re.MULTILINE)
    assert len(pages) == len(set(pages))
