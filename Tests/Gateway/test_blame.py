"""Who is to blame for a failed request: the access log says it, and how grave it is; the answer says the limit."""

import contextlib
import json
import os
import resource
import socket
import threading

import pytest

from peers import http1, http2, objects, waiting
from peers.gateway import Gateway
from peers.listening import Listener

WEB_SOCKET = ("GET /silent/chat HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
              "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
TOO_LARGE = "GET /large HTTP/1.1\r\nhost: a\r\nx: " + "a" * 70_000 + "\r\n\r\n"


def silent(peer, _number):
    """Takes calls and answers none."""
    while True:
        peer.next_request(30)


@pytest.fixture(scope="module")
def quiet():
    with http2.ScriptedUpstream(silent) as made:
        yield made


@pytest.fixture(scope="module")
def narrow():
    """An endpoint that answers nothing, to which one connection may be open and one request may wait."""
    with http1.Upstream(lambda connection, request: connection.socket.recv(1)) as made:
        yield made


@pytest.fixture(scope="module")
def gateway(web, quiet, narrow):
    rules = [objects.rule("gone", match=[{"uri": {"prefix": "/gone"}}]),
             objects.rule("silent", match=[{"uri": {"prefix": "/silent"}}]),
             objects.rule("narrow", match=[{"uri": {"exact": "/narrow/waits"}}], timeout="2s"),
             objects.rule("narrow", match=[{"uri": {"prefix": "/narrow"}}], timeout="5s"),
             objects.rule("nowhere", match=[{"uri": {"prefix": "/nowhere"}}]), objects.rule("echo")]
    gone = type("Gone", (), {"address": "127.0.0.1", "port": waiting.free_port()})
    config = [objects.gateway(), objects.virtual_service(rules),
              *objects.served_by("gone", gone, protocol_name="http"),
              *objects.served_by("silent", quiet),
              *objects.served_by("narrow", narrow, protocol_name="http"),
              objects.destination_rule("narrow", trafficPolicy={"connectionPool": {
                  "tcp": {"maxConnections": 1}, "http": {"http1MaxPendingRequests": 1}}}),
              *objects.served_by("echo", web, protocol_name="http")]
    with Gateway(config, arguments=["--log-format", "json"]) as made:
        yield made


@pytest.mark.parametrize("octets, mark, status, whose, level, words", [
    (TOO_LARGE, "http1.headers_too_large", 431, "client", "info", "60 KiB"),
    ("GET /bad HTTP/1.1\r\n\r\n", "missing_host_header", 400, "client", "info", "The host header field is missing."),
    (WEB_SOCKET, '"path":"/silent/chat"', 502, "upstream", "warning", "appProtocol: http"),
    (WEB_SOCKET.replace("GET", "PUT"), "upgrade_failed", 403, "client", "info", "a GET without a body"),
    ("GET /gone HTTP/1.1\r\nhost: a\r\n\r\n", '"path":"/gone"', 503, "upstream", "warning", "endpoint 127.0.0.1:"),
    ("GET /nowhere HTTP/1.1\r\nhost: a\r\n\r\n", '"path":"/nowhere"', 503, "configuration", "error", "nowhere")])
def test_the_access_log_says_what_has_happened_and_who_is_to_blame(
        gateway, octets, mark, status, whose, level, words):
    assert http1.send(gateway.port, octets).status == status
    line = json.loads(gateway.access_log(mark))
    assert words in line["explanation"]
    assert (line["blame"], line["level"]) == (whose, level) and list(line) == sorted(line)


def test_what_is_served_is_nobodys_blame(gateway):
    assert http1.get(gateway.port, "/fine").status == 200
    line = json.loads(gateway.access_log('"path":"/fine"'))
    assert "blame" not in line and "explanation" not in line


def test_a_malformed_frame_is_named_with_its_rule(gateway):
    with http2.connect(gateway.port) as client:
        client.wait(lambda: client.acknowledged, 5)
        client.raw(b"\x00\x00\x05\x08\x00\x00\x00\x00\x03" + bytes(5))
        client.wait_closed(5)
    line = json.loads(gateway.access_log("http2.frame_size"))
    assert line["explanation"] == (
        "a frame's size is wrong (RFC 9113 §4.2): WINDOW_UPDATE of 5 octets on stream 3")
    assert (line["blame"], line["level"]) == ("client", "info")


@pytest.mark.parametrize("timeout, whose", [("1u", "client"), ("50m", "upstream")])
def test_a_deadline_says_who_set_it_and_what_the_endpoint_had(gateway, timeout, whose):
    with http2.connect(gateway.port) as client:
        stream = client.exchange(http2.grpc_headers(path=f"/silent/{timeout}", grpc_timeout=timeout), http2.message())
    assert stream.grpc_status == 4
    line = json.loads(gateway.access_log(f'"path":"/silent/{timeout}"'))
    assert "the client's grpc-timeout" in line["explanation"] and line["blame"] == whose
    assert ("no endpoint had the request" in line["explanation"]) == (whose == "client")
    assert (" had the request" in line["explanation"])


def test_an_answer_to_a_section_that_is_too_large_says_the_limit(gateway):
    answer = http1.send(gateway.port, TOO_LARGE)
    assert answer.status == 431 and b"60 KiB" in answer.body and b"no flag" in answer.body


def test_a_full_queue_and_a_wait_in_it_say_what_they_are(gateway, narrow):
    def ask(name):
        thread = threading.Thread(target=lambda: http1.get(gateway.port, f"/narrow/{name}"))
        thread.start()
        return thread

    before = [ask("served")]
    waiting.until(lambda: gateway.metric("portico_requests_active") == 1, 5, "the request that is served")
    before.append(ask("waits"))
    waiting.until(lambda: gateway.metric("portico_requests_active") == 2, 5, "the request that waits")
    assert http1.get(gateway.port, "/narrow/full").status == 503
    for thread in before:
        thread.join()
    full, served, waits = (
        gateway.access_log_json(f'"path":"/narrow/{name}"') for name in ("full", "served", "waits"))
    assert full["explanation"].endswith("http1MaxPendingRequests 1") and full["blame"] == "gateway"
    endpoint = f"endpoint 127.0.0.1:{narrow.port}"
    assert served["explanation"].endswith(f"5s, has passed without an answer; {endpoint} had the request")
    assert waits["explanation"].endswith(f"2s, has passed; it waited for a connection to {endpoint}")
    assert {line["blame"] for line in (served, waits)} == {"upstream"}


STOOD_STILL = r'^portico_limit_reached_total\{limit="progress_timeout"\}'


def much(connection, _request):
    """An answer without an end."""
    connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 268435456\r\n\r\n")
    while True:
        connection.send(bytes(1 << 20))


def deaf(connection, _number):
    """Reads nothing of what is sent."""


@pytest.fixture(scope="module")
def stalling():
    with http1.Upstream(much) as endless, Listener(deaf, receive_octets=4096) as silent_peer:
        rules = [objects.rule("endless", match=[{"uri": {"prefix": "/endless"}}]), objects.rule("deaf")]
        config = [objects.gateway(), objects.virtual_service(rules),
                  *objects.served_by("endless", endless, protocol_name="http"),
                  *objects.served_by("deaf", silent_peer, protocol_name="http")]
        arguments = ["--log-format", "json", "--progress-timeout", "500ms"]
        with Gateway(config, arguments=arguments) as made:
            yield made


def test_a_client_that_takes_nothing_of_its_answer_is_to_blame(stalling):
    with socket.create_connection(("127.0.0.1", stalling.port)) as client:
        client.sendall(b"GET /endless HTTP/1.1\r\nhost: a\r\n\r\n")
        waiting.until(lambda: stalling.metric(STOOD_STILL) == 1, 20, "the end of the request")
    line = stalling.access_log_json('"path":"/endless"')
    assert line["explanation"].endswith("the client takes nothing of its answer")
    assert (line["blame"], line["response_flags"]) == ("client", "SI")


def test_a_client_that_sends_nothing_of_its_request_is_to_blame(stalling):
    assert http1.send(
        stalling.port, "POST /slow HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nten octets").status == 408
    line = stalling.access_log_json('"path":"/slow"')
    assert line["explanation"].endswith("the client sends nothing of its request")
    assert (line["blame"], line["response_flags"]) == ("client", "SI")


def test_an_endpoint_that_takes_nothing_of_a_request_is_to_blame(stalling):
    with http1.connect(stalling.port, seconds=30) as client:
        client.send("POST /deaf HTTP/1.1\r\nhost: a\r\ncontent-length: 268435456\r\n\r\n")
        sender = threading.Thread(target=fill, args=(client.socket,))
        sender.start()
        assert client.response().status == 504
        client.socket.shutdown(socket.SHUT_RDWR)
        sender.join()
    line = stalling.access_log_json('"path":"/deaf"')
    assert line["explanation"].endswith("takes nothing of the request")
    assert (line["blame"], line["response_flags"]) == ("upstream", "SI")


def fill(connection):
    """Sends until that is not possible any more."""
    with contextlib.suppress(OSError):
        while True:
            connection.sendall(bytes(1 << 16))


def test_endpoints_that_are_all_ejected_are_to_blame():
    def failing(connection, _request):
        connection.send(b"HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n")

    detection = {"consecutive5xxErrors": 1, "interval": "100ms", "baseEjectionTime": "1h", "maxEjectionPercent": 100}
    with http1.Upstream(failing) as server:
        config = [objects.gateway(), objects.virtual_service([objects.rule("failing")]),
                  *objects.served_by("failing", server, protocol_name="http"),
                  objects.destination_rule("failing", trafficPolicy={"outlierDetection": detection})]
        with Gateway(config, arguments=["--log-format", "json"]) as made:
            assert http1.get(made.port, "/first").status == 500
            assert http1.get(made.port, "/second").status == 503
            line = made.access_log_json('"path":"/second"')
    assert "1 are ejected by outlierDetection" in line["explanation"]
    assert (line["blame"], line["response_flags"]) == ("upstream", "UH")


def stops_in_its_header_section(connection, request):
    connection.send("HTTP/1.1 200 OK\r\nx-first: a\r\n")
    connection.socket.recv(1)  # until the gateway gives it up


def only_interim_answers(peer, _number):
    stream = peer.next_request(30)
    for _ in range(40):
        peer.send_headers(stream.number, [(":status", "103")])
    peer.wait(lambda: stream.over)


@pytest.mark.parametrize("endpoint, protocol_name, status, words", [
    (http1.Upstream(stops_in_its_header_section), "http", 502, "not complete within 0.3 seconds (--header-timeout)"),
    (http2.ScriptedUpstream(only_interim_answers), "http2", 502, "more interim responses came than the limit")])
def test_what_an_endpoint_does_wrong_has_its_reason(endpoint, protocol_name, status, words):
    config = objects.echo(endpoint, protocol="HTTP", protocol_name=protocol_name)
    with endpoint, Gateway(config, arguments=["--log-format", "json", "--header-timeout", "300ms"]) as gateway:
        assert http1.get(gateway.port, "/wrong").status == status
        line = json.loads(gateway.access_log('"path":"/wrong"'))
        reason = "http2.too_many_interim_responses"
        counted = gateway.metric(rf'^portico_protocol_errors_total{{side="upstream",reason="{reason}"}}')
        assert counted == ("interim" in words)
        assert words in line["explanation"] and line["blame"] == "upstream"


def test_what_this_machine_lacks_is_no_endpoints_fault(web):
    """No descriptor is left for a connection to the endpoint, which one failure would eject."""
    ejects = {"consecutive5xxErrors": 1, "baseEjectionTime": "300s", "maxEjectionPercent": 100}
    config = [*objects.echo(web, protocol="HTTP", protocol_name="http"),
              objects.destination_rule("echo", trafficPolicy={"outlierDetection": ejects})]
    with Gateway(config, arguments=["--log-format", "json"]) as gateway, http1.connect(gateway.port) as client:
        client.send("OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n")
        assert client.response().status == 404
        limits = resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, (lowest_free(gateway.process.pid), limits[1]))
        client.send("GET /lacking HTTP/1.1\r\nhost: a\r\n\r\n")
        assert client.response().status == 503
        resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, limits)
        line = json.loads(gateway.access_log('"path":"/lacking"'))
        assert line["blame"] == "gateway" and "local_connection_failure" in line["response_code_details"], line
        client.send("GET /served HTTP/1.1\r\nhost: a\r\n\r\n")
        assert client.response().status == 200
        assert gateway.metric(r'^portico_upstream_connect_failures_total\{reason="local_resources"\}') > 0


def lowest_free(process):
    taken = {int(name) for name in os.listdir(f"/proc/{process}/fd")}
    return next(number for number in range(len(taken) + 1) if number not in taken)
