"""Destinations whose endpoints are the addresses of the host that each request names (`resolution: DYNAMIC_DNS`)."""

import pytest

from peers import certificates, http1, objects, waiting
from peers.gateway import MOUNTS, Gateway
from test_relay import SecureEcho, exactly, secure, tls_rule, virtual_service

pytestmark = pytest.mark.skipif(not MOUNTS, reason="names cannot be given to the gateway's resolver here")
LOCAL = ("--local-endpoints", "on")    # the tests' endpoints are loopback addresses


def entry(port, protocol="HTTP", number=80):
    return {
        "apiVersion": objects.NETWORKING, "kind": "ServiceEntry", "metadata": {"name": "partners"},
        "spec": {
            "hosts": ["*.ext.test"], "resolution": "DYNAMIC_DNS",
            "ports": [{"number": number, "name": "main", "protocol": protocol, "targetPort": port}]},
    }


def config(port, **fields):
    return [objects.gateway(), objects.virtual_service([objects.rule("*.ext.test", **fields)]), entry(port)]


@pytest.fixture(scope="module")
def two():
    """Two servers with one port, on two addresses."""
    with http1.Upstream(address="127.0.0.1", name="one") as one, \
            http1.Upstream(address="127.0.0.2", port=one.port, name="two") as other:
        yield one, other


HOSTS = [
    ("a.ext.test", "127.0.0.1"), ("b.ext.test", "127.0.0.2"), ("both.ext.test", "127.0.0.1"),
    ("both.ext.test", "127.0.0.2"), ("evil.test", "127.0.0.1")]


def test_each_request_goes_to_the_host_that_it_names(two):
    with Gateway(config(two[0].port), hosts=HOSTS, arguments=LOCAL) as gateway:
        for host, name in [("a.ext.test", "one"), ("b.ext.test", "two"), ("A.EXT.test:4711", "one")] * 2:
            answer = http1.get(gateway.port, f"/{name}", host=host)
            assert answer.status == 200 and answer.value("x-upstream") == name
        assert two[0].last.value("host") == "A.EXT.test:4711"
        seen = {http1.get(gateway.port, host="both.ext.test").value("x-upstream") for _ in range(40)}
        assert seen == {"one", "two"}
        assert "outbound|80||*.ext.test" in gateway.access_log("/one")


def test_what_cannot_be_resolved_is_answered_503(two):
    with Gateway(config(two[0].port), hosts=HOSTS, arguments=LOCAL) as gateway:
        assert http1.get(gateway.port, "/none", host="nobody.ext.test").status == 503
        assert "503 DF dns_resolution_failure" in gateway.access_log("/none")
        for host in ("evil.test", "a.ext.test.evil.test", "127.0.0.1", "ext.test", "[::1]"):
            assert http1.get(gateway.port, "/foreign", host=host).status == 503
        assert " 503 NC " in gateway.access_log("/foreign")
        assert http1.get(gateway.port, host="a.ext.test").status == 200


def test_a_name_that_leads_into_this_machine_is_refused(two):
    count = len(two[0].requests)
    with Gateway(config(two[0].port), hosts=HOSTS) as gateway:
        assert http1.get(gateway.port, "/inside", host="a.ext.test").status == 503
        assert "503 DF" in gateway.access_log("/inside")
    assert len(two[0].requests) == count


def test_a_rewritten_authority_decides(two):
    with Gateway(config(two[0].port, rewrite={"authority": "b.ext.test"}), hosts=HOSTS, arguments=LOCAL) as gateway:
        assert http1.get(gateway.port, host="anything.test").value("x-upstream") == "two"


def test_a_reload_keeps_what_was_resolved(two):
    with Gateway(config(two[0].port), hosts=HOSTS, arguments=LOCAL) as gateway:
        with http1.connect(gateway.port) as client:
            for round in range(3):
                client.send("GET / HTTP/1.1\r\nHost: b.ext.test\r\n\r\n")
                assert client.response().value("x-upstream") == "two"
                gateway.write(config(two[0].port, timeout=f"{round + 5}s"))
                gateway.reload()


def test_many_made_up_names_keep_no_other_from_its_host(two):
    with Gateway(config(two[0].port), hosts=HOSTS, arguments=LOCAL) as gateway:
        with http1.connect(gateway.port) as client:
            for number in range(1500):
                client.send(f"GET /x HTTP/1.1\r\nHost: x{number}.ext.test\r\n\r\n")
                assert client.response().status == 503
                if number % 100 == 0:
                    assert http1.get(gateway.port, host="a.ext.test").status == 200


def test_a_server_name_decides_where_a_relayed_connection_leads():
    pairs = [certificates.authority().issue(name) for name in ("a.ext.test", "b.ext.test")]
    with SecureEcho(pairs[0], address="127.0.0.1") as one, \
            SecureEcho(pairs[1], address="127.0.0.2", port=one.port):
        relayed = [
            objects.gateway(protocol="TLS", port=443, tls={"mode": "PASSTHROUGH"}),
            virtual_service(tls=[tls_rule(["*.ext.test"], objects.to("*.ext.test")),
                                 tls_rule(["evil.test"], objects.to("*.ext.test"))], hosts=["*"]),
            entry(one.port, "TLS", 443)]
        with Gateway(relayed, ports=[443], hosts=HOSTS, arguments=LOCAL) as gateway:
            for name, pair in [("a.ext.test", pairs[0]), ("b.ext.test", pairs[1])] * 2:
                with secure(gateway.port, name) as client:
                    assert int(client.getpeercert()["serialNumber"], 16) == pair.serial
                    client.sendall(b"x" * 100_000)
                    assert exactly(client, 100_000) == b"x" * 100_000
            for name, line in [("none.ext.test", "DF dns_resolution_failure"), ("evil.test", "NC cluster_not_found")]:
                with pytest.raises(OSError):
                    secure(gateway.port, name)
                waiting.until(lambda: line in gateway.access_log(name), 10, line)
