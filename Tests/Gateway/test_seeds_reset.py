"""The canary's timeout once more, on backends that show their frames (same addresses as test_seeds.py)."""

from peers import http2, waiting
from peers.frames import CANCEL
from peers.gateway import Gateway
from peers.objects import SEEDS

HELLO = "/helloworld.Greeter/SayHello"


def test_canary_timeout_reaches_the_backend_as_a_reset():
    resets = []

    def script(peer, _number):
        stream = peer.next_request(10)
        peer.wait(lambda: stream.reset is not None, 8)
        resets.append(stream.reset)

    files = [SEEDS / "canary-mesh.yaml", SEEDS / "canary-edge.yaml"]
    with http2.ScriptedUpstream(script, "127.0.4.1", 50051), http2.ScriptedUpstream(script, "127.0.4.2", 50051):
        with Gateway(files, ports=[50051]) as gateway, http2.connect(gateway.port) as client:
            stream = client.exchange(http2.grpc_headers(HELLO), http2.message())
            assert stream.grpc_status == 4
            waiting.until(lambda: resets, 2, "the reset at the backend")
    assert resets == [CANCEL]
