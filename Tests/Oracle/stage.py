"""What both proxies stand in front of: the same backends, and one route table written twice."""

import contextlib
import functools
import json
import threading

import envoy
import policies
import policy_cases
from peers import certificates, http1, http2, objects, waiting
from peers.backend import Backend
from peers.frames import CANCEL, INTERNAL_ERROR, NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM


def show(connection, request):
    """The HTTP/1.1 echo: what it received, as JSON, so that a case can compare it."""
    seen = {"first": request.first, "headers": [[name, value] for name, value in request.headers]}
    body = json.dumps({**seen, "body": request.body.decode("latin-1"), "trailers": request.trailers}).encode()
    connection.send(f"HTTP/1.1 200 OK\r\nx-upstream: shown\r\ncontent-length: {len(body)}\r\n\r\n")
    connection.send(b"" if request.first.startswith("HEAD") else body)


RAW_REPLIES = {
    "garbage": b"nonsense\r\n\r\n",
    "both-lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "short-body": b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
    "cut-chunks": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
    "until-close": b"HTTP/1.1 200 OK\r\nx-upstream: raw\r\n\r\nabc",
    "no-content": b"HTTP/1.1 204 No Content\r\nx-upstream: raw\r\n\r\n",
    "not-modified": b"HTTP/1.1 304 Not Modified\r\netag: x\r\n\r\n",
    "teapot": b"HTTP/1.1 418 Teapot\r\ncontent-length: 3\r\nx-upstream: raw\r\n\r\ntea",
    "error": b"HTTP/1.1 503 Busy\r\ncontent-type: text/plain\r\ncontent-length: 4\r\n\r\nbusy",
    "hops": b"HTTP/1.1 200 OK\r\nconnection: keep-alive\r\nkeep-alive: timeout=5\r\nproxy-connection: x\r\n"
            b"x-upstream: raw\r\ncontent-length: 2\r\n\r\nok",
    "cookies": b"HTTP/1.1 200 OK\r\nset-cookie: a=1\r\nset-cookie: b=2\r\ncontent-length: 2\r\n\r\nok",
    "early-hints": b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    "chunks": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    "dated": b"HTTP/1.1 200 OK\r\ndate: Mon, 01 Jan 2024 00:00:00 GMT\r\nserver: mine\r\ncontent-length: 2\r\n\r\nok",
}


def raw(connection, request):
    """Answers `/raw/NAME` with exactly the octets of that name; most then close."""
    name = request.target.rsplit("/", 1)[-1].split("?")[0]
    if name == "silent":
        waiting_end = connection.socket.recv(1)
        raise EOFError(waiting_end)
    if name != "close":
        connection.send(RAW_REPLIES[name])
    if name in ("close", "garbage", "both-lengths", "short-body", "cut-chunks", "until-close"):
        raise EOFError


def script(peer, _number):
    """Serves `/script.S/WHAT`: an HTTP/2 upstream that misbehaves as the method's name says."""
    while True:
        stream = peer.next_request(120)
        threading.Thread(target=_play, args=(peer, stream), daemon=True).start()


def _play(peer, stream):
    what = dict(stream.blocks[0])[":path"].rsplit("/", 1)[-1]
    resets = {
        "Reset0": NO_ERROR, "Reset1": PROTOCOL_ERROR, "Reset2": INTERNAL_ERROR, "Reset7": REFUSED_STREAM,
        "Reset8": CANCEL, "Reset11": 11,
    }
    start = [(":status", "200"), ("content-type", "application/grpc")]
    if what in resets:
        peer.send_reset(stream.number, resets[what])
    elif what == "Close":
        peer.close()
    elif what == "ResetLate":
        peer.send_headers(stream.number, start)
        peer.send_data(stream.number, http2.message())
        peer.send_reset(stream.number, CANCEL)
    elif what == "CloseLate":
        peer.send_headers(stream.number, start)
        peer.send_data(stream.number, http2.message())
        peer.close()
    elif what == "NoTrailers":
        peer.send_headers(stream.number, start)
        peer.send_data(stream.number, http2.message(), end=True)
    elif what == "TrailersOnly":
        peer.send_headers(stream.number, [*start, ("grpc-status", "9"), ("grpc-message", "no%21")], end=True)
    elif what == "Text503":
        peer.send_headers(stream.number, [(":status", "503"), ("content-type", "text/plain")])
        peer.send_data(stream.number, b"busy", end=True)
    elif what == "Silent":
        pass
    else:
        peer.wait(lambda: stream.over, 30)
        http2.answer(peer, stream, headers=[("x-upstream", "script")], trailers=[("x-last", "1")])


