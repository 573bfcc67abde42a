"""A real Envoy answers the cases of Tests/Fixtures/cases.md as they are written there.

`Gateway/test_istio_cases.py` asks Portico the same. What Envoy answers otherwise says why in the case.
"""

import contextlib

import control_plane
import envoy
import listening
import pytest
from peers import (
    http1, istio, istio_actions, istio_binding, istio_listeners, istio_policies, istio_rules, waiting)

ALL = (
    istio_binding.CASES + istio_rules.CASES + istio_actions.CASES + istio_listeners.CASES + istio_policies.CASES)
CASES = [each for each in ALL if each.envoy is None]


class Tables(envoy.Envoy):
    """A listener for each case."""

    def __init__(self, backends):
        self.ports = {each.number: {port: waiting.free_port() for port in each.ports} for each in CASES}
        self.admin_port, self.folder = waiting.free_port(), envoy.tempfile.TemporaryDirectory(prefix="envoy-")
        listeners, clusters = [], []
        for number, case in enumerate(CASES):
            plane = control_plane.ControlPlane(case.objects(backends), f"c{number}")
            for port, bound in self.ports[case.number].items():
                chains = listening.chains(plane, port)
                if chains:
                    listeners.append(self._listener(f"c{number}-{port}", bound, chains))
            clusters += plane.made.values()
        self._start(listeners, clusters)

    def _listener(self, name, port, chains):
        inspector = {"name": "envoy.filters.listener.tls_inspector", "typed_config": {"@type": envoy.TLS_INSPECTOR}}
        is_secure = any("transport_socket" in each or "filter_chain_match" in each for each in chains)
        return {
            "name": name, "address": self._address(port), "filter_chains": chains,
            "listener_filters": [inspector] if is_secure else []}


@pytest.fixture(scope="module")
def tables():
    with contextlib.ExitStack() as stack:
        backends = {name: stack.enter_context(http1.Upstream(istio.replying(name))) for name in ("a", "b")}
        oracle = stack.enter_context(Tables(backends))
        yield oracle, backends


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.number)
def test_envoy_answers_as_the_case_says(tables, case):
    oracle, backends = tables
    case.asserts(oracle.ports[case.number], backends)
