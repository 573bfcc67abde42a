"""Cases of servers that share a port, of TLS and of TCP: 14 to 22, 100 to 107, 115 and 116."""

import functools

from peers import certificates, objects
from peers.istio import CLIENTS, CLOSED, NONE, Case, asks, gateway, routes, server, to

A, B = to("a"), to("b")
OTHERS = certificates.Authority("other CA")


@functools.cache
def issued(*names):
    return certificates.authority().issue(*names)


def credential(name="c", namespace="gwns", authorities=None, **more):
    """A Secret for all hosts of the cases; with the authorities of clients, if there are any."""
    pair = issued("a.com", "b.com", "*.a.com")
    made = objects.secret(name, pair, authorities) if authorities else objects.tls_secret(name, pair)
    made["metadata"]["namespace"] = namespace
    return {**made, **more}


def https(*hosts, port=443, mode="SIMPLE", credential="c", name=None, **tls):
    return server(port, "HTTPS", hosts, name, tls={"mode": mode, "credentialName": credential, **tls})


def passed(*hosts):
    return server(443, "TLS", hosts, tls={"mode": "PASSTHROUGH"})


def tcp(service, *matches, **named):
    """A VirtualService whose connections go to a service."""
    rule = {"route": [objects.to(service)], **({"match": [*matches]} if matches else {})}
    return routes(tcp=[rule], **{"hosts": ["*"], **named})


def sni(names, service, name="vs", hosts=("*.a.com",), **named):
    rule = {"match": [{"sniHosts": [*names]}], "route": [objects.to(service)]}
    return routes(tls=[rule], name=name, hosts=hosts, **named)


def secure(answer, name="a.com", host=None, port=443, **more):
    return asks(answer, sni=name, host=host or name, port=port, **more)


PLAIN, TLS = server(9000), https("a.com", port=9000)
# Portico does not start if nothing is left to serve.
ALSO = gateway(server(81), name="zz")
BOTH = {"gateways": ["gwns/gw1", "gwns/gw2"]}

PORTS = [
    Case("14", [
        gateway(server(9000, "TCP"), name="gw1", created=2020), gateway(PLAIN, name="gw2", created=2024),
        tcp("a", name="vs1", gateways=["gwns/gw1"]), routes(B, name="vs2", gateways=["gwns/gw2"])],
         asks("a", port=9000)),
    Case("14b", [
        gateway(server(9000, "TCP"), name="gw1", created=2020), gateway(PLAIN, name="gw2", created=2024),
        ALSO, routes(B, gateways=["gwns/gw2"])], asks(CLOSED, port=9000)),
    Case("15", [
        gateway(PLAIN, name="gw1", created=2020), gateway(TLS, name="gw2", created=2024), credential(),
        routes(A, **BOTH)], asks("a", port=9000), secure(CLOSED, port=9000)),
    Case("16", [
        gateway(TLS, name="gw1", created=2020), gateway(PLAIN, name="gw2", created=2024), credential(),
        routes(A, **BOTH)], asks("a", port=9000), secure("a", port=9000)),
    Case("17", [
        gateway(https("a.com", "b.com"), name="gw1", created=2020),
        gateway(https("b.com", "c.com"), name="gw2", created=2024), credential(),
        routes(A, hosts=["a.com", "b.com", "c.com"], **BOTH)],
         secure("a"), secure("a", "b.com"), secure(CLOSED, "c.com")),
    Case("18", [
        gateway(https("*.a.com"), name="gw1"), gateway(https("x.a.com"), name="gw2"), credential(),
        routes(A, name="vs1", hosts=["*.a.com"], gateways=["gwns/gw1"]),
        routes(B, name="vs2", hosts=["x.a.com"], gateways=["gwns/gw2"])],
         secure("b", "x.a.com"), secure("a", "y.a.com")),
    Case("20", [gateway(https("a.com")), credential(), routes(to("a", match=[{"port": 443}]))], secure("a")),
    Case("20b", [gateway(https("a.com")), credential(), routes(to("a", match=[{"port": 8443}]))], secure(404)),
    Case("22", [gateway(server(9000, "TCP")), routes(A, hosts=["*"])], asks(CLOSED, port=9000)),
    Case("107", [
        gateway(server(9000, "TCP")), tcp("a", {"port": 9001}, name="vs1"), tcp("b", name="vs2")],
         asks("b", port=9000)),
    Case("115", [
        gateway(server(hosts=["a.com"], tls={"httpsRedirect": True}), name="gw1"),
        gateway(server(hosts=["a.com"], tls={"httpsRedirect": True}), name="gw2"), routes(A, gateways=["gwns/gw2"])],
         asks({"by": None, "status": 301, "location": "https://a.com/"})),
    Case("116", [
        gateway(server(80, "TCP"), name="gateway", namespace="alpha"),
        gateway(server(80, "TCP"), name="gateway", namespace="istio-system"),
        ALSO, tcp("a", gateways=["istio-system/gateway"])], asks(CLOSED)),
    Case("2.9: of two servers one redirects", [
        gateway(server(hosts=["a.com"]), name="gw1", created=2020),
        gateway(server(hosts=["a.com"], tls={"httpsRedirect": True}), name="gw2", created=2024),
        routes(A, gateways=["gwns/gw1"])], asks({"by": None, "status": 301, "location": "https://a.com/"})),
    Case("2.9: no effect with TLS", [gateway(https("a.com", httpsRedirect=True)), credential(), routes(A)],
         secure("a")),
    Case("T6: TCP behind TLS", [
        gateway(server(443, "TLS", ["a.com"], tls={"mode": "SIMPLE", "credentialName": "c"})), credential(), tcp("a")],
         secure("a")),
]


