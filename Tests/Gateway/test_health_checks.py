"""Active health checks, which annotations of a Service switch on: `portico.dev/health-check` and its parts."""

import os
import threading

import grpc
import pytest

from peers import http1, objects, waiting
from peers.backend import Backend, Caller
from peers.echo import Echo
from peers.gateway import Gateway, run
from peers.listening import FullQueue, Listener

SANITIZED = "PORTICO_SANITIZER" in os.environ  # a sanitizer keeps what was freed
QUICK = {"interval": "100ms", "timeout": "3s"}  # long enough for a peer on a busy machine
UNHEALTHY = r'^portico_endpoints\{cluster="[^"]*",state="unhealthy"\}'
CHECKS = r'^portico_health_checks_total\{{service="echo.default.svc.cluster.local:50051",result="{}"\}}'


class Patient:
    """An HTTP/1.1 server whose health check is answered with the status of the moment; `calls` counts the rest."""

    def __init__(self, status=200, path="/health", port=0):
        self.status, self.path, self.calls, self.checks = status, path, 0, []
        self.server = http1.Upstream(self.reply, port=port)

    def reply(self, connection, request):
        if request.target == self.path:
            self.checks.append(request)
            connection.send(b"HTTP/1.1 %d X\r\ncontent-length: 0\r\n\r\n" % self.status)
        else:
            self.calls += 1
            connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.stop()


class HealthBackend(Backend):
    """A real gRPC server with the service grpc.health.v1.Health; `health` is by service name, as its enum has it."""

    SERVING, NOT_SERVING = 1, 2

    def __init__(self, health=None, **named):
        self.health, self.asked = {"": self.SERVING} if health is None else health, []
        super().__init__(**named)

    def service(self, details):
        if details.method != "/grpc.health.v1.Health/Check":
            return super().service(details)

        def check(request, context):
            name = request[2:].decode()
            self.asked.append((name, dict(context.invocation_metadata()), context.time_remaining()))
            if name not in self.health:
                context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
            return b"\x08" + bytes([self.health[name]])

        return grpc.unary_unary_rpc_method_handler(check)


def config(*servers, check="http", policy=None, protocol="HTTP", name="http", **annotations):
    """Everything goes to `echo` on these servers, in turn, whose endpoints are checked."""
    made = objects.echo(*servers, protocol=protocol, protocol_name=name)
    for each in made:
        if each["kind"] == "Service" and check:
            each["metadata"]["annotations"] = {"portico.dev/health-check": check} | {
                f"portico.dev/health-check-{key.replace('_', '-')}": value
                for key, value in (QUICK | annotations).items()}
    rule = {"loadBalancer": {"simple": "ROUND_ROBIN"}, **(policy or {})}
    return [*made, objects.destination_rule("echo", trafficPolicy=rule)]


def health(*patients, **named):
    return config(*[each.server for each in patients], path="/health", **named)


def until_unhealthy(gateway, count):
    waiting.until(lambda: gateway.metric(UNHEALTHY) == count, 10, f"{count} unhealthy endpoints")


def spread(gateway, patients, amount=12):
    """How many of so many requests each of them gets; all are answered."""
    before = [each.calls for each in patients]
    for _ in range(amount):
        assert http1.get(gateway.port).status == 200
    return [each.calls - count for each, count in zip(patients, before)]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_endpoint_that_fails_its_check_gets_no_requests_until_it_passes(workers):
    with Patient() as one, Patient() as two, Patient() as three:
        with Gateway(health(one, two, three), workers=workers) as gateway:
            waiting.until(lambda: gateway.metric(CHECKS.format("passed")) >= 6, 10, "checks")
            assert spread(gateway, (one, two, three)) == [4, 4, 4]
            two.status = 503
            until_unhealthy(gateway, 1)
            waiting.until(
                lambda: "fails its health check: GET /health was answered 503" in gateway.said, 10, "its line")
            assert spread(gateway, (one, two, three)) == [6, 0, 6]
            page = gateway.admin("/endpoints")[1]
            assert page.count("health=passing") == 2
            assert f":{two.server.port} " in page and "health=failing, GET /health was answered 503" in page
            two.status = 200
            until_unhealthy(gateway, 0)
            waiting.until(lambda: "passes its health check: it is used" in gateway.said, 10, "its line")
            assert spread(gateway, (one, two, three)) == [4, 4, 4]
            check = two.checks[0]
            assert check.first == "GET /health HTTP/1.1" and check.value("user-agent") == "Portico/HC"
            assert check.value("host") == "echo.default.svc.cluster.local"
            assert gateway.metric(CHECKS.format("failed")) >= 1


