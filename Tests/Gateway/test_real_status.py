"""`--status-writer` against a real kube-apiserver: who writes what into the status of objects, and when."""

import time

import pytest

from peers import objects, real_cluster, waiting
from peers.backend import Backend

real_cluster.needed()
WRITES = ["--status-writer", "--status-rate", "100"]
CONDITION = "default.portico/InEffect"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with real_cluster.RealCluster(tmp_path_factory.mktemp("cluster") / "run") as made:
        yield made


@pytest.fixture
def cluster(server):
    """The server without objects of an earlier test."""
    server.clear()
    return server


@pytest.fixture
def backend():
    with Backend(name="one") as made:
        yield made


def served(backend):
    return [objects.gateway(), objects.virtual_service([objects.rule("one")]), *objects.served_by("one", backend)]


def condition(cluster, value, kind=CONDITION):
    conditions = cluster.get(value).get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == kind), None)


def says(cluster, value, status, reason=None):
    found = condition(cluster, value)
    return found if found and found["status"] == status and reason in (None, found["reason"]) else None


def broken():
    value = objects.virtual_service([objects.rule("nobody")])
    # A fault that Istio's own definitions of the kinds let pass.
    value["spec"]["http"].append({"match": [{"uri": {"regex": "("}}], "route": [{"destination": {"host": "nobody"}}]})
    return value


def leader(cluster):
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "portico-status"}}
    return cluster.get(lease)["spec"]["holderIdentity"]


def test_the_status_says_what_check_knows_and_only_when_it_changes(cluster, backend):
    gateway_object, routes = served(backend)[:2]
    cluster.put(*served(backend))
    cluster.put(objects.gateway("other", selector={"istio": "another"}))
    with cluster.gateway(arguments=WRITES) as gateway:
        for value in (gateway_object, routes):
            found = waiting.until(lambda: says(cluster, value, "True", "InEffect"), 30, "the condition")
            whole = cluster.get(value)
            assert found["observedGeneration"] == whole["metadata"]["generation"] == 1
            assert whole["status"]["observedGeneration"] == 1 and "validationMessages" not in whole["status"]
        assert condition(cluster, objects.gateway("other")) is None
        writes = gateway.metric(r'^portico_status_writes_total\{result="success"\}')
        assert writes == 2 and gateway.metric("^portico_status_leader") == 1
        # Endpoints change and nothing that a status says.
        cluster.put(objects.endpoint_slice("one", "127.0.0.9", 1, 5))
        cluster.put(broken())
        found = waiting.until(lambda: says(cluster, routes, "False", "OlderVersionInEffect"), 30, "the error")
        assert "spec.http" in found["message"] and found["observedGeneration"] == 2, found
        messages = cluster.get(routes)["status"]["validationMessages"]
        assert {each["type"]["code"] for each in messages} == {"default.portico"}, messages
        assert {each["level"] for each in messages} == {"ERROR"}, messages

        def events():
            found = cluster.request("GET", "/api/v1/namespaces/default/events")[1]["items"]
            return [each for each in found if each["source"].get("component") == "portico"]

        told = waiting.until(events, 10, "the Event")
        assert [each["reason"] for each in told] == ["OlderVersionInEffect"] and told[0]["type"] == "Warning"
        assert told[0]["involvedObject"]["kind"] == "VirtualService" and told[0]["involvedObject"]["name"] == "routes"
        cluster.put(routes)
        waiting.until(lambda: says(cluster, routes, "True", "InEffect"), 30, "the repair")
        assert "validationMessages" not in cluster.get(routes)["status"]
        waiting.until(lambda: len(events()) == 2, 10, "the Event of the repair")
        # Two writes and two Events more, for two changes. They are counted when their answers have come.
        waiting.until(
            lambda: gateway.metric(r'^portico_status_writes_total\{result="success"\}') == writes + 4, 10, "the count")
        assert gateway.metric(r'^portico_status_writes_total\{result="failure"\}') == 0


def delegating(name, space="default"):
    """A VirtualService whose only rule names the delegate `rules`."""
    value = objects.virtual_service([{"delegate": {"name": "rules", "namespace": "default"}}], name, hosts=[
        f"{name}.test"], gateways=["default/edge"], namespace=space)
    return value


