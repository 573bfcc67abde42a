"""The same connections that begin with a header of the PROXY protocol, through a real Envoy and through Portico: who is
served, and which client the endpoint is told of."""

import contextlib
import json
import socket

import envoy
import pytest
import stage
from peers import http1, objects
from peers import proxy_protocol as proxy
from peers.gateway import Gateway

REQUEST = b"GET / HTTP/1.1\r\nhost: a.test\r\n\r\n"


@pytest.fixture(scope="module")
def ports():
    """Of Envoy and of Portico, each (where a header is required, where it is not)."""
    with http1.Upstream(stage.show) as echo:
        hosts = [{"name": "a", "domains": ["*"], "routes": [envoy.route({"prefix": "/"}, "show")]}]
        config = [
            objects.gateway(servers=[
                {"port": {"number": port, "name": f"http-{port}", "protocol": "HTTP"}, "hosts": ["*"]}
                for port in (8000, 8001)]),
            objects.virtual_service([objects.rule("show")]),
            *objects.served_by("show", echo, port=80, protocol_name="http")]
        arguments = ["--proxy-protocol", "8000=require", "--proxy-protocol", "8001=optional",
                     "--proxy-protocol-from", "127.0.0.0/8"]
        with envoy.Behind(hosts, [envoy.cluster("show", echo.port)]) as oracle:
            with Gateway(config, ports=[8000, 8001], arguments=arguments) as gateway:
                yield (oracle.required, oracle.optional), (gateway.map[8000], gateway.map[8001])


def told(port, header):
    """What the endpoint is told of the client; "closed" without an answer, or the status of another answer."""
    with contextlib.closing(socket.create_connection(("127.0.0.1", port), 10)) as client:
        own = client.getsockname()[0]
        try:
            client.sendall(header + REQUEST)
            answer = http1.Connection(client).response()
        except (OSError, EOFError, ValueError):
            return "closed"
        if answer.status != 200:
            return answer.status
        fields = dict(json.loads(answer.body)["headers"])
        client_address = fields["x-forwarded-for"]
        return "the connection's own" if client_address == own else client_address


V4 = b"PROXY TCP4 192.0.2.7 198.51.100.1 54321 443\r\n"
LOCAL = proxy.raw(command=0x20, family=0)
CASES = {
    "1, TCP4": V4,
    "1, TCP6": proxy.v1(proxy.CLIENT6, proxy.BALANCER6),
    "1, UNKNOWN": b"PROXY UNKNOWN\r\n",
    "1, UNKNOWN with addresses": b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n",
    "1, no carriage return": b"PROXY TCP4 192.0.2.7 198.51.100.1 54321 443\n",
    "1, an address that is none": b"PROXY TCP4 192.0.2.777 198.51.100.1 54321 443\r\n",
    "1, the other family's address": b"PROXY TCP4 2001:db8::7 198.51.100.1 54321 443\r\n",
    "1, a port too high": b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n",
    "1, a port is missing": b"PROXY TCP4 192.0.2.7 198.51.100.1 54321\r\n",
    "1, a protocol that is none": b"PROXY UDP4 192.0.2.7 198.51.100.1 54321 443\r\n",
    "1, in small letters": b"proxy TCP4 192.0.2.7 198.51.100.1 54321 443\r\n",
    "1, more than 107 octets": b"PROXY UNKNOWN " + b"x" * 200 + b"\r\n",
    "1, two headers": V4 + V4,
    "2, IPv4": proxy.v2(),
    "2, IPv6": proxy.v2(proxy.CLIENT6, proxy.BALANCER6),
    "2, LOCAL": LOCAL,
    "2, LOCAL with addresses": proxy.v2(command=0x20),
    "2, values": proxy.v2(extras=proxy.value(2, b"a.test") + proxy.value(0xEA, b"\x01vpce-1")),
    "2, a value that does not end": proxy.v2(extras=b"\x02\x00\x10abc"),
    "2, a checksum": proxy.v2_checked(),
    "2, version 1": proxy.v2(command=0x11),
    "2, version 3": proxy.v2(command=0x31),
    "2, a command that is none": proxy.v2(command=0x22),
    "2, too short for its addresses": proxy.raw(b"\0" * 8),
    "2, addresses of no family": proxy.raw(command=0x21, family=0),
    "2, a family that is none": proxy.v2(family=0x41),
    "2, UDP": proxy.v2(family=0x12),
    "2, Unix": proxy.raw(b"\0" * 216, family=0x31),
    "2, a signature with a fault": b"\r\n\r\n\x00\r\nQUIX\n" + proxy.v2()[12:],
    "no header": b"",
}
# Case -> why Portico differs.
UNSPECIFIED = "the protocol has receivers take the connection's own address (section 2.2, AF_UNSPEC and AF_UNIX)"
DIFFERENCES = {"2, addresses of no family": UNSPECIFIED, "2, Unix": UNSPECIFIED}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("place", [0, 1], ids=["required", "optional"])
def test_envoy_agrees(ports, place, name):
    oracle, portico = (told(each[place], CASES[name]) for each in ports)
    if name in DIFFERENCES:
        assert oracle != portico, "no longer differs: remove it from the list"
    else:
        assert oracle == portico