def test_an_endpoint_is_checked_once_for_all_workers_and_clusters():
    """One endpoint in two subsets and for four workers is one endpoint."""
    with Patient() as one:
        made = health(one, interval="400ms", jitter="0s")
        made[1]["spec"]["http"][0]["route"] = [
            objects.to("echo", weight=1), objects.to("echo", subset="all", weight=1)]
        made[-1]["spec"]["subsets"] = [{"name": "all", "labels": {}}]
        with Gateway(made, workers=4) as gateway:
            start, seconds = waiting.time.monotonic(), 2.0
            waiting.until(lambda: len(one.checks) >= 5, 20, "five checks")
            assert waiting.time.monotonic() - start > seconds / 2, "five checks take four intervals, less the first"
            assert gateway.metric(UNHEALTHY) == 0


def test_timeouts_count_to_the_threshold_and_recovery_does_too():
    with Patient() as well, Patient() as second, Patient() as sick:
        silent = threading.Event()
        answer = sick.server.reply

        def reply(connection, request):
            if silent.is_set() and request.target == sick.path:
                sick.checks.append(request)
                return
            answer(connection, request)

        sick.server.reply = reply
        annotations = {"timeout": "1s", "unhealthy_threshold": "3", "healthy_threshold": "3"}
        with Gateway(health(well, second, sick, **annotations)) as gateway:
            waiting.until(lambda: sick.checks, 10, "a check")
            silent.set()
            until_unhealthy(gateway, 1)
            waiting.until(lambda: "no answer within 1 s, 3 times in a row" in gateway.said, 10, "its line")
            assert spread(gateway, (well, second, sick))[2] == 0
            passed = len(sick.checks)
            silent.clear()
            until_unhealthy(gateway, 0)
            assert len(sick.checks) - passed >= 3


def test_all_are_used_when_fewer_than_half_are_well_and_none_when_the_policy_says_so():
    with Patient() as one, Patient() as two, Patient() as three:
        with Gateway(health(one, two, three)) as gateway:
            one.status = two.status = 503
            until_unhealthy(gateway, 2)
            waiting.until(lambda: "too few endpoints are well: all are used" in gateway.said, 10, "the panic's line")
            assert spread(gateway, (one, two, three)) == [4, 4, 4]
            strict = {"outlierDetection": {"minHealthPercent": 0}}
            gateway.write(health(one, two, three, policy=strict))
            gateway.reload()
            assert spread(gateway, (one, two, three)) == [0, 0, 12]
            three.status = 503
            until_unhealthy(gateway, 3)
            answer = http1.get(gateway.port)
            assert (answer.status, answer.body) == (503, b"no healthy upstream")
            three.status = 200
            until_unhealthy(gateway, 2)
            assert spread(gateway, (one, two, three)) == [0, 0, 12]


def test_a_new_endpoint_is_used_when_it_has_passed_its_first_check():
    with Patient() as old, Patient(503) as new:
        with Gateway(health(old)) as gateway:
            waiting.until(lambda: old.checks, 10, "a check")
            gateway.write(health(old, new, policy={"outlierDetection": {"minHealthPercent": 0}}))
            gateway.reload()
            assert spread(gateway, (old, new)) == [12, 0]
            waiting.until(lambda: "answered 503" in gateway.admin("/endpoints")[1], 10, "its first check")
            assert spread(gateway, (old, new)) == [12, 0]
            new.status = 200
            until_unhealthy(gateway, 0)
            assert spread(gateway, (old, new)) == [6, 6]


def test_an_only_new_endpoint_is_used_at_once():
    """There is nobody else to use, so nobody waits for its first check."""
    with Patient() as one:
        hold = threading.Event()
        answer = one.server.reply

        def reply(connection, request):
            if request.target == one.path:
                hold.wait(60)
            answer(connection, request)

        one.server.reply = reply
        try:
            with Gateway(health(one, timeout="30s", policy={"outlierDetection": {}})) as gateway:
                assert spread(gateway, [one]) == [12]
                assert "health=unchecked" in gateway.admin("/endpoints")[1]
        finally:
            hold.set()


def test_a_reload_without_the_annotation_ends_the_checks_and_their_effect():
    with Patient() as one, Patient() as two, Patient(503) as three:
        with Gateway(health(one, two, three)) as gateway:
            until_unhealthy(gateway, 1)
            assert spread(gateway, (one, two, three))[2] == 0
            gateway.write(health(one, two, three, check=None))
            gateway.reload()
            assert spread(gateway, (one, two, three)) == [4, 4, 4]
            assert "portico_health_checks_total{" not in gateway.metrics()
            assert "health=" not in gateway.admin("/endpoints")[1]
            count = waiting.steady(lambda: len(three.checks), 1.0, 10, "the checks")
            gateway.write(health(one, two, three))
            gateway.reload()
            waiting.until(lambda: len(three.checks) > count, 10, "checks again")
            until_unhealthy(gateway, 1)


