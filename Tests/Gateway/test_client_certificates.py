"""Certificates of clients: who gets in, what the others are told, and what upstreams are told."""

import base64
import datetime
import hashlib
import re
import socket
import ssl
import subprocess
import time
import urllib.parse

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from peers import certificates, http1, http2, objects, waiting
from peers.backend import Caller
from peers.gateway import Gateway, run
from peers.refusals import counted, failures

CLIENTS = certificates.Authority("client CA")
OTHERS = certificates.Authority("other CA")
URI = "spiffe://cluster.local/ns/shop/sa/web"
GOOD = CLIENTS.issue("client.test", uris=[URI])
STRANGER = OTHERS.issue("client.test", uris=[URI])
EXPIRED = CLIENTS.issue("client.test", end=-datetime.timedelta(days=1))
REVOKED = CLIENTS.issue("client.test")
SERVER = certificates.authority().issue("a.test", "b.test", "open.test")
# grpcio and the newest TLS libraries want 1.3; both are asked for where the alerts differ.
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


def secret(name, **data):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
            "data": {key.replace("_", "."): base64.b64encode(value).decode() for key, value in data.items()}}


def server(host, mode="MUTUAL", **tls):
    named = {} if "serverCertificate" in tls else {"credentialName": "cert"}
    return {"port": {"number": 443, "name": f"https-{host}", "protocol": "HTTPS"}, "hosts": [host],
            "tls": {"mode": mode, **named, **tls}}


def config(backend, web, *servers, hosts=("a.test", "b.test", "open.test"), secrets=None):
    rules = [objects.rule("web", match=[{"uri": {"prefix": "/web"}}]), objects.rule("echo")]
    if secrets is None:
        secrets = [secret("cert", tls_crt=SERVER.certificate, tls_key=SERVER.key, ca_crt=CLIENTS.certificate)]
    return [
        objects.gateway(servers=list(servers)), objects.virtual_service(rules, hosts=list(hosts)),
        *objects.served_by("echo", backend), *objects.served_by("web", web, port=80, protocol_name="http"), *secrets]


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Files of a pair, which is how ssl and curl take one."""
    folder = tmp_path_factory.mktemp("keys")
    (folder / "server-ca.pem").write_bytes(certificates.authority().certificate)

    def files(pair):
        name = hashlib.sha256(pair.certificate).hexdigest()
        paths = folder / f"{name}.crt", folder / f"{name}.key"
        for path, content in zip(paths, (pair.certificate, pair.key)):
            path.write_bytes(content)
        return [str(path) for path in paths]

    files.folder = folder
    return files


@pytest.fixture(scope="module")
def mutual(backend, web):
    servers = server("a.test"), server("b.test", "OPTIONAL_MUTUAL"), server("open.test", "SIMPLE")
    with Gateway(config(backend, web, *servers), ports=[443]) as gateway:
        yield gateway


def context(keys, pair, alpn=("http/1.1",), version=None):
    made = certificates.client_context(alpn=alpn, minimum=version, maximum=version)
    if pair:
        made.load_cert_chain(*keys(pair))
    return made


def get(gateway, keys, pair, host="a.test", version=None, headers="", server_name=None):
    """The answer to a request. A server of TLS 1.3 refuses after the client's handshake: with its first read."""
    name = server_name or host
    with http1.connect(gateway.port, context(keys, pair, version=version), name, seconds=10) as client:
        client.send(f"GET /web HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n")
        return client.response()


def refused(gateway, keys, pair, reason, alert, host="a.test", version=None):
    before = failures(gateway, reason)
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError, EOFError)) as error:
        get(gateway, keys, pair, host, version)
    if isinstance(error.value, ssl.SSLError):
        assert alert in str(error.value).lower().replace("_", " ")
    counted(gateway, reason, before)
    gateway.access_log(f"tls_handshake_failed{{{reason}")


def fields(web):
    return dict(part.split("=", 1) for part in web.last.value("x-forwarded-client-cert").split(";"))


# Who gets in