def clients(mode, **tls):
    """A server that asks for certificates of clients, and what they are asked by."""
    return [gateway(https("a.com", mode=mode, **tls)), credential(authorities=CLIENTS.certificate), routes(A)]


GOOD, WRONG = CLIENTS.issue("client.test"), OTHERS.issue("client.test")
BROKEN = {**credential("c-cacert"), "data": {"wrong": ""}}

SECURE = [
    Case("100", [gateway(https("a.com")), credential(), routes(A)], secure("a"), secure(404, "a.com", "b.com")),
    Case("101", [gateway(https("a.com")), credential(), routes(A)], secure(CLOSED, NONE, "a.com"),
         secure(CLOSED, "b.com")),
    Case("102", [
        gateway(passed("*.a.com")), sni(["x.a.com"], "b", hosts=["x.a.com"]),
        # What comes is a ClientHello, which an HTTP/1.1 server refuses by closing.
    ], secure(CLOSED, "y.a.com"), envoy="Oracle/test_relays.py passes TLS on, to servers that speak it"),
    Case("104", clients("MUTUAL"), secure(CLOSED), secure("a").showing(GOOD), secure(CLOSED).showing(WRONG)),
    Case("104b", clients("OPTIONAL_MUTUAL"), secure("a"), secure("a").showing(GOOD), secure(CLOSED).showing(WRONG)),
    Case("105", [gateway(https("a.com"), namespace="app"), credential(namespace="app"), routes(A, gateways=["gw"])],
         secure(CLOSED), envoy="Istio hands out the secret at run time, and has none here"),
    Case("106", [*clients("MUTUAL"), BROKEN], secure(CLOSED).showing(GOOD),
         envoy="Istio hands out the secret at run time, and has none here"),
    Case("T9: mode is PASSTHROUGH by default", [
        gateway(server(443, "HTTPS", ["a.com"], tls={"credentialName": "c"})), ALSO, credential(), routes(A)],
         secure(CLOSED)),
    Case("2.2: a host of one server is unknown to the other", [
        gateway(https("a.com"), name="gw1"), gateway(https("b.com"), name="gw2"), credential(),
        routes(A, name="vs1", gateways=["gwns/gw1"]),
        routes(B, name="vs2", hosts=["b.com"], gateways=["gwns/gw2"])],
         secure("a"), secure("b", "b.com"), secure("b", "a.com", "b.com"),
         envoy="Portico answers what the server of that host would; Envoy 404: docs/differences.md"),
]

CASES = PORTS + SECURE
