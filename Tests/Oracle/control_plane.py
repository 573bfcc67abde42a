"""Istio's control plane in miniature: the configuration that it gives Envoy for objects of `peers.istio`.

It is written from Istio's rules (docs/istio.md) and shares no code with Portico, so that the two may disagree. It makes
tables of HTTP, and of services those with endpoints of their own. `listening` has the listeners.
"""

import re

import clusters
import envoy
import rules
from peers import istio

DOMAIN = "svc.cluster.local"


class ControlPlane:
    """`objects` of one case; names of clusters begin with `mark`."""

    def __init__(self, objects, mark):
        self.objects, self.mark, self.made = objects, mark, {}

    def kinds(self, kind):
        def age(each):
            data = each["metadata"]
            return data.get("creationTimestamp", ""), data["name"], data["namespace"]

        return sorted((each for each in self.objects if each["kind"] == kind), key=age)

    # Servers and hosts

    def virtual_hosts(self, servers):
        """Those of one table; `servers` are (Gateway, server)."""
        found = {}
        for gateway, server in servers:
            self._bind(gateway, server, found)
        return [self._ordered(name, *value) for name, value in found.items()]

    def _bind(self, gateway, server, found):
        hosts = ["*/*"] if "*/*" in server["hosts"] else server["hosts"]
        pairs = [self._server_host(host, gateway) for host in hosts]
        redirects = server["port"]["protocol"] == "HTTP" and server.get("tls", {}).get("httpsRedirect", False)
        for service in self.services(gateway):
            routes = self._routes(service, gateway, server["port"]["number"])
            if not routes:
                continue
            for namespace, host in pairs:
                if namespace not in ("*", service["metadata"]["namespace"]):
                    continue
                for name in service["spec"].get("hosts", []):
                    shared = _narrower(host, self._full(name, service))
                    if shared is not None:
                        kept, secure = found.setdefault(shared.lower(), ([], redirects))
                        kept.extend(routes)
                        found[shared.lower()] = kept, secure or redirects
        if redirects:
            for _, host in pairs:
                found[host.lower()] = found.get(host.lower(), ([], True))[0], True

    def _server_host(self, host, gateway):
        namespace, _, name = host.rpartition("/")
        return {"": "*", ".": gateway["metadata"]["namespace"]}.get(namespace, namespace), name

    def services(self, gateway):
        """The VirtualServices of a Gateway: private ones, those for a list of namespaces, public ones."""
        own = f"{gateway['metadata']['namespace']}/{gateway['metadata']['name']}"
        groups = [], [], []
        for service in self.kinds("VirtualService"):
            spec, namespace = service["spec"], service["metadata"]["namespace"]
            named = [_gateway_name(name, namespace) for name in spec.get("gateways", [])]
            exported = [namespace if each == "." else each for each in spec.get("exportTo", ["*"])]
            if own not in named or not {"*", istio.NAMESPACE} & set(exported):
                continue
            groups[2 if "*" in exported else 0 if exported == [namespace] else 1].append(service)
        return groups[0] + groups[1] + groups[2]

    def _ordered(self, name, routes, secure):
        ends = [each for each in routes if each["catch-all"]]
        made = [each["route"] for each in routes if not each["catch-all"]] + [each["route"] for each in ends]
        more = {"require_tls": "ALL"} if secure else {}
        return {"name": name, "domains": [name], "routes": made or [{"match": {"prefix": "/"}, "direct_response": {
            "status": 404}}], **more}

    def _full(self, name, of):
        if "." in name or name == "*":
            return name
        return f"{name}.{of['metadata']['namespace']}.{DOMAIN}"

    # Rules

    def _routes(self, service, gateway, port):
        """Those of one VirtualService for one server; what follows a rule for everything is left out."""
        made = []
        for rule, source in self._rules(service):
            for match in rule.get("match") or [{}]:
                if not self._fits(match, service, gateway, port):
                    continue
                route = {"match": rules.envoy_match(match), **self._action(rule, match, source, port)}
                is_last = is_catch_all(match)
                made.append({"route": route, "catch-all": is_last})
                if is_last:
                    return made
        return made

    def _fits(self, match, service, gateway, port):
        if match.get("port", port) != port:
            return False
        if match.get("gateways"):
            namespace, own = service["metadata"]["namespace"], gateway["metadata"]
            names = [_gateway_name(name, namespace) for name in match["gateways"]]
            return f"{own['namespace']}/{own['name']}" in names
        wanted = match.get("sourceLabels", {}).items()
        return wanted <= istio.LABELS.items() and match.get("sourceNamespace", istio.NAMESPACE) == istio.NAMESPACE

    def _rules(self, service):
        """The rules, those of delegates in the place of what names them, each with the object that it is from."""
        for rule in service["spec"].get("http", []):
            if "delegate" not in rule:
                yield rule, service
                continue
            for other in self.kinds("VirtualService"):
                wanted = rule["delegate"]
                data, exported = other["metadata"], other["spec"].get("exportTo", ["*"])
                home = wanted.get("namespace", service["metadata"]["namespace"])
                is_seen = "*" in exported or service["metadata"]["namespace"] in exported
                if (data["name"], data["namespace"]) == (wanted["name"], home) and is_seen:
                    yield from ((merged, other) for merged in _merged(rule, other["spec"]["http"]))

    def _action(self, rule, match, source, port):
        made = rules.fields(rule.get("headers", {}))
        if "redirect" in rule:
            return {**made, "redirect": rules.redirect(rule["redirect"], port)}
        if "directResponse" in rule:
            wanted = rule["directResponse"]
            body = {"body": {"inline_string": wanted["body"]["string"]}} if "body" in wanted else {}
            return {**made, "direct_response": {"status": wanted["status"], **body}}
        action = {"timeout": rule.get("timeout", "0s"), **rules.retry(rule), **rules.rewrite(rule, match)}
        action["max_grpc_timeout"] = action["timeout"]
        if "timeout" in rule:
            action["timeout"] = f"{rules.seconds(rule['timeout'])}s"
            action["max_grpc_timeout"] = action["timeout"]
        filters = {}
        if "mirror" in rule:
            share = rule.get("mirrorPercentage", {}).get("value", 100)
            action["request_mirror_policies"] = [{
                "cluster": self.cluster(rule["mirror"], source, port), "disable_shadow_host_suffix_append": True,
                "runtime_fraction": {"default_value": {"numerator": share}}}] if share else []
        if "fault" in rule and rules.fault(rule["fault"]):
            filters["envoy.filters.http.fault"] = rules.fault(rule["fault"])
        if "corsPolicy" in rule:
            filters["envoy.filters.http.cors"] = rules.cors(rule["corsPolicy"])
        routes = [each for each in rule["route"] if each.get("weight", 1) or len(rule["route"]) == 1]
        names = [self.cluster(each["destination"], source, port) for each in routes]
        if len(rule["route"]) == 1:
            made = rules.joined(made, rules.fields(rule["route"][0].get("headers", {})))
            action["cluster"] = names[0]
        else:
            action["weighted_clusters"] = {"clusters": [
                {"name": name, "weight": each.get("weight", 1), **rules.fields(each.get("headers", {}))}
                for name, each in zip(names, routes)]}
        action["hash_policy"] = clusters.hashed(self._policy(self._full(routes[0]["destination"]["host"], source)))
        return {**made, "route": action, **({"typed_per_filter_config": filters} if filters else {})}

    # Services

    def cluster(self, destination, source, port):
        """The name of the cluster of a destination; the cluster is made if the service has that port."""
        host = self._full(destination["host"], source)
        ports, endpoints = self._served(host)
        wanted = destination.get("port", {}).get("number") or (ports[0] if len(ports) == 1 else port)
        subset = destination.get("subset", "")
        name = f"{self.mark}|{wanted}|{subset}|{host}"
        labels = self._subset(host, subset) if subset else {}
        if wanted in ports and labels is not None:
            chosen = [each for each in endpoints if labels.items() <= each[2].items()]
            self.made[name] = self._with_endpoints(name, chosen, self._policy(host))
        return name

    @staticmethod
    def _with_endpoints(name, chosen, policy):
        made = envoy.cluster(name)
        made["load_assignment"]["endpoints"] = [{"lb_endpoints": [
            {"endpoint": {"address": {"socket_address": {"address": address, "port_value": number}}}}
            for address, number, _ in chosen]}]
        if any(re.search("[a-z]", address) for address, _, _ in chosen):
            made.update(type="STRICT_DNS", dns_lookup_family="V4_ONLY")
        made.update(clusters.fields(policy))
        # Istio's common settings: no panic.
        made["common_lb_config"] = {"healthy_panic_threshold": {"value": 0}}
        return made

    def _applied(self, host):
        """The DestinationRules for a host: of the first namespace that has any, those of the most exact host."""
        home = host.split(".")[1] if host.endswith(DOMAIN) else ""
        for namespace in (istio.NAMESPACE, home, "istio-system"):
            fitting = [
                each for each in self.kinds("DestinationRule") if each["metadata"]["namespace"] == namespace
                and _covers(self._full(each["spec"]["host"], each), host)]
            if fitting:
                best = max(len(self._full(each["spec"]["host"], each)) for each in fitting)
                return [each for each in fitting if len(self._full(each["spec"]["host"], each)) == best]
        return []

    def _policy(self, host):
        return next((
            each["spec"]["trafficPolicy"] for each in self._applied(host) if "trafficPolicy" in each["spec"]), {})

    def _subset(self, host, subset):
        for rule in self._applied(host):
            for each in rule["spec"].get("subsets", []):
                if each["name"] == subset:
                    return each.get("labels", {})
        return None

    def _served(self, host):
        """The ports of a service, and its endpoints as (address, port, labels)."""
        for each in self.kinds("ServiceEntry"):
            if host in each["spec"]["hosts"]:
                endpoints = [(one["address"], one["ports"]["http"], {}) for one in each["spec"].get("endpoints", [])]
                return [port["number"] for port in each["spec"]["ports"]], endpoints
        for each in self.kinds("Service"):
            data = each["metadata"]
            if f"{data['name']}.{data['namespace']}.{DOMAIN}" == host:
                return [port["port"] for port in each["spec"]["ports"]], [*self._endpoints(data)]
        return [], []

    def _endpoints(self, data):
        pods = {each["metadata"]["name"]: each["metadata"]["labels"] for each in self.kinds("Pod")}
        for each in self.kinds("EndpointSlice"):
            own = each["metadata"]
            if (own["labels"]["kubernetes.io/service-name"], own["namespace"]) == (data["name"], data["namespace"]):
                for one in each["endpoints"]:
                    labels = pods.get(one.get("targetRef", {}).get("name"), {})
                    yield one["addresses"][0], each["ports"][0]["port"], labels


