"""docs/examples: each configuration is served as it stands, and real traffic shows that it does what its head says.

The test adds what a cluster would have: the Services' endpoints (with Pods where labels count) and Secrets.
"""

import collections
import contextlib
import pathlib
import socket
import ssl
import time

import pytest
import yaml

from peers import certificates, grpc_web, http1, listening, objects, waiting
from peers.backend import Backend, Caller
from peers.gateway import ROOT, Gateway, run

FOLDER = ROOT / "docs/examples"


def text(name):
    return (FOLDER / f"{name}.yaml").read_text()


def cluster(name, pods):
    """EndpointSlices and Pods of an example's Services: `pods` has backends, or pairs of backend and labels."""
    made = []
    services = [each for each in yaml.safe_load_all(text(name)) if each["kind"] == "Service"]
    for service in services:
        metadata, port = service["metadata"], service["spec"]["ports"][0]
        space = metadata.get("namespace", "default")
        for number, pod in enumerate(pods.get(metadata["name"], [])):
            backend, labels = pod if isinstance(pod, tuple) else (pod, {})
            piece = objects.endpoint_slice(metadata["name"], backend.address, backend.port, number, port["name"])
            piece["metadata"]["namespace"] = space
            pod_name = f"{metadata['name']}-{number}"
            piece["endpoints"][0]["targetRef"] = {"kind": "Pod", "name": pod_name, "namespace": space}
            made.append(piece)
            made.append({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": pod_name, "namespace": space, "labels": {**service["spec"]["selector"], **labels}},
                "status": {"podIP": backend.address, "phase": "Running"}})
    return made


@contextlib.contextmanager
def served(name, pods, ports=(80,), more=(), replace=None, arguments=()):
    """The example behind a gateway, after `portico check` has found nothing to say of it."""
    content = text(name)
    for old, new in (replace or {}).items():
        assert old in content
        content = content.replace(old, str(new))
    config = content + "\n---\n" + objects.text([*cluster(name, pods), *more])
    checked = run("check", "-", stdin=config)
    assert checked.returncode == 0 and "0 errors, 0 warnings" in checked.stdout + checked.stderr, checked
    with Gateway(config, ports=ports, arguments=arguments) as gateway:
        yield gateway


def upstreams(*names, reply=None):
    """An HTTP server for each name, on an address of its own."""
    stack = contextlib.ExitStack()
    made = [
        stack.enter_context(http1.Upstream(reply, f"127.0.1.{number + 1}", name=name))
        for number, name in enumerate(names)
    ]
    return stack, made


