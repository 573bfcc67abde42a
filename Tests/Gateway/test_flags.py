"""The flags of `portico serve`: each is documented with its default, refuses nonsense, and has its effect."""

import re
import socket

import pytest

from peers import certificates, http1, http2, objects, waiting
from peers.gateway import ROOT, Gateway, run
from peers.refusals import failures

LIMITS, CONFIGURATION = ROOT / "docs/limits.md", ROOT / "docs/configuration.md"
REFUSED = r'^portico_connections_refused_total{{reason="{}"}}'
REACHED = r'^portico_limit_reached_total\{{limit="{}"\}}'
OPEN = r'^portico_connections\{{side="{}"\}}'


def declared(section=None):
    """flag → default (None where it has none), as `portico serve --help` says; `section` is its heading."""
    text = run("serve", "--help", environment={"COLUMNS": "400"}).stdout
    if section:
        text = re.search(rf"^{section}:\n(.*?)(?:\n\n|\Z)", text, re.MULTILINE | re.DOTALL)[1]
    found = re.findall(r"^ +(?:-\w, )?(--[\w-]+)( <[\w-]+>)?(.*(?:\n {10,}\S.*)*)", text, re.MULTILINE)
    defaults = {flag: re.search(r"(?:\(|; )default: ([^)]*)\)", words) for flag, _, words in found if flag != "--help"}
    return {flag: match[1] if match else None for flag, match in defaults.items()}


def documented(path, column):
    """(flag, default or "") of each row of the tables of a page, where a cell of the column begins with a flag."""
    rows = [line.strip("|").split(" | ") for line in path.read_text().splitlines() if line.startswith("|")]
    cells = [row[column].strip() for row in rows if len(row) > column]
    return [match.groups("") for cell in cells if (match := re.match(r"`(--[\w-]+)(?: ([^`]+))?`", cell))]


def test_every_flag_is_documented_and_every_documented_flag_is_there():
    pages = {flag for flag, _ in documented(LIMITS, 2) + documented(CONFIGURATION, 0)}
    assert pages == set(declared())


def test_every_limit_that_can_be_set_is_in_the_page_of_limits_with_its_default():
    limits = declared("LIMITS")
    told = {flag: default or "" for flag, default in limits.items()}
    assert limits and dict(documented(LIMITS, 2)).items() >= told.items()
    for flag, default in documented(LIMITS, 2):
        assert not default or declared()[flag] == default, flag


def test_the_defaults_in_the_page_of_configuration_are_the_programs():
    rows = [line.strip("|").split(" | ") for line in CONFIGURATION.read_text().splitlines() if line.startswith("| `--")]
    for cell, default, *_ in rows:
        flag, value = re.match(r" *`(--[\w-]+)", cell)[1], re.fullmatch(r"`([^`]*)`", default.strip())
        if value:
            assert declared()[flag] == value[1], flag


def test_each_test_that_the_page_of_limits_names_is_there():
    found = re.findall(r"`(\w+/\w+\.(?:py|swift))`(?: `([^`]+)`)?", LIMITS.read_text())
    assert len(found) > 40
    for file, name in found:
        path = ROOT / "Tests" / file
        assert path.is_file(), file
        assert f"def {name}(" in path.read_text() or f"func `{name}`(" in path.read_text() or not name, (file, name)


def test_each_limit_has_a_test_or_says_why_it_has_none():
    limits = LIMITS.read_text().partition("\n## Constants\n")[0]  # whose list names rows that are above it
    rows = [line for line in limits.splitlines() if re.match(r"\| (?!Limit )", line)]
    assert len(rows) > 80
    for row in rows:
        last = row.rstrip("|").rpartition("|")[2] if row.endswith(" |") and not row.endswith("| |") else ""
        assert re.search(r"`\w+/\w+\.(py|swift)` `[^`]+`", last), row


@pytest.mark.parametrize("value", ["x", "-1", "99999999999999999999999"])
@pytest.mark.parametrize("flag", declared("LIMITS"))
def test_a_limit_that_is_out_of_range_is_refused_with_what_to_write(flag, value):
    result = run("serve", "--config", "nowhere.yaml", f"{flag}={value}")
    assert result.returncode == 64, result
    assert flag in result.stderr and "write " in result.stderr, result.stderr


