"""TLS to the endpoints: whose certificate is believed, what is shown and sent, and what follows from a failure."""

import base64
import pathlib
import shutil
import subprocess

import grpc
import pytest
from cryptography import x509

from peers import certificates, http1, http2, objects, secure, waiting
from peers.backend import Backend
from peers.gateway import Gateway, run
from peers.listening import Listener

HOST = "shop.test"


@pytest.fixture(scope="module")
def authority():
    return certificates.authority()


@pytest.fixture
def ca(tmp_path, authority):
    return secure.put(tmp_path, "ca.pem", authority.certificate)


def config(*upstreams, name="http", tls=None, more=()):
    rule = [objects.destination_rule("echo", trafficPolicy={"tls": tls})] if tls else []
    return [
        objects.gateway(protocol="HTTP"), objects.virtual_service([objects.rule("echo")]),
        *objects.served_by("echo", *upstreams, protocol_name=name), *rule, *more]


def simple(ca, **more):
    return {"mode": "SIMPLE", "caCertificates": ca, **more}


def secret(name, **data):
    return {
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
        "data": {key: base64.b64encode(value).decode() for key, value in data.items()}}


def get(gateway, host=HOST):
    return http1.get(gateway.port, "/", host)


def test_the_host_of_the_request_is_sent_and_compared(tmp_path, ca):
    context = secure.server_context(tmp_path, secure.issue([HOST, "*.wild.test"]))
    with secure.Upstream(context) as upstream, Gateway(config(upstream, tls=simple(ca))) as gateway:
        assert get(gateway).status == 200
        assert get(gateway, "SHOP.test:8443").status == 200
        assert get(gateway, "a.wild.test").status == 200
        assert upstream.names == [HOST, "a.wild.test"] and upstream.connections == 2 * 2  # plain and secure sockets
        answer = get(gateway, "other.test")
        assert answer.status == 503 and b"none of the names that are accepted" in answer.body
        line = gateway.access_log("other.test")
        assert "UF upstream_reset_before_response_started{remote_connection_failure|wrong_name} " in line
        assert "it_has_shop.test,_*.wild.test,_and_not_other.test" in line.replace(" ", "_")
        words = "the TLS handshake failed: the peer's certificate has none of the names"
        advice = "give subjectAltNames a name that the certificate has"
        waiting.until(
            lambda: any(words in each and advice in each for each in list(gateway.errors)), 10, "a line about it")
        assert gateway.metric('portico_upstream_connect_failures_total{reason="tls_handshake"}') == 3


@pytest.mark.parametrize("fault", ["authority", "expired", "future", "name", "revoked"])
def test_a_certificate_that_fails_a_check_fails_the_connection(tmp_path, ca, authority, fault):
    stranger = certificates.Authority("stranger")
    pair = {
        "authority": lambda: secure.issue([HOST], authority=stranger),
        "expired": lambda: secure.issue([HOST], days=(-20, -1)),
        "future": lambda: secure.issue([HOST], days=(5, 30)),
        "name": lambda: secure.issue(["else.test"]),
        "revoked": lambda: secure.issue([HOST]),
    }[fault]()
    tls = simple(ca)
    if fault == "revoked":
        tls["caCrl"] = secure.put(tmp_path, "list.pem", secure.revoking(authority, pair))
    wanted = {
        "authority": "unknown_authority", "expired": "certificate_not_valid_now", "future": "certificate_not_valid_now",
        "name": "wrong_name", "revoked": "certificate_revoked"}[fault]
    with secure.Upstream(secure.server_context(tmp_path, pair)) as upstream:
        with Gateway(config(upstream, tls=tls)) as gateway:
            assert get(gateway).status == 503
            assert f"{{remote_connection_failure|{wanted}}}" in gateway.access_log("UF upstream_reset")
            assert upstream.requests == []
            with http2.connect(gateway.port) as client:
                stream = client.exchange(http2.grpc_headers(authority=HOST), http2.message(), 10)
            assert stream.grpc_status == 14
            assert "the TLS handshake failed: the peer's certificate" in stream.grpc_message


