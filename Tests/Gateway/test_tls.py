"""TLS at the edge: versions, ALPN, certificates chosen by SNI, redirects of nobody's traffic to the wrong host."""

import pathlib
import random
import socket
import ssl
import subprocess

import grpc
import pytest

from peers import certificates, http1, http2, objects
from peers.backend import Caller
from peers.gateway import Gateway

NAMES = {"one": ("one.test",), "two": ("two.test",), "wild": ("*.wild.test",)}


@pytest.fixture(scope="module")
def pairs():
    made = {name: certificates.authority().issue(*names) for name, names in NAMES.items()}
    made["one"] = certificates.authority().issue("one.test", algorithm="rsa")
    return made


def tls_config(pairs, backend, web):
    servers = [
        {"port": {"number": 443, "name": f"https-{name}", "protocol": "HTTPS"}, "hosts": [*hosts],
         "tls": {"mode": "SIMPLE", "credentialName": f"cert-{name}"}}
        for name, hosts in NAMES.items()
    ]
    return [
        objects.gateway(servers=servers),
        objects.virtual_service([
            objects.rule("web", match=[{"uri": {"prefix": "/web"}}]), objects.rule("echo")],
            hosts=["one.test", "two.test", "*.wild.test"]),
        *objects.served_by("echo", backend), *objects.served_by("web", web, port=80, protocol_name="http"),
        *[objects.tls_secret(f"cert-{name}", pair) for name, pair in pairs.items()],
    ]


@pytest.fixture(scope="module")
def secure(pairs, backend, web):
    with Gateway(tls_config(pairs, backend, web), ports=[443]) as gateway:
        yield gateway


def handshake(port, server_name, **named):
    """The connected socket; closes with the test's `with`."""
    context = certificates.client_context(**named)
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), 60), server_hostname=server_name)


def test_grpc_over_tls(secure):
    credentials = grpc.ssl_channel_credentials(certificates.authority().certificate)
    options = [("grpc.ssl_target_name_override", "one.test")]
    with Caller(secure.target, credentials, options) as caller:
        assert caller.unary(message=b"x" * 1_000_000)[0] == b"x" * 1_000_000
        assert len(list(caller.stream(metadata=[("x-count", "50")]))) == 50


@pytest.mark.parametrize("alpn, chosen", [
    (("h2",), "h2"), (("http/1.1",), "http/1.1"), (("http/1.1", "h2"), "h2"), (("h2", "http/1.1"), "h2"), ((), None),
])
def test_alpn(secure, alpn, chosen):
    with handshake(secure.port, "one.test", alpn=alpn) as connection:
        assert connection.selected_alpn_protocol() == chosen


def test_both_protocols_over_tls(secure):
    with http2.connect(secure.port, certificates.client_context(), "one.test") as client:
        stream = client.exchange(http2.grpc_headers(authority="one.test", scheme="https"), http2.message())
        assert stream.grpc_status == 0
    context = certificates.client_context(alpn=("http/1.1",))
    response = http1.get(secure.port, "/web", "one.test", context=context, server_name="one.test")
    assert response.status == 200


def test_x_forwarded_proto_is_https(secure, web):
    context = certificates.client_context(alpn=("http/1.1",))
    http1.get(secure.port, "/web", "one.test", context=context, server_name="one.test")
    assert web.last.value("x-forwarded-proto") == "https"


@pytest.mark.parametrize("server_name, name", [
    ("one.test", "one"), ("two.test", "two"), ("TWO.test", "two"), ("a.wild.test", "wild"),
])
def test_sni_chooses_the_certificate(secure, pairs, server_name, name):
    with handshake(secure.port, server_name) as connection:
        assert int(connection.getpeercert()["serialNumber"], 16) == pairs[name].serial


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions_served(secure, version):
    with handshake(secure.port, "one.test", minimum=version, maximum=version) as connection:
        assert connection.version() == {771: "TLSv1.2", 772: "TLSv1.3"}[version]


def test_tls_1_1_is_refused(secure):
    command = ["openssl", "s_client", "-connect", secure.target, "-servername", "one.test", "-tls1_1",
               "-cipher", "ALL:@SECLEVEL=0"]
    output = subprocess.run(command, input="", capture_output=True, text=True, timeout=120)
    assert "protocol version" in output.stderr + output.stdout or "New, (NONE)" in output.stdout


@pytest.mark.parametrize("server_name", ["unknown.test", "wild.test", None])
def test_an_unknown_name_gets_no_certificate(secure, server_name):
    context = certificates.client_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with pytest.raises((ssl.SSLError, ConnectionError)):
        with socket.create_connection(("127.0.0.1", secure.port), 60) as plain:
            context.wrap_socket(plain, server_hostname=server_name).close()


