"""Connections whose octets are relayed: TCP, TLS that is passed on by its server name, TLS that ends here."""

import hashlib
import pathlib
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import threading

import grpc
import pytest

from peers import certificates, objects, waiting
from peers.backend import Backend, Caller
from peers.gateway import Gateway, Peak
from peers.listening import Listener

PIECE = bytes(range(256)) * 256


def virtual_service(name="relays", hosts=("*",), gateways=("edge",), **rules):
    return {
        "apiVersion": objects.NETWORKING, "kind": "VirtualService", "metadata": {"name": name},
        "spec": {"hosts": [*hosts], "gateways": [*gateways], **rules},
    }


def tls_rule(names, *destinations):
    return {"match": [{"sniHosts": [*names]}], "route": [*destinations]}


def tcp_rule(*destinations):
    return {"route": [*destinations]}


def served_by(name, *peers):
    return objects.served_by(name, *peers, port=9000, protocol_name="tcp")


def tcp(*peers):
    """One port of TCP, all of whose connections go to these peers."""
    return [
        objects.gateway(protocol="TCP"), virtual_service(tcp=[tcp_rule(objects.to("db"))]), *served_by("db", *peers)]


class Echo(Listener):
    """Says its name, then sends back what comes, and ends when the client does."""

    def __init__(self, name=b"", **named):
        self.name = name
        super().__init__(self.echo, **named)

    def echo(self, connection, _):
        if self.name:
            connection.sendall(self.name)
        while part := connection.recv(1 << 16):
            connection.sendall(part)
        connection.shutdown(socket.SHUT_WR)


class SecureEcho(Echo):
    """The same behind TLS of its own."""

    def __init__(self, pair, **named):
        with tempfile.NamedTemporaryFile() as file:
            file.write(pair.certificate + pair.key)
            file.flush()
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(file.name)
        super().__init__(**named)

    def echo(self, connection, number):
        with self.context.wrap_socket(connection, server_side=True) as secure:
            while part := secure.recv(1 << 16):
                secure.sendall(part)


def connect(port, **named):
    return socket.create_connection(("127.0.0.1", port), 10, **named)


def secure(port, name, alpn=None):
    return certificates.client_context(alpn=alpn).wrap_socket(connect(port), server_hostname=name)


def exactly(connection, count):
    octets = b""
    while len(octets) < count:
        part = connection.recv(count - len(octets))
        assert part, f"ended after {len(octets)} octets"
        octets += part
    return octets


def rest(connection):
    parts = []
    while part := connection.recv(1 << 18):
        parts.append(part)
    return b"".join(parts)


# TCP


def test_an_endpoint_may_speak_first_and_ends_are_passed_on():
    with Echo(b"hello ") as echo, Gateway(tcp(echo)) as gateway:
        with connect(gateway.port) as client:
            assert exactly(client, 6) == b"hello "
            client.sendall(b"question")
            assert exactly(client, 8) == b"question"
            client.shutdown(socket.SHUT_WR)
            assert rest(client) == b""
        line = gateway.access_log("relays/tcp/0")
        assert '"- - -" 0 - - - "-" 8 14 ' in line and f"127.0.0.1:{echo.port}" in line
        assert "outbound|9000||db.default.svc.cluster.local" in line
        assert gateway.metric(r'relays_total{route="default/relays/tcp/0",flag="-"}') == 1
        assert gateway.metric(r'relay_bytes_total{.*direction="up"') == 8
        assert gateway.metric(r'relay_bytes_total{.*direction="down"') == 14
        assert gateway.metric("relays_active") == 0


def test_connections_are_shared_by_weight():
    with Echo(b"a") as one, Echo(b"b") as other:
        route = tcp_rule(objects.to("one", weight=3), objects.to("other", weight=1))
        config = [
            objects.gateway(protocol="TCP"), virtual_service(tcp=[route]), *served_by("one", one),
            *served_by("other", other)]
        with Gateway(config) as gateway:
            names = []
            for _ in range(200):
                with connect(gateway.port) as client:
                    names.append(client.recv(1))
            assert 110 < names.count(b"a") < 185 and names.count(b"a") + names.count(b"b") == 200