def test_a_passed_check_ends_an_ejection():
    """As Envoy does (`successful_active_health_check_uneject_host`), at the next look at ejections."""
    detection = {"consecutive5xxErrors": 1, "interval": "200ms", "baseEjectionTime": "1h", "maxEjectionPercent": 100}
    with Patient() as one, Patient() as two:
        sick = threading.Event()
        answer = two.server.reply

        def reply(connection, request):
            if sick.is_set() and request.target != two.path:
                sick.clear()
                return connection.send(b"HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n")
            return answer(connection, request)

        two.server.reply = reply
        with Gateway(health(one, two, policy={"outlierDetection": detection})) as gateway:
            sick.set()
            statuses = [http1.get(gateway.port).status for _ in range(4)]
            assert statuses.count(500) == 1
            waiting.until(lambda: "is ejected for" in gateway.said, 10, "the ejection")
            waiting.until(lambda: "is used again" in gateway.said, 10, "its end, an hour early")


@pytest.mark.parametrize("service", ["", "echo.Echo"])
def test_grpc_health(service):
    with HealthBackend({service: 1}) as one, HealthBackend({service: 1}) as two, HealthBackend({service: 1}) as three:
        backends = (one, two, three)
        named = {"service": service} if service else {}
        with Gateway(config(*backends, check="grpc", protocol="GRPC", name="grpc", **named)) as gateway:
            with Caller(gateway.target) as caller:
                def counts():
                    for each in backends:
                        each.clear()
                    for _ in range(12):
                        caller.unary()
                    return [len(each.calls) for each in backends]

                waiting.until(lambda: gateway.metric(CHECKS.format("passed")) >= 3, 10, "checks")
                assert counts() == [4, 4, 4]
                two.health[service] = HealthBackend.NOT_SERVING
                until_unhealthy(gateway, 1)
                waiting.until(lambda: "the server says NOT_SERVING" in gateway.said, 10, "its line")
                assert counts() == [6, 0, 6]
                two.health[service] = HealthBackend.SERVING
                until_unhealthy(gateway, 0)
                del three.health[service]
                until_unhealthy(gateway, 1)
                waiting.until(lambda: "grpc-status 5" in gateway.said, 10, "its line")
                assert counts() == [6, 6, 0]
            name, metadata, remaining = one.asked[0]
            assert name == service and metadata["user-agent"] == "Portico/HC"
            assert 0 < remaining <= 3


def test_a_server_without_grpc_health_is_named():
    with Backend() as bare, HealthBackend() as one, HealthBackend() as two:
        bare.service = lambda details: None  # UNIMPLEMENTED, as a server answers that does not know the service
        with Gateway(config(bare, one, two, check="grpc", protocol="GRPC", name="grpc")) as gateway:
            until_unhealthy(gateway, 1)
            waiting.until(lambda: "has no grpc.health.v1.Health" in gateway.said, 10, "its line")


def test_tcp():
    with Patient() as one, Patient() as two:
        port = waiting.free_port()
        gone = Patient(port=port)
        with Gateway(config(one.server, two.server, gone.server, check="tcp")) as gateway:
            waiting.until(lambda: gateway.metric(CHECKS.format("passed")) >= 3, 10, "checks")
            gone.server.stop()
            until_unhealthy(gateway, 1)
            waiting.until(lambda: "connection refused, 3 times in a row" in gateway.said, 10, "its line")
            assert spread(gateway, (one, two)) == [6, 6]
            with Patient(port=port) as back:
                until_unhealthy(gateway, 0)
                assert spread(gateway, (one, two, back)) == [4, 4, 4]


def test_a_port_of_its_own_is_checked():
    with Patient() as one, Patient(503) as health_port:
        made = config(one.server, path="/health", port=str(health_port.server.port),
                      policy={"outlierDetection": {"minHealthPercent": 0}})
        with Gateway(made) as gateway:
            until_unhealthy(gateway, 1)
            assert http1.get(gateway.port).status == 503
            health_port.status = 200
            until_unhealthy(gateway, 0)
            assert spread(gateway, [one]) == [12] and not one.checks


def test_a_changed_check_does_not_wait_for_the_old_one():
    with Patient() as one, Listener(lambda *_: None) as silent:
        with Gateway(config(one.server, path="/health", port=str(silent.port), timeout="1m")) as gateway:
            waiting.until(lambda: silent.sockets, 10, "the first check, which is never answered")
            gateway.write(config(one.server, path="/health", timeout="1m"))
            gateway.reload()
            waiting.until(lambda: one.checks, 5, "a check at the other port, while the first one could take a minute")


