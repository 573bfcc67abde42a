"""Retries as a rule says them: docs/istio.md, Retries; docs/behaviour.md, Retries."""

import threading

import grpc
import pytest

from peers import http1, http2, objects, waiting
from peers.backend import Backend, Caller
from peers.gateway import Gateway, elapsed

BAD = "HTTP/1.1 {} Busy\r\ncontent-length: 4\r\n\r\nbusy"


class Flaky:
    """Answers the first requests by a status, later ones by an echo."""

    def __init__(self, failures, status=503):
        self.failures, self.status, self.lock = failures, status, threading.Lock()

    def __call__(self, connection, request):
        with self.lock:
            self.failures -= 1
            fails = self.failures >= 0
        if fails:
            connection.send(BAD.format(self.status))
        else:
            upstream = request.value("x-envoy-attempt-count") or "1"
            text = f"try {upstream} ".encode() + request.body
            connection.send(f"HTTP/1.1 200 OK\r\ncontent-length: {len(text)}\r\n\r\n".encode() + text)


def web(*upstreams, **fields):
    return objects.echo(*upstreams, protocol="HTTP", protocol_name="http", **fields)


def retries(attempts, on=None, **more):
    return {"attempts": attempts, **({"retryOn": on} if on else {}), **more}


# Case 91: as many tries as the rule says, then the upstream's last answer.
def test_a_status_is_tried_again_as_often_as_the_rule_says():
    with http1.Upstream(Flaky(99)) as upstream:
        with Gateway(web(upstream, retries=retries(2, "503")), arguments=["--log-format", "json"]) as gateway:
            response = http1.get(gateway.port)
            assert (response.status, response.body) == (503, b"busy")
            assert [each.value("x-envoy-attempt-count") for each in upstream.requests] == ["1", "2", "3"]
            line = gateway.access_log_json("via_upstream")
            assert (line["response_flags"], line["upstream_request_attempt_count"]) == ("URX", 3)
            assert gateway.metric('portico_retries_total{reason="status"}') == 2


# Case 90: Istio's default looks at no status.
def test_a_status_is_not_tried_again_by_default():
    with http1.Upstream(Flaky(99)) as upstream, Gateway(web(upstream)) as gateway:
        assert http1.get(gateway.port).status == 503
        assert len(upstream.requests) == 1


@pytest.mark.parametrize("length", [0, 10, 60_000])
def test_a_body_is_sent_again(length):
    body = "x" * length
    with http1.Upstream(Flaky(2)) as upstream, Gateway(web(upstream, retries=retries(2, "5xx"))) as gateway:
        request = f"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n{body}"
        response = http1.send(gateway.port, request, to="POST")
        assert (response.status, response.body) == (200, b"try 3 " + body.encode())


def test_a_body_that_is_not_kept_ends_retries():
    body = "x" * 400_000
    with http1.Upstream(Flaky(99)) as upstream, Gateway(web(upstream, retries=retries(2, "5xx"))) as gateway:
        request = f"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {len(body)}\r\n\r\n{body}"
        assert http1.send(gateway.port, request, to="POST").status == 503
        assert len(upstream.requests) == 1


def test_another_endpoint_is_tried():
    with http1.Upstream(Flaky(99)) as bad, http1.Upstream(name="good") as good:
        with Gateway(web(bad, good, retries=retries(1, "503"))) as gateway:
            for _ in range(10):
                assert http1.get(gateway.port).value("x-upstream") == "good"


# Case 93
@pytest.mark.parametrize("policy", [{}, {"attempts": 0}])
def test_no_retries_at_all(policy):
    class Closed:
        address, port = "127.0.0.1", waiting.free_port()

    with Gateway(web(Closed, retries=policy), arguments=["--log-format", "json"]) as gateway:
        assert http1.get(gateway.port).status == 503
        line = gateway.access_log_json("connection_failure")
        assert (line["response_flags"], line["upstream_request_attempt_count"]) == ("UF", 1)
        assert gateway.metric("portico_retries_total") == 0


def silent(connection, _request):
    raise EOFError(connection.socket.recv(1))