@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_with_a_certificate_of_the_authority_is_served(mutual, keys, version):
    assert get(mutual, keys, GOOD, version=version).status == 200


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("pair, reason, alert", [
    (None, "no_client_certificate", ""), (STRANGER, "untrusted_client_certificate", "unknown ca"),
    (EXPIRED, "client_certificate_not_valid_now", "certificate expired"),
], ids=["none", "wrong-authority", "expired"])
def test_others_are_told_by_an_alert_a_line_and_a_counter(mutual, keys, pair, reason, alert, version):
    refused(mutual, keys, pair, reason, alert, version=version)
    assert get(mutual, keys, GOOD).status == 200


def test_an_optional_certificate_may_be_missing_but_not_wrong(mutual, keys):
    assert get(mutual, keys, None, "b.test").status == 200
    assert get(mutual, keys, GOOD, "b.test").status == 200
    refused(mutual, keys, STRANGER, "untrusted_client_certificate", "unknown ca", "b.test")


def test_a_server_that_does_not_ask_takes_anybody(mutual, keys):
    assert get(mutual, keys, None, "open.test").status == 200
    assert get(mutual, keys, STRANGER, "open.test").status == 200


def test_grpc_clients(mutual):
    options = [("grpc.ssl_target_name_override", "a.test")]
    own = certificates.authority().certificate
    good = grpc.ssl_channel_credentials(own, GOOD.key, GOOD.certificate)
    with Caller(mutual.target, good, options) as caller:
        assert caller.unary(message=b"x" * 100_000)[0] == b"x" * 100_000
    for shown in ((), (STRANGER.key, STRANGER.certificate)):
        wrong = grpc.ssl_channel_credentials(own, *shown)
        with Caller(mutual.target, wrong, options) as caller, pytest.raises(grpc.RpcError) as error:
            caller.unary(message=b"x")
        assert error.value.code() == grpc.StatusCode.UNAVAILABLE


def test_curl_clients(mutual, keys):
    command = ["curl", "-sS", "--max-time", "100", "--cacert", keys.folder / "server-ca.pem", "-o", "/dev/null",
               "-w", "%{http_code}", "--connect-to", f"a.test:443:127.0.0.1:{mutual.port}", "https://a.test/web"]
    certificate, key = keys(GOOD)
    done = subprocess.run([*command, "--cert", certificate, "--key", key], capture_output=True, text=True, timeout=120)
    assert done.stdout == "200", done.stderr
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout == "000" and done.returncode != 0


def test_openssl_is_told_the_names_of_the_authorities(mutual, keys):
    command = ["openssl", "s_client", "-connect", mutual.target, "-servername", "a.test", "-tls1_2"]
    output = subprocess.run(command, input="", capture_output=True, text=True, timeout=120).stdout
    assert "Acceptable client certificate CA names" in output and "client CA" in output


# What else is demanded


def pins(pair):
    certificate = x509.load_pem_x509_certificate(pair.certificate)
    key = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = base64.b64encode(hashlib.sha256(key).digest()).decode()
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper(), digest


@pytest.mark.parametrize("tls, reason", [
    ({"subjectAltNames": [URI]}, None), ({"subjectAltNames": ["other.test", "client.test"]}, None),
    ({"subjectAltNames": ["other.test", URI + "x"]}, "client_certificate_name"),
    ({"verifyCertificateHash": [pins(GOOD)[0]]}, None), ({"verifyCertificateSpki": [pins(GOOD)[1]]}, None),
    ({"verifyCertificateHash": [pins(STRANGER)[0]], "verifyCertificateSpki": [pins(GOOD)[1]]}, None),
    ({"verifyCertificateHash": [pins(REVOKED)[0]]}, "client_certificate_pin"),
    ({"verifyCertificateSpki": [pins(REVOKED)[1]]}, "client_certificate_pin"),
])
def test_names_and_digests(backend, web, keys, tls, reason):
    with Gateway(config(backend, web, server("a.test", **tls)), ports=[443]) as gateway:
        if reason:
            refused(gateway, keys, GOOD, reason, "certificate unknown")
        else:
            assert get(gateway, keys, GOOD).status == 200


