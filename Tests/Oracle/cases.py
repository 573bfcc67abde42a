"""The requests that both proxies get, and what is compared of each answer."""

import json

from peers import http1, http2

OK_REQUEST = "GET {} HTTP/1.1\r\nHost: {}\r\n{}\r\n"

# Headers whose value may differ by nature, or that one product adds for itself.
OWN = {"date", "server", "x-envoy-upstream-service-time", "content-length", "connection", "transfer-encoding"}
SEEN_OWN = {
    "x-request-id", "x-envoy-external-address", "x-envoy-expected-rq-timeout-ms", "x-forwarded-for",
    "transfer-encoding", "content-length",
}


class Case:
    """`send(port)` returns what is compared: a dictionary of plain values. `secure`: wants the TLS port."""

    def __init__(self, name, send, secure=False):
        self.name, self.send, self.secure = name, send, secure


def plain(name, path, host="a.test", headers="", method="GET", body=""):
    text = OK_REQUEST.format(path, host, headers).replace("GET", method, 1) + body
    return Case(f"http1 {name}", lambda port: outcome1(http1.send(port, text, to=method)))


def octets(name, text):
    """A request that is to be refused: the status and whether the connection ends."""

    def send(port):
        with http1.connect(port) as client:
            client.send(text)
            response = client.response()
            return {"status": response.status, "closed": response.value("connection") == "close"}

    return Case(f"http1 {name}", send)


def outcome1(response):
    made = {
        "status": response.status, "type": response.value("content-type"), "complete": response.complete,
        "grpc-status": response.value("grpc-status"), "headers": kept(response.headers, OWN),
    }
    return {**made, **body_of(response.value("x-upstream"), response.body)}


def kept(headers, own):
    return sorted((name.lower(), value) for name, value in headers if name.lower() not in own and name[0] != ":")


def body_of(upstream, body):
    """An echo from the `show` upstream becomes what that upstream saw; another body is compared as it is."""
    if upstream == "shown" and body:
        seen = json.loads(body)
        return {
            "seen": seen["first"], "seen body": seen["body"], "seen trailers": seen["trailers"],
            "seen headers": kept(seen["headers"], SEEN_OWN),
        }
    return {"body": body.decode("latin-1")}


def outcome2(stream):
    made = {
        "status": stream.status, "type": stream.header("content-type"), "grpc-status": stream.grpc_status,
        "trailers only": stream.trailers_only, "reset": None if stream.ended else stream.reset, "ended": stream.ended,
        "headers": kept(stream.headers, OWN | {"grpc-message"}),
        "trailers": kept(stream.trailers, {"grpc-message"}),
    }
    if stream.trailers_only or stream.header("x-upstream") == "shown" or stream.status != 200:
        made.update(body_of(stream.header("x-upstream"), bytes(stream.data)))
    else:
        made["data"] = len(stream.data)
    return made


def call(name, path, host="a.test", body=None, **headers):
    def send(port):
        with http2.connect(port) as client:
            return outcome2(client.exchange(
                http2.grpc_headers(path, host, **headers), http2.message() if body is None else body))

    return Case(f"grpc {name}", send)


def second(name, path, host="a.test", method="GET", body=None, **headers):
    def send(port):
        with http2.connect(port) as client:
            return outcome2(client.exchange(http2.get_headers(path, host, method=method, **headers), body))

    return Case(f"http2 {name}", send)


