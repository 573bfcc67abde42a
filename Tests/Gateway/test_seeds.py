"""Every row of Tests/Fixtures/seeds/README.md, on the files as they stand.

The pods' addresses and ports are the files' own (127.0.1.1:8888 and so on); only the gateway's ports are mapped.
"""

import concurrent.futures
import time

import grpc
import pytest

from peers import http1, http2
from peers.backend import Backend, Caller, hello
from peers.gateway import Gateway
from peers.objects import SEEDS

HELLO = "/helloworld.Greeter/SayHello"


def counts(backends):
    return [len(backend.calls) for backend in backends]


@pytest.fixture(scope="module")
def main_server():
    files = [SEEDS / "main-server.yaml", SEEDS / "main-server.endpoints.yaml"]
    with Backend("127.0.1.1", 8888, "one") as one, Backend("127.0.1.2", 8888, "two") as two:
        with Gateway(files, ports=[8888]) as gateway:
            yield gateway, (one, two)


def test_main_server_spreads_requests_of_one_connection_evenly(main_server):
    gateway, backends = main_server
    for backend in backends:
        backend.clear()
    with Caller(gateway.target) as caller:
        for _ in range(200):
            caller.unary("/main.MainService/Get")
    assert sum(counts(backends)) == 200
    assert abs(counts(backends)[0] - 100) <= 10
    assert all(len(backend.connections) == 1 for backend in backends)


@pytest.mark.parametrize("authority", ["localhost", "any.example.com", "main-server:8888", "10.0.0.1"])
def test_main_server_takes_any_authority(main_server, authority):
    gateway, _ = main_server
    with http2.connect(gateway.port) as client:
        stream = client.exchange(http2.grpc_headers("/main.MainService/Get", authority), http2.message())
    assert (stream.status, stream.grpc_status, bytes(stream.data)) == (200, 0, http2.message())


def test_main_server_answers_another_service_with_unimplemented_in_trailers_only(main_server):
    gateway, _ = main_server
    with http2.connect(gateway.port) as client:
        stream = client.exchange(http2.grpc_headers("/other.Service/M"), http2.message())
    assert stream.status == 200
    assert stream.trailers_only
    assert stream.grpc_status == 12
    assert stream.header("content-type") == "application/grpc"


def test_main_server_prefix_is_one_of_characters_and_reaches_the_grpc_backend_over_http1(main_server):
    gateway, _ = main_server
    # grpcio refuses a GET (405 or 415 by version, or a reset): what matters is that the route matched.
    assert http1.get(gateway.port, "/main.MainServiceX").status != 404
    assert http1.get(gateway.port, "/main.MainServic").status == 404


def test_hello_world_serves_its_prefix_and_nothing_else():
    with http1.Upstream(address="127.0.2.1", port=8080, name="hello") as upstream:
        with Gateway([SEEDS / "hello-world-http.yaml"], ports=[8080]) as gateway:
            response = http1.get(gateway.port, "/hello/you")
            assert (response.status, response.value("x-upstream")) == (200, "hello")
            assert upstream.last.target == "/hello/you"
            assert http1.get(gateway.port, "/bye").status == 404
            assert len(upstream.requests) == 1


def test_grpc_test_namespace_sends_any_call_to_the_target_port():
    with Backend("127.0.3.1", 50051) as backend:
        with Gateway([SEEDS / "grpc-test-namespace.yaml"], ports=[8000]) as gateway, Caller(gateway.target) as caller:
            assert caller.unary("/any.Service/Method", b"x")[0] == b"x"
            assert caller.hello() == "hostname:backend, in:ann, version:v1"
            assert len(backend.calls) == 2


@pytest.fixture(scope="module")
def canary():
    files = [SEEDS / "canary-mesh.yaml", SEEDS / "canary-edge.yaml"]
    with Backend("127.0.4.1", 50051, "one", "v1") as one, Backend("127.0.4.2", 50051, "two", "v2") as two:
        with Gateway(files, ports=[50051], mesh=True) as gateway:
            yield gateway, (one, two)


def cleared(canary):
    gateway, backends = canary
    for backend in backends:
        backend.clear()
    return gateway, backends


def test_canary_header_always_chooses_v2(canary):
    gateway, backends = cleared(canary)
    with Caller(gateway.target) as caller:
        for _ in range(50):
            assert caller.hello(metadata=[("version", "200")]) == "hostname:two, in:ann, version:v2"
    assert counts(backends) == [0, 50]


def test_canary_splits_ten_to_ninety(canary):
    gateway, backends = cleared(canary)
    with Caller(gateway.target) as caller, concurrent.futures.ThreadPoolExecutor(16) as pool:
        for _ in pool.map(lambda _: caller.unary(HELLO, hello("ann")), range(10_000)):
            pass
    first, second = counts(backends)
    assert first + second == 10_000
    assert 850 <= first <= 1150


def test_canary_times_out_after_five_seconds_and_resets_the_backend(canary):
    """Both subsets are slow, so that the split does not matter."""
    gateway, backends = cleared(canary)
    with Caller(gateway.target) as caller:
        start = time.monotonic()
        code, _ = caller.status(HELLO, hello("ann"), metadata=[("x-sleep", "600")])
        took = time.monotonic() - start
    assert code == grpc.StatusCode.DEADLINE_EXCEEDED
    assert took >= 4.9
    call = next(call for backend in backends for call in backend.calls)
    assert call.cancelled.wait(60)
    assert call.cancelled_at - start >= 4.9


def test_canary_sends_anything_else_to_v1(canary):
    gateway, backends = cleared(canary)
    with Caller(gateway.target) as caller:
        for method in ("/helloworld.Greeter/Other", "/x.Y/Z", "/helloworld.Greeter/SayHelloAgain"):
            caller.unary(method)
        caller.unary("/x.Y/Z", metadata=[("version", "100")])
    assert counts(backends) == [4, 0]


@pytest.mark.parametrize("version, backend", [("100", 0), ("200", 1), (None, 0)])
def test_mesh_listener_routes_by_version(canary, version, backend):
    gateway, backends = cleared(canary)
    options = [("grpc.default_authority", "k8s-combat-service-istio-mesh:50051")]
    with Caller(f"127.0.0.1:{gateway.mesh_port}", options=options) as caller:
        for _ in range(10):
            caller.unary("/x.Y/Z", metadata=[("version", version)] if version else [])
    assert counts(backends) == ([10, 0] if backend == 0 else [0, 10])


def test_mesh_listener_splits_on_request_only(canary):
    gateway, backends = cleared(canary)
    options = [("grpc.default_authority", "k8s-combat-service-istio-mesh:50051")]
    with Caller(f"127.0.0.1:{gateway.mesh_port}", options=options) as caller:
        for _ in range(200):
            caller.unary(HELLO, hello("ann"), metadata=[("split", "yes")])
    assert sum(counts(backends)) == 200
    assert counts(backends)[1] > 150


@pytest.mark.parametrize("workers", [1, 2])
def test_three_replicas_share_one_connections_calls(workers):
    backends = [Backend(f"127.0.5.{number}", 50053, f"replica-{number}") for number in (1, 2, 3)]
    try:
        with Gateway([SEEDS / "three-replicas.yaml"], ports=[50052], workers=workers) as gateway:
            with Caller(gateway.target) as caller:
                for _ in range(300):
                    caller.hello()
        assert counts(backends) == [100, 100, 100]
    finally:
        for backend in backends:
            backend.stop()