# Case 92, and case 20 of the traps
@pytest.mark.parametrize(("on", "tries", "flags"), [("5xx", 3, "URX,UT"), ("connect-failure", 1, "UT")])
def test_a_try_has_a_time_of_its_own(on, tries, flags):
    with http1.Upstream(silent) as upstream:
        given = web(upstream, retries=retries(2, on, perTryTimeout="300ms"))
        with Gateway(given, arguments=["--log-format", "json"]) as gateway:
            took, response = elapsed(lambda: http1.get(gateway.port))
            assert (response.status, response.body) == (504, b"upstream request timeout")
            waiting.until(lambda: len(upstream.requests) >= tries, 10, "the tries to be read")
            assert len(upstream.requests) == tries
            assert took >= 0.3 * tries
            line = gateway.access_log_json("upstream_per_try_timeout")
            assert line["response_flags"] == flags


def test_the_deadline_is_for_all_tries():
    with http1.Upstream(silent) as upstream:
        given = web(upstream, timeout="2s", retries=retries(100, "5xx", perTryTimeout="200ms"))
        with Gateway(given) as gateway:
            took, response = elapsed(lambda: http1.get(gateway.port))
            assert response.status == 504 and took < 15, "a hundred tries take twenty seconds"
            assert 1 < len(upstream.requests) <= 11


@pytest.mark.parametrize(("code", "tries"), [(14, 3), (1, 3), (13, 1), (4, 1), (8, 1)])
def test_the_default_tries_some_grpc_statuses_again(code, tries):
    with Backend() as backend, Gateway(objects.echo(backend)) as gateway, Caller(gateway.target) as caller:
        status, details = caller.status(metadata=(("x-fail", f"{code}:gone"),))
        assert (status.value[0], details) == (code, "gone")
        assert len(backend.calls) == tries


def test_a_grpc_status_behind_an_answer_is_final():
    with Backend() as backend, Gateway(objects.echo(backend)) as gateway, Caller(gateway.target) as caller:
        assert caller.status(metadata=(("x-fail-late", "14:late"),))[0] == grpc.StatusCode.UNAVAILABLE
        assert len(backend.calls) == 1


@pytest.mark.parametrize(("on", "code"), [
    ("deadline-exceeded", 4), ("internal", 13), ("resource-exhausted", 8), ("unavailable", 14), ("cancelled", 1)])
def test_a_rule_names_grpc_statuses(on, code):
    with Backend() as backend, Gateway(objects.echo(backend, retries=retries(1, on))) as gateway:
        with Caller(gateway.target) as caller:
            assert caller.status(metadata=(("x-fail", f"{code}:gone"),))[0].value[0] == code
        assert len(backend.calls) == 2


@pytest.mark.parametrize(("on", "tries"), [("reset", 2), ("5xx", 2), ("refused-stream", 1)])
def test_a_reset_is_tried_again_if_the_rule_says_so(on, tries):
    def script(peer, _number):
        while True:
            stream = peer.next_request(20)
            peer.wait(lambda stream=stream: stream.over, 10)
            if dict(stream.blocks[0])["x-envoy-attempt-count"] != "1":
                http2.answer(peer, stream)
            else:
                peer.send_reset(stream.number, 2)

    with http2.ScriptedUpstream(script) as upstream, Gateway(objects.echo(upstream, retries=retries(1, on))) as gateway:
        with http2.connect(gateway.port) as client:
            stream = client.exchange(http2.grpc_headers(), http2.message(), 10)
        assert stream.grpc_status == (0 if tries == 2 else 14)
        assert [bytes(each.data) for each in upstream.requests] == [http2.message()] * tries


def test_an_unknown_condition_is_an_error_with_the_nearest_name(tmp_path):
    from peers.gateway import run

    file = tmp_path / "objects.yaml"
    file.write_text(objects.text(objects.echo(retries=retries(1, "gateway-errors"))))
    result = run("check", file)
    assert result.returncode == 1
    assert "did you mean `gateway-error`?" in result.stdout
    assert "its requests are answered 503" in result.stdout
