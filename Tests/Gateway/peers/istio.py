"""The world in which Istio's rules are stated: a gateway of the namespace `gwns`, and services of the namespace `app`.

A case is a list of objects and of questions, each with what Istio answers; `Gateway/test_istio_cases.py` asks Portico,
and `Oracle/test_istio_cases.py` a real Envoy, configured as Istio's control plane does it (`Oracle/control_plane.py`).
"""

import json
import ssl
import tempfile
import uuid

from peers import certificates, http1, objects, waiting

NAMESPACE, LABELS = "gwns", {"istio": "ingressgateway", "app": "edge"}
ARGUMENTS = ["--namespace", NAMESPACE, *(part for pair in LABELS.items() for part in ("--label", "=".join(pair)))]


def metadata(name, namespace, created=None):
    year = {"creationTimestamp": f"{created}-01-01T00:00:00Z"} if created else {}
    return {"name": name, "namespace": namespace, **year}


def server(port=80, protocol="HTTP", hosts=("*",), name=None, **more):
    """One entry of `servers`."""
    number = {"number": port, "name": name or f"{protocol.lower()}-{port}", "protocol": protocol}
    return {"port": number, "hosts": [*hosts], **more}


def gateway(*servers, name="gw", namespace=NAMESPACE, created=None):
    spec = {"selector": {"istio": "ingressgateway"}, "servers": [*servers] or [server()]}
    return {
        "apiVersion": objects.NETWORKING, "kind": "Gateway", "metadata": metadata(name, namespace, created),
        "spec": spec}


def routes(*http, name="vs", namespace="app", hosts=("a.com",), gateways=("gwns/gw",), created=None, **spec):
    """A VirtualService; without `gateways` if that is None."""
    made = {"hosts": [*hosts], **({"gateways": [*gateways]} if gateways is not None else {})}
    if http:
        made["http"] = [*http]
    return {
        "apiVersion": objects.NETWORKING, "kind": "VirtualService", "metadata": metadata(name, namespace, created),
        "spec": {**made, **spec}}


def policy(host, name="rule", namespace="app", created=None, **spec):
    """A DestinationRule."""
    return {
        "apiVersion": objects.NETWORKING, "kind": "DestinationRule", "metadata": metadata(name, namespace, created),
        "spec": {"host": host, **spec}}


def served(name, *addresses, ports=None, namespace="app", pods=()):
    """A Service with its slice. `addresses` are (address, port); `ports` is name → number; `pods` are the labels of
    the pods behind the addresses, in order, each an address of its own."""
    ports = ports or {"http": 8080}
    service = {
        "apiVersion": "v1", "kind": "Service", "metadata": metadata(name, namespace),
        "spec": {"ports": [{"name": key, "port": number} for key, number in ports.items()]}}
    made = [service]
    for number, (address, port) in enumerate(addresses):
        pod = {"targetRef": {"kind": "Pod", "name": f"{name}-{number}", "namespace": namespace}} if pods else {}
        made.append({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {**metadata(f"{name}-{number}", namespace), "labels": {"kubernetes.io/service-name": name}},
            "ports": [{"name": key, "port": port, "protocol": "TCP"} for key in ports],
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}, **pod}]})
        if pods:
            made.append({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {**metadata(f"{name}-{number}", namespace), "labels": pods[number]},
                "status": {"phase": "Running", "podIP": address, "conditions": [{"type": "Ready", "status": "True"}]}})
    return made


def entry(host, resolution, *endpoints, ports=((8080, "http", "HTTP"),), name="entry"):
    """A ServiceEntry."""
    made = {
        "hosts": [host], "resolution": resolution,
        "ports": [{"number": number, "name": key, "protocol": protocol} for number, key, protocol in ports]}
    if endpoints:
        made["endpoints"] = [{"address": address, "ports": {"http": port}} for address, port in endpoints]
    return {
        "apiVersion": objects.NETWORKING, "kind": "ServiceEntry", "metadata": metadata(name, "app"), "spec": made}


def to(*names, match=None, **fields):
    """A rule of `http` to these services of one port."""
    return objects.rule(*names, match=match, **fields)


def prefix(path, *names, **fields):
    return to(*names, match=[{"uri": {"prefix": path}}], **fields)


def replying(name):
    """Answers with what came, as JSON; or with what the field `x-do` of the request says."""
    def reply(connection, request):
        wanted = request.value("x-do") or "200"
        if wanted == "silent":
            raise EOFError(connection.socket.recv(1))
        seen = {"by": name, "first": request.first, "fields": [*request.headers]}
        body = json.dumps(seen).encode()
        connection.send(f"HTTP/1.1 {wanted} X\r\nx-by: {name}\r\ncontent-length: {len(body)}\r\n\r\n")
        connection.send(b"" if request.first.startswith("HEAD") else body)

    return reply


