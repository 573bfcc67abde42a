"""`retryBudget` and `http2KeepAlive` of a DestinationRule."""

import signal
import threading

import pytest
from hyperframe.frame import PingFrame

from peers import http1, http2, objects, waiting
from peers.echo import Echo
from peers.gateway import Gateway, run

RETRIES = {"attempts": 2, "retryOn": "503", "backoff": "1ms"}


class Failing:
    """An HTTP/1.1 server that answers 503; a second try waits for `gate`."""

    def __init__(self):
        self.tries, self.gate = [], threading.Event()
        self.server = http1.Upstream(self.reply)

    def reply(self, connection, request):
        attempt = request.value("x-envoy-attempt-count") or "1"
        self.tries.append(attempt)
        if attempt == "2":
            self.gate.wait(60)
        connection.send(b"HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n")

    def __enter__(self):
        self.server.__enter__()
        return self

    def __exit__(self, *ended):
        self.gate.set()
        self.server.__exit__(*ended)


def config(server, budget, **pool):
    policy = {**({"retryBudget": budget} if budget is not None else {}), **pool}
    return [*objects.echo(server, protocol="HTTP", protocol_name="http", retries=RETRIES),
            objects.destination_rule("echo", trafficPolicy=policy)]


@pytest.mark.parametrize("budget, tries", [({"percent": 0, "minRetryConcurrency": 0}, 1), ({}, 3)])
def test_without_a_budget_nothing_is_sent_again(budget, tries):
    arguments = ["--log-format", "json"]
    with Failing() as failing, Gateway(config(failing.server, budget), arguments=arguments) as gateway:
        failing.gate.set()
        assert http1.get(gateway.port).status == 503
        assert len(failing.tries) == tries
        line = gateway.access_log_json("via_upstream")
        assert line["response_flags"] == ("UO" if tries == 1 else "URX")
        assert gateway.metric(r'limit_reached_total{limit="cluster_retries"}') == (1 if tries == 1 else 0)


def test_the_least_number_may_be_sent_again_at_the_same_time_whatever_maxretries_says():
    pool = {"connectionPool": {"http": {"maxRetries": 100}}}
    with Failing() as failing:
        with Gateway(config(failing.server, {"percent": 1, "minRetryConcurrency": 1}, **pool)) as gateway:
            answers = []
            first = threading.Thread(target=lambda: answers.append(http1.get(gateway.port).status))
            first.start()
            waiting.until(lambda: "2" in failing.tries, 10, "the first one's second try")
            assert http1.get(gateway.port).status == 503
            assert failing.tries.count("2") == 1, "a second one was sent again"
            failing.gate.set()
            first.join(120)
            assert answers == [503] and failing.tries.count("3") == 1


def test_routes_show_them(tmp_path):
    file = tmp_path / "objects.yaml"
    peer = type("Peer", (), {"address": "127.0.0.1", "port": 1})
    keep = {"connectionPool": {"http": {"http2KeepAlive": {"interval": "7s", "timeout": "3s"}}}}
    file.write_text(objects.text(config(peer, {"percent": 12.5, "budgetInterval": "1s"}, **keep)))
    said = run("routes", file).stdout
    assert "retryBudget 12.5% of the requests, at least 3" in said
    assert "http2KeepAlive after 7s, for 3s" in said
    warned = run("check", file)
    assert "`budgetInterval` has no effect" in warned.stdout + warned.stderr


def asking(interval, timeout):
    pool = {"http": {"http2KeepAlive": {"interval": interval, "timeout": timeout}}}
    return objects.destination_rule("echo", trafficPolicy={"connectionPool": pool})


def test_an_endpoint_that_is_gone_is_given_up_in_the_time_of_its_policy():
    with Echo() as echo, Gateway([*objects.echo(echo), asking("200ms", "300ms")]) as gateway:
        with http2.connect(gateway.port) as client:
            assert client.exchange(http2.grpc_headers(), http2.message()).grpc_status == 0
            echo.process.send_signal(signal.SIGSTOP)
            try:
                call = client.open(http2.grpc_headers(), http2.message())
                client.wait(lambda: call.over, 20)
                assert call.grpc_status == 14
                assert gateway.metric(r'limit_reached_total{limit="upstream_keepalive"}') == 1
            finally:
                echo.process.send_signal(signal.SIGCONT)


def test_a_silent_endpoint_is_asked_as_often_as_its_policy_says():
    def silent(peer, _number):
        peer.wait(lambda: peer.closed, 60)

    def pings():
        return sum(isinstance(frame, PingFrame) for peer in upstream.peers for frame in peer.frames)

    with http2.ScriptedUpstream(silent) as upstream:
        objects_ = [*objects.echo(upstream), asking("50ms", "10s")]
        with Gateway(objects_) as gateway, http2.connect(gateway.port) as client:
            call = client.open(http2.grpc_headers("/test.Echo/Chat"), end=False)
            waiting.until(lambda: pings() >= 4, 10, "further PINGs")
            assert not call.over