def test_another_endpoint_is_tried(tmp_path, ca):
    bad = secure.Upstream(secure.server_context(tmp_path, secure.issue(["else.test"])))
    good = secure.Upstream(secure.server_context(tmp_path, secure.issue([HOST])))
    with bad, good, Gateway(config(bad, good, tls=simple(ca))) as gateway:
        assert [get(gateway).status for _ in range(10)] == [200] * 10


def test_names_and_server_name_of_the_rule(tmp_path, ca):
    context = secure.server_context(tmp_path, secure.issue(["real.test"], ["spiffe://td/ns/a/sa/b"]))
    account = "spiffe://td/ns/a/sa/b"
    for names, status in ((["real.test"], 200), (["x.test", account], 200), (["spiffe://td/ns/a"], 503)):
        with secure.Upstream(context) as upstream:
            tls = simple(ca, sni="sent.test", subjectAltNames=names)
            with Gateway(config(upstream, tls=tls)) as gateway:
                assert get(gateway).status == status
                assert upstream.names[0] == "sent.test"


def test_names_of_a_service_entry(tmp_path, ca):
    context = secure.server_context(tmp_path, secure.issue([HOST, "real.test"]))
    with secure.Upstream(context) as upstream:
        for names, status in ((["real.test"], 200), (["x.test"], 503)):
            entry = {
                "apiVersion": objects.NETWORKING, "kind": "ServiceEntry", "metadata": {"name": "ext"},
                "spec": {
                    "hosts": ["ext.test"], "ports": [{"number": 443, "name": "https", "protocol": "HTTPS"}],
                    "resolution": "STATIC", "subjectAltNames": names,
                    "endpoints": [{"address": upstream.address, "ports": {"https": upstream.port}}]}}
            given = [
                objects.gateway(protocol="HTTP"), objects.virtual_service([objects.rule("ext.test")]), entry,
                objects.destination_rule("ext.test", trafficPolicy={"tls": simple(ca)})]
            with Gateway(given) as gateway:
                assert get(gateway).status == status


def test_nothing_is_verified_where_the_rule_says_so(tmp_path):
    context = secure.server_context(tmp_path, secure.issue(["else.test"], authority=certificates.Authority("x")))
    tls = {"mode": "SIMPLE", "insecureSkipVerify": True}
    with secure.Upstream(context) as upstream, Gateway(config(upstream, tls=tls)) as gateway:
        assert get(gateway).status == 200 and upstream.names == [HOST]


def test_without_an_authority_the_systems_are_asked(tmp_path):
    context = secure.server_context(tmp_path, secure.issue([HOST]))
    with secure.Upstream(context) as upstream, Gateway(config(upstream, tls={"mode": "SIMPLE"})) as gateway:
        assert get(gateway).status == 503
        assert "{remote_connection_failure|unknown_authority}" in gateway.access_log("UF upstream_reset")


@pytest.mark.parametrize("source", ["files", "secret", "two secrets", "old keys"])
def test_a_client_certificate_is_shown(tmp_path, ca, authority, source):
    mine = secure.issue(["gateway.test"])
    parts = {"tls.crt": mine.certificate, "tls.key": mine.key}
    more, tls = [], {"mode": "MUTUAL", "credentialName": "c"}
    if source == "files":
        tls = {
            "mode": "MUTUAL", "caCertificates": ca,
            "clientCertificate": secure.put(tmp_path, "c.pem", mine.certificate),
            "privateKey": secure.put(tmp_path, "c.key", mine.key)}
    elif source == "secret":
        more = [secret("c", **parts, **{"ca.crt": authority.certificate})]
    elif source == "two secrets":
        more = [secret("c", **parts), secret("c-cacert", **{"ca.crt": authority.certificate})]
    else:
        more = [secret("c", cert=mine.certificate, key=mine.key, cacert=authority.certificate)]
    context = secure.server_context(tmp_path, secure.issue([HOST]), clients=authority)
    with secure.Upstream(context) as upstream, Gateway(config(upstream, tls=tls, more=more)) as gateway:
        assert get(gateway).status == 200
        assert x509.load_der_x509_certificate(upstream.shown[0]).serial_number == mine.serial


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
@pytest.mark.parametrize("shown", ["nothing", "a stranger's"])
def test_a_server_that_refuses_our_certificate_fails_the_connection(tmp_path, ca, authority, shown, version):
    import ssl

    tls, wanted = simple(ca), "certificate_required"
    if shown != "nothing":
        mine = secure.issue(["x"], authority=certificates.Authority("stranger"))
        tls |= {
            "mode": "MUTUAL", "clientCertificate": secure.put(tmp_path, "c.pem", mine.certificate),
            "privateKey": secure.put(tmp_path, "c.key", mine.key)}
        wanted = "certificate_refused"
    elif version == "TLSv1_2":
        wanted = "alert"  # the server says handshake_failure (RFC 5246 §7.4.6)
    context = secure.server_context(tmp_path, secure.issue([HOST]), clients=authority)
    context.maximum_version = context.minimum_version = getattr(ssl.TLSVersion, version)
    with secure.Upstream(context) as upstream, Gateway(config(upstream, tls=tls)) as gateway:
        assert get(gateway).status == 503
        assert f"{{remote_connection_failure|{wanted}}}" in gateway.access_log("UF upstream_reset")
        assert len(upstream.failures) == 3 and upstream.requests == []