def test_a_delegate_says_through_whom_it_is_served(cluster, backend):
    rules = objects.virtual_service([objects.rule("one")], "rules", hosts=(), gateways=())
    own = rules | {"spec": rules["spec"] | {"exportTo": ["."]}}
    first, foreign = delegating("first"), delegating("foreign", "test")
    cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "test"}})
    cluster.put(*served(backend), rules, first, foreign)
    with cluster.gateway(arguments=WRITES) as gateway:
        found = waiting.until(lambda: says(cluster, rules, "True", "InEffect"), 30, "the delegate's condition")
        assert "Its rules are served through default/first, test/foreign." in found["message"], found
        cluster.put(own)  # no more for the namespace `test`
        waiting.until(
            lambda: "It is not exported to the namespace of test/foreign." in condition(cluster, rules)["message"], 30,
            "the namespace that may not use it")
        assert "Its rules are served through default/first.\n" in condition(cluster, rules)["message"]
        cluster.delete(first)
        waiting.until(lambda: says(cluster, rules, "False", "NotExported"), 30, "the end of the only one that may")
        cluster.delete(foreign)
        waiting.until(lambda: says(cluster, rules, "False", "NotNamed"), 30, "the end of the last one")
        assert gateway.metric(r'^portico_status_writes_total\{result="failure"\}') == 0


def test_what_others_write_stays_and_a_fight_is_given_up(cluster, backend):
    gateway_object = served(backend)[0]
    cluster.put(*served(backend))
    theirs = {"type": "Reconciled", "status": "True", "message": "theirs"}
    path = cluster.path(gateway_object, "edge") + "/status"

    def write(conditions):
        code, answer = cluster.request(
            "PATCH", path, {"status": {"conditions": conditions}}, "application/merge-patch+json")
        assert code == 200, answer

    write([theirs])
    with cluster.gateway(arguments=WRITES) as gateway:
        waiting.until(lambda: says(cluster, gateway_object, "True"), 30, "the condition")
        assert condition(cluster, gateway_object, "Reconciled")["message"] == "theirs"
        write([theirs])
        waiting.until(lambda: says(cluster, gateway_object, "True"), 30, "the condition again")
        write([theirs])
        waiting.until(lambda: gateway.metric("^portico_status_contested") == 1, 30, "the end of the fight")
        assert condition(cluster, gateway_object) is None
        changed = "another writer has changed the condition"
        waiting.until(lambda: any(changed in line for line in gateway.errors), 10, "its line")
        assert "1 objects left alone" in gateway.admin("/kubernetes")[1]


def test_one_replica_writes_and_another_takes_over_within_fifteen_seconds(cluster, backend):
    routes = served(backend)[1]
    cluster.put(*served(backend))
    with cluster.gateway(arguments=WRITES) as first:
        waiting.until(lambda: says(cluster, routes, "True"), 30, "the condition")
        with cluster.gateway(arguments=WRITES) as second:
            waiting.until(
                lambda: any("writes the status of objects" in line for line in second.errors), 20, "the Lease")
            assert second.metric("^portico_status_leader") == 0
            holder = leader(cluster)
            first.kill()
            cluster.put(broken())
            started = time.monotonic()
            waiting.until(lambda: second.metric("^portico_status_leader") == 1, 15, "the other replica's turn")
            print(f"took over after {time.monotonic() - started:.1f} s")
            waiting.until(lambda: says(cluster, routes, "False"), 10, "its first write")
            assert leader(cluster) != holder
            waiting.until(lambda: second.metric(r'^portico_status_writes_total\{result="success"\}') == 2, 10,
                          "one status and one Event")
            cluster.put(routes)  # a new process has no older version of it
            waiting.until(lambda: says(cluster, routes, "True"), 10, "the repair")
            with cluster.gateway(arguments=WRITES) as third:
                second.signal(15)
                waiting.until(lambda: third.metric("^portico_status_leader") == 1, 8, "the Lease that was given back")
                assert third.metric(r"^portico_status_writes_total") == 0, "nothing has changed"


def test_the_rate_holds(cluster, backend):
    cluster.put(objects.gateway(), *objects.served_by("one", backend))
    for number in range(40):
        cluster.put(objects.virtual_service([objects.rule("one")], name=f"v{number}", hosts=(f"v{number}.test",)))
    with cluster.gateway(arguments=["--status-writer", "--status-rate", "8"]) as gateway:
        waiting.until(lambda: gateway.metric("^portico_status_writes_total") >= 1, 20, "the first write")
        start, before = time.monotonic(), gateway.metric("^portico_status_writes_total")
        waiting.until(lambda: gateway.metric("^portico_status_writes_total") >= 41, 60, "all writes")
        seconds = time.monotonic() - start
        assert (41 - before) / seconds <= 9, (before, seconds)
