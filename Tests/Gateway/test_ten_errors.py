"""Ten errors that everybody meets, each provoked: it says what, where, whose fault it is, and what to do next."""

import contextlib
import re
import socket
import ssl
import threading

import pytest

from peers import certificates, http1, http2, objects, waiting
from peers.gateway import ROOT, Gateway, run
from peers.listening import Listener

HOST = "shop.test"
TLS_PORT = 443


def silent(peer, _number):
    """Takes calls and answers none."""
    while True:
        peer.next_request(30)


def in_clear_text(connection, _number):
    """A server of HTTP that is spoken to in TLS."""
    connection.recv(4096)
    with contextlib.suppress(OSError):
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)


@pytest.fixture(scope="module")
def gateway(web):
    """A port in clear text and one of TLS, and a path for each way in which an endpoint fails."""
    gone = type("Gone", (), {"address": "127.0.0.1", "port": waiting.free_port()})
    with http2.ScriptedUpstream(silent) as quiet, Listener(in_clear_text) as clear, \
            http1.Upstream(lambda connection, request: connection.socket.recv(1)) as narrow:
        paths = [objects.rule(name, match=[{"uri": {"prefix": f"/{name}"}}]) for name in ("gone", "clear", "silent")]
        paths.append(objects.rule("narrow", match=[{"uri": {"prefix": "/narrow"}}], timeout="3s"))
        servers = [
            {"port": {"number": 8000, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]},
            {"port": {"number": TLS_PORT, "name": "https", "protocol": "HTTPS"}, "hosts": [HOST],
             "tls": {"mode": "SIMPLE", "credentialName": "cert"}}]
        config = [
            objects.gateway(servers=servers), objects.virtual_service([*paths, objects.rule("web")]),
            objects.tls_secret("cert", certificates.authority().issue(HOST)),
            *objects.served_by("gone", gone, protocol_name="http"),
            *objects.served_by("clear", clear, protocol_name="http"),
            objects.destination_rule("clear", name="clear", trafficPolicy={
                "tls": {"mode": "SIMPLE", "insecureSkipVerify": True}}),
            *objects.served_by("silent", quiet),
            *objects.served_by("narrow", narrow, protocol_name="http"),
            objects.destination_rule("narrow", name="narrow", trafficPolicy={"connectionPool": {
                "tcp": {"maxConnections": 1}, "http": {"http1MaxPendingRequests": 1}}}),
            *objects.served_by("web", web, protocol_name="http")]
        with Gateway(config, ports=[8000, TLS_PORT], arguments=["--log-format", "json"]) as made:
            made.gone, made.clear, made.quiet, made.narrow = (
                f"127.0.0.1:{each.port}" for each in (gone, clear, quiet, narrow))
            yield made


# What docs/operations.md says of a line of the access log

OPERATIONS = (ROOT / "docs/operations.md").read_text()


def advice(line):
    """The last cell of the page's row for the line's details, else for its flag: what to do next."""
    details = re.split(r"[{|]", line["response_code_details"])[0]
    words = [details, *reversed(line["response_flags"].split(","))]
    for word in words:
        row = re.search(rf"^\| [^|]*`{re.escape(word)}[`{{].*$", OPERATIONS, re.MULTILINE)
        if row and word != "-":
            return row[0].split("|")[-2].strip()
    raise AssertionError(f"docs/operations.md has no row for one of {words}")


def says(line, what, where, whose, level, then):
    """`where` maps fields of the line to their values; `then` stands in the advice."""
    assert what in line["explanation"], line
    assert {name: line[name] for name in where} == where
    assert (line["blame"], line["level"]) == (whose, level), line
    assert then in advice(line), advice(line)


def finding(tmp_path, *documents, text=None):
    """The only finding of `portico check`, and where its place has to be."""
    path = tmp_path / "objects.yaml"
    path.write_text(text or objects.text(documents))
    result = run("check", path)
    lines = [line for line in result.stdout.splitlines() if ": error: " in line]
    assert result.returncode == 1 and len(lines) == 1, result
    return path, lines[0]


EDGE = """apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 8000, name: http, protocol: HTTP}
    hosts: ["*"]
"""


