"""httpsRedirect: a server in clear text answers 301, whichever Gateway asks for it."""

import pytest

from peers import http1, http2, objects
from peers.gateway import Gateway, run

REDIRECT = {"httpsRedirect": True}


def config(web, *gateways, hosts=("shop.test",), names=("edge",), match=None):
    rules = [objects.rule("web", match=match) if match else objects.rule("web")]
    return [
        *gateways, objects.virtual_service(rules, hosts=list(hosts), gateways=list(names)),
        *objects.served_by("web", web, port=80, protocol_name="http")]


@pytest.fixture(scope="module")
def redirecting(web):
    with Gateway(config(web, objects.gateway(hosts=["shop.test", "bare.test"], tls=REDIRECT))) as gateway:
        yield gateway


@pytest.mark.parametrize("host, path, location", [
    ("shop.test", "/x?q=1", "https://shop.test/x?q=1"), ("shop.test:8000", "/", "https://shop.test:8000/"),
    ("SHOP.test", "/", "https://SHOP.test/"), ("bare.test", "/a/../b", "https://bare.test/b"),
])
def test_the_answer_is_301_to_the_same_place(redirecting, web, host, path, location):
    asked = len(web.requests)
    response = http1.get(redirecting.port, path, host)
    assert (response.status, response.value("location"), response.body) == (301, location, b"")
    assert response.value("content-length") == "0"
    assert len(web.requests) == asked


def test_it_holds_for_every_method_and_over_http2(redirecting):
    for method in ("POST", "DELETE", "HEAD"):
        response = http1.send(redirecting.port, f"{method} /x HTTP/1.1\r\nHost: shop.test\r\n\r\n", to=method)
        assert (response.status, response.value("location")) == (301, "https://shop.test/x")
    with http2.connect(redirecting.port) as client:
        stream = client.exchange(http2.get_headers("/x", "shop.test"))
        assert stream.status == 301 and dict(stream.headers)["location"] == "https://shop.test/x"
        call = client.exchange(http2.grpc_headers(authority="shop.test"), http2.message())
        assert (call.status, call.grpc_status) == (200, 2)
        assert dict(call.headers)["location"] == "https://shop.test/test.Echo/Unary"


def test_other_hosts_of_the_port_are_not_redirected(redirecting):
    assert http1.get(redirecting.port, "/", "other.test").status == 404


def test_what_a_client_says_of_its_scheme_does_not_count(redirecting):
    octets = "GET / HTTP/1.1\r\nHost: shop.test\r\nX-Forwarded-Proto: https\r\n\r\n"
    assert http1.send(redirecting.port, octets).status == 301


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_one_gateway_of_the_host_is_enough_in_any_order(web, names):
    plain, redirecting = names
    gateways = [
        objects.gateway(plain, hosts=["shop.test", "other.test"]),
        objects.gateway(redirecting, hosts=["shop.test"], tls=REDIRECT)]
    given = config(web, *gateways, hosts=("shop.test", "other.test"), names=names)
    with Gateway(given) as gateway:
        assert http1.get(gateway.port, "/", "shop.test").status == 301
        assert http1.get(gateway.port, "/", "other.test").status == 200


def test_check_and_routes_say_so(web, tmp_path):
    (tmp_path / "all.yaml").write_text(objects.text(config(web, objects.gateway(hosts=["shop.test"], tls=REDIRECT))))
    assert run("check", tmp_path / "all.yaml").returncode == 0
    assert "-> 301: redirected to HTTPS" in run("routes", tmp_path / "all.yaml").stdout
