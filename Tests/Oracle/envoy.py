"""A real Envoy, configured the way Istio's control plane configures its ingress gateway."""

import pathlib
import subprocess
import sys
import tempfile
import urllib.request

import yaml

from peers import waiting

HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
CORS = "type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors"
GRPC_WEB = "type.googleapis.com/envoy.extensions.filters.http.grpc_web.v3.GrpcWeb"
TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"
TCP_PROXY = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
PROXY_FILTER = "type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol"
TLS_INSPECTOR = "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"
PROTOCOLS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

FAULT = {
    "name": "envoy.filters.http.fault",
    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault"}}
# Istio's default policy (pilot/pkg/networking/core/route/retry/retry.go).
RETRY = {
    "retry_on": "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes", "num_retries": 2,
    "retry_host_predicate": [{
        "name": "envoy.retry_host_predicates.previous_hosts",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
    }],
    "host_selection_retry_max_attempts": "5",
}


def cluster(name, *ports, http2=False):
    """A cluster of endpoints on 127.0.0.1."""
    endpoints = [
        {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}} for port in ports
    ]
    protocol = {"http2_protocol_options": {}} if http2 else {"http_protocol_options": {}}
    return {
        "name": name, "type": "STATIC", "connect_timeout": "10s", "lb_policy": "LEAST_REQUEST",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
        "typed_extension_protocol_options": {PROTOCOLS: {
            "@type": f"type.googleapis.com/{PROTOCOLS}", "explicit_http_config": protocol}},
    }


def route(match, to, timeout="0s"):
    action = {"timeout": timeout, "retry_policy": RETRY, "max_grpc_timeout": timeout, "cluster": to}
    return {"match": match, "route": action}


def manager(virtual_hosts):
    # As Istio makes all of them.
    virtual_hosts = [{"include_request_attempt_count": True, **each} for each in virtual_hosts]
    return {
        "@type": HCM, "stat_prefix": "edge", "codec_type": "AUTO", "use_remote_address": True,
        "normalize_path": True, "path_with_escaped_slashes_action": "KEEP_UNCHANGED", "server_name": "istio-envoy",
        "forward_client_cert_details": "SANITIZE_SET",
        "set_current_client_cert_details": {"subject": True, "cert": True, "uri": True, "dns": True},
        "stream_idle_timeout": "0s", "proxy_100_continue": True, "upgrade_configs": [{"upgrade_type": "websocket"}],
        "route_config": {
            "name": "edge", "virtual_hosts": virtual_hosts, "ignore_port_in_host_matching": True,
            "validate_clusters": False,
        },
        "http_protocol_options": {"accept_http_10": True},
        "http_filters": [
            {"name": "envoy.filters.http.grpc_web", "typed_config": {"@type": GRPC_WEB}},
            FAULT,
            {"name": "envoy.filters.http.cors", "typed_config": {"@type": CORS}},
            {"name": "envoy.filters.http.router", "typed_config": {"@type": ROUTER}},
        ],
    }


def chain(virtual_hosts):
    name = "envoy.filters.network.http_connection_manager"
    return {"filters": [{"name": name, "typed_config": manager(virtual_hosts)}]}


def secure_chain(server_names, pair, virtual_hosts, clients=None):
    """What Istio makes of a server that ends TLS: chosen by SNI, with the routes of its own hosts. `clients` is what it
    demands of client certificates: whether one is required, and the validation context.
    """
    certificate = {
        "certificate_chain": {"inline_string": pair.certificate.decode()},
        "private_key": {"inline_string": pair.key.decode()},
    }
    context = {
        "@type": f"{TLS}.DownstreamTlsContext", "require_client_certificate": False,
        "common_tls_context": {"tls_certificates": [certificate], "alpn_protocols": ["h2", "http/1.1"]},
    }
    if clients:
        context["require_client_certificate"], context["common_tls_context"]["validation_context"] = clients
    return {
        **chain(virtual_hosts), "filter_chain_match": {"server_names": [*server_names]},
        "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": context},
    }


