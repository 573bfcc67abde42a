"""Headers of the PROXY protocol that arrive: where they count, what they change, and what ends a connection."""

import contextlib
import json
import random
import socket
import ssl

import pytest

from peers import certificates, http1, http2, objects, proxy_protocol, waiting
from peers.gateway import Gateway, run
from peers.proxy_protocol import BALANCER, CLIENT, CLIENT6, dial, http1_client, http2_client, raw, v1, v2, value
from test_relay import Echo, tcp

GET = "GET / HTTP/1.1\r\nhost: echo.test\r\n\r\n"
REFUSED = r'^portico_connections_refused_total\{{reason="{}"\}}'
BEGAN = r'^portico_proxy_headers_total\{{kind="{}"\}}'


def web_objects(web):
    return objects.echo(web, protocol="HTTP", protocol_name="http")


@pytest.fixture(scope="module")
def required(web):
    """Headers may come octet by octet from a busy machine."""
    arguments = ["--proxy-protocol", "require", "--log-format", "json", "--proxy-header-timeout", "60s"]
    with Gateway(web_objects(web), arguments=arguments) as made:
        yield made


@pytest.fixture(scope="module")
def impatient(web):
    arguments = ["--proxy-protocol", "require", "--proxy-header-timeout", "1s"]
    with Gateway(web_objects(web), arguments=arguments) as made:
        yield made


@pytest.fixture(scope="module")
def optional(web):
    arguments = ["--proxy-protocol", "8000=optional", "--proxy-protocol-from", "127.0.0.0/30"]
    with Gateway(web_objects(web), arguments=arguments) as made:
        yield made


def ask(gateway, header, **named):
    """The status of one request behind a header."""
    with http1_client(gateway.port, header, **named) as client:
        client.send(GET)
        return client.response().status


def is_closed(gateway, octets, **named):
    """Whether the gateway ends a connection that begins so, without a word."""
    with http1.Connection(dial(gateway.port, octets, **named)) as client:
        return client.rest() == b""


def counting(gateway, reason, work, times=1):
    """Runs `work`, and waits until it has been refused for that reason."""
    before = gateway.metric(REFUSED.format(reason))
    work()
    waiting.until(lambda: gateway.metric(REFUSED.format(reason)) == before + times, 10, reason)


# Whose connection it is


@pytest.mark.parametrize("pieces", [False, True], ids=["whole", "octet-by-octet"])
@pytest.mark.parametrize("header, client", [
    (v1(), "192.0.2.7"), (v1(CLIENT6, proxy_protocol.BALANCER6), "2001:db8::7"),
    (v2(), "192.0.2.7"), (v2(CLIENT6, proxy_protocol.BALANCER6), "2001:db8::7"),
    (v2(family=0x12), "192.0.2.7"), (proxy_protocol.v2_checked(), "192.0.2.7"),
    (v2(extras=value(4, bytes(4000)) + value(0xEE, b"?")), "192.0.2.7"),
    (b"PROXY UNKNOWN\r\n", "127.0.0.1"), (b"PROXY UNKNOWN ffff:: ffff:: 1 2\r\n", "127.0.0.1"),
    (v2(command=0x20), "127.0.0.1"), (raw(b"anything", command=0x20, family=0), "127.0.0.1"),
    (raw(family=0), "127.0.0.1"), (raw(bytes(216), family=0x31), "127.0.0.1"),
])
def test_the_header_says_whose_connection_it_is(required, web, header, client, pieces):
    assert ask(required, header, pieces=pieces) == 200
    assert web.last.values("x-forwarded-for") == [client]


def test_what_a_client_says_of_addresses_stays_before_its_own(required, web):
    with http1_client(required.port, v1()) as client:
        client.send("GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 9.9.9.9\r\n\r\n")
        assert client.response().status == 200
    assert web.last.values("x-forwarded-for") == ["9.9.9.9,192.0.2.7"]


