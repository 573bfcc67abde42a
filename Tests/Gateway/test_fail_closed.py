"""What is not in effect yet and closes, protects or redirects: never served as if it were not there, and said."""

import pytest

from peers import certificates, http1, http2, objects
from peers.gateway import Gateway, run

HIDDEN = [{"uri": {"prefix": "/hidden"}}]


def config(web, *rules, more=(), gateways=None):
    return [
        *(gateways or [objects.gateway()]), objects.virtual_service([*rules, objects.rule("open")]), *more,
        *objects.served_by("open", web, port=80, protocol_name="http"),
        *objects.served_by("closed", web, port=80, protocol_name="http"),
    ]


def check(tmp_path, objects_of):
    path = tmp_path / "objects.yaml"
    path.write_text(objects.text(objects_of))
    return run("check", path)


ABORT = {"fault": {"abort": {"percentage": {"value": 100}, "httpStatus": 418}}}


@pytest.mark.parametrize("fields", [
    {"match": [{**HIDDEN[0], "headers": {"@request.auth.claims.sub": {"exact": "root"}}}]},
    {"headers": {"request": {"set": {"content-length": "0"}}}}, {"rewrite": {"uri": "/", "urj": "/"}},
    {"match": [{"uri": {"regex": "^(?!/open).*$"}}]},
])
def test_a_closed_rule_is_answered_503_and_check_fails(web, tmp_path, fields):
    given = config(web, objects.rule("closed", **{"match": HIDDEN, **fields}))
    result = check(tmp_path, given)
    assert result.returncode == 1
    assert "answered 503" in result.stdout
    with Gateway(given) as gateway:
        before = len(web.requests)
        assert http1.get(gateway.port, "/hidden/admin").status == 503
        assert len(web.requests) == before


def test_a_destination_that_wants_tls_is_never_spoken_to_in_clear_text(web, tmp_path):
    policy = objects.destination_rule("closed", trafficPolicy={"tls": {"mode": "ISTIO_MUTUAL"}})
    given = config(web, objects.rule("closed", match=HIDDEN), more=[policy])
    result = check(tmp_path, given)
    assert result.returncode == 1
    assert "there is no certificate of Istio's agent in" in result.stdout
    assert "requests to closed.default.svc.cluster.local are answered 503" in result.stdout
    with Gateway(given) as gateway:
        assert http1.get(gateway.port, "/hidden").status == 503
        assert http1.get(gateway.port, "/").status == 200


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_a_host_that_one_gateway_redirects_is_served_by_none_in_clear_text(web, names):
    plain, redirecting = names
    gateways = [
        objects.gateway(plain, hosts=["shop.test", "other.test"]),
        objects.gateway(redirecting, hosts=["shop.test"], tls={"httpsRedirect": True})]
    routes = objects.virtual_service([objects.rule("echo")], hosts=["shop.test", "other.test"], gateways=[*names])
    with Gateway([*gateways, routes, *objects.served_by("echo", web, port=80, protocol_name="http")]) as gateway:
        assert http1.get(gateway.port, "/", "shop.test").status == 301
        assert http1.get(gateway.port, "/", "other.test").status == 200


def test_a_redirect_has_no_effect_on_an_https_server(web):
    tls = {"mode": "SIMPLE", "credentialName": "cert", "httpsRedirect": True}
    given = [
        objects.gateway(port=443, protocol="HTTPS", hosts=["one.test"], tls=tls),
        objects.virtual_service([objects.rule("echo")], hosts=["one.test"]),
        *objects.served_by("echo", web, port=80, protocol_name="http"),
        objects.tls_secret("cert", certificates.authority().issue("one.test")),
    ]
    with Gateway(given, ports=[443]) as gateway:
        context = certificates.client_context(alpn=("http/1.1",))
        assert http1.get(gateway.port, "/", "one.test", context=context, server_name="one.test").status == 200


def test_cookies_in_several_fields_are_matched_as_the_upstream_gets_them(web):
    match = [{"headers": {"cookie": {"regex": "(.*; )?user=beta(;.*)?"}}}]
    with Gateway(config(web, objects.rule("closed", match=match, **ABORT))) as gateway:
        with http2.connect(gateway.port) as client:
            headers = http2.get_headers() + [("cookie", "a=1"), ("cookie", "user=beta")]
            assert client.exchange(headers).status == 418
            assert client.exchange(http2.get_headers() + [("cookie", "a=1")]).status == 200
