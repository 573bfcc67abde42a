"""A Gateway server of `tls.mode: ISTIO_MUTUAL`, which has the identity that Istio's agent writes."""

import socket
import ssl

import pytest
from cryptography import x509

from peers import certificates, http1, objects, waiting
from peers.gateway import Gateway, run

MESH = certificates.Authority("mesh CA")
URI = "spiffe://cluster.local/ns/shop/sa/web"
FRIEND = MESH.issue("client.test", uris=[URI])
STRANGERS = [
    None, certificates.Authority("other CA").issue("client.test", uris=[URI]),
    MESH.issue("client.test", uris=["spiffe://elsewhere/ns/shop/sa/web"])]


def config(web):
    server = {
        "port": {"number": 443, "name": "https", "protocol": "HTTPS"}, "hosts": ["a.test"],
        "tls": {"mode": "ISTIO_MUTUAL", "subjectAltNames": [URI]}}
    return [
        objects.gateway(servers=[server]), objects.virtual_service([objects.rule("web")], hosts=["a.test"]),
        *objects.served_by("web", web, port=80, protocol_name="http")]


def write(folder, pair):
    for name, octets in (
            ("root-cert.pem", MESH.certificate), ("key.pem", pair.key), ("cert-chain.pem", pair.certificate)):
        (folder / name).write_bytes(octets)


def context(folder, pair):
    made = certificates.client_context(alpn=("http/1.1",))
    if pair:
        (folder / "client.crt").write_bytes(pair.certificate)
        (folder / "client.key").write_bytes(pair.key)
        made.load_cert_chain(folder / "client.crt", folder / "client.key")
    return made


def shown(port, folder):
    """The serial number of the server's certificate; None when there is no handshake."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as plain:
            with context(folder, FRIEND).wrap_socket(plain, server_hostname="a.test") as secured:
                return x509.load_der_x509_certificate(secured.getpeercert(True)).serial_number
    except OSError:
        return None


def get(port, folder, pair):
    return http1.get(port, "/", "a.test", context=context(folder, pair), server_name="a.test")


def test_the_files_of_the_agent_come_late_and_are_renewed_without_a_signal(web, tmp_path):
    agent = tmp_path / "agent"
    agent.mkdir()
    missing = f"there is no certificate of Istio's agent in {agent}"
    arguments = ["--istio-identity", str(agent)]
    checked = run("check", "-", *arguments, stdin=objects.text(config(web)))
    assert checked.returncode == 1 and missing in checked.stdout
    with Gateway(config(web), ports=[443], arguments=arguments) as gateway:
        assert missing in "\n".join(gateway.errors)
        assert shown(gateway.port, tmp_path) is None
        for _ in range(2):
            pair = certificates.authority().issue("a.test", uris=["spiffe://cluster.local/ns/edge/sa/gw"])
            write(agent, pair)
            waiting.until(lambda: shown(gateway.port, tmp_path) == pair.serial, 20, "the new certificate")
            assert get(gateway.port, tmp_path, FRIEND).status == 200
            for stranger in STRANGERS:
                with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
                    get(gateway.port, tmp_path, stranger)


def test_files_of_other_servers_are_read_again_when_they_change(web, tmp_path):
    """Of mode MUTUAL: the certificate, its key, and the authorities of clients."""
    names = {"serverCertificate": "cert-chain.pem", "privateKey": "key.pem", "caCertificates": "root-cert.pem"}
    first, second = (certificates.authority().issue("a.test") for _ in range(2))
    write(tmp_path, first)
    given = config(web)
    given[0]["spec"]["servers"][0]["tls"] = {
        "mode": "MUTUAL", **{field: str(tmp_path / name) for field, name in names.items()}}
    with Gateway(given, ports=[443]) as gateway:
        assert shown(gateway.port, tmp_path) == first.serial
        write(tmp_path, second)
        waiting.until(lambda: shown(gateway.port, tmp_path) == second.serial, 20, "the new certificate")
        other = certificates.Authority("new mesh CA")
        (tmp_path / "root-cert.pem").write_bytes(other.certificate)
        waiting.until(lambda: shown_to(other.issue("x"), gateway.port, tmp_path), 20, "the new authority")


def shown_to(pair, port, folder):
    try:
        return get(port, folder, pair).status == 200
    except (OSError, EOFError):
        return False
