"""Frames that are of no use to anybody, over and over: their connection ends, counted by its kind, and no other does.

How many of each are borne stands in Tests/HTTPTests/WorkBudgetTests.swift; here they are more than enough.
"""

import ctypes
import ctypes.util
import socket
import struct
import threading

import pytest
from hyperframe.frame import (
    DataFrame, GoAwayFrame, HeadersFrame, PingFrame, PriorityFrame, SettingsFrame, WindowUpdateFrame,
)

from peers import certificates, http2, objects, waiting
from peers.frames import CANCEL, ENHANCE_YOUR_CALM
from peers.gateway import Gateway

HINT = b"\x08\x03103"


def headers(number, block, *flags):
    return HeadersFrame(number, block, flags=["END_HEADERS", *flags]).serialize()


def windows():
    """Two SETTINGS that move the windows of all streams."""
    return b"".join(SettingsFrame(0, {4: octets}).serialize() for octets in (9, 65_535))


# Stream 1 is open, stream 3 is over.
OF_CLIENTS = {
    "ignored_frame": PriorityFrame(5, depends_on=0, stream_weight=1).serialize(),
    "settings": windows(),
    "empty_frame": DataFrame(1, b"", pad_length=3, flags=["PADDED"]).serialize(),
    "late_frame": headers(3, b"\x88", "END_STREAM"),
    "window_update": WindowUpdateFrame(1, window_increment=1).serialize(),
    "goaway": GoAwayFrame(0).serialize(),
}
OF_ENDPOINTS = {
    "goaway": GoAwayFrame(0, last_stream_id=(1 << 31) - 1).serialize(),
    "late_frame": headers(1, HINT),
    "empty_frame": DataFrame(1, b"").serialize(),
    "ignored_frame": PriorityFrame(1, depends_on=0, stream_weight=1).serialize(),
}


def pour(peer, octets):
    """Sends `octets` until the other side has had enough."""
    def send():
        try:
            while not peer.closed:
                peer.raw(octets * 500)
        except OSError:
            pass
    threading.Thread(target=send, daemon=True).start()


def ended(gateway, kind, side):
    return gateway.metric(rf'^portico_protocol_errors_total\{{.*reason="http2.{kind}_flood".*side="{side}"|'
                          rf'^portico_protocol_errors_total\{{side="{side}".*reason="http2.{kind}_flood"')


@pytest.mark.parametrize("kind", OF_CLIENTS)
def test_a_client_that_floods_is_cut_off_and_told_why(gateway, kind):
    with http2.connect(gateway.port) as neighbour, http2.connect(gateway.port) as client:
        before = ended(gateway, kind, "downstream")
        client.open(http2.grpc_headers("/test.Echo/Bidi"), b"", end=False)
        over = client.open(http2.grpc_headers(), http2.message())
        client.wait(lambda: over.over)
        pour(client, OF_CLIENTS[kind])
        client.wait(lambda: client.goaways or client.closed, 30)
        assert neighbour.exchange(http2.grpc_headers(), http2.message()).grpc_status == 0
        waiting.until(lambda: ended(gateway, kind, "downstream") == before + 1, 5, "the count")
        if client.goaways:      # it may be lost: the client sends on while its connection is closed
            assert client.goaways[-1][1] == ENHANCE_YOUR_CALM


def test_a_frame_of_very_many_settings_ends_its_connection(gateway):
    def settings(count):
        return struct.pack(">I", 6 * count)[1:] + b"\4\0\0\0\0\0" + struct.pack(">HI", 0xff, 0) * count

    with http2.connect(gateway.port) as client:
        before = ended(gateway, "settings", "downstream")
        client.raw(settings(32))
        client.send_ping()
        client.wait(lambda: client.pings)
        client.raw(settings(33))
        client.wait_closed()
        assert client.goaways[-1][1] == ENHANCE_YOUR_CALM
        waiting.until(lambda: ended(gateway, "settings", "downstream") == before + 1, 5, "the count")


def test_a_client_that_pings_is_cut_off_although_it_reads(gateway):
    with http2.connect(gateway.port) as client:
        before = ended(gateway, "ping", "downstream")
        try:
            for _ in range(200):
                pings = client.pings
                client.raw(PingFrame(0, bytes(8)).serialize() * 200)
                client.wait(lambda: client.pings > pings or client.goaways or client.closed)
        except (OSError, AssertionError):
            pass
        waiting.until(lambda: ended(gateway, "ping", "downstream") == before + 1, 5, "the count")


@pytest.mark.parametrize("kind", OF_ENDPOINTS)
def test_an_endpoint_that_floods_is_cut_off_and_another_connection_made(kind):
    cut = threading.Event()

    def script(peer, number):
        stream = peer.next_request(20)
        if number > 1:
            peer.send_headers(stream.number, [(":status", "200"), ("grpc-status", "0")], end=True)
            return
        if kind != "goaway":    # behind the last stream, GOAWAY is the usual end of a connection
            peer.wait(lambda: stream.reset == CANCEL, 20)
        pour(peer, OF_ENDPOINTS[kind])
        peer.wait(lambda: peer.closed, 30)
        cut.set()

    with http2.ScriptedUpstream(script) as upstream, Gateway(objects.echo(upstream)) as gateway:
        with http2.connect(gateway.port) as client:
            client.exchange(http2.grpc_headers(grpc_timeout="10S" if kind == "goaway" else "1S"), http2.message(), 20)
            assert cut.wait(60)
            waiting.until(lambda: ended(gateway, kind, "upstream") == 1, 5, "the count")
            assert client.exchange(http2.grpc_headers(), http2.message()).grpc_status == 0


def library(name):
    found = ctypes.util.find_library(name)
    if not found:
        pytest.skip(f"no lib{name}")
    return ctypes.CDLL(found)


def test_a_client_that_renews_its_keys_over_and_over_is_cut_off(backend):
    """Python's ssl cannot: OpenSSL is asked by hand."""
    tls = library("ssl")
    for name in ("TLS_client_method", "SSL_CTX_new", "SSL_new"):
        getattr(tls, name).restype = ctypes.c_void_p
    server = {"port": {"number": 443, "name": "https", "protocol": "HTTPS"}, "hosts": ["*"],
              "tls": {"mode": "SIMPLE", "credentialName": "cert", "minProtocolVersion": "TLSV1_3"}}
    config = [
        objects.gateway(servers=[server]), objects.virtual_service([objects.rule("echo")], hosts=["*"]),
        *objects.served_by("echo", backend),
        objects.tls_secret("cert", certificates.authority().issue("shop.test"))]
    with Gateway(config, ports=[443]) as gateway, socket.create_connection(("127.0.0.1", gateway.port)) as client:
        context = ctypes.c_void_p(tls.SSL_CTX_new(ctypes.c_void_p(tls.TLS_client_method())))
        session = ctypes.c_void_p(tls.SSL_new(context))
        tls.SSL_set_fd(session, client.fileno())
        assert tls.SSL_connect(session) == 1
        refused = r'^portico_connections_refused_total\{.*reason="tls_stream_broken"'
        for _ in range(2000):
            if tls.SSL_key_update(session, 1) != 1 or tls.SSL_do_handshake(session) != 1:
                break
        waiting.until(lambda: gateway.metric(refused) == 1, 10, "the end of the connection")
        waiting.until(lambda: any("KeyUpdate" in line for line in gateway.output + gateway.errors), 5, "its line")
        tls.SSL_free(session)
        tls.SSL_CTX_free(context)
