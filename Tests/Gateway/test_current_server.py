"""What a current API server does otherwise than the old one that the tests can build: the fake one plays it."""

import gzip
import json

import pytest

from peers import objects, waiting
from peers.backend import Backend, Caller
from peers.kubernetes import MANAGED, ApiServer, Fault
from test_kubernetes import cluster, reaches, two, watching, weighted  # noqa: F401


@pytest.fixture
def server(tmp_path):
    with ApiServer(tmp_path, current=True) as made:
        yield made


def listed(server, resource):
    """The requests for a list of a resource in pages."""
    return [each for each in server.requests if f"/{resource}?" in each and "watch=1" not in each]


def text_of(gateway):
    return gateway.admin("/config")[1]


def test_lists_come_as_streams_and_go_on_as_watches(server, two):
    server.put(*cluster(two))
    with watching(server) as gateway, Caller(gateway.target) as caller:
        assert reaches(caller, two[0])
        server.put(weighted(0, 100))
        waiting.until(lambda: reaches(caller, two[1]), 5, "the new weights")
        assert not listed(server, "virtualservices") and not listed(server, "pods")
        assert sum("sendInitialEvents=true" in each for each in server.requests) >= 6
        assert ": error: " not in text_of(gateway), text_of(gateway)


def test_quiet_bookmarks_move_the_place_at_which_a_watch_goes_on(server, two):
    server.put(*cluster(two))
    with watching(server) as gateway, Caller(gateway.target) as caller:
        assert reaches(caller, two[0])
        server.version += 1000
        server.bookmark()
        newest, server.oldest = server.version, server.version  # what was before is forgotten
        before = len(server.requests)
        server.put(objects.service("later"))
        waiting.until(lambda: gateway.metric('^portico_kubernetes_objects{kind="Service"}') == 3, 5, "the event")
        server.leave()
        waiting.until(lambda: f"resourceVersion={newest}" in " ".join(server.requests[before:]), 20, "the watch")
        server.put(weighted(0, 100))
        waiting.until(lambda: reaches(caller, two[1]), 20, "what changed afterwards")
        assert not any("sendInitialEvents" in each for each in server.requests[before:]), server.requests[before:]


def test_a_server_that_ends_idle_connections_loses_nothing(server, two):
    server.put(*cluster(two))
    with watching(server) as gateway, Caller(gateway.target) as caller:
        assert reaches(caller, two[0])
        for weights, backend in (((0, 100), two[1]), ((100, 0), two[0])):
            server.leave()
            server.put(weighted(*weights))
            waiting.until(lambda backend=backend: reaches(caller, backend), 20, "the weights")
        assert not any("cannot be reached" in line for line in gateway.errors)


def test_a_server_that_is_too_busy_is_asked_again_after_the_time_it_wants(server, two):
    server.put(*cluster(two))
    busy = Fault("/virtualservices?", times=2, body=json.dumps({
        "kind": "Status", "code": 429, "reason": "TooManyRequests", "details": {"retryAfterSeconds": 1},
        "message": "too many requests, please try again later"}).encode())
    server.faults.append(busy)
    with watching(server) as gateway, Caller(gateway.target) as caller:
        assert reaches(caller, two[0])
        first, second = busy.answered
        assert second - first >= 1


