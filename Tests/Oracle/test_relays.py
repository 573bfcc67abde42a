"""The same connections through a real Envoy and through Portico: TCP, and TLS that is passed on by its server name."""

import socket
import ssl
import struct

import envoy
import pytest
from cryptography import x509
from peers import certificates, objects, waiting
from peers.gateway import Gateway
from peers.listening import Listener


def scripted(connection, _):
    """The endpoint does what the client's first octet says; it speaks first."""
    connection.sendall(b"hello ")
    first = connection.recv(1)
    if first == b"e":  # echo until the end
        while part := connection.recv(1 << 16):
            connection.sendall(part)
        connection.shutdown(socket.SHUT_WR)
    elif first == b"f":  # end first, and take what comes
        connection.sendall(b"bye")
        connection.shutdown(socket.SHUT_WR)
        connection.sendall(b"") if connection.recv(100) else None
    elif first == b"r":  # break off, after all that came was taken
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    elif first == b"c":
        connection.close()


class Secure(Listener):
    def __init__(self, pair, folder):
        file = folder / f"{pair.serial}.pem"
        file.write_bytes(pair.certificate + pair.key)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(file)
        super().__init__(self.echo)

    def echo(self, connection, _):
        with self.context.wrap_socket(connection, server_side=True) as secure:
            while part := secure.recv(1 << 16):
                secure.sendall(part)


NAMES = {"exact": ["a.test"], "wide": ["*.b.test"], "narrow": ["x.b.test"]}


@pytest.fixture(scope="module")
def relays(tmp_path_factory):
    """Each proxy as (TCP port, TLS port, port of an endpoint that refuses)."""
    folder = tmp_path_factory.mktemp("pairs")
    pairs = {name: certificates.authority().issue(hosts[0]) for name, hosts in NAMES.items()}
    with Listener(scripted) as plain:
        secure = {name: Secure(pair, folder) for name, pair in pairs.items()}
        dead = waiting.free_port()
        clusters = [
            envoy.cluster("plain", plain.port), envoy.cluster("dead", dead),
            *[envoy.cluster(name, peer.port) for name, peer in secure.items()]]
        rules = {"tls": [
            {"match": [{"sniHosts": hosts}], "route": [objects.to(name)]} for name, hosts in NAMES.items()]}
        refusing = type("Peer", (), {"address": "127.0.0.1", "port": dead})
        config = [
            objects.gateway(name=name, port=port, protocol=protocol, tls=tls)
            for name, port, protocol, tls in [
                ("tcp", 9000, "TCP", None), ("dead", 9001, "TCP", None),
                ("tls", 443, "TLS", {"mode": "PASSTHROUGH"})]]
        config += [
            {**objects.virtual_service([], name=name, gateways=[name]), "spec": {
                "hosts": ["*"], "gateways": [name], **rest}}
            for name, rest in [
                ("tcp", {"tcp": [{"route": [objects.to("plain")]}]}),
                ("dead", {"tcp": [{"route": [objects.to("dead")]}]}), ("tls", rules)]]
        for name, peer in {"plain": plain, "dead": refusing, **secure}.items():
            config += objects.served_by(name, peer, port=9000, protocol_name="tcp")
        with envoy.Relays("plain", "dead", [(hosts, name) for name, hosts in NAMES.items()], clusters) as oracle:
            with Gateway(config, ports=[9000, 443, 9001]) as gateway:
                yield [
                    (oracle.port, oracle.tls_port, oracle.dead_port),
                    (gateway.map[9000], gateway.map[443], gateway.map[9001])]
        for peer in secure.values():
            peer.stop()


def rest(connection):
    """What comes until the end, and which end that is."""
    octets = b""
    try:
        while part := connection.recv(1 << 16):
            octets += part
        return octets, "end"
    except ConnectionResetError:
        return octets, "reset"


def plain(*steps):
    """Sends texts; None ends our side."""
    def send(ports):
        with socket.create_connection(("127.0.0.1", ports[0]), 10) as client:
            assert client.recv(6, socket.MSG_WAITALL) == b"hello "
            for step in steps:
                client.sendall(step) if step is not None else client.shutdown(socket.SHUT_WR)
            return rest(client)

    return send


def refused(*steps):
    def send(ports):
        with socket.create_connection(("127.0.0.1", ports[2]), 10) as client:
            for step in steps:
                client.sendall(step)
            return rest(client)[0]  # unread octets decide between an end and a reset

    return send


def named(name, **how):
    """Which endpoint's certificate comes, and whether octets pass."""
    def send(ports):
        context = certificates.client_context(alpn=None, **how)
        context.check_hostname = False
        try:
            raw = socket.create_connection(("127.0.0.1", ports[1]), 10)
            with context.wrap_socket(raw, server_hostname=name) as client:
                made = x509.load_der_x509_certificate(client.getpeercert(True))
                names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
                client.sendall(b"x" * 1000)
                return names.get_values_for_type(x509.DNSName), client.recv(1000)
        except (ssl.SSLError, ConnectionError):
            return "closed"

    return send


def octets(text):
    def send(ports):
        with socket.create_connection(("127.0.0.1", ports[1]), 10) as client:
            try:
                client.sendall(text)
                client.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # refused already
            return rest(client)[0]

    return send


CASES = {
    "echo with half-close": plain(b"e" + b"x" * 100_000, None),
    "the endpoint ends first": plain(b"f", b"more", None),
    "the endpoint closes": plain(b"c"),
    "the endpoint breaks off": plain(b"r"),
    "an endpoint that refuses": refused(),
    "an endpoint that refuses a client that has spoken": refused(b"question"),
    "an exact name": named("a.test"),
    "a name in capitals": named("A.TEST"),
    "a wildcard": named("y.b.test"),
    "a wildcard at any depth": named("z.y.b.test"),
    "a narrower name beside the wildcard": named("x.b.test"),
    "a name below a narrower name": named("q.x.b.test"),
    "the name above a wildcard": named("b.test"),
    "an unknown name": named("c.test"),
    "no name": named(None),
    "TLS 1.2": named("a.test", maximum=ssl.TLSVersion.TLSv1_2),
    "half a record": octets(b"\x16\x03\x01\x02\x00\x01"),
    "garbage after the first octet": octets(b"\x16garbage"),
    "no TLS": octets(b"SSH-2.0-x\r\n"),
}


# Where Portico differs, and why.
DIFFERENCES = {
    "no TLS": (
        "Envoy says nothing; what may be HTTP in clear text is answered 400 with a sentence on a port of TLS alone"),
}


@pytest.mark.parametrize("name", CASES)
def test_envoy_agrees(relays, name):
    oracle, portico = (CASES[name](ports) for ports in relays)
    if name in DIFFERENCES:
        assert oracle != portico, "no longer differs: remove it from the list"
    else:
        assert oracle == portico
