"""Connections at their edges: clients that leave, early answers on HTTP/1.1, IPv6, names, many at once."""

import re
import subprocess
import threading

import pytest

from peers import http1, http2, objects, waiting
from peers.backend import Backend, Caller
from peers.gateway import Gateway
from peers.listening import Listener


def web_config(upstream, **fields):
    return objects.echo(upstream, protocol="HTTP", protocol_name="http", **fields)


def test_a_plain_client_that_leaves_ends_the_upstreams_work():
    ended = threading.Event()

    def reply(connection, request):
        connection.socket.settimeout(60)
        if connection.socket.recv(1) == b"":
            ended.set()
        raise EOFError

    with http1.Upstream(reply) as upstream, Gateway(web_config(upstream)) as gateway:
        client = http1.connect(gateway.port)
        client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        waiting.until(lambda: upstream.requests)
        client.close()
        assert ended.wait(60), "the upstream's connection stayed open"


def test_an_http2_client_that_resets_ends_the_work_of_an_http1_upstream():
    ended = threading.Event()

    def reply(connection, request):
        connection.socket.settimeout(60)
        if connection.socket.recv(1) == b"":
            ended.set()
        raise EOFError

    with http1.Upstream(reply) as upstream, Gateway(web_config(upstream)) as gateway:
        with http2.connect(gateway.port) as client:
            stream = client.open(http2.get_headers("/slow"))
            waiting.until(lambda: upstream.requests)
            client.send_reset(stream.number)
            assert ended.wait(60)


def early(connection_socket, _number):
    """An upstream that answers after the head, without reading the body."""
    connection = http1.Connection(connection_socket)
    connection.head()
    connection.send("HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig")


@pytest.mark.parametrize("second", [False, True])
def test_an_early_answer_of_an_http1_upstream_arrives(second):
    with Listener(early) as upstream, Gateway(web_config(upstream)) as gateway:
        if second:
            with http2.connect(gateway.port) as client:
                stream = client.open(http2.get_headers("/up", method="POST"), b"x" * 1000, end=False)
                client.wait(lambda: stream.data == b"big", 5, "the early answer")
                assert stream.status == 413
        else:
            with http1.connect(gateway.port) as client:
                client.send("POST /up HTTP/1.1\r\nHost: a\r\ncontent-length: 1000000\r\n\r\n" + "x" * 1000)
                response = client.response()
                assert (response.status, response.body) == (413, b"big")


def test_ipv6_clients(web):
    with Gateway(web_config(web)) as gateway:
        try:
            client = http1.connect(gateway.port, address="::1")
        except OSError:
            pytest.skip("no IPv6 here, or the gateway listens on IPv4 only")
        with client:
            client.send("GET /six HTTP/1.1\r\nHost: [::1]\r\n\r\n")
            assert client.response().status == 200
        assert web.last.value("x-forwarded-for") == "::1"


def test_endpoints_by_name():
    """A ServiceEntry of resolution DNS: the name is looked up."""
    with Backend() as backend:
        entry = {
            "apiVersion": objects.NETWORKING, "kind": "ServiceEntry", "metadata": {"name": "named"},
            "spec": {
                "hosts": ["name.test"], "location": "MESH_EXTERNAL", "resolution": "DNS",
                "ports": [{"number": 80, "name": "grpc", "protocol": "GRPC", "targetPort": backend.port}],
                "endpoints": [{"address": "localhost"}],
            },
        }
        config = [
            objects.gateway(protocol="GRPC"),
            objects.virtual_service([objects.rule(objects.to("name.test"))]), entry,
        ]
        with Gateway(config) as gateway, Caller(gateway.target) as caller:
            waiting.until(lambda: caller.status()[0].value[0] == 0, 10, "a call to the looked-up address")


def test_a_name_that_cannot_be_found_is_answered():
    entry = {
        "apiVersion": objects.NETWORKING, "kind": "ServiceEntry", "metadata": {"name": "named"},
        "spec": {
            "hosts": ["nowhere.invalid"], "location": "MESH_EXTERNAL", "resolution": "DNS",
            "ports": [{"number": 80, "name": "grpc", "protocol": "GRPC"}],
        },
    }
    config = [
        objects.gateway(protocol="GRPC"), objects.virtual_service([objects.rule(objects.to("nowhere.invalid"))]), entry]
    with Gateway(config) as gateway, Caller(gateway.target) as caller:
        code, details = caller.status(timeout=60)
        assert code.value[0] == 14 and details


@pytest.mark.parametrize("workers", [1, 2])
def test_two_hundred_connections_at_once(web, workers):
    with Gateway(web_config(web), workers=workers) as gateway:
        command = ["h2load", "-n", "4000", "-c", "200", "-m", "4", f"http://{gateway.target}/many"]
        output = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
        assert "4000 succeeded, 0 failed, 0 errored" in output, output
        if workers == 2:
            assert gateway.metric(r'^portico_connections_total{side="downstream"') >= 200


def test_http1_load_reuses_upstream_connections(web):
    with Gateway(web_config(web)) as gateway:
        command = ["h2load", "--h1", "-n", "2000", "-c", "10", f"http://{gateway.target}/many"]
        output = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
        assert "2000 succeeded, 0 failed, 0 errored" in output, output
        # Not what the server has accepted: connections of the test before may still be in its queue.
        assert gateway.metric(r'^portico_connections_total\{side="upstream"\}') <= 40


def test_a_request_id_connects_the_log_and_the_backend(backend, gateway):
    with http2.connect(gateway.port) as client:
        client.exchange(http2.grpc_headers("/id.S/M"), http2.message())
    identity = backend.last.value("x-request-id")
    assert re.search(rf'"{identity}"', gateway.access_log("/id.S/M"))


def test_interim_answers_pass(web):
    octets = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
    with http1.Upstream(http1.replying(octets)) as upstream, Gateway(web_config(upstream)) as gateway:
        with http1.connect(gateway.port) as client:
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.head().status == 103
            assert client.response().body == b"ok"
        with http2.connect(gateway.port) as client:
            stream = client.exchange(http2.get_headers())
            assert [dict(block)[":status"] for block in stream.blocks] == ["103", "200"]


def test_answers_that_end_with_the_connection_are_whole():
    octets = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 300_000
    with http1.Upstream(http1.replying(octets, then_close=True)) as upstream, Gateway(web_config(upstream)) as gateway:
        response = http1.get(gateway.port)
        assert response.complete and len(response.body) == 300_000
        with http2.connect(gateway.port) as client:
            stream = client.exchange(http2.get_headers())
            assert stream.ended and len(stream.data) == 300_000


def test_a_stream_lives_longer_than_any_default_timer(backend, gateway):
    """Istio's gateway has no stream timer by default; five seconds of silence are nothing."""
    with Caller(gateway.target) as caller:
        replies = caller.stream(metadata=[("x-stall", "5"), ("x-count", "2")])
        assert len(list(replies)) == 2