def test_a_revoked_certificate_by_the_list_of_the_secret_and_by_a_file(backend, web, keys, tmp_path):
    crl = tmp_path / "clients.crl"
    crl.write_bytes(CLIENTS.revocations(REVOKED))
    pair = {"tls_crt": SERVER.certificate, "tls_key": SERVER.key}
    secrets = [
        secret("cert", ca_crt=CLIENTS.certificate, ca_crl=CLIENTS.revocations(REVOKED), **pair),
        secret("second", **pair, ca_crt=CLIENTS.certificate)]
    second = server("b.test", caCrl=str(crl))
    second["tls"]["credentialName"] = "second"
    with Gateway(config(backend, web, server("a.test"), second, secrets=secrets), ports=[443]) as gateway:
        for host in ("a.test", "b.test"):
            assert get(gateway, keys, GOOD, host).status == 200
            refused(gateway, keys, REVOKED, "client_certificate_revoked", "certificate revoked", host)


def test_any_certificate_where_it_is_not_verified(backend, web, keys):
    with Gateway(config(backend, web, server("a.test", insecureSkipVerify=True)), ports=[443]) as gateway:
        assert get(gateway, keys, STRANGER).status == 200
        assert web.last.value("x-forwarded-client-cert") is None
        refused(gateway, keys, None, "no_client_certificate", "")


@pytest.mark.parametrize("form", ["cacert", "secret-cacert", "caCertCredentialName", "files"])
def test_every_place_of_the_authorities(backend, web, keys, form, tmp_path):
    pair, tls = {"tls_crt": SERVER.certificate, "tls_key": SERVER.key}, {}
    secrets = [secret("cert", **pair)]
    if form == "cacert":
        secrets = [secret("cert", cert=SERVER.certificate, key=SERVER.key, cacert=CLIENTS.certificate)]
    elif form == "secret-cacert":
        secrets = [secret("cert", **pair, ca_crt=OTHERS.certificate), secret("cert-cacert", ca_crt=CLIENTS.certificate)]
    elif form == "caCertCredentialName":
        tls = {"caCertCredentialName": "clients"}
        secrets += [secret("clients", cacert=CLIENTS.certificate), secret("cert-cacert", ca_crt=OTHERS.certificate)]
    else:
        (tmp_path / "ca.pem").write_bytes(OTHERS.certificate + CLIENTS.certificate)
        certificate, key = keys(SERVER)
        tls = {"serverCertificate": certificate, "privateKey": key, "caCertificates": str(tmp_path / "ca.pem")}
    with Gateway(config(backend, web, server("a.test", **tls), secrets=secrets), ports=[443]) as gateway:
        assert get(gateway, keys, GOOD).status == 200
        if form != "files":
            refused(gateway, keys, STRANGER, "untrusted_client_certificate", "unknown ca")


# Servers that cannot know their clients


@pytest.mark.parametrize("authorities, words", [
    ({}, "has neither cacert nor ca.crt"), ({"ca_crt": b"no PEM"}, "`ca.crt` of Secret default/cert cannot be used"),
    ({"ca_crt": CLIENTS.certificate, "ca_crl": b"no PEM"}, "`ca.crl` of Secret default/cert cannot be used"),
])
def test_a_server_with_broken_authorities_accepts_nobody_and_disturbs_no_other(
        backend, web, keys, authorities, words, tmp_path):
    wide = server("*.test", "SIMPLE")
    wide["tls"]["credentialName"] = "own"
    secrets = [
        secret("cert", tls_crt=SERVER.certificate, tls_key=SERVER.key, **authorities),
        secret("own", tls_crt=SERVER.certificate, tls_key=SERVER.key)]
    given = config(backend, web, server("a.test"), wide, secrets=secrets)
    (tmp_path / "all.yaml").write_text(objects.text(given))
    done = run("check", tmp_path / "all.yaml")
    assert done.returncode == 1 and words in done.stdout and "no client is accepted for a.test" in done.stdout
    with Gateway(given, ports=[443]) as gateway:
        for pair in (None, GOOD):
            with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
                get(gateway, keys, pair)
        assert get(gateway, keys, None, "open.test").status == 200
        # A client must not reach its routes through the wider server either.
        assert get(gateway, keys, None, "a.test", server_name="open.test").status == 421


