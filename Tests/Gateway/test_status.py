"""Health, metrics, admin pages and the access log."""

import json
import re
import subprocess

import pytest

from peers import certificates, http1, http2, objects, waiting
from peers.backend import Caller
from peers.gateway import BINARY, Gateway


def test_health(gateway):
    assert gateway.status("/healthz/ready")[0] == 200
    assert gateway.status("/healthz/live")[0] == 200
    assert gateway.status("/nothing")[0] == 404


def test_the_status_port_has_no_admin_pages(gateway):
    for path in ("/config", "/routes", "/endpoints", "/reload"):
        assert gateway.status(path)[0] in (404, 405)


def test_metrics_are_prometheus_text(gateway, caller):
    caller.unary()
    text = gateway.metrics()
    assert text.endswith("\n")
    families = {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in families, "each family once"
            families[name] = kind
        elif line and not line.startswith("#"):
            match = re.fullmatch(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_]\w*="(?:[^"\\]|\\.)*",?)*\})? (\S+)', line)
            assert match, line
            float(match[3])
            base = re.sub(r"_(bucket|sum|count)$", "", match[1])
            assert match[1] in families or base in families, f"{line} has no TYPE"
    assert "histogram" in families.values() and "counter" in families.values() and "gauge" in families.values()


def test_requests_are_counted_by_code_and_grpc_status(backend):
    with Gateway(objects.echo(backend)) as gateway, Caller(gateway.target) as caller:
        for _ in range(5):
            caller.unary()
        caller.status(metadata=[("x-fail", "5:gone")])
        waiting.until(lambda: gateway.metric(r"^portico_requests_total") == 6, 5, "six requests")
        assert gateway.metric(r'^portico_requests_total\{.*grpc_status="0"') == 5
        assert gateway.metric(r'^portico_requests_total\{.*grpc_status="5"') == 1
        assert gateway.metric(r'^portico_requests_total\{.*code="200"') == 6
        assert gateway.metric(r"^portico_request_duration_seconds_count") == 6


def test_requests_are_counted_under_the_stat_prefix_of_their_match(web):
    matches = [{"uri": {"prefix": "/a"}, "statPrefix": "orders"}, {"uri": {"prefix": "/b"}}]
    rules = [objects.rule("one", name="named", match=matches)]
    given = [
        objects.gateway(), objects.virtual_service(rules, name="rules"),
        *objects.served_by("one", web, port=80, protocol_name="http"),
    ]
    with Gateway(given) as gateway:
        for path in ("/a", "/a/b", "/b"):
            assert http1.get(gateway.port, path).status == 200
        waiting.until(lambda: gateway.metric(r"^portico_requests_total") == 3, 5, "three requests")
        assert gateway.metric(r'^portico_requests_total\{route="orders"') == 2
        assert gateway.metric(r'^portico_requests_total\{route="default/rules/named"') == 1


def test_the_first_load_is_counted(gateway):
    assert gateway.metric("^portico_reloads_total") >= 1
    assert gateway.metric("^portico_last_reload_timestamp_seconds") > 1e9


def test_connections_and_reloads_are_counted(backend):
    with Gateway(objects.echo(backend)) as gateway, http2.connect(gateway.port) as client:
        client.exchange(http2.grpc_headers(), http2.message())
        assert gateway.metric('^portico_connections{side="downstream"}') == 1
        before = gateway.metric("^portico_reloads_total")
        gateway.reload()
        assert gateway.metric("^portico_reloads_total") == before + 1


def test_configuration_problems_are_a_gauge(backend):
    bad = objects.virtual_service([objects.rule("echo")], "bad", hosts=["bad.test"])
    bad["spec"]["mach"] = []
    with Gateway([*objects.echo(backend), bad]) as gateway:
        assert gateway.metric("config.*problem|problem.*config") >= 1


def test_admin_pages(gateway):
    code, text = gateway.admin("/routes")
    assert code == 200 and "echo" in text
    code, text = gateway.admin("/endpoints")
    assert code == 200 and "127.0.0.1:" in text
    code, text = gateway.admin("/config")
    assert code == 200 and str(gateway.file) in text


def test_config_hides_private_keys(backend):
    pair = certificates.authority().issue("one.test")
    secret = objects.tls_secret("cert", pair)
    with Gateway([*objects.echo(backend), secret]) as gateway:
        for path in ("/config", "/routes", "/endpoints"):
            text = gateway.admin(path)[1]
            assert secret["data"]["tls.key"][:60] not in text
            assert "PRIVATE" not in text


ISTIO_LINE = (
    r'\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] "(?P<request>[^"]*)" (?P<code>\d+) (?P<flags>\S+) (?P<details>\S+) '
    r'(?P<termination>\S+) "(?P<transport>[^"]*)" (?P<received>\d+) (?P<sent>\d+) (?P<duration>\d+) (?P<service>\S+) '
    r'"(?P<forwarded>[^"]*)" "(?P<agent>[^"]*)" "(?P<id>[^"]*)" "(?P<authority>[^"]*)" "(?P<upstream>[^"]*)" '
    r'(?P<cluster>\S+) (?P<upstream_local>\S+) (?P<local>\S+) (?P<remote>\S+) (?P<sni>\S+) (?P<route>\S+)'
)