class Envoy:
    """`port` in clear text; `tls_port` with the `secure` chains, see `secure_chain`."""

    def __init__(self, virtual_hosts, clusters, secure):
        self.port, self.tls_port, self.admin_port = (waiting.free_port() for _ in range(3))
        self.folder = tempfile.TemporaryDirectory(prefix="portico-envoy-")
        inspector = {
            "name": "envoy.filters.listener.tls_inspector", "typed_config": {"@type": TLS_INSPECTOR}}
        listeners = [
            {"name": "edge", "address": self._address(self.port), "filter_chains": [chain(virtual_hosts)]},
            {"name": "secure", "address": self._address(self.tls_port), "listener_filters": [inspector],
             "filter_chains": [secure_chain(*each) for each in secure]},
        ]
        self._start(listeners, clusters)

    def _start(self, listeners, clusters):
        config = {
            "admin": {"address": self._address(self.admin_port)},
            "static_resources": {"listeners": listeners, "clusters": clusters},
        }
        file = pathlib.Path(self.folder.name) / "envoy.yaml"
        file.write_text(yaml.safe_dump(config))
        self.log = pathlib.Path(self.folder.name) / "log"
        binary = pathlib.Path(sys.executable).parent / "envoy"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [str(binary), "-c", str(file), "--concurrency", "1", "--disable-hot-restart", "-l", "error"],
                stdout=log, stderr=log)
        waiting.until(self._is_ready, 20, "Envoy's readiness")

    @staticmethod
    def _address(port):
        return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

    def _is_ready(self):
        assert self.process.poll() is None, self.log.read_text()[-2000:]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}/ready", timeout=2) as response:
                return response.status == 200
        except OSError:
            return False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.folder.cleanup()


class Relays(Envoy):
    """`port` relays TCP; `tls_port` relays TLS by its server name, and `dead_port` to an endpoint that refuses.

    `secure` is a list of (server names, cluster), as Istio makes them of `tls` rules.
    """

    def __init__(self, cluster, dead, secure, clusters):
        self.port, self.tls_port, self.dead_port, self.admin_port = (waiting.free_port() for _ in range(4))
        self.folder = tempfile.TemporaryDirectory(prefix="portico-envoy-")
        inspector = {
            "name": "envoy.filters.listener.tls_inspector", "typed_config": {"@type": TLS_INSPECTOR}}
        chains = [
            {**self._chain(to), **({"filter_chain_match": {"server_names": [*names]}} if "*" not in names else {})}
            for names, to in secure]
        self._start([
            {"name": "tcp", "address": self._address(self.port), "filter_chains": [self._chain(cluster)]},
            {"name": "dead", "address": self._address(self.dead_port), "filter_chains": [self._chain(dead)]},
            {"name": "tls", "address": self._address(self.tls_port), "listener_filters": [inspector],
             "filter_chains": chains},
        ], clusters)

    @staticmethod
    def _chain(to):
        proxy = {"@type": TCP_PROXY, "stat_prefix": to, "cluster": to}
        return {"filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}]}


class Behind(Envoy):
    """Listeners that take the header of the PROXY protocol: `required` and `optional` are their ports."""

    def __init__(self, virtual_hosts, clusters):
        self.required, self.optional, self.admin_port = (waiting.free_port() for _ in range(3))
        self.folder = tempfile.TemporaryDirectory(prefix="portico-envoy-")
        self._start([
            {"name": name, "address": self._address(port), "filter_chains": [chain(virtual_hosts)],
             "listener_filters": [{
                 "name": "envoy.filters.listener.proxy_protocol",
                 "typed_config": {"@type": PROXY_FILTER, "allow_requests_without_proxy_protocol": is_optional}}]}
            for name, port, is_optional in [("required", self.required, False), ("optional", self.optional, True)]
        ], clusters)


class Checking(Envoy):
    """No listeners: what the clusters' health checks find is asked for on `admin_port`."""

    def __init__(self, clusters):
        self.admin_port = waiting.free_port()
        self.folder = tempfile.TemporaryDirectory(prefix="portico-envoy-")
        self._start([], clusters)