CASES = [
    # Matching
    plain("exact path", "/exact"),
    plain("exact path with a query", "/exact?x=1"),
    plain("exact is not a prefix", "/exact/more"),
    plain("prefix of characters", "/prefixed/and/more"),
    plain("regex matches the whole path", "/re/123"),
    plain("regex does not match a part", "/re/123x"),
    plain("ignoreUriCase", "/CaSe"),
    plain("paths are case-sensitive", "/EXACT"),
    plain("header equal", "/head", headers="X-Key: one\r\n"),
    plain("header not equal", "/head", headers="X-Key: One\r\n"),
    plain("header absent", "/head"),
    plain("header present", "/present", headers="x-key: any\r\n"),
    plain("header twice is joined", "/head", headers="x-key: one\r\nx-key: two\r\n"),
    plain("without header, absent", "/without"),
    plain("without header, present", "/without", headers="x-key: 1\r\n"),
    plain("query parameter", "/query?a=2&q=1"),
    plain("query parameter differs", "/query?q=11"),
    plain("method matches", "/put", method="PUT", headers="content-length: 2\r\n", body="ab"),
    plain("method differs", "/put"),
    plain("host with a port", "/exact", host="a.test:1234"),
    plain("host in capitals", "/exact", host="A.TEST"),
    plain("wildcard host", "/x", host="deep.er.wild.test"),
    plain("wildcard host needs a label", "/x", host="wild.test"),
    plain("unknown host", "/exact", host="b.test"),
    plain("dot segments", "/raw/../exact"),
    plain("absolute form", "http://a.test/exact", host="other.test"),
    # HTTP/1.1 forwarding
    plain("body by length", "/prefix", method="POST", headers="content-length: 5\r\n", body="hello"),
    plain("body in chunks", "/prefix", method="POST", headers="transfer-encoding: chunked\r\n",
          body="3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"),
    plain("HEAD", "/exact", method="HEAD"),
    plain("hop-by-hop request headers", "/exact",
          headers="connection: keep-alive, x-gone\r\nkeep-alive: 5\r\nx-gone: 1\r\n"
                  "proxy-connection: x\r\nx-kept: 1\r\n"),
    plain("te reduced to trailers", "/exact", headers="te: trailers, gzip\r\nconnection: te\r\n"),
    plain("h2c upgrade is ignored", "/exact",
          headers="connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAoAAA\r\n"),
    plain("headers repeated stay repeated", "/exact", headers="x-a: 1\r\nx-a: 2\r\ncookie: a=1\r\n"),
    plain("forged x-forwarded-proto", "/exact", headers="x-forwarded-proto: https\r\n"),
    plain("until close", "/raw/until-close"),
    plain("204", "/raw/no-content"),
    plain("304", "/raw/not-modified"),
    plain("418", "/raw/teapot"),
    plain("upstream's own 503", "/raw/error"),
    plain("hop-by-hop response headers", "/raw/hops"),
    plain("two cookies", "/raw/cookies"),
    plain("103 before 200", "/raw/early-hints"),
    plain("chunked answer", "/raw/chunks"),
    # Failures, plain
    plain("connection refused", "/refused"),
    plain("no endpoint", "/none"),
    plain("no endpoint, HEAD", "/none", method="HEAD"),
    plain("unknown service", "/absent"),
    plain("upstream closes at once", "/raw/close"),
    plain("upstream talks garbage", "/raw/garbage"),
    plain("upstream sends two lengths", "/raw/both-lengths"),
    plain("upstream body too short", "/raw/short-body"),
    plain("upstream chunks cut", "/raw/cut-chunks"),
    plain("route timeout", "/raw/silent"),
    # Failures, gRPC
    call("unary", "/test.Echo/Unary"),
    call("failing call", "/test.Echo/Unary", x_fail="5:gone"),
    call("no route", "/nothing.S/M"),
    call("connection refused", "/refused"),
    call("no endpoint", "/none"),
    call("unknown service", "/absent"),
    call("trailers only", "/script.S/TrailersOnly"),
    call("no trailers", "/script.S/NoTrailers"),
    call("upstream's text 503", "/script.S/Text503"),
    call("reset INTERNAL_ERROR", "/script.S/Reset2"),
    call("reset REFUSED_STREAM", "/script.S/Reset7"),
    call("reset CANCEL", "/script.S/Reset8"),
    call("upstream closes", "/script.S/Close"),
    call("reset after the first message", "/script.S/ResetLate"),
    call("close after the first message", "/script.S/CloseLate"),
    call("route timeout", "/script.Slow/Silent"),
    call("a content type of gRPC with a suffix", "/nothing.S/M", content_type="application/grpc+proto"),
    # HTTP/2 that is not gRPC
    second("GET to HTTP/1.1", "/exact"),
    second("POST to HTTP/1.1", "/prefix", method="POST", body=b"hello"),
    second("cookie crumbs joined", "/exact", cookie="a=1"),
    second("no route", "/nothing"),
    second("not quite gRPC", "/nothing", content_type="application/grpc;x=y"),
    second("connection refused", "/refused"),
    second("HEAD", "/exact", method="HEAD"),
    # Refused requests
    octets("content-length and transfer-encoding",
           "POST /exact HTTP/1.1\r\nHost: a.test\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
    octets("two content-lengths",
           "POST /exact HTTP/1.1\r\nHost: a.test\r\ncontent-length: 3\r\ncontent-length: 3\r\n\r\nabc"),
    octets("content-length +3", "POST /exact HTTP/1.1\r\nHost: a.test\r\ncontent-length: +3\r\n\r\nabc"),
    octets("transfer-encoding gzip",
           "POST /exact HTTP/1.1\r\nHost: a.test\r\ntransfer-encoding: gzip, chunked\r\n\r\n"),
    octets("space before the colon", "GET /exact HTTP/1.1\r\nHost: a.test\r\nx : 1\r\n\r\n"),
    octets("NUL in a value", "GET /exact HTTP/1.1\r\nHost: a.test\r\nx: a\0b\r\n\r\n"),
    octets("no Host", "GET /exact HTTP/1.1\r\n\r\n"),
    octets("HTTP/1.0", "GET /exact HTTP/1.0\r\nHost: a.test\r\n\r\n"),
    octets("no colon", "GET /exact HTTP/1.1\r\nHost: a.test\r\nnonsense\r\n\r\n"),
    octets("bad chunk size",
           "POST /exact HTTP/1.1\r\nHost: a.test\r\ntransfer-encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n"),
    octets("headers too large", "GET /exact HTTP/1.1\r\nHost: a.test\r\nx: " + "a" * 70000 + "\r\n\r\n"),
]
