"""`consistentHash` of a DestinationRule: requests that are alike in one thing go to the same endpoint."""

import contextlib
import re

import pytest

from peers import http1, objects
from peers.backend import Backend, Caller
from peers.gateway import Gateway

USERS = [f"user-{number}" for number in range(60)]


def config(servers, **hashing):
    rule = objects.destination_rule("echo", trafficPolicy={"loadBalancer": {"consistentHash": hashing}})
    return [*objects.echo(*servers, protocol="HTTP", protocol_name="http"), rule]


@pytest.fixture(scope="module")
def four():
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(http1.Upstream(name=name)) for name in "abcd"]


def home(gateway, path="/", **fields):
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    answer = http1.send(gateway.port, f"GET {path} HTTP/1.1\r\nhost: a\r\n{lines}\r\n")
    assert answer.status == 200
    return answer.value("x-upstream"), answer


def homes(gateway):
    return [home(gateway, x_user=user)[0] for user in USERS]


@pytest.mark.parametrize("table", [{}, {"maglev": {"tableSize": 65537}}, {"ringHash": {"minimumRingSize": 4096}}])
def test_a_header_leads_to_one_endpoint_over_reloads_and_restarts(four, table):
    with Gateway(config(four, httpHeaderName="x-user", **table), workers=2) as gateway:
        first = homes(gateway)
        assert set(first) == set("abcd")
        gateway.reload()
        assert homes(gateway) == first
    with Gateway(config(four[::-1], httpHeaderName="x-user", **table)) as gateway:
        assert homes(gateway) == first
        # Without the header: anywhere.
        assert len({home(gateway)[0] for _ in range(40)}) == 4


def test_an_endpoint_that_leaves_takes_only_its_own_keys_along(four):
    with Gateway(config(four, httpHeaderName="x-user")) as gateway:
        before = homes(gateway)
        gateway.write(config(four[1:], httpHeaderName="x-user"))
        gateway.reload()
        after = homes(gateway)
        assert all(old == new for old, new in zip(before, after) if old != "a")
        assert "a" not in after
        gateway.write(config(four, httpHeaderName="x-user"))
        gateway.reload()
        assert len(homes(gateway)) == len(USERS)


def test_a_cookie_is_set_once_and_leads_back(four):
    cookie = {"name": "sid", "path": "/", "ttl": "60s"}
    with Gateway(config(four, httpCookie=cookie)) as gateway:
        seen = set()
        for _ in range(12):
            where, answer = home(gateway)
            field = answer.value("set-cookie")
            value = re.fullmatch(r'sid="([0-9a-f]{16})"; Max-Age=60; Path=/; HttpOnly', field)[1]
            for sent in [f"sid={value}", f'a=b; sid="{value}"; c=d']:
                back, again = home(gateway, cookie=sent)
                assert back == where and again.value("set-cookie") is None
            seen.add(where)
        assert len(seen) > 1


def test_a_cookie_without_a_time_to_live_is_never_set(four):
    with Gateway(config(four, httpCookie={"name": "sid"})) as gateway:
        assert home(gateway)[1].value("set-cookie") is None
        assert len({home(gateway, cookie="sid=1")[0] for _ in range(10)}) == 1


@pytest.mark.parametrize("value", ["", '"', "sid=", "=;=;;;", "a" * 8000, "sid=\xff\xfe", "; ".join(["x=y"] * 2000)])
def test_hostile_cookies_break_nothing(four, value):
    with Gateway(config(four, httpCookie={"name": "sid", "ttl": "0s"})) as gateway:
        answer = http1.send(gateway.port, b"GET / HTTP/1.1\r\nhost: a\r\ncookie: " + value.encode("latin-1") + b"\r\n\r\n")
        assert answer.status in (200, 400)
        assert home(gateway)[1].status == 200


def test_the_source_address_and_a_parameter_lead_to_one_endpoint(four):
    with Gateway(config(four, useSourceIp=True)) as gateway:
        assert len({home(gateway)[0] for _ in range(12)}) == 1
    with Gateway(config(four, httpQueryParameterName="u")) as gateway:
        assert len({home(gateway, "/x?u=1")[0] for _ in range(12)}) == 1
        assert len({home(gateway, f"/x?u={number}")[0] for number in range(30)}) == 4


def test_grpc_metadata_leads_to_one_endpoint():
    with Backend(name="a") as first, Backend(name="b") as second:
        rule = objects.destination_rule(
            "echo", trafficPolicy={"loadBalancer": {"consistentHash": {"httpHeaderName": "x-user"}}})
        with Gateway([*objects.echo(first, second), rule]) as gateway, Caller(gateway.target) as caller:
            for user in USERS[:8]:
                before = len(first.calls), len(second.calls)
                for _ in range(3):
                    caller.unary(metadata=[("x-user", user)])
                after = len(first.calls), len(second.calls)
                assert sorted([after[0] - before[0], after[1] - before[1]]) == [0, 3]
            assert first.calls and second.calls
