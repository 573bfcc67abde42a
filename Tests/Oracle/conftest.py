"""Both proxies in front of the same backends, once per session; the differences found, printed at the end."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import envoy  # noqa: E402
import stage  # noqa: E402
from peers.gateway import Gateway  # noqa: E402

explained = []


@pytest.fixture(scope="session")
def proxies():
    """(Envoy's port, Portico's port)."""
    with stage.backends() as services:
        with envoy.Envoy(*stage.envoy_config(services)) as oracle, Gateway(stage.portico_config(services)) as gateway:
            yield oracle.port, gateway.port


def pytest_terminal_summary(terminalreporter):
    if not explained:
        return
    terminalreporter.section("where Portico knowingly differs from Envoy")
    for line in explained:
        terminalreporter.write_line(line)
