"""gRPC-Web from hand-made clients and curl, translated to calls that grpcio's server understands."""

import base64
import concurrent.futures
import random
import subprocess

import pytest

from peers import grpc_web, http1, http2, objects, waiting
from peers.backend import Backend
from peers.frames import CANCEL
from peers.gateway import Gateway

BINARY, TEXT = "application/grpc-web+proto", "application/grpc-web-text+proto"
KINDS = [BINARY, TEXT, "application/grpc-web", "application/grpc-web-text"]


def octets_of(answer):
    return grpc_web.plain(answer.body) if "-text" in answer.value("content-type") else answer.body


@pytest.mark.parametrize("kind", KINDS)
def test_a_unary_call_over_http1(gateway, backend, kind):
    for message in (b"", b"a", b"ab", b"abc", bytes(range(256)) * 300):
        answer = grpc_web.call(gateway.port, message, kind=kind, grpc_timeout="20S")
        assert (answer.status, answer.value("content-type")) == (200, kind.removesuffix("+proto") + "+proto")
        messages, trailers = grpc_web.parts(octets_of(answer))
        assert messages == [message]
        assert (trailers["grpc-status"], trailers["x-trailer"]) == ("0", "v1")
        assert backend.last.seconds_left < 20
        assert answer.value("x-backend") == "backend" and answer.value("grpc-status") is None


@pytest.mark.parametrize("kind", KINDS)
def test_streams_over_http1(gateway, kind):
    answer = grpc_web.call(gateway.port, b"", kind=kind, path="/test.Echo/Stream", x_count="50")
    messages, trailers = grpc_web.parts(octets_of(answer))
    assert messages == [b"%d" % number for number in range(50)] and trailers["grpc-status"] == "0"
    answer = grpc_web.call(gateway.port, *[b"abc"] * 7, kind=kind, path="/test.Echo/Collect")
    assert grpc_web.parts(octets_of(answer))[0] == [b"7 messages, 21 octets"]


@pytest.mark.parametrize("kind", KINDS)
def test_calls_over_http2(gateway, kind):
    body = grpc_web.frame(b"hello") * 2
    with http2.connect(gateway.port) as client:
        headers = http2.grpc_headers("/test.Echo/Chat", content_type=kind)
        answer = client.exchange(headers, base64.b64encode(body) if "-text" in kind else body)
        octets = grpc_web.plain(bytes(answer.data)) if "-text" in kind else bytes(answer.data)
        messages, trailers = grpc_web.parts(octets)
        assert messages == [b"hello"] * 2 and trailers["grpc-status"] == "0"
        assert len(answer.blocks) == 1  # no trailers but those in the body


def test_failures_have_the_status_of_the_call(gateway):
    late = grpc_web.call(gateway.port, b"x", x_fail_late="9:after%20all", path="/test.Echo/Chat")
    messages, trailers = grpc_web.parts(late.body)
    assert messages == [b"x"] and (trailers["grpc-status"], trailers["grpc-message"]) == ("9", "after all")
    at_once = grpc_web.call(gateway.port, b"x", x_fail="5:no")
    assert (at_once.status, at_once.value("grpc-status"), at_once.body) == (200, "5", b"")
    slow = grpc_web.call(gateway.port, b"x", kind=TEXT, x_stall="30", grpc_timeout="200m")
    assert grpc_web.parts(octets_of(slow))[1]["grpc-status"] == "4"
    assert slow.complete


def test_large_bodies_pass_in_both_forms(gateway):
    """Far more than a window, in pieces that cut groups of digits and frames anywhere."""
    rng = random.Random(5)
    message = rng.randbytes(3_000_000)
    for kind in (BINARY, TEXT):
        body = grpc_web.frame(message)
        body = base64.b64encode(body) if kind == TEXT else body
        octets = grpc_web.request(body, kind)
        with http1.connect(gateway.port) as client:
            with concurrent.futures.ThreadPoolExecutor() as pool:
                reading = pool.submit(client.response)
                while octets:
                    count = rng.randrange(1, 100_000)
                    client.send(octets[:count])
                    octets = octets[count:]
                messages, trailers = grpc_web.parts(octets_of(reading.result(30)))
        assert messages == [message] and trailers["grpc-status"] == "0"


@pytest.mark.parametrize("body", [b"A", b"AAAA!AAA", b"=AAA", b"AAAAAAA", b"\xff" * 8, b"AAAA\r\n"])
def test_a_body_that_is_not_base64_is_refused(gateway, body):
    path = f"/test.Bad/{body.hex()}"
    answer = http1.send(gateway.port, grpc_web.request(body, TEXT, path))
    assert (answer.status, answer.value("grpc-status"), answer.body) == (200, "13", b"")
    assert answer.value("content-type") == TEXT and "Base64" in answer.value("grpc-message")
    assert "grpc_base_64_decode_failed" in gateway.access_log(path)
    assert grpc_web.call(gateway.port, b"x", kind=TEXT).status == 200


