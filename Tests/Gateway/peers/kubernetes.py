"""A fake API server of Kubernetes: HTTP/2 in TLS, lists in pages, watches, discovery, refusals. It can go away and come
back on the same port with what it had. It answers as an old server does, or as a current one (1.36); and it can send
objects that no server should have."""

import base64
import dataclasses
import gzip
import json
import pathlib
import threading
import time
import urllib.parse

import h2.config
import h2.connection
import h2.events
import yaml

from peers import certificates, secure
from peers.listening import Listener

ISTIO = ["gateways", "virtualservices", "destinationrules", "serviceentries", "workloadentries"]
POLICIES = {"AuthorizationPolicy": "authorizationpolicies", "RequestAuthentication": "requestauthentications"}
PLURALS = {"ServiceEntry": "serviceentries", "WorkloadEntry": "workloadentries", "Endpoints": "endpoints", **POLICIES}
GROUPS = {"networking.istio.io": {"v1": ISTIO}, "discovery.k8s.io": {"v1": ["endpointslices"]}}
# What a current server says with each answer: API Priority and Fairness, and that nobody may keep it.
HEADERS = [
    ("audit-id", "8a6f2b1c-0000-4000-8000-000000000000"), ("cache-control", "no-cache, private"),
    ("x-kubernetes-pf-flowschema-uid", "0f4d6f0a-0000-4000-8000-000000000000"),
    ("x-kubernetes-pf-prioritylevel-uid", "7b0cbb9e-0000-4000-8000-000000000000")]
OLD_ENDPOINTS = '299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"'
# What the server notes of who has written which field: hundreds of octets in each object.
MANAGED = [{"manager": "kubectl", "operation": "Update", "apiVersion": "v1", "time": "2026-11-27T12:00:00Z",
            "fieldsType": "FieldsV1", "fieldsV1": {"f:metadata": {"f:annotations": {".": {}}}, "f:spec": {"k:{}": {}}}}]


def plural(kind):
    return PLURALS.get(kind, kind.lower() + "s")


class Raw(dict):
    """An object that is sent as these octets, whatever they are, but for `@VERSION@`, which becomes its version. As a
    dict it has the metadata that the server needs."""

    def __init__(self, kind, name, octets, namespace="default"):
        super().__init__(kind=kind, metadata={"name": name, "namespace": namespace})
        self.octets = octets


@dataclasses.dataclass
class Fault:
    """An answer in the place of the right one, to requests whose target has `part`."""

    part: str
    status: int = 429
    body: bytes = b'{"kind":"Status","code":429,"reason":"TooManyRequests","message":"too many requests"}'
    headers: tuple = (("retry-after", "1"),)
    times: int = 1
    answered: list = dataclasses.field(default_factory=list)  # when


class Connection:
    """One client: answers its requests, and writes what its windows take."""

    def __init__(self, server, socket):
        self.server, self.socket, self.lock = server, socket, threading.RLock()
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.waiting, self.ended = {}, set()  # octets by stream; streams that end behind them

    def run(self):
        with self.lock:
            self.h2.initiate_connection()
            self._flush()
        while octets := self.socket.recv(65536):
            with self.lock:
                events = self.h2.receive_data(octets)
                for event in events:
                    if isinstance(event, h2.events.StreamReset):
                        self.waiting.pop(event.stream_id, None)
                self._flush()
            # Without the lock: whoever changes an object has the server's, and wants this one.
            for event in events:
                self._act(event)
            with self.lock:
                self._flush()

    def _act(self, event):
        if isinstance(event, h2.events.RequestReceived):
            headers = dict(event.headers)
            self.server.answer(self, event.stream_id, headers[":path"], headers)
        elif isinstance(event, h2.events.StreamReset):
            self.server.forget(self, event.stream_id)

    def begin(self, stream, status, headers=()):
        named = {"content-type": "application/json"} | dict(self.server.headers) | dict(headers)
        with self.lock:
            self.h2.send_headers(stream, [(":status", str(status)), *named.items()])
            self.waiting[stream] = bytearray()

    def leave(self):
        """Ends the connection as a server does that closes idle ones: with GOAWAY, then the socket."""
        with self.lock:
            self.h2.close_connection()
            self._flush()
            self.socket.close()

    def write(self, stream, octets, ends=False):
        with self.lock:
            if stream in self.waiting:
                self.waiting[stream] += octets
                if ends:
                    self.ended.add(stream)
                self._flush()

    def _flush(self):
        for stream, octets in list(self.waiting.items()):
            while octets:
                room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size, len(octets))
                if room <= 0:
                    break
                self.h2.send_data(stream, bytes(octets[:room]))
                del octets[:room]
            if not octets and stream in self.ended:
                self.h2.end_stream(stream)
                self.ended.discard(stream)
                del self.waiting[stream]
        self.socket.sendall(self.h2.data_to_send())


