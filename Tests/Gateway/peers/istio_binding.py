"""Cases 1 to 30: which Gateway, which host, which VirtualService."""

from peers import http1
from peers.istio import Case, asks, gateway, prefix, routes, server, to

A, B = to("a"), to("b")


def other_address(port):
    """Who answers at the second address, under the same port."""
    assert http1.get(port, host="a.com", address="127.0.0.2").value("x-by") == "b"


def port_only(number, name):
    return to(name, match=[{"port": number}])


CASES = [
    Case("1", [routes(A, gateways=None)], asks(404)),
    Case("2", [routes(A, gateways=["gw"])], asks(404)),
    Case("3", [routes(A, gateways=["mesh", "gwns/gw"])], asks("a")),
    Case("4", [routes(A, gateways=["gw.gwns.svc.cluster.local"])], asks("a")),
    Case("5", [gateway(server(hosts=["app/a.com"])), routes(A)], asks("a")),
    Case("5b", [gateway(server(hosts=["app/a.com"])), routes(A, namespace="other")], asks(404)),
    Case("6", [gateway(server(hosts=["./a.com"])), routes(A)], asks(404)),
    Case("6b", [gateway(server(hosts=["./a.com"])), routes(to("a.app.svc.cluster.local"), namespace="gwns")],
         asks("a")),
    Case("7", [gateway(server(hosts=["*/*", "ns1/b.com"])), routes(A, hosts=["b.com"])], asks("a", host="b.com")),
    Case("8", [routes(A, exportTo=["."])], asks(404)),
    Case("8b", [routes(A, exportTo=["gwns"])], asks("a")),
    Case("8c", [routes(A, exportTo=["*"])], asks("a")),
    Case("9", [gateway(server(hosts=["*.a.com"])), routes(A, hosts=["*"])],
         asks("a", host="x.a.com"), asks(404, host="b.com")),
    Case("10", [gateway(server(hosts=["foo.com"])), routes(A, hosts=["Foo.com"])], asks("a", host="foo.com"),
         envoy="Istio compares the hosts as they are written, and answers 404: docs/differences.md"),
    Case("11", [routes(A, hosts=["Foo.com"])], asks("a", host="FOO.com")),
    Case("12", [routes(A, hosts=["shop"])], asks(404, host="shop"), asks("a", host="shop.app.svc.cluster.local")),
    Case("13", [
        gateway(name="gw1"), gateway(name="gw2"), routes(A, name="vs1", gateways=["gwns/gw1"]),
        routes(B, name="vs2", hosts=["b.com"], gateways=["gwns/gw2"])], asks("a"), asks("b", host="b.com")),
    Case("19", [
        gateway(server(bind="127.0.0.1"), name="gw1"), gateway(server(bind="127.0.0.2"), name="gw2"),
        routes(A, name="vs1", gateways=["gwns/gw1"]), routes(B, name="vs2", gateways=["gwns/gw2"])],
         asks("a"), check=other_address, envoy="two listeners of Envoy's, which have nothing to do with each other"),
    Case("21", [], asks(404)),
    Case("23", [routes(A)], asks("a", host="a.com:8080"), asks("a", host="A.COM")),
    Case("23b", [routes(A)], asks("a", host="a.com."),
         envoy="Envoy keeps the dot and answers 404: docs/differences.md"),
    Case("24", [routes(A, name="vs1", hosts=["*.com"]), routes(B, name="vs2", hosts=["*.a.com"])],
         asks("b", host="x.a.com"), asks("b", host="x.y.a.com"), asks("a")),
    Case("25", [routes(prefix("/w", "a"), name="vs1", hosts=["*.a.com"]),
                routes(prefix("/e", "b"), name="vs2", hosts=["x.a.com"])],
         asks(404, "/w", "x.a.com"), asks("b", "/e", "x.a.com"), asks("a", "/w", "y.a.com")),
    Case("26", [gateway(server(hosts=["x.a.com"])), routes(prefix("/w", "a"), name="vs1", hosts=["*.a.com"]),
                routes(prefix("/e", "b"), name="vs2", hosts=["x.a.com"])],
         asks("a", "/w", "x.a.com"), asks("b", "/e", "x.a.com")),
    Case("27", [routes(port_only(8080, "b"), name="vs1"), routes(A, name="vs2", hosts=["*"])],
         asks("a"), asks("a", host="a.com:80")),
    Case("28", [routes(A, name="vs1", created=2020), routes(prefix("/x", "b"), name="vs2", created=2024)],
         asks("b", "/x"), asks("a", "/y")),
    Case("29", [routes(prefix("/x", "a"), name="vs2", created=2020),
                routes(prefix("/x", "b"), name="vs1", created=2024)], asks("a", "/x")),
    Case("30", [routes(A, name="z"), routes(B, name="c")], asks("b")),
    # The table of section 2.3, and traps that are no case.
    Case("a server for all hosts keeps the hosts apart", [
        routes(A, name="vs1", hosts=["*.x.com"]), routes(prefix("/b", "b"), name="vs2", hosts=["a.x.com"])],
         asks("a", "/b", "q.x.com"), asks("b", "/b", "a.x.com"), asks(404, "/", "a.x.com")),
    Case("a VirtualService for all hosts on a wildcard", [
        gateway(server(hosts=["*.x.com"])), routes(A, hosts=["*"])],
         asks("a", host="q.x.com"), asks(404, host="x.com")),
    Case("a wildcard on an exact server and a wildcard", [
        gateway(server(hosts=["a.x.com", "*.x.com"])), routes(A, hosts=["*.x.com"])],
         asks("a", host="a.x.com"), asks("a", host="b.x.com")),
    Case("trap 13", [
        routes(A, name="pub", created=2020),
        routes(to("b.app.svc.cluster.local"), name="priv", namespace="gwns", created=2024, exportTo=["."])],
         asks("b")),
    Case("exported to a list before exported to all", [
        routes(A, name="pub", created=2020), routes(B, name="list", created=2024, exportTo=["gwns", "app"])],
         asks("b")),
    Case("a catch-all in the middle ends its own VirtualService", [
        routes(A, prefix("/x", "b"), name="vs1", created=2020),
        routes(prefix("/y", "b"), name="vs2", created=2021)], asks("a", "/x"), asks("b", "/y")),
    Case("an older specific rule before a newer one", [
        routes(prefix("/x", "a"), name="vs1", created=2020),
        routes(prefix("/x/y", "b"), B, name="vs2", created=2021)], asks("a", "/x/y"), asks("b", "/q")),
    Case("an expression for everything is a catch-all", [
        routes(to("a", match=[{"uri": {"regex": ".*"}}]), name="vs1", created=2020),
        routes(prefix("/x", "b"), name="vs2", created=2021)], asks("b", "/x"), asks("a", "/y")),
    Case("the empty prefix is none", [
        routes(prefix("", "a"), name="vs1", created=2020),
        routes(prefix("/x", "b"), name="vs2", created=2021)], asks("a", "/x")),
    Case("a catch-all with a header is none", [
        routes(to("a", match=[{"uri": {"prefix": "/"}, "headers": {"k": {}}}]), name="vs1", created=2020),
        routes(prefix("/x", "b"), name="vs2", created=2021)],
         asks("a", "/x", k="1"), asks("b", "/x"), asks(404, "/y")),
    Case("a match of another Gateway binds nothing", [
        gateway(name="gw"), gateway(name="other"),
        routes(to("b", match=[{"gateways": ["gwns/other"]}]), name="vs1", gateways=["gwns/gw"]),
        routes(A, name="vs2", hosts=["*"])], asks("a")),
]
