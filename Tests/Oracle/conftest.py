"""Both proxies in front of the same backends, once per session; the differences found, printed at the end."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import envoy  # noqa: E402
import stage  # noqa: E402
from differences import explained  # noqa: E402
from peers.gateway import Gateway  # noqa: E402


@pytest.fixture(scope="session")
def proxies():
    """The ports of Envoy and of Portico, each (in clear text, with TLS)."""
    with stage.backends() as services, envoy.Envoy(*stage.envoy_config(services)) as oracle:
        with Gateway(stage.portico_config(services), ports=[8000, 443]) as gateway:
            yield (oracle.port, oracle.tls_port), (gateway.map[8000], gateway.map[443])


def pytest_terminal_summary(terminalreporter):
    if not explained:
        return
    terminalreporter.section("where Portico knowingly differs from Envoy")
    for line in explained:
        terminalreporter.write_line(line)
