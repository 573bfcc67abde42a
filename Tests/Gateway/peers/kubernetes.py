"""A fake API server of Kubernetes: HTTP/2 in TLS, lists in pages, watches, discovery, refusals. It can go away and come
back on the same port with what it had."""

import base64
import json
import pathlib
import threading
import urllib.parse

import h2.config
import h2.connection
import h2.events
import yaml

from peers import certificates, secure
from peers.listening import Listener

ISTIO = ["gateways", "virtualservices", "destinationrules", "serviceentries", "workloadentries"]
PLURALS = {"ServiceEntry": "serviceentries", "WorkloadEntry": "workloadentries", "Endpoints": "endpoints"}
GROUPS = {"networking.istio.io": {"v1": ISTIO}, "discovery.k8s.io": {"v1": ["endpointslices"]}}


def plural(kind):
    return PLURALS.get(kind, kind.lower() + "s")


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
                for event in self.h2.receive_data(octets):
                    self._act(event)
                self._flush()

    def _act(self, event):
        if isinstance(event, h2.events.RequestReceived):
            headers = dict(event.headers)
            self.server.answer(self, event.stream_id, headers[":path"], headers)
        elif isinstance(event, (h2.events.StreamReset, h2.events.StreamEnded)):
            if isinstance(event, h2.events.StreamReset):
                self.waiting.pop(event.stream_id, None)
                self.server.forget(self, event.stream_id)

    def begin(self, stream, status):
        with self.lock:
            self.h2.send_headers(stream, [(":status", str(status)), ("content-type", "application/json")])
            self.waiting[stream] = bytearray()

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
    403; `requests` has the paths that came."""

    def __init__(self, folder, *objects):
        self.folder, self.lock, self.version = pathlib.Path(folder), threading.RLock(), 1
        self.objects, self.history, self.watches = {}, {}, {}
        self.refused, self.requests = set(), []
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
        Connection(self, encrypted).run()

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
                resource, key = plural(each["kind"]), (metadata["namespace"], metadata["name"])
                known = self.objects.setdefault(resource, {})
                kind = "MODIFIED" if key in known else "ADDED"
                known[key] = {**each, "metadata": metadata}
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

    @staticmethod
    def _line(kind, value, partial):
        return json.dumps({"type": kind, "object": ApiServer._form(value, partial)}).encode() + b"\n"

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
        parts = path.strip("/").split("/")
        if parts[0] == "apis":
            versions = GROUPS.get(parts[1])
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

            if "sendInitialEvents" in query:
                return self._status(connection, stream, 422, "resourceVersionMatch is forbidden for watch")
            if "watch" not in query:
                return self._list(connection, stream, known, wanted, query, partial)
            connection.begin(stream, 200)
            since = int(query.get("resourceVersion", 0))
            for version, kind, key, value in self.history.get(parts[0], []):
                if version > since and wanted(key):
                    connection.write(stream, self._line(kind, value, partial))
            self.watches[connection, stream] = (parts[0], wanted, partial)

    def _list(self, connection, stream, known, wanted, query, partial):
        keys = sorted(key for key in known if wanted(key))
        first = int(query.get("continue", 0))
        last = first + int(query.get("limit", len(keys) or 1))
        metadata = {"resourceVersion": str(self.version)}
        if last < len(keys):
            metadata["continue"] = str(last)
        items = []
        for key in keys[first:last]:
            item = dict(self._form(known[key], partial))
            item.pop("kind", None)
            item.pop("apiVersion", None)
            items.append(item)
        self._whole(connection, stream, 200, {"kind": "List", "metadata": metadata, "items": items})

    def _status(self, connection, stream, code, message):
        self._whole(connection, stream, code, {"kind": "Status", "code": code, "message": message})

    @staticmethod
    def _whole(connection, stream, status, value):
        connection.begin(stream, status)
        connection.write(stream, json.dumps(value).encode(), ends=True)