def test_sessions_are_resumed(tmp_path, ca):
    def answer_and_close(connection, _request):
        connection.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
        raise EOFError

    context = secure.server_context(tmp_path, secure.issue([HOST]))
    with secure.Upstream(context, reply=answer_and_close) as upstream:
        with Gateway(config(upstream, tls=simple(ca))) as gateway:
            assert [get(gateway).status for _ in range(4)] == [200] * 4
            assert upstream.resumed == [False, True, True, True]


@pytest.fixture(scope="module")
def grpc_backend(authority):
    pair = secure.issue(["echo.test"])
    credentials = grpc.ssl_server_credentials(
        [(pair.key, pair.certificate)], authority.certificate, require_client_auth=True)
    with Backend(credentials=credentials) as backend:
        yield backend


def test_grpc_to_a_server_of_grpcio(tmp_path, ca, grpc_backend):
    mine = secure.issue(["gateway.test"])
    tls = {
        "mode": "MUTUAL", "caCertificates": ca, "clientCertificate": secure.put(tmp_path, "c.pem", mine.certificate),
        "privateKey": secure.put(tmp_path, "c.key", mine.key)}
    given = config(grpc_backend, name="grpc", tls=tls)
    with Gateway(given) as gateway, http2.connect(gateway.port) as client:
        for size in (10, 100_000, 60_000):
            stream = client.exchange(http2.grpc_headers(), http2.message(b"x" * size), 10)
            assert stream.grpc_status == 0 and len(stream.data) == size + 5
        assert len(grpc_backend.connections) == 1


def test_the_endpoints_choice_decides_the_protocol(tmp_path, ca):
    """Its port says HTTP/2, and it chooses HTTP/1.1: requests are sent so, and gRPC is refused with the reason."""
    context = secure.server_context(tmp_path, secure.issue([HOST]), alpn=["http/1.1"])
    with secure.Upstream(context) as upstream, Gateway(config(upstream, name="http2", tls=simple(ca))) as gateway:
        assert [get(gateway).status for _ in range(3)] == [200] * 3 and len(upstream.requests) == 3
        with http2.connect(gateway.port) as client:
            stream = client.exchange(http2.grpc_headers(authority=HOST), http2.message(), 10)
        assert stream.grpc_status == 14 and "chose HTTP/1.1 by ALPN" in stream.grpc_message


def test_no_common_protocol(tmp_path, ca):
    if not shutil.which("openssl"):
        pytest.skip("no openssl")
    pair = secure.issue([HOST])
    put = secure.put
    port = waiting.free_port()
    server = subprocess.Popen(
        ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", put(tmp_path, "s.pem", pair.certificate),
         "-key", put(tmp_path, "s.key", pair.key), "-alpn", "spdy/1", "-quiet"],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        class Where:
            address = "127.0.0.1"

        Where.port = port
        with Gateway(config(Where, name="http2", tls=simple(ca))) as gateway:
            waiting.until(lambda: "no_common_protocol" in f"{get(gateway).status} {gateway.output[-1:]}", 10)
    finally:
        server.kill()
        server.wait(60)