def test_header_and_request_may_share_a_segment(required):
    with http1.Connection(dial(required.port, v2() + GET.encode())) as client:
        assert client.response().status == 200


def test_http2_with_prior_knowledge_follows_a_header(required, web):
    with http2_client(required.port, v2()) as client:
        assert client.exchange(http2.get_headers()).status == 200
    assert web.last.values("x-forwarded-for") == ["192.0.2.7"]


def test_the_access_log_has_the_client_the_peer_and_the_endpoint_of_the_vpc(required):
    extras = value(0xEA, b"\x01vpce-08d2bf15fac5001c9") + value(2, b"shop.test") + value(5, b"\x00\x01")
    with http1_client(required.port, v2(extras=extras)) as client:
        client.send("GET /logged HTTP/1.1\r\nhost: a\r\n\r\n")
        assert client.response().status == 200
        own = client.socket.getsockname()
    line = json.loads(required.access_log('"path":"/logged"'))
    assert line["downstream_remote_address"] == "192.0.2.7:54321"
    assert line["downstream_local_address"] == "198.51.100.1:443"
    assert line["downstream_direct_remote_address"] == f"{own[0]}:{own[1]}"
    assert line["vpc_endpoint_id"] == "vpce-08d2bf15fac5001c9"
    assert line["proxy_authority"] == "shop.test" and line["proxy_unique_id"] == "0001"
    assert line["x_forwarded_for"] == "192.0.2.7"
    assert list(line) == sorted(line)


def test_a_long_value_is_cut_and_counted(web):
    with Gateway(web_objects(web), arguments=["--proxy-protocol", "require", "--log-format", "json"]) as gateway:
        with http1_client(gateway.port, v2(extras=value(2, b"a" * 300))) as client:
            client.send("GET /long HTTP/1.1\r\nhost: a\r\n\r\n")
            assert client.response().status == 200
        assert json.loads(gateway.access_log('"path":"/long"'))["proxy_authority"] == "a" * 255
        assert gateway.metric('limit="proxy_header_value"') == 1


def test_operators_tell_the_client_from_the_peer(web):
    fields = {"x-client": "%DOWNSTREAM_REMOTE_ADDRESS%", "x-peer": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%",
              "x-to": "%DOWNSTREAM_LOCAL_ADDRESS%"}
    config = objects.echo(web, protocol="HTTP", protocol_name="http", headers={"request": {"set": fields}})
    with Gateway(config, arguments=["--proxy-protocol", "require"]) as gateway:
        assert ask(gateway, v1()) == 200
    assert [web.last.values(name) for name in fields] == [["192.0.2.7:54321"], ["127.0.0.1"], ["198.51.100.1:443"]]


def test_requests_are_spread_by_the_address_of_the_header():
    with http1.Upstream() as one, http1.Upstream() as other:
        config = [*objects.echo(one, other, protocol="HTTP", protocol_name="http"), objects.destination_rule(
            "echo", trafficPolicy={"loadBalancer": {"consistentHash": {"useSourceIp": True}}})]
        with Gateway(config, arguments=["--proxy-protocol", "require"]) as gateway:
            waiting.until(lambda: ask(gateway, v1()) == 200, 10, "an answer")
            places = {}
            for number in range(24):
                client = (f"192.0.2.{number}", 1000)
                for port in (1, 2):
                    before = len(one.requests)
                    assert ask(gateway, v1((client[0], port))) == 200
                    places.setdefault(client, set()).add(len(one.requests) > before)
    assert all(len(found) == 1 for found in places.values()), "an address has one place"
    assert len(set.union(*places.values())) == 2, "addresses have several"


# TLS, TCP, and what an endpoint gets


