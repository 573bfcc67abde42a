"""Policies of rules: the same in Istio's words and in Envoy's, as Istio's control plane writes them."""

from cases import plain, second
from peers import objects

HOST = "rules.test"
CORS = "envoy.filters.http.cors"
CORS_POLICY = "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy"


def _entry(name, value, action):
    return {"header": {"key": name, "value": value}, "append_action": action}


def _set(name, value):
    return _entry(name, value, "OVERWRITE_IF_EXISTS_OR_ADD")


def _add(name, value):
    return _entry(name, value, "APPEND_IF_EXISTS_OR_ADD")


def _both(prefix, fields, action=None, **route):
    """A rule for a prefix: what it says in Istio's words; what Envoy's route action and route say."""
    return {"uri": {"prefix": prefix}}, fields, action or {}, route


EXPRESSION = {"match": r"^/regex/(\d+)/(.*)", "rewrite": r"/\2/\1"}
ORIGINS = [{"exact": "https://o.test"}, {"prefix": "https://dev."}, {"regex": r"https://[a-z]+\.r\.test"}]
ENVOY_ORIGINS = [*ORIGINS[:2], {"safe_regex": ORIGINS[2]}]
CORS_FIELDS = {
    "allowOrigins": ORIGINS, "allowMethods": ["GET", "PUT"], "allowHeaders": ["x-a", "x-b"], "exposeHeaders": ["x-c"],
    "maxAge": "2h", "allowCredentials": True,
}
ENVOY_CORS = {
    "@type": CORS_POLICY, "allow_origin_string_match": ENVOY_ORIGINS, "allow_methods": "GET,PUT",
    "allow_headers": "x-a,x-b", "expose_headers": "x-c", "max_age": "7200", "allow_credentials": True,
    "filter_enabled": {"default_value": {"numerator": 100}}, "forward_not_matching_preflights": True,
}
REQUEST_OPERATIONS = {
    "set": {"x-set": "new", "x-path": "%REQ(:path)%", "x-empty": "%REQ(x-none)%", "x-cut": "a%REQ(x-long):3%%%"},
    "add": {"x-add": "2"}, "remove": ["x-gone"],
}
RESPONSE_OPERATIONS = {
    "set": {"x-code": "%RESPONSE_CODE%", "x-upstream": "shown"}, "add": {"x-more": "1"}, "remove": ["etag"]}

RULES = [
    _both("/prefix/a", {"rewrite": {"uri": "/b"}}, {"prefix_rewrite": "/b"}),
    _both("/slash", {"rewrite": {"uri": "/"}}, {"prefix_rewrite": "/"}),
    ({"uri": {"exact": "/whole"}}, {"rewrite": {"uri": "/b"}}, {"prefix_rewrite": "/b"}, {}),
    ({"uri": {"regex": "/all.*"}}, {"rewrite": {"uri": "/b"}}, {"prefix_rewrite": "/b"}, {}),
    ({"uri": {"prefix": "/FOLD"}, "ignoreUriCase": True}, {"rewrite": {"uri": "/b"}}, {"prefix_rewrite": "/b"}, {}),
    _both("/regex", {"rewrite": {"uriRegexRewrite": EXPRESSION}},
          {"regex_rewrite": {"pattern": {"regex": EXPRESSION["match"]}, "substitution": EXPRESSION["rewrite"]}}),
    _both("/each", {"rewrite": {"uriRegexRewrite": {"match": "o", "rewrite": "00"}}},
          {"regex_rewrite": {"pattern": {"regex": "o"}, "substitution": "00"}}),
    _both("/authority", {"rewrite": {"authority": "other.test"}}, {"host_rewrite_literal": "other.test"}),
    _both("/headers",
          {"rewrite": {"uri": "/new"}, "headers": {"request": REQUEST_OPERATIONS, "response": RESPONSE_OPERATIONS}},
          {"prefix_rewrite": "/new"},
          request_headers_to_remove=["x-gone"],
          request_headers_to_add=[_set(*each) for each in REQUEST_OPERATIONS["set"].items()] + [_add("x-add", "2")],
          response_headers_to_remove=["etag"],
          response_headers_to_add=[_set(*each) for each in RESPONSE_OPERATIONS["set"].items()] + [_add("x-more", "1")]),
    _both("/direct", {"directResponse": {"status": 418, "body": {"string": "tea"}},
                      "headers": {"response": {"set": {"content-type": "text/x"}}}}, None,
          direct_response={"status": 418, "body": {"inline_string": "tea"}},
          response_headers_to_add=[_set("content-type", "text/x")]),
    _both("/plain-direct", {"directResponse": {"status": 503, "body": {"string": "down"}}}, None,
          direct_response={"status": 503, "body": {"inline_string": "down"}}),
    _both("/empty-direct", {"directResponse": {"status": 204}}, None, direct_response={"status": 204}),
    _both("/to-path", {"redirect": {"uri": "/new"}}, None,
          redirect={"path_redirect": "/new", "scheme_redirect": "http"}),
    _both("/to-query", {"redirect": {"uri": "/new?x", "redirectCode": 302}}, None,
          redirect={"path_redirect": "/new?x", "scheme_redirect": "http", "response_code": "FOUND"}),
    _both("/to-scheme", {"redirect": {"scheme": "https", "redirectCode": 308}}, None,
          redirect={"scheme_redirect": "https", "response_code": "PERMANENT_REDIRECT"}),
    _both("/to-port", {"redirect": {"scheme": "https", "port": 8443, "redirectCode": 307}}, None,
          redirect={"scheme_redirect": "https", "port_redirect": 8443, "response_code": "TEMPORARY_REDIRECT"}),
    _both("/to-host", {"redirect": {"authority": "b.test", "redirectCode": 303}}, None,
          redirect={"host_redirect": "b.test", "scheme_redirect": "http", "response_code": "SEE_OTHER"}),
    _both("/cors", {"corsPolicy": CORS_FIELDS}, {}, typed_per_filter_config={CORS: ENVOY_CORS}),
    _both("/ignore", {"corsPolicy": {**CORS_FIELDS, "unmatchedPreflights": "IGNORE"}}, {},
          typed_per_filter_config={CORS: {**ENVOY_CORS, "forward_not_matching_preflights": False}}),
    ({"uri": {"prefix": "/cors-get"}, "method": {"exact": "GET"}}, {"corsPolicy": CORS_FIELDS}, {},
     {"typed_per_filter_config": {CORS: ENVOY_CORS}}),
    # Istio hands the operations of several destinations to each of them, and those of the rule to the route.
    _both("/weighted", {"headers": {"request": {"set": {"x-set": "rule"}, "add": {"x-add": "rule"}}}, "route": [
        {**objects.to("show", weight=1), "headers": {"request": {"set": {"x-set": "own"}, "add": {"x-add": "own"}}}},
        {**objects.to("show", weight=1), "headers": {"request": {"set": {"x-set": "own"}, "add": {"x-add": "own"}}}}]},
          {"cluster": None, "weighted_clusters": {"clusters": [
              {"name": "show", "weight": 1,
               "request_headers_to_add": [_set("x-set", "own"), _add("x-add", "own")]} for _ in range(2)]}},
          request_headers_to_add=[_set("x-set", "rule"), _add("x-add", "rule")]),
    _both("/any-origin", {"corsPolicy": {
        "allowOrigins": [{"exact": "*"}], "allowMethods": ["*"], "allowHeaders": ["*"]}}, {},
          typed_per_filter_config={CORS: {
              "@type": CORS_POLICY, "allow_origin_string_match": [{"exact": "*"}], "allow_methods": "*",
              "allow_headers": "*", "filter_enabled": {"default_value": {"numerator": 100}}}}),
]

