"""Policies of a DestinationRule for connections that are relayed."""

import collections

import pytest

from peers import certificates, objects, waiting
from peers.gateway import Gateway, run
from test_relay import Echo, SecureEcho, connect, exactly, rest, served_by, tcp, tls_rule, virtual_service

HOST = "db.default.svc.cluster.local"


@pytest.fixture
def authority(tmp_path):
    file = tmp_path / "authority.pem"
    file.write_bytes(certificates.authority().certificate)
    return str(file)


def config(*peers, **policy):
    return [*tcp(*peers), objects.destination_rule("db", trafficPolicy=policy)]


def asked(gateway, octets=b"hello"):
    """What comes back of some octets, until the end or a reset."""
    with connect(gateway.port) as client:
        client.sendall(octets)
        try:
            return rest(client)
        except ConnectionResetError:
            return b""


# TLS to endpoints


@pytest.mark.parametrize("tls", [{}, {"sni": "other.test", "subjectAltNames": [HOST]}, {"subjectAltNames": [HOST]}])
def test_octets_are_encrypted_towards_endpoints(authority, tls):
    with SecureEcho(certificates.authority().issue(HOST)) as echo:
        objects_ = config(echo, tls={"mode": "SIMPLE", "caCertificates": authority, **tls})
        with Gateway(objects_) as gateway:
            big = bytes(range(256)) * 4096
            for _ in range(2):
                with connect(gateway.port) as client:
                    client.sendall(b"hello")
                    assert exactly(client, 5) == b"hello"
            with connect(gateway.port) as client:
                client.settimeout(60)
                client.sendall(big)
                assert exactly(client, len(big)) == big


def test_a_certificate_of_somebody_else_closes_the_connection_and_says_why(authority):
    with SecureEcho(certificates.authority().issue("other.test")) as echo:
        with Gateway(config(echo, tls={"mode": "SIMPLE", "caCertificates": authority})) as gateway:
            assert asked(gateway) == b""
            line = gateway.access_log("UF,URX")
            assert HOST in line or "the TLS handshake failed" in line
        with Gateway(config(echo, tls={"mode": "SIMPLE", "insecureSkipVerify": True})) as gateway:
            with connect(gateway.port) as client:
                client.sendall(b"hello")
                assert exactly(client, 5) == b"hello"


def test_nothing_goes_in_clear_text_where_tls_cannot_be_made(tmp_path):
    with Echo() as echo:
        with Gateway(config(echo, tls={"mode": "SIMPLE", "caCertificates": str(tmp_path / "none.pem")})) as gateway:
            assert asked(gateway) == b""
        with Gateway(config(echo, tls={"mode": "SIMPLE", "insecureSkipVerify": True})) as gateway:
            assert asked(gateway) == b"", "an endpoint without TLS got octets in clear text"


def test_tls_that_is_passed_on_is_encrypted_once_more_with_a_warning(authority, tmp_path):
    file = tmp_path / "objects.yaml"
    with SecureEcho(certificates.authority().issue(HOST)) as echo:
        objects_ = [
            objects.gateway(protocol="TLS", port=443, hosts=["a.test"], tls={"mode": "PASSTHROUGH"}),
            virtual_service(hosts=["a.test"], tls=[tls_rule(["a.test"], objects.to("db"))]), *served_by("db", echo),
            objects.destination_rule("db", trafficPolicy={"tls": {"mode": "SIMPLE", "caCertificates": authority}})]
        file.write_text(objects.text(objects_))
        said = run("check", file)
        assert "inside of the TLS that its DestinationRule asks for" in said.stdout + said.stderr
        with Gateway(objects_, ports=(443,)) as gateway, connect(gateway.port) as client:
            # The endpoint's answer to the hello that came through is an echo of it.
            incoming, outgoing = certificates.ssl.MemoryBIO(), certificates.ssl.MemoryBIO()
            tls = certificates.client_context().wrap_bio(incoming, outgoing, server_hostname="a.test")
            with pytest.raises(certificates.ssl.SSLWantReadError):
                tls.do_handshake()
            hello = outgoing.read()
            client.sendall(hello)
            assert exactly(client, len(hello)) == hello


