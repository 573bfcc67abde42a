"""`warmup` of a DestinationRule: an endpoint that is new gets little at first."""

import collections
import contextlib

import pytest

from peers import http1, objects, waiting
from peers.gateway import Gateway, run


def config(servers, simple="ROUND_ROBIN", **warmup):
    rule = objects.destination_rule(
        "echo", trafficPolicy={"loadBalancer": {"simple": simple, **({"warmup": warmup} if warmup else {})}})
    return [*objects.echo(*servers, protocol="HTTP", protocol_name="http"), rule]


@pytest.fixture(scope="module")
def three():
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(http1.Upstream(name=name)) for name in "abc"]


def shares(gateway, amount):
    return collections.Counter(http1.get(gateway.port).value("x-upstream") for _ in range(amount))


@pytest.mark.parametrize("simple", ["ROUND_ROBIN", "LEAST_REQUEST"])
def test_a_new_endpoint_gets_its_least_part_and_in_the_end_its_share(three, simple):
    with Gateway(config(three[:2], simple, duration="1ms"), workers=2) as gateway:
        assert shares(gateway, 20) == {"a": 10, "b": 10}

        def is_small():
            gateway.write(config(three[:2], simple, duration="1ms"))
            gateway.reload()
            gateway.write(config(three, simple, duration="24h", minimumPercent=5))
            gateway.reload()
            return shares(gateway, 205)["c"] <= 10 + 1

        # The first two may not have been there for long when the third one comes: then all three are equal.
        waiting.until(is_small, 20, "its least part")
        gateway.reload()
        assert shares(gateway, 205)["c"] <= 10 + 1, "a reload began it anew, or ended it"
        gateway.write(config(three, simple, duration="1ms"))
        gateway.reload()
        waiting.until(lambda: shares(gateway, 30) == {"a": 10, "b": 10, "c": 10}, 10, "its share")


def test_the_endpoints_of_a_new_cluster_are_equal(three):
    with Gateway(config(three, duration="24h")) as gateway:
        assert shares(gateway, 30) == {"a": 10, "b": 10, "c": 10}


def test_the_old_field_means_the_same_and_routes_show_it(three, tmp_path):
    file = tmp_path / "objects.yaml"
    made = config(three)
    made[-1]["spec"]["trafficPolicy"]["loadBalancer"]["warmupDurationSecs"] = "45s"
    file.write_text(objects.text(made))
    assert "warmup: duration 45s, minimumPercent 10.0, aggression 1.0" in run("routes", file).stdout
    file.write_text(objects.text(config(three, "RANDOM", duration="45s")))
    assert "a warm-up has no effect with RANDOM" in run("check", file).stdout + run("check", file).stderr
    assert "warmup:" not in run("routes", file).stdout