class ApiServer:
    """`put` and `delete` change objects as kubectl does. `refused` has plurals, or names of Secrets, that are answered
    403; `faults` are answered in turn; `requests` has the paths that came, `asked` their header fields.

    A `current` server streams lists, notes who manages which fields, and says more in its header fields."""

    def __init__(self, folder, *objects, current=False):
        self.folder, self.lock, self.version = pathlib.Path(folder), threading.RLock(), 1
        self.objects, self.history, self.watches = {}, {}, {}
        self.refused, self.requests, self.asked, self.faults = set(), [], [], []
        self.current, self.headers, self.connections = current, HEADERS if current else [], []
        self.oldest = 0  # versions that are forgotten: a watch from before is answered with 410
        self.groups = dict(GROUPS)
        self.endless = set()  # whose lists have a next page always
        self.snapshots = {}  # the objects of lists that go on, by resource and version
        self.streams = current  # whether a list may be streamed
        self.after_page = None  # called once, when a page was sent that is not the last one
        pair = certificates.authority().issue("localhost")
        self.context = secure.server_context(self.folder, pair, alpn=["h2"])
        self.listener, self.port = None, 0
        for each in objects:
            self.put(each)
        self.start()

    def start(self):
        self.listener = Listener(self._serve, port=self.port)
        self.port = self.listener.port

    def stop(self):
        self.listener.stop()
        with self.lock:
            self.watches.clear()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def _serve(self, plain, _):
        encrypted = self.context.wrap_socket(plain, server_side=True)
        self.listener.sockets.append(encrypted)
        self.connections.append(Connection(self, encrypted))
        self.connections[-1].run()

    def kubeconfig(self):
        """The path of a file that names this server."""
        authority = base64.b64encode(certificates.authority().certificate).decode()
        cluster = {
            "server": f"https://127.0.0.1:{self.port}", "certificate-authority-data": authority,
            "tls-server-name": "localhost"}
        text = yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "fake", "cluster": cluster}], "users": [{"name": "gateway", "user": {"token": "t"}}],
            "contexts": [{"name": "test", "context": {"cluster": "fake", "user": "gateway"}}]})
        return secure.put(self.folder, "kubeconfig", text.encode())

    # Objects

    def put(self, *objects):
        for each in objects:
            with self.lock:
                self.version += 1
                metadata = {"namespace": "default", **each["metadata"], "resourceVersion": str(self.version)}
                if self.current:
                    metadata.setdefault("managedFields", MANAGED)
                resource, key = plural(each["kind"]), (metadata["namespace"], metadata["name"])
                known = self.objects.setdefault(resource, {})
                kind = "MODIFIED" if key in known else "ADDED"
                known[key] = {**each, "metadata": metadata}
                if isinstance(each, Raw):
                    octets = each.octets.replace(b"@VERSION@", str(self.version).encode())
                    known[key] = Raw(each["kind"], key[1], octets, key[0])
                self._tell(resource, kind, key, known[key])

    def delete(self, kind, name, namespace="default"):
        with self.lock:
            self.version += 1
            gone = self.objects[plural(kind)].pop((namespace, name))
            gone = {**gone, "metadata": {**gone["metadata"], "resourceVersion": str(self.version)}}
            self._tell(plural(kind), "DELETED", (namespace, name), gone)

    def _tell(self, resource, kind, key, value):
        self.history.setdefault(resource, []).append((self.version, kind, key, value))
        for (connection, stream), (watched, wanted, partial) in list(self.watches.items()):
            if watched == resource and wanted(key):
                try:
                    connection.write(stream, self._line(kind, value, partial))
                except OSError:
                    self.watches.pop((connection, stream), None)

    def bookmark(self, version=None, **metadata):
        """Tells all watches a version, as a server does when nothing has happened for a minute."""
        with self.lock:
            metadata = {"resourceVersion": str(version or self.version), "creationTimestamp": None, **metadata}
            value = {"metadata": metadata, "endpoints": None, "ports": None, "spec": {}}
            for connection, stream in list(self.watches):
                connection.write(stream, self._line("BOOKMARK", value, False))

    def send(self, resource, octets):
        """Sends octets to the watches of a resource, whatever they are."""
        with self.lock:
            for (connection, stream), (watched, _, _) in list(self.watches.items()):
                if watched == resource:
                    connection.write(stream, octets)

    def leave(self):
        """Ends all connections in order."""
        with self.lock:
            self.watches.clear()
        for each in self.connections:
            try:
                each.leave()
            except OSError:
                pass  # this one is over

    @staticmethod
    def _line(kind, value, partial):
        return b'{"type":"%s","object":%s}\n' % (kind.encode(), ApiServer._octets(value, partial))

    @staticmethod
    def _octets(value, partial):
        return value.octets if isinstance(value, Raw) else json.dumps(ApiServer._form(value, partial)).encode()

    @staticmethod
    def _form(value, partial):
        if not partial:
            return value
        return {"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": value["metadata"]}

    def forget(self, connection, stream):
        with self.lock:
            self.watches.pop((connection, stream), None)

    # Answers

    def answer(self, connection, stream, target, headers):
        path, _, text = target.partition("?")
        query = dict(urllib.parse.parse_qsl(text))
        self.requests.append(target)
        self.asked.append(headers)
        for fault in self.faults:
            if fault.times > 0 and fault.part in target:
                fault.times -= 1
                fault.answered.append(time.monotonic())
                connection.begin(stream, fault.status, fault.headers)
                return connection.write(stream, fault.body, ends=True)
        parts = path.strip("/").split("/")
        if parts[0] == "apis":
            versions = self.groups.get(parts[1])
            if versions is None:
                return self._status(connection, stream, 404, "no group")
            if len(parts) == 2:
                found = [{"groupVersion": f"{parts[1]}/{each}", "version": each} for each in versions]
                return self._whole(connection, stream, 200, {"kind": "APIGroup", "versions": found})
            if len(parts) == 3:
                found = [{"name": each} for each in versions[parts[2]]]
                return self._whole(connection, stream, 200, {"resources": found})
            parts = parts[1:]
        self._resources(connection, stream, parts[2:], query, "PartialObjectMetadata" in headers.get("accept", ""))

    def _resources(self, connection, stream, parts, query, partial):
        namespace = None
        if parts[0] == "namespaces" and len(parts) > 2:
            namespace, parts = parts[1], parts[2:]
        name = parts[1] if len(parts) > 1 else query.get("fieldSelector", "").partition("=")[2] or None
        if parts[0] in self.refused or name in self.refused:
            return self._status(connection, stream, 403, "no right")
        with self.lock:
            known = self.objects.get(parts[0], {})
            if len(parts) > 1:
                found = known.get((namespace, name))
                if found is None:
                    return self._status(connection, stream, 404, "not found")
                return self._whole(connection, stream, 200, found)

            def wanted(key):
                return namespace in (None, key[0]) and name in (None, key[1])

            if "sendInitialEvents" in query and not self.streams:
                return self._status(connection, stream, 422, "resourceVersionMatch is forbidden for watch")
            if "watch" not in query:
                return self._list(connection, stream, parts[0], wanted, query, partial)
            connection.begin(stream, 200, self._warning(parts[0]))
            since = int(query.get("resourceVersion", 0))
            if "sendInitialEvents" in query:
                for key in sorted(key for key in known if wanted(key)):
                    connection.write(stream, self._line("ADDED", known[key], partial))
                end = {"metadata": {"resourceVersion": str(self.version), "annotations": {
                    "k8s.io/initial-events-end": "true"}}, "endpoints": None, "ports": None}
                connection.write(stream, self._line("BOOKMARK", end, False))
                since = self.version
            elif 0 < since < self.oldest:
                status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
                return connection.write(stream, self._line("ERROR", status, False), ends=True)
            for version, kind, key, value in self.history.get(parts[0], []):
                if version > since and wanted(key):
                    connection.write(stream, self._line(kind, value, partial))
            self.watches[connection, stream] = (parts[0], wanted, partial)

    def _list(self, connection, stream, resource, wanted, query, partial):
        if int(query.get("resourceVersion", 0)) > self.version:
            return self._status(connection, stream, 504, "Timeout: Too large resource version")
        version, _, first = query.get("continue", f"{self.version}.0").partition(".")
        # All pages are of one version, whatever has happened since the first one.
        known = self.snapshots.get((resource, version)) or dict(self.objects.get(resource, {}))
        keys, first = sorted(key for key in known if wanted(key)), int(first or 0)
        last = first + int(query.get("limit", len(keys) or 1))
        metadata = {"resourceVersion": version}
        if last < len(keys):
            self.snapshots[resource, version] = known
            metadata |= {"continue": f"{version}.{last}", "remainingItemCount": len(keys) - last}
        if resource in self.endless:
            metadata["continue"] = "0"
        items = []
        for key in keys[first:last]:
            if isinstance(known[key], Raw):
                items.append(known[key].octets)
                continue
            item = dict(self._form(known[key], partial))
            item.pop("kind", None)
            item.pop("apiVersion", None)
            items.append(json.dumps(item).encode())
        octets = b'{"kind":"List","metadata":%s,"items":[%s]}' % (json.dumps(metadata).encode(), b",".join(items))
        headers = self._warning(resource)
        # A list of more than 128 KiB is compressed for whoever takes that.
        if self.current and len(octets) > 131_072 and "gzip" in self.asked[-1].get("accept-encoding", ""):
            octets, headers = gzip.compress(octets), [*headers, ("content-encoding", "gzip")]
        connection.begin(stream, 200, headers)
        connection.write(stream, octets, ends=True)
        if last < len(keys) and self.after_page:
            after, self.after_page = self.after_page, None
            after()

    def _warning(self, resource):
        return [("warning", OLD_ENDPOINTS)] if self.current and resource == "endpoints" else []

    def _status(self, connection, stream, code, message):
        self._whole(connection, stream, code, {"kind": "Status", "code": code, "message": message})

    @staticmethod
    def _whole(connection, stream, status, value):
        connection.begin(stream, status)
        connection.write(stream, json.dumps(value).encode(), ends=True)
