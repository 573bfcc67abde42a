"""The whole program against a real kube-apiserver: what it serves, while everything in the cluster changes."""

import json
import ssl
import threading

import pytest
import yaml

from peers import certificates, http1, objects, real_cluster, secure, waiting
from peers.backend import Backend, Caller
from peers.gateway import run
from test_real_status import cluster, server  # noqa: F401
from test_tls import handshake
from test_upstream_tls import secret

real_cluster.needed()


@pytest.fixture
def two():
    with Backend(name="one") as one, Backend(name="two") as two:
        yield one, two


class Load:
    """Unary calls one after the other from some connections, until the block is left; each must succeed."""

    def __init__(self, target, connections=3):
        self.target, self.failures, self.count = target, [], 0
        self.over, self.lock = threading.Event(), threading.Lock()
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(connections)]

    def _run(self):
        with Caller(self.target) as caller:
            while not self.over.is_set():
                code, details = caller.status("/test.S/M")
                with self.lock:
                    self.count += 1
                    if code.value[0] != 0:
                        self.failures.append((code, details))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(120)
        if kind is None:
            assert not self.failures, (len(self.failures), self.count, self.failures[:3])

    def more(self, number=30):
        """Until some calls more were answered."""
        before = self.count
        waiting.until(lambda: self.count >= before + number, 30, "more calls")


def endpoint(backend, ready=True, serving=True, terminating=False):
    return {"addresses": [backend.address],
            "conditions": {"ready": ready, "serving": serving, "terminating": terminating}}


def slice_of(name, number, backend, **conditions):
    """A slice has one port, and each backend its own."""
    made = objects.endpoint_slice(name, backend.address, backend.port, number)
    made["endpoints"] = [endpoint(backend, **conditions)]
    return made


def weighted(first, second):
    return objects.virtual_service([objects.rule(objects.to("one", weight=first), objects.to("two", weight=second))])


def served(two, first=100, second=0):
    return [objects.gateway(), weighted(first, second), *objects.served_by("one", two[0]),
            *objects.served_by("two", two[1])]


def reaches(caller, backend):
    before = len(backend.calls)
    assert caller.status("/test.S/M")[0].value[0] == 0
    return len(backend.calls) > before


def completed(file):
    """A seed's objects as a cluster has them: pods complete, Services with a slice of their pods."""
    text = (objects.SEEDS / file).read_text()
    found = [each for value in yaml.safe_load_all(text) if value for each in value.get("items", [value])]
    found = [each for each in found if each["kind"] != "Deployment"]
    pods = [each for each in found if each["kind"] == "Pod"]
    for pod in pods:
        pod.setdefault("spec", {"containers": [{"name": "main"}]})
        for container in pod["spec"]["containers"]:
            container.setdefault("image", "none")
    slices = []
    for service in (each for each in found if each["kind"] == "Service"):
        wanted = service["spec"]["selector"].items()
        own = [pod for pod in pods if wanted <= pod["metadata"]["labels"].items()]
        if own:
            slices.append(slice_of_pods(service, own))
    return found + slices


def slice_of_pods(service, pods):
    name, namespace = service["metadata"]["name"], service["metadata"].get("namespace", "default")
    named = {port["name"]: port["containerPort"] for pod in pods for each in pod["spec"]["containers"]
             for port in each.get("ports", [])}
    ports = [
        {"name": port["name"], "protocol": "TCP",
         "port": named.get(port.get("targetPort"), port.get("targetPort", port["port"]))}
        for port in service["spec"]["ports"]]
    return {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "ports": ports,
        "metadata": {"name": f"{name}-x7k2p", "namespace": namespace, "labels": {"kubernetes.io/service-name": name}},
        "endpoints": [{
            "addresses": [pod["status"]["podIP"]], "conditions": {"ready": True, "serving": True, "terminating": False},
            "targetRef": {"kind": "Pod", "name": pod["metadata"]["name"], "namespace": namespace}} for pod in pods]}


@pytest.fixture
def seeded(cluster, tmp_path):
    def apply(*files):
        values = [each for file in files for each in completed(file)]
        path = tmp_path / "seeds.yaml"
        path.write_text(yaml.safe_dump_all(values))
        namespaces = {each["metadata"].get("namespace", "default") for each in values} - {"default"}
        for name in namespaces:
            cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        cluster.kubectl("apply", "--validate=false", "-f", path)
        return cluster

    return apply


