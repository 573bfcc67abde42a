"""The report of a rollout: what it says after the endpoints of a service have changed."""

import contextlib

from peers import http1, objects, waiting
from peers.gateway import Gateway

POLICIES = {"attempts": 3, "retryOn": "connect-failure,reset"}
QUIET = 40  # seconds: the gateway waits 15 after the last change


def config(*servers, retries=None):
    rule = objects.rule("pods.test", **({"retries": retries} if retries else {}))
    entry = {
        "apiVersion": objects.NETWORKING, "kind": "ServiceEntry", "metadata": {"name": "out"},
        "spec": {
            "hosts": ["pods.test"], "resolution": "STATIC",
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
            "endpoints": [{"address": each.address, "ports": {"http": each.port}} for each in servers]},
    }
    return [objects.gateway(), objects.virtual_service([rule]), entry]


def answer(connection, _request):
    connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")


def vanish(connection, _request):
    connection.close()


def break_off(connection, _request):
    connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
    connection.close()


def report(gateway):
    waiting.until(lambda: "have changed for" in gateway.said, QUIET, "the report of the rollout")
    return next(line for line in gateway.said.splitlines() if "have changed for" in line)


class Rollout:
    """One of two endpoints leaves, once it has had a request that ended as `leaving` does."""

    def __init__(self, stack, leaving, retries):
        self.leaving, self.retries, self.lost, self.ended = leaving, retries, 0, 0
        old, new = (stack.enter_context(http1.Upstream(reply)) for reply in (leaving, answer))
        self.gateway = stack.enter_context(Gateway(config(old, new, retries=retries)))
        while not len(old.requests) > 1:  # which of the two is chosen is a matter of chance
            got = http1.get(self.gateway.port)
            self.lost += got.status == 503
            self.ended += got.body == b"half"
        self.replayed = int(self.gateway.metric("portico_retries_total"))
        assert self.gateway.metric("portico_upstream_failures_total.*replayed") == self.replayed
        self.gateway.write(config(new, retries=retries))
        self.gateway.reload()

    def check(self):
        assert (self.lost > 0) == (self.leaving is vanish and self.retries["attempts"] == 0)
        assert (self.ended > 0) == (self.leaving is break_off)
        line = report(self.gateway)
        words = f"{self.lost} requests lost, {self.replayed} sent again, {self.ended} answers broken off"
        assert "1 left and 0 came" in line and words in line, line
        assert ("warning" in line) == (self.lost + self.ended > 0) and ("preStop" in line) == (self.lost > 0)


def test_the_report_says_what_clients_noticed():
    """At the same time, because each report takes a quarter of a minute."""
    cases = [(vanish, POLICIES), (vanish, {"attempts": 0}), (break_off, {"attempts": 0})]
    with contextlib.ExitStack() as stack:
        for rollout in [Rollout(stack, *case) for case in cases]:
            rollout.check()


def test_no_report_of_endpoints_that_only_come():
    with http1.Upstream(answer) as old, http1.Upstream(answer) as new, Gateway(config(old)) as gateway:
        gateway.write(config(old, new))
        gateway.reload()
        gateway.write(config(new))
        gateway.reload()
        assert "1 left and 0 came: 0 requests lost" in report(gateway)
        assert gateway.said.count("have changed for") == 1
