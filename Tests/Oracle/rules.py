"""Envoy's conditions and actions for a rule of Istio, as Istio's control plane writes them."""

import envoy

CODES = {301: "MOVED_PERMANENTLY", 302: "FOUND", 303: "SEE_OTHER", 307: "TEMPORARY_REDIRECT", 308: "PERMANENT_REDIRECT"}


def _text(wish):
    kind, value = next(iter(wish.items()))
    return {"safe_regex": {"regex": value}} if kind == "regex" else {kind: value}


def _header(name, wish, **more):
    return {"name": name, **({"string_match": _text(wish)} if wish else {"present_match": True}), **more}


def envoy_match(match):
    """Istio's TranslateRouteMatch."""
    kind, value = next(iter(match.get("uri", {"prefix": "/"}).items()))
    made = {"safe_regex": {"regex": value}} if kind == "regex" else {{"exact": "path", "prefix": "prefix"}[kind]: value}
    made["case_sensitive"] = not match.get("ignoreUriCase", False)
    headers = [_header(name, wish) for name, wish in match.get("headers", {}).items()]
    headers += [
        _header(name, wish, invert_match=True, **({"treat_missing_header_as_empty": True} if wish else {}))
        for name, wish in match.get("withoutHeaders", {}).items()]
    headers += [_header(f":{name}", match[name]) for name in ("method", "authority", "scheme") if name in match]
    if headers:
        made["headers"] = headers
    if "queryParams" in match:
        made["query_parameters"] = [
            {"name": name, **({"string_match": _text(wish)} if wish else {"present_match": True})}
            for name, wish in match["queryParams"].items()]
    return made


def seconds(text):
    return float(text[:-2]) / 1000 if text.endswith("ms") else float(text[:-1]) * {"h": 3600, "s": 1}[text[-1]]


def _entries(fields):
    def entries(kind, action):
        return [{"header": {"key": name, "value": value}, "append_action": action}
                for name, value in sorted(fields.get(kind, {}).items())]

    return entries("set", "OVERWRITE_IF_EXISTS_OR_ADD") + entries("add", "APPEND_IF_EXISTS_OR_ADD")


def fields(headers):
    made = {}
    for direction in ("request", "response"):
        fields = {**headers.get(direction, {})}
        if direction == "request":
            fields["set"] = {name: value for name, value in fields.get("set", {}).items() if name != "host"}
        made[f"{direction}_headers_to_add"] = _entries(fields)
        made[f"{direction}_headers_to_remove"] = fields.get("remove", [])
    return made


def joined(first, second):
    return {key: first[key] + second[key] for key in first}


def redirect(wanted, port):
    made = {"scheme_redirect": wanted.get("scheme", "http")}
    names = {"uri": "path_redirect", "prefixRewrite": "prefix_rewrite", "authority": "host_redirect"}
    made.update({theirs: wanted[own] for own, theirs in names.items() if own in wanted})
    if "port" in wanted:
        made["port_redirect"] = wanted["port"]
    elif wanted.get("derivePort") == "FROM_REQUEST_PORT":
        made["port_redirect"] = port
    return {**made, "response_code": CODES[wanted.get("redirectCode", 301)]}


def rewrite(rule, match):
    wanted, made = rule.get("rewrite", {}), {}
    if "uriRegexRewrite" in wanted:
        both = wanted["uriRegexRewrite"]
        made["regex_rewrite"] = {"pattern": {"regex": both["match"]}, "substitution": both["rewrite"]}
    elif "regex" in match.get("uri", {}) and "uri" in wanted:
        made["regex_rewrite"] = {"pattern": {"regex": match["uri"]["regex"]}, "substitution": wanted["uri"]}
    elif "uri" in wanted:
        made["prefix_rewrite"] = wanted["uri"]
    host = wanted.get("authority") or rule.get("headers", {}).get("request", {}).get("set", {}).get("host")
    return {**made, **({"host_rewrite_literal": host} if host else {})}


DEFAULT = envoy.RETRY["retry_on"]


def retry(rule):
    if "retries" not in rule:
        return {"retry_policy": envoy.RETRY}
    wanted = rule["retries"]
    if not wanted.get("attempts"):
        return {}
    tokens = wanted.get("retryOn", DEFAULT).split(",")
    codes = [int(each) for each in tokens if each.isdigit()]
    named = [each for each in tokens if not each.isdigit()] + (["retriable-status-codes"] if codes else [])
    made = {**envoy.RETRY, "retry_on": ",".join(named), "num_retries": wanted["attempts"]}
    if codes:
        made["retriable_status_codes"] = codes
    if "perTryTimeout" in wanted:
        made["per_try_timeout"] = f"{seconds(wanted['perTryTimeout'])}s"
    return {"retry_policy": made}


GRPC = {"UNAVAILABLE": 14}


def fault(wanted):
    made = {}
    for name in ("delay", "abort"):
        if "percentage" not in wanted.get(name, {}):
            continue
        each = wanted[name]
        share = {"percentage": {"numerator": each["percentage"]["value"], "denominator": "HUNDRED"}}
        if name == "delay":
            made[name] = {"fixed_delay": f"{seconds(each['fixedDelay'])}s", **share}
        elif "grpcStatus" in each:
            made[name] = {"grpc_status": GRPC[each["grpcStatus"]], **share}
        else:
            made[name] = {"http_status": each["httpStatus"], **share}
    kind = "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault"
    return {"@type": kind, **made} if made else None


def cors(wanted):
    return {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": [_text(each) for each in wanted["allowOrigins"]],
        "allow_methods": ",".join(wanted.get("allowMethods", [])),
        "filter_enabled": {"default_value": {"numerator": 100}},
        "forward_not_matching_preflights": wanted.get("unmatchedPreflights") != "IGNORE"}