RULES = [
    # match, service, timeout; services are below, `none` has no endpoint, `absent` does not exist.
    ({"uri": {"prefix": "/test.Echo"}}, "grpc", None),
    ({"uri": {"prefix": "/script.Slow"}}, "script", "0.4s"),
    ({"uri": {"prefix": "/script."}}, "script", None),
    ({"uri": {"prefix": "/raw/silent"}}, "raw", "0.4s"),
    ({"uri": {"prefix": "/raw"}}, "raw", None),
    ({"uri": {"prefix": "/refused"}}, "refused", None),
    ({"uri": {"prefix": "/none"}}, "none", None),
    ({"uri": {"prefix": "/absent"}}, "absent", None),
    ({"uri": {"exact": "/exact"}}, "show", None),
    ({"uri": {"regex": "/re/[0-9]+"}}, "show", None),
    ({"uri": {"prefix": "/prefix"}}, "show", None),
    ({"uri": {"exact": "/case"}, "ignoreUriCase": True}, "show", None),
    ({"uri": {"prefix": "/head"}, "headers": {"x-key": {"exact": "one"}}}, "show", None),
    ({"uri": {"prefix": "/present"}, "headers": {"x-key": {}}}, "show", None),
    ({"uri": {"prefix": "/without"}, "withoutHeaders": {"x-key": {}}}, "show", None),
    ({"uri": {"prefix": "/query"}, "queryParams": {"q": {"exact": "1"}}}, "show", None),
    ({"uri": {"prefix": "/put"}, "method": {"exact": "PUT"}}, "show", None),
]
WILD = [({"uri": {"prefix": "/"}}, "show", None)]
HOSTS = {"a": ("a.test", RULES), "wild": ("*.wild.test", WILD)}


def _envoy_match(match):
    uri = match["uri"]
    kinds = {"exact": "path", "prefix": "prefix"}
    kind, value = next(iter(uri.items()))
    made = {"safe_regex": {"regex": value}} if kind == "regex" else {kinds[kind]: value}
    if match.get("ignoreUriCase"):
        made["case_sensitive"] = False
    headers = [_envoy_header(name, wish) for name, wish in match.get("headers", {}).items()]
    headers += [
        {"name": name, "present_match": True, "invert_match": True} for name in match.get("withoutHeaders", {})]
    if "method" in match:
        headers.append(_envoy_header(":method", match["method"]))
    if headers:
        made["headers"] = headers
    if "queryParams" in match:
        made["query_parameters"] = [
            {"name": name, "string_match": wish} for name, wish in match["queryParams"].items()]
    return made


def _envoy_header(name, wish):
    return {"name": name, "string_match": wish} if wish else {"name": name, "present_match": True}


def _envoy_hosts():
    def routes(rules):
        return [envoy.route(_envoy_match(match), to, timeout or "0s") for match, to, timeout in rules]

    hosts = [{"name": name, "domains": [host], "routes": routes(rules)} for name, (host, rules) in HOSTS.items()]
    rules = {"name": "rule-policies", "domains": [policy_cases.HOST], "routes": _envoy_policies()}
    return [*hosts, policies.envoy_host(envoy.route), rules]


def _envoy_policies():
    routes = []
    for match, _, action, more in policy_cases.RULES:
        made = envoy.route(_envoy_match(match), "show")
        if "redirect" in more or "direct_response" in more:
            del made["route"]
        else:
            made["route"].update(action)
            made["route"] = {key: value for key, value in made["route"].items() if value is not None}
        routes.append({**made, **more})
    return routes


def _portico_policies():
    return [
        {"match": [match], **({} if {"redirect", "directResponse"} & set(fields) else objects.rule("show")), **fields}
        for match, fields, _, _ in policy_cases.RULES
    ]


def _portico_rules(rules):
    return [
        objects.rule(to, match=[match], **({"timeout": timeout} if timeout else {})) for match, to, timeout in rules
    ]