def _gateway_name(name, namespace):
    if name == "mesh":
        return name
    if "/" in name:
        return name
    parts = name.split(".")
    return f"{parts[1]}/{parts[0]}" if len(parts) > 1 else f"{namespace}/{name}"


def _covers(wide, narrow):
    if wide == "*" or wide == narrow:
        return True
    return wide.startswith("*.") and narrow.removeprefix("*").endswith(wide[1:]) and narrow != wide[2:]


def _narrower(one, other):
    """Istio compares as the hosts are written."""
    return other if _covers(one, other) else one if _covers(other, one) else None


def is_catch_all(match):
    kind, value = next(iter(match.get("uri", {"prefix": "/"}).items()))
    conditions = ("headers", "withoutHeaders", "method", "authority", "scheme", "queryParams")
    return (kind, value) in (("prefix", "/"), ("regex", ".*")) and not any(match.get(each) for each in conditions)


# Delegates

LENT = (
    "rewrite", "directResponse", "timeout", "retries", "fault", "mirror", "mirrors", "mirrorPercentage", "corsPolicy",
    "headers")


def _merged(root, rules):
    for rule in rules:
        own, theirs = root.get("match") or [], rule.get("match") or []
        if not own or not theirs:
            matches = own or theirs
        else:
            pairs = [[_joint(one, other) for one in own] for other in theirs]
            if not all(any(each is not None for each in some) for some in pairs):
                continue
            matches = [each for some in pairs for each in some if each is not None]
        lent = {name: root[name] for name in LENT if name in root}
        yield {**lent, **rule, "match": matches}


def _joint(root, own):
    """One match for both, or None if they conflict."""
    one, other = root.get("uri"), own.get("uri")
    if one and other:
        (kind, value), (own_kind, own_value) = next(iter(one.items())), next(iter(other.items()))
        is_same = kind == own_kind == "exact" and value == own_value
        if "regex" in (kind, own_kind) or not (is_same or kind == "prefix" and own_value.startswith(value)):
            return None
    headers = {**root.get("headers", {}), **own.get("headers", {})}
    return {**root, **own, **({"headers": headers} if headers else {})}
