"""Who is to blame for a failed request: the access log says it, and how grave it is; the answer says the limit."""

import json

import pytest

from peers import http1, objects, waiting
from peers.gateway import Gateway

TOO_LARGE = "GET /large HTTP/1.1\r\nhost: a\r\nx: " + "a" * 70_000 + "\r\n\r\n"


@pytest.fixture(scope="module")
def gateway(web):
    rules = [objects.rule("gone", match=[{"uri": {"prefix": "/gone"}}]),
             objects.rule("nowhere", match=[{"uri": {"prefix": "/nowhere"}}]), objects.rule("echo")]
    gone = type("Gone", (), {"address": "127.0.0.1", "port": waiting.free_port()})
    config = [objects.gateway(), objects.virtual_service(rules),
              *objects.served_by("gone", gone, protocol_name="http"),
              *objects.served_by("echo", web, protocol_name="http")]
    with Gateway(config, arguments=["--log-format", "json"]) as made:
        yield made


@pytest.mark.parametrize("octets, mark, status, whose, level", [
    (TOO_LARGE, "http1.headers_too_large", 431, "client", "info"),
    ("GET /bad HTTP/1.1\r\n\r\n", "missing_host_header", 400, "client", "info"),
    ("GET /gone HTTP/1.1\r\nhost: a\r\n\r\n", '"path":"/gone"', 503, "upstream", "warning"),
    ("GET /nowhere HTTP/1.1\r\nhost: a\r\n\r\n", '"path":"/nowhere"', 503, "configuration", "error")])
def test_the_access_log_says_who_is_to_blame(gateway, octets, mark, status, whose, level):
    assert http1.send(gateway.port, octets).status == status
    line = json.loads(gateway.access_log(mark))
    assert (line["blame"], line["level"]) == (whose, level) and list(line) == sorted(line)


def test_what_is_served_is_nobodys_blame(gateway):
    assert http1.get(gateway.port, "/fine").status == 200
    assert "blame" not in json.loads(gateway.access_log('"path":"/fine"'))


def test_an_answer_to_a_section_that_is_too_large_says_the_limit(gateway):
    answer = http1.send(gateway.port, TOO_LARGE)
    assert answer.status == 431 and b"60 KiB" in answer.body and b"no flag" in answer.body
