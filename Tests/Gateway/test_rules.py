"""Policies of rules through the program: redirects, direct responses, rewrites, header operations and CORS, by curl and
grpcio, over HTTP/1.1 and HTTP/2. The details of each are in ProxyTests; tests/Oracle compares them with Envoy."""

import json
import shutil
import subprocess

import grpc
import pytest

from peers import gateway as program, http1, http2, objects
from peers.backend import Backend, Caller
from peers.gateway import Gateway


def shown(connection, request):
    """Answers with what came, so that a test sees what the upstream saw."""
    body = json.dumps({"first": request.first, "headers": [[name.lower(), value] for name, value in request.headers]})
    connection.send(f"HTTP/1.1 200 OK\r\nx-internal: 1\r\ncontent-length: {len(body)}\r\n\r\n{body}")


def rule(prefix, *destinations, **fields):
    return objects.rule(*destinations, match=[{"uri": {"prefix": prefix}}], **fields)


def answering(prefix, **fields):
    return {"match": [{"uri": {"prefix": prefix}}], **fields}


@pytest.fixture(scope="module")
def stage():
    with Backend() as backend, http1.Upstream(shown) as web:
        operations = {
            "request": {
                "set": {"x-set": "client %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %PROTOCOL%", "x-was": "%REQ(:path)%"},
                "add": {"x-add": "2"}, "remove": ["authorization"]},
            "response": {"set": {"strict-transport-security": "max-age=1"}, "remove": ["x-internal"]},
        }
        weighted = [
            {**objects.to("web", weight=1),
             "headers": {"request": {"set": {"x-share": share, "x-both": "destination"}}}}
            for share in ("one", "two")
        ]
        rules = [
            answering("/old", redirect={"uri": "/new", "redirectCode": 302}),
            answering("/secure", redirect={"scheme": "https", "port": 8443}),
            answering("/down", directResponse={"status": 503, "body": {"string": "down for a while"}},
                      headers={"response": {"set": {"content-type": "text/html"}}}),
            rule("/api/", "web", rewrite={"uri": "/v1/", "authority": "inner.test"}),
            rule("/user/", "web", rewrite={"uriRegexRewrite": {"match": r"^/user/(\w+)$", "rewrite": r"/u?name=\1"}}),
            rule("/edit", "web", headers=operations),
            rule("/shares", *weighted, headers={"request": {"set": {"x-both": "rule"}}}),
            rule("/cors", "web", corsPolicy={
                "allowOrigins": [{"exact": "https://page.test"}], "allowMethods": ["GET"], "maxAge": "1h"}),
            rule("/gone", "none", corsPolicy={"allowOrigins": [{"exact": "https://page.test"}]}, headers=operations),
            answering("/test.Down", directResponse={"status": 503, "body": {"string": "down for a while"}}),
            rule("/test.Moved/", "grpc", rewrite={"uri": "/test.Echo/"},
                 headers={"request": {"set": {"x-fail": "%REQ(x-wish)%"}, "remove": ["x-gone"]}}),
        ]
        config = [
            objects.gateway(), objects.virtual_service(rules), *objects.served_by("grpc", backend),
            *objects.served_by("web", web, port=80, protocol_name="http"), *objects.served_by("none"),
        ]
        with Gateway(config) as made:
            made.backend = backend
            yield made


def curl(stage, path, *options):
    """Status, headers (names in lower case) and body, as curl sees them."""
    done = subprocess.run(
        [shutil.which("curl"), "-sS", "-i", "--max-time", "100", "--path-as-is", *options,
         f"http://127.0.0.1:{stage.port}{path}"], capture_output=True, text=True, check=True)
    head, _, body = done.stdout.partition("\n\n" if "\r\n\r\n" not in done.stdout else "\r\n\r\n")
    lines = head.splitlines()
    headers = [line.split(": ", 1) for line in lines[1:] if ": " in line]
    return int(lines[0].split()[1]), {name.lower(): value for name, value in headers}, body


VERSIONS = [["--http1.1"], ["--http2-prior-knowledge"]]


@pytest.fixture(params=VERSIONS, ids=["http1", "http2"])
def version(request):
    if not shutil.which("curl"):
        pytest.skip("no curl")
    return request.param


def seen(stage, path, *options):
    status, headers, body = curl(stage, path, *options)
    assert status == 200, body
    made = json.loads(body)
    return made["first"], made["headers"], headers


def values(headers, name):
    return [value for key, value in headers if key == name]


def test_redirects(stage, version):
    host = f"127.0.0.1:{stage.port}"
    assert curl(stage, "/old/x?q=1", *version)[:2][0] == 302
    assert curl(stage, "/old/x?q=1", *version)[1]["location"] == f"http://{host}/new?q=1"
    assert curl(stage, "/secure/x", *version)[1]["location"] == "https://127.0.0.1:8443/secure/x"


def test_direct_responses(stage, version):
    status, headers, body = curl(stage, "/down", *version)
    assert (status, headers["content-type"], body) == (503, "text/html", "down for a while")


