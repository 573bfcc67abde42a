"""Certificates for the tests, made on the spot and kept in memory."""

import dataclasses
import datetime
import functools
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtensionOID, NameOID


@dataclasses.dataclass
class Pair:
    """PEM octets of a certificate and its key."""

    certificate: bytes
    key: bytes
    issuer: "Authority"

    @property
    def serial(self):
        return x509.load_pem_x509_certificate(self.certificate).serial_number


class Authority:
    def __init__(self, name="Portico test CA"):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(self.name, self.key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.certificate = builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _builder(self, subject, key, end=datetime.timedelta(days=30)):
        now = datetime.datetime.now(datetime.timezone.utc)
        return (
            x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key)
            .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=2))
            .not_valid_after(now + end))

    def revocations(self, *pairs):
        """A revocation list in PEM that has the certificates of these pairs."""
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.name).last_update(
            now - datetime.timedelta(days=1)).next_update(now + datetime.timedelta(days=1))
        for pair in pairs:
            entry = x509.RevokedCertificateBuilder().serial_number(pair.serial).revocation_date(now)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def issue(self, *names, algorithm="ecdsa", uris=(), end=datetime.timedelta(days=30), subject=None,
              alternatives=None, must_staple=False):
        """`alternatives` is the value of the extension in DER, in the place of names and URIs."""
        if algorithm == "rsa":
            key = rsa.generate_private_key(65537, 2048)
        else:
            key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject or names[0])]), key.public_key(), end)
        if alternatives is None:
            extension = x509.SubjectAlternativeName([
                *(x509.DNSName(name) for name in names), *(x509.UniformResourceIdentifier(uri) for uri in uris)])
        else:
            extension = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, alternatives)
        if must_staple:
            builder = builder.add_extension(x509.TLSFeature([x509.TLSFeatureType.status_request]), critical=False)
        certificate = builder.add_extension(extension, critical=False).sign(self.key, hashes.SHA256())
        return Pair(
            certificate.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
            self)


@functools.cache
def authority():
    return Authority()


def client_context(alpn=("h2",), minimum=None, maximum=None, issuer=None):
    context = ssl.create_default_context(cadata=(issuer or authority()).certificate.decode())
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if minimum:
        context.minimum_version = minimum
    if maximum:
        context.maximum_version = maximum
    return context