# One connection for several servers


def test_a_connection_of_another_server_does_not_pass_for_one_with_a_certificate(mutual, keys):
    """SNI open.test and the authority a.test, whose server demands a certificate."""
    assert get(mutual, keys, None, "a.test", server_name="open.test").status == 421
    with http2.connect(mutual.port, context(keys, None, ("h2",)), "open.test") as client:
        assert client.exchange(http2.get_headers("/web", "a.test", scheme="https")).status == 421
        assert client.exchange(http2.get_headers("/web", "a.test:443", scheme="https")).status == 421
        assert client.exchange(http2.get_headers("/web", "A.TEST.", scheme="https")).status == 421
        assert client.exchange(http2.get_headers("/web", "open.test", scheme="https")).status == 200


def test_a_wide_server_that_asks_nothing_does_not_serve_the_hosts_of_one_that_does(backend, web, keys):
    """Its VirtualServices are bound to the same Gateway, so that its table has the host."""
    given = config(backend, web, server("a.test"), server("*.test", "SIMPLE"))
    with Gateway(given, ports=[443]) as gateway:
        assert get(gateway, keys, None, "open.test").status == 200
        assert get(gateway, keys, None, "a.test", server_name="open.test").status == 421
        assert get(gateway, keys, GOOD, "a.test").status == 200


# Reloads


def resume(gateway, keys, made, session=None, path="/web"):
    """A request on a connection that tries to resume `session`: its status and the session to resume next."""
    plain = socket.create_connection(("127.0.0.1", gateway.port), 60)
    with made.wrap_socket(plain, server_hostname="a.test", session=session) as secure:
        secure.sendall(f"GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n".encode())
        answer = secure.recv(65536)
        return int(answer.split(b" ")[1]), secure.session, secure.session_reused


@pytest.mark.parametrize("version", VERSIONS)
def test_no_session_survives_a_change_of_the_authorities(backend, web, keys, version):
    def secrets(authority):
        return [secret("cert", tls_crt=SERVER.certificate, tls_key=SERVER.key, ca_crt=authority.certificate)]

    with Gateway(config(backend, web, server("a.test"), secrets=secrets(CLIENTS)), ports=[443]) as gateway:
        made = context(keys, GOOD, version=version)
        status, session, _ = resume(gateway, keys, made)
        assert status == 200
        status, session, reused = resume(gateway, keys, made, session)
        assert status == 200 and reused
        with http1.connect(gateway.port, context(keys, GOOD), "a.test") as old:
            old.send("GET /web HTTP/1.1\r\nHost: a.test\r\n\r\n")
            assert old.response().status == 200
            gateway.write(config(backend, web, server("a.test"), secrets=secrets(OTHERS)))
            gateway.reload()
            with pytest.raises((ssl.SSLError, ConnectionError, IndexError)):
                resume(gateway, keys, made, session)
            # What the connection has shown before is not enough any more.
            old.send("GET /web HTTP/1.1\r\nHost: a.test\r\n\r\n")
            response = old.response()
            assert response.status == 421 and response.value("connection") == "close"
        assert get(gateway, keys, STRANGER).status == 200


def test_a_reload_that_begins_to_ask_ends_the_service_of_older_connections(backend, web, keys):
    with Gateway(config(backend, web, server("a.test", "SIMPLE")), ports=[443]) as gateway:
        with http2.connect(gateway.port, context(keys, None, ("h2",)), "a.test") as client:
            assert client.exchange(http2.get_headers("/web", "a.test", scheme="https")).status == 200
            gateway.write(config(backend, web, server("a.test")))
            gateway.reload()
            assert client.exchange(http2.get_headers("/web", "a.test", scheme="https")).status == 421
            client.wait(lambda: client.goaways, 10)


