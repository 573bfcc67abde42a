"""`portico doctor`: what the gateway's listeners tell of a load balancer in front whose settings do not fit."""

import contextlib
import json
import socket
import ssl
import struct
import subprocess

import grpc
import pytest

from peers import certificates, http1, http2, objects, waiting
from peers.clients import Caller
from peers.gateway import Gateway, run
from peers.listening import Listener
from peers.proxy_protocol import dial, v1, v2
from test_behind_haproxy import HAPROXY

BODY = http2.message()


def post(te="", version="1.1"):
    fields = f"content-type: application/grpc\r\ncontent-length: {len(BODY)}\r\n{te}"
    return f"POST /test.Echo/Unary HTTP/{version}\r\nhost: a\r\n{fields}\r\n".encode() + BODY


def findings(gateway):
    return {entry["finding"]: entry for entry in json.loads(gateway.admin("/doctor?format=json")[1])}


def found(gateway, name):
    """Waits for a finding; that it harms requests, metrics and the command have to say too."""
    waiting.until(lambda: name in findings(gateway), 10, name)
    entry = findings(gateway)[name]
    assert entry["listener"].endswith(f":{gateway.port}") and entry["count"] >= 1
    assert entry["first"] <= entry["last"] and entry["peer"].startswith("127.0.0.1:")
    assert entry["seen"] and entry["means"] and entry["change"]
    assert gateway.metric(rf'^portico_front_findings_total\{{listener="[^"]*",finding="{name}"\}}') == entry["count"]
    done = run("doctor", "--admin", f"127.0.0.1:{gateway.admin_port}")
    assert done.returncode == entry["harmful"] and entry["seen"] in done.stdout and entry["means"] in done.stdout
    return entry


@pytest.fixture
def clear(web):
    with Gateway(objects.echo(web, protocol="HTTP", protocol_name="http")) as made:
        yield made


@pytest.fixture
def secure(web):
    pair = certificates.authority().issue("shop.test")
    config = [*objects.echo(web, protocol="HTTP", protocol_name="http"), objects.tls_secret("cert", pair)]
    config[0] = objects.gateway(protocol="HTTPS", tls={"mode": "SIMPLE", "credentialName": "cert"})
    with Gateway(config) as made:
        made.pair = pair
        yield made


def test_a_gateway_without_findings_is_well(clear):
    assert http1.get(clear.port).status == 200
    done = run("doctor", "--admin", f"127.0.0.1:{clear.admin_port}", "--output", "json")
    assert done.returncode == 0 and json.loads(done.stdout) == []
    done = run("doctor", environment={"PORTICO_ADMIN": f"127.0.0.1:{clear.admin_port}"})
    assert done.returncode == 0 and done.stdout.startswith("nothing is wrong in front of the gateway")


def test_a_gateway_that_cannot_be_asked_is_an_error(clear):
    for address in (f"127.0.0.1:{waiting.free_port()}", f"127.0.0.1:{clear.port}"):
        done = run("doctor", "--admin", address)
        assert done.returncode == 2 and not done.stdout
        assert "cannot" in done.stderr or "no admin interface" in done.stderr


def test_an_answer_without_an_end_is_not_read_to_the_end():
    sent = []

    def endless(connection, _number):
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with contextlib.suppress(OSError):
            while True:
                sent.append(connection.send(bytes(65_536)))

    with Listener(endless) as server:
        done = run("doctor", "--admin", f"127.0.0.1:{server.port}", seconds=60)
    assert done.returncode == 2 and "is no admin interface" in done.stderr
    assert 16 << 20 <= sum(sent) < 32 << 20     # the kernel's buffers have what nobody has read


