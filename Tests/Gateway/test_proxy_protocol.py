"""`proxyProtocol` of a DestinationRule: connections to endpoints begin with the client's address."""

import ssl
import struct
import tempfile
import threading

import pytest

from peers import certificates, http1, http2, objects, waiting
from peers.gateway import Gateway, run
from peers.listening import Listener
from test_relay import connect, exactly, served_by, tcp_rule, virtual_service

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


class Behind(Listener):
    """An HTTP/1.1 server that wants the header, and answers with the address in it. `seen` has one per connection."""

    def __init__(self, context=None, wait=None, **named):
        self.seen, self.context, self.gate = [], context, wait
        super().__init__(self.serve, **named)

    @staticmethod
    def header(connection):
        start = exactly(connection, 1)
        while len(start) < 12:
            start += exactly(connection, 1)
        if start == SIGNATURE:
            command, family, length = struct.unpack("!BBH", exactly(connection, 4))
            body = exactly(connection, length)
            if command == 0x20:
                return "local"
            assert (command, family) == (0x21, 0x11) and length == 12, (command, family, length)
            source = struct.unpack("!4B4BHH", body)
            return ".".join(map(str, source[:4])) + f":{source[8]}>" + ".".join(map(str, source[4:8])) + f":{source[9]}"
        while not start.endswith(b"\r\n"):
            start += exactly(connection, 1)
        words = start.decode().split()
        if words[1:] == ["UNKNOWN"]:
            return "unknown"
        assert words[:2] == ["PROXY", "TCP4"], start
        return f"{words[2]}:{words[4]}>{words[3]}:{words[5]}"

    def serve(self, raw, _number):
        address = self.header(raw)
        self.seen.append(address)
        stream = self.context.wrap_socket(raw, server_side=True) if self.context else raw
        connection = http1.Connection(stream)
        try:
            while True:
                request = connection.request()
                if self.gate:
                    self.gate.wait(60)
                connection.send(f"HTTP/1.1 200 X\r\nx-client: {address}\r\nx-path: {request.target}\r\n"
                                "content-length: 0\r\n\r\n")
        except (EOFError, OSError):
            pass


def config(*servers, version="V1", tls=None, pool=None, **rule):
    policy = {"proxyProtocol": {"version": version}, **({"tls": tls} if tls else {}),
              **({"connectionPool": pool} if pool else {})}
    return [*objects.echo(*servers, protocol="HTTP", protocol_name="http", **rule),
            objects.destination_rule("echo", trafficPolicy=policy)]


def get(connection, path="/"):
    connection.send(f"GET {path} HTTP/1.1\r\nhost: a.test\r\n\r\n")
    return connection.response()


def address(connection, gateway):
    host, port = connection.socket.getsockname()
    return f"{host}:{port}>127.0.0.1:{gateway.port}"


@pytest.mark.parametrize("version", ["V1", "V2"])
def test_each_client_has_connections_of_its_own_that_end_with_it(version):
    with Behind() as server, Gateway(config(server, version=version)) as gateway:
        with http1.connect(gateway.port) as one, http1.connect(gateway.port) as other:
            for connection in (one, other, one, other, one):
                assert get(connection).value("x-client") == address(connection, gateway)
            assert sorted(server.seen) == sorted([address(one, gateway), address(other, gateway)])
        upstream = r'^portico_connections\{side="upstream"\}'
        waiting.until(lambda: gateway.metric(upstream) == 0, 10, "the end of their connections")


def test_streams_of_one_client_share_and_those_of_two_do_not():
    with Behind() as server, Gateway(config(server)) as gateway:
        with http2.connect(gateway.port) as one, http2.connect(gateway.port) as other:
            for _ in range(3):
                for peer in (one, other):
                    assert peer.exchange(http2.get_headers()).status == 200
        assert len(server.seen) == len(set(server.seen)) == 2


def test_the_header_comes_before_tls():
    pair = certificates.authority().issue("a.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(pair.certificate + pair.key)
        file.flush()
        context.load_cert_chain(file.name)
    with Behind(context) as server:
        with Gateway(config(server, tls={"mode": "SIMPLE", "insecureSkipVerify": True})) as gateway:
            with http1.connect(gateway.port) as client:
                assert get(client).value("x-client") == address(client, gateway)
                assert get(client).value("x-client") == address(client, gateway)
            assert len(server.seen) == 1


def test_copies_are_nobodys_and_say_so():
    with Behind() as server, Behind() as copies:
        rule = {"mirror": {"host": "copies"}}
        objects_ = [
            *config(server, **rule), *objects.served_by("copies", copies, protocol_name="http"),
            objects.destination_rule("copies", "copies", trafficPolicy={"proxyProtocol": {"version": "V2"}})]
        with Gateway(objects_) as gateway, http1.connect(gateway.port) as client:
            assert get(client).status == 200
            waiting.until(lambda: copies.seen == ["local"], 10, "the copy")


def test_more_clients_than_an_endpoint_may_have_connections_take_turns():
    with Behind() as server, Gateway(config(server), arguments=["--max-upstream-connections", "2"]) as gateway:
        clients = [http1.connect(gateway.port) for _ in range(5)]
        for client in clients * 2:
            assert get(client).value("x-client") == address(client, gateway)
        for client in clients:
            client.close()
    gate = threading.Event()
    with Behind(wait=gate) as server, Gateway(config(server), arguments=["--max-upstream-connections", "1"]) as gateway:
        with http1.connect(gateway.port) as first, http1.connect(gateway.port) as second:
            first.send("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n")
            waiting.until(lambda: len(server.seen) == 1, 10, "the first request")
            assert get(second).status == 503
            gate.set()
            assert first.response().status == 200
            assert get(second).status == 200


@pytest.mark.parametrize("version", ["V1", "V2"])
def test_relayed_connections_begin_with_it_too(version):
    with Behind() as server:
        objects_ = [
            objects.gateway(protocol="TCP"), virtual_service(tcp=[tcp_rule(objects.to("db"))]),
            *served_by("db", server),
            objects.destination_rule("db", trafficPolicy={"proxyProtocol": {"version": version}})]
        with Gateway(objects_) as gateway:
            for _ in range(2):
                with http1.connect(gateway.port) as client:
                    assert get(client).value("x-client") == address(client, gateway)


def test_a_reload_may_begin_and_end_it(tmp_path):
    with Behind() as server, http1.Upstream() as plain, Gateway(config(server)) as gateway:
        with http1.connect(gateway.port) as client:
            assert get(client).status == 200
            gateway.write(config(plain)[:-1])
            gateway.reload()
            assert get(client).value("x-client") is None
            gateway.write(config(server, version="V2"))
            gateway.reload()
            assert get(client).value("x-client") == address(client, gateway)
    file = tmp_path / "objects.yaml"
    file.write_text(objects.text(config(server)))
    assert "proxyProtocol: version V1" in run("routes", file).stdout


def test_a_client_that_goes_leaves_nothing_behind():
    gate = threading.Event()
    with Behind(wait=gate) as server, Gateway(config(server)) as gateway:
        for _ in range(20):
            with connect(gateway.port) as client:
                client.sendall(b"GET / HTTP/1.1\r\nhost: a.test\r\n\r\n")
                count = len(server.seen)
                waiting.until(lambda: len(server.seen) > count - 1, 10, "the request")
        gate.set()
        upstream = r'^portico_connections\{side="upstream"\}'
        waiting.until(lambda: gateway.metric(upstream) == 0, 10, "the end")
        with http1.connect(gateway.port) as client:
            assert get(client).status == 200