def ask(port, path="/", host="shop.example.com", method="GET", headers=(), **named):
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return http1.send(port, f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n", to=method, **named)


def who(*arguments, **named):
    return ask(*arguments, **named).value("x-upstream")


def secure(names, issuer=None, pair=None):
    """The client's side of a TLS connection over HTTP/1.1, perhaps with a certificate."""
    context = certificates.client_context(alpn=("http/1.1",), issuer=issuer)
    if pair:
        folder = pathlib.Path(names)
        (folder / "me.crt").write_bytes(pair.certificate)
        (folder / "me.key").write_bytes(pair.key)
        context.load_cert_chain(folder / "me.crt", folder / "me.key")
    return context


def test_each_example_has_a_test():
    tests = {name.removeprefix("test_").replace("_", "-") for name in globals() if name.startswith("test_")}
    examples = {path.stem for path in FOLDER.glob("*.yaml")}
    assert examples and examples <= tests


def test_grpc_service():
    with Backend("127.0.1.1") as one, Backend("127.0.1.2") as two:
        with served("grpc-service", {"orders": [one, two]}) as gateway:
            with Caller(gateway.target, options=[("grpc.default_authority", "api.example.com")]) as caller:
                for _ in range(20):
                    caller.unary("/shop.Orders/List")
                assert caller.status("/shop.Users/List")[0].name == "UNIMPLEMENTED"
        assert [len(one.calls), len(two.calls)] == [10, 10]


def test_grpc_web():
    with Backend("127.0.1.1") as orders, served("grpc-web", {"orders": [orders]}) as gateway:
        page = {"path": "/shop.Orders/List", "host": "api.example.com", "origin": "https://shop.example.com"}
        asked = ask(gateway.port, page["path"], page["host"], "OPTIONS", [
            ("origin", page["origin"]), ("access-control-request-method", "POST")])
        assert asked.status == 200 and asked.value("access-control-allow-origin") == page["origin"]
        assert "x-grpc-web" in asked.value("access-control-allow-headers")
        answer = grpc_web.call(gateway.port, b"all", **page)
        messages, trailers = grpc_web.parts(answer.body)
        assert messages == [b"all"] and trailers["grpc-status"] == "0"
        assert answer.value("access-control-allow-origin") == page["origin"]
        refused = grpc_web.call(gateway.port, b"all", **page, x_fail="7:no")
        assert refused.value("grpc-status") == "7"
        assert "grpc-status" in refused.value("access-control-expose-headers")
        with Caller(gateway.target, options=[("grpc.default_authority", "api.example.com")]) as caller:
            assert caller.unary(page["path"], b"too")[0] == b"too"


def versions(name, requests):
    stack, (one, two) = upstreams("v1", "v2")
    with stack, served(name, {"shop": [(one, {"version": "v1"}), (two, {"version": "v2"})]}) as gateway:
        return requests(gateway.port)


def test_canary_by_weight():
    counts = versions("canary-by-weight", lambda port: collections.Counter(who(port) for _ in range(400)))
    assert sum(counts.values()) == 400
    assert 8 <= counts["v2"] <= 90  # 40 on the average; beyond these bounds once in a million runs


def test_canary_by_header():
    def requests(port):
        return [
            who(port), who(port, headers=[("x-tester", "yes")]), who(port, headers=[("x-tester", "no")]),
            who(port, headers=[("cookie", "a=b; tester=yes")]), who(port, headers=[("cookie", "atester=yes")]),
        ]

    assert versions("canary-by-header", requests) == ["v1", "v2", "v1", "v2", "v1"]


def test_blue_green():
    stack, (blue, green) = upstreams("blue", "green")
    with stack, served("blue-green", {"shop-blue": [blue], "shop-green": [green]}) as gateway:
        assert {who(gateway.port) for _ in range(20)} == {"blue"}
        assert who(gateway.port, host="green.shop.example.com") == "green"
        swapped = gateway.file.read_text().replace("weight: 100", "weight: X").replace("weight: 0", "weight: 100")
        gateway.write(swapped.replace("weight: X", "weight: 0"))
        gateway.reload()
        assert {who(gateway.port) for _ in range(20)} == {"green"}


def test_redirect_to_https():
    stack, (shop,) = upstreams("shop")
    secrets = [objects.tls_secret("shop-cert", certificates.authority().issue("shop.example.com"))]
    with stack, served("redirect-to-https", {"shop": [shop]}, (80, 443), secrets) as gateway:
        answer = ask(gateway.map[80], "/cart?a=b")
        assert answer.status == 301
        assert answer.value("location") == "https://shop.example.com/cart?a=b"
        assert shop.requests == []
        context = secure("shop.example.com")
        assert ask(gateway.map[443], context=context, server_name="shop.example.com").status == 200


def test_several_hosts_and_certificates():
    stack, (shop, tenants) = upstreams("shop", "tenants")
    authority = certificates.authority()
    secrets = [
        objects.tls_secret("shop-cert", authority.issue("shop.example.com")),
        objects.tls_secret("tenants-cert", authority.issue("*.tenants.example.com"))]
    with stack, served(
            "several-hosts-and-certificates", {"shop": [shop], "tenants": [tenants]}, (443,), secrets) as gateway:
        for host, name in [("shop.example.com", "shop"), ("a.tenants.example.com", "tenants")]:
            assert who(gateway.port, host=host, context=secure(host), server_name=host) == name
        with pytest.raises((ssl.SSLError, ConnectionError)):
            ask(gateway.port, context=secure("x"), server_name="other.example.com")
        crossed = ask(
            gateway.port, host="a.tenants.example.com", context=secure("x"), server_name="shop.example.com")
        assert crossed.status in (200, 421)


def test_client_certificates(tmp_path):
    authority, other = certificates.authority(), certificates.Authority("another CA")
    secret = objects.tls_secret("partners-cert", authority.issue("partners.example.com"))
    import base64

    secret["data"]["ca.crt"] = base64.b64encode(authority.certificate).decode()
    host = "partners.example.com"
    stack, (partners,) = upstreams("partners")
    with stack, served("client-certificates", {"partners": [partners]}, (443,), [secret]) as gateway:
        mine = secure(tmp_path, pair=authority.issue("me"))
        assert who(gateway.port, host=host, context=mine, server_name=host) == "partners"
        for pair in (None, other.issue("me")):
            with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
                ask(gateway.port, host=host, context=secure(tmp_path, pair=pair), server_name=host)
        assert len(partners.requests) == 1


class SecureUpstream(http1.Upstream):
    """An HTTP/1.1 server behind TLS."""

    def __init__(self, folder, pair, address, alpn=("http/1.1",)):
        (folder / "server.crt").write_bytes(pair.certificate)
        (folder / "server.key").write_bytes(pair.key)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(folder / "server.crt", folder / "server.key")
        self.context.set_alpn_protocols(list(alpn))
        self.names = []
        self.context.sni_callback = lambda _socket, name, _context: self.names.append(name)
        super().__init__(None, address, name="secure")

    def _serve(self, plain, number):
        try:
            super()._serve(self.context.wrap_socket(plain, server_side=True), number)
        except ssl.SSLError:
            plain.close()


def test_tls_to_a_backend(tmp_path):
    (tmp_path / "ca.crt").write_bytes(certificates.authority().certificate)
    replace = {"/etc/portico/backend-ca.crt": tmp_path / "ca.crt"}
    for name, status in [("payments.internal", 200), ("other.internal", 503)]:
        with SecureUpstream(tmp_path, certificates.authority().issue(name), "127.0.1.1") as payments:
            with served("tls-to-a-backend", {"payments": [payments]}, replace=replace) as gateway:
                assert ask(gateway.port, host="pay.example.com").status == status
                assert payments.names[0] == "payments.internal"


def test_tls_passthrough(tmp_path):
    host = "vault.example.com"
    with SecureUpstream(tmp_path, certificates.authority().issue(host), "127.0.1.1") as vault:
        with served("tls-passthrough", {"vault": [vault]}, (443,)) as gateway:
            assert who(gateway.port, host=host, context=secure(host), server_name=host) == "secure"
            with pytest.raises((ssl.SSLError, ConnectionError)):
                ask(gateway.port, context=secure("x"), server_name="other.example.com")
        assert vault.names == [host]


def test_tcp_database():
    def converse(connection, _number):
        while octets := connection.recv(65536):
            connection.sendall(octets[::-1])
        connection.sendall(b"bye")
        connection.shutdown(socket.SHUT_WR)

    with listening.Listener(converse, "127.0.1.1") as postgres:
        with served("tcp-database", {"postgres": [postgres]}, (5432,)) as gateway:
            with http1.connect(gateway.port) as client:
                client.send(b"abc")
                assert client._exactly(3) == b"cba"
                client.socket.shutdown(socket.SHUT_WR)
                assert client.rest() == b"bye"


def test_sticky_sessions():
    stack, pods = upstreams("one", "two", "three")
    with stack, served("sticky-sessions", {"shop": pods}) as gateway:
        seen = set()
        for _ in range(30):
            first = ask(gateway.port)
            cookie = first.value("set-cookie")
            assert cookie.startswith("shop-session=") and "Max-Age=3600" in cookie and "Path=/" in cookie
            pair = ("cookie", cookie.split(";")[0])
            again = [ask(gateway.port, headers=[pair]) for _ in range(5)]
            assert {answer.value("x-upstream") for answer in again} == {first.value("x-upstream")}
            assert [answer.value("set-cookie") for answer in again] == [None] * 5
            seen.add(first.value("x-upstream"))
        assert len(seen) > 1


def test_outlier_ejection():
    failing = http1.replying("HTTP/1.1 500 no\r\nx-upstream: bad\r\ncontent-length: 0\r\n\r\n")
    with http1.Upstream(failing, "127.0.1.1") as bad, http1.Upstream(None, "127.0.1.2", name="good") as good:
        with served("outlier-ejection", {"shop": [bad, good]}) as gateway:
            waiting.until(lambda: ask(gateway.port).status == 500 and len(bad.requests) >= 3, 20, "three failures")
            assert {who(gateway.port) for _ in range(20)} == {"good"}


def test_connection_limits():
    with Backend("127.0.1.1") as backend:
        with served("connection-limits", {"reports": [backend]}, replace={"100\n": "2\n"}) as gateway:
            options = [("grpc.default_authority", "reports.example.com")]
            with Caller(gateway.target, options=options) as caller:
                held = [caller.stream("/r.Reports/Stream", metadata=[("x-stall", "30")]) for _ in range(2)]
                waiting.until(lambda: len(backend.calls) == 2, 10, "two calls in flight")
                code, details = caller.status("/r.Reports/Unary")
                assert code.name == "UNAVAILABLE" and "overflow" in details
                for call in held:
                    call.cancel()
                waiting.until(lambda: caller.status("/r.Reports/Unary")[0].name == "OK", 10, "room again")


def test_fault_injection():
    stack, (shop,) = upstreams("shop")
    with stack, served("fault-injection", {"shop": [shop]}) as gateway:
        began = time.monotonic()
        assert who(gateway.port, headers=[("x-chaos", "slow")]) == "shop"
        assert time.monotonic() - began >= 0.5
        assert ask(gateway.port, headers=[("x-chaos", "fail")]).status == 503
        assert who(gateway.port) == "shop"
        assert len(shop.requests) == 2


def test_mirror():
    stack, (shop, following) = upstreams("shop", "next")
    with stack, served("mirror", {"shop": [shop], "shop-next": [following]}) as gateway:
        assert {who(gateway.port, f"/{number}") for number in range(5)} == {"shop"}
        waiting.until(lambda: len(following.requests) == 5, 10, "the copies")
        assert sorted(each.target for each in following.requests) == [f"/{number}" for number in range(5)]
        assert {each.value("host") for each in following.requests} == {"shop.example.com-shadow"}
        following.stop()
        assert who(gateway.port) == "shop"


def test_delegation():
    stack, (checkout, cart, search) = upstreams("checkout", "cart", "search")
    with stack, served("delegation", {"checkout": [checkout], "cart": [cart], "search": [search]}) as gateway:
        paths = ["/cart/checkout/pay", "/cart/items", "/search?q=a"]
        assert [who(gateway.port, path, "example.com") for path in paths] == ["checkout", "cart", "search"]
        assert ask(gateway.port, "/", "example.com").status == 404


def test_external_service():
    with http1.Upstream(None, "127.0.1.1", name="files") as files:
        replace = {"hosts: [files.example.net]\n  location": "hosts: [files.example.net]\n  endpoints: "
                   f"[{{address: localhost, ports: {{http: {files.port}}}}}]\n  location"}
        with http1.Upstream(None, "127.0.0.1", port=files.port, name="local") as local:
            with served("external-service", {}, replace=replace) as gateway:
                assert ask(gateway.port, "/files/a.txt").status == 200
                assert (local.last.target, local.last.value("host")) == ("/a.txt", "files.example.net")


def test_cors():
    stack, (api,) = upstreams("api")
    with stack, served("cors", {"api": [api]}) as gateway:
        def preflight(origin):
            return ask(gateway.port, "/", "api.example.com", "OPTIONS", [
                ("origin", origin), ("access-control-request-method", "PUT")])

        for origin in ("https://app.example.com", "https://a-1.preview.example.com"):
            answer = preflight(origin)
            assert answer.status in (200, 204)
            assert answer.value("access-control-allow-origin") == origin
            assert answer.value("access-control-max-age") == "600"
            assert answer.value("access-control-allow-credentials") == "true"
        assert api.requests == []
        assert preflight("https://evil.example.com").value("access-control-allow-origin") is None
        answer = ask(gateway.port, "/", "api.example.com", headers=[("origin", "https://app.example.com")])
        assert answer.value("access-control-allow-origin") == "https://app.example.com"
        assert answer.value("access-control-expose-headers") == "x-total"


def test_rewrite_and_headers():
    reply = http1.replying("HTTP/1.1 200 OK\r\nx-powered-by: old\r\ncontent-length: 0\r\n\r\n")
    stack, (legacy,) = upstreams("legacy", reply=reply)
    with stack, served("rewrite-and-headers", {"legacy": [legacy]}) as gateway:
        answer = ask(gateway.port, "/legacy/orders/7?a=b", "example.com", headers=[("x-internal-user", "root")])
        assert answer.value("strict-transport-security") == "max-age=31536000"
        assert answer.value("x-powered-by") is None
        assert (legacy.last.target, legacy.last.value("host")) == ("/orders/7?a=b", "legacy.internal")
        assert legacy.last.value("x-published-as") == "example.com"
        assert legacy.last.value("x-internal-user") is None


def test_redirects_and_fixed_answers():
    stack, (site,) = upstreams("site")
    with stack, served("redirects-and-fixed-answers", {"site": [site]}) as gateway:
        moved = ask(gateway.port, "/old/a?b=c", "example.com", "POST", [("content-length", "0")])
        assert moved.status == 308
        assert moved.value("location") == "http://www.example.com/old/a?b=c"
        robots = ask(gateway.port, "/robots.txt", "example.com")
        assert (robots.status, robots.body) == (200, b"User-agent: *\nDisallow: /\n")
        assert robots.value("content-type") == "text/plain"
        assert site.requests == []
        assert who(gateway.port, "/", "example.com") == "site"


def test_websocket():
    def reply(connection, _request):
        connection.send("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\r\n")
        connection.send(connection.socket.recv(100))

    stack, (chat,) = upstreams("chat", reply=reply)
    with stack, served("websocket", {"chat": [chat]}) as gateway, http1.connect(gateway.port) as client:
        client.send("GET /socket HTTP/1.1\r\nhost: chat.example.com\r\nconnection: upgrade\r\n"
                    "upgrade: websocket\r\n\r\n")
        assert client.head().status == 101
        client.send(b"\x81\x02hi")
        assert client._exactly(4) == b"\x81\x02hi"


def test_retries_and_timeouts():
    answers = iter(["503 no", "503 no", "200 OK"])

    def reply(connection, _request):
        connection.send(f"HTTP/1.1 {next(answers)}\r\ncontent-length: 0\r\n\r\n")

    stack, (shop,) = upstreams("shop", reply=reply)
    with stack, served("retries-and-timeouts", {"shop": [shop]}) as gateway:
        assert ask(gateway.port).status == 200
        assert len(shop.requests) == 3
