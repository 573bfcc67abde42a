"""`connectionPool` of a DestinationRule: limits of a cluster, of all workers together."""

import threading

import grpc
import pytest

from peers import http1, http2, objects, waiting
from peers.backend import Caller
from peers.gateway import Gateway

GET = "GET / HTTP/1.1\r\nhost: a\r\n\r\n"
REACHED = r'^portico_limit_reached_total\{{limit="{}"\}}'
IN_USE = r'^portico_cluster_in_use\{{cluster="[^"]*",resource="{}"\}}'


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


def config(*web, http=None, tcp=None, **spec):
    pool = {**({"http": http} if http else {}), **({"tcp": tcp} if tcp else {})}
    policy = {**({"connectionPool": pool} if pool else {}), **spec}
    return [
        *objects.echo(*web, protocol="HTTP", protocol_name="http"),
        objects.destination_rule("echo", trafficPolicy=policy),
    ]


def test_waiting_requests_beyond_the_policy_are_refused():
    with Holding() as holding:
        limited = config(holding.server, tcp={"maxConnections": 1}, http={"http1MaxPendingRequests": 1})
        with Gateway(limited) as gateway:
            clients = [http1.connect(gateway.port) for _ in range(3)]
            for number, client in enumerate(clients):
                client.send(GET)
                # A request whose connection is still being made waits, too.
                waiting.until(lambda: holding.server.requests, 10, "the first to be sent")
                waiting.until(lambda: gateway.metric("portico_requests_active") >= min(number + 1, 2), 10, "it to come")
            refused = clients[2].response()
            assert refused.status == 503 and refused.value("x-envoy-overloaded") == "true"
            assert " UO " in gateway.access_log("503 UO")
            assert gateway.metric(REACHED.format("cluster_pending_requests")) == 1
            assert gateway.metric(REACHED.format("cluster_connections")) >= 1
            assert gateway.metric(IN_USE.format("connections")) == 1
            assert gateway.metric(IN_USE.format("pending")) == 1
            holding.gate.set()
            assert [client.response().status for client in clients[:2]] == [200, 200]
            assert holding.server.connections == 1
            for client in clients:
                client.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_requests_in_progress_beyond_the_policy_are_refused(workers):
    with Holding() as holding:
        with Gateway(config(holding.server, http={"http2MaxRequests": 3}), workers=workers) as gateway:
            clients = [http1.connect(gateway.port) for _ in range(3)]
            for number, client in enumerate(clients):
                client.send(GET)
                waiting.until(lambda: gateway.metric(IN_USE.format("requests")) == number + 1, 10, "it to be sent")
            # Whichever worker has it: they count together.
            for _ in range(4):
                assert http1.get(gateway.port).status == 503
            assert gateway.metric(REACHED.format("cluster_requests")) == 4
            holding.gate.set()
            assert [client.response().status for client in clients] == [200] * 3
            assert http1.get(gateway.port).status == 200
            for client in clients:
                client.close()


def test_a_grpc_call_beyond_the_policy_is_unavailable_and_says_why(backend):
    rule = objects.destination_rule("echo", trafficPolicy={"connectionPool": {"http": {"http2MaxRequests": 1}}})
    with Gateway([*objects.echo(backend), rule]) as gateway, Caller(gateway.target) as caller:
        held = caller.chat(iter_until_set(event := threading.Event()))
        waiting.until(lambda: gateway.metric(IN_USE.format("requests")) == 1, 10, "the call")
        with pytest.raises(grpc.RpcError) as refused:
            caller.unary()
        assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
        assert "http2MaxRequests 1" in refused.value.details()
        event.set()
        list(held)
        waiting.until(lambda: gateway.metric(IN_USE.format("requests")) == 0, 10, "its end")
        assert caller.unary() is not None


def iter_until_set(event):
    event.wait(60)
    return
    yield


@pytest.mark.parametrize("most,connections", [(1, 6), (2, 3), (0, 1)])
def test_a_connection_ends_after_so_many_requests(web, most, connections):
    before = web.connections
    with Gateway(config(web, http={"maxRequestsPerConnection": most})) as gateway:
        with http1.connect(gateway.port) as client:
            for _ in range(6):
                client.send(GET)
                assert client.response().status == 200
        assert web.connections - before == connections


def test_a_reload_changes_limits_and_keeps_what_is_in_use():
    with Holding() as holding, Gateway(config(holding.server, http={"http2MaxRequests": 1})) as gateway:
        with http1.connect(gateway.port) as client, http1.connect(gateway.port) as second:
            client.send(GET)
            waiting.until(lambda: gateway.metric(IN_USE.format("requests")) == 1, 10, "it to be sent")
            assert http1.get(gateway.port).status == 503
            gateway.write(config(holding.server, http={"http2MaxRequests": 2}))
            gateway.reload()
            second.send(GET)
            waiting.until(lambda: gateway.metric(IN_USE.format("requests")) == 2, 10, "it to be sent")
            assert http1.get(gateway.port).status == 503
            holding.gate.set()
            assert client.response().status == second.response().status == 200


def test_an_idle_connection_is_closed_by_the_policy(web):
    with Gateway(config(web, http={"idleTimeout": "200ms"})) as gateway:
        assert http1.get(gateway.port).status == 200
        waiting.until(lambda: gateway.metric(IN_USE.format("connections")) == 0, 10, "its end")


def test_upgrade_speaks_http2_to_a_port_of_http1():
    with http2.ScriptedUpstream(http2.answering) as server:
        with Gateway(config(server, http={"h2UpgradePolicy": "UPGRADE"})) as gateway:
            assert http1.get(gateway.port).status == 200
            assert len(server.requests) == 1