def test_two_subsets_with_different_settings_share_no_connection(tmp_path, ca):
    context = secure.server_context(tmp_path, secure.issue([HOST, "v2.test"]))
    with secure.Upstream(context) as upstream:
        subsets = [
            {"name": "v1", "labels": {}},
            {"name": "v2", "labels": {}, "trafficPolicy": {"tls": simple(ca, sni="v2.test")}},
            {"name": "same", "labels": {}, "trafficPolicy": {"tls": simple(ca)}}]
        rules = [
            objects.rule(objects.to("echo", subset=name), match=[{"uri": {"prefix": f"/{name}"}}])
            for name in ("v1", "v2", "same")]
        given = [
            objects.gateway(protocol="HTTP"), objects.virtual_service(rules),
            *objects.served_by("echo", upstream, protocol_name="http"),
            objects.destination_rule("echo", trafficPolicy={"tls": simple(ca)}, subsets=subsets)]
        with Gateway(given) as gateway:
            for path in ("/v1", "/v2", "/same", "/v2", "/v1"):
                assert http1.get(gateway.port, path, HOST).status == 200
            assert upstream.names == [HOST, "v2.test"]


def mesh_files(folder, pair, authority, names=("cert-chain.pem", "key.pem", "root-cert.pem")):
    for name, octets in zip(names, (pair.certificate, pair.key, authority.certificate)):
        secure.put(folder, name, octets)


@pytest.mark.parametrize("names", [
    ("cert-chain.pem", "key.pem", "root-cert.pem"),
    ("certificates.pem", "private_key.pem", "ca_certificates.pem")])
def test_the_identity_of_the_mesh(tmp_path, authority, names):
    """Istio's agent writes it: it is shown, and the pods of the service's namespace are believed."""
    folder = tmp_path / "agent"
    folder.mkdir()
    mesh_files(folder, secure.issue(uris=["spiffe://cluster.local/ns/edge/sa/gw"]), authority, names)
    service = objects.service("echo", protocol_name="http")
    service["spec"]["selector"] = {"app": "echo"}
    for account, status in (
            ("spiffe://cluster.local/ns/default/sa/echo", 200), ("spiffe://cluster.local/ns/other/sa/echo", 503),
            ("spiffe://elsewhere/ns/default/sa/echo", 503)):
        context = secure.server_context(tmp_path, secure.issue(uris=[account]), clients=authority, alpn=["http/1.1"])
        with secure.Upstream(context) as upstream:
            given = [
                objects.gateway(protocol="HTTP"), objects.virtual_service([objects.rule("echo")]), service,
                objects.endpoint_slice("echo", upstream.address, upstream.port, port_name="http"),
                objects.destination_rule("echo", trafficPolicy={"tls": {"mode": "ISTIO_MUTUAL"}})]
            with Gateway(given, arguments=["--istio-identity", str(folder)]) as gateway:
                assert get(gateway).status == status, account
                assert upstream.names[0] == "outbound_.50051_._.echo.default.svc.cluster.local"


def test_renewed_files_are_read_without_a_signal(tmp_path, authority):
    """The agent comes after the gateway, and renews the certificate later."""
    folder = tmp_path / "agent"
    folder.mkdir()
    context = secure.server_context(tmp_path, secure.issue(uris=["spiffe://td/ns/a/sa/b"]), clients=authority)
    tls = {"mode": "ISTIO_MUTUAL", "subjectAltNames": ["spiffe://td/ns/a/sa/b"]}
    with secure.Upstream(context) as upstream:
        with Gateway(config(upstream, tls=tls), arguments=["--istio-identity", str(folder)]) as gateway:
            assert get(gateway).status == 503
            for _ in range(2):
                pair = secure.issue(uris=["spiffe://td/ns/edge/sa/gw"])
                mesh_files(folder, pair, authority)
                count = len(upstream.shown)
                waiting.until(lambda: get(gateway).status == 200 and len(upstream.shown) > count and any(
                    x509.load_der_x509_certificate(each).serial_number == pair.serial for each in upstream.shown), 20)
            # One that is broken leaves the last good one in use.
            secure.put(folder, "cert-chain.pem", b"nonsense")
            waiting.until(lambda: "the last good one is still used for echo" in "\n".join(gateway.errors), 20)
            assert get(gateway).status == 200