def test_the_first_seed_is_applied_by_kubectl_and_spread_evenly(seeded):
    cluster = seeded("main-server.yaml", "main-server.endpoints.yaml")
    for number, name in enumerate(("main-server-5b998dc8c8-hkb72", "main-server-5b998dc8c8-xj7j6")):
        cluster.put({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
                     "spec": {"containers": [{"name": "main", "image": "none"}]}})
    with Backend("127.0.1.1", 8888, "one") as one, Backend("127.0.1.2", 8888, "two") as two:
        with cluster.gateway(ports=[8888]) as gateway, Caller(gateway.target) as caller:
            for _ in range(100):
                caller.unary("/main.MainService/Get")
            assert [len(each.calls) for each in (one, two)] == [50, 50]
            assert caller.status("/other.Service/M")[0].value[0] == 12


def test_the_canary_is_chosen_by_the_labels_of_pods(seeded):
    cluster = seeded("canary-mesh.yaml", "canary-edge.yaml")
    with Backend("127.0.4.1", 50051, "one", "v1") as one, Backend("127.0.4.2", 50051, "two", "v2") as two:
        with cluster.gateway(ports=[50051]) as gateway, Caller(gateway.target) as caller:
            for _ in range(20):
                assert caller.hello(metadata=[("version", "200")]) == "hostname:two, in:ann, version:v2"
            assert caller.unary("/other.Service/M")[0] == b"ping" and len(one.calls) == 1
            for _ in range(300):
                caller.hello()
            assert 5 <= len(one.calls) - 1 <= 70


def test_the_third_and_fourth_seed_reach_their_pods(seeded):
    cluster = seeded("grpc-test-namespace.yaml", "three-replicas.yaml")
    with Backend("127.0.3.1", 50051) as third, Backend("127.0.5.1", 50053) as a, Backend("127.0.5.2", 50053) as b, \
            Backend("127.0.5.3", 50053) as c:
        with cluster.gateway(ports=[8000, 50052]) as gateway:
            with Caller(gateway.target) as caller:
                assert caller.unary("/any.Service/Method", b"x")[0] == b"x" and len(third.calls) == 1
            with Caller(f"127.0.0.1:{gateway.map[50052]}") as caller:
                for _ in range(90):
                    caller.unary("/any.Service/Method")
            assert [len(each.calls) for each in (a, b, c)] == [30, 30, 30]


def test_replicas_are_scaled_under_load_and_no_call_fails(cluster, two):
    cluster.put(objects.gateway(), objects.virtual_service([objects.rule("one")]), objects.service("one"),
                slice_of("one", 0, two[0]))
    with cluster.gateway() as gateway, Load(gateway.target) as load:
        load.more()
        for _ in range(3):
            two[1].clear()
            cluster.put(slice_of("one", 1, two[1]))
            waiting.until(lambda: two[1].calls, 10, "the second replica")
            load.more()
            cluster.put(slice_of("one", 1, two[1], ready=False, terminating=True))
            cluster.delete(slice_of("one", 1, two[1]))
            load.more()
            waiting.until(lambda: f":{two[1].port} " not in gateway.admin("/endpoints")[1], 10, "its end")


def test_canary_weights_change_under_load_and_no_call_fails(cluster, two):
    cluster.put(*served(two))
    with cluster.gateway() as gateway, Load(gateway.target) as load:
        for first, second in ((90, 10), (50, 50), (10, 90), (0, 100)):
            two[1].clear()
            patch = {"spec": {"http": weighted(first, second)["spec"]["http"]}}
            cluster.kubectl("patch", "virtualservice", "routes", "--type", "merge", "-p",
                            json.dumps(patch))
            waiting.until(lambda: two[1].calls, 20, "calls to the canary")
            load.more()

        def only_second():
            two[0].clear()
            load.more()
            return not two[0].calls

        waiting.until(only_second, 20, "the last weights")


