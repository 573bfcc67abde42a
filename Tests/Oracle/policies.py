"""Rules with retries and faults, for the host `policies.test`: each is written once for Portico and once for Envoy."""

import collections
import threading
import uuid

from cases import Case, outcome1, outcome2
from peers import http1, http2, objects

HOST = "policies.test"
FAULT = "envoy.filters.http.fault"
FAULT_TYPE = "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault"
ALWAYS = {"numerator": 100, "denominator": "HUNDRED"}

tries, lock = collections.Counter(), threading.Lock()


def _fails(key, count):
    """Whether this try of the request `key` is among the first `count`; and its number."""
    with lock:
        tries[key] += 1
        return tries[key] <= count, tries[key]


def flaky(connection, request):
    """Answers `/RULE/STATUS/COUNT/KEY` by STATUS so many times, and then by 200; `silent` says nothing."""
    _, status, count, key = request.target.strip("/").split("/")
    fails, number = _fails(key, int(count))
    if fails and status == "silent":
        raise EOFError(connection.socket.recv(1))
    text = f"try {number}"
    connection.send(f"HTTP/1.1 {status if fails else 200} X\r\ncontent-length: {len(text)}\r\n\r\n{text}")


def flaky_calls(peer, _number):
    """The same for gRPC: trailers only, with STATUS as `grpc-status`."""
    while True:
        threading.Thread(target=_answer_call, args=(peer, peer.next_request(120)), daemon=True).start()


def _answer_call(peer, stream):
    peer.wait(lambda: stream.over, 30)
    _, status, count, key = dict(stream.blocks[0])[":path"].strip("/").split("/")
    fails, number = _fails(key, int(count))
    code = status if fails else "0"
    peer.send_headers(stream.number, [
        (":status", "200"), ("content-type", "application/grpc"), ("grpc-status", code), ("x-try", str(number))],
        end=True)


def on(conditions, attempts=2, codes=(), **more):
    """Envoy's policy, as Istio writes it."""
    policy = {"retry_on": conditions, "num_retries": attempts, **more}
    if codes:
        policy["retriable_status_codes"] = [*codes]
    return {"retry_policy": policy}


def retries(conditions, attempts=2, **more):
    return {"retries": {"attempts": attempts, "retryOn": conditions, **more}}


def abort(**what):
    return {FAULT: {"@type": FAULT_TYPE, "abort": {**what, "percentage": ALWAYS}}}


def aborted(**what):
    return {"fault": {"abort": {**what, "percentage": {"value": 100}}}}


# name → (service, Istio's fields of the rule, fields of Envoy's route action, Envoy's configuration of filters)
RULES = {
    "code": ("flaky", retries("503"), on("retriable-status-codes", codes=[503]), {}),
    "any": ("flaky", retries("5xx"), on("5xx"), {}),
    "gateway": ("flaky", retries("gateway-error"), on("gateway-error"), {}),
    "conflict": ("flaky", retries("retriable-4xx"), on("retriable-4xx"), {}),
    "default": ("flaky", {}, {}, {}),
    "off": ("flaky", {"retries": {}}, {"retry_policy": None}, {}),
    "slow": ("flaky", retries("5xx", 1, perTryTimeout="1s"), on("5xx", 1, per_try_timeout="1s"), {}),
    "calls": ("flaky-calls", {}, {}, {}),
    "internal": ("flaky-calls", retries("internal"), on("internal"), {}),
    "teapot": ("show", aborted(httpStatus=418), {}, abort(http_status=418)),
    "gone": ("grpc", aborted(grpcStatus="NOT_FOUND"), {}, abort(grpc_status=5)),
    "refused-call": ("grpc", aborted(httpStatus=401), {}, abort(http_status=401)),
}


def envoy_host(route):
    """Envoy's virtual host.

    - route: `envoy.route`.
    """
    routes = []
    for name, (service, _, action, filters) in RULES.items():
        made = route({"prefix": f"/{name}"}, service)
        made["route"] = {key: value for key, value in {**made["route"], **action}.items() if value is not None}
        routes.append({**made, **({"typed_per_filter_config": filters} if filters else {})})
    return {"name": "policies", "domains": [HOST], "routes": routes}


def portico_service():
    rules = [
        objects.rule(service, match=[{"uri": {"prefix": f"/{name}"}}], **fields)
        for name, (service, fields, _, _) in RULES.items()
    ]
    return objects.virtual_service(rules, "policies", [HOST])


def _plain(name, rule, status, count):
    def send(port):
        return outcome1(http1.get(port, f"/{rule}/{status}/{count}/{uuid.uuid4()}", HOST))

    return Case(f"policy {name}", send)


def _call(name, rule, status, count):
    def send(port):
        with http2.connect(port) as client:
            headers = http2.grpc_headers(f"/{rule}/{status}/{count}/{uuid.uuid4()}", HOST)
            return outcome2(client.exchange(headers, http2.message()))

    return Case(f"policy {name}", send)


CASES = [
    _plain("a status is retried until it is another one", "code", 503, 2),
    _plain("a status is retried as often as the rule says", "code", 503, 9),
    _plain("another status is not", "code", 502, 9),
    _plain("5xx", "any", 500, 1),
    _plain("gateway-error", "gateway", 504, 1),
    _plain("gateway-error is not 500", "gateway", 500, 1),
    _plain("retriable-4xx", "conflict", 409, 1),
    _plain("retriable-4xx is not 404", "conflict", 404, 1),
    _plain("the default retries no status", "default", 503, 1),
    _plain("no retries at all", "off", 503, 1),
    _plain("a try that takes too long is made again", "slow", "silent", 1),
    _plain("all tries take too long", "slow", "silent", 9),
    _call("the default retries UNAVAILABLE", "calls", 14, 2),
    _call("the default retries CANCELLED", "calls", 1, 1),
    _call("the default does not retry INTERNAL", "calls", 13, 1),
    _call("the default gives up", "calls", 14, 9),
    _call("internal", "internal", 13, 1),
    _plain("an abort", "teapot", 200, 0),
    _call("an abort by gRPC status", "gone", 0, 0),
    _call("an abort of a call by HTTP status", "refused-call", 0, 0),
]