PREFLIGHT = "access-control-request-method: PUT\r\naccess-control-request-headers: x-q\r\n"


def rewritten(name, path, headers="", method="GET", host=HOST):
    return plain(f"policy {name}", path, host=host, headers=headers, method=method)


def from_origin(name, path, origin, preflight=False, more=""):
    headers = f"origin: {origin}\r\n{PREFLIGHT if preflight else ''}{more}"
    return rewritten(name, path, headers, "OPTIONS" if preflight else "GET")


CASES = [
    rewritten("prefix", "/prefix/a/x?q=1"), rewritten("prefix within a segment", "/prefix/ab"),
    rewritten("prefix by a slash", "/slash/x"), rewritten("exact", "/whole?q"), rewritten("expression", "/allxx?q"),
    rewritten("prefix in another case", "/foLD/x"), rewritten("groups", "/regex/7/p?q"),
    rewritten("groups without a match", "/regex/x/p?q"), rewritten("each match", "/each/foo?foo"),
    rewritten("authority", "/authority"),
    rewritten("header operations", "/headers/x?q",
              "x-set: old\r\nx-set: older\r\nx-add: 1\r\nx-gone: 1\r\nx-empty: kept\r\nx-path: forged\r\n"
              "x-long: 12345\r\n"),
    second("policy header operations", "/headers/x", host=HOST, x_set="old", x_gone="1"),
    rewritten("direct", "/direct"), rewritten("direct, HEAD", "/direct", method="HEAD"),
    rewritten("direct in plain text", "/plain-direct"), rewritten("direct without a body", "/empty-direct"),
    second("policy direct", "/direct", host=HOST),
    rewritten("redirect to a path", "/to-path/x?q=1"), rewritten("redirect to a query", "/to-query?q"),
    rewritten("redirect to a scheme", "/to-scheme/x?q"),
    rewritten("redirect to a scheme, default port", "/to-scheme", host=f"{HOST}:80"),
    rewritten("redirect to a scheme, another port", "/to-scheme", host=f"{HOST}:8080"),
    rewritten("redirect to a port", "/to-port/x", host=f"{HOST}:8080"), rewritten("redirect to a host", "/to-host/x"),
    from_origin("preflight", "/cors", "https://o.test", True),
    from_origin("preflight, prefix", "/cors", "https://dev.x", True),
    from_origin("preflight, expression", "/cors", "https://abc.r.test", True),
    from_origin("preflight of another origin", "/cors", "https://evil.test", True),
    from_origin("preflight that is ignored", "/ignore", "https://evil.test", True),
    from_origin("preflight without a rule", "/cors-get", "https://o.test", True),
    rewritten("route over destinations", "/weighted", "x-set: old\r\nx-add: 0\r\n"),
    from_origin("preflight of any origin", "/any-origin", "https://x.test", True),
    from_origin("request of an origin", "/cors", "https://o.test"),
    from_origin("request of another origin", "/cors", "https://evil.test"),
    rewritten("OPTIONS that is no preflight", "/cors", "origin: https://o.test\r\n", "OPTIONS"),
]