def test_a_check_never_reaches_this_gateways_own_admin_port():
    with Patient() as one:
        with Gateway(health(one)) as gateway:
            gateway.write(config(one.server, path="/reload", port=str(gateway.admin_port)))
            gateway.reload()
            assert "health=" not in gateway.admin("/endpoints")[1]
            assert spread(gateway, [one]) == [12]


def test_http2_is_spoken_to_a_port_that_speaks_it():
    with Echo() as one:
        made = config(one, protocol="GRPC", name="grpc", path="/x")
        with Gateway(made) as gateway:
            waiting.until(lambda: gateway.metric(CHECKS.format("passed")) >= 1, 10, "a passed check")
            assert gateway.metric(UNHEALTHY) == 0


@pytest.mark.parametrize("answer", [
    b"\x00\xff garbage \x80" * 100, b"", b"HTTP/1.1 200", b"HTTP/1.1 100 X\r\n\r\n" * 1000,
    b"HTTP/1.1 200 OK\r\n" + b"a: " + b"b" * 100_000, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"HTTP/1.1 999 X\r\n\r\n",
    b"SSH-2.0-OpenSSH_9\r\n",
])
@pytest.mark.parametrize("check", ["http", "grpc"])
def test_answers_that_are_none_fail_the_check(answer, check):
    def serve(connection, _number):
        connection.recv(65536)
        connection.sendall(answer)
        connection.close()

    with Patient() as one, Patient() as two, Listener(serve) as bad:
        form = {"protocol": "GRPC", "name": "grpc"} if check == "grpc" else {"path": "/health"}
        servers = [one.server, two.server, bad] if check == "http" else [bad]
        with Gateway(config(*servers, check=check, **form)) as gateway:
            until_unhealthy(gateway, 1)
            waiting.until(lambda: "fails its health check" in gateway.said, 10, "its line")


def test_endless_answers_and_silent_servers_cost_no_memory_and_no_time():
    over = threading.Event()

    def endless(connection, _number):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n")
        while not over.is_set():
            connection.sendall(b"x: " + b"y" * 65536)

    def silent(connection, _number):
        over.wait(60)

    with Patient() as one, Listener(endless) as first, Listener(silent) as second, FullQueue() as third:
        with Gateway(config(one.server, first, second, third, path="/health",
                            policy={"outlierDetection": {"minHealthPercent": 0}})) as gateway:
            try:
                until_unhealthy(gateway, 3)
                before = gateway.memory_octets()
                failed = gateway.metric(CHECKS.format("failed"))
                waiting.until(lambda: gateway.metric(CHECKS.format("failed")) >= failed + 30, 30, "more checks")
                assert SANITIZED or gateway.memory_octets() - before < 8 << 20
                assert spread(gateway, [one]) == [12]
            finally:
                over.set()


def test_many_endpoints_are_checked_few_at_a_time():
    """2,000 endpoints on one server: no more than 128 connections at once, and all are checked."""
    with Listener(lambda connection, _number: connection.close(), "0.0.0.0") as many:
        made = config(check="tcp", interval="1s", timeout="10s")
        for number in range(20):
            entry = objects.endpoint_slice("echo", "127.0.0.1", many.port, number, "http")
            entry["endpoints"] = [
                {"addresses": [f"127.1.{number}.{host}"], "conditions": {"ready": True}} for host in range(1, 101)]
            made.append(entry)
        with Gateway(made) as gateway:
            waiting.until(lambda: gateway.metric(CHECKS.format("passed")) >= 6000, 90, "three rounds")
            assert gateway.metric(UNHEALTHY) == 0
            assert gateway.open_files() < 400


def test_a_value_that_is_wrong_is_an_error_at_its_place(tmp_path):
    file = tmp_path / "objects.yaml"
    with Patient() as one:
        file.write_text(objects.text(health(one, interval="soon")))
    result = run("check", file)
    line = next(number for number, text in enumerate(file.read_text().splitlines(), 1) if "soon" in text)
    assert result.returncode != 0
    assert f"objects.yaml:{line}:" in result.stdout and "are not checked" in result.stdout


def test_routes_show_the_checks(tmp_path):
    file = tmp_path / "objects.yaml"
    with Patient() as one:
        file.write_text(objects.text(health(one)))
    shown = run("routes", file).stdout
    assert "healthCheck: method http, path /health, statuses 200, interval 100ms, timeout 3s" in shown
