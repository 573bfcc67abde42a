"""Gateways behind a load balancer in TCP mode are restarted one after the other, and no client's request fails."""

import contextlib
import signal

import pytest

from peers import haproxy, http1, objects, waiting
from peers.backend import Backend
from peers.clients import Curls, GrpcCalls, Streams
from peers.gateway import Gateway

ROUNDS = 2


@pytest.mark.skipif(haproxy.PROGRAM is None, reason="haproxy is not installed")
def test_a_rolling_restart_behind_a_tcp_balancer_fails_no_request():
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        backend, web = enter(Backend()), enter(http1.Upstream())
        config = [
            objects.gateway(),
            objects.virtual_service([
                objects.rule("web", match=[{"uri": {"prefix": "/web"}}]), objects.rule("calls"),
            ]),
            *objects.served_by("web", web, port=80, protocol_name="http"),
            *objects.served_by("calls", backend, port=80, protocol_name="grpc"),
        ]
        # One value; the end of the streams comes sooner than usual, to show that nothing needs it.
        arguments = ["--deregistration", "2s"]
        gateways = [enter(Gateway(config, workers=2, drain="20s", arguments=arguments)) for _ in range(2)]
        balancer = enter(haproxy.HAProxy(gateways))
        for number in range(2):
            balancer.wait(number, "UP")
        url = f"http://{balancer.target}/web"
        loads = [
            GrpcCalls(balancer.target), GrpcCalls(balancer.target), Streams(balancer.target), Curls(url), Curls(url),
        ]
        for load in loads:
            enter(load)

        def all_are_served():
            before = [load.count for load in loads]
            waiting.until(lambda: all(load.count > count for load, count in zip(loads, before)), 60,
                          "requests of every client")

        for number, gateway in [*enumerate(gateways)] * ROUNDS:
            all_are_served()
            gateway.signal(signal.SIGTERM)
            balancer.wait(number, "DOWN")
            assert gateway.process.poll() is None, "it ended before the balancer knew"
            all_are_served()
            assert gateway.wait_exit(60) == 0, gateway.said
            said = "\n".join(gateway.errors)
            assert "nothing was cut" in said and "cutting" not in said, said
            gateway.start()
            gateway.wait_ready()
            balancer.wait(number, "UP")
        all_are_served()
        for load in loads:
            load.__exit__()
        print([(type(load).__name__, load.count) for load in loads], balancer.servers())
        assert [load.failures for load in loads] == [[]] * len(loads)
        assert all(failed == 0 and count > 0 for _, count, failed in balancer.servers().values())
