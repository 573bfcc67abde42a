"""Upstreams that speak TLS, and the files that a gateway needs for them."""

import datetime
import pathlib
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from peers import certificates, http1


def issue(names=(), uris=(), authority=None, days=(-1, 30)):
    """A certificate with these names, valid from and until so many days from now."""
    authority = authority or certificates.authority()
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.timezone.utc)
    alternatives = [x509.DNSName(name) for name in names] + [x509.UniformResourceIdentifier(uri) for uri in uris]
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])).issuer_name(authority.name)
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=days[0] - 1))
        .not_valid_after(now + datetime.timedelta(days=days[1]))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .sign(authority.key, hashes.SHA256()))
    return certificates.Pair(
        made.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()), authority)


def revoking(authority, *pairs):
    """A list in PEM by which the authority revokes these."""
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateRevocationListBuilder().issuer_name(authority.name)
        .last_update(now - datetime.timedelta(days=1)).next_update(now + datetime.timedelta(days=30)))
    for pair in pairs:
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder().serial_number(pair.serial)
            .revocation_date(now - datetime.timedelta(hours=1)).build())
    return builder.sign(authority.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def put(folder, name, octets):
    """Writes a file by rename, as those do who renew certificates; returns its path as text."""
    path = pathlib.Path(folder) / name
    part = path.with_suffix(".part")
    part.write_bytes(octets)
    part.rename(path)
    return str(path)


def server_context(folder, pair, clients=None, alpn=()):
    """A server's context; `clients` is the authority of the certificates that it demands."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(
        put(folder, f"server-{pair.serial}.pem", pair.certificate), put(folder, f"server-{pair.serial}.key", pair.key))
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=clients.certificate.decode())
    if alpn:
        context.set_alpn_protocols([*alpn])
    return context


class Upstream(http1.Upstream):
    """An HTTP/1.1 server in TLS. `names` are the server names that came, `shown` the clients' certificates, `failures`
    the handshakes that came to nothing, `resumed` whether each handshake resumed a session."""

    def __init__(self, context, **named):
        self.context, self.names, self.shown, self.failures, self.resumed = context, [], [], [], []
        context.sni_callback = lambda _socket, name, _context: self.names.append(name)
        super().__init__(**named)

    def _serve(self, plain, number):
        plain.settimeout(120)
        try:
            secure = self.context.wrap_socket(plain, server_side=True)
        except (ssl.SSLError, OSError) as error:
            self.failures.append(error)
            plain.close()
            return
        self.sockets.append(secure)
        self.resumed.append(secure.session_reused)
        self.shown.append(secure.getpeercert(True))
        connection = http1.Connection(secure, 120.0)
        try:
            while True:
                request = connection.request()
                self.requests.append(request)
                self.reply(connection, request)
        except (OSError, EOFError, ValueError):
            connection.close()