def test_the_header_comes_before_tls(web):
    pair = certificates.authority().issue("shop.test")
    config = [*web_objects(web), objects.tls_secret("cert", pair)]
    config[0] = objects.gateway(protocol="HTTPS", tls={"mode": "SIMPLE", "credentialName": "cert"})
    with Gateway(config, arguments=["--proxy-protocol", "require"]) as gateway:
        context = certificates.client_context(issuer=pair.issuer)
        for header in (v1(), v2()):
            for pieces in (False, True):
                with http2_client(gateway.port, header, context, "shop.test", pieces=pieces) as client:
                    assert client.exchange(http2.get_headers(scheme="https", authority="shop.test")).status == 200
                assert web.last.values("x-forwarded-for") == ["192.0.2.7"]
        # The header and the ClientHello in one segment.
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        secure = context.wrap_bio(incoming, outgoing, server_hostname="shop.test")
        with pytest.raises(ssl.SSLWantReadError):
            secure.do_handshake()
        with dial(gateway.port, v2() + outgoing.read()) as connection:
            assert connection.recv(1) == b"\x16"
        # Within TLS it is no header any more.
        counting(gateway, "proxy_header_missing", lambda: is_closed(gateway, b"\x16\x03\x01\x02\x00\x01"))


def test_relayed_connections_and_their_endpoints_get_the_address():
    with Echo() as peer:
        for version, begin in (("V1", v1()), ("V2", v2())):
            config = [*tcp(peer), objects.destination_rule("db", trafficPolicy={"proxyProtocol": {"version": version}})]
            with Gateway(config, arguments=["--proxy-protocol", "require", "--log-format", "json"]) as gateway:
                with dial(gateway.port, v2() + b"hello") as connection:
                    connection.shutdown(socket.SHUT_WR)
                    assert http1.Connection(connection).rest() == begin + b"hello"
                line = json.loads(gateway.access_log('"bytes_received":5,'))
                assert line["downstream_remote_address"] == "192.0.2.7:54321"
                assert line["downstream_direct_remote_address"].startswith("127.0.0.1:")


def test_an_endpoint_that_speaks_first_is_heard():
    with Echo(b"welcome") as peer:
        with Gateway(tcp(peer), arguments=["--proxy-protocol", "require"]) as gateway:
            with dial(gateway.port, v1()) as connection:
                assert connection.recv(7) == b"welcome"
        arguments = ["--proxy-protocol", "optional", "--proxy-header-timeout", "200ms"]
        with Gateway(tcp(peer), arguments=arguments) as gateway, dial(gateway.port, b"") as connection:
            assert connection.recv(7) == b"welcome"


def test_tls_that_is_passed_through_keeps_its_octets():
    from test_relay import SecureEcho, tls_rule, virtual_service
    pair = certificates.authority().issue("db.test")
    with SecureEcho(pair) as peer:
        config = [
            objects.gateway(protocol="TLS", hosts=["db.test"], tls={"mode": "PASSTHROUGH"}),
            virtual_service(hosts=["db.test"], tls=[tls_rule(["db.test"], objects.to("db"))]),
            *objects.served_by("db", peer, port=9000, protocol_name="tcp")]
        with Gateway(config, arguments=["--proxy-protocol", "require"]) as gateway:
            context = certificates.client_context(alpn=(), issuer=pair.issuer)
            with http1_client(gateway.port, v2(), context, "db.test", pieces=True) as client:
                client.send(b"over")
                assert client.socket.recv(4) == b"over"
            gateway.access_log("192.0.2.7:54321")


# Optional, and peers that nobody trusts