@contextlib.contextmanager
def backends():
    """Name → (backend or None, speaks HTTP/2)."""

    class Refused:
        address, port = "127.0.0.1", waiting.free_port()

    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        yield {
            "grpc": (enter(Backend()), True), "script": (enter(http2.ScriptedUpstream(script)), True),
            "show": (enter(http1.Upstream(show)), False), "raw": (enter(http1.Upstream(raw)), False),
            "refused": (Refused, False), "none": (None, False),
            "flaky": (enter(http1.Upstream(policies.flaky)), False),
            "flaky-calls": (enter(http2.ScriptedUpstream(policies.flaky_calls)), True),
        }


@functools.cache
def pairs():
    """Name of a virtual host → its certificate."""
    issue = certificates.authority().issue
    return {"a": issue("a.test"), "wild": issue("*.wild.test", algorithm="rsa")}


CLIENTS, OTHERS = certificates.Authority("client CA"), certificates.Authority("other CA")
# host -> mode, names of client certificates that are accepted
CLIENT_HOSTS = {
    "mutual.test": ("MUTUAL", []), "optional.test": ("OPTIONAL_MUTUAL", []),
    "named.test": ("MUTUAL", ["spiffe://cluster.local/ns/shop/sa/web"]),
}
REDIRECTED = "redirect.test"


@functools.cache
def client_pair():
    return certificates.authority().issue(*CLIENT_HOSTS)


def _client_servers():
    for host, (mode, names) in CLIENT_HOSTS.items():
        tls = {"mode": mode, "credentialName": "cert-clients", **({"subjectAltNames": names} if names else {})}
        yield {"port": {"number": 443, "name": f"https-{host}", "protocol": "HTTPS"}, "hosts": [host], "tls": tls}


def _client_chains():
    for host, (mode, names) in CLIENT_HOSTS.items():
        validation = {"trusted_ca": {"inline_string": CLIENTS.certificate.decode()}}
        if names:
            validation["match_typed_subject_alt_names"] = [
                {"san_type": kind, "matcher": {"exact": name}} for name in names for kind in ("URI", "DNS")]
        routes = [envoy.route({"prefix": "/"}, "show")]
        virtual_host = {"name": host, "domains": [host], "routes": routes}
        yield [host], client_pair(), [virtual_host], (mode == "MUTUAL", validation)


def envoy_config(services):
    """The arguments of `envoy.Envoy`."""
    clusters = [
        envoy.cluster(name, *([backend.port] if backend else []), http2=http2)
        for name, (backend, http2) in services.items()
    ]
    hosts = _envoy_hosts()
    redirected = {
        "name": "redirected", "domains": [REDIRECTED], "require_tls": "ALL",
        "routes": [envoy.route({"prefix": "/"}, "show")]}
    secure = [(host["domains"], pairs()[host["name"]], [host]) for host in hosts if host["name"] in pairs()]
    return [*hosts, redirected], clusters, [*secure, *_client_chains()]


def portico_config(services):
    servers = [
        {"port": {"number": 443, "name": f"https-{name}", "protocol": "HTTPS"}, "hosts": [host],
         "tls": {"mode": "SIMPLE", "credentialName": f"cert-{name}"}}
        for name, (host, _) in HOSTS.items()
    ]
    made = [
        objects.gateway(hosts=["*"]), objects.gateway("secure", servers=[*servers, *_client_servers()]),
        objects.gateway("redirecting", hosts=[REDIRECTED], tls={"httpsRedirect": True}),
        objects.virtual_service([objects.rule("show")], "clients", list(CLIENT_HOSTS), ["secure"]),
        objects.secret("cert-clients", client_pair(), CLIENTS.certificate)]
    for name, (host, rules) in HOSTS.items():
        made.append(objects.virtual_service(_portico_rules(rules), name, [host], ["edge", "secure"]))
        made.append(objects.tls_secret(f"cert-{name}", pairs()[name]))
    made.append(policies.portico_service())
    made.append(objects.virtual_service(_portico_policies(), "rule-policies", [policy_cases.HOST], ["edge"]))
    for name, (backend, http2) in services.items():
        kind = "grpc" if http2 else "http"
        made += objects.served_by(name, *([backend] if backend else []), port=80, protocol_name=kind)
    return made
