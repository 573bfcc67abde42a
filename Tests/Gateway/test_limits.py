"""What is held open, or piles up, is bounded: header sections, bodies without progress, connections to endpoints."""

import os
import resource
import signal
import socket
import threading

import pytest
from hyperframe.frame import PingFrame, RstStreamFrame

from peers import http1, http2, objects, waiting
from peers.echo import Echo
from peers.gateway import Gateway

REACHED = r'^portico_limit_reached_total\{{limit="{}"\}}'
OPEN = r'^portico_connections\{{side="{}"\}}'
REFUSED = r'^portico_connections_refused_total\{reason="headers_timeout"\}'


def config(web):
    return objects.echo(web, protocol="HTTP", protocol_name="http")


class Holding:
    """An HTTP/1.1 server whose answers wait until they are let go."""

    def __init__(self):
        self.gate = threading.Event()
        self.server = http1.Upstream(self.reply)

    def reply(self, connection, request):
        assert self.gate.wait(60)
        self.server.echo(connection, request)

    def __enter__(self):
        self.server.__enter__()
        return self

    def __exit__(self, *ended):
        self.gate.set()
        self.server.__exit__(*ended)


@pytest.mark.parametrize("first", [b"GET / HTT", b"GET / HTTP/1.1\r\nhost: a\r\nx: "])
def test_a_slow_header_section_is_given_up_however_often_an_octet_comes(web, first):
    with Gateway(config(web), arguments=["--header-timeout", "300ms"]) as gateway:
        with http1.connect(gateway.port) as client:
            client.send(first)
            client.socket.settimeout(0.02)
            answer = b""
            for _ in range(1000):
                try:
                    client.send(b"x")
                    octets = client.socket.recv(65536)
                except TimeoutError:
                    continue
                except OSError:
                    break
                answer += octets
                if not octets:
                    break
        assert answer.startswith(b"HTTP/1.1 408 "), answer
        assert gateway.metric(REFUSED) == 1
        assert gateway.metric(REACHED.format("header_timeout")) == 1


def test_the_next_request_of_a_kept_connection_has_its_own_time(web):
    with Gateway(config(web), arguments=["--header-timeout", "300ms"]) as gateway:
        with http1.connect(gateway.port) as client:
            for _ in range(3):
                client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                assert client.response().status == 200
            client.send("GET / HTTP/1.1\r\n")
            assert client.response().status == 408


def test_half_a_header_section_of_http2_is_given_up(backend):
    with Gateway(objects.echo(backend), arguments=["--header-timeout", "300ms"]) as gateway:
        with http2.connect(gateway.port) as client:
            assert client.exchange(http2.grpc_headers(), http2.message()).grpc_status == 0
            client.raw(b"\x00\x00\x01\x01\x00\x00\x00\x00\x03\x83")  # HEADERS of stream 3 without END_HEADERS
            client.wait_closed()
        assert gateway.metric(REFUSED) == 1


def test_a_request_whose_body_does_not_come_is_answered(web):
    with Gateway(config(web), arguments=["--progress-timeout", "300ms"]) as gateway:
        with http1.connect(gateway.port) as client:
            client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nten octets")
            assert client.response().status == 408
        assert gateway.metric(REACHED.format("progress_timeout")) == 1
        assert "SI stream_idle_timeout" in gateway.access_log("POST /")


