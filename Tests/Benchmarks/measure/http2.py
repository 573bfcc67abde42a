"""A bare HTTP/2 client over a blocking socket: for connections that idle, handshakes and small streams.

It knows as much of RFC 9113 and 7541 as that needs: it writes header fields as literals, and does not
decode those that come back.
"""

import socket
import ssl
import struct

DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
START_WINDOW = 65535


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


# No push; a stream's window as large as it may be, and the connection's too.
HELLO = (
    PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HIHI", 2, 0, 4, 0x7FFFFFFF))
    + frame(WINDOW, 0, 0, struct.pack(">I", 0x7FFFFFFF - START_WINDOW)))


def header_block(fields):
    """Literals without indexing, names and values shorter than 127 octets, no Huffman code."""
    block = b""
    for name, value in fields:
        block += b"\0" + bytes((len(name),)) + name.encode() + bytes((len(value),)) + value.encode()
    return block


def tls_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["h2"])
    return context


class Client:
    def __init__(self, port, context=None, session=None):
        self.socket = socket.create_connection(("127.0.0.1", port), 30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            self.socket = context.wrap_socket(self.socket, server_hostname="bench.test", session=session)
        self.input = b""
        self.window = START_WINDOW  # what the connection may still send
        self.last_stream = -1
        self.socket.sendall(HELLO)

    def open(self, path, method="POST", end=False, scheme="http", authority="bench.test"):
        self.last_stream += 2
        self.socket.sendall(self.opening(self.last_stream, path, method, end, scheme, authority))
        return self.last_stream

    @staticmethod
    def opening(stream, path, method="POST", end=False, scheme="http", authority="bench.test"):
        fields = [(":method", method), (":scheme", scheme), (":path", path), (":authority", authority)]
        if method == "POST":
            fields += [("content-type", "application/grpc"), ("te", "trailers")]
        return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, header_block(fields))

    def frames(self):
        """Waits for octets; returns (kind, flags, stream, payload) of the whole frames that came.

        Settings and pings are answered here, and the connection's window is kept.
        """
        octets = self.socket.recv(1 << 18)
        if not octets:
            raise ConnectionError("the gateway closed the connection")
        data, place, found, answers = self.input + octets, 0, [], b""
        while len(data) - place >= 9:
            length = int.from_bytes(data[place:place + 3], "big")
            if len(data) - place - 9 < length:
                break
            kind, flags = data[place + 3], data[place + 4]
            stream = int.from_bytes(data[place + 5:place + 9], "big") & 0x7FFFFFFF
            payload = data[place + 9:place + 9 + length]
            place += 9 + length
            if kind == SETTINGS and not flags & ACK:
                answers += frame(SETTINGS, ACK, 0)
            elif kind == PING and not flags & ACK:
                answers += frame(PING, ACK, 0, payload)
            elif kind == WINDOW and stream == 0:
                self.window += int.from_bytes(payload, "big")
            elif kind in (RESET, GOAWAY):
                raise ConnectionError(f"frame of kind {kind} from the gateway: {payload.hex()}")
            found.append((kind, flags, stream, payload))
        self.input = data[place:]
        if answers:
            self.socket.sendall(answers)
        return found

    def get(self, path, scheme="http", authority="bench.test"):
        """One whole request, not of gRPC, whose errors have status 200 too; true if its status was 200."""
        stream, status = self.open(path, "GET", True, scheme, authority), None
        while True:
            for kind, flags, number, payload in self.frames():
                if number != stream or kind not in (DATA, HEADERS):
                    continue
                if kind == HEADERS and status is None:
                    # `:status: 200` is entry 8 of the static table; a table's new size may stand before it.
                    status = 0x88 in payload[:4]
                if flags & END_STREAM:
                    return bool(status)

    def close(self):
        self.socket.close()
