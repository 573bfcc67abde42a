"""HTTP/1.1 that a strict parser refuses: docs/behaviour.md. Nothing of it may reach the upstream."""

import random

import pytest

from peers import http1

POST = "POST /x HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + "transfer-encoding: chunked\r\n\r\n"

REFUSED = {
    "CL and TE": (POST + "content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
    "TE and CL": (POST + "transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n", {400}),
    "CL and TE identity": (POST + "content-length: 3\r\ntransfer-encoding: identity\r\n\r\nabc", {400, 501}),
    "two equal CL": (POST + "content-length: 3\r\ncontent-length: 3\r\n\r\nabc", {400}),
    "two different CL": (POST + "content-length: 3\r\ncontent-length: 4\r\n\r\nabcd", {400}),
    "CL list": (POST + "content-length: 3, 3\r\n\r\nabc", {400}),
    "CL +3": (POST + "content-length: +3\r\n\r\nabc", {400}),
    "CL -1": (POST + "content-length: -1\r\n\r\nabc", {400}),
    "CL 0x3": (POST + "content-length: 0x3\r\n\r\nabc", {400}),
    "CL empty": (POST + "content-length:\r\n\r\nabc", {400}),
    "CL of 64 bits": (POST + "content-length: 18446744073709551616\r\n\r\nabc", {400}),
    "CL with a letter": (POST + "content-length: 3a\r\n\r\nabc", {400}),
    "CL overflow": (POST + "content-length: 99999999999999999999\r\n\r\nabc", {400}),
    "TE gzip, chunked": (POST + "transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", {400, 501}),
    "TE chunked, gzip": (POST + "transfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n", {400, 501}),
    "TE chunked twice": (POST + "transfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n", {400, 501}),
    "TE xchunked": (POST + "transfer-encoding: xchunked\r\n\r\n0\r\n\r\n", {400, 501}),
    "two TE lines": (POST + "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", {400, 501}),
    "TE with a control octet": (POST + "transfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\n", {400, 501}),
    "space before the colon": (POST + "transfer-encoding : chunked\r\n\r\n0\r\n\r\n", {400}),
    "space before the colon of any field": ("GET / HTTP/1.1\r\nHost: a\r\nx : 1\r\n\r\n", {400}),
    "TAB before the colon": ("GET / HTTP/1.1\r\nHost: a\r\nx\t: 1\r\n\r\n", {400}),
    "first line of headers folded": ("GET / HTTP/1.1\r\n Host: a\r\nHost: a\r\n\r\n", {400}),
    "obs-fold": ("GET / HTTP/1.1\r\nHost: a\r\nx: 1\r\n 2\r\n\r\n", {400}),
    "obs-fold on TE": (POST + "transfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\n", {400}),
    "bare LF line ends": ("GET / HTTP/1.1\nHost: a\n\n", {400}),
    "one bare LF": ("GET / HTTP/1.1\r\nHost: a\nx: 1\r\n\r\n", {400}),
    "bare CR in a value": ("GET / HTTP/1.1\r\nHost: a\r\nx: 1\r2\r\n\r\n", {400}),
    "NUL in a value": ("GET / HTTP/1.1\r\nHost: a\r\nx: 1\x002\r\n\r\n", {400}),
    "0x01 in a value": ("GET / HTTP/1.1\r\nHost: a\r\nx: 1\x012\r\n\r\n", {400}),
    "0x7F in a value": ("GET / HTTP/1.1\r\nHost: a\r\nx: 1\x7f2\r\n\r\n", {400}),
    "no colon": ("GET / HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n", {400}),
    "empty name": ("GET / HTTP/1.1\r\nHost: a\r\n: 1\r\n\r\n", {400}),
    "parenthesis in a name": ("GET / HTTP/1.1\r\nHost: a\r\nx(: 1\r\n\r\n", {400}),
    "an @ in a name": ("GET / HTTP/1.1\r\nHost: a\r\nx@y: 1\r\n\r\n", {400}),
    "NUL in a name": ("GET / HTTP/1.1\r\nHost: a\r\nx\x00y: 1\r\n\r\n", {400}),
    "obs-text in a name": ("GET / HTTP/1.1\r\nHost: a\r\nx\xe9: 1\r\n\r\n", {400}),
    "two Host lines": ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", {400}),
    "two equal Host lines": ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", {400}),
    "no Host": ("GET / HTTP/1.1\r\n\r\n", {400}),
    "space in Host": ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", {400}),
    "user in Host": ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", {400}),
    "path in Host": ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", {400}),
    "port in Host that is no number": ("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", {400}),
    "authority form": ("GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    "absolute form of TLS on a port without": ("GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n", {400, 403}),
    "absolute form of another scheme": ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    "absolute form with a user": ("GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    "asterisk form of GET": ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    "three leading CRLF": ("\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    "leading space": (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    "space behind the version": ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", {400}),
    "no version": ("GET / \r\nHost: a\r\n\r\n", {400, 426, 505}),
    "bad sign in the method": ("G@T / HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    "two spaces in the request line": ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    "TAB in the request line": ("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    "space in the target": ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    "raw non-ASCII target": ("GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    "relative target": ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    "lower-case version": ("GET / http/1.1\r\nHost: a\r\n\r\n", {400}),
    "HTTP/0.9": ("GET /\r\n\r\n", {426, 505}),
    "HTTP/1.0 without Host": ("GET / HTTP/1.0\r\n\r\n", {400}),
    "HTTP/1.0 with chunks": (
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", {400}),
    "HTTP/1.0 with both lengths": (
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc", {400}),
    "HTTP/1.2": ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", {426, 505}),
    "HTTP/2.0 as text": ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", {426, 505}),
    "NUL in the path": ("GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    "connection names host": ("GET / HTTP/1.1\r\nHost: a\r\nconnection: host\r\n\r\n", {400}),
    "connection names x-forwarded-for": (
        "GET / HTTP/1.1\r\nHost: a\r\nconnection: x-forwarded-for\r\nx-forwarded-for: 1.1.1.1\r\n\r\n", {400}),
    "TLS on a plain port": (b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(160), {400}),
    "headers too large": ("GET / HTTP/1.1\r\nHost: a\r\nx: " + "a" * 70_000 + "\r\n\r\n", {431}),
    "too many headers": ("GET / HTTP/1.1\r\nHost: a\r\n" + "x: y\r\n" * 200 + "\r\n", {431}),
    "target too long": ("GET /" + "a" * 70_000 + " HTTP/1.1\r\nHost: a\r\n\r\n", {414, 431}),
}

REFUSED_BODIES = {
    "chunk longer than its size": CHUNKED + "3\r\nabcd\r\n0\r\n\r\n",
    "LF only after chunk data": CHUNKED + "3\r\nabc\n0\r\n\r\n",
    "chunk size ended by LF": CHUNKED + "3\nabc\r\n0\r\n\r\n",
    "space before the chunk size": CHUNKED + " 3\r\nabc\r\n0\r\n\r\n",
    "chunk size 0x3": CHUNKED + "0x3\r\nabc\r\n0\r\n\r\n",
    "chunk size +3": CHUNKED + "+3\r\nabc\r\n0\r\n\r\n",
    "chunk size -3": CHUNKED + "-3\r\nabc\r\n0\r\n\r\n",
    "empty chunk size": CHUNKED + "\r\nabc\r\n0\r\n\r\n",
    "17 hex digits": CHUNKED + "00000000000000003\r\nabc\r\n0\r\n\r\n",
    "chunk size overflow": CHUNKED + "1FFFFFFFFFFFFFFFF\r\nabc\r\n0\r\n\r\n",
    "extension with LF": CHUNKED + "3;a\nb\r\nabc\r\n0\r\n\r\n",
    "extension with CR": CHUNKED + "3;a\rb\r\nabc\r\n0\r\n\r\n",
    "70 KB of extension": CHUNKED + "3;" + "a" * 70_000 + "\r\nabc\r\n0\r\n\r\n",
    "CR alone behind the chunk size": CHUNKED + "3\rabc\r\n0\r\n\r\n",
    "CR alone behind chunk data": CHUNKED + "3\r\nabc\r0\r\n\r\n",
    "NUL in an extension": CHUNKED + "3;a\x00b\r\nabc\r\n0\r\n\r\n",
    "TAB before the chunk size": CHUNKED + "\t3\r\nabc\r\n0\r\n\r\n",
    "no chunk size but an extension": CHUNKED + ";a=b\r\nabc\r\n0\r\n\r\n",
    "underscore in the chunk size": CHUNKED + "1_0\r\n0123456789abcdef\r\n0\r\n\r\n",
    "folded trailer": CHUNKED + "0\r\nx: 1\r\n 2\r\n\r\n",
    "LF alone behind a trailer": CHUNKED + "0\r\nx: 1\n\r\n",
    "trailer with a bad name": CHUNKED + "0\r\nbad name: 1\r\n\r\n",
}

ACCEPTED = {
    "CL with spaces": (POST + "content-length:   3  \r\n\r\nabc", b"abc"),
    "TE Chunked": (POST + "transfer-encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", b"abc"),
    "obs-text": (POST + "x: \x80\xff\r\ncontent-length: 1\r\n\r\na", b"a"),
    "one leading CRLF": ("\r\n" + POST + "content-length: 1\r\n\r\na", b"a"),
    "chunk extension": (CHUNKED + '3;a=b;c="d;e"\r\nabc\r\n0\r\n\r\n', b"abc"),
    "chunk size in capitals": (CHUNKED + "A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    "leading zeros": (CHUNKED + "0003\r\nabc\r\n0\r\n\r\n", b"abc"),
    "trailers": (CHUNKED + "3\r\nabc\r\n0\r\nx-t: 1\r\n\r\n", b"abc"),
    "trailer that looks like framing": (CHUNKED + "3\r\nabc\r\n0\r\ncontent-length: 9\r\nhost: b\r\n\r\n", b"abc"),
    "a method in lower case": (POST.replace("POST", "post") + "content-length: 1\r\n\r\na", b"a"),
    "an own method": (POST.replace("POST", "FOO") + "content-length: 1\r\n\r\na", b"a"),
    "absolute form": (POST.replace("/x", "http://a/x") + "content-length: 1\r\n\r\na", b"a"),
}


def sent(octets):
    return octets.encode("latin-1") if isinstance(octets, str) else octets


@pytest.mark.parametrize("name", REFUSED)
def test_is_refused_and_the_connection_ends(web_gateway, web, name):
    octets, statuses = REFUSED[name]
    count = len(web.requests)
    with http1.connect(web_gateway.port, seconds=5) as client:
        client.send(sent(octets) + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        response = client.response()
        assert response.status in statuses
        assert response.value("connection") == "close"
        assert client.rest() == b"", "nothing follows a refusal"
    assert len(web.requests) == count, "nothing reached the upstream"


@pytest.mark.parametrize("name", REFUSED_BODIES)
def test_a_body_is_refused_and_the_connection_ends(web_gateway, web, name):
    """The head was fine, so the upstream may have seen it; it must never see a complete request."""
    count = len(web.requests)
    with http1.connect(web_gateway.port, seconds=5) as client:
        client.send(sent(REFUSED_BODIES[name]) + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        received = client.rest()
        assert received == b"" or received.startswith(b"HTTP/1.1 4"), received[:200]
        assert received.count(b"HTTP/1.1 ") <= 1
    assert [request for request in web.requests[count:] if request.complete] == []


@pytest.mark.parametrize("name", ACCEPTED)
def test_is_accepted(web_gateway, web, name):
    octets, body = ACCEPTED[name]
    with http1.connect(web_gateway.port, seconds=5) as client:
        client.send(sent(octets))
        assert client.response().status == 200
        assert web.last.body == body
        assert web.last.values("content-length") in ([str(len(body))], [])
        client.send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.response().status == 200


def test_silence_and_half_requests_do_not_disturb_others(web_gateway):
    idle = [http1.connect(web_gateway.port) for _ in range(20)]
    for client in idle[::2]:
        client.send("GET / HTTP/1.1\r\nHost: a\r\nx: ")
    assert http1.get(web_gateway.port).status == 200
    for client in idle:
        client.close()
    assert http1.get(web_gateway.port).status == 200


def test_random_octets_never_end_the_gateway(web_gateway):
    chooser = random.Random(20261121)
    whole = b"POST /x HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    for _ in range(150):
        octets = bytearray(whole)
        for _ in range(chooser.randrange(1, 6)):
            octets[chooser.randrange(len(octets))] = chooser.randrange(256)
        with http1.connect(web_gateway.port, seconds=5) as client:
            client.send(bytes(octets))
            client.socket.shutdown(1)
            client.rest()
    assert http1.get(web_gateway.port).status == 200