def test_an_optional_header_may_be_absent(optional, web):
    for octets in (b"", b"\r\n"):  # an empty line may precede a request, and begins as a header does
        with http1.Connection(dial(optional.port, octets)) as client:
            client.send(GET)
            assert client.response().status == 200
    assert http1.get(optional.port).status == 200
    assert web.last.values("x-forwarded-for") == ["127.0.0.1"]
    with http2.connect(optional.port) as client:
        assert client.exchange(http2.get_headers()).status == 200
    for method in ("POST", "PROPFIND", "PRI", "P"):  # each begins as "PROXY" does
        request = f"{method} / HTTP/1.1\r\nhost: a\r\n\r\n".encode()
        with http1.Connection(dial(optional.port, request, pieces=True)) as client:
            assert client.response().status in (200, 405, 501, 400), method
    assert ask(optional, v1()) == 200
    assert web.last.values("x-forwarded-for") == ["192.0.2.7"]
    assert optional.metric(BEGAN.format("absent")) >= 3 and optional.metric(BEGAN.format("v1")) >= 1


def test_an_optional_header_may_not_be_malformed(optional):
    counting(optional, "proxy_header_malformed", lambda: is_closed(optional, b"PROXY TCP4 a b 1 2\r\n" + GET.encode()))
    counting(optional, "proxy_header_cut", lambda: dial(optional.port, v1()[:20]).close())


def test_nobody_else_may_say_an_address(optional, web):
    source = "127.0.0.9"  # outside of 127.0.0.0/30
    for header in (v1(), v2(), v1()[:12], b"PROXY nonsense\r\n"):
        counting(optional, "proxy_header_untrusted", lambda: is_closed(optional, header, source=source))
    assert ask(optional, b"", source=source) == 200
    assert web.last.values("x-forwarded-for") == [source]


def test_where_a_header_is_required_nobody_else_is_served(web):
    trusted = ["--proxy-protocol-from", "127.0.0.1", "--proxy-protocol-from", "10.0.0.0/8"]
    arguments = ["--proxy-protocol", "require", *trusted]
    with Gateway(web_objects(web), arguments=arguments) as gateway:
        assert ask(gateway, v1()) == 200
        for octets in (v1(), GET.encode()):
            counting(gateway, "proxy_header_untrusted", lambda: is_closed(gateway, octets, source="127.0.0.2"))


# What ends a connection


@pytest.mark.parametrize("octets, reason", [
    (GET.encode(), "missing"), (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "missing"), (b"\x16\x03\x01", "missing"),
    (v1().replace(b"\r\n", b"\n"), "malformed"), (v1().replace(b"54321", b"65536"), "malformed"),
    (v1().replace(b"192.0.2.7", b"192.0.2.777"), "malformed"), (b"PROXY " + b"x" * 200, "too_long"),
    (v2(command=0x22), "malformed"), (v2(command=0x11), "malformed"), (v2(family=0x21), "malformed"),
    (raw(bytes(11)), "malformed"), (v2(extras=b"\x04\xff\xff"), "malformed"),
    (raw(bytes(4097)), "too_long"), (v2(extras=value(3, b"\0\0\0\1")), "checksum"),
    (proxy_protocol.SIGNATURE + b"\x21\x11\xff\xff", "too_long"),
])
def test_a_header_that_is_wrong_ends_its_connection(required, octets, reason):
    counting(required, f"proxy_header_{reason}", lambda: is_closed(required, octets))
    required.access_log(f'"response_code_details":"proxy_header_{reason}')


@pytest.mark.parametrize("octets", [b"", b"P", b"PROXY TCP4 ", b"\r\n\r\n", v2()[:-1]])
def test_a_header_that_is_slow_ends_its_connection(impatient, octets):
    counting(impatient, "proxy_header_timeout", lambda: is_closed(impatient, octets))


def test_who_connects_and_says_nothing_is_no_fault(required):
    before, lines = required.metric("^portico_connections_refused_total"), len(required.output)
    for _ in range(20):
        dial(required.port, b"").close()
    assert ask(required, v1()) == 200
    opened, active = r'^portico_connections_total\{side="downstream"\}', r'^portico_connections\{side="downstream"\}'
    waiting.until(lambda: required.metric(opened) >= 21 and required.metric(active) == 0, 10, "their ends")
    assert required.metric("^portico_connections_refused_total") == before
    assert len(required.output) <= lines + 1


