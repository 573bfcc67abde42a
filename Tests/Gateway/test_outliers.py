"""`outlierDetection` of a DestinationRule: endpoints that answer with errors are ejected, and come back."""

import threading
import types

import grpc
import pytest

from peers import http1, objects, waiting
from peers.backend import Backend, Caller
from peers.gateway import Gateway

EJECTED = r'^portico_endpoints\{cluster="[^"]*",state="ejected"\}'
EJECTIONS = r'^portico_outlier_ejections_total\{{cluster="[^"]*",reason="{}"\}}'


class Sick:
    """An HTTP/1.1 server that answers with its status of the moment."""

    def __init__(self, status=200):
        self.status = status
        self.answers = []
        self.server = http1.Upstream(self.reply)

    def reply(self, connection, _request):
        self.answers.append(self.status)
        connection.send(b"HTTP/1.1 %d X\r\ncontent-length: 0\r\n\r\n" % self.status)

    def __enter__(self):
        self.server.__enter__()
        return self

    def __exit__(self, *ended):
        self.server.__exit__(*ended)


def config(*servers, **detection):
    rule = objects.destination_rule(
        "echo", trafficPolicy={"loadBalancer": {"simple": "ROUND_ROBIN"}, "outlierDetection": detection})
    return [*objects.echo(*servers, protocol="HTTP", protocol_name="http"), rule]


def statuses(gateway, amount):
    return [http1.get(gateway.port).status for _ in range(amount)]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_endpoint_that_answers_with_errors_is_ejected_and_comes_back(workers):
    detection = {"consecutive5xxErrors": 3, "interval": "100ms", "baseEjectionTime": "300ms", "maxEjectionPercent": 50}
    with Sick(503) as sick, Sick() as well:
        with Gateway(config(sick.server, well.server, **detection), workers=workers) as gateway:
            seen = statuses(gateway, 20)
            assert seen.count(503) == 3 == len(sick.answers)
            waiting.until(lambda: "is ejected for 300 ms: consecutive_5xx" in gateway.said, 10, "its line")
            sick.status = 200
            waiting.until(lambda: gateway.metric(EJECTED) == 0, 10, "its return")
            assert gateway.metric(EJECTIONS.format("consecutive_5xx")) >= 1
            assert "is used again" in gateway.said
            assert statuses(gateway, 10) == [200] * 10
            assert len(sick.answers) > 3


def test_an_ejection_survives_a_reload_and_other_endpoints():
    detection = {"consecutive5xxErrors": 2, "baseEjectionTime": "1h", "maxEjectionPercent": 50}
    with Sick(500) as sick, Sick() as well, Sick() as third:
        with Gateway(config(sick.server, well.server, **detection)) as gateway:
            statuses(gateway, 8)
            assert len(sick.answers) == 2
            gateway.write(config(third.server, sick.server, well.server, **detection))
            gateway.reload()
            assert statuses(gateway, 20) == [200] * 20
            assert len(sick.answers) == 2 and len(third.answers) == 10
            page = gateway.admin("/endpoints")[1]
            assert page.count(" ejected") == 1
            gateway.write(config(sick.server, well.server)[:-1])
            gateway.reload()
            assert statuses(gateway, 8).count(500) == 4


def test_no_more_than_the_share_is_ejected_and_panic_uses_all():
    few = {"consecutive5xxErrors": 1, "baseEjectionTime": "1h"}
    with Sick(500) as one, Sick(500) as other:
        with Gateway(config(one.server, other.server, maxEjectionPercent=50, **few)) as gateway:
            statuses(gateway, 10)
            assert len(one.answers) + len(other.answers) == 10
            assert gateway.metric(EJECTED) == 1
            assert gateway.metric(r"^portico_outlier_ejections_prevented_total") >= 1
        with Gateway(config(one.server, other.server, maxEjectionPercent=100, **few)) as gateway:
            assert statuses(gateway, 6) == [500, 500, 503, 503, 503, 503]
            assert " UH " in gateway.access_log("503 UH")
        panic = config(one.server, other.server, maxEjectionPercent=100, minHealthPercent=60, **few)
        with Gateway(panic) as gateway:
            assert statuses(gateway, 6)[:2] == [500, 500]
            waiting.until(lambda: gateway.metric(EJECTED) == 2, 10, "both")
            assert statuses(gateway, 6) == [500] * 6


def test_an_endpoint_that_refuses_connections_is_ejected():
    gone = types.SimpleNamespace(address="127.0.0.1", port=waiting.free_port())
    detection = {
        "splitExternalLocalOriginErrors": True, "consecutiveLocalOriginFailures": 2, "baseEjectionTime": "1h",
        "maxEjectionPercent": 50,
    }
    with Sick() as well, Gateway(config(gone, well.server, **detection)) as gateway:
        assert statuses(gateway, 12) == [200] * 12
        assert gateway.metric(EJECTIONS.format("consecutive_local_origin_failure")) == 1
        assert gateway.metric(r'^portico_retries_total\{reason="connect_failure"\}') == 2


def test_grpc_calls_count_by_their_status():
    with Backend(name="sick") as sick, Backend(name="well") as well:
        rule = objects.destination_rule("echo", trafficPolicy={
            "loadBalancer": {"simple": "ROUND_ROBIN"},
            "outlierDetection": {"consecutive5xxErrors": 2, "baseEjectionTime": "1h", "maxEjectionPercent": 50}})
        with Gateway([*objects.echo(sick, well), rule]) as gateway, Caller(gateway.target) as caller:
            for code, name in [(5, "NOT_FOUND"), (14, "UNAVAILABLE")]:
                for _ in range(4):
                    with pytest.raises(grpc.RpcError) as failed:
                        caller.unary(metadata=[("x-fail", str(code))])
                    assert failed.value.code().name == name
            # Both fail alike: the first of them that comes to two errors is ejected, and the other may not be.
            assert gateway.metric(EJECTED) == 1
            sick.clear()
            well.clear()
            for _ in range(4):
                caller.unary()
            assert sorted([len(sick.calls), len(well.calls)]) == [0, 4]


def test_errors_in_bursts_while_endpoints_come_and_go_break_nothing():
    detection = {"consecutive5xxErrors": 1, "interval": "10ms", "baseEjectionTime": "20ms", "maxEjectionPercent": 80}
    with Sick() as one, Sick() as other, Sick() as third:
        servers = [one, other, third]
        with Gateway(config(*(each.server for each in servers), **detection), workers=2) as gateway:
            stop = threading.Event()
            seen = []

            def ask():
                while not stop.is_set():
                    seen.append(http1.get(gateway.port).status)

            threads = [threading.Thread(target=ask) for _ in range(3)]
            for thread in threads:
                thread.start()
            for number in range(12):
                servers[number % 3].status = 503 if number % 2 else 200
                kept = servers if number % 4 else servers[: 1 + number % 3]
                gateway.write(config(*(each.server for each in kept), **detection))
                gateway.reload()
            stop.set()
            for thread in threads:
                thread.join()
            assert set(seen) <= {200, 503} and seen.count(200) > 0
            for each in servers:
                each.status = 200
            gateway.write(config(*(each.server for each in servers), **detection))
            gateway.reload()
            waiting.until(lambda: gateway.metric(EJECTED) == 0, 10, "their return")
            assert statuses(gateway, 9) == [200] * 9
