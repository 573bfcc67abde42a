"""The filter chains of a port, as Istio's control plane makes them of the servers of all Gateways."""

import base64

import envoy
from peers import istio
from peers.certificates import Pair

TCP = ("TCP", "MONGO", "REDIS", "MYSQL")


def chains(plane, port):
    """Those of one port of a `control_plane.ControlPlane`; none if it is not opened."""
    kept, made = [], []
    for gateway in plane.kinds("Gateway"):
        for server in gateway["spec"]["servers"]:
            if server["port"]["number"] == port and not _conflicts(server, [each for _, each in kept]):
                kept.append((gateway, server))
    plain = [each for each in kept if _family(each[1]) == "http"]
    if plain:
        made.append(envoy.chain(plane.virtual_hosts(plain)))
    for gateway, server in kept:
        if _family(server) == "tcp":
            made += _relays(plane, gateway, server, port)
        elif _family(server) == "tls":
            made += _secure(plane, gateway, server, port)
    return made


def _family(server):
    protocol = server["port"]["protocol"]
    return "tls" if protocol in ("HTTPS", "TLS") else "tcp" if protocol in TCP else "http"


def _conflicts(server, kept):
    family, others = _family(server), {_family(each) for each in kept}
    if "tls" in server and any("tls" in each and set(each["hosts"]) & set(server["hosts"]) for each in kept):
        return True
    if not others or family in ("http", "tcp") and others == {"tls"}:
        return False
    return not (family == "http" and "http" in others or family == "tls" and others == {"tls"})


def _names(hosts):
    names = [host.rpartition("/")[2] for host in hosts]
    return {} if "*" in names else {"filter_chain_match": {"server_names": names}}


def _relay(cluster):
    proxy = {"@type": envoy.TCP_PROXY, "stat_prefix": "relay", "cluster": cluster}
    return {"filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}]}


def _relays(plane, gateway, server, port):
    """The first fitting rule has all connections."""
    for service in plane.services(gateway):
        for rule in service["spec"].get("tcp", []):
            if any(each.get("port", port) == port for each in rule.get("match") or [{}]):
                return [_relay(plane.cluster(rule["route"][0]["destination"], service, port))]
    return []


def _secure(plane, gateway, server, port):
    mode = server["tls"].get("mode", "PASSTHROUGH")
    if mode == "PASSTHROUGH":
        return _passed(plane, gateway, port)
    if server["port"]["protocol"] == "HTTPS":
        made = [envoy.chain(plane.virtual_hosts([(gateway, server)]))]
    else:
        made = _relays(plane, gateway, server, port)
    name = server["tls"]["credentialName"]
    return [_ending(each, plane, server, name, mode) for each in made]


def _passed(plane, gateway, port):
    made, seen = [], set()
    for service in plane.services(gateway):
        for rule in service["spec"].get("tls", []):
            for match in rule["match"]:
                if seen & set(match["sniHosts"]):
                    continue
                seen |= set(match["sniHosts"])
                cluster = plane.cluster(rule["route"][0]["destination"], service, port)
                made.append({**_relay(cluster), **_names(match["sniHosts"])})
    return made


def _ending(chain, plane, server, name, mode):
    """The chain behind the certificate of a Secret."""
    data = next(
        each["data"] for each in plane.kinds("Secret")
        if (each["metadata"]["name"], each["metadata"]["namespace"]) == (name, istio.NAMESPACE))
    octets = {key: base64.b64decode(value) for key, value in data.items()}
    clients = None
    if mode != "SIMPLE":
        clients = mode == "MUTUAL", {"trusted_ca": {"inline_string": octets["ca.crt"].decode()}}
    pair = Pair(octets["tls.crt"], octets["tls.key"], None)
    socket = envoy.secure_chain([], pair, [], clients)["transport_socket"]
    return {**chain, **_names(server["hosts"]), "transport_socket": socket}
