"""What most suites start from: one gRPC backend behind one gateway port."""

import resource

import pytest

from peers import http1, objects
from peers.backend import Backend, Caller
from peers.gateway import Gateway


@pytest.fixture(scope="module")
def backend():
    with Backend() as made:
        yield made


@pytest.fixture(scope="module")
def gateway(backend):
    """Everything on its port goes to `backend`, in HTTP/2."""
    with Gateway(objects.echo(backend)) as made:
        yield made


@pytest.fixture
def many_files():
    """Room for thousands of connections of the test's own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4096:
        pytest.skip("too few descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def caller(gateway):
    with Caller(gateway.target) as made:
        yield made


@pytest.fixture(scope="module")
def web():
    """An HTTP/1.1 upstream that echoes."""
    with http1.Upstream() as made:
        yield made


@pytest.fixture(scope="module")
def web_gateway(web):
    """Everything on its port goes to `web`, in HTTP/1.1."""
    with Gateway(objects.echo(web, protocol="HTTP", protocol_name="http")) as made:
        yield made
