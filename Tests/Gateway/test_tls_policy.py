"""TLS as openssl s_client sees it: tickets of replicas, OCSP responses, new certificates, names, renegotiation."""

import base64
import datetime
import os
import re
import socket
import ssl
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp

from peers import certificates, objects, waiting
from peers.gateway import Gateway
from peers.refusals import failures

NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0, tzinfo=None)
DAY = datetime.timedelta(days=1)


def key_line(name=None):
    """A line of a file of ticket keys."""
    octets = os.urandom(80) if name is None else name + os.urandom(64)
    return base64.b64encode(octets).decode() + "\n"


def client(port, *arguments, name="one.test", lines="", seconds=15):
    """What openssl s_client says of a connection; it sends `lines` and ends."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *arguments]
    if name:
        command += ["-servername", name]
    done = subprocess.run(
        command, input=lines.encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds)
    return done.stdout.decode("utf-8", "replace")


def config(backend, pair, **tls):
    tls = {"mode": "SIMPLE", **({"credentialName": "cert"} if not tls else tls)}
    server = {"port": {"number": 443, "name": "https", "protocol": "HTTPS"}, "hosts": ["one.test"], "tls": tls}
    return [
        objects.gateway(servers=[server]), objects.virtual_service([objects.rule("echo")], hosts=["one.test"]),
        *objects.served_by("echo", backend), objects.tls_secret("cert", pair)]


def put(path, octets):
    """Writes a file by rename, as those do who renew certificates."""
    part = path.with_suffix(".part")
    part.write_bytes(octets if isinstance(octets, bytes) else octets.encode())
    part.rename(path)
    return path


def replaced(gateway, path, octets):
    """Writes a file that the gateway watches, and waits until it was read."""
    before = gateway.metric(r"^portico_reloads_total")
    put(path, octets)
    waiting.until(lambda: gateway.metric(r"^portico_reloads_total") > before, 10, "the reload")


@pytest.fixture(scope="module")
def pair():
    return certificates.authority().issue("one.test")


# Session tickets


class Session:
    """A client of TLS 1.2 that keeps its session and comes back with it."""

    def __init__(self):
        self.context = certificates.client_context(alpn=("http/1.1",), maximum=ssl.TLSVersion.TLSv1_2)
        self.session = None

    def connect(self, gateway):
        """Whether the session was resumed."""
        with self.context.wrap_socket(
                socket.create_connection(("127.0.0.1", gateway.port), 60), server_hostname="one.test",
                session=self.session) as connection:
            self.session = connection.session
            return connection.session_reused


def test_replicas_with_the_same_keys_resume_each_others_sessions(backend, pair, tmp_path):
    file = put(tmp_path / "keys", "# today\n" + key_line() + key_line())
    shared = ["--tls-ticket-keys", str(file)]
    with Gateway(config(backend, pair), ports=[443], arguments=shared) as one, \
            Gateway(config(backend, pair), ports=[443], arguments=shared) as two, \
            Gateway(config(backend, pair), ports=[443]) as alone:
        session = Session()
        assert not session.connect(one)
        assert session.connect(one) and session.connect(two)
        assert not session.connect(alone)
        assert not session.connect(one), "a ticket of another key opens nothing"


def test_tls_1_3_sessions_are_shared_too(backend, pair, tmp_path):
    file = put(tmp_path / "keys", key_line())
    shared, saved = ["--tls-ticket-keys", str(file)], str(tmp_path / "session")
    with Gateway(config(backend, pair), ports=[443], arguments=shared) as one, \
            Gateway(config(backend, pair), ports=[443], arguments=shared) as two:
        # The ticket comes behind the handshake, with an answer.
        request = "GET /none HTTP/1.1\r\nHost: one.test\r\nConnection: close\r\n\r\n"
        first = client(one.port, "-tls1_3", "-ign_eof", "-sess_out", saved, lines=request)
        assert "New, TLSv1.3" in first
        assert "Reused, TLSv1.3" in client(two.port, "-tls1_3", "-sess_in", saved)


def test_new_keys_are_taken_without_a_signal_and_old_ones_open_until_they_are_gone(backend, pair, tmp_path):
    first, second = key_line(), key_line()
    file = put(tmp_path / "keys", first)
    with Gateway(config(backend, pair), ports=[443], arguments=["--tls-ticket-keys", str(file)]) as gateway:
        old, other = Session(), Session()
        assert not old.connect(gateway) and not other.connect(gateway)
        replaced(gateway, file, second + first)
        assert old.connect(gateway), "a key that is no longer the first one opens"
        replaced(gateway, file, second)
        assert not other.connect(gateway), "a key that is gone opens nothing"
        assert old.connect(gateway), "it was given a ticket of the new key when it came last"


BROKEN = {
    "nothing": ("", "it has no key"),
    "half a key": (key_line()[:50] + "\n", "line 1 is not 80 octets in Base64"),
    "a second line that is none": (key_line() + "secret\n", "line 2 is not 80 octets in Base64"),
    "zeros": (base64.b64encode(bytes(80)).decode(), "line 1 has no random key"),
    "the same name twice": (key_line(b"n" * 16) + key_line(b"n" * 16), "line 2 has the name"),
    "too many": ("".join(key_line() for _ in range(17)), "it has more than 16 keys"),
    "a large file": ("#" * 20_000, "it is larger than 16 KiB"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_of_keys_is_an_error_and_changes_nothing(backend, pair, tmp_path, name):
    text, sentence = BROKEN[name]
    file = put(tmp_path / "keys", key_line())
    with Gateway(config(backend, pair), ports=[443], arguments=["--tls-ticket-keys", str(file)]) as gateway:
        session = Session()
        session.connect(gateway)
        put(file, text)
        said = waiting.until(
            lambda: next((line for line in gateway.errors if "ticket-keys" in line or sentence in line), None), 10,
            "a message")
        assert sentence in said and "secret" not in said
        assert session.connect(gateway)


def test_no_file_of_keys_is_an_error_and_it_is_taken_when_it_comes(backend, pair, tmp_path):
    file = tmp_path / "keys"
    with Gateway(config(backend, pair), ports=[443], arguments=["--tls-ticket-keys", str(file)]) as gateway:
        waiting.until(lambda: any(str(file) in line for line in gateway.errors), 5, "a message")
        session = Session()
        assert not session.connect(gateway) and session.connect(gateway)
        replaced(gateway, file, key_line())
        assert session.connect(gateway), "a ticket of the process's own key still opens"


# OCSP


def answer(pair, status=ocsp.OCSPCertStatus.GOOD, begin=-DAY, end=DAY, signer=None):
    """An OCSP response of the test authority, or of a responder with the certificate and key of `signer`."""
    issuer = x509.load_pem_x509_certificate(pair.issuer.certificate)
    revoked = status == ocsp.OCSPCertStatus.REVOKED
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=x509.load_pem_x509_certificate(pair.certificate), issuer=issuer, algorithm=hashes.SHA1(),
        cert_status=status, this_update=NOW + begin, next_update=NOW + end,
        revocation_time=NOW if revoked else None, revocation_reason=None)
    made, key = signer or (issuer, pair.issuer.key)
    if signer:
        builder = builder.certificates([made])
    signed = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, made).sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.DER)


def stapled(gateway, *arguments):
    """The status that s_client finds in the handshake; None without a response."""
    said = client(gateway.port, "-status", *arguments)
    assert "OCSP response:" in said, said
    found = re.search(r"Cert Status: (\w+)", said)
    return found[1] if found else None


def with_staple(backend, pair, octets):
    made = config(backend, pair)
    made[-1]["data"]["tls.ocsp-staple"] = base64.b64encode(octets).decode()
    return made


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_the_response_of_a_secret_is_stapled(backend, pair, version):
    with Gateway(with_staple(backend, pair, answer(pair)), ports=[443]) as gateway:
        assert stapled(gateway, version) == "good"
        assert "Verify return code: 0 (ok)" in client(gateway.port, "-verify", "1", "-CAfile", authority_file(gateway))


def authority_file(gateway):
    path = os.path.join(gateway.folder.name, "authority.pem")
    with open(path, "wb") as file:
        file.write(certificates.authority().certificate)
    return path


def test_without_a_response_nothing_is_stapled(backend, pair):
    with Gateway(config(backend, pair), ports=[443]) as gateway:
        assert stapled(gateway) is None


UNUSABLE = {
    "nonsense": (lambda pair: b"nonsense", "cannot be read"),
    "nothing": (lambda pair: b"", "cannot be read"),
    "octets behind it": (lambda pair: answer(pair) + b"x", "cannot be read"),
    "of another certificate": (lambda pair: answer(certificates.authority().issue("two.test")), "is not for this"),
    "expired": (lambda pair: answer(pair, begin=-3 * DAY, end=-DAY), "has expired"),
    "of tomorrow": (lambda pair: answer(pair, begin=DAY, end=3 * DAY), "has expired, or does not hold yet"),
    "no answer": (
        lambda pair: ocsp.OCSPResponseBuilder.build_unsuccessful(
            ocsp.OCSPResponseStatus.TRY_LATER).public_bytes(serialization.Encoding.DER), "has no answer"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_response_that_is_of_no_use_is_not_sent_and_the_certificate_is_served(backend, pair, name):
    make, sentence = UNUSABLE[name]
    with Gateway(with_staple(backend, pair, make(pair)), ports=[443]) as gateway:
        assert stapled(gateway) is None
        waiting.until(lambda: any(sentence in line for line in gateway.errors), 5, sentence)


def chained(pair):
    """The same certificate with its issuer's behind it, by which the signature of a response can be checked."""
    return certificates.Pair(pair.certificate + pair.issuer.certificate, pair.key, pair.issuer)