@pytest.mark.parametrize("te, version", [("", "1.1"), ("te: trailers\r\n", "1.0")])
def test_a_grpc_call_over_http1_is_refused_with_the_reason(gateway, te, version):
    """gRPC clients behind a balancer that translates back see the status, because it is in the header section."""
    answer = http1.send(gateway.port, post(te, version))
    assert answer.status == 200 and answer.value("grpc-status") == "13" and not answer.body
    assert "the load balancer in front speaks HTTP/1.1" in answer.value("grpc-message")
    assert "use a TCP listener" in answer.value("grpc-message")
    assert "grpc_over_http1" in gateway.access_log("/test.Echo/Unary")
    waiting.until(lambda: "`portico doctor`" in gateway.said, 5, "the message")
    found(gateway, "grpc_over_http1")


def test_a_grpc_call_over_http1_that_can_be_answered_is_served(gateway):
    before = findings(gateway).get("grpc_over_http1", {"count": 0})["count"]
    answer = http1.send(gateway.port, post("te: trailers\r\n"))
    assert ("grpc-status", "0") in answer.trailers
    waiting.until(lambda: found(gateway, "grpc_over_http1")["count"] == before + 1, 5, "the finding")


CONFIGURATION = """
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend edge
    bind 127.0.0.1:{listen} proto h2
    http-request del-header te
    default_backend gateway
backend gateway
    server one 127.0.0.1:{port} {send}
"""


@pytest.mark.skipif(not HAPROXY, reason="HAProxy is not installed (Tests/tools/install bench)")
def test_a_balancer_that_downgrades_grpc_is_named_to_the_caller(gateway, tmp_path):
    """A real HAProxy in HTTP mode, and a real gRPC client in front of it."""
    listen = waiting.free_port()
    file = tmp_path / "haproxy.cfg"
    file.write_text(CONFIGURATION.format(listen=listen, port=gateway.port, send=""))
    with subprocess.Popen([HAPROXY, "-db", "-f", str(file)], stderr=subprocess.DEVNULL) as process:
        try:
            waiting.until(lambda: socket.socket().connect_ex(("127.0.0.1", listen)) == 0, 10, "HAProxy")
            with Caller(f"127.0.0.1:{listen}") as caller:
                with pytest.raises(grpc.RpcError) as caught:
                    caller.unary()
            assert caught.value.code() == grpc.StatusCode.INTERNAL
            assert "use a TCP listener" in caught.value.details()
        finally:
            process.terminate()


def test_tls_on_a_clear_text_port_is_named(clear):
    context = ssl.create_default_context()
    with socket.create_connection(("127.0.0.1", clear.port), 60) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain, server_hostname="shop.test")
    assert "http1.tls_on_clear_text" in clear.access_log("http1.tls_on_clear_text")
    answer = http1.send(clear.port, b"\x16\x03\x01\x02\x00\x01")
    assert answer.status == 400 and b"The client speaks TLS, and this port is in clear text" in answer.body
    assert found(clear, "tls_on_clear_text")["harmful"]


def test_octets_of_tls_behind_a_request_are_only_malformed(clear):
    with http1.connect(clear.port) as client:
        client.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n\x16\x03\x01")
        assert client.response().status == 200
        assert b"not valid HTTP" in client.response().body
    assert "tls_on_clear_text" not in findings(clear)


def test_clear_text_on_a_tls_port_is_named(secure):
    answer = http1.get(secure.port)
    assert answer.status == 400 and b"speaks TLS" in answer.body
    found(secure, "clear_text_on_tls")