@pytest.mark.parametrize("workers", [1, 2])
def test_100_mebibytes_pass_each_way_unchanged(workers):
    with Echo() as echo, Gateway(tcp(echo), workers=workers) as gateway, connect(gateway.port) as client:
        total = 100 << 20
        sent, received = hashlib.sha256(), hashlib.sha256()

        def send():
            for number in range(total // len(PIECE)):
                piece = struct.pack(">I", number) + PIECE[4:]
                client.sendall(piece)
                sent.update(piece)
            client.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        count = 0
        while part := client.recv(1 << 18):
            received.update(part)
            count += len(part)
        sender.join()
        assert count == total and received.digest() == sent.digest()


def test_a_slow_reader_costs_little_memory_and_gets_everything():
    size = 64 << 20

    def pour(connection, _):
        for _ in range(size // len(PIECE)):
            connection.sendall(PIECE)
        connection.shutdown(socket.SHUT_WR)

    with Listener(pour) as source, Gateway(tcp(source)) as gateway:
        before = gateway.memory_octets()
        with Peak(gateway) as peak, connect(gateway.port) as client:
            waiting.steady(lambda: gateway.metric("relay_bytes_total"), what="the flow")
            assert gateway.metric("relay_bytes_total") < size
            digest, count = hashlib.sha256(), 0
            while part := client.recv(1 << 18):
                digest.update(part)
                count += len(part)
        assert count == size and digest.digest() == hashlib.sha256(PIECE * (size // len(PIECE))).digest()
        assert peak.octets - before < 8 << 20


def test_an_endpoint_that_is_down_makes_way_for_another_and_none_closes():
    with Echo(b"up") as echo:
        dead = Echo()
        dead.stop()
        with Gateway(tcp(dead, echo)) as gateway:
            for _ in range(6):
                with connect(gateway.port) as client:
                    assert exactly(client, 2) == b"up"
            gateway.write(tcp(dead))
            gateway.reload()
            with connect(gateway.port) as client:
                assert client.recv(1) == b""
            line = gateway.access_log("UF,URX")
            assert "connection_refused" in line
            gateway.write([*tcp()[:2], objects.service("db", 9000, "tcp"), {
                **objects.endpoint_slice("db", "127.0.0.1", 9, port_name="tcp"), "endpoints": []}])
            gateway.reload()
            with connect(gateway.port) as client:
                assert client.recv(1) == b""
            gateway.access_log(" UH no_healthy_upstream")


def test_an_idle_relay_is_closed():
    with Echo(b"x") as echo, Gateway(tcp(echo), arguments=["--relay-idle-timeout", "300ms"]) as gateway:
        with connect(gateway.port) as client:
            assert rest(client) == b"x"
        gateway.access_log("tcp_session_idle_timeout")
        assert gateway.metric(r'limit_reached_total{limit="relay_idle_timeout"}') == 1


def test_a_client_that_resets_takes_its_endpoint_along():
    with Echo(b"x") as echo, Gateway(tcp(echo)) as gateway:
        client = connect(gateway.port)
        assert exactly(client, 1) == b"x"
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        gateway.access_log("DC downstream_remote_disconnect")
        waiting.until(lambda: gateway.metric(r'connections{side="upstream"}') == 0, 5, "the end upstream")


# Reload and drain


def test_a_reload_leaves_relays_alone_and_moves_new_ones():
    with Echo(b"a") as one, Echo(b"b") as other, Gateway(tcp(one)) as gateway, connect(gateway.port) as old:
        assert exactly(old, 1) == b"a"
        stop, errors, count = threading.Event(), [], [0]

        def traffic():
            while not stop.is_set():
                try:
                    with connect(gateway.port) as client:
                        name = exactly(client, 1)
                        client.sendall(b"12345")
                        assert exactly(client, 5) == b"12345" and name in (b"a", b"b")
                    count[0] += 1
                except (OSError, AssertionError) as error:
                    errors.append(error)

        threads = [threading.Thread(target=traffic) for _ in range(4)]
        for thread in threads:
            thread.start()
        for number in range(6):
            gateway.write(tcp(other if number % 2 == 0 else one))
            gateway.reload()
        gateway.write(tcp(other))
        gateway.reload()
        stop.set()
        for thread in threads:
            thread.join()
        assert errors == [] and count[0] > 0
        with connect(gateway.port) as new:
            assert exactly(new, 1) == b"b"
        old.sendall(b"still")
        assert exactly(old, 5) == b"still"
        # Its server is gone, and it goes on.
        gateway.write([objects.gateway(port=8001, protocol="HTTP")])
        gateway.reload()
        old.sendall(b"there")
        assert exactly(old, 5) == b"there"
        old.shutdown(socket.SHUT_WR)
        assert rest(old) == b""


def test_a_drain_lets_relays_end_and_cuts_what_never_does():
    with Echo(b"x") as echo:
        soon = ["--deregistration", "500ms"]
        with Gateway(tcp(echo), drain="5m", arguments=soon) as gateway, connect(gateway.port) as client:
            assert exactly(client, 1) == b"x"
            gateway.signal(signal.SIGTERM)
            waiting.until(lambda: gateway.status("/healthz/ready")[0] == 503, 5, "the drain")
            client.sendall(b"more")
            assert exactly(client, 4) == b"more"
            client.shutdown(socket.SHUT_WR)
            assert rest(client) == b""
            assert gateway.wait_exit(15) == 0
        with Gateway(tcp(echo), drain="1s") as gateway, connect(gateway.port) as client:
            assert exactly(client, 1) == b"x"
            gateway.signal(signal.SIGTERM)
            assert gateway.wait_exit(15) == 0
            with pytest.raises(ConnectionResetError):
                client.recv(1)
            assert any("drain_time_over" in line for line in gateway.output)


# TLS that is passed on


@pytest.fixture(scope="module")
def pairs():
    names = ("a.test", "x.b.test", "y.b.test", "deep.y.b.test", "other.test", "ours.test")
    return {name: certificates.authority().issue(name) for name in names}


@pytest.fixture(scope="module")
def passing(pairs):
    """Several endpoints with certificates of their own, beside a server that ends TLS with HTTP, and one with TCP."""
    with SecureEcho(pairs["a.test"]) as exact, SecureEcho(pairs["x.b.test"]) as narrow, \
            SecureEcho(pairs["y.b.test"]) as wide, SecureEcho(pairs["other.test"]) as rest_of_all, \
            Echo(b"clear") as clear:
        servers = [
            {"port": {"number": 443, "name": "tls", "protocol": "TLS"}, "hosts": ["*"], "tls": {"mode": "PASSTHROUGH"}},
            {"port": {"number": 443, "name": "https", "protocol": "HTTPS"}, "hosts": ["ours.test"],
             "tls": {"mode": "SIMPLE", "credentialName": "ours"}},
            {"port": {"number": 443, "name": "db", "protocol": "TLS"}, "hosts": ["deep.y.b.test"],
             "tls": {"mode": "SIMPLE", "credentialName": "deep"}},
        ]
        config = [
            objects.gateway(servers=servers),
            virtual_service(
                hosts=["*"], http=[{"route": [objects.to("clear")]}], tcp=[tcp_rule(objects.to("clear"))],
                tls=[
                    tls_rule(["*"], objects.to("rest")), tls_rule(["*.b.test"], objects.to("wide")),
                    tls_rule(["a.test"], objects.to("exact")), tls_rule(["x.b.test"], objects.to("narrow"))]),
            *served_by("exact", exact), *served_by("narrow", narrow), *served_by("wide", wide),
            *served_by("rest", rest_of_all), *served_by("clear", clear),
            objects.tls_secret("ours", pairs["ours.test"]), objects.tls_secret("deep", pairs["deep.y.b.test"]),
        ]
        with Gateway(config, ports=[443], arguments=["--hello-timeout", "60s"]) as gateway:
            yield gateway


@pytest.mark.parametrize("name", ["a.test", "x.b.test", "y.b.test", "other.test"])
def test_the_endpoint_shows_its_own_certificate(passing, pairs, name):
    with secure(passing.port, name) as client:
        assert int(client.getpeercert()["serialNumber"], 16) == pairs[name].serial
        client.sendall(b"x" * 100_000)
        assert exactly(client, 100_000) == b"x" * 100_000
    assert name in passing.access_log(name)


def test_servers_that_end_tls_stand_beside(passing, pairs):
    with secure(passing.port, "ours.test", ["http/1.1"]) as client:
        assert int(client.getpeercert()["serialNumber"], 16) == pairs["ours.test"].serial
        assert client.selected_alpn_protocol() == "http/1.1"
    with secure(passing.port, "deep.y.b.test") as client:
        assert exactly(client, 5) == b"clear"
        client.sendall(b"y" * 50_000)
        assert exactly(client, 50_000) == b"y" * 50_000


def test_a_hello_may_come_in_any_pieces(passing):
    context = certificates.client_context(alpn=None)
    for name, size in [("a.test", 1), ("a.test", 50), ("ours.test", 1), ("deep.y.b.test", 7)]:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname=name)
        with connect(passing.port) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with pytest.raises(ssl.SSLWantReadError):
                tls.do_handshake()
            hello = outgoing.read()
            for start in range(0, len(hello), size):
                client.sendall(hello[start:start + size])
                if start // size % 16 == 0:
                    waiting.taken(client)  # so that pieces are read one by one, not together
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    client.sendall(outgoing.read())
                    incoming.write(client.recv(1 << 16))
            assert tls.getpeercert()["subjectAltName"] == (("DNS", name),)


def test_every_cut_of_a_hello_ends_without_harm(passing):
    context = certificates.client_context(alpn=None)
    outgoing = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="a.test")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    hello = outgoing.read()
    for cut in range(1, len(hello)):
        with connect(passing.port) as client:
            client.sendall(hello[:cut])
            client.shutdown(socket.SHUT_WR)
            assert rest(client) == b""
    with secure(passing.port, "a.test") as client:
        client.sendall(b"well")
        assert exactly(client, 4) == b"well"


@pytest.mark.parametrize("octets", [
    b"\x16\x03\x01\x00\x00" * 100, b"\x16\x03\x01\xff\xff" + bytes(65_535), b"\x16\x03\x01\x00\x01\x01" * 70_000,
    b"\x16" + bytes(range(256)) * 256, b"\x15\x03\x01\x00\x02\x01\x00", b"SSH-2.0-x\r\n",
], ids=["empty records", "a record of 64 kB", "very many records", "garbage", "an alert", "ssh"])
def test_hostile_hellos_are_refused(passing, octets):
    with connect(passing.port) as client:
        try:
            client.sendall(octets)
            assert client.recv(100) == b"" or octets[:1] != b"\x16"
        except (ConnectionResetError, BrokenPipeError):
            pass
    with secure(passing.port, "a.test") as client:
        client.sendall(b"well")
        assert exactly(client, 4) == b"well"


def test_a_name_without_a_route_is_closed_with_a_line_and_counted(pairs):
    with SecureEcho(pairs["a.test"]) as echo:
        config = [
            objects.gateway(protocol="HTTPS", port=443, tls={"httpsRedirect": False}),
            virtual_service(hosts=["a.test"], tls=[tls_rule(["a.test"], objects.to("db"))]), *served_by("db", echo)]
        with Gateway(config, ports=[443]) as gateway:
            with secure(gateway.port, "a.test") as client:
                client.sendall(b"x")
                assert exactly(client, 1) == b"x"
            with pytest.raises((ssl.SSLError, ConnectionResetError)):
                secure(gateway.port, "b.test")
            line = gateway.access_log("b.test")
            assert '"- - -" 0 NR filter_chain_not_found' in line
            assert gateway.metric(r'tls_handshake_failures_total{reason="unknown_server_name"}') == 1


def test_grpc_over_tls_is_passed_on(pairs):
    pair = pairs["a.test"]
    credentials = grpc.ssl_server_credentials([(pair.key, pair.certificate)])
    with Backend(credentials=credentials) as backend:
        config = [
            objects.gateway(protocol="TLS", port=443, hosts=["*.test"], tls={"mode": "PASSTHROUGH"}),
            virtual_service(hosts=["a.test"], tls=[tls_rule(["a.test"], objects.to("db"))]),
            *served_by("db", backend)]
        with Gateway(config, ports=[443]) as gateway:
            channel = grpc.ssl_channel_credentials(certificates.authority().certificate)
            options = [("grpc.ssl_target_name_override", "a.test")]
            with Caller(gateway.target, channel, options) as caller:
                assert caller.unary(message=b"x" * 1_000_000)[0] == b"x" * 1_000_000
                assert len(list(caller.stream(metadata=[("x-count", "50")]))) == 50


def test_openssl_is_passed_on(pairs):
    pair = pairs["a.test"]
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "pair.pem"
        file.write_bytes(pair.certificate + pair.key)
        port = waiting.free_port()
        server = subprocess.Popen(
            ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", str(file), "-key", str(file), "-rev",
             "-quiet"], stdin=subprocess.DEVNULL)
        try:
            def accepts():
                try:
                    connect(port).close()
                    return True
                except OSError:
                    return False

            waiting.until(accepts, 10, "s_server")
            peer = type("Peer", (), {"address": "127.0.0.1", "port": port})
            config = [
                objects.gateway(protocol="TLS", port=443, tls={"mode": "PASSTHROUGH"}),
                virtual_service(tls=[tls_rule(["*"], objects.to("db"))]), *served_by("db", peer)]
            with Gateway(config, ports=[443]) as gateway, secure(gateway.port, "a.test") as client:
                client.sendall(b"abc\n")
                assert exactly(client, 4) == b"cba\n"
        finally:
            server.kill()
            server.wait()


def test_connections_count_towards_the_limits():
    with Echo(b"x") as echo:
        with Gateway(tcp(echo), arguments=["--max-upstream-connections", "2"]) as gateway:
            held = [connect(gateway.port) for _ in range(2)]
            for client in held:
                assert exactly(client, 1) == b"x"
            with connect(gateway.port) as third:
                assert third.recv(1) == b""
            gateway.access_log(" UO upstream_overflow")
            for client in held:
                client.close()
        with Gateway(tcp(echo), arguments=["--max-connections", "2"]) as gateway:
            held = [connect(gateway.port) for _ in range(2)]
            for client in held:
                assert exactly(client, 1) == b"x"
            # A relay is never idle enough to make room: the third waits in the kernel's queue.
            with connect(gateway.port) as third:
                third.settimeout(0.3)
                with pytest.raises(TimeoutError):
                    third.recv(1)
                held[0].close()
                third.settimeout(60)
                assert exactly(third, 1) == b"x"
            held[1].close()