def test_a_second_header_is_no_request(required):
    with http1.Connection(dial(required.port, v1() + v1() + GET.encode())) as client:
        assert client.response().status == 400


def test_the_status_port_needs_no_header(required):
    assert required.status("/healthz/ready")[0] == 200


def test_headers_of_chance_end_no_process(required):
    dice = random.Random(7)
    for _ in range(300):
        octets = bytearray(dice.choice([v1(), v2(), v2(extras=value(0x20, bytes(9)))]))
        for _ in range(dice.randint(0, 3)):
            octets[dice.randrange(len(octets))] = dice.randrange(256)
        with contextlib.suppress(ConnectionError):
            sent = bytes(octets[:dice.randint(0, len(octets))])
            with dial(required.port, sent, pieces=dice.random() < 0.2) as connection:
                if dice.random() < 0.5:
                    connection.sendall(GET.encode())
    assert ask(required, v1()) == 200


def test_many_slow_headers_cost_nobody_else_anything(impatient, many_files):
    before = impatient.metric(REFUSED.format("proxy_header_timeout"))
    slow = [dial(impatient.port, v2()[:20]) for _ in range(1500)]
    for _ in range(20):
        assert ask(impatient, v1()) == 200
    waiting.until(
        lambda: impatient.metric(REFUSED.format("proxy_header_timeout")) >= before + len(slow), 30, "their ends")
    for connection in slow:
        connection.close()


# Where it is switched on


def test_ports_have_modes_of_their_own_also_over_a_reload(web):
    config = [*web_objects(web), objects.gateway("other", 8001), objects.virtual_service(
        [objects.rule("echo")], "others", gateways=["other"])]
    arguments = ["--proxy-protocol", "require", "--proxy-protocol", "8001=off"]
    with Gateway(config, ports=(8000, 8001), arguments=arguments) as gateway:
        assert ask(gateway, v1()) == 200
        assert http1.get(gateway.map[8001]).status == 200
        waiting_client = dial(gateway.port, v1()[:9])
        gateway.reload()
        waiting_client.sendall(v1()[9:] + GET.encode())
        assert http1.Connection(waiting_client).response().status == 200
        waiting_client.close()


def test_routes_and_check_tell_of_it(web, tmp_path):
    file = tmp_path / "objects.yaml"
    file.write_text(objects.text(web_objects(web)))
    flags = ["--proxy-protocol", "8000=optional", "--proxy-protocol-from", "10.0.0.0/8"]
    assert "*:8000: connections may begin with a PROXY protocol header, of peers in 10.0.0.0/8" in run(
        "routes", file, *flags).stdout
    topology = json.loads(run("routes", file, *flags, "--output", "json").stdout)[0]["topology"]
    assert topology == {
        "proxyProtocol": "optional", "proxyProtocolFrom": ["10.0.0.0/8"], "trustedHops": 0, "trustedHopsFrom": None,
        "forwardClientCertDetails": "SANITIZE_SET"}
    assert "PROXY" not in run("routes", file).stdout
    checked = run("check", file, "--proxy-protocol", "9999=require")
    assert "--proxy-protocol: warning: no Gateway has the port 9999" in checked.stdout, checked.stdout


@pytest.mark.parametrize("flags", [
    ["--proxy-protocol", "on"], ["--proxy-protocol", "x=require"], ["--proxy-protocol", "0=require"],
    ["--proxy-protocol", "70000=off"], ["--proxy-protocol", "80="], ["--proxy-protocol", ""],
    ["--proxy-protocol-from", "10.0.0.0/33"], ["--proxy-protocol-from", "proxy"],
])
def test_a_flag_that_is_nonsense_is_refused(flags, tmp_path):
    file = tmp_path / "empty.yaml"
    file.write_text("")
    result = run("check", file, *flags)
    assert result.returncode == 64 and flags[0] in result.stderr and "write " in result.stderr, result
