"""What an API server alone is not: something that starts the pods of Deployments, and says where they are.

A Deployment whose container has the argument `serve` becomes the process of a `pods.Pod`; each other one becomes
gRPC servers on addresses of their own, which answer as grpcbin's hello.HelloService does. Deployments get a status and
Services EndpointSlices, so that a real kubectl can wait for them.
"""

import threading
import time

from peers.backend import Backend, hello, hello_text
from pods import Pod

APPS = "/apis/apps/v1"
SLICES = "/apis/discovery.k8s.io/v1"


class Hello(Backend):
    def _messages(self, kind, call, requests, wishes):
        yield hello("hello " + hello_text(self._only(call, requests)))


class Player:
    def __init__(self, cluster, folder):
        self.cluster, self.folder = cluster, folder
        self.gateways, self.pods, self.slices = {}, {}, set()  # by namespace and name; a list of pods
        self.started, self.fault = set(), None
        self.addresses = (f"127.0.9.{number}" for number in range(1, 250))
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join(120)
        for gateway in self.gateways.values():
            gateway.stop()
        for pods in self.pods.values():
            for pod in pods:
                pod["backend"].stop()

    def _run(self):
        while not self.ended.wait(0.1):
            try:
                self._look()
            except Exception as fault:  # the test's own thread raises it
                self.fault = fault
                return

    def _items(self, path):
        return self.cluster.answer("GET", path)["items"]

    def _look(self):
        for deployment in self._items(f"{APPS}/deployments"):
            key = (deployment["metadata"]["namespace"], deployment["metadata"]["name"])
            if "deletionTimestamp" in deployment["metadata"]:
                continue
            if key not in self.started:
                self.started.add(key)
                self._start(key, deployment)
            if key not in self.gateways or self.gateways[key].status("/healthz/ready")[0] == 200:
                self._say_ready(key, deployment)
        for service in self._items("/api/v1/services"):
            self._point(service)

    def _start(self, key, deployment):
        spec = deployment["spec"]["template"]["spec"]
        if "serve" in spec["containers"][0].get("args", []):
            folder = self.folder / "-".join(key)
            folder.mkdir()
            self.gateways[key] = Pod(self.cluster, [{**deployment, "kind": "Deployment"}], folder)
            return
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        ports = {each.get("name"): each["containerPort"] for each in spec["containers"][0].get("ports", [])}
        port = next(iter(ports.values()), 9000)  # grpcbin's
        pods = self.pods.setdefault(key[0], [])
        for number in range(deployment["spec"]["replicas"]):
            name, address = f"{key[1]}-{number}", next(self.addresses)
            backend = Hello(address, port, name=name)
            pods.append({"name": name, "labels": labels, "address": address, "backend": backend, "ports": ports})
            self.cluster.answer("POST", f"/api/v1/namespaces/{key[0]}/pods", {
                "metadata": {"name": name, "labels": labels},
                "spec": {"containers": [{"name": "it", "image": spec["containers"][0]["image"]}]}})

    def _say_ready(self, key, deployment):
        count = deployment["spec"]["replicas"]
        status = {
            "observedGeneration": deployment["metadata"]["generation"], "replicas": count, "updatedReplicas": count,
            "readyReplicas": count, "availableReplicas": count}
        if not status.items() <= deployment.get("status", {}).items():
            self.cluster.answer(
                "PATCH", f"{APPS}/namespaces/{key[0]}/deployments/{key[1]}/status", {"status": status},
                "application/merge-patch+json")

    def _point(self, service):
        namespace, name = service["metadata"]["namespace"], service["metadata"]["name"]
        selector = (service["spec"].get("selector") or {}).items()
        pods = [pod for pod in self.pods.get(namespace, []) if selector and selector <= pod["labels"].items()]
        key = (namespace, name, len(pods))
        if not pods or key in self.slices:
            return
        self.slices.add(key)
        ports = [{
            "name": each["name"], "protocol": "TCP",
            "port": each["targetPort"] if isinstance(each["targetPort"], int) else pods[0]["ports"][each["targetPort"]]}
            for each in service["spec"]["ports"]]
        self.cluster.apply([{
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "ports": ports,
            "metadata": {
                "namespace": namespace, "name": f"{name}-1", "labels": {"kubernetes.io/service-name": name}},
            "endpoints": [{
                "addresses": [pod["address"]], "conditions": {"ready": True},
                "targetRef": {"kind": "Pod", "namespace": namespace, "name": pod["name"]}} for pod in pods]}])

    def gateway(self):
        """The one gateway that runs."""
        deadline = time.monotonic() + 120
        while not self.gateways and time.monotonic() < deadline:
            self.ended.wait(0.1)
        (gateway,) = self.gateways.values()
        return gateway
