"""gRPC-Web beside Envoy's filter of that name, and HTTP/1.0 beside its `accept_http_10`."""

from cases import Case
from peers import grpc_web, http1

BINARY, TEXT = "application/grpc-web+proto", "application/grpc-web-text"


def outcome(answer):
    made = {
        "status": answer.status, "type": answer.value("content-type"), "grpc-status": answer.value("grpc-status"),
        "complete": answer.complete}
    try:
        octets = grpc_web.plain(answer.body) if "-text" in (made["type"] or "") else answer.body
        messages, trailers = grpc_web.parts(octets)
        return {**made, "messages": [each.hex() for each in messages], "trailers": trailers}
    except (AssertionError, IndexError, ValueError):
        return {**made, "body": answer.body.decode("latin-1")}


def web(name, path, body=None, kind=BINARY, **fields):
    if "-text" in kind:
        fields.setdefault("accept", kind)
    body = grpc_web.frame(b"hello") if body is None else body

    def send(port):
        return outcome(http1.send(port, grpc_web.request(body, kind, path, "a.test", **fields)))

    return Case(f"grpc-web {name}", send)


def old(name, headers, body=""):
    """A request of HTTP/1.0: how its answer is framed, and whether the connection stays."""

    def send(port):
        with http1.connect(port) as client:
            client.send(f"GET {headers}\r\n{body}")
            answer = client.response()
            return {
                "first": answer.first.split(" ")[:2], "connection": answer.value("connection"),
                "chunked": answer.value("transfer-encoding"), "length": answer.value("content-length") is not None}

    return Case(f"http1.0 {name}", send)


BASE64 = b"AAAAAAVoZWxsbw=="  # of a message `hello`

CASES = [
    web("binary", "/test.Echo/Unary"),
    web("binary stream", "/test.Echo/Stream", x_count="5"),
    web("binary of two messages", "/test.Echo/Chat", grpc_web.frame(b"a") + grpc_web.frame(b"b")),
    web("text", "/test.Echo/Unary", BASE64, TEXT),
    web("text in parts with padding", "/test.Echo/Chat", BASE64 + BASE64, TEXT),
    web("text for a binary answer", "/test.Echo/Unary", BASE64, TEXT, accept=BINARY),
    web("binary for a text answer", "/test.Echo/Unary", accept=TEXT),
    web("failure in trailers only", "/test.Echo/Unary", x_fail="5:no"),
    web("failure after a message", "/test.Echo/Chat", x_fail_late="9:late"),
    web("answer that is no grpc", "/script.S/Text503"),
    web("text that is no base64", "/test.Echo/Unary", b"AAAA!AAA", TEXT),
    web("text that is cut", "/test.Echo/Unary", BASE64[:-1], TEXT),
    web("no route", "/nothing"),
    web("no endpoint", "/none"),
    old("close", "/raw/teapot HTTP/1.0\r\nHost: a.test\r\n"),
    old("keep-alive", "/raw/teapot HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n"),
    old("keep-alive without a length", "/raw/chunks HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n"),
    old("without a length", "/raw/chunks HTTP/1.0\r\nHost: a.test\r\n"),
    old("without a host", "/raw/teapot HTTP/1.0\r\n"),
    old("with chunks", "/raw/teapot HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    old("local answer", "/nothing HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n"),
]
