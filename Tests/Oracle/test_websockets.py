"""WebSockets over HTTP/1.1 and over HTTP/2 (RFC 8441), through a real Envoy and through Portico."""

import contextlib
import threading

import envoy
import pytest
from peers import http1, http2, objects, waiting
from peers.gateway import Gateway
from test_websocket import ACCEPTED, CONNECT, CONNECT_PROTOCOL, HELLO, accept, accept_connect


def refuse(connection, _request):
    connection.send("HTTP/1.1 401 Who\r\nx-why: token\r\ncontent-length: 2\r\n\r\nno")


def leave(connection, _request):
    connection.send(ACCEPTED + "bye")
    connection.close()
    raise EOFError


# service → how it answers in HTTP/1.1; `second` speaks HTTP/2
SERVICES = {"chat": accept, "refuses": refuse, "leaves": leave}


class WebSockets(envoy.Envoy):
    """A port whose first step of the path names the service; WebSockets come over HTTP/2, too."""

    def __init__(self, ports):
        self.port, self.admin_port = waiting.free_port(), waiting.free_port()
        self.folder = envoy.tempfile.TemporaryDirectory(prefix="envoy-")
        routes = [envoy.route({"prefix": f"/{name}"}, name) for name in ports]
        chain = envoy.chain([{"name": "all", "domains": ["*"], "routes": routes}])
        chain["filters"][0]["typed_config"]["http2_protocol_options"] = {"allow_connect": True}
        clusters = [envoy.cluster(name, port, http2=name == "second") for name, port in ports.items()]
        for cluster in clusters:
            if cluster["name"] == "second":
                explicit = cluster["typed_extension_protocol_options"][envoy.PROTOCOLS]["explicit_http_config"]
                explicit["http2_protocol_options"] = {"allow_connect": True}
        self._start([{"name": "all", "address": self._address(self.port), "filter_chains": [chain]}], clusters)


@pytest.fixture(scope="module")
def ports():
    """Envoy's, and Portico's."""
    with contextlib.ExitStack() as stack:
        servers = {name: stack.enter_context(http1.Upstream(reply)) for name, reply in SERVICES.items()}
        settings = {CONNECT_PROTOCOL: 1}
        servers["second"] = stack.enter_context(http2.ScriptedUpstream(accept_connect, settings=settings))
        rules = [objects.rule(name, match=[{"uri": {"prefix": f"/{name}"}}]) for name in servers]
        config = [objects.gateway(), objects.virtual_service(rules)]
        for name, server in servers.items():
            config += objects.served_by(
                name, server, port=80, protocol_name="grpc" if name == "second" else "http")
        oracle = stack.enter_context(WebSockets({name: server.port for name, server in servers.items()}))
        gateway = stack.enter_context(Gateway(config))
        yield oracle.port, gateway.port


def first(service, octets=b"", more="", ends=False):
    """Over HTTP/1.1: the answer, and what comes back of some octets."""
    def send(port):
        hello = HELLO.replace("/chat", f"/{service}").replace("\r\n\r\n", f"\r\n{more}\r\n")
        with http1.connect(port) as client:
            client.send(hello)
            answer = client.head()
            made = {"status": answer.status, "upgrade": answer.value("upgrade"),
                    "accept": answer.value("sec-websocket-accept"), "why": answer.value("x-why")}
            if octets:
                sender = threading.Thread(target=client.send, args=(octets,))
                sender.start()
                made["octets"] = client._exactly(len(octets)) == octets
                sender.join()
            if ends:
                made["rest"] = client.rest()
            return made

    return send


def second(service, octets=b"", ends=False, headers=None):
    """Over HTTP/2: the same."""
    def send(port):
        asked = headers or [
            (name, value.replace("/chat", f"/{service}") if name == ":path" else value) for name, value in CONNECT]
        with http2.connect(port) as client:
            client.wait(lambda: client.peer_settings.get(CONNECT_PROTOCOL) == 1)
            stream = client.open(asked, end=False)
            client.wait(lambda: stream.headers or stream.over)
            made = {"status": stream.status, "accept": stream.header("sec-websocket-accept"),
                    "upgrade": stream.header("upgrade"), "why": stream.header("x-why")}
            if octets:
                client.send_data(stream.number, octets)
                client.wait(lambda: len(stream.data) == len(octets), 30)
                made["octets"] = bytes(stream.data) == octets
                client.send_data(stream.number, b"", end=True)
            if ends:
                client.wait(lambda: stream.over)
                made["rest"] = bytes(stream.data)
            return made

    return send


LONG = bytes(number % 251 for number in range(300_000))
CASES = {
    "HTTP/1.1 to HTTP/1.1": first("chat", LONG),
    "HTTP/1.1 to HTTP/2": first("second", LONG),
    "HTTP/2 to HTTP/1.1": second("chat", LONG),
    "HTTP/2 to HTTP/2": second("second", LONG),
    "HTTP/1.1, refused": first("refuses"),
    "HTTP/2, refused": second("refuses", ends=True),
    "HTTP/1.1, the endpoint ends": first("leaves", ends=True),
    "HTTP/2, the endpoint ends": second("leaves", ends=True),
    "HTTP/1.1 without a route": first("nowhere"),
    "HTTP/2 without a route": second("nowhere"),
}


TRANSLATED = (
    "the fields of a WebSocket's handshake are made anew for the other version of HTTP (RFC 8441 §5); "
    "Envoy leaves them")
# case → what differs
DIFFERENCES = {
    "HTTP/1.1 to HTTP/2": {"accept"}, "HTTP/2 to HTTP/1.1": {"accept"}, "HTTP/2, the endpoint ends": {"accept"}}


@pytest.mark.parametrize("name", CASES)
def test_envoy_agrees(ports, name):
    oracle, portico = (CASES[name](port) for port in ports)
    differing = {key for key in oracle if oracle[key] != portico[key]}
    assert differing == DIFFERENCES.get(name, set()), (oracle, portico)
