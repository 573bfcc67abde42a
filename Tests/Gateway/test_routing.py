"""Hosts, paths, headers and the rest of a match, through the gateway; the table's own tests are in Swift."""

import random

import pytest

from peers import http1, http2, objects
from peers.gateway import Gateway


@pytest.fixture(scope="module")
def stage():
    """Each service's upstream answers with its own name."""
    names = ["exact", "wild", "longer", "any", "first", "second", "third"]
    upstreams = {name: http1.Upstream(name=name) for name in names}
    config = [
        objects.gateway(hosts=["*"]),
        objects.virtual_service([objects.rule("exact")], "exact", hosts=["a.b.test"]),
        objects.virtual_service([objects.rule("wild")], "wild", hosts=["*.test"]),
        objects.virtual_service([objects.rule("longer")], "longer", hosts=["*.b.test"]),
        objects.virtual_service([
            objects.rule("first", match=[
                {"uri": {"prefix": "/and"}, "headers": {"x": {"exact": "1"}}}, {"uri": {"exact": "/or"}}]),
            objects.rule("second", match=[{"uri": {"prefix": "/and"}}]),
            objects.rule("third", match=[
                {"headers": {"r": {"regex": "[a-z]+[0-9]"}}}, {"queryParams": {"q": {"prefix": "ab"}}},
                {"method": {"exact": "PATCH"}}, {"authority": {"prefix": "auth"}},
                {"uri": {"exact": "/CASE"}, "ignoreUriCase": True}, {"scheme": {"exact": "https"}},
                {"withoutHeaders": {"y": {}}, "uri": {"exact": "/without"}}]),
            objects.rule("any", match=[{"uri": {"prefix": "/"}}]),
        ], "others", hosts=["*"]),
    ]
    for name, upstream in upstreams.items():
        config += objects.served_by(name, upstream, port=80, protocol_name="http")
    with Gateway(config) as gateway:
        yield gateway
    for upstream in upstreams.values():
        upstream.stop()


def chosen(stage, path, host="other", headers="", method="GET"):
    text = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n"
    response = http1.send(stage.port, text)
    return response.value("x-upstream") or response.status


@pytest.mark.parametrize("host, name", [
    ("a.b.test", "exact"), ("A.B.Test", "exact"), ("a.b.test:8080", "exact"), ("c.b.test", "longer"),
    ("x.c.b.test", "longer"), ("b.test", "wild"), ("x.test", "wild"), ("test", "any"), ("other", "any"),
    ("127.0.0.1:80", "any"), ("[::1]:80", "any"),
])
def test_the_most_specific_host_wins(stage, host, name):
    assert chosen(stage, "/", host) == name


@pytest.mark.parametrize("path, headers, method, host, name", [
    ("/and", "x: 1\r\n", "GET", "other", "first"), ("/and", "x: 2\r\n", "GET", "other", "second"),
    ("/and", "", "GET", "other", "second"), ("/or", "", "GET", "other", "first"), ("/or/", "", "GET", "other", "any"),
    ("/", "r: abc1\r\n", "GET", "other", "third"), ("/", "r: abc12\r\n", "GET", "other", "any"),
    ("/", "r: xabc1x\r\n", "GET", "other", "any"), ("/?q=abc", "", "GET", "other", "third"),
    ("/?q=xab", "", "GET", "other", "any"), ("/", "", "PATCH", "other", "third"),
    ("/", "", "GET", "authority.x", "third"), ("/case", "", "GET", "other", "third"),
    ("/cAsE", "", "GET", "other", "third"), ("/without", "", "GET", "other", "third"),
    ("/without", "y: 1\r\n", "GET", "other", "any"),
])
def test_the_first_rule_that_matches_wins(stage, path, headers, method, host, name):
    assert chosen(stage, path, host, headers, method) == name


def test_the_same_for_http2(stage):
    with http2.connect(stage.port) as client:
        for host, name in (("a.b.test", "exact"), ("c.b.test", "longer"), ("x", "any")):
            assert client.exchange(http2.get_headers("/", host)).header("x-upstream") == name
        assert client.exchange(http2.get_headers("/and", x="1")).header("x-upstream") == "wild"


