"""Gateways and VirtualServices that share a port or a host, and the route table that Istio makes of them.

Each scenario has the objects of Istio, and the virtual hosts that its control plane gives Envoy for them, in order. The
rules are in docs/istio.md: hosts of a VirtualService, order of objects, rules for everything come last.
"""

import envoy
from cases import outcome1
from peers import http1, objects


def _rule(to, prefix=None, **match):
    """(match, service) of one rule; a prefix, or everything."""
    return ({"uri": {"prefix": prefix}, **match} if prefix else match), to


class Scenario:
    """`name` is the gateway port's; `hosts` are (domains, [(prefix, service)]) of Envoy's table."""

    def __init__(self, name, number, objects_, hosts):
        self.name, self.number, self.objects, self.hosts = name, number, objects_, hosts
        self.port = 9000 + number

    @property
    def is_for_all(self):
        """Whether one upstream gets everything."""
        return self.hosts == [(["*"], [("/", "show")])]

    def virtual_hosts(self):
        return [
            {"name": f"{self.name}-{index}", "domains": [*domains],
             "routes": [envoy.route({"prefix": prefix}, to) for prefix, to in routes]}
            for index, (domains, routes) in enumerate(self.hosts)]


def _gateway(number, *names, hosts=("*",)):
    return [objects.gateway(f"m{number}{name}", port=9000 + number, hosts=hosts) for name in names or ("",)]


def _service(number, name, hosts, *rules, gateways=None, created=None, **spec):
    made = objects.virtual_service(
        [objects.rule(to, **({"match": [match]} if match else {})) for match, to in rules],
        f"m{number}{name}", hosts, gateways or [f"m{number}"])
    if created:
        made["metadata"]["creationTimestamp"] = f"{created}-01-01T00:00:00Z"
    made["spec"].update(spec)
    return made


SCENARIOS = [
    Scenario("case 3", 3, [*_gateway(3), _service(3, "v", ["a.com"], _rule("show"), gateways=["mesh", "m3"])],
             [(["a.com"], [("/", "show")])]),
    Scenario("case 8", 8, [
        *_gateway(8), _service(8, "v", ["a.com"], _rule("show"), exportTo=["elsewhere"]),
        _service(8, "w", ["b.com"], _rule("show"), exportTo=["default"])], [(["b.com"], [("/", "show")])]),
    Scenario("case 9", 9, [*_gateway(9, hosts=["*.a.com"]), _service(9, "v", ["*"], _rule("show"))],
             [(["*.a.com"], [("/", "show")])]),
    Scenario("case 11", 11, [*_gateway(11), _service(11, "v", ["Foo.com"], _rule("show"))],
             [(["foo.com"], [("/", "show")])]),
    Scenario("case 12", 12, [*_gateway(12), _service(12, "v", ["shop"], _rule("show"))],
             [(["shop.default.svc.cluster.local"], [("/", "show")])]),
    Scenario("case 13", 13, [
        *_gateway(13, "x", "y"), _service(13, "v", ["a.com"], _rule("show"), gateways=["m13x"]),
        _service(13, "w", ["b.com"], _rule("raw"), gateways=["m13y"])],
        [(["a.com"], [("/", "show")]), (["b.com"], [("/", "raw")])]),
    Scenario("case 24", 24, [
        *_gateway(24), _service(24, "v", ["*.com"], _rule("show")), _service(24, "w", ["*.a.com"], _rule("raw"))],
        [(["*.com"], [("/", "show")]), (["*.a.com"], [("/", "raw")])]),
    Scenario("case 25", 25, [
        *_gateway(25), _service(25, "v", ["*.a.com"], _rule("show", "/w")),
        _service(25, "w", ["x.a.com"], _rule("raw", "/raw/e"))],
        [(["*.a.com"], [("/w", "show")]), (["x.a.com"], [("/raw/e", "raw")])]),
    Scenario("case 26", 26, [
        *_gateway(26, hosts=["x.a.com"]), _service(26, "v", ["*.a.com"], _rule("show", "/w")),
        _service(26, "w", ["x.a.com"], _rule("raw", "/raw/e"))],
        [(["x.a.com"], [("/w", "show"), ("/raw/e", "raw")])]),
    Scenario("case 27", 27, [
        *_gateway(27), _service(27, "v", ["a.com"], _rule("raw", port=8080)), _service(27, "w", ["*"], _rule("show"))],
        [(["*"], [("/", "show")])]),
    Scenario("case 28", 28, [
        *_gateway(28), _service(28, "v", ["a.com"], _rule("show"), created=2020),
        _service(28, "w", ["a.com"], _rule("raw", "/raw"), created=2024)],
        [(["a.com"], [("/raw", "raw"), ("/", "show")])]),
    Scenario("case 29", 29, [
        *_gateway(29), _service(29, "w", ["a.com"], _rule("show", "/raw"), created=2020),
        _service(29, "v", ["a.com"], _rule("raw", "/raw"), created=2024)],
        [(["a.com"], [("/raw", "show"), ("/raw", "raw")])]),
    Scenario("case 30", 30, [
        *_gateway(30), _service(30, "z", ["a.com"], _rule("show")), _service(30, "c", ["a.com"], _rule("raw"))],
        [(["a.com"], [("/", "raw"), ("/", "show")])]),
]

# Each host of the scenarios, and hosts beside them.
HOSTS = [
    "a.com", "b.com", "foo.com", "FOO.com", "shop", "shop.default.svc.cluster.local", "x.a.com", "x.y.a.com",
    "q.com", "a.com:80", "X.A.COM"]
PATHS = ["/", "/w", "/raw/teapot", "/raw/e"]


def ask(port, host, path):
    """Who answers: the status says which upstream it was, or that there was none."""
    made = outcome1(http1.get(port, path, host))
    return {key: made[key] for key in ("status", "type") if key in made} | {"shown": "seen" in made}