@pytest.mark.parametrize("flag", sorted(declared().keys() - {"--config", "--status", "--admin", "--mesh"}))
def test_a_flag_that_takes_few_values_is_an_environment_variable_too(flag):
    if flag in {"--cluster-domain", "--namespace", "--root-namespace", "--istio-identity", "--locality", "--node",
                "--status-name", "--tls-ticket-keys"}:
        pytest.skip("takes any text")
    variable = "PORTICO" + flag[1:].replace("-", "_").upper()
    result = run("serve", "--config", "nowhere.yaml", environment={variable: "nonsense"})
    assert result.returncode == 64 and flag in result.stderr, result
    given = run("serve", "--help", environment={variable: "nonsense"})
    assert given.returncode == 0, "a variable spoils --help"


def test_what_check_shares_with_serve_it_takes_from_the_environment_too(tmp_path):
    path = tmp_path / "empty.yaml"
    path.write_text("")
    assert run("check", path, environment={"PORTICO_LABEL": "nonsense"}).returncode == 64
    assert run("check", path, environment={"PORTICO_LABEL": "a=b,c=d", "PORTICO_DRAIN": "nonsense"}).returncode == 0
    assert run("check", path, "--label", "a=b", environment={"PORTICO_LABEL": "nonsense"}).returncode == 0


# What the limits do


def closed(gateway, octets=b"", seconds=10):
    """A connection that says these octets and no more; returns when the gateway has closed it."""
    with socket.create_connection(("127.0.0.1", gateway.port), seconds) as client:
        client.sendall(octets)
        while client.recv(65536):
            pass


def test_a_silent_connection_is_closed(backend):
    with Gateway(objects.echo(backend), arguments=["--first-octets-timeout", "200ms"]) as gateway:
        closed(gateway)
        assert gateway.metric(REFUSED.format("first_octets_timeout")) == 1


def test_half_a_preface_is_given_up(backend):
    with Gateway(objects.echo(backend), arguments=["--handshake-timeout", "200ms"]) as gateway:
        closed(gateway, b"PRI * HT")
        assert gateway.metric(REFUSED.format("preface_timeout")) == 1


def test_half_a_client_hello_is_given_up(backend):
    pair = certificates.authority().issue("shop.test")
    config = [*objects.echo(backend), objects.tls_secret("cert", pair)]
    config[0] = objects.gateway(protocol="HTTPS", tls={"mode": "SIMPLE", "credentialName": "cert"})
    with Gateway(config, arguments=["--hello-timeout", "200ms"]) as gateway:
        closed(gateway, b"\x16\x03\x01")
        assert failures(gateway, "timed_out") == 1


def test_an_idle_connection_is_closed(web):
    config = objects.echo(web, protocol="HTTP", protocol_name="http")
    with Gateway(config, arguments=["--idle-timeout", "300ms"]) as gateway:
        with http1.connect(gateway.port) as client:
            client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            assert client.response().status == 200
            assert client.is_closed_by_peer()
        with http2.connect(gateway.port) as client:
            client.wait_closed()
        assert gateway.metric(REACHED.format("idle_timeout")) == 2


def test_an_idle_upstream_connection_is_closed(web):
    config = objects.echo(web, protocol="HTTP", protocol_name="http")
    with Gateway(config, arguments=["--upstream-idle-timeout", "300ms"]) as gateway:
        assert http1.get(gateway.port).status == 200
        assert gateway.metric(r'^portico_connections_total\{side="upstream"\}') == 1
        waiting.until(lambda: gateway.metric(OPEN.format("upstream")) == 0, 10, "its end")
        assert gateway.metric(REACHED.format("upstream_idle_timeout")) == 1


def test_a_client_that_does_not_close_is_left(web):
    config = objects.echo(web, protocol="HTTP", protocol_name="http")
    with Gateway(config, arguments=["--linger-timeout", "100ms"]) as gateway, http1.connect(gateway.port) as client:
        client.send("nonsense\r\n\r\n")
        assert client.response().status == 400
        waiting.until(lambda: gateway.metric(OPEN.format("downstream")) == 0, 10, "its end")
        assert gateway.metric(REACHED.format("linger_timeout")) == 1


def test_an_endpoint_that_does_not_accept_is_given_up(web):
    """Its queue of connections is full, so that the kernel answers nothing."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiters = [socket.socket() for _ in range(4)]
        for waiter in waiters:
            waiter.setblocking(False)
            waiter.connect_ex(full.getsockname())
        web_like = type("Endpoint", (), {"address": "127.0.0.1", "port": full.getsockname()[1]})
        config = objects.echo(web_like, protocol="HTTP", protocol_name="http")
        with Gateway(config, arguments=["--connect-timeout", "200ms"]) as gateway:
            assert http1.get(gateway.port).status == 503
            assert gateway.metric("^portico_upstream_connect_failures_total") >= 1
        for waiter in waiters:
            waiter.close()