def test_1_an_unknown_key(tmp_path):
    path, line = finding(tmp_path, text=EDGE.replace("selector:", "selektor:"))
    assert line.startswith(f"{path}:5:3: error: spec.selektor: ")                      # where; whose: the file's
    assert "unknown field `selektor`" in line and "did you mean `selector`?" in line   # what; what next


def test_2_a_wrong_type(tmp_path):
    path, line = finding(tmp_path, text=EDGE.replace("8000", "many"))
    assert line.startswith(f"{path}:7:20: error: spec.servers[0].port.number: ")
    assert "a number is wanted, not a text: this server is not opened" in line


def test_3_a_missing_certificate(tmp_path, web):
    server = {
        "port": {"number": 443, "name": "https", "protocol": "HTTPS"}, "hosts": [HOST],
        "tls": {"mode": "SIMPLE", "credentialName": "absent"}}
    config = [
        objects.gateway(servers=[server]), objects.virtual_service([objects.rule("web")], hosts=[HOST]),
        *objects.served_by("web", web, protocol_name="http")]
    path, line = finding(tmp_path, *config)
    place = next(number for number, each in enumerate(path.read_text().splitlines(), 1) if "credentialName" in each)
    assert line.startswith(f"{path}:{place}:") and "spec.servers[0].tls.credentialName: no Secret 'absent'" in line
    assert "handshakes for its hosts fail; load a Secret with tls.crt and tls.key" in line
    # What its clients meet leads the operator to the same finding.
    with Gateway(config, ports=[443], arguments=["--log-format", "json"]) as gateway:
        handshake_fails(gateway.port)
        says(gateway.access_log_json("filter_chain_not_found"), "no server of this port has the name",
             {"requested_server_name": HOST, "downstream_local_address": f"127.0.0.1:{gateway.port}"},
             "client", "info", "`portico check`")
        assert any("no Secret 'absent'" in each for each in list(gateway.errors))


def test_4_a_port_in_use(tmp_path):
    path = tmp_path / "objects.yaml"
    path.write_text(EDGE)
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = taken.getsockname()[1]
        own = [f"127.0.0.1:{waiting.free_port()}" for _ in range(2)]
        result = run("serve", "--config", path, "--listen-map", f"8000={port}", "--status", own[0], "--admin", own[1])
    assert result.returncode == 2
    assert f"port 8000: cannot listen on [::]:{port}: Address already in use" in result.stderr
    assert "stop the program that uses the port (`ss -ltnp` names it) or choose another port" in result.stderr


def test_5_an_upstream_that_refuses(gateway):
    assert http1.get(gateway.port, "/gone").status == 503
    says(gateway.access_log_json('"path":"/gone"'), f"endpoint {gateway.gone}: connection refused",
         {"upstream_host": gateway.gone, "upstream_cluster": "outbound|50051||gone.default.svc.cluster.local",
          "route_name": "default/routes/0"}, "upstream", "warning", "is the endpoint's port open to the gateway")


# A mismatch of TLS has three places


def handshake_fails(port):
    context = certificates.client_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), 60) as plain:
        name = plain.getsockname()
        with pytest.raises((ssl.SSLError, ConnectionError)):
            context.wrap_socket(plain, server_hostname=HOST)
    return f"{name[0]}:{name[1]}"


def test_6_clear_text_on_a_port_of_tls(gateway):
    port = gateway.map[TLS_PORT]
    with http1.connect(port) as client:
        address = "127.0.0.1:%d" % client.socket.getsockname()[1]
        client.send(f"GET / HTTP/1.1\r\nhost: {HOST}\r\n\r\n")
        assert b"call https:// instead of http://" in client.response().body
    says(gateway.access_log_json(address), "the client speaks clear-text HTTP to a TLS port; it should call https://",
         {"downstream_remote_address": address, "downstream_local_address": f"127.0.0.1:{port}"},
         "client", "info", "`plain_http`")
    heard_by_the_doctor(gateway, "clear_text_on_tls", port)