def test_plain_text_on_a_tls_port_is_closed(secure):
    with http1.connect(secure.port, seconds=5) as client:
        client.send("GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
        assert not client.rest().startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("authority", ["two.test", "TWO.test:443", "a.b.wild.test"])
def test_a_host_of_another_server_with_the_same_tls_rules_is_served(secure, authority):
    """SNI one.test and the authority of another server: clients reuse a connection whose certificate has both."""
    with http2.connect(secure.port, certificates.client_context(), "one.test") as client:
        assert client.exchange(http2.get_headers("/web", authority, scheme="https")).status == 200
        assert client.exchange(http2.get_headers("/web", "three.test", scheme="https")).status == 404


def test_a_host_of_another_server_with_other_tls_rules_is_misdirected(pairs, backend, web):
    """Its routes may count on TLS 1.3, and this connection need not have it."""
    config = tls_config(pairs, backend, web)
    config[0]["spec"]["servers"][1]["tls"]["minProtocolVersion"] = "TLSV1_3"
    with Gateway(config, ports=[443]) as gateway:
        with http2.connect(gateway.port, certificates.client_context(), "one.test") as client:
            assert client.exchange(http2.get_headers("/web", "two.test", scheme="https")).status == 421
            call = client.exchange(http2.grpc_headers(authority="two.test", scheme="https"), http2.message())
            assert (call.status, call.grpc_status) == (200, 2) and "another TLS connection" in call.grpc_message
            assert client.exchange(http2.get_headers("/web", "x.wild.test", scheme="https")).status == 200
            assert client.exchange(http2.get_headers("/web", "one.test", scheme="https")).status == 200
        with http2.connect(gateway.port, certificates.client_context(), "two.test") as client:
            assert client.exchange(http2.get_headers("/web", "two.test", scheme="https")).status == 200


def test_large_bodies_over_tls(secure):
    with http2.connect(secure.port, certificates.client_context(), "one.test") as client:
        headers = http2.grpc_headers("/test.Echo/Stream", "one.test", "https", x_count="20", x_size="1000000")
        stream = client.exchange(headers, http2.message(), 30)
        assert (stream.grpc_status, len(stream.data)) == (0, 20 * 1_000_005)


def test_a_silent_client_hello_does_not_disturb_others(secure):
    idle = [socket.create_connection(("127.0.0.1", secure.port)) for _ in range(20)]
    for connection in idle[::2]:
        connection.send(b"\x16\x03\x01\x02\x00\x01\x00")
    with handshake(secure.port, "one.test"):
        pass
    for connection in idle:
        connection.close()


def test_random_octets_never_end_the_gateway(secure):
    chooser = random.Random(20261121)
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", secure.port), 60) as connection:
            try:
                size = chooser.randrange(100)
                head = b"\x16\x03\x01" + size.to_bytes(2, "big") if chooser.random() < 0.7 else b""
                connection.sendall(head + chooser.randbytes(size))
            except OSError:
                pass
    with handshake(secure.port, "one.test"):
        pass


def test_a_certificate_from_files(tmp_path, backend):
    pair = certificates.authority().issue("file.test")
    (tmp_path / "tls.crt").write_bytes(pair.certificate)
    (tmp_path / "tls.key").write_bytes(pair.key)
    config = objects.echo(backend)
    config[0] = objects.gateway(port=443, protocol="HTTPS", hosts=["file.test"], tls={
        "mode": "SIMPLE", "serverCertificate": str(tmp_path / "tls.crt"), "privateKey": str(tmp_path / "tls.key")})
    with Gateway(config, ports=[443]) as gateway, handshake(gateway.port, "file.test") as connection:
        assert connection.selected_alpn_protocol() == "h2"


def test_a_broken_certificate_disables_its_own_host_only(pairs, backend, web):
    config = tls_config(pairs, backend, web)
    broken = certificates.Pair(pairs["two"].certificate, pairs["one"].key, None)  # a key that does not fit
    config = [each for each in config if each["metadata"]["name"] != "cert-two"]
    config.append(objects.tls_secret("cert-two", broken))
    with Gateway(config, ports=[443]) as gateway:
        with handshake(gateway.port, "one.test"):
            pass
        with pytest.raises((ssl.SSLError, ConnectionError)):
            handshake(gateway.port, "two.test").close()


def test_a_missing_secret_disables_its_own_host_only(pairs, backend, web):
    config = [each for each in tls_config(pairs, backend, web) if each["metadata"]["name"] != "cert-two"]
    with Gateway(config, ports=[443]) as gateway, handshake(gateway.port, "one.test"):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            handshake(gateway.port, "two.test").close()


def test_a_cipher_suite_that_openssl_cannot_do_is_left_out(pairs, backend, web):
    config = tls_config(pairs, backend, web)
    config[0]["spec"]["servers"][0]["tls"]["cipherSuites"] = [
        "DES-CBC3-SHA", "ECDHE-RSA-AES256-GCM-SHA384", "fake"]
    config[0]["spec"]["servers"][1]["tls"]["cipherSuites"] = ["DES-CBC3-SHA"]
    with Gateway(config, ports=[443]) as gateway:
        with handshake(gateway.port, "one.test", maximum=ssl.TLSVersion.TLSv1_2) as connection:
            assert connection.cipher()[0] == "ECDHE-RSA-AES256-GCM-SHA384"
        with pytest.raises((ssl.SSLError, ConnectionError)):
            handshake(gateway.port, "two.test").close()


@pytest.mark.parametrize("cipher, kind", [
    ("ECDHE-RSA-AES128-GCM-SHA256", "rsa"), ("ECDHE-ECDSA-AES128-GCM-SHA256", "ecdsa")])
def test_of_two_credentials_the_client_gets_the_one_that_it_can_check(backend, web, cipher, kind):
    made = {kind: certificates.authority().issue("two.test", algorithm=kind) for kind in ("rsa", "ecdsa")}
    config = tls_config({}, backend, web) + [objects.tls_secret(f"cert-{name}", pair) for name, pair in made.items()]
    config[0] = objects.gateway(port=443, protocol="HTTPS", hosts=["two.test"], tls={
        "mode": "SIMPLE", "credentialNames": ["cert-rsa", "cert-ecdsa"]})
    context = certificates.client_context(maximum=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers(cipher)
    with Gateway(config, ports=[443]) as gateway:
        with socket.create_connection(("127.0.0.1", gateway.port), 60) as plain:
            with context.wrap_socket(plain, server_hostname="two.test") as connection:
                assert int(connection.getpeercert()["serialNumber"], 16) == made[kind].serial


@pytest.mark.parametrize("groups, is_served", [("P-384", True), ("P-256:P-384", True), ("X25519", False)])
def test_key_exchanges_are_those_of_the_server(pairs, backend, web, groups, is_served):
    config = tls_config(pairs, backend, web)
    config[0]["spec"]["servers"][1]["tls"]["ecdhCurves"] = ["P-384"]
    with Gateway(config, ports=[443]) as gateway:
        for name, expected in (("two.test", is_served), ("one.test", True)):
            command = ["openssl", "s_client", "-connect", gateway.target, "-servername", name, "-groups", groups]
            output = subprocess.run(command, input="", capture_output=True, text=True, timeout=120).stdout
            assert ("New, TLSv1.3" in output) == expected
            if expected and name == "two.test":
                assert "Server Temp Key: ECDH, secp384r1, 384 bits" in output


@pytest.mark.parametrize("name, is_served", [
    ("default/cert-two", True), ("kubernetes://default/cert-two", True),
    ("kubernetes-gateway://default/cert-two", True), ("tenant/cert-two", False),
    ("kubernetes://tenant/cert-two", False), ("kubernetes-gateway://tenant/cert-two", False),
])
def test_the_key_of_another_namespace_is_not_served(pairs, backend, web, name, is_served):
    config = [*tls_config(pairs, backend, web), objects.tls_secret("cert-two", pairs["two"], namespace="tenant")]
    config[0]["spec"]["servers"][1]["tls"]["credentialName"] = name
    with Gateway(config, ports=[443]) as gateway, handshake(gateway.port, "one.test"):
        if is_served:
            handshake(gateway.port, "two.test").close()
        else:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                handshake(gateway.port, "two.test").close()


def test_sessions_resume(secure):
    context = certificates.client_context(alpn=("http/1.1",), maximum=ssl.TLSVersion.TLSv1_2)
    with context.wrap_socket(socket.create_connection(("127.0.0.1", secure.port)), server_hostname="one.test") as one:
        session = one.session
    with context.wrap_socket(
            socket.create_connection(("127.0.0.1", secure.port)), server_hostname="one.test", session=session) as two:
        assert two.session_reused


def test_h2load_over_tls(secure):
    command = ["h2load", "-n", "2000", "-c", "8", "-m", "8", "--connect-to", secure.target, "-H", "content-length: 0",
               "-H", "te: trailers", f"https://one.test:{secure.port}/web"]
    output = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    assert "2000 succeeded, 0 failed, 0 errored" in output


@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
def test_the_development_certificates_are_served(tmp_path, backend, kind):
    """certs/make-development-certificates, by the Secret that it prints."""
    script = pathlib.Path(__file__).resolve().parents[2] / "certs/make-development-certificates"
    done = subprocess.run(
        [str(script), str(tmp_path), "--secret", "cert", "--type", kind], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    config = objects.echo(backend)
    config[0] = objects.gateway(
        port=443, protocol="HTTPS", hosts=["*"], tls={"mode": "SIMPLE", "credentialName": "cert"})
    (tmp_path / "objects.yaml").write_text(objects.text(config))
    (tmp_path / "secret.yaml").write_text(done.stdout)
    with Gateway([tmp_path / "objects.yaml", tmp_path / "secret.yaml"], ports=[443]) as gateway:
        context = ssl.create_default_context(cafile=tmp_path / "ca.pem")
        with socket.create_connection(("127.0.0.1", gateway.port), 60) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as connection:
                assert connection.version() == "TLSv1.3"
