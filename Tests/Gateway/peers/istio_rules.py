"""Cases 31 to 68: conditions, destinations and delegates."""

from peers import objects
from peers.istio import Case, asks, entry, policy, prefix, routes, served, to

A, B = to("a"), to("b")


def one(*matches, **fields):
    return [routes(to("a", match=[*matches], **fields))]


def root(*rules, name="vs", namespace="app", delegate="d", match=None, **fields):
    """A rule that hands over to the delegate `d` of the namespace `app`, and the rules behind it."""
    first = {**({"match": match} if match else {}), "delegate": {"name": delegate, "namespace": "app"}, **fields}
    return routes(first, *rules, name=name, namespace=namespace)


def delegate(*http, name="d", namespace="app", **spec):
    made = routes(*http, name=name, namespace=namespace, **spec)
    del made["spec"]["hosts"], made["spec"]["gateways"]
    return made


def uri(**how):
    return {"uri": how}


def resolved(backends):
    """A name that resolves to this machine."""
    return [routes(to("ext.com")), entry("ext.com", "DNS", ("localhost", backends["a"].port))]


CONDITIONS = [
    Case("31", [routes(prefix("/v1", "a"), B)], asks("a", "/v1/x"), asks("b", "/v2")),
    Case("32", one({"uri": {"prefix": "/x"}, "headers": {"k": {"exact": "1"}}}, uri(prefix="/y")),
         asks(404, "/x"), asks("a", "/x", k="1"), asks("a", "/y")),
    Case("33", one(uri(prefix="/foo")), asks("a", "/foobar"), asks("a", "/foo?z=1"), asks(404, "/fo")),
    Case("34", one(uri(exact="/foo")), asks("a", "/foo?z=1"), asks(404, "/foo/")),
    Case("35", one(uri(regex="/a[0-9]")), asks("a", "/a1"), asks(404, "/a12")),
    Case("36", one({**uri(prefix="/FOO"), "ignoreUriCase": True}), asks("a", "/foo/x")),
    Case("37", one({**uri(regex="/FOO.*"), "ignoreUriCase": True}), asks(404, "/foo"), asks("a", "/FOO")),
    Case("38", one({"headers": {"x": {}}}), asks(404), asks("a", x="")),
    Case("39", one({"headers": {"x": {"exact": "a"}}}), asks(404, x=["a", "b"]), asks("a", x="a"),
         envoy="Envoy 1.40 tries each line: docs/differences.md"),
    Case("39b", one({"headers": {"x": {"exact": "a,b"}}}), asks("a", x=["a", "b"]),
         envoy="Envoy 1.40 tries each line: docs/differences.md"),
    Case("40", one({"headers": {"X-Y": {"prefix": "v"}}}), asks("a", x_y="v2"), asks(404, x_y="V2")),
    Case("41", one({"headers": {"x": {"regex": "foo"}}}), asks(404, x="foobar"), asks("a", x="foo")),
    Case("42", one({"withoutHeaders": {"x": {"exact": "a"}}}), asks("a"), asks(404, x="a"), asks("a", x="b")),
    Case("42b", one({"withoutHeaders": {"x": {"regex": ".*"}}}), asks(404), asks(404, x="a")),
    Case("43", one({"withoutHeaders": {"x": {}}}), asks("a"), asks(404, x="b")),
    Case("44", one({"queryParams": {"k": {"exact": "v"}}}),
         asks("a", "/?k=v"), asks(404, "/?k=w&k=v"), asks(404, "/?k=%76"), asks("a", "/?q&k=v&z")),
    Case("45", one({"queryParams": {"k": {}}}), asks("a", "/?k"), asks(404)),
    Case("45b", one({"queryParams": {"k": {"exact": ""}}}), asks("a", "/?k"), asks("a", "/?k="), asks(404)),
    Case("46", one({"method": {"exact": "GET"}}), asks(404, method="HEAD"), asks("a")),
    Case("47", one({"authority": {"exact": "a.com"}}), asks(404, host="a.com:80"), asks("a"), asks(404, host="A.com")),
    Case("48", [routes(to("b", match=[{"gateways": ["gwns/other"]}]), A, gateways=["gwns/gw"])], asks("a")),
    Case("49", one({"sourceLabels": {"app": "x"}}), asks(404)),
    Case("49b", one({"sourceLabels": {"app": "edge"}}), asks("a")),
    Case("49c", one({"sourceLabels": {"app": "x"}, "gateways": ["gwns/gw"]}), asks("a")),
    Case("49d", one({"sourceNamespace": "app"}), asks(404)),
    Case("50", [routes(to("a", match=[{"port": 80}]), prefix("/x", "b"))], asks("a", "/x")),
    Case("51", [routes(prefix("", "a"), prefix("/x", "b"))], asks("a", "/x")),
    Case("52", one(uri(prefix="/b")), asks("a", "/a/../b"), asks(404, "//b"), asks("a", "/./b"), asks(404, "/%2Fb")),
    Case("a scheme", one({"scheme": {"exact": "http"}}), asks("a")),
    Case("another scheme", one({"scheme": {"exact": "https"}}), asks(404)),
    Case("M14: a header named uri", one({"headers": {"uri": {"exact": "/x"}}}), asks(404, "/x"), asks("a", uri="/x")),
    Case("M15: keys that differ in case", one({"headers": {"x": {"prefix": "a"}, "X": {"regex": ".*b"}}}),
         asks("a", x="ab"), asks(404, x="a"), asks(404, x="b")),
    Case("a pseudo-header", one({"headers": {":method": {"exact": "PUT"}}}), asks("a", method="PUT"), asks(404)),
]