def test_6_tls_on_a_port_in_clear_text(gateway):
    address = handshake_fails(gateway.port)
    line = gateway.access_log_json(address)
    says(line, "The client speaks TLS, and this port is in clear text: call http://, or a port of TLS.",
         {"downstream_remote_address": address, "downstream_local_address": f"127.0.0.1:{gateway.port}"},
         "client", "info", "tell the client's owner")
    assert line["response_code_details"] == "http1.tls_on_clear_text"
    heard_by_the_doctor(gateway, "tls_on_clear_text", gateway.port)


def heard_by_the_doctor(gateway, name, port):
    page = gateway.admin("/doctor")[1]
    assert f"harmful {name}: " in page and f"listener  [::]:{port}\n" in page and "  change    all: " in page


def test_6_an_endpoint_that_speaks_no_tls(gateway):
    answer = http1.get(gateway.port, "/clear")
    assert answer.status == 503 and b"the endpoint does not speak TLS" in answer.body
    line = gateway.access_log_json('"path":"/clear"')
    says(line, f"the endpoint does not speak TLS: endpoint {gateway.clear}: ", {"upstream_host": gateway.clear},
         "upstream", "warning", "for TLS compare the DestinationRule")
    assert line["response_code_details"].endswith("|not_tls}")
    words = "let the DestinationRule's tls.mode be DISABLE, or choose a port that speaks TLS"

    def is_advised():   # a worker has one line a second about connections that fail, and may have had it for another
        http1.get(gateway.port, "/clear")
        return any(gateway.clear in each and words in each for each in list(gateway.errors))

    waiting.until(is_advised, 10, "advice")


def test_7_a_header_that_is_too_large(gateway):
    with http1.connect(gateway.port) as client:
        address = "127.0.0.1:%d" % client.socket.getsockname()[1]
        client.send("GET /large HTTP/1.1\r\nhost: a\r\nx: " + "a" * 70_000 + "\r\n\r\n")
        assert client.response().status == 431
    says(gateway.access_log_json(address), "60 KiB are allowed, 16 KiB of trailers, and no flag changes that",
         {"downstream_remote_address": address, "downstream_local_address": f"127.0.0.1:{gateway.port}"},
         "client", "info", "tell the client's owner")


def test_8_a_malformed_frame(gateway):
    with http2.connect(gateway.port) as client:
        client.wait(lambda: client.acknowledged, 5)
        client.raw(b"\x00\x00\x05\x08\x00\x00\x00\x00\x03" + bytes(5))
        client.wait_closed(5)
    says(gateway.access_log_json("http2.frame_size"), "(RFC 9113 §4.2): WINDOW_UPDATE of 5 octets on stream 3",
         {"downstream_local_address": f"127.0.0.1:{gateway.port}", "protocol": "HTTP/2"},
         "client", "info", "tell the client's owner")


def test_9_a_full_queue(gateway):
    def ask(name):
        thread = threading.Thread(target=lambda: http1.get(gateway.port, f"/narrow/{name}"))
        thread.start()
        return thread

    def active():
        return gateway.metric("portico_requests_active")

    before = active()
    threads = []
    for number, name in enumerate(("served", "waits"), 1):
        threads.append(ask(name))
        waiting.until(lambda wanted=before + number: active() == wanted, 5, f"the request that {name}")
    assert http1.get(gateway.port, "/narrow/full").status == 503
    for thread in threads:
        thread.join()
    says(gateway.access_log_json('"path":"/narrow/full"'), "http1MaxPendingRequests 1",
         {"upstream_cluster": "outbound|50051||narrow.default.svc.cluster.local", "route_name": "default/routes/3"},
         "gateway", "error", "`connectionPool`")
    assert gateway.metric(r'^portico_limit_reached_total\{limit="cluster_pending_requests"\}') == 1


def test_10_a_deadline_that_has_passed(gateway):
    with http2.connect(gateway.port) as client:
        stream = client.exchange(http2.grpc_headers(path="/silent/call", grpc_timeout="50m"), http2.message())
    assert stream.grpc_status == 4 and "the client's grpc-timeout" in stream.grpc_message
    says(gateway.access_log_json('"path":"/silent/call"'), f"endpoint {gateway.quiet} had the request",
         {"upstream_host": gateway.quiet, "route_name": "default/routes/2"},
         "upstream", "warning", "raise `timeout`, or the caller's deadline")