def delegated(pair, *, is_entitled=True, issuer=None):
    """A response that is signed by a responder with a certificate of its own."""
    issuer = issuer or pair.issuer
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "responder")])
    usage = [x509.oid.ExtendedKeyUsageOID.OCSP_SIGNING] if is_entitled else [x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]
    made = issuer._builder(name, key.public_key(), datetime.timedelta(days=1)).add_extension(
        x509.ExtendedKeyUsage(usage), critical=False).sign(issuer.key, hashes.SHA256())
    return answer(pair, signer=(made, key))


def broken(octets):
    """The signature is at the end of a response without certificates."""
    return octets[:-1] + bytes([octets[-1] ^ 1])


SIGNATURES = {
    "the issuer": (lambda pair: answer(pair), "good"),
    "an entitled responder": (lambda pair: delegated(pair), "good"),
    "a responder that is not entitled": (lambda pair: delegated(pair, is_entitled=False), None),
    "a responder of another authority": (lambda pair: delegated(pair, issuer=certificates.Authority("other")), None),
    "a signature that is broken": (lambda pair: broken(answer(pair)), None),
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_response_is_sent_if_the_issuer_has_signed_it_or_entitled_who_has(backend, pair, name):
    make, status = SIGNATURES[name]
    with Gateway(with_staple(backend, chained(pair), make(pair)), ports=[443]) as gateway:
        assert stapled(gateway) == status
        def warned():
            return any("not signed by the certificate's issuer" in line for line in gateway.errors)

        if status is None:
            waiting.until(warned, 5, "the warning")
        assert warned() == (status is None)


@pytest.mark.parametrize("kind", ["none", "expired", "good"])
def test_a_certificate_that_demands_a_response_is_warned_of_without_one(backend, kind):
    demanding = certificates.authority().issue("one.test", must_staple=True)
    made = config(backend, demanding)
    if kind != "none":
        octets = answer(demanding) if kind == "good" else answer(demanding, begin=-3 * DAY, end=-DAY)
        made = with_staple(backend, demanding, octets)
    with Gateway(made, ports=[443]) as gateway:
        def warned():
            return any("demands an OCSP response" in line for line in gateway.errors)

        if kind != "good":
            waiting.until(warned, 5, "the warning")
        assert stapled(gateway) == ("good" if kind == "good" else None)
        assert warned() == (kind != "good")


def test_a_revoked_certificate_is_told_by_its_response(backend, pair):
    with Gateway(with_staple(backend, pair, answer(pair, ocsp.OCSPCertStatus.REVOKED)), ports=[443]) as gateway:
        assert stapled(gateway) == "revoked"
        revoked = "says that the certificate is revoked"
        waiting.until(lambda: any(revoked in line for line in gateway.errors), 5, "the warning")


def test_of_two_certificates_each_has_its_own_response(backend, pair):
    """Which certificate is served depends on what the client can check."""
    other = certificates.authority().issue("one.test", algorithm="rsa")
    made = with_staple(backend, pair, answer(pair))
    made[0]["spec"]["servers"][0]["tls"] = {"mode": "SIMPLE", "credentialNames": ["cert", "other"]}
    made.append(objects.tls_secret("other", other))
    with Gateway(made, ports=[443]) as gateway:
        assert stapled(gateway, "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256") == "good"
        assert stapled(gateway, "-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256") is None


def test_a_certificate_and_its_response_are_renewed_without_a_signal(backend, pair, tmp_path):
    certificate, key = put(tmp_path / "tls.crt", pair.certificate), put(tmp_path / "tls.key", pair.key)
    made = config(backend, pair, serverCertificate=str(certificate), privateKey=str(key))
    with Gateway(made, ports=[443]) as gateway:
        assert stapled(gateway) is None
        session = Session()
        assert not session.connect(gateway)
        replaced(gateway, tmp_path / "tls.crt.ocsp", answer(pair))
        assert stapled(gateway) == "good"
        assert session.connect(gateway), "a new response leaves sessions alone"
        new = certificates.authority().issue("one.test")
        put(key, new.key)
        put(certificate, new.certificate)
        put(tmp_path / "tls.crt.ocsp", answer(new, ocsp.OCSPCertStatus.UNKNOWN))

        def serial():
            text = r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n"
            found = re.search(text, client(gateway.port), re.DOTALL)[0]
            return x509.load_pem_x509_certificate(found.encode()).serial_number

        waiting.until(lambda: serial() == new.serial and stapled(gateway) == "unknown", 10, "the new certificate")
        assert not session.connect(gateway), "a session of the old certificate is not resumed"


# Names, renegotiation


def test_a_client_cannot_renegotiate(backend, pair):
    with Gateway(config(backend, pair), ports=[443]) as gateway:
        # `R` at the beginning of a line has s_client ask for a new handshake.
        said = client(gateway.port, "-tls1_2", lines="R\n")
        assert "RENEGOTIATING" in said and re.search(r"no renegotiation|handshake failure", said), said
        legacy = client(gateway.port, "-tls1_2")
        assert "Secure Renegotiation IS supported" in legacy      # the extension that forbids CVE-2009-3555


def hello(name):
    """A ClientHello of TLS 1.2 with a server name of any octets."""
    extension = bytes([0]) + len(name).to_bytes(2, "big") + name
    extension = (len(extension)).to_bytes(2, "big") + extension
    extensions = b"\0\0" + len(extension).to_bytes(2, "big") + extension
    body = b"\x03\x03" + os.urandom(32) + b"\0" + b"\0\x04\xc0\x2b\xc0\x2f" + b"\x01\0"
    body += len(extensions).to_bytes(2, "big") + extensions
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message


NAMES = {
    "no octets": b"", "256 octets": b"a" * 252 + b".com", "a NUL": b"one.test\0.evil",
    "a NUL at the end": b"one.test\0",
    "a line feed": b"one.test\n", "no ASCII": b"\xff\xfe.test", "16,000 octets": b"a" * 16_000,
    "a star": b"*.test", "an address": b"127.0.0.1",
}


@pytest.mark.parametrize("name", NAMES)
def test_odd_server_names_get_no_certificate(backend, pair, name):
    with Gateway(config(backend, pair), ports=[443]) as gateway:
        with socket.create_connection(("127.0.0.1", gateway.port), 60) as connection:
            connection.settimeout(60)
            received = b""
            try:
                connection.sendall(hello(NAMES[name]))
                while more := connection.recv(4096):
                    received += more
            except ConnectionError:
                pass
        assert b"\x16" != received[:1], "a handshake went on"
        assert pair.certificate not in received
        waiting.until(
            lambda: sum(failures(gateway, reason) for reason in (
                "unknown_server_name", "no_server_name", "other", "not_tls")) == 1, 5, "the count")
        assert "Server certificate" in client(gateway.port)
