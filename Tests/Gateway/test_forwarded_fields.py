"""What the edge says of a request leaves it exactly once, whatever the client sent, in whatever order."""

import random
import re

import pytest

from peers import http1, http2, objects
from peers.gateway import Gateway

# What the gateway writes or removes, and what it must not touch, in many copies and orders.
EDITED = [
    "x-forwarded-for", "x-forwarded-proto", "x-request-id", "x-forwarded-client-cert", "x-envoy-a",
    "x-envoy-external-address", "x_forwarded_proto", "x-forwarded_for", "x_request_id",
]
UNTOUCHED = ["authorization", "user-agent", "x-forwarded-host", "grpc-timeout", "a", "z-last", "cookie2"]
SAID = {"x-forwarded-for", "x-forwarded-proto", "x-request-id", "x-envoy-external-address"}
HOP_BY_HOP = [
    "", "te: trailers\r\n", "expect: 100-continue\r\n", "connection: x-gone\r\nx-gone: 1\r\n", "connection: a\r\n",
    "connection: keep-alive, te\r\nte: gzip, trailers\r\n",
]
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


def fields_by_chance(dice):
    """`grpc-timeout` is no field of the gateway's unless the request is gRPC."""
    return [
        (name, f"{name} {number}".replace(" ", "-"))
        for number, name in enumerate(dice.choices(EDITED + UNTOUCHED, k=dice.randint(1, 14)))
    ]


def check(sent, arrived):
    values = {name: [value for key, value in arrived if key == name] for name, _ in arrived}
    addresses = [value for name, value in sent if name == "x-forwarded-for"]
    assert values["x-forwarded-for"] == [",".join([*addresses, "127.0.0.1"])], sent
    assert values["x-forwarded-proto"] == ["http"], sent
    assert values["x-envoy-external-address"] == ["127.0.0.1"], sent
    assert len(values["x-request-id"]) == 1 and UUID.fullmatch(values["x-request-id"][0]), sent
    assert not [name for name in values if name in EDITED and name not in SAID], sent
    kept = [pair for pair in arrived if pair[0] in UNTOUCHED]
    assert kept == [pair for pair in sent if pair[0] in UNTOUCHED], sent


def test_the_request_that_once_ended_the_process(web_gateway, web):
    head = "GET / HTTP/1.1\r\nhost: x\r\nx-forwarded-for: 1\r\nx-forwarded-for: 2\r\nx-forwarded-proto: https\r\n\r\n"
    assert http1.send(web_gateway.port, head).status == 200
    assert web.last.values("x-forwarded-for") == ["1,2,127.0.0.1"]
    assert web.last.values("x-forwarded-proto") == ["http"]


@pytest.mark.parametrize("seed", range(20))
def test_over_http1_in_any_order(web_gateway, web, seed):
    dice = random.Random(seed)
    with http1.connect(web_gateway.port) as client:
        for _ in range(30):
            sent = fields_by_chance(dice)
            hop = dice.choice(HOP_BY_HOP)
            lines = "".join(f"{name}: {value}\r\n" for name, value in sent)
            at = dice.choice([0, len(lines)])
            client.send(f"GET / HTTP/1.1\r\nhost: echo.test\r\n{lines[:at]}{hop}{lines[at:]}\r\n")
            assert client.response().status == 200, sent
            nominated = "connection: a\r\n" in hop
            check([pair for pair in sent if not (nominated and pair[0] == "a")], web.last.headers)
            assert not web.last.values("x-gone")


@pytest.mark.parametrize("seed", range(20))
def test_over_http2_in_any_order(web_gateway, web, seed):
    dice = random.Random(1000 + seed)
    with http2.connect(web_gateway.port) as client:
        for _ in range(30):
            sent = fields_by_chance(dice)
            extra = dice.choice([[], [("te", "trailers")], [("host", "echo.test")]])
            headers = http2.get_headers() + (extra + sent if dice.random() < 0.5 else sent + extra)
            assert client.exchange(headers).status == 200, sent
            check(sent, web.last.headers)


@pytest.mark.parametrize("seed", range(10))
def test_in_grpc_calls_with_and_without_a_deadline(seed):
    dice = random.Random(2000 + seed)
    # A scripted upstream: grpcio's server sorts metadata and drops copies.
    with http2.ScriptedUpstream(http2.answering) as upstream, Gateway(objects.echo(upstream)) as gateway:
        with http2.connect(gateway.port) as client:
            for _ in range(20):
                sent = [pair for pair in fields_by_chance(dice) if pair[0] != "grpc-timeout"]
                timeouts = [("grpc-timeout", "20S"), ("grpc-timeout", "1H")][: dice.randint(0, 2)]
                headers = http2.grpc_headers() + sent + timeouts + dice.choice([[], [("expect", "100-continue")]])
                assert client.exchange(headers, http2.message()).grpc_status == 0, sent
                arrived = upstream.requests[-1].blocks[0]
                left = [value for name, value in arrived if name == "grpc-timeout"]
                check(sent, [pair for pair in arrived if pair[0] != "grpc-timeout"])
                assert (len(left) == 1 and 15_000 < int(left[0][:-1]) <= 20_000) if timeouts else not left
                assert not [pair for pair in arrived if pair[0] == "expect"]


def test_trailers_do_not_bring_them_back():
    with http2.ScriptedUpstream(http2.answering) as upstream, Gateway(objects.echo(upstream)) as other:
        with http2.connect(other.port) as client:
            stream = client.open(http2.grpc_headers(), http2.message(), end=False)
            trailers = [("x-forwarded-for", "6.6.6.6"), ("x-envoy-internal", "true"), ("x-sum", "1")]
            client.send_headers(stream.number, trailers, end=True)
            client.wait(lambda: stream.over)
        assert dict(upstream.requests[0].blocks[1]) == {"x-sum": "1"}


def test_the_scheme_is_the_connections(web):
    rules = [objects.rule("echo", match=[{"scheme": {"exact": "https"}}])]
    config = [objects.gateway(), objects.virtual_service(rules), *objects.served_by("echo", web, protocol_name="http")]
    with Gateway(config) as gateway, http2.connect(gateway.port) as client:
        assert client.exchange(http2.get_headers(scheme="https")).status == 404
