"""gRPC-Web over HTTP/1.1 by hand."""

import base64

from peers import http1


def frame(octets=b"ping", flags=0):
    return bytes([flags]) + len(octets).to_bytes(4, "big") + octets


def request(body, kind="application/grpc-web+proto", path="/test.Echo/Unary", host="echo.test", method="POST", **extra):
    """The octets of a call; an underscore in a keyword stands for a dash."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in extra.items())
    head = f"{method} {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: {kind}\r\nx-grpc-web: 1\r\n{lines}"
    return head.encode() + f"content-length: {len(body)}\r\n\r\n".encode() + body


def call(port, *messages, kind="application/grpc-web+proto", **named):
    """One call on its own connection; its response."""
    body = b"".join(frame(each) for each in messages)
    if "-text" in kind:
        body = b"".join(base64.b64encode(frame(each)) for each in messages)
    return http1.send(port, request(body, kind, **named))


def plain(body):
    """The octets of a body of the text form, each of whose parts may have padding."""
    assert len(body) % 4 == 0, body
    return b"".join(base64.b64decode(body[place:place + 4], validate=True) for place in range(0, len(body), 4))


def parts(body):
    """The messages of a response's body, and its trailers."""
    messages, trailers = [], None
    while body:
        flags, length = body[0], int.from_bytes(body[1:5], "big")
        content, body = body[5:5 + length], body[5 + length:]
        assert len(content) == length and trailers is None
        if flags & 0x80:
            trailers = dict(line.split(":", 1) for line in content.decode().split("\r\n") if line)
        else:
            messages.append(content)
    return messages, trailers
