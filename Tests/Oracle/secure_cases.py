"""The same over TLS: what the handshake chooses, and requests of both protocols behind it."""

import ssl

from cases import OK_REQUEST, Case, outcome1, outcome2
from cryptography import x509
from peers import certificates, http1, http2


def handshake(name, server_name, **named):
    """Which certificate and protocol the server chose, or that it ended the connection."""

    def send(port):
        context = certificates.client_context(**named)
        context.check_hostname = False
        try:
            with http1.connect(port, context, server_name) as client:
                made = x509.load_der_x509_certificate(client.socket.getpeercert(True))
                names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
                return {
                    "names": names.get_values_for_type(x509.DNSName), "alpn": client.socket.selected_alpn_protocol(),
                    "version": client.socket.version(),
                }
        except (ssl.SSLError, ConnectionError):
            return {"refused": True}

    return Case(f"tls {name}", send, secure=True)


def plain(name, path, host="a.test", headers="", server_name=None, alpn=("http/1.1",)):
    def send(port):
        context = certificates.client_context(alpn=alpn)
        text = OK_REQUEST.format(path, host, headers)
        return outcome1(http1.send(port, text, context=context, server_name=server_name or host))

    return Case(f"tls http1 {name}", send, secure=True)


def second(name, headers, body=None):
    def send(port):
        with http2.connect(port, certificates.client_context(), dict(headers)[":authority"]) as client:
            return outcome2(client.exchange(headers, body))

    return Case(f"tls http2 {name}", send, secure=True)


def call(name, path, **headers):
    made = second(name, http2.grpc_headers(path, "a.test", "https", **headers), http2.message())
    return Case(f"tls grpc {name}", made.send, secure=True)


CASES = [
    handshake("h2 is preferred", "a.test", alpn=("http/1.1", "h2")),
    handshake("http/1.1", "a.test", alpn=("http/1.1",)),
    handshake("no ALPN", "a.test", alpn=()),
    handshake("ALPN of nobody", "a.test", alpn=("spdy/3",)),
    handshake("the other certificate", "x.wild.test"),
    handshake("a deeper name than the certificate's", "deep.er.wild.test"),
    handshake("SNI in capitals", "A.TEST"),
    handshake("TLS 1.2", "a.test", maximum=ssl.TLSVersion.TLSv1_2),
    handshake("unknown SNI", "b.test"),
    handshake("a wildcard needs a label", "wild.test"),
    handshake("no SNI", None),
    plain("exact path", "/exact"),
    plain("no ALPN", "/exact", alpn=()),
    plain("no route", "/nothing"),
    plain("host with a port", "/exact", host="a.test:443", server_name="a.test"),
    plain("forged x-forwarded-proto", "/exact", headers="x-forwarded-proto: http\r\n"),
    plain("the other certificate", "/x", host="x.wild.test"),
    plain("host of the other certificate", "/exact", server_name="x.wild.test"),
    second("GET to HTTP/1.1", http2.get_headers("/exact", "a.test", "https")),
    second("the other certificate", http2.get_headers("/x", "x.wild.test", "https")),
    second("scheme http", http2.get_headers("/exact", "a.test", "http")),
    call("unary", "/test.Echo/Unary"),
    call("no route", "/nothing.S/M"),
    call("no endpoint", "/none"),
    call("reset CANCEL", "/script.S/Reset8"),
]