def line(gateway, containing):
    match = re.fullmatch(ISTIO_LINE, gateway.access_log(containing))
    assert match, gateway.access_log(containing)
    return match


def test_access_log_in_istios_text(web_gateway, web):
    with http1.connect(web_gateway.port) as client:
        client.send("POST /logged?x=1 HTTP/1.1\r\nHost: log.test\r\nuser-agent: me\r\ncontent-length: 3\r\n\r\nabc")
        body = client.response().body
    found = line(web_gateway, "/logged")
    assert found["request"] == "POST /logged?x=1 HTTP/1.1"
    assert (found["code"], found["flags"], found["received"], found["sent"]) == ("200", "-", "3", str(len(body)))
    assert (found["agent"], found["authority"], found["forwarded"]) == ("me", "log.test", "127.0.0.1")
    assert found["upstream"] == f"127.0.0.1:{web.port}"
    assert found["id"] == web.last.value("x-request-id")
    assert found["remote"].startswith("127.0.0.1:")


def test_access_log_names_the_local_addresses(web_gateway):
    http1.get(web_gateway.port, "/addresses")
    found = line(web_gateway, "/addresses")
    assert found["local"] == web_gateway.target
    assert found["upstream_local"].startswith("127.0.0.1:")


def test_access_log_of_http2_and_of_local_replies(gateway):
    with http2.connect(gateway.port) as client:
        client.exchange(http2.grpc_headers("/log.S/M"), http2.message())
    assert line(gateway, "/log.S/M")["request"] == "POST /log.S/M HTTP/2"
    missing = objects.echo()
    with Gateway(missing) as other, http2.connect(other.port) as client:
        client.exchange(http2.grpc_headers("/none.S/M"), http2.message())
        found = line(other, "/none.S/M")
        assert (found["flags"], found["upstream"]) == ("UH", "-")


def test_access_log_of_no_route():
    config = [objects.gateway(hosts=["a.test"])]
    with Gateway(config) as gateway:
        http1.get(gateway.port, "/nowhere")
        found = line(gateway, "/nowhere")
        assert (found["code"], found["flags"], found["details"]) == ("404", "NR", "route_not_found")


def test_access_log_cannot_be_forged(web_gateway):
    http1.send(web_gateway.port, 'GET /quote HTTP/1.1\r\nHost: a\r\nuser-agent: x" 200 \\ "y\xe9\r\n\r\n')
    entry = web_gateway.access_log("/quote")
    assert "\n" not in entry and entry.isprintable()


@pytest.fixture(scope="module")
def json_gateway(web):
    config = objects.echo(web, protocol="HTTP", protocol_name="http")
    with Gateway(config, arguments=["--log-format", "json"]) as made:
        yield made


def test_access_log_in_json(json_gateway, web):
    http1.get(json_gateway.port, "/json", "log.test")
    entry = json_gateway.access_log_json("/json")
    assert entry["method"] == "GET"
    assert entry["path"] == "/json"
    assert entry["protocol"] == "HTTP/1.1"
    assert entry["response_code"] == 200
    assert entry["authority"] == "log.test"
    assert entry["upstream_host"] == f"127.0.0.1:{web.port}"
    assert entry["user_agent"] is None
    assert isinstance(entry["duration"], int)


def test_json_lines_stay_json_whatever_clients_send(json_gateway):
    http1.send(json_gateway.port, 'GET /odd HTTP/1.1\r\nHost: a\r\nuser-agent: "\\\xe9\xff\t}\r\n\r\n')
    assert json_gateway.access_log_json("/odd")["path"] == "/odd"
    for entry in list(json_gateway.output):
        json.loads(entry)


def test_a_reader_that_stops_does_not_stop_the_workers(web):
    """Standard output into a pipe that nobody reads: requests go on."""
    port, status = waiting.free_port(), waiting.free_port()
    config = objects.text(objects.echo(web, protocol="HTTP", protocol_name="http"))
    process = subprocess.Popen(
        [str(BINARY), "serve", "--config", "-", "--listen-map", f"8000={port}", "--status", f"127.0.0.1:{status}",
         "--admin", f"127.0.0.1:{waiting.free_port()}", "--drain", "1s"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        process.stdin.write(config.encode())
        process.stdin.close()
        waiting.until(lambda: _is_up(status), 15, "readiness")
        command = ["h2load", "-n", "20000", "-c", "4", "-m", "8", "-t", "1", f"http://127.0.0.1:{port}/x"]
        output = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
        assert "20000 succeeded" in output, output
    finally:
        process.kill()
        process.wait(60)
        process.stdout.close()


def _is_up(port):
    try:
        return http1.get(port, "/healthz/ready").status == 200
    except (OSError, EOFError):
        return False