def test_a_rolling_restart_fails_no_call(cluster):
    """As the controllers play it: a new pod becomes ready, then an old one terminates, serving what it has."""
    old = [Backend(name=f"old-{number}") for number in range(3)]
    new = []
    cluster.put(objects.gateway(), objects.virtual_service([objects.rule("one")]), objects.service("one"),
                *[slice_of("one", number, pod) for number, pod in enumerate(old)])
    with cluster.gateway() as gateway, Load(gateway.target, connections=4) as load:
        load.more()
        for number, gone in enumerate(old):
            pod = Backend(name=f"new-{number}")
            new.append(pod)
            cluster.put(slice_of("one", 10 + number, pod, ready=False, serving=False))
            cluster.put(slice_of("one", 10 + number, pod))
            waiting.until(lambda: pod.calls, 10, "the new pod's calls")
            cluster.put(slice_of("one", number, gone, ready=False, serving=True, terminating=True))
            gone.stop(grace=5)
            cluster.delete(slice_of("one", number, gone))
            load.more()
    for pod in new:
        assert pod.calls
        pod.stop()


def test_while_the_server_is_killed_and_restarted_everything_is_served(cluster, two):
    cluster.put(*served(two))
    with cluster.gateway() as gateway, Load(gateway.target) as load:
        assert gateway.metric("^portico_kubernetes_connected") == 1
        cluster.control("kill-api")
        waiting.until(lambda: gateway.metric("^portico_kubernetes_connected") == 0, 20, "the outage")
        since = gateway.metric("^portico_kubernetes_unreachable_since_seconds")
        assert since > 1e9 and f"no answer since {int(since)}" in gateway.admin("/kubernetes")[1]
        assert gateway.status("/healthz/ready")[0] == 200
        load.more(100)
        cluster.control("start-api")
        cluster.put(weighted(0, 100))
        waiting.until(lambda: two[1].calls, 60, "what has changed meanwhile")
        waiting.until(lambda: gateway.metric("^portico_kubernetes_connected") == 1, 60, "the server's return")
        assert gateway.metric("^portico_kubernetes_unreachable_since_seconds") == 0


def test_a_first_start_without_the_server_waits_and_kinds_that_come_later_are_found(tmp_path, two):
    with real_cluster.RealCluster(tmp_path / "run", kinds=real_cluster.KINDS[:1]) as cluster:
        cluster.control("kill-api")
        with cluster.gateway(ready=False) as gateway, Caller(gateway.target) as caller:
            def says(code, word):
                try:
                    found, text = gateway.status("/healthz/ready")
                except OSError:
                    return False
                return found == code and word in text

            waiting.until(lambda: says(503, "waiting for the Kubernetes API server: no answer since"), 20, "the reason")
            assert gateway.status("/healthz/live")[0] == 200
            cluster.control("start-api")
            waiting.until(lambda: "Gateway: 0 objects, not offered" in gateway.admin("/kubernetes")[1], 60, "the lists")
            cluster.define(*real_cluster.KINDS[1:])
            cluster.put(*served(two))
            gateway.wait_ready(90)
            waiting.until(lambda: caller.status("/test.S/M")[0].value[0] == 0, 60, "the new kinds' objects")


def tls_servers(*names):
    return [
        {"port": {"number": 8443, "name": f"https-{name}", "protocol": "HTTPS"}, "hosts": [f"{name}.test"],
         "tls": {"mode": "SIMPLE", "credentialName": name}} for name in names]


def serial(gateway, name):
    with handshake(gateway.port, f"{name}.test") as connection:
        return int(connection.getpeercert()["serialNumber"], 16)


def refuses(gateway, name):
    try:
        serial(gateway, name)
    except (ssl.SSLError, OSError):
        return True
    return False


def test_a_secret_is_rotated_and_its_removal_is_noticed(cluster, two):
    pairs = [certificates.authority().issue("a.test") for _ in range(2)]
    cluster.put(objects.gateway(servers=tls_servers("a")), *served(two)[1:], objects.tls_secret("a", pairs[0]))
    with cluster.gateway(ports=(8443,)) as gateway:
        assert serial(gateway, "a") == pairs[0].serial
        cluster.put(objects.tls_secret("a", pairs[1]))
        waiting.until(lambda: serial(gateway, "a") == pairs[1].serial, 10, "the new certificate")
        cluster.delete(objects.tls_secret("a", pairs[1]))
        kept = "the last good certificate is still served for a.test"
        waiting.until(lambda: kept in gateway.admin("/config")[1], 10, "the report")
        assert serial(gateway, "a") == pairs[1].serial
        cluster.put(objects.tls_secret("a", pairs[0]))
        waiting.until(lambda: serial(gateway, "a") == pairs[0].serial, 10, "the certificate of the new Secret")
        assert kept not in gateway.admin("/config")[1]


