"""Proxies in front that speak HTTP: whose addresses and schemes are believed, and what the annotation says of them."""

import json

import pytest

from peers import certificates, http1, http2, objects, proxy_protocol, secure
from peers.gateway import Gateway, run

EXTERNAL, FOR, PROTO = "x-envoy-external-address", "x-forwarded-for", "x-forwarded-proto"
ANNOTATION = "proxy.istio.io/config"


def web_objects(web, topology=None, **fields):
    made = objects.echo(web, protocol="HTTP", protocol_name="http", **fields)
    if topology is not None:
        made[0]["metadata"]["annotations"] = {ANNOTATION: topology}
    return made


def ask(gateway, web, *fields, source=None, path="/"):
    """What the upstream gets of these fields: external address, addresses, scheme."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    with http1.Connection(proxy_protocol.dial(gateway.port, b"", source=source)) as client:
        client.send(f"GET {path} HTTP/1.1\r\nhost: echo.test\r\n{lines}\r\n")
        assert client.response().status == 200
    return [web.last.values(name) for name in (EXTERNAL, FOR, PROTO)]


@pytest.fixture(scope="module")
def two(web):
    """A gateway behind two proxies."""
    fields = {"x-client": "%DOWNSTREAM_REMOTE_ADDRESS%", "x-host": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
              "x-peer": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%", "x-scheme": "%REQ(:SCHEME)%"}
    config = web_objects(web, headers={"request": {"set": fields}})
    arguments = ["--trusted-hops", "2", "--trusted-hops-from", "127.0.0.0/30", "--log-format", "json"]
    with Gateway(config, arguments=arguments) as made:
        yield made


def test_the_address_so_many_places_from_the_end_is_the_clients(two, web):
    sent = [(FOR, "1.1.1.1, 2.2.2.2, 3.3.3.3"), (PROTO, "https"), (EXTERNAL, "6.6.6.6")]
    assert ask(two, web, *sent) == [["2.2.2.2"], ["1.1.1.1, 2.2.2.2, 3.3.3.3,127.0.0.1"], ["https"]]
    said = [web.last.values(name) for name in ("x-client", "x-host", "x-peer", "x-scheme")]
    assert said == [["2.2.2.2:0"], ["2.2.2.2"], ["127.0.0.1"], ["https"]]


def test_fewer_addresses_than_proxies_are_not_believed(two, web):
    assert ask(two, web, (FOR, "1.1.1.1"))[0] == ["127.0.0.1"]
    assert ask(two, web, (FOR, "nonsense, 3.3.3.3"))[0] == ["127.0.0.1"]
    assert ask(two, web, (FOR, "1.1.1.1"), (FOR, "2001:db8::1"), (FOR, "3.3.3.3"))[0] == ["2001:db8::1"]
    assert ask(two, web)[:2] == [["127.0.0.1"], ["127.0.0.1"]]


def test_a_peer_that_is_no_proxy_is_not_believed(two, web):
    found = ask(two, web, (FOR, "1.1.1.1, 2.2.2.2"), (PROTO, "https"), source="127.0.0.9")
    assert found == [["127.0.0.9"], ["1.1.1.1, 2.2.2.2,127.0.0.9"], ["http"]]


def test_the_access_log_has_the_address_that_is_believed(two, web):
    ask(two, web, (FOR, "1.2.3.4, 3.3.3.3"), path="/logged")
    line = json.loads(two.access_log('"path":"/logged"'))
    assert line["downstream_remote_address"] == "1.2.3.4:0" and line["x_forwarded_for"] == "1.2.3.4, 3.3.3.3,127.0.0.1"


def test_without_proxies_nothing_is_believed(web_gateway, web):
    found = ask(web_gateway, web, (FOR, "1.1.1.1"), (PROTO, "https"), (EXTERNAL, "6.6.6.6"))
    assert found == [["127.0.0.1"], ["1.1.1.1,127.0.0.1"], ["http"]]
    with http2.connect(web_gateway.port) as client:
        assert client.exchange(http2.get_headers(**{FOR: "1.1.1.1"})).status == 200
    assert web.last.values(EXTERNAL) == ["127.0.0.1"]


def test_requests_are_spread_by_the_address_that_is_believed():
    with http1.Upstream() as one, http1.Upstream() as other:
        config = [*objects.echo(one, other, protocol="HTTP", protocol_name="http"), objects.destination_rule(
            "echo", trafficPolicy={"loadBalancer": {"consistentHash": {"useSourceIp": True}}})]
        with Gateway(config, arguments=["--trusted-hops", "1"]) as gateway:
            places = {}
            for number in range(48):
                client = f"192.0.2.{number % 24}"
                before = len(one.requests)
                with http1.connect(gateway.port) as connection:
                    connection.send(f"GET / HTTP/1.1\r\nhost: a\r\n{FOR}: {client}\r\n\r\n")
                    assert connection.response().status == 200
                places.setdefault(client, set()).add(len(one.requests) > before)
    assert all(len(found) == 1 for found in places.values()) and len(set.union(*places.values())) == 2


def test_a_header_of_the_proxy_protocol_is_the_peer_that_appends(web):
    arguments = ["--proxy-protocol", "require", "--trusted-hops", "1", "--trusted-hops-from", "192.0.2.0/24"]
    with Gateway(web_objects(web), arguments=arguments) as gateway:
        for client, found in (("192.0.2.7", "1.1.1.1"), ("198.51.100.7", "198.51.100.7")):
            with proxy_protocol.http1_client(gateway.port, proxy_protocol.v1((client, 9))) as connection:
                connection.send(f"GET / HTTP/1.1\r\nhost: a\r\n{FOR}: 1.1.1.1\r\n\r\n")
                assert connection.response().status == 200
            assert web.last.values(EXTERNAL) == [found] and web.last.values(FOR) == [f"1.1.1.1,{client}"]


def test_a_request_that_was_secure_in_front_is_not_redirected(web):
    config = web_objects(web)
    config[0]["spec"]["servers"][0]["tls"] = {"httpsRedirect": True}
    with Gateway(config, arguments=["--trusted-hops", "1"]) as gateway, http1.connect(gateway.port) as client:
        for scheme, status in (("https", 200), ("http", 301), ("nonsense", 301)):
            client.send(f"GET / HTTP/1.1\r\nhost: echo.test\r\n{PROTO}: {scheme}\r\n\r\n")
            assert client.response().status == status, scheme
        client.send("GET / HTTP/1.1\r\nhost: echo.test\r\n\r\n")
        assert client.response().status == 301
    with Gateway(config) as gateway, http1.connect(gateway.port) as client:
        client.send(f"GET / HTTP/1.1\r\nhost: echo.test\r\n{PROTO}: https\r\n\r\n")
        assert client.response().status == 301


# What a request says of certificates


@pytest.mark.parametrize("mode, clear, verified", [
    (None, [], "own"), ("UNDEFINED", [], "own"), ("SANITIZE_SET", [], "own"), ("SANITIZE", [], "none"),
    ("FORWARD_ONLY", [], "said"), ("APPEND_FORWARD", [], "both"), ("ALWAYS_FORWARD_ONLY", ["Hash=said"], "said"),
])
def test_certificates_are_told_as_the_annotation_says(web, mode, clear, verified, tmp_path):
    name, said = "x-forwarded-client-cert", "x-forwarded-client-cert: Hash=said\r\n"
    authority = certificates.authority()
    pair, own = authority.issue("shop.test"), authority.issue("client.test")
    config = [*web_objects(web), objects.secret("cert", pair, authority.certificate)]
    servers = [
        {"port": {"number": 8000, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]},
        {"port": {"number": 8443, "name": "https", "protocol": "HTTPS"}, "hosts": ["*"],
         "tls": {"mode": "OPTIONAL_MUTUAL", "credentialName": "cert"}}]
    config[0] = objects.gateway(servers=servers)
    if mode:
        topology = json.dumps({"gatewayTopology": {"forwardClientCertDetails": mode}})
        config[0]["metadata"]["annotations"] = {ANNOTATION: topology}
    with Gateway(config, ports=(8000, 8443)) as gateway:
        with http1.connect(gateway.port) as client:
            client.send(f"GET / HTTP/1.1\r\nhost: shop.test\r\n{said}\r\n")
            assert client.response().status == 200
        assert web.last.values(name) == clear
        context = certificates.client_context(alpn=(), issuer=pair.issuer)
        files = secure.put(tmp_path, "client.crt", own.certificate), secure.put(tmp_path, "client.key", own.key)
        context.load_cert_chain(*files)
        with http1.connect(gateway.map[8443], context, "shop.test") as client:
            client.send(f"GET / HTTP/1.1\r\nhost: shop.test\r\n{said}\r\n")
            assert client.response().status == 200
        values = web.last.values(name)
    begins = {"own": "Hash=", "said": "Hash=said", "both": "Hash=said,Hash="}
    assert values == [] if verified == "none" else values[0].startswith(begins[verified]), values
    assert verified in ("none", "said") or 'Subject="' in values[0]
    assert verified != "said" or values == ["Hash=said"]


# The annotation


def test_the_annotation_expects_headers_and_believes_hops(web):
    topology = "gatewayTopology:\n  numTrustedProxies: 1\n  proxyProtocol: {}\n"
    with Gateway(web_objects(web, topology)) as gateway:
        with proxy_protocol.http1_client(gateway.port, proxy_protocol.v2()) as client:
            client.send(f"GET / HTTP/1.1\r\nhost: a\r\n{FOR}: 1.1.1.1\r\n\r\n")
            assert client.response().status == 200
        assert web.last.values(EXTERNAL) == ["1.1.1.1"] and web.last.values(FOR) == ["1.1.1.1,192.0.2.7"]
        with http1.connect(gateway.port) as client:
            client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            assert client.rest() == b""


def test_a_flag_wins_over_the_annotation_with_a_warning(web, tmp_path):
    config = web_objects(web, "gatewayTopology: {numTrustedProxies: 2, proxyProtocol: {}}")
    flags = ["--proxy-protocol", "off", "--trusted-hops", "0"]
    with Gateway(config, arguments=flags) as gateway:
        assert ask(gateway, web, (FOR, "1.1.1.1, 2.2.2.2"))[0] == ["127.0.0.1"]
    file = tmp_path / "objects.yaml"
    file.write_text(objects.text(config))
    found = run("check", file, *flags).stdout
    assert "`proxyProtocol` has no effect on port 8000: --proxy-protocol says off" in found
    assert "`numTrustedProxies` is 0 on port 8000: --trusted-hops says so" in found
    shown = run("routes", file).stdout
    assert "connections begin with a PROXY protocol header, whoever the peer is; " in shown
    assert "x-forwarded-for is believed of 2 proxies in front, whoever the peer is" in shown


def test_gateways_of_one_port_get_the_least_trust(web, tmp_path):
    config = [*web_objects(web, "gatewayTopology: {numTrustedProxies: 3}"), objects.gateway("other", hosts=["b.test"])]
    config[-1]["metadata"]["annotations"] = {ANNOTATION: "gatewayTopology: {numTrustedProxies: 1, proxyProtocol: {}}"}
    file = tmp_path / "objects.yaml"
    file.write_text(objects.text(config))
    topology = json.loads(run("routes", file, "--output", "json").stdout)[0]["topology"]
    assert topology["trustedHops"] == 1 and topology["proxyProtocol"] == "require"
    found = run("check", file).stdout
    assert "`numTrustedProxies` is 1 on port 8000: another Gateway of the port asks for less" in found
    assert "must begin with a PROXY protocol header, because another Gateway asks for it" in found


GATEWAY = """apiVersion: networking.istio.io/v1
kind: Gateway
metadata:
  name: edge
  annotations:
    proxy.istio.io/config: %s
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 8000, name: http, protocol: HTTP}, hosts: ["*"]}]
"""


@pytest.mark.parametrize("text, place, words", [
    ("|\n      gatewayTopology:\n        numTrustedProxys: 1\n", "8:9: error", "did you mean `numTrustedProxies`?"),
    ("|\n      gatewayTopology:\n        numTrustedProxies: 101\n", "8:28: error", "not within 0 and 100"),
    ("|\n      gatewayTopology:\n        numTrustedProxies: \"1\"\n", "8:28: error", "a number"),
    ("|-\n      gatewayTopology:\n        proxyProtocol: true", "8:24: error", "a mapping of fields"),
    ("|\n      gatewayTopology: {proxyProtocol: {a: 1}}\n", "7:41: error", "unknown field `a`"),
    ("|\n      gatewayTopology: {forwardClientCertDetails: FORWARD}\n", "7:51: error", "FORWARD_ONLY"),
    ("|\n      gatwayTopology: {}\n", "7:7: error", "did you mean `gatewayTopology`?"),
    ("|\n      concurrency: 2\n", "7:20: warning", "`concurrency` has no effect"),
    ("'{\"gatewayTopology\": {\"numTrustedProxies\": -1}}'", "6:71: error", "not within 0 and 100"),
    ("'{'", "6:28: error", "not YAML"), ("[]", "6:28: error", "a text"),
    ("'[1]'", "6:29: error", "a mapping of fields"),
])
def test_an_annotation_with_an_error_is_reported_where_it_is(web, tmp_path, text, place, words):
    file = tmp_path / "gateway.yaml"
    file.write_text(GATEWAY % text)
    found = run("check", file).stdout
    assert f"gateway.yaml:{place}" in found and words in found, found
    shown = run("routes", file).stdout
    assert "PROXY" not in shown and "believed" not in shown, shown


def test_an_empty_annotation_says_nothing(tmp_path):
    file = tmp_path / "gateway.yaml"
    for text in ("''", "'{}'", "|\n      # nothing\n", "'gatewayTopology: {}'"):
        file.write_text(GATEWAY % text)
        assert "error" not in run("check", file).stdout.replace("0 errors", ""), text


@pytest.mark.parametrize("flags", [
    ["--trusted-hops", "-1"], ["--trusted-hops", "101"], ["--trusted-hops", "x"], ["--trusted-hops-from", "x"],
])
def test_a_flag_that_is_nonsense_is_refused(flags, tmp_path):
    file = tmp_path / "empty.yaml"
    file.write_text("")
    result = run("check", file, f"{flags[0]}={flags[1]}")
    assert result.returncode == 64 and flags[0] in result.stderr and "write " in result.stderr, result
