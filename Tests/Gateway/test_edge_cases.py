"""Cases of Tests/Fixtures/edge-cases.md that stand nowhere else: octets by hand, and what follows on both sides."""

import pytest
from hyperframe.frame import Frame

from peers import http1, http2, objects, waiting
from peers.frames import CANCEL, PREFACE, REFUSED_STREAM
from peers.gateway import Gateway
from peers.listening import Listener

GET = "GET {} HTTP/1.1\r\nHost: echo.test\r\n{}\r\n"


def http_config(upstream, **rule):
    return [objects.gateway(), objects.virtual_service([objects.rule("echo", **rule)]),
            *objects.served_by("echo", upstream, protocol_name="http")]


def silent(connection, _request):
    """Says nothing until the other side ends the connection."""
    connection.rest()
    raise EOFError


# case 8
def test_an_endpoint_that_never_completes_tls_is_given_up_in_the_time_of_its_policy():
    policy = {"tls": {"mode": "SIMPLE", "insecureSkipVerify": True},
              "connectionPool": {"tcp": {"connectTimeout": "300ms"}}}
    with Listener(lambda connection, _: connection.recv(65536) and connection.recv(1)) as upstream:
        rule = objects.destination_rule("echo", trafficPolicy=policy)
        config = [*http_config(upstream, retries={"attempts": 0}), rule]
        with Gateway(config) as gateway:
            answer = http1.get(gateway.port, "/tls")
            assert answer.status == 503 and b"connection timeout" in answer.body
            assert " 503 UF " in gateway.access_log("/tls")


# case 26
def test_tries_that_time_out_are_told_in_the_log():
    retries = {"attempts": 1, "perTryTimeout": "200ms", "retryOn": "reset,gateway-error"}
    with http1.Upstream(silent) as upstream, Gateway(http_config(upstream, retries=retries)) as gateway:
        assert http1.get(gateway.port, "/tries").status == 504
        waiting.until(lambda: len(upstream.requests) == 2, 10, "both tries to be read")
        assert " 504 URX,UT " in gateway.access_log("/tries")


# case 45
def test_a_client_that_closes_is_told_apart_in_the_log():
    with http1.Upstream(silent) as upstream, Gateway(http_config(upstream)) as gateway:
        with http1.connect(gateway.port) as client:
            client.send(GET.format("/leaves", ""))
            waiting.until(lambda: upstream.requests, 10, "the request")
        assert " 0 DC downstream_remote_disconnect" in gateway.access_log("/leaves")


# case 46
def test_a_client_that_resets_is_told_apart_in_the_log():
    with http1.Upstream(silent) as upstream, Gateway(http_config(upstream)) as gateway:
        with http2.connect(gateway.port) as client:
            stream = client.open(http2.get_headers("/resets"))
            waiting.until(lambda: upstream.requests, 10, "the request")
            client.send_reset(stream.number, CANCEL)
            assert " 0 DR http2.remote_reset" in gateway.access_log("/resets")


# case 48
def test_head_has_the_length_of_the_answer_that_get_has():
    config = [objects.gateway(), objects.virtual_service([objects.rule("none")]), *objects.served_by("none")]
    with Gateway(config) as gateway:
        answer = http1.send(gateway.port, GET.format("/", "").replace("GET", "HEAD", 1), to="HEAD")
        assert (answer.status, answer.value("content-length"), answer.body) == (503, "19", b"")


# case 74
def test_a_client_that_ends_its_side_behind_its_request_has_gone():
    with http1.Upstream(silent) as upstream, Gateway(http_config(upstream)) as gateway:
        with http1.connect(gateway.port) as client:
            client.send(GET.format("/half", ""))
            client.socket.shutdown(1)
            assert client.rest() == b""
        assert " 0 DC " in gateway.access_log("/half")


# case 81
def test_the_name_of_the_upstreams_server_is_replaced_and_its_date_kept():
    octets = b"HTTP/1.1 200 OK\r\nserver: x\r\ndate: old\r\ncontent-length: 0\r\n\r\n"
    with http1.Upstream(http1.replying(octets)) as upstream, Gateway(http_config(upstream)) as gateway:
        answer = http1.get(gateway.port)
        assert answer.values("date") == ["old"]
        assert answer.values("server") == ["portico"]


