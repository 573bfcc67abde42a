"""A real HAProxy that passes TCP on, and says whose connections they are by the PROXY protocol."""

import pathlib
import shutil
import socket
import subprocess

import pytest

from peers import certificates, http1, http2, objects, waiting
from peers.frames import FramePeer
from peers.gateway import Gateway

HAPROXY = shutil.which("haproxy", path="/usr/sbin:/usr/bin:/sbin:/bin")
pytestmark = pytest.mark.skipif(not HAPROXY, reason="HAProxy is not installed (Tests/tools/install bench)")

CONFIGURATION = """
global
    stats timeout 1s
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend edge
    bind 127.0.0.1:{listen}
    default_backend gateway
backend gateway
    server one 127.0.0.1:{port} {send} check inter 100ms {check}
"""


class Balancer:
    """HAProxy in front of a port, with health checks; `send` is how it says the client's address."""

    def __init__(self, folder, port, send, check=""):
        self.port = waiting.free_port()
        file = pathlib.Path(folder) / "haproxy.cfg"
        file.write_text(CONFIGURATION.format(listen=self.port, port=port, send=send, check=check))
        self.process = subprocess.Popen([HAPROXY, "-db", "-f", str(file)], stderr=subprocess.DEVNULL)

    def __enter__(self):
        def listens():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

        waiting.until(listens, 10, "HAProxy")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)


@pytest.mark.parametrize("send", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c"])
def test_clients_keep_their_addresses(web, tmp_path, send):
    pair = certificates.authority().issue("shop.test")
    config = [*objects.echo(web, protocol="HTTP", protocol_name="http"), objects.tls_secret("cert", pair)]
    config[0] = objects.gateway(protocol="HTTPS", tls={"mode": "SIMPLE", "credentialName": "cert"})
    context = certificates.client_context(issuer=pair.issuer)
    arguments = ["--proxy-protocol", "require", "--proxy-protocol-from", "127.0.0.1"]
    with Gateway(config, arguments=arguments) as gateway, Balancer(tmp_path, gateway.port, send) as balancer:
        for source in ("127.0.0.21", "127.0.0.22"):
            connection = socket.create_connection(("127.0.0.1", balancer.port), 10, (source, 0))
            secure = context.wrap_socket(connection, server_hostname="shop.test")
            assert secure.selected_alpn_protocol() == "h2"
            secure.settimeout(None)
            with FramePeer(secure, is_client=True) as client:
                assert client.exchange(http2.get_headers(scheme="https", authority="shop.test")).status == 200
            assert web.last.values("x-forwarded-for") == [source]
        gateway.access_log("127.0.0.22:")


def test_its_health_checks_are_no_faults(web, tmp_path):
    """By a connection alone, with a LOCAL header of version 2, and with none."""
    config = objects.echo(web, protocol="HTTP", protocol_name="http")
    with Gateway(config, arguments=["--proxy-protocol", "require"]) as gateway:
        for number, (send, check) in enumerate([("send-proxy", ""), ("send-proxy-v2", "check-send-proxy")]):
            with Balancer(tmp_path, gateway.port, send, check) as balancer:
                opened = r'^portico_connections_total\{side="downstream"\}'
                before = gateway.metric(opened)
                waiting.until(lambda: gateway.metric(opened) > before + 5, 10, "health checks")
                with http1.connect(balancer.port) as client:
                    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                    assert client.response().status == 200, number
        assert gateway.metric(r'^portico_proxy_headers_total\{kind="v2_local"\}') > 0
        assert gateway.metric("^portico_connections_refused_total") == 0
