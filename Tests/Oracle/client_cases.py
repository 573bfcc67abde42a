"""Certificates of clients, what upstreams are told of them, and hosts that are redirected to HTTPS."""

import datetime
import ssl
import tempfile

import stage
from cases import OK_REQUEST, Case, outcome1, outcome2
from peers import certificates, http1, http2

URI = "spiffe://cluster.local/ns/shop/sa/web"
PAIRS = {
    "none": None, "good": stage.CLIENTS.issue("client.test", "second.test", uris=[URI]),
    "of others": stage.OTHERS.issue("client.test", uris=[URI]),
    "expired": stage.CLIENTS.issue("client.test", end=-datetime.timedelta(days=1)),
    "without a URI": stage.CLIENTS.issue("client.test"),
    "with an odd subject": stage.CLIENTS.issue("x.test", subject='O"a, b\\c=d+e'),
}


def context(pair, alpn=("http/1.1",)):
    made = certificates.client_context(alpn=alpn)
    if pair:
        with tempfile.NamedTemporaryFile(suffix=".pem") as file:
            file.write(pair.certificate + pair.key)
            file.flush()
            made.load_cert_chain(file.name)
    return made


def client(kind, host, headers=""):
    def send(port):
        text = OK_REQUEST.format("/x", host, headers)
        try:
            return outcome1(http1.send(port, text, context=context(PAIRS[kind]), server_name=host))
        except (ssl.SSLError, ConnectionError, AssertionError):
            return {"refused": True}

    return Case(f"client certificate {kind} to {host}{' forged' if headers else ''}", send, secure=True)


def redirected(name, text, to="GET"):
    return Case(f"redirect {name}", lambda port: outcome1(http1.send(port, text, to=to)))


def redirected_call():
    def send(port):
        with http2.connect(port) as connection:
            headers = http2.grpc_headers("/test.Echo/Unary", stage.REDIRECTED)
            return outcome2(connection.exchange(headers, http2.message()))

    return Case("redirect grpc", send)


CASES = [
    *(client(kind, "mutual.test") for kind in PAIRS),
    *(client(kind, "optional.test") for kind in ("none", "good", "of others")),
    *(client(kind, "named.test") for kind in ("good", "without a URI")),
    client("good", "mutual.test", "x-forwarded-client-cert: Hash=00\r\n"),
    client("none", "optional.test", "x-forwarded-client-cert: Hash=00\r\n"),
    redirected("GET", OK_REQUEST.format("/x?q=1", stage.REDIRECTED, "")),
    redirected("with a port", OK_REQUEST.format("/", f"{stage.REDIRECTED}:8080", "")),
    redirected("with the port of HTTP", OK_REQUEST.format("/", f"{stage.REDIRECTED}:80", "")),
    redirected("POST", f"POST /x HTTP/1.1\r\nHost: {stage.REDIRECTED}\r\ncontent-length: 3\r\n\r\nabc"),
    redirected("HEAD", f"HEAD /x HTTP/1.1\r\nHost: {stage.REDIRECTED}\r\n\r\n", to="HEAD"),
    redirected("forged scheme", OK_REQUEST.format("/", stage.REDIRECTED, "x-forwarded-proto: https\r\n")),
    redirected_call(),
]