def test_check_reports_a_missing_or_broken_credential_and_only_its_cluster_is_closed(tmp_path, ca, web, authority):
    broken = secure.put(tmp_path, "broken.pem", b"nonsense")
    cases = [
        (simple("/nowhere/ca.pem"), "cannot read /nowhere/ca.pem: No such file or directory", []),
        (simple(broken), f"{broken} cannot be used", []),
        ({"mode": "SIMPLE", "credentialName": "none"}, "no Secret 'none' in namespace default", []),
        ({"mode": "SIMPLE", "credentialName": "c"}, "Secret default/c has neither cacert nor ca.crt; it has x",
         [secret("c", x=b"y")]),
        ({"mode": "MUTUAL", "credentialName": "c"}, "Secret default/c has neither tls.crt and tls.key nor cert and key",
         [secret("c", **{"ca.crt": authority.certificate})])]
    for number, (tls, words, more) in enumerate(cases):
        given = [
            objects.gateway(protocol="HTTP"),
            objects.virtual_service(
                [objects.rule("closed", match=[{"uri": {"prefix": "/closed"}}]), objects.rule("web")]),
            *objects.served_by("web", web, protocol_name="http"),
            *objects.served_by("closed", web, protocol_name="http"),
            objects.destination_rule("closed", trafficPolicy={"tls": tls}), *more]
        file = pathlib.Path(tmp_path) / f"objects-{number}.yaml"
        file.write_text(objects.text(given))
        found = run("check", file)
        assert found.returncode == 1 and words in found.stdout, found.stdout
        assert "requests to closed.default.svc.cluster.local are answered 503" in found.stdout
        with Gateway(given) as gateway:
            assert http1.get(gateway.port, "/closed").status == 503
            assert http1.get(gateway.port, "/").status == 200
            assert " 503 NC " in gateway.access_log("/closed")


def test_a_hostile_endpoint_cannot_hurt(tmp_path, ca, web):
    """It cuts its flight at every octet, sends garbage, or certificates without end."""
    pair = secure.issue([HOST])
    context = secure.server_context(tmp_path, pair)
    flights = []
    with secure.Upstream(context) as real:
        flights.append(flight_of(real.port))
    flight = flights[0]
    scripts = [flight[:end] for end in range(0, len(flight), 7)]
    scripts += [b"\x16\x03\x03\xff\xff" + b"\0" * 70000, b"\x15\x03\x03\x00\x02\x02\x28"]
    scripts += [b"\x14\x03\x03\x00\x01\x01" * 100]
    scripts += [b"\x16\x03\x03\x40\x00\x0b\xff\xff\xff" + b"\xff" * 16381, b"\0" * 1000, b"HTTP/1.1 200 OK\r\n\r\n"]
    for place in range(0, len(flight), 11):
        scripts.append(flight[:place] + bytes([flight[place] ^ 0xff]) + flight[place + 1:])

    def serve(connection, number):
        connection.settimeout(60)
        connection.recv(4096)
        connection.sendall(scripts[number % len(scripts)])
        connection.close()

    with Listener(serve) as hostile:
        given = [
            objects.gateway(protocol="HTTP"),
            objects.virtual_service([objects.rule("bad", match=[{"uri": {"prefix": "/bad"}}]), objects.rule("web")]),
            *objects.served_by("web", web, protocol_name="http"),
            *objects.served_by("bad", hostile, protocol_name="http"),
            objects.destination_rule("bad", trafficPolicy={"tls": simple(ca)})]
        with Gateway(given) as gateway:
            for _ in range(len(scripts) // 3 + 1):
                assert http1.get(gateway.port, "/bad", HOST).status == 503
            assert http1.get(gateway.port, "/").status == 200


def flight_of(port):
    """The first flight of a TLS 1.2 server, which has its certificate in clear text."""
    import socket
    import ssl

    given, taken = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    session = context.wrap_bio(given, taken, server_hostname=HOST)
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        connection.sendall(taken.read())
        flight = b""
        while not flight.endswith(b"\x16\x03\x03\x00\x04\x0e\x00\x00\x00"):
            flight += connection.recv(65536)
        return flight