# case 82
def test_a_name_with_an_underscore_passes(web_gateway, web):
    assert http1.send(web_gateway.port, GET.format("/", "x_y: v\r\n")).status == 200
    assert web.last.value("x_y") == "v"


# case 87
@pytest.mark.parametrize("upgrade", ["foo", "websocket2"])
def test_an_upgrade_to_something_unknown_is_not_made(web_gateway, web, upgrade):
    with http1.connect(web_gateway.port) as client:
        client.send(GET.format("/", f"connection: upgrade\r\nupgrade: {upgrade}\r\n"))
        assert client.response().status == 200
        assert web.last.value("upgrade") is None and web.last.value("connection") != "upgrade"


# case 92
def test_a_body_that_waits_for_100_is_sent_when_the_client_gives_up_waiting():
    with http1.Upstream() as upstream, Gateway(http_config(upstream)) as gateway, http1.connect(gateway.port) as client:
        client.send("POST /late HTTP/1.1\r\nHost: a\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n")
        client.send("hello")
        answer = client.response()
        while answer.status == 100:
            answer = client.response()
        assert answer.status == 200 and upstream.last.body == b"hello"


def frames_of(octets):
    """The frames of the octets, without the last one if it is not whole."""
    frames = []
    while len(octets) >= 9:
        frame, length = Frame.parse_frame_header(memoryview(octets[:9]))
        if len(octets) < 9 + length:
            break
        frame.parse_body(memoryview(octets[9:9 + length]))
        frames.append(frame)
        octets = octets[9 + length:]
    return frames


# case 93
def test_the_first_frames_are_settings_and_a_larger_window_of_the_connection(web_gateway):
    with http1.connect(web_gateway.port) as client:
        client.send(PREFACE + b"\0\0\0\4\0\0\0\0\0")

        def first():
            found = frames_of(client.buffer)
            return found if len(found) >= 2 else client._more() and None

        settings, window = waiting.until(first, 10, "two frames")[:2]
    assert type(settings).__name__ == "SettingsFrame" and settings.settings[3] == 1000
    assert settings.settings.get(4, 65_535) in (65_535, 65_536) and settings.settings[8] == 1
    assert type(window).__name__ == "WindowUpdateFrame" and window.stream_id == 0
    assert window.window_increment + 65_535 == 1 << 20


# case 94
def test_exactly_the_streams_beyond_the_limit_are_refused(backend):
    arguments = ["--max-concurrent-streams", "100"]
    with Gateway(objects.echo(backend), arguments=arguments) as gateway, http2.connect(gateway.port) as client:
        streams = [client.open(http2.grpc_headers("/test.Echo/Chat"), end=False) for _ in range(130)]
        client.wait(lambda: sum(stream.reset is not None for stream in streams) >= 30, 10, "thirty resets")
        assert [stream.reset for stream in streams] == [None] * 100 + [REFUSED_STREAM] * 30


# case 105
def test_requests_are_served_while_the_gateway_says_that_it_is_not_ready(backend, web):
    config = [*http_config(web)]
    with Gateway(config, drain="5m", arguments=["--drain-accept", "1m"]) as gateway:
        with http1.connect(gateway.port) as old:
            old.send(GET.format("/before", ""))
            assert old.response().value("connection") != "close"
            gateway.signal(15)
            waiting.until(lambda: gateway.status("/healthz/ready")[0] == 503, 10, "readiness to turn")
            old.send(GET.format("/last", ""))
            assert old.response().value("connection") == "close"
        with http1.connect(gateway.port) as new:
            new.send(GET.format("/new", ""))
            assert new.response().status == 200


# case 127
def test_the_json_line_of_a_request_without_a_rule(web):
    with Gateway(http_config(web, match=[{"uri": {"exact": "/x"}}]), arguments=["--log-format", "json"]) as gateway:
        assert http1.get(gateway.port, "/nothing").status == 404
        line = gateway.access_log_json("/nothing")
        assert (line["response_code"], line["response_flags"], line["upstream_host"]) == (404, "NR", None)


# case 128
def test_the_trace_of_a_client_passes_unchanged(web_gateway, web):
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    http1.send(web_gateway.port, GET.format("/", f"traceparent: {trace}\r\ntracestate: a=b\r\n"))
    assert web.last.value("traceparent") == trace and web.last.value("tracestate") == "a=b"