@pytest.mark.parametrize("header", [v1(), v2(), b"PROXY UNKNOWN\r\n"], ids=["v1", "v2", "unknown"])
@pytest.mark.parametrize("rest", [b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", b"", b"\x16\x03\x01\x00"])
def test_a_proxy_header_that_nobody_expects_is_named(clear, header, rest):
    answer = http1.send(clear.port, header + rest)
    assert answer.status == 400 and b"header of the PROXY protocol" in answer.body
    found(clear, "proxy_header_unexpected")


@pytest.mark.parametrize("header", [v1(), v2()], ids=["v1", "v2"])
def test_a_proxy_header_that_a_tls_port_does_not_expect_is_named(secure, header):
    with http1.Connection(dial(secure.port, header + b"\x16\x03\x01\x00")) as client:
        assert client.rest() == b""
    found(secure, "proxy_header_unexpected")


def test_a_method_that_begins_like_a_proxy_header_is_a_method(clear):
    assert http1.send(clear.port, "PROXYING / HTTP/1.1\r\nhost: a\r\n\r\n").status == 200
    assert http1.send(clear.port, "PROXY / HTTP/1.1\r\nhost: a\r\n\r\n").status == 200
    assert "proxy_header_unexpected" not in findings(clear)


def test_proxy_headers_that_are_missing_or_untrusted_are_named(web):
    config = objects.echo(web, protocol="HTTP", protocol_name="http")
    with Gateway(config, arguments=["--proxy-protocol", "require"]) as gateway:
        with http1.connect(gateway.port) as client:
            client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            assert client.rest() == b""
        found(gateway, "proxy_header_missing")
    arguments = ["--proxy-protocol", "require", "--proxy-protocol-from", "127.9.9.9"]
    with Gateway(config, arguments=arguments) as gateway:
        with http1.Connection(dial(gateway.port, v1())) as client:
            assert client.rest() == b""
        found(gateway, "proxy_header_untrusted")


def test_clients_of_tls_without_alpn_are_noted(secure):
    context = ssl.create_default_context(cadata=secure.pair.issuer.certificate.decode())
    assert http1.get(secure.port, context=context, server_name="shop.test", host="shop.test").status == 200
    assert not found(secure, "without_alpn")["harmful"]
    context.set_alpn_protocols(["http/1.1"])
    assert http1.get(secure.port, context=context, server_name="shop.test", host="shop.test").status == 200
    assert findings(secure)["without_alpn"]["count"] == 1


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_an_idle_connection_that_is_reset_is_noted(clear):
    client = http1.connect(clear.port)
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    assert client.response().status == 200
    reset(client.socket)
    assert not found(clear, "idle_reset")["harmful"]


def test_checks_by_a_connection_alone_are_noted(clear):
    for _ in range(3):
        socket.create_connection(("127.0.0.1", clear.port), 60).close()
    waiting.until(lambda: found(clear, "bare_check")["count"] == 3, 10, "three checks")


def test_checks_by_a_connection_alone_where_a_header_is_required_are_noted(web):
    config = objects.echo(web, protocol="HTTP", protocol_name="http")
    with Gateway(config, arguments=["--proxy-protocol", "require"]) as gateway:
        socket.create_connection(("127.0.0.1", gateway.port), 60).close()
        found(gateway, "bare_check")


@pytest.mark.parametrize("head", [
    "GET /healthz HTTP/1.1\r\nhost: 10.0.0.1\r\nuser-agent: ELB-HealthChecker/2.0\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nhost: 10.0.0.1\r\nuser-agent: kube-probe/1.30 \x9b31m\r\n\r\n"])
def test_health_checks_that_no_route_serves_are_named(web, head):
    config = objects.echo(web, protocol="HTTP", protocol_name="http")
    for entry in config:
        if entry["kind"] == "VirtualService":
            entry["spec"]["hosts"] = ["shop.test"]
    with Gateway(config) as gateway:
        assert http1.send(gateway.port, head.encode("latin-1")).status == 404
        assert found(gateway, "stray_check")["detail"].startswith(("ELB-HealthChecker/2.0", "kube-probe/1.30"))
        assert "\x9b" not in run("doctor", "--admin", f"127.0.0.1:{gateway.admin_port}").stdout


def test_what_strangers_send_neither_harms_nor_grows_the_page(clear):
    """Many connections of every kind come to a page of a few entries, and the gateway serves as before."""
    kinds = [b"\x16" * 64, v1() * 3, v2(), b"\r\n\r\n\0", b"PROXY TCP4 ", b"P", b"\r\n", b"\x16"]
    for number in range(2000):
        with socket.create_connection(("127.0.0.1", clear.port), 60) as client:
            client.sendall(kinds[number % len(kinds)])
            reset(client) if number % 3 == 0 else None
    assert http1.get(clear.port).status == 200
    assert len(findings(clear)) <= 12 and len(clear.admin("/doctor")[1]) < 64_000
