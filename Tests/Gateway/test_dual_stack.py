"""Names with addresses of both families: IPv6 is tried first, IPv4 soon beside it, and what is ready first is used
(RFC 8305; docs/behaviour.md, Names with addresses of both families)."""

import contextlib
import socket

import pytest

from peers import http1, objects, waiting
from peers.gateway import MOUNTS, Gateway
from peers.listening import FullQueue, Listener
from test_backend_restarts import CHECKS
from test_relay import tcp_rule, virtual_service


def _has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


pytestmark = [
    pytest.mark.skipif(not MOUNTS, reason="names cannot be given to the gateway's resolver here"),
    pytest.mark.skipif(not _has_ipv6(), reason="there is no IPv6 here")]
LOCAL = ("--local-endpoints", "on")    # the tests' endpoints are loopback addresses
HOSTS = [("dual.ext.test", "::1"), ("dual.ext.test", "127.0.0.1")]


def config(port, resolution="DNS"):
    host = "*.ext.test" if resolution == "DYNAMIC_DNS" else "dual.ext.test"
    entry = {
        "apiVersion": objects.NETWORKING, "kind": "ServiceEntry",
        "metadata": {"name": "dual"},
        "spec": {"hosts": [host], "resolution": resolution,
                 "ports": [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": port}]}}
    # Without retries, so that an answer says that the first try was enough.
    rule = objects.rule(host, retries={"attempts": 0})
    return [objects.gateway(), objects.virtual_service([rule]), entry]


def closing(connection, _request):
    """Each request needs a connection of its own."""
    connection.send(b"HTTP/1.1 200 OK\r\nx-upstream: four\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
    raise EOFError


@contextlib.contextmanager
def gateway(port, *arguments, **fields):
    with Gateway(config(port, **fields), hosts=HOSTS, arguments=[*LOCAL, *arguments]) as running:
        yield running


def failures(running):
    return running.metric(r"^portico_upstream_connect_failures_total")


def get(running, path="/"):
    return http1.get(running.port, path, host="dual.ext.test")


@pytest.mark.parametrize("resolution", ["DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"])
def test_ipv6_is_tried_first(resolution):
    with http1.Upstream(address="::1", name="six") as six, http1.Upstream(port=six.port, name="four") as four:
        with gateway(six.port, resolution=resolution) as running:
            assert {get(running, "/first").value("x-upstream") for _ in range(10)} == {"six"}
            assert f"[::1]:{six.port}" in running.access_log("/first")
            if resolution != "DYNAMIC_DNS":    # hosts that requests name are not in the list
                shown = running.admin("/endpoints")[1]
                assert f"  [::1]:{six.port} active=0" in shown and f" or 127.0.0.1:{six.port}" in shown
        assert not four.requests


@pytest.mark.parametrize("resolution", ["DNS", "DYNAMIC_DNS"])
def test_where_ipv6_is_refused_ipv4_is_tried_at_once_and_first_from_then_on(resolution):
    with http1.Upstream(closing) as four, gateway(four.port, "--workers", "1", resolution=resolution) as running:
        for number in range(5):
            assert get(running, f"/{number}").value("x-upstream") == "four"
        assert failures(running) == 1
        assert f"127.0.0.1:{four.port}" in running.access_log("/4")


def test_where_ipv6_is_a_black_hole_ipv4_is_tried_soon():
    """No request waits for the time to connect, which is an hour here, and none fails."""
    with http1.Upstream(closing) as four, FullQueue("::1", four.port):
        with gateway(four.port, "--workers", "1", "--connect-timeout", "1h") as running:
            for _ in range(5):
                assert get(running).value("x-upstream") == "four"
            assert failures(running) == 0


def test_where_ipv4_is_a_black_hole_nothing_is_seen_of_it():
    with http1.Upstream(address="::1", name="six") as six, FullQueue("127.0.0.1", six.port):
        with gateway(six.port) as running:
            assert {get(running).value("x-upstream") for _ in range(5)} == {"six"}
            assert failures(running) == 0


def test_where_both_are_refused_the_answer_and_the_log_name_both():
    port = waiting.free_port()
    with gateway(port) as running:
        assert get(running, "/dead").status == 503
        said = running.access_log("/dead")
        assert f"[::1]:{port}:_connection_refused;_127.0.0.1:{port}:_connection_refused" in said


def test_a_black_hole_beside_a_refusal_takes_the_time_to_connect():
    with FullQueue("::1") as hole, gateway(hole.port, "--connect-timeout", "500ms") as running:
        assert get(running, "/slow").status == 503
        said = running.access_log("/slow")
        assert f"127.0.0.1:{hole.port}:_connection_refused;_[::1]:{hole.port}:_no_connection_within" in said


def test_health_checks_find_the_family_that_works():
    with http1.Upstream(closing) as four, FullQueue("::1", four.port):
        service = {
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "dual", "namespace": "default", "annotations": CHECKS},
            "spec": {"type": "ExternalName", "externalName": "dual.ext.test",
                     "ports": [{"name": "http", "port": four.port}]}}
        rule = {"route": [objects.to("dual", four.port)], "retries": {"attempts": 0}}
        with Gateway(
                [objects.gateway(), objects.virtual_service([rule]), service], hosts=HOSTS, arguments=LOCAL) as running:
            waiting.until(
                lambda: running.metric(r'^portico_health_checks_total.*result="passed"') > 2, 20, "checks that pass")
            assert "passes its health check" in running.said
            assert get(running).value("x-upstream") == "four"


def test_a_relayed_connection_takes_the_family_that_works():
    def echo(connection, _number):
        while octets := connection.recv(65536):
            connection.sendall(octets)
        connection.shutdown(socket.SHUT_RDWR)

    with Listener(echo) as four, FullQueue("::1", four.port):
        entry = config(four.port)[2]
        entry["spec"]["ports"][0]["protocol"] = "TCP"
        relayed = [
            objects.gateway(protocol="TCP"),
            virtual_service(tcp=[tcp_rule(objects.to("dual.ext.test"))]), entry]
        with Gateway(relayed, hosts=HOSTS, arguments=LOCAL) as running:
            with socket.create_connection(("127.0.0.1", running.port)) as client:
                client.sendall(b"hello")
                assert client.recv(100) == b"hello"
            waiting.until(lambda: f"127.0.0.1:{four.port}" in running.access_log(""), 10, "its line")
