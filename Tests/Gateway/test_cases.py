"""Cases of Tests/Fixtures/cases.md that need traffic and stand nowhere else."""

import ssl

from peers import certificates, http1, objects, waiting
from peers.gateway import Gateway



def failing(connection, _request):
    connection.send(b"HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n")


# case 79
def test_a_redirect_with_the_ports_of_the_server():
    redirect = {"authority": "b.com", "derivePort": "FROM_REQUEST_PORT"}
    config = [objects.gateway(port=8080), objects.virtual_service([{"redirect": redirect}])]
    with Gateway(config, ports=[8080]) as gateway:
        response = http1.get(gateway.map[8080], "/x", "a.com:8080")
        assert (response.status, response.value("location")) == (301, "http://b.com:8080/x")


# case 110
def test_the_only_endpoint_may_be_ejected():
    detection = {"consecutive5xxErrors": 2, "maxEjectionPercent": 100, "baseEjectionTime": "1h"}
    with http1.Upstream(failing) as server:
        rule = objects.destination_rule("echo", trafficPolicy={"outlierDetection": detection})
        with Gateway([*objects.echo(server, protocol="HTTP", protocol_name="http"), rule]) as gateway:
            assert [http1.get(gateway.port).status for _ in range(2)] == [500, 500]
            waiting.until(lambda: "is ejected for" in gateway.said, 10, "its line")
            response = http1.get(gateway.port)
            assert (response.status, response.body) == (503, b"no healthy upstream")
            assert len(server.requests) == 2


# case 106
def test_broken_authorities_of_a_secret_of_their_own_have_no_fall_back():
    clients = certificates.Authority("client CA")
    pair, own = certificates.authority().issue("a.test"), clients.issue("client.test")
    other = objects.secret("cert-cacert", pair, b"no PEM")
    config = [
        objects.gateway(servers=[{
            "port": {"number": 443, "name": "https", "protocol": "HTTPS"}, "hosts": ["a.test"],
            "tls": {"mode": "MUTUAL", "credentialName": "cert"}}]),
        objects.secret("cert", pair, clients.certificate), other, objects.virtual_service([objects.rule("echo")])]
    with Gateway(config, ports=[443]) as gateway:
        try:
            status = http1.get(gateway.map[443], host="a.test", context=shown(own), server_name="a.test").status
        except (ssl.SSLError, ConnectionError, AssertionError):
            status = None
        assert status is None and "no client is accepted for a.test" in gateway.said
    config.remove(other)
    with Gateway([*config, *objects.served_by("echo")], ports=[443]) as gateway:
        assert http1.get(gateway.map[443], host="a.test", context=shown(own), server_name="a.test").status == 503


def shown(pair):
    import tempfile

    context = certificates.client_context(alpn=("http/1.1",))
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(pair.certificate + pair.key)
        file.flush()
        context.load_cert_chain(file.name)
    return context
