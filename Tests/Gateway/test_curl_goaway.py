"""curl over HTTP/2 goes on when a connection is ended by GOAWAY, where curl itself can use a connection again.

curl 7.88.1 (Debian 12) cannot with `--http2-prior-knowledge`: its second request on a connection ends with its error 16
in front of any server, also nghttpx and without a GOAWAY. By ALPN it can.
"""

import subprocess

from peers import certificates, objects
from peers.gateway import Gateway


def test_curl_fails_no_request_when_its_connection_has_lasted_long_enough(web):
    pair = certificates.authority().issue("shop.test")
    config = [*objects.echo(web, protocol="HTTP", protocol_name="http"), objects.tls_secret("cert", pair)]
    config[0] = objects.gateway(protocol="HTTPS", tls={"mode": "SIMPLE", "credentialName": "cert"})
    with Gateway(config, arguments=["--max-connection-age", "1s"]) as gateway:
        target = ["--output", "/dev/null", f"https://shop.test:{gateway.port}/"]
        done = subprocess.run(
            ["curl", "--silent", "--show-error", "--insecure", "--http2", "--rate", "4/s", "--max-time", "100",
             "--resolve", f"shop.test:{gateway.port}:127.0.0.1",
             "--write-out", "%{http_version} %{http_code} %{num_connects}\n", *target * 40],
            capture_output=True, text=True, timeout=100)
    lines = [line.split() for line in done.stdout.splitlines()]
    assert done.returncode == 0 and {tuple(line[:2]) for line in lines} == {("2", "200")}, done.stderr
    assert sum(int(line[2]) for line in lines) >= 2, "no connection has lasted long enough"