def test_rewrites(stage, version):
    first, headers, _ = seen(stage, "/api/x?y=%2F", *version)
    assert first == "GET /v1/x?y=%2F HTTP/1.1"
    assert values(headers, "host") == ["inner.test"]
    assert values(headers, "x-envoy-original-path") == ["/api/x?y=%2F"]
    assert seen(stage, "/user/ann", *version)[0] == "GET /u?name=ann HTTP/1.1"


@pytest.mark.parametrize("path", ["/api/..%2e/x", "/api/%2e%2e/%2e%2e/x", "/api/x/../../y", "/api/..;/x"])
def test_rewrites_lead_nowhere_else(stage, version, path):
    """What the upstream gets lies under /v1/, or is no request at all."""
    status, _, body = curl(stage, path, *version)
    assert status in (400, 404) or json.loads(body)["first"].startswith("GET /v1/")


def test_header_operations(stage, version):
    name = "HTTP/1.1" if version == VERSIONS[0] else "HTTP/2"
    _, headers, answer = seen(
        stage, "/edit/x", *version, "-H", "x-set: forged", "-H", "x-add: 1", "-H", "authorization: secret")
    assert values(headers, "x-set") == [f"client 127.0.0.1 {name}"]
    assert values(headers, "x-add") == ["1", "2"]
    assert values(headers, "authorization") == []
    assert values(headers, "x-was") == ["/edit/x"]
    assert "x-internal" not in answer and answer["strict-transport-security"] == "max-age=1"


def test_operations_of_several_destinations(stage, version):
    shares = set()
    for _ in range(60):
        _, headers, _ = seen(stage, "/shares", *version)
        shares.update(values(headers, "x-share"))
        assert values(headers, "x-both") == ["rule"], "the rule's operations come last"
    assert shares == {"one", "two"}


def test_cors(stage, version):
    asks = ["-X", "OPTIONS", "-H", "access-control-request-method: GET"]
    status, headers, body = curl(stage, "/cors", *version, *asks, "-H", "origin: https://page.test")
    assert (status, body) == (200, "")
    assert headers["access-control-allow-origin"] == "https://page.test"
    assert (headers["access-control-allow-methods"], headers["access-control-max-age"]) == ("GET", "3600")
    assert "access-control-allow-origin" not in curl(stage, "/cors", *version, *asks, "-H", "origin: https://x.test")[1]
    allowed = curl(stage, "/cors", *version, "-H", "origin: https://page.test")[1]
    assert allowed["access-control-allow-origin"] == "https://page.test"


def test_our_own_errors_have_them_too(stage, version):
    status, headers, _ = curl(stage, "/gone", *version, "-H", "origin: https://page.test")
    assert status == 503
    assert headers["access-control-allow-origin"] == "https://page.test"
    assert headers["strict-transport-security"] == "max-age=1"


def test_grpc_calls(stage):
    with Caller(stage.target) as caller:
        code, details = caller.status("/test.Down/Call")
        assert (code, details) == (grpc.StatusCode.UNAVAILABLE, "down for a while")
        assert caller.unary("/test.Moved/Unary", b"hello", metadata=[("x-gone", "1")])[0] == b"hello"
        call = stage.backend.calls[-1]
        assert call.method == "/test.Echo/Unary"
        assert call.value("x-envoy-original-path") == "/test.Moved/Unary"
        assert call.value("x-gone") is None
        code, details = caller.status("/test.Moved/Unary", metadata=[("x-wish", "5:gone")])
        assert (code, details) == (grpc.StatusCode.NOT_FOUND, "gone")


HOSTILE = [
    "x" * 7000, "%0d%0ax-smuggled: 1", "\x80\xff", "a\tb", "..", "/../..", "%2e%2e%2f", "a,b;c=\"d\"",
    "%REQ(:path)%", "\\1",
]


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_stay_values(stage, value):
    """A header or path of a client never becomes another header, message or path."""
    octets = value.encode("latin-1")
    with http1.connect(stage.port) as client:
        client.send(b"GET /edit/x HTTP/1.1\r\nhost: a.test\r\nx-add: " + octets + b"\r\n\r\n")
        response = client.response()
        if response.status == 200:
            headers = json.loads(response.body)["headers"]
            assert [name for name, _ in headers if name == "x-smuggled"] == []
            assert values(headers, "x-add")[1:] == ["2"]
    with http2.connect(stage.port) as client:
        path = "/api/" + "".join(f"%{octet:02x}" if octet <= 0x20 or octet >= 0x7F else chr(octet) for octet in octets)
        stream = client.exchange(http2.get_headers(path, "a.test"))
        if stream.status == 200:
            assert json.loads(bytes(stream.data))["first"].startswith("GET /v1/")
        else:
            assert stream.status in (400, 404)


def test_a_faulty_operation_is_an_error_with_its_place(tmp_path):
    headers = {"request": {"set": {"x": "%DOWNSTREAM_REMOTE_ADRESS%"}}}
    wrong = objects.virtual_service([objects.rule("a", headers=headers)])
    file = tmp_path / "wrong.yaml"
    file.write_text(objects.text([objects.gateway(), wrong]))
    done = program.run("check", str(file))
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "wrong.yaml:" in said and "did you mean `%DOWNSTREAM_REMOTE_ADDRESS%`?" in said
    assert "its requests are answered 503" in said