@pytest.mark.parametrize("version", VERSIONS)
def test_no_session_is_resumed_after_its_certificate_has_expired(mutual, keys, version):
    for seconds in (4, 20, 60):  # longer where the machine is too slow for the first
        made = context(keys, CLIENTS.issue("client.test", end=datetime.timedelta(seconds=seconds)), version=version)
        end = time.monotonic() + seconds
        try:
            _, session, _ = resume(mutual, keys, made)
            status, session, reused = resume(mutual, keys, made, session)
            break
        except (ssl.SSLError, ConnectionError, IndexError):
            assert seconds < 60
    assert status == 200 and reused
    waiting.until_time(end + 1)
    with pytest.raises((ssl.SSLError, ConnectionError, IndexError)):
        resume(mutual, keys, made, session)


# What upstreams are told


def test_the_upstream_is_told_of_a_verified_certificate(mutual, keys, web):
    assert get(mutual, keys, GOOD, headers="X-Forwarded-Client-Cert: Subject=\"CN=admin\"\r\n").status == 200
    assert len(web.last.values("x-forwarded-client-cert")) == 1
    told = fields(web)
    certificate = x509.load_pem_x509_certificate(GOOD.certificate)
    assert told["Hash"] == certificate.fingerprint(hashes.SHA256()).hex()
    assert urllib.parse.unquote(told["Cert"].strip('"')).encode() == GOOD.certificate
    assert told["Subject"] == '"CN=client.test"' and told["URI"] == URI and told["DNS"] == "client.test"


@pytest.mark.parametrize("host, pair", [("b.test", None), ("open.test", None), ("open.test", GOOD)])
def test_a_client_cannot_say_it_itself(mutual, keys, web, host, pair):
    forged = "X-Forwarded-Client-Cert: Hash=00\r\nX_Forwarded_Client_Cert: Hash=00\r\n"
    assert get(mutual, keys, pair, host, headers=forged).status == 200
    assert not [name for name, _ in web.last.headers if "client" in name.lower() and "cert" in name.lower()]


def test_names_of_a_certificate_add_no_elements(backend, web, keys):
    hostile = CLIENTS.issue("x.test", uris=['spiffe://x/;Subject="CN=admin",By=y'])
    with Gateway(config(backend, web, server("a.test")), ports=[443]) as gateway:
        assert get(gateway, keys, hostile).status == 200
        told = fields(web)
        assert told["Subject"] == '"CN=x.test"' and told["URI"] == "spiffe://x/%3BSubject=%22CN=admin%22%2CBy=y"


def test_the_same_over_http2_and_grpc(mutual, keys, web):
    with http2.connect(mutual.port, context(keys, GOOD, ("h2",)), "a.test") as client:
        assert client.exchange(http2.get_headers("/web", "a.test", scheme="https")).status == 200
    assert fields(web)["URI"] == URI


# Hostile clients