def test_an_answer_that_nobody_reads_is_given_up(web):
    def much(connection, _request):
        connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 268435456\r\n\r\n")
        while True:
            connection.send(bytes(1 << 20))

    with http1.Upstream(much) as server, Gateway(config(server), arguments=["--progress-timeout", "500ms"]) as gateway:
        with socket.create_connection(("127.0.0.1", gateway.port)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            waiting.until(lambda: gateway.metric(REACHED.format("progress_timeout")) == 1, 20, "its end")
            waiting.until(lambda: gateway.metric(OPEN.format("upstream")) == 0, 10, "the upstream's end")


def test_a_silent_stream_of_grpc_is_not_cut(backend):
    with Gateway(objects.echo(backend), arguments=["--progress-timeout", "100ms"]) as gateway:
        with http2.connect(gateway.port) as client, http2.connect(gateway.port) as clock:
            stream = client.open(http2.grpc_headers(), end=False)
            # The sweep comes once a second, and has come when so much time has passed.
            before = waiting.steady(lambda: gateway.metric("portico_requests_active"), 2.5)
            assert before == 1 and clock.exchange(http2.grpc_headers(), http2.message()).grpc_status == 0
            client.send_data(stream.number, http2.message(), end=True)
            client.wait(lambda: stream.over, 10, "the answer")
            assert stream.grpc_status == 0
        assert gateway.metric(REACHED.format("progress_timeout")) == 0


def test_requests_beyond_the_connections_of_an_endpoint_wait_and_then_are_refused():
    arguments = ["--max-upstream-connections", "2", "--max-waiting-requests", "1"]
    with Holding() as holding, Gateway(config(holding.server), arguments=arguments) as gateway:
        clients = [http1.connect(gateway.port) for _ in range(4)]
        for number, client in enumerate(clients):
            client.send(f"GET /{number} HTTP/1.1\r\nhost: a\r\n\r\n")
            # One that waits for its connection to be made waits, too.
            waiting.until(lambda: len(holding.server.requests) >= min(number + 1, 2), 10, "it to be sent")
            waiting.until(lambda: gateway.metric("portico_requests_active") >= min(number + 1, 3), 10, "it to come")
        refused = clients[3].response()
        assert refused.status == 503 and refused.value("x-envoy-overloaded") == "true"
        assert gateway.metric(REACHED.format("waiting_requests")) == 1
        assert gateway.metric(REACHED.format("upstream_connections")) >= 1
        holding.gate.set()
        assert [client.response().status for client in clients[:3]] == [200] * 3
        assert holding.server.connections == 2
        for client in clients:
            client.close()


def test_a_request_that_waits_for_a_connection_ends_with_its_client():
    arguments = ["--max-upstream-connections", "1"]
    with Holding() as holding, Gateway(config(holding.server), arguments=arguments) as gateway:
        with http1.connect(gateway.port) as first, http1.connect(gateway.port) as last:
            first.send("GET /first HTTP/1.1\r\nhost: a\r\n\r\n")
            waiting.until(lambda: holding.server.requests, 10, "the first")
            with http1.connect(gateway.port) as gone:
                gone.send("POST /gone HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\ngone")
                waiting.until(lambda: gateway.metric("portico_requests_active") == 2, 10, "the second")
            waiting.until(lambda: gateway.metric("portico_requests_active") == 1, 10, "its leaving")
            last.send("POST /last HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nlast")
            waiting.until(lambda: gateway.metric("portico_requests_active") == 2, 10, "the third")
            holding.gate.set()
            assert first.response().status == 200
            assert last.response().body.endswith(b"last")
        assert [request.target for request in holding.server.requests] == ["/first", "/last"]


def test_a_request_that_waits_keeps_to_its_deadline_and_a_reload():
    rules = [objects.rule("echo", timeout="4s")]
    with Holding() as holding:
        objects_ = [objects.gateway(), objects.virtual_service(rules),
                    *objects.served_by("echo", holding.server, protocol_name="http")]
        with Gateway(objects_, arguments=["--max-upstream-connections", "1"]) as gateway:
            with http1.connect(gateway.port) as first, http1.connect(gateway.port) as second:
                first.send("GET /first HTTP/1.1\r\nhost: a\r\n\r\n")
                waiting.until(lambda: holding.server.requests, 10, "the first")
                second.send("GET /second HTTP/1.1\r\nhost: a\r\n\r\n")
                waiting.until(lambda: gateway.metric("portico_requests_active") == 2, 10, "the second")
                gateway.reload()
                assert second.response().status == 504
            holding.gate.set()


def test_idle_connections_to_an_endpoint_are_few(web):
    with Holding() as holding:
        arguments = ["--max-idle-upstream-connections", "2"]
        with Gateway(config(holding.server), arguments=arguments) as gateway:
            clients = [http1.connect(gateway.port) for _ in range(5)]
            for client in clients:
                client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            waiting.until(lambda: len(holding.server.requests) == 5, 10, "all")
            holding.gate.set()
            assert [client.response().status for client in clients] == [200] * 5
            waiting.until(lambda: gateway.metric(OPEN.format("upstream")) == 2, 10, "three to be closed")
            assert gateway.metric(REACHED.format("idle_upstream_connections")) == 3
            for client in clients:
                client.close()


def test_an_endpoint_that_is_gone_without_a_word_is_given_up():
    """Its machine is gone: nothing is refused, and nothing ever comes."""
    arguments = ["--upstream-keepalive", "300ms", "--upstream-keepalive-timeout", "500ms"]
    with Echo() as echo, Gateway(objects.echo(echo), arguments=arguments) as gateway:
        with http2.connect(gateway.port) as client:
            assert client.exchange(http2.grpc_headers(), http2.message()).grpc_status == 0
            echo.process.send_signal(signal.SIGSTOP)
            try:
                call = client.open(http2.grpc_headers(), http2.message())
                client.wait(lambda: call.over, 20)
                assert call.grpc_status == 14
                assert gateway.metric(REACHED.format("upstream_keepalive")) == 1
            finally:
                echo.process.send_signal(signal.SIGCONT)


def test_a_silent_endpoint_that_answers_ping_is_kept_and_asked_once():
    def silent(peer, _number):
        peer.wait(lambda: peer.closed, 60)

    arguments = ["--upstream-keepalive", "100ms", "--upstream-keepalive-timeout", "10s"]
    with http2.ScriptedUpstream(silent) as upstream, Gateway(objects.echo(upstream), arguments=arguments) as gateway:
        with http2.connect(gateway.port) as client:
            call = client.open(http2.grpc_headers("/test.Echo/Chat"), end=False)

            def pings():
                return sum(isinstance(frame, PingFrame) for peer in upstream.peers for frame in peer.frames)

            waiting.until(lambda: pings() == 1, 10, "PING")
            assert waiting.steady(pings, 1) == 1 and not call.over
        assert gateway.metric(REACHED.format("upstream_keepalive")) == 0


def test_an_endpoint_that_counts_resets_has_no_reason_to_end_a_connection():
    """Netty ends a connection at the 200th reset within 30 s, and with it the calls of all other clients."""
    def resets(peer):
        return sum(isinstance(frame, RstStreamFrame) for frame in list(peer.frames))

    def script(peer, _number):
        peer.wait(lambda: peer.closed or resets(peer) >= 200, 60)
        peer.close()

    with http2.ScriptedUpstream(script) as upstream, Gateway(objects.echo(upstream)) as gateway:
        with http2.connect(gateway.port) as neighbour, http2.connect(gateway.port) as client:
            long = neighbour.open(http2.grpc_headers("/long"), end=False)
            waiting.until(lambda: upstream.peers and upstream.peers[0].requests, 10, "the long call")
            for number in range(20, 620, 20):
                calls = [client.open(http2.grpc_headers("/given-up"), end=False) for _ in range(20)]
                waiting.until(lambda: sum(len(peer.requests) for peer in upstream.peers) >= number + 1, 10, "calls")
                for call in calls:
                    client.send_reset(call.number)
                waiting.until(lambda: gateway.metric("portico_requests_active") == 1, 10, "their end")
            assert not long.over and max(resets(peer) for peer in upstream.peers) < 200
            assert len(upstream.peers) >= 3 and gateway.metric(REACHED.format("upstream_resets")) >= 2
            first = upstream.peers[0]
            headers = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "0")]
            first.send_headers(first.requests[0].number, headers, end=True)
            neighbour.wait(lambda: long.over, 10)
            assert long.grpc_status == 0


