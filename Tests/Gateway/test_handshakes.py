"""Handshakes and connections that come to nothing: closed at once, few at a time, each with a line and a reason."""

import re
import resource
import socket
import ssl
import time

import pytest

from peers import certificates, http1, objects, waiting
from peers.gateway import Gateway, Peak
from peers.refusals import counted, failures

MEBI = 1 << 20


@pytest.fixture(scope="module")
def secure(backend):
    """TLS 1.3 only, for one name."""
    pair = certificates.authority().issue("shop.test")
    server = {
        "port": {"number": 443, "name": "https", "protocol": "HTTPS"}, "hosts": ["shop.test"],
        "tls": {"mode": "SIMPLE", "credentialName": "cert", "minProtocolVersion": "TLSV1_3"}}
    config = [
        objects.gateway(servers=[server]), objects.virtual_service([objects.rule("echo")], hosts=["shop.test"]),
        *objects.served_by("echo", backend), objects.tls_secret("cert", pair)]
    with Gateway(config, ports=[443]) as gateway:
        yield gateway


def insecure_context(**named):
    context = certificates.client_context(**named)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def attempt(gateway, server_name, context):
    """A handshake that is meant to fail; returns the client's own port."""
    plain = socket.create_connection(("127.0.0.1", gateway.port), 60)
    port = plain.getsockname()[1]
    try:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            context.wrap_socket(plain, server_hostname=server_name).read()
    finally:
        plain.close()
    return port


# Handshakes


@pytest.mark.parametrize("server_name", ["x.org", None])
def test_a_server_name_that_nobody_serves_leaves_a_line_and_its_counter(secure, server_name):
    reason = "unknown_server_name" if server_name else "no_server_name"
    before = failures(secure, reason)
    port = attempt(secure, server_name, insecure_context())
    line = secure.access_log(f"127.0.0.1:{port} ")
    assert ' "- - -" 0 NR filter_chain_not_found ' in line
    assert line.endswith(f" 127.0.0.1:{port} {server_name or '-'} -")
    counted(secure, reason, before)


def test_too_old_a_version_leaves_a_line_with_the_reason(secure):
    before = failures(secure, "protocol_version")
    port = attempt(secure, "shop.test", insecure_context(maximum=ssl.TLSVersion.TLSv1_2))
    line = secure.access_log(f"127.0.0.1:{port} ")
    assert " 0 DPE tls_handshake_failed{protocol_version|unsupported_protocol} " in line and " shop.test " in line
    counted(secure, "protocol_version", before)


def test_a_client_that_does_not_trust_the_certificate_is_told_apart(secure):
    before = failures(secure, "certificate")
    port = attempt(secure, "shop.test", ssl.create_default_context())
    assert "tls_handshake_failed{certificate|" in secure.access_log(f"127.0.0.1:{port} ")
    counted(secure, "certificate", before)


@pytest.mark.parametrize("octets", [b"GET / HTTP/1.1\r\nhost: shop.test\r\n\r\n", b"DELETE /x HTTP/1.1\r\n\r\n", b"P"])
def test_plain_http_on_a_port_of_tls_is_told_so(secure, octets):
    before = failures(secure, "plain_http")
    with http1.connect(secure.port, seconds=5) as client:
        port = client.socket.getsockname()[1]
        client.send(octets.decode())
        response = client.response()
        assert response.status == 400 and b"This port speaks TLS" in response.body
        assert response.value("date")
        assert client.rest() == b""
    assert ' "- - -" 400 DPE tls_handshake_failed{plain_http} ' in secure.access_log(f"127.0.0.1:{port} ")
    counted(secure, "plain_http", before)


def test_octets_that_are_neither_tls_nor_http_leave_a_line(secure):
    before = failures(secure, "not_tls")
    with socket.create_connection(("127.0.0.1", secure.port), 60) as client:
        port = client.getsockname()[1]
        client.sendall(b"\x05\x01\x00 and more")
        while client.recv(100):
            pass
    assert "tls_handshake_failed{not_tls|" in secure.access_log(f"127.0.0.1:{port} ")
    counted(secure, "not_tls", before)


HELLO = b"\x16\x03\x01\x02\x00\x01\x00"


@pytest.mark.parametrize("octets", [HELLO[:1], HELLO[:6], HELLO + bytes(300)])
def test_the_beginning_of_a_hello_and_the_end_in_one_event_close_at_once(secure, octets):
    """Nobody waits for a timer: the line says closed, not timed out."""
    before = failures(secure, "closed")
    secure.signal(19)       # both must be there when the gateway looks
    with socket.create_connection(("127.0.0.1", secure.port), 60) as client:
        port = client.getsockname()[1]
        client.sendall(octets)
        client.shutdown(socket.SHUT_WR)
        waiting.delivered(client)
        secure.signal(18)
        assert client.recv(100) == b""
    assert "tls_handshake_failed{closed}" in secure.access_log(f"127.0.0.1:{port} ")
    counted(secure, "closed", before)