def test_truncated_frames_and_broken_clients_do_no_harm(gateway, backend):
    backend.clear()
    for body in (b"\0", b"\0\0\0\0\x09abc", b"\0\xff\xff\xff\xff", grpc_web.frame(b"x", flags=0x80)):
        answer = http1.send(gateway.port, grpc_web.request(body))
        messages, trailers = grpc_web.parts(answer.body)
        status = (trailers or {}).get("grpc-status") or answer.value("grpc-status")
        assert messages in ([], [b""]) or status != "0"
    with http1.connect(gateway.port) as client:  # ends in the middle of a group
        client.send(grpc_web.request(b"A" * 40, TEXT)[:-17])
    assert grpc_web.parts(grpc_web.call(gateway.port, b"ok").body)[0] == [b"ok"]


def test_answers_that_are_no_grpc_get_a_status():
    def html(peer, _number):
        for _ in range(2):
            stream = peer.next_request(60)
            peer.send_headers(stream.number, [(":status", "502"), ("content-type", "text/html")])
            peer.send_data(stream.number, b"<html>", end=True)

    with http2.ScriptedUpstream(html) as upstream, Gateway(objects.echo(upstream)) as gateway:
        for kind in (BINARY, TEXT):
            answer = grpc_web.call(gateway.port, b"x", kind=kind)
            assert (answer.status, answer.value("grpc-status"), answer.body) == (502, "14", b"")
            assert answer.value("content-type") == kind


CORS = {
    "allowOrigins": [{"exact": "https://page.test"}], "allowMethods": ["POST"],
    "allowHeaders": ["content-type", "x-grpc-web"], "exposeHeaders": ["grpc-status", "grpc-message"]}


def test_own_answers_have_the_form_and_the_cors_fields():
    """No route, no endpoint, a timeout and a fault."""
    with Backend() as backend:
        rules = [
            objects.rule("echo", match=[{"uri": {"prefix": "/slow"}}], timeout="0.2s", corsPolicy=CORS),
            objects.rule("empty", match=[{"uri": {"prefix": "/empty"}}], corsPolicy=CORS),
            objects.rule("echo", match=[{"uri": {"prefix": "/fault"}}], corsPolicy=CORS, fault={
                "abort": {"grpcStatus": "UNAUTHENTICATED", "percentage": {"value": 100}}}),
            {"match": [{"uri": {"prefix": "/direct"}}], "directResponse": {"status": 429, "body": {"string": "no"}}},
        ]
        given = [
            objects.gateway(), objects.virtual_service(rules), *objects.served_by("echo", backend),
            objects.service("empty")]
        with Gateway(given) as gateway:
            for kind in (BINARY, TEXT):
                for path, status, origin in [
                        ("/slow/X", "4", "https://page.test"), ("/empty/X", "14", "https://page.test"),
                        ("/fault/X", "16", None), ("/direct/X", "8", None), ("/none/X", "12", None)]:
                    answer = grpc_web.call(
                        gateway.port, b"x", kind=kind, path=path, x_sleep="5", origin="https://page.test")
                    assert (answer.status, answer.value("grpc-status"), answer.body) == (200, status, b""), path
                    assert answer.value("content-type") == kind
                    assert answer.value("access-control-allow-origin") == origin, path
                    assert gateway.access_log(path)


def test_a_client_that_goes_away_ends_the_call():
    seen = []

    def begin(peer, _number):
        seen.append(peer.next_request(60))
        peer.send_headers(seen[0].number, [(":status", "200"), ("content-type", "application/grpc")])

    with http2.ScriptedUpstream(begin) as upstream, Gateway(objects.echo(upstream)) as gateway:
        with http2.connect(gateway.port) as client:
            stream = client.open(http2.grpc_headers(content_type=TEXT), b"AAAAAAA=", end=False)
            client.wait(lambda: stream.headers)
            client.send_reset(stream.number, CANCEL)
            waiting.until(lambda: seen[0].reset == CANCEL, 10, "the reset")
            assert bytes(seen[0].data) == bytes(5)


def test_curl(gateway, tmp_path):
    (tmp_path / "body").write_bytes(grpc_web.frame(b"from curl"))
    done = subprocess.run(
        ["curl", "-s", "-D", "-", "--data-binary", f"@{tmp_path / 'body'}", "-H", f"content-type: {BINARY}",
         f"http://127.0.0.1:{gateway.port}/test.Echo/Unary"], capture_output=True, timeout=120, check=True)
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert grpc_web.parts(body)[0] == [b"from curl"]


def test_other_ports_get_it_as_it_is(web_gateway, web):
    answer = http1.send(web_gateway.port, grpc_web.request(b"no!!", TEXT))
    assert answer.body.endswith(b"no!!")
    assert (web.last.value("content-type"), web.last.body) == (TEXT, b"no!!")