DESTINATIONS = [
    Case("53", [routes(to("nope"))], asks({"by": None, "status": 503, "body": ""})),
    Case("54", [routes(to(objects.to("a", subset="v1")))], asks({"by": None, "status": 503, "body": ""})),
    Case("55", lambda backends: [
        routes(A), *served("a", ("127.0.0.1", backends["a"].port), ports={"http": 80, "more": 9090})], asks("a")),
    Case("55b", lambda backends: [
        routes(A), *served("a", ("127.0.0.1", backends["a"].port), ports={"http": 8081, "more": 9090})],
         asks({"by": None, "status": 503, "body": ""})),
    Case("56", [routes(A)], asks("a")),
    Case("57", [routes(A), *served("a")], asks({"by": None, "status": 503, "body": "no healthy upstream"})),
    Case("58", [routes(to(objects.to("a", weight=0), objects.to("b", weight=100)))], *[asks("b")] * 20),
    Case("59", [routes(to(objects.to("a", weight=0)))], asks("a")),
    Case("61", [routes(to("a.app"))], asks({"by": None, "status": 503, "body": ""})),
    Case("62", [routes(to("ext.com")), entry("ext.com", "NONE")],
         asks({"by": None, "status": 503, "body": "no healthy upstream"}),
         envoy="Istio makes a cluster of ORIGINAL_DST, which has no address at a gateway"),
    Case("62b", resolved, asks("a")),
    Case("an unknown port", [routes(to(objects.to("a", port=9999)))], asks({"by": None, "status": 503, "body": ""})),
    Case("the ServiceEntry's port, where it has only one", lambda backends: [
        routes(to("ext.com")), entry("ext.com", "STATIC", ("127.0.0.1", backends["b"].port))], asks("b")),
    Case("a subset without endpoints", lambda backends: [
        routes(to(objects.to("a", subset="v2"))), policy("a", subsets=[{"name": "v2", "labels": {"version": "v2"}}]),
        *served("a", ("127.0.0.1", backends["a"].port), pods=[{"version": "v1"}])],
         asks({"by": None, "status": 503, "body": "no healthy upstream"})),
]

HIDDEN = {"timeout": "5s", "headers": {"request": {"set": {"x-root": "1"}}}}
DELEGATES = [
    Case("64", [root(match=[uri(prefix="/api")]), delegate(prefix("/api/x", "a"), prefix("/other", "b"))],
         asks("a", "/api/x"), asks(404, "/other"), asks(404, "/api")),
    Case("65", [root(prefix("/api", "b"), match=[uri(prefix="/api")], delegate="none")],
         asks("b", "/api"), asks(404, "/")),
    Case("66", [root(match=[uri(prefix="/api")], **HIDDEN),
                delegate(to("a", headers={"request": {"set": {"x-own": "1"}}}))],
         asks({"by": "a", "saw": {"x-own": ["1"], "x-root": []}}, "/api")),
    Case("66b", [root(match=[uri(prefix="/api")], timeout="300ms"), delegate(A)],
         asks({"status": 504, "body": "upstream request timeout"}, "/api", x_do="silent")),
    Case("67", lambda backends: [
        routes({"match": [uri(prefix="/api")], "delegate": {"name": "d", "namespace": "team"}}),
        delegate(to("web"), namespace="team"),
        *served("web", ("127.0.0.1", backends["b"].port), namespace="team"),
        *served("web", ("127.0.0.1", backends["a"].port))], asks("b", "/api")),
    Case("68", [
        routes({"match": [uri(prefix="/api")], "delegate": {"name": "d", "namespace": "team"}}, prefix("/x", "b")),
        delegate(to("a.app.svc.cluster.local"), namespace="team", exportTo=["."])],
         asks(404, "/api"), asks("b", "/x")),
    Case("D5: an incompatible match drops the whole rule", [
        root(match=[uri(prefix="/api")]),
        delegate(to("a", match=[uri(prefix="/api/x"), uri(prefix="/other")]), prefix("/api/y", "b"))],
         asks(404, "/api/x"), asks("b", "/api/y")),
    Case("D6: an expression beside a condition", [
        root(match=[uri(prefix="/api")]), delegate(to("a", match=[uri(regex="/api/.*")]))], asks(404, "/api/x")),
    Case("D7: conditions of both", [
        root(match=[{"headers": {"x": {"exact": "1"}}}]), delegate(to("a", match=[{"headers": {"z": {}}}]))],
         asks("a", x="1", z="2"), asks(404, x="1"), asks(404, z="2")),
    Case("D4: in place, in order", [
        root(prefix("/x", "a"), match=[uri(prefix="/x")]), delegate(prefix("/x/y", "b"))],
         asks("b", "/x/y"), asks("a", "/x/z")),
    Case("D10: a delegate serves nothing by itself", [delegate(A)], asks(404)),
]

UNREADABLE = [
    ("60", routes(to(objects.to("a", weight=0), objects.to("b", weight=0))), "weight"),
    ("63", routes({"match": [uri(prefix="/")]}), "route"),
    ("80", routes({"redirect": {"uri": "/new", "redirectCode": 304}}), "redirectCode"),
]

CASES = CONDITIONS + DESTINATIONS + DELEGATES