def test_metrics_of_very_many_endpoints_are_left_out_and_counted(backend):
    slices = []
    for number in range(11):
        one = objects.endpoint_slice("many", "127.1.0.1", 1, number)
        one["endpoints"] = [{"addresses": [f"127.{number + 1}.{each // 250}.{each % 250 + 1}"],
                             "conditions": {"ready": True}} for each in range(1000)]
        slices.append(one)
    rules = [objects.rule("many", match=[{"uri": {"prefix": "/many"}}]), objects.rule("echo")]
    config = [objects.gateway(), objects.virtual_service(rules), objects.service("many"), *slices,
              *objects.served_by("echo", backend)]
    with Gateway(config) as gateway:
        assert gateway.metric("^portico_metrics_series_omitted") >= 1000
        with http2.connect(gateway.port) as client:
            assert client.exchange(http2.grpc_headers(), http2.message()).grpc_status == 0


def test_a_match_that_costs_too_much_is_answered_and_counted(web):
    rules = objects.echo(web, protocol="HTTP", protocol_name="http", match=[{"uri": {"regex": ".{1,64}"}}])
    with Gateway(rules) as gateway:
        with http1.connect(gateway.port) as client:
            client.send("GET /" + "a" * 2000 + " HTTP/1.1\r\nhost: a\r\n\r\n")
            assert client.response().status == 404
        assert gateway.metric(REACHED.format("match_work")) == 1


def first_free(process):
    """The number that the process's next descriptor gets."""
    used = {int(name) for name in os.listdir(f"/proc/{process}/fd")}
    return next(number for number in range(len(used) + 1) if number not in used)


def test_listeners_rest_while_no_descriptor_is_left():
    with Echo() as web, Gateway(config(web)) as gateway:
        process = gateway.process.pid
        with socket.create_connection(("127.0.0.1", gateway.status_port)) as status:
            stream = status.makefile("rb")

            def metrics():
                """By the connection that is there: another one would not be accepted."""
                status.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
                head = iter(stream.readline, b"\r\n")
                length = next(int(line.split(b":")[1]) for line in list(head) if line.startswith(b"content-length:"))
                return stream.read(length).decode()

            def grown(name):
                lines = [line for line in metrics().splitlines() if line.startswith(name)]
                return lines and float(lines[0].split()[-1]) >= 1

            assert not grown('portico_limit_reached_total{limit="admin_pause"}')
            before = resource.prlimit(process, resource.RLIMIT_NOFILE)
            resource.prlimit(process, resource.RLIMIT_NOFILE, (first_free(process), before[1]))
            with socket.create_connection(("127.0.0.1", gateway.port)) as client, \
                    socket.create_connection(("127.0.0.1", gateway.admin_port)) as admin:
                client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                admin.sendall(b"GET /routes HTTP/1.1\r\nHost: localhost\r\n\r\n")
                waiting.until(lambda: grown("portico_accept_failures_total"), 20, "a worker's failure")
                waiting.until(
                    lambda: grown('portico_limit_reached_total{limit="admin_pause"}'), 20, "the admin listener's")
                resource.prlimit(process, resource.RLIMIT_NOFILE, before)
                for waited in (client, admin):     # both listeners try again by themselves
                    waited.settimeout(60)
                    assert waited.recv(1000).startswith(b"HTTP/1.1 200 ")
