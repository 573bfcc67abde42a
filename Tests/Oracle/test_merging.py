"""What Istio makes of several Gateways and VirtualServices, through a real Envoy, and what Portico makes of them."""

import contextlib

import envoy
import pytest
import stage
from merge_cases import HOSTS, PATHS, SCENARIOS, ask
from peers import http1, objects
from peers.gateway import Gateway


class Tables(envoy.Envoy):
    """A listener for each scenario."""

    def __init__(self, services):
        self.ports = {each.name: envoy.waiting.free_port() for each in SCENARIOS}
        self.admin_port, self.folder = envoy.waiting.free_port(), envoy.tempfile.TemporaryDirectory(prefix="envoy-")
        self._start(
            [{"name": each.name, "address": self._address(self.ports[each.name]),
              "filter_chains": [envoy.chain(each.virtual_hosts())]} for each in SCENARIOS],
            [envoy.cluster(name, server.port) for name, server in services.items()])


@pytest.fixture(scope="module")
def tables():
    with contextlib.ExitStack() as stack:
        services = {
            "show": stack.enter_context(http1.Upstream(stage.show)),
            "raw": stack.enter_context(http1.Upstream(teapot))}
        config = [made for each in SCENARIOS for made in each.objects]
        for name, server in services.items():
            config += objects.served_by(name, server, port=80, protocol_name="http")
        oracle = stack.enter_context(Tables(services))
        gateway = stack.enter_context(Gateway(config, ports=[each.port for each in SCENARIOS]))
        yield {each.name: (oracle.ports[each.name], gateway.map[each.port]) for each in SCENARIOS}


def teapot(connection, _request):
    connection.send(b"HTTP/1.1 418 Teapot\r\ncontent-length: 0\r\n\r\n")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_envoy_agrees(tables, scenario):
    oracle, portico = (
        {(host, path): ask(port, host, path) for host in HOSTS for path in PATHS} for port in tables[scenario.name])
    assert oracle == portico
    # A table that answers the same to everything would prove nothing.
    assert len({answer["status"] for answer in oracle.values()}) >= 2 or scenario.is_for_all