def test_a_part_of_a_record_and_the_end_in_one_event_close_at_once(secure):
    """The same when the handshake is long over."""
    context = certificates.client_context()
    plain = socket.create_connection(("127.0.0.1", secure.port), 60)
    client = context.wrap_socket(plain, server_hostname="shop.test", suppress_ragged_eofs=True)
    open_connections = r'^portico_connections\{side="downstream"\}'
    waiting.until(lambda: secure.metric(open_connections) == 1, 5, "an open connection")
    secure.signal(19)
    raw = socket.socket(fileno=client.detach())
    raw.sendall(b"\x17\x03\x03\x00\x40" + bytes(10))
    raw.shutdown(socket.SHUT_WR)
    waiting.delivered(raw)
    secure.signal(18)
    waiting.until(lambda: secure.metric(open_connections) == 0, 5, "the end of the connection")
    raw.close()


def test_a_broken_record_leaves_a_line(secure):
    pattern = r'^portico_connections_refused_total\{reason="tls_stream_broken"\}'
    before = secure.metric(pattern)
    plain = socket.create_connection(("127.0.0.1", secure.port), 60)
    port = plain.getsockname()[1]
    client = certificates.client_context().wrap_socket(plain, server_hostname="shop.test")
    with socket.socket(fileno=client.detach()) as raw:
        raw.settimeout(60)
        raw.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
        assert "tls_stream_broken{" in secure.access_log(f"127.0.0.1:{port} ")
    assert secure.metric(pattern) == before + 1


def test_connections_that_cannot_be_accepted_leave_a_line_with_the_reason(gateway):
    before = gateway.metric("^portico_accept_failures_total")
    limits = resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE)
    # Only numbers below the limit may be given out, and all of them are in use.
    resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, (1, limits[1]))
    try:
        with socket.create_connection(("127.0.0.1", gateway.port), 60):
            assert "accept_failed{" in gateway.access_log(' "- - -" 0 - accept_failed')
    finally:
        resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, limits)
    assert gateway.metric("^portico_accept_failures_total") > before


def test_a_preface_that_is_not_completed_leaves_a_line(backend):
    with Gateway(objects.echo(backend), arguments=["--handshake-timeout", "200ms"]) as gateway:
        with socket.create_connection(("127.0.0.1", gateway.port), 60) as client:
            client.sendall(b"PRI * HT")
            port = client.getsockname()[1]
            assert client.recv(10) == b""
        assert " preface_timeout " in gateway.access_log(f"127.0.0.1:{port} ")


def test_a_silent_connection_is_no_handshake(secure):
    """Load balancers connect and leave to see whether the port is open."""
    before = secure.metric("^portico_tls_handshake_failures_total")
    for _ in range(5):
        socket.create_connection(("127.0.0.1", secure.port), 60).close()
    waiting.until(lambda: secure.metric(r'^portico_connections\{side="downstream"\}') == 0, 5)
    assert secure.metric("^portico_tls_handshake_failures_total") == before


def test_thousands_of_beginnings_leave_neither_descriptors_nor_lines_without_end(secure):
    files, before, lines = secure.open_files(), failures(secure, "closed"), len(secure.output)
    with Peak(secure) as peak:
        start = secure.memory_octets()
        for _ in range(2000):
            with socket.create_connection(("127.0.0.1", secure.port), 60) as client:
                client.sendall(HELLO[:6])
        waiting.until(lambda: failures(secure, "closed") == before + 2000, 10, "the end of them all")
    waiting.until(lambda: secure.open_files() <= files + 3, 5, "closed descriptors")
    assert peak.octets - start < 16 * MEBI
    assert len(secure.output) - lines < 600
    said = r"refused within a second and not logged one by one: closed \d+"
    waiting.until(lambda: any(re.search(said, line) for line in secure.errors), 5, "a sum of those not logged")


def test_too_many_handshakes_end_the_oldest(secure, many_files):
    """One worker remembers 1,000 at a time."""
    begun = time.monotonic()
    before, start = failures(secure, "too_many"), secure.memory_octets()
    clients = []
    try:
        for _ in range(1100):
            clients.append(socket.create_connection(("127.0.0.1", secure.port), 60))
            clients[-1].sendall(HELLO)
        if time.monotonic() - begun > 3:
            pytest.skip("too slow a machine: the first are as good as timed out")
        waiting.until(lambda: failures(secure, "too_many") == before + 100, 4, "the end of the first hundred")
        clients[0].settimeout(60)
        assert clients[0].recv(10) == b""
        context = certificates.client_context()
        with context.wrap_socket(
                socket.create_connection(("127.0.0.1", secure.port)), server_hostname="shop.test") as good:
            assert good.selected_alpn_protocol() == "h2"
        # A hello that does not go on is not waited for as long as a handshake.
        waiting.until(lambda: failures(secure, "timed_out") >= 999, 12, "the end of the others")
        waiting.until(lambda: secure.memory_octets() - start < 24 * MEBI, 15, "their memory to be given back")
    finally:
        for client in clients:
            client.close()
