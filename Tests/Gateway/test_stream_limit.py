"""How many streams a client may have open at once on a connection."""

import pytest
from hyperframe.frame import SettingsFrame

from peers import http2, objects, waiting
from peers.backend import Caller
from peers.gateway import Gateway, run

REACHED = r'portico_limit_reached_total\{limit="concurrent_streams"\}'


def told(gateway):
    """What the gateway tells a client with its first SETTINGS."""
    with http2.connect(gateway.port) as client:
        client.wait(lambda: SettingsFrame.MAX_CONCURRENT_STREAMS in client.peer_settings)
        return client.peer_settings[SettingsFrame.MAX_CONCURRENT_STREAMS]


def annotated(number, *rest):
    config = objects.echo(*rest)
    config[0]["metadata"]["annotations"] = {"portico.dev/max-concurrent-streams": number}
    return config


def beginning(peer, _number):
    """A script: begins an answer to each `Chat` and never ends it; answers all else."""
    while True:
        stream = peer.next_request(60)
        if dict(stream.blocks[0])[":path"].endswith("Chat"):
            peer.send_headers(stream.number, [(":status", "200"), ("content-type", "application/grpc")])
        else:
            peer.wait(lambda stream=stream: stream.over)
            http2.answer(peer, stream)


def test_a_call_beside_150_long_ones_is_served_at_once():
    with http2.ScriptedUpstream(beginning) as upstream, Gateway(objects.echo(upstream)) as gateway:
        with http2.connect(gateway.port) as client:
            for _ in range(150):
                stream = client.open(http2.grpc_headers("/test.Echo/Chat"), http2.message(), end=False)
                client.wait(lambda stream=stream: stream.blocks)
            assert client.exchange(http2.grpc_headers(), http2.message(), seconds=5).grpc_status == 0


def test_the_default_is_1000(gateway):
    assert told(gateway) == 1000


def test_the_flag_and_the_annotation_set_it(backend):
    with Gateway(objects.echo(backend), arguments=["--max-concurrent-streams", "7"]) as gateway:
        assert told(gateway) == 7
    with Gateway(annotated("3", backend), arguments=["--max-concurrent-streams", "7"]) as gateway:
        assert told(gateway) == 3


def test_reaching_it_is_counted(backend):
    with Gateway(annotated("3", backend)) as gateway:
        with http2.connect(gateway.port) as client:
            for _ in range(3):
                stream = client.open(http2.grpc_headers("/test.Echo/Chat"), http2.message(), end=False)
                client.wait(lambda stream=stream: stream.data)
            assert waiting.until(lambda: gateway.metric(REACHED), 5, "the metric") == 1
            hint = "3 streams open on one connection"
            waiting.until(lambda: any(hint in line for line in gateway.errors), 5, "the hint")
        with Caller(gateway.target) as caller:
            assert caller.unary()[0] == b"ping"


@pytest.mark.parametrize("text", ["0", "-1", "many", "1000001", ""])
def test_a_wrong_annotation_is_reported_with_its_place(backend, tmp_path, text):
    file = tmp_path / "objects.yaml"
    file.write_text(objects.text(annotated(text, backend)))
    result = run("check", file)
    assert result.returncode == 1
    assert "portico.dev/max-concurrent-streams" in result.stdout and "objects.yaml:1:1" in result.stdout