def test_a_chain_that_is_too_long_or_too_large_is_refused(mutual, keys, tmp_path):
    certificate, key = keys(GOOD)
    for copies in (50, 400):
        chain = tmp_path / f"{copies}.pem"
        filler = [CLIENTS.issue(f"filler-{number}.test").certificate for number in range(5)]
        chain.write_bytes(GOOD.certificate + b"".join(filler) * (copies // 5))
        made = certificates.client_context(alpn=("http/1.1",))
        made.load_cert_chain(chain, key)
        try:
            with http1.connect(mutual.port, made, "a.test") as client:
                client.send("GET /web HTTP/1.1\r\nHost: a.test\r\n\r\n")
                assert client.response().status == 200 and copies == 50
        except (ssl.SSLError, ConnectionError, AssertionError):
            assert copies == 400
    assert get(mutual, keys, GOOD).status == 200


def der(tag, content):
    length = len(content)
    octets = bytes([length]) if length < 128 else b"\x82" + length.to_bytes(2, "big")
    return bytes([tag]) + octets + content


def alternatives(*names):
    return der(0x30, b"".join(names))


ODD = {
    "a name with a zero octet": alternatives(der(0x82, b"client.test\0.evil.test")),
    "octets that are no text": alternatives(der(0x86, bytes(range(128, 256))), der(0x82, b"\r\nx: y")),
    "addresses of wrong lengths": alternatives(der(0x87, b""), der(0x87, b"abc"), der(0x87, b"x" * 300)),
    "thousands of names": alternatives(*[der(0x82, f"n{number}.test".encode()) for number in range(2000)]),
    "other kinds": alternatives(der(0x88, b"\x2a\x03"), der(0xa4, der(0x30, b"")), der(0xa0, der(0x06, b"\x2a\x03"))),
    "no DER at all": b"hello",
    "a list that is cut": b"\x30\x82\x40\x00\x82\x03abc",
    "an empty list": alternatives(),
}


@pytest.fixture(scope="module")
def named(backend, web):
    servers = server("a.test"), server("b.test", subjectAltNames=["client.test", "n1999.test"])
    with Gateway(config(backend, web, *servers), ports=[443]) as gateway:
        yield gateway


@pytest.mark.parametrize("kind", ODD)
def test_odd_names_of_a_certificate_do_no_harm(named, keys, web, kind):
    odd = CLIENTS.issue("x.test", alternatives=ODD[kind])
    try:
        assert get(named, keys, odd).status == 200
        told = web.last.value("x-forwarded-client-cert")
        assert told.isascii() and told.isprintable() and told.count('Subject="CN=x.test"') == 1
    except (ssl.SSLError, ConnectionError, AssertionError) as error:
        assert kind in ("no DER at all", "a list that is cut", "addresses of wrong lengths", "other kinds"), error
    # None of them has a name that is accepted: of thousands, a bounded number is looked at.
    with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
        get(named, keys, odd, "b.test")
    assert get(named, keys, GOOD, "b.test").status == 200


def test_names_beyond_the_limit_are_left_out_and_counted(named, keys, web):
    def count():
        return named.metric(r'^portico_limit_reached_total\{limit="client_certificate"\}')

    before = count()
    assert get(named, keys, GOOD).status == 200
    assert count() == before
    many = alternatives(*[der(0x82, f"{number:04d}.{'x' * 60}.test".encode()) for number in range(200)])
    assert get(named, keys, CLIENTS.issue("x.test", alternatives=many)).status == 200
    names = web.last.value("x-forwarded-client-cert").split(";DNS=")[1:]
    assert names and len(names) < 200 and sum(map(len, names)) <= 8 << 10
    assert count() == before + 1


@pytest.mark.parametrize("subject", ['x"; By="y', "a\\", "a\r\nb: c", "\u65e5\u672c", "x" * 64, ",;=+<>#"])
def test_odd_subjects_of_a_certificate_do_no_harm(named, keys, web, subject):
    assert get(named, keys, CLIENTS.issue("x.test", subject=subject)).status == 200
    told = web.last.value("x-forwarded-client-cert")
    assert told.isascii() and told.isprintable()
    rest = told.split('Subject="', 1)[1]
    text = re.match(r'((?:[^"\\]|\\.)*)"(.*)', rest)
    assert text and text[2] == ";URI=;DNS=x.test", rest
    stranger = OTHERS.issue("x.test", subject=subject)
    refused(named, keys, stranger, "untrusted_client_certificate", "unknown ca")


def test_handshakes_that_are_cut_anywhere_do_no_harm(mutual, keys):
    """The octets that a client with a certificate sends, cut at many places, or with one octet changed."""
    sent = recorded(mutual, keys)
    for place in range(1, len(sent), max(1, len(sent) // 40)):
        for octets in (sent[:place], sent[:place] + bytes([sent[place] ^ 0x55]) + sent[place + 1:]):
            with socket.create_connection(("127.0.0.1", mutual.port), 60) as plain:
                plain.sendall(octets)
                plain.shutdown(socket.SHUT_WR)
    assert get(mutual, keys, GOOD).status == 200


def recorded(gateway, keys):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context(keys, GOOD, version=ssl.TLSVersion.TLSv1_2).wrap_bio(incoming, outgoing, server_hostname="a.test")
    sent = b""
    with socket.create_connection(("127.0.0.1", gateway.port), 60) as plain:
        while True:
            try:
                client.do_handshake()
                return sent + outgoing.read()
            except ssl.SSLWantReadError:
                flight = outgoing.read()
                sent += flight
                plain.sendall(flight)
                incoming.write(plain.recv(65536))