def trusting(name, authority):
    """A rule that names a Secret and sends a server name, and the Secret."""
    tls = {"mode": "SIMPLE", "credentialName": name, "sni": f"{name}.test"}
    return [objects.destination_rule("echo", trafficPolicy={"tls": tls}),
            secret(name, **{"ca.crt": authority.certificate})]


def test_a_rule_that_names_a_new_secret_takes_effect_with_it(cluster, tmp_path):
    """Each load that names a Secret which nobody has read waits for it: no request in between lacks it."""
    authority = certificates.authority()
    context = secure.server_context(tmp_path, secure.issue(["*.test"]))
    failures, over = [], threading.Event()

    def ask(gateway):
        while not over.is_set():
            answer = http1.get(gateway.port, "/", "echo.test")
            if answer.status != 200:
                failures.append((answer.status, answer.body))

    with secure.Upstream(context) as upstream:
        cluster.put(
            objects.gateway(protocol="HTTP"), objects.virtual_service([objects.rule("echo")]),
            *objects.served_by("echo", upstream, protocol_name="http"), *trusting("trust-0", authority))
        with cluster.gateway() as gateway:
            asking = [threading.Thread(target=ask, args=[gateway]) for _ in range(4)]
            for thread in asking:
                thread.start()
            try:
                for number in range(1, 11):
                    rule, trusted = trusting(f"trust-{number}", authority)
                    cluster.put(trusted)
                    cluster.put(rule)
                    sent = f"trust-{number}.test"
                    waiting.until(lambda: sent in upstream.names, 20, "a connection by the new rule")
            finally:
                over.set()
                for thread in asking:
                    thread.join(60)
    assert not failures, (len(failures), failures[:3])


def test_a_secret_that_may_not_be_read_disables_its_server_alone(cluster, two):
    pair = certificates.authority().issue("a.test", "b.test")
    cluster.put(objects.gateway(servers=tls_servers("a", "b")), *served(two)[1:], objects.tls_secret("a", pair),
                objects.tls_secret("b", pair))
    account = cluster.account("half-trusted")
    subject = {"kind": "ServiceAccount", "name": "half-trusted", "namespace": "default"}
    reader = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "half-trusted"}}
    rules = [
        {"apiGroups": ["", "networking.istio.io", "discovery.k8s.io", "security.istio.io"], "verbs": ["list", "watch"],
         "resources": ["services", "pods", "endpointslices", "gateways", "virtualservices", "destinationrules",
                       "serviceentries", "workloadentries", "authorizationpolicies", "requestauthentications"]}]
    secret = [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a"], "verbs": ["get", "watch"]}]

    def bound(kind, rules):
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": "half-trusted"}
        return [{**reader, "kind": kind, "rules": rules},
                {**reader, "kind": f"{kind}Binding", "roleRef": reference, "subjects": [subject]}]

    cluster.put(*bound("ClusterRole", rules), *bound("Role", secret))
    with cluster.gateway(account, ports=(8443,)) as gateway:
        assert serial(gateway, "a") == pair.serial and refuses(gateway, "b")
        text = gateway.admin("/config")[1]
        assert 'kubernetes:default/Secret/b: error: this Secret cannot be read: verb "get" on resource "secrets" ' \
               'named "b" in namespace "default" lacks' in text, text


def test_check_and_routes_read_the_cluster(cluster, two):
    cluster.put(*served(two))
    done = run("check", "--kubeconfig", cluster.kubeconfig, seconds=60)
    assert done.returncode == 0, done.stdout + done.stderr
    done = run("routes", "--kubeconfig", cluster.kubeconfig, seconds=60)
    assert "rule default/routes" in done.stdout and f"{two[0].address}:{two[0].port}" in done.stdout, done.stdout