def test_several_gateways_share_a_port(web):
    config = [
        objects.gateway("one", hosts=["one.test"]), objects.gateway("two", hosts=["two.test"]),
        objects.virtual_service([objects.rule("echo")], "a", hosts=["one.test"], gateways=["one"]),
        objects.virtual_service([objects.rule("echo")], "b", hosts=["two.test"], gateways=["two"]),
        objects.virtual_service([objects.rule("echo")], "c", hosts=["two.test"], gateways=["one"]),
        *objects.served_by("echo", web, port=80, protocol_name="http"),
    ]
    with Gateway(config) as gateway:
        assert http1.get(gateway.port, "/", "one.test").status == 200
        assert http1.get(gateway.port, "/", "two.test").status == 200
        assert http1.get(gateway.port, "/", "three.test").status == 404


def test_a_gateway_for_other_labels_is_not_served(web):
    config = [
        objects.gateway("mine"), objects.gateway("other", port=8001, selector={"istio": "egressgateway"}),
        objects.virtual_service([objects.rule("echo")], gateways=["mine", "other"]),
        *objects.served_by("echo", web, port=80, protocol_name="http"),
    ]
    with Gateway(config, ports=[8000, 8001]) as gateway:
        assert http1.get(gateway.map[8000]).status == 200
        with pytest.raises(OSError):
            http1.connect(gateway.map[8001])


def test_labels_can_be_given(web):
    config = [
        objects.gateway(selector={"istio": "egressgateway", "zone": "a"}),
        objects.virtual_service([objects.rule("echo")]),
        *objects.served_by("echo", web, port=80, protocol_name="http"),
    ]
    with Gateway(config, arguments=["--label", "istio=egressgateway", "--label", "zone=a"]) as gateway:
        assert http1.get(gateway.port).status == 200


def test_full_names_and_other_namespaces(web):
    services = objects.served_by("echo", web, port=80, protocol_name="http")
    for each in services:
        each["metadata"]["namespace"] = "prod"
    config = [
        objects.gateway(),
        objects.virtual_service([
            objects.rule("echo.prod.svc.cluster.local", match=[{"uri": {"prefix": "/full"}}]),
            objects.rule("echo.prod", match=[{"uri": {"prefix": "/partial"}}]),
            objects.rule("echo", match=[{"uri": {"prefix": "/short"}}])]),
        *services,
    ]
    with Gateway(config) as gateway:
        assert http1.get(gateway.port, "/full").status == 200
        assert http1.get(gateway.port, "/partial").status == 503
        assert http1.get(gateway.port, "/short").status == 503


def test_twenty_thousand_rules_answer_as_fast_as_one(web):
    """A coarse bound on the table at work; the exact one is a Swift micro-benchmark."""
    rules = [objects.rule("echo", match=[{"uri": {"exact": f"/rule/{number}"}}]) for number in range(20_000)]
    config = [
        objects.gateway(), objects.virtual_service(rules),
        *objects.served_by("echo", web, port=80, protocol_name="http"),
    ]
    with Gateway(config) as gateway:
        assert http1.get(gateway.port, "/rule/19999").status == 200
        assert http1.get(gateway.port, "/rule/20000").status == 404


def test_expressions_that_take_too_long_on_a_request_answer_404_and_no_later_rule_gets_it(web):
    """RE2 has no table of states for these: each takes milliseconds for this path."""
    expressions = [f"/({number})?(.*a[a-z]{{99}}){{2}}c" for number in range(400)]
    rules = [objects.rule("echo", match=[{"uri": {"regex": expression}}]) for expression in expressions]
    rules.append(objects.rule("echo"))
    config = [
        objects.gateway(), objects.virtual_service(rules),
        *objects.served_by("echo", web, port=80, protocol_name="http"),
    ]
    chance = random.Random(1)
    path = "/" + "".join(chance.choice("az") for _ in range(8000))
    with Gateway(config) as gateway:
        assert http1.get(gateway.port, "/short").status == 200
        assert http1.get(gateway.port, path).status == 404
        assert http1.get(gateway.port, "/short").status == 200