def test_a_handshake_during_which_the_port_begins_to_ask_for_a_certificate_is_refused_once():
    pair = certificates.authority().issue("a.test")

    def made(**tls):
        secret = objects.secret("cert", pair, certificates.authority().certificate)
        server = objects.gateway(protocol="TLS", port=443, hosts=["a.test"], tls={"credentialName": "cert", **tls})
        rule = virtual_service(hosts=["a.test"], tcp=[{"route": [{"destination": {"host": "db"}}]}])
        return [secret, server, rule, *served_by("db", echo)]

    with Echo() as echo, Gateway(made(mode="SIMPLE"), ports=(443,)) as gateway:
        with connect(gateway.port) as waits, connect(gateway.port) as client:
            incoming, outgoing = certificates.ssl.MemoryBIO(), certificates.ssl.MemoryBIO()
            tls = certificates.client_context().wrap_bio(incoming, outgoing, server_hostname="a.test")
            with pytest.raises(certificates.ssl.SSLWantReadError):
                tls.do_handshake()
            hello = outgoing.read()
            waits.sendall(hello[:9])  # a handshake that is not over
            client.sendall(hello)
            incoming.write(client.recv(65536))
            gateway.write(made(mode="MUTUAL"))
            gateway.reload()
            while True:
                try:
                    tls.do_handshake()
                    break
                except certificates.ssl.SSLWantReadError:
                    incoming.write(client.recv(65536))
            client.sendall(outgoing.read())
            refused = r'^portico_tls_handshake_failures_total\{reason="no_client_certificate"\}'
            waiting.until(lambda: gateway.metric(refused) == 1, 10, "the refusal")
            assert gateway.metric(r"^portico_tls_handshakes_active") == 1


# The choice


def test_a_clients_address_leads_to_one_endpoint():
    with Echo(b"a") as a, Echo(b"b") as b, Echo(b"c") as c:
        with Gateway(config(a, b, c, loadBalancer={"consistentHash": {"useSourceIp": True}}), workers=2) as gateway:
            homes = collections.defaultdict(set)
            for client in range(20):
                for _ in range(3):
                    address = f"127.0.1.{client + 1}"
                    with connect(gateway.port, source_address=(address, 0)) as connection:
                        homes[address].add(exactly(connection, 1))
            assert all(len(names) == 1 for names in homes.values())
            assert len(set().union(*homes.values())) > 1


def test_an_endpoint_that_refuses_connections_is_ejected():
    gone = waiting.free_port()
    dead = type("Dead", (), {"address": "127.0.0.1", "port": gone})
    detection = {"consecutive5xxErrors": 2, "baseEjectionTime": "1h", "maxEjectionPercent": 50}
    with Echo(b"x") as well:
        objects_ = config(dead, well, outlierDetection=detection, loadBalancer={"simple": "ROUND_ROBIN"})
        with Gateway(objects_) as gateway:
            for _ in range(8):
                with connect(gateway.port) as client:
                    assert exactly(client, 1) == b"x"
            assert gateway.metric(r'^portico_endpoints\{cluster="[^"]*",state="ejected"\}') == 1
            assert gateway.metric(r"^portico_upstream_connect_failures_total") == 2


# Its time


def test_a_connection_ends_when_both_sides_are_silent():
    with Echo(b"x") as echo, Gateway(config(echo, connectionPool={"tcp": {"idleTimeout": "300ms"}})) as gateway:
        with connect(gateway.port) as client:
            assert rest(client) == b"x"
        assert "tcp_session_idle_timeout" in gateway.access_log("tcp_session_idle_timeout")


def test_a_connection_has_its_time_even_if_it_is_in_use():
    pool = {"tcp": {"maxConnectionDuration": "1500ms"}}
    with Echo() as echo, Gateway(config(echo, connectionPool=pool)) as gateway, connect(gateway.port) as client:
        count = 0
        try:
            while client.sendall(b"x") is None and client.recv(1) == b"x":
                count += 1
        except ConnectionError:
            pass
        assert count > 0
        assert "max_connection_duration" in gateway.access_log("max_connection_duration")


def test_routes_show_what_connections_get(tmp_path):
    file = tmp_path / "objects.yaml"
    peer = type("Peer", (), {"address": "127.0.0.1", "port": 1})
    file.write_text(objects.text(config(
        peer, connectionPool={"tcp": {"idleTimeout": "5s"}, "http": {"idleTimeout": "7s"}},
        loadBalancer={"consistentHash": {"httpHeaderName": "x"}})))
    said = run("routes", file).stdout
    assert "tcp.idleTimeout 5s" in said and "idleTimeout 7s" in said
    warned = run("check", file)
    assert "hashes a part of requests, which relayed connections do not have" in warned.stdout + warned.stderr
