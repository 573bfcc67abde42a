"""Istio and Kubernetes objects as Python values, and files of them."""

import pathlib

import yaml

NETWORKING = "networking.istio.io/v1"
FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "Fixtures"
SEEDS = FIXTURES / "seeds"


def gateway(name="edge", port=8000, protocol="HTTP", hosts=("*",), tls=None, servers=None, selector=None):
    server = {"port": {"number": port, "name": f"{protocol.lower()}-{port}", "protocol": protocol}, "hosts": [*hosts]}
    if tls:
        server["tls"] = tls
    return {
        "apiVersion": NETWORKING, "kind": "Gateway", "metadata": {"name": name},
        "spec": {"selector": selector or {"istio": "ingressgateway"}, "servers": servers or [server]},
    }


def virtual_service(http, name="routes", hosts=("*",), gateways=("edge",), namespace=None):
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {
        "apiVersion": NETWORKING, "kind": "VirtualService", "metadata": metadata,
        "spec": {"hosts": [*hosts], "gateways": [*gateways], "http": http},
    }


def to(host, port=None, subset=None, weight=None):
    """One entry of `route`."""
    destination = {"host": host}
    if port:
        destination["port"] = {"number": port}
    if subset:
        destination["subset"] = subset
    return {"destination": destination, **({"weight": weight} if weight is not None else {})}


def rule(*destinations, match=None, **fields):
    """One entry of `http`; `destinations` are service names or values of `to`."""
    route = [to(each) if isinstance(each, str) else each for each in destinations]
    return {**({"match": match} if match else {}), "route": route, **fields}


def service(name, port=50051, protocol_name="grpc", namespace=None):
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {
        "apiVersion": "v1", "kind": "Service", "metadata": metadata,
        "spec": {"ports": [{"name": protocol_name, "port": port}]},
    }


def endpoint_slice(service_name, address, port, number=0, port_name="grpc"):
    return {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": f"{service_name}-{number}", "labels": {"kubernetes.io/service-name": service_name}},
        "addressType": "IPv4", "ports": [{"name": port_name, "port": port, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
    }


def served_by(name, *backends, port=50051, protocol_name="grpc"):
    """A Service and one EndpointSlice per backend (anything with an address and a port)."""
    slices = [
        endpoint_slice(name, backend.address, backend.port, number, protocol_name)
        for number, backend in enumerate(backends)
    ]
    return [service(name, port, protocol_name), *slices]


def destination_rule(host, name="rule", **spec):
    return {
        "apiVersion": NETWORKING, "kind": "DestinationRule", "metadata": {"name": name}, "spec": {"host": host, **spec}
    }


def tls_secret(name, pair, namespace=None):
    """A Secret of type kubernetes.io/tls from a `certificates.Pair`."""
    import base64

    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    data = {"tls.crt": pair.certificate, "tls.key": pair.key}
    return {
        "apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "kubernetes.io/tls",
        "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
    }


def secret(name, pair, authorities):
    """A Secret with a pair, and with the authorities of clients."""
    import base64

    made = tls_secret(name, pair)
    made["data"]["ca.crt"] = base64.b64encode(authorities).decode()
    return made


def text(objects):
    return yaml.safe_dump_all(objects, sort_keys=False)


def echo(*backends, port=8000, protocol="GRPC", protocol_name="grpc", **rule_fields):
    """The usual set: one gateway port, everything goes to the service `echo` on these backends."""
    return [
        gateway(port=port, protocol=protocol),
        virtual_service([rule("echo", **rule_fields)]),
        *served_by("echo", *backends, protocol_name=protocol_name),
    ]