def asks(answer, path="/", host="a.com", method="GET", port=80, sni=None, **fields):
    """A question, and what is answered: a service's name for 200 from it, a status for an answer of the gateway's
    own, `CLOSED`, or a dictionary of any of `by`, `status`, `body`, `location`, `path` and `host` (what the service
    saw), `saw` (the values of fields that the service saw) and `fields` (values of the response's fields). Underscores
    in names of `fields` stand for hyphens, and a list for several lines.

    - sni: the server name of TLS; `NONE` for TLS without one, None for clear text.
    """
    if isinstance(answer, str):
        answer = {"by": answer, "status": 200}
    elif isinstance(answer, int):
        answer = {"by": None, "status": answer}
    return Question(answer, path, host, method, port, sni, fields)


CLOSED, NONE = {"closed": True}, object()
CLIENTS = certificates.Authority("client CA")


def trusting(pair=None):
    """The TLS context of a client that looks at no certificate, and shows `pair`."""
    context = certificates.client_context(alpn=("http/1.1",))
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if pair:
        with tempfile.NamedTemporaryFile(suffix=".pem") as file:
            file.write(pair.certificate + pair.key)
            file.flush()
            context.load_cert_chain(file.name)
    return context


class Question:
    """`shown` is the pair that the client shows in TLS; `is_awaited` is for what becomes true after a moment."""

    shown, is_awaited = None, False

    def __init__(self, answer, path, host, method, port, sni, fields):
        self.answer, self.path, self.host, self.method, self.port, self.sni, self.fields = (
            answer, path, host, method, port, sni, fields)

    def showing(self, pair):
        self.shown = pair
        return self

    def awaited(self):
        self.is_awaited = True
        return self

    def is_answered(self, port):
        """Asks, and asserts the answer; `port` is where the proxy listens."""
        if self.is_awaited:
            waiting.until(lambda: self.ask(port) == self.answer, 10, f"{self.answer}")
        found = self.ask(port)
        assert found == self.answer

    def ask(self, port, marked=None):
        """What is answered of that which the case states.

        - marked: a text that the request carries in `x-marked`, so that it can be found at an upstream.
        """
        lines = "".join(
            f"{name.replace('_', '-')}: {value}\r\n" for name, values in self.fields.items()
            for value in (values if isinstance(values, list) else [values]))
        head = f"{self.method} {self.path} HTTP/1.1\r\nHost: {self.host}\r\nx-marked: {marked or uuid.uuid4()}\r\n"
        secure = {} if self.sni is None else {
            "context": trusting(self.shown), "server_name": None if self.sni is NONE else self.sni}
        try:
            response = http1.send(port, f"{head}{lines}\r\n", to=self.method, seconds=20, **secure)
        except (ssl.SSLError, ConnectionError, EOFError):
            return CLOSED
        if "closed" in self.answer:
            return {"closed": False}
        return {key: self._found(key, response) for key in self.answer}

    def _found(self, key, response):
        by = response.value("x-by")
        simple = {"by": by, "status": response.status, "location": response.value("location")}
        if key in simple:
            return simple[key]
        if key == "body":
            return response.body.decode()
        if key == "fields":
            return {name: response.values(name) for name in self.answer["fields"]}
        assert by, f"no upstream answered, but {response.first}"
        seen = json.loads(response.body)
        if key == "path":
            return seen["first"].split(" ")[1]
        values = {}
        for name, value in seen["fields"]:
            values.setdefault(name.lower(), []).append(value)
        if key == "host":
            return values["host"][0]
        return {name: values.get(name, []) for name in self.answer["saw"]}


class Case:
    """`number` is that of Tests/Fixtures/cases.md, with a letter where a row has several configurations.

    - objects: those of the case; the Gateway `gwns/gw` for HTTP on port 80 and all hosts, and the services `a` and `b`
      with one endpoint each are added unless the objects have a Gateway, or a Service of that name.
    - envoy: why a real Envoy is not asked, or answers otherwise; None if it is asked.
    - copies: service → how many copies of the first question come to it, besides answers.
    - check: called with the proxy's port, for what questions cannot say.
    """

    def __init__(self, number, objects_, *questions, envoy=None, copies=None, check=None):
        self.number, self.questions, self.envoy, self.copies, self.check = number, questions, envoy, copies, check
        self.ports = sorted({question.port for question in questions}) or [80]
        self._objects = objects_

    def asserts(self, ports, backends):
        """Asks all; `ports` are the Gateways' ports → where the proxy listens for them."""
        for question in self.questions:
            question.is_answered(ports[question.port])
        if self.check:
            self.check(ports[self.ports[0]])
        if not self.copies:
            return
        mark = str(uuid.uuid4())
        self.questions[0].ask(ports[self.ports[0]], mark)

        def came():
            return {name: sum(each.value("x-marked") == mark for each in [*backends[name].requests])
                    for name in self.copies}

        waiting.until(lambda: came() == self.copies, 10, f"{self.copies} instead of {came()}")

    def objects(self, backends):
        """All objects. `backends` are name → `http1.Upstream`."""
        made = self._objects(backends) if callable(self._objects) else [*self._objects]
        if not any(each["kind"] == "Gateway" for each in made):
            made.append(gateway())
        named = {each["metadata"]["name"] for each in made if each["kind"] == "Service"}
        for name in ("a", "b"):
            if name not in named:
                made += served(name, ("127.0.0.1", backends[name].port))
        return made
