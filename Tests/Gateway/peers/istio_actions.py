"""Cases 69 to 99: rewrites, redirects, direct answers, header operations, deadlines, retries, faults, mirrors, CORS."""

from peers import objects, waiting
from peers.istio import Case, asks, gateway, routes, served, server, to

A = to("a")
ALWAYS = {"percentage": {"value": 100}}
TIMEOUT = {"status": 504, "body": "upstream request timeout"}


def rewritten(match, *questions, number, **rewrite):
    return Case(number, [routes(to("a", match=[match] if match else None, rewrite=rewrite))], *questions)


def sees(path, asked, **more):
    return asks({"by": "a", "path": path}, asked, **more)


def redirected(number, question, redirect, gateways=None):
    return Case(number, [routes({"redirect": redirect}), *(gateways or [])], question)


def moved(location, path="/", status=301, **more):
    return asks({"by": None, "status": status, "location": location}, path, **more)


REWRITES = [
    rewritten({"uri": {"prefix": "/a"}}, sees("/b/x?q=1", "/a/x?q=1"), sees("/bb", "/ab"), number="69", uri="/b"),
    rewritten({"uri": {"prefix": "/a"}}, sees("//x", "/a/x"), number="70", uri="/"),
    rewritten({"uri": {"prefix": "/a/"}}, sees("/x", "/a/x"), number="70b", uri="/"),
    rewritten({"uri": {"exact": "/a"}}, sees("/b", "/a"), number="71", uri="/b"),
    rewritten({"uri": {"regex": "/a.*"}}, sees("/b", "/axx"), sees("/b?q", "/a/x?q"), number="71b", uri="/b"),
    rewritten(None, sees("/bx", "/x"), number="72", uri="/b"),
    rewritten(None, sees("/p/7?q", "/u/7/p?q"), number="73",
              uriRegexRewrite={"match": r"^/u/(\d+)/(.*)", "rewrite": r"/\2/\1"}),
    rewritten(None, asks({"by": "a", "host": "x.com"}), number="74", authority="x.com"),
    rewritten({"uri": {"prefix": "/FOO"}, "ignoreUriCase": True}, sees("/b/x", "/foo/x"), number="2.7 length",
              uri="/b"),
    rewritten({"uri": {"prefix": "/a"}}, asks(
        {"by": "a", "saw": {"x-envoy-original-path": ["/a/x?q"]}}, "/a/x?q"), number="2.7 original path", uri="/b"),
    Case("75", [routes(A)], asks({"by": "a", "host": "a.com:80"}, host="a.com:80")),
    Case("2.7 host by a header", [routes(to("a", headers={"request": {"set": {"host": "y.com"}}}))],
         asks({"by": "a", "host": "y.com"})),
]

REDIRECTS = [
    redirected("76", moved("http://a.com/new?q=1", "/old?q=1"), {"uri": "/new"}),
    redirected("77", moved("https://a.com/x", "/x", 308, host="a.com:80"), {"scheme": "https", "redirectCode": 308}),
    redirected("78", moved("https://a.com:8443/x", "/x"), {"port": 8443, "scheme": "https"}),
    redirected("79", moved("http://b.com:8080/x", "/x", host="a.com:8080", port=8080),
               {"authority": "b.com", "derivePort": "FROM_REQUEST_PORT"}, [gateway(server(8080))]),
    redirected("2.7 own query", moved("http://a.com/new?z", "/old?q=1"), {"uri": "/new?z"}),
    redirected("2.7 port of the request", moved("http://a.com:81/new", "/old", host="a.com:81"), {"uri": "/new"}),
    Case("2.7 prefixRewrite", [routes({
        "match": [{"uri": {"prefix": "/old"}}], "redirect": {"prefixRewrite": "/new"}})],
         moved("http://a.com/new/x?q", "/old/x?q")),
    Case("81", [routes({
        "directResponse": {"status": 503, "body": {"string": "down"}},
        "headers": {"response": {"set": {"content-type": "text/x"}}}})],
         asks({"by": None, "status": 503, "body": "down", "fields": {"content-type": ["text/x"]}}, "/x")),
    Case("82", [gateway(server(hosts=["a.com"], tls={"httpsRedirect": True})), routes(to("a", match=[{"port": 443}]))],
         moved("https://a.com/x?q", "/x?q"), moved("https://a.com:80/x", "/x", host="a.com:80")),
    Case("83", [gateway(server(hosts=["a.com"], tls={"httpsRedirect": True}))],
         moved("https://a.com/", "/"), asks(404, host="b.com")),
]


def operating(number, question, *destinations, **headers):
    return Case(number, [routes(to(*(destinations or ["a"]), headers=headers))], question)


def own(name, **more):
    return {**objects.to(name, **more), "headers": {"request": {"set": {"x": "d"}}}}


def saw(values, path="/", **more):
    return asks({"saw": {"x": values, **more.pop("also", {})}}, path, **more)


OPERATIONS = [
    operating("84", saw(["1", "2"], also={"z": []}, x="0", z="1"),
              request={"set": {"x": "1"}, "add": {"x": "2"}, "remove": ["z"]}),
    operating("85", saw(["d"]), own("a"), request={"set": {"x": "r"}}),
    operating("85b", saw(["r"]), own("a", weight=1), own("b", weight=1), request={"set": {"x": "r"}}),
    operating("86", saw(["0"], x="0"), request={"set": {"x": ""}}),
    Case("87", [routes(to("a", rewrite={"uri": "/b"}, headers={"request": {"set": {"x": "%REQ(:path)%"}}}))],
         asks({"path": "/ba", "saw": {"x": ["/a"]}}, "/a")),
    operating("2.8 percent", saw(["1%"]), request={"set": {"x": "1%%"}}),
    operating("2.8 response", asks({"by": "a", "fields": {"x": ["1", "2"], "x-by": ["a"]}}),
              response={"set": {"x": "1"}, "add": {"x": "2"}, "remove": ["content-type"]}),
    operating("2.8 response of an unknown service", asks({"by": None, "status": 503, "fields": {"x": ["1"]}}), "nope",
              response={"set": {"x": "1"}}),
    Case("2.8 response of a service without endpoints", [
        routes(to("a", headers={"response": {"set": {"x": "1"}}})), *served("a")],
         asks({"by": None, "status": 503, "fields": {"x": ["1"]}})),
]