def test_who_manages_fields_is_no_change_and_new_fields_are_notes(server, two):
    service = objects.service("one")
    service["spec"] |= {"internalTrafficPolicy": "Cluster", "trafficDistribution": "PreferSameZone",
                        "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "clusterIPs": ["10.0.0.1"]}
    server.put(*cluster(two), service)
    with watching(server) as gateway, Caller(gateway.target) as caller:
        assert reaches(caller, two[0])
        for severity in ("error", "warning"):
            assert f": {severity}: " not in text_of(gateway), text_of(gateway)
        def loads():
            return sum("objects added" in line for line in gateway.errors)

        before = loads()
        again = weighted(100, 0)
        again["metadata"] |= {"managedFields": [*MANAGED, *MANAGED], "generation": 7}
        server.put(again, weighted(0, 100))  # the first alone would be no load
        waiting.until(lambda: reaches(caller, two[1]), 5, "the weights")
        waiting.until(lambda: loads() == before + 1, 5, "one load")


def test_a_service_without_pods_has_null_endpoints(server, two):
    none = objects.endpoint_slice("one", two[0].address, two[0].port) | {"endpoints": None, "ports": None}
    server.put(objects.gateway(), objects.virtual_service([objects.rule("one")]), objects.service("one"), none)
    with watching(server) as gateway, Caller(gateway.target) as caller:
        assert caller.status("/test.S/M")[0].value[0] == 14
        server.put(objects.endpoint_slice("one", two[0].address, two[0].port))
        waiting.until(lambda: caller.status("/test.S/M")[0].value[0] == 0, 5, "the first pod")
        server.bookmark()  # it has null fields, too
        server.put(none)
        waiting.until(lambda: caller.status("/test.S/M")[0].value[0] == 14, 5, "the last pod's end")


def test_deprecated_endpoints_are_not_asked_for(server, two):
    server.put(*cluster(two), {
        "apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "one"},
        "subsets": [{"addresses": [{"ip": "127.0.0.9"}], "ports": [{"name": "grpc", "port": 1}]}]})
    with watching(server) as gateway, Caller(gateway.target) as caller:
        assert reaches(caller, two[0])
        assert not any("/endpoints?" in each for each in server.requests)
        assert not any("deprecated" in line for line in gateway.errors)


def test_only_json_is_asked_for_as_it_stands(server, two):
    server.put(*cluster(two))
    with watching(server):
        for asked in server.asked:
            assert "accept-encoding" not in asked  # so a long list is not compressed
            forms = [each.split(";")[0] for each in asked["accept"].split(",")]
            assert set(forms) == {"application/json"}, asked


def test_pages_are_of_one_version_and_what_changes_meanwhile_comes_by_the_watch(server, two):
    """A current server serves all pages of a list from one snapshot of its cache, also long after the first."""
    def route(number):
        return objects.virtual_service([objects.rule("one")], name=f"v{number:03}", hosts=[f"h{number}.test"])

    def meanwhile():
        server.put(weighted(0, 100), objects.virtual_service([objects.rule("two")], name="a", hosts=["new.test"]))
        server.delete("VirtualService", "v599")

    server.streams = False
    server.put(*cluster(two), *map(route, range(600)))
    server.after_page = meanwhile
    with watching(server) as gateway, Caller(gateway.target) as caller:
        pages = [each for each in listed(server, "virtualservices") if "limit=500" in each]
        assert len(pages) == 2 and "continue=" in pages[1], pages
        waiting.until(lambda: reaches(caller, two[1]), 20, "the change of an object of the first page")

        def has_both():
            text = gateway.admin("/routes")[1]
            return "new.test" in text and "h598.test" in text and "h599.test" not in text

        waiting.until(has_both, 20, "the object that came and the one that went")
        assert gateway.metric('^portico_kubernetes_objects{kind="VirtualService"}') == 601


def test_discovery_is_asked_for_by_group_and_not_as_a_whole(server, two):
    """Aggregated discovery is for who asks for it: https://kubernetes.io/docs/concepts/overview/kubernetes-api/."""
    server.put(*cluster(two))
    with watching(server):
        paths = [each.partition("?")[0].rstrip("/") for each in server.requests]
        assert "/apis/networking.istio.io" in paths and "/apis/networking.istio.io/v1" in paths
        assert not {"/api", "/apis"} & set(paths)
        assert not any("APIGroupDiscovery" in asked["accept"] for asked in server.asked)


@pytest.mark.parametrize("headers, body, word", [
    ([("content-type", "application/cbor")], b"\xd9\xd9\xf7\xa1", "the server answers in application/cbor"),
    ([("content-type", "application/vnd.kubernetes.protobuf")], b"k8s\0", "application/vnd.kubernetes.protobuf"),
    ([("content-encoding", "gzip")], gzip.compress(b"{}", mtime=0),
     "the server answers in gzip, and JSON was asked for"),
])
def test_other_forms_are_refused_by_their_name(server, two, headers, body, word):
    server.put(*cluster(two))
    server.faults.append(Fault("/services?", 200, body, tuple(headers), times=3))
    with watching(server) as gateway, Caller(gateway.target) as caller:
        assert reaches(caller, two[0])  # it has asked again
        waiting.until(lambda: any(word in line for line in gateway.errors), 5, word)


def test_the_stand_in_of_an_old_server_is_told_apart_from_a_current_one(tmp_path):
    """A server without EndpointSlices has Endpoints, and their deprecation is no news to anybody."""
    with Backend(name="one") as one, ApiServer(tmp_path, current=True) as server:
        server.faults.append(Fault("/apis/discovery.k8s.io", 404, b'{"kind":"Status","code":404}', (), times=1000))
        server.put(objects.gateway(), objects.virtual_service([objects.rule("one")]), objects.service("one"), {
            "apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "one"}, "subsets": [{
                "addresses": [{"ip": one.address}], "ports": [{"name": "grpc", "port": one.port, "protocol": "TCP"}]}]})
        with watching(server) as gateway, Caller(gateway.target) as caller:
            assert caller.status("/test.S/M")[0].value[0] == 0
            assert any("/endpoints?" in each for each in server.requests)
            assert not any("deprecated" in line for line in gateway.errors)