def refusing(backends):
    """Two endpoints, of which one refuses."""
    return [routes(A), *served("a", ("127.0.0.1", waiting.free_port()), ("127.0.0.1", backends["a"].port))]


def closed(**fields):
    """No endpoint but one that refuses."""
    return lambda _: [routes(to("a", **fields)), *served("a", ("127.0.0.1", waiting.free_port()))]


def retrying(**retries):
    return [routes(to("a", retries=retries))]


RETRIES = [
    Case("88", [routes(to("a", timeout="300ms"))], asks(TIMEOUT, x_do="silent")),
    Case("89", refusing, *[asks("a")] * 4),
    Case("90", [routes(A)], asks({"status": 503, "by": "a"}, x_do="503"), copies={"a": 1}),
    Case("91", retrying(attempts=2, retryOn="503"), asks({"status": 503, "by": "a"}, x_do="503"), copies={"a": 3}),
    Case("92", retrying(attempts=2, perTryTimeout="200ms", retryOn="5xx"), asks(TIMEOUT, x_do="silent"),
         copies={"a": 3}),
    Case("93", closed(retries={}), asks({"by": None, "status": 503})),
    Case("trap 20", retrying(attempts=3, perTryTimeout="200ms"), asks(TIMEOUT, x_do="silent"), copies={"a": 1}),
    Case("retries of a number beside the default", retrying(attempts=1, retryOn="connect-failure,503"),
         asks({"status": 503, "by": "a"}, x_do="503"), copies={"a": 2}),
    Case("a status of no condition", retrying(attempts=2, retryOn="gateway-error"),
         asks({"status": 500, "by": "a"}, x_do="500"), copies={"a": 1}),
    Case("retriable-4xx", retrying(attempts=2, retryOn="retriable-4xx"),
         asks({"status": 409, "by": "a"}, x_do="409"), copies={"a": 3}),
    Case("retries: {} of a status", retrying(), asks({"status": 503, "by": "a"}, x_do="503"), copies={"a": 1}),
    Case("attempts: 0", retrying(attempts=0), asks({"status": 503, "by": "a"}, x_do="503"), copies={"a": 1}),
]

FAULTS = [
    Case("94", [routes(to("a", fault={"abort": {"httpStatus": 500}}))], asks("a")),
    Case("94b", [routes(to("a", fault={"abort": {"httpStatus": 500, **ALWAYS}}))],
         asks({"by": None, "status": 500, "body": "fault filter abort"})),
    Case("95", [routes(to("a", fault={"abort": {"grpcStatus": "UNAVAILABLE", **ALWAYS}}))],
         asks({"by": None, "status": 200, "fields": {"grpc-status": ["14"]}}, method="POST",
              content_type="application/grpc", te="trailers", content_length="0")),
    Case("trap 23, delay", [routes(to("a", timeout="1s", fault={"delay": {"fixedDelay": "1h"}}))], asks("a")),
    Case("both, the delay first", [routes(to("a", fault={
        "delay": {"fixedDelay": "50ms", **ALWAYS}, "abort": {"httpStatus": 418, **ALWAYS}}))],
         asks({"by": None, "status": 418, "body": "fault filter abort"})),
    Case("96", [routes(to("a", mirror={"host": "b"}))], asks("a"), copies={"a": 1, "b": 1}),
    Case("96b", [routes(to("a", mirror={"host": "b"}, mirrorPercentage={"value": 0}))], asks("a"), copies={"b": 0}),
]

CORS = {"allowOrigins": [{"exact": "https://o.com"}], "allowMethods": ["GET"]}
ALLOWED = {"access-control-allow-origin": ["https://o.com"], "access-control-allow-methods": ["GET"]}
NOT_ALLOWED = {"access-control-allow-origin": [], "access-control-allow-methods": []}


def preflight(origin, answer):
    return asks(answer, method="OPTIONS", origin=origin, access_control_request_method="GET")


ORIGINS = [
    Case("97", [routes(to("a", corsPolicy=CORS))],
         preflight("https://o.com", {"by": None, "status": 200, "fields": ALLOWED}),
         preflight("https://evil.com", {"by": "a", "status": 200, "fields": NOT_ALLOWED})),
    Case("97, the request itself", [routes(to("a", corsPolicy=CORS))],
         asks({"by": "a", "fields": {"access-control-allow-origin": ["https://o.com"]}}, origin="https://o.com"),
         asks({"by": "a", "fields": {"access-control-allow-origin": []}}, origin="https://evil.com")),
    Case("98", [routes(to("a", corsPolicy={**CORS, "unmatchedPreflights": "IGNORE"}))],
         preflight("https://evil.com", {"by": None, "status": 200, "fields": {"access-control-allow-origin": []}})),
    Case("99", [routes(to("a", match=[{"method": {"exact": "GET"}}], corsPolicy=CORS))],
         preflight("https://o.com", {"by": None, "status": 404})),
]

CASES = REWRITES + REDIRECTS + OPERATIONS + RETRIES + FAULTS + ORIGINS
