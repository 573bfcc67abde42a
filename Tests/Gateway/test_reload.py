"""SIGHUP: read, check, compile, publish; what runs is not touched, what breaks keeps its last good version."""

import json
import os
import signal
import socket
import ssl
import threading

import pytest

from peers import certificates, http1, http2, objects, waiting
from peers.backend import Backend, Caller
from peers.gateway import MOUNTS, Gateway, run
from test_tls import handshake


@pytest.fixture
def two():
    with Backend(name="one") as one, Backend(name="two") as two:
        yield one, two


def routes(*names, extra=()):
    """/one.S to the service `one`, and so on, as many as are named."""
    return [
        objects.gateway(),
        objects.virtual_service([
            objects.rule(name, match=[{"uri": {"prefix": f"/{name}.S/"}}]) for name in names]),
        *extra,
    ]


def services(two):
    return [*objects.served_by("one", two[0]), *objects.served_by("two", two[1])]


def named(name, port):
    """A route to a name that DNS resolves."""
    entry = {"apiVersion": objects.NETWORKING, "kind": "ServiceEntry", "metadata": {"name": "out"},
             "spec": {"hosts": [name], "resolution": "DNS",
                      "ports": [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": port}]}}
    return [objects.gateway(), objects.virtual_service([objects.rule(name, retries={"attempts": 0})]), entry]


@pytest.mark.skipif(not MOUNTS, reason="names cannot be given to the gateway's resolver here")
def test_readiness_waits_for_the_names_of_the_first_load():
    """A server of names that says nothing is asked for five seconds."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.1.53", 53))
        with Gateway(named("slow.ext.test", 80), nameserver="127.0.1.53", ready=False) as gateway:
            said = []

            def is_resolving():
                try:
                    said.append(gateway.status("/healthz/ready"))
                except OSError:
                    return False
                assert said[-1][0] == 503, said
                return "resolving names" in said[-1][1]

            waiting.until(is_resolving, 15, "a gateway that is not ready")
            gateway.wait_ready(60)


@pytest.mark.skipif(not MOUNTS, reason="names cannot be given to the gateway's resolver here")
def test_a_route_that_leads_to_a_new_name_takes_effect_with_its_addresses():
    """Each reload leads the route to a name that was never looked up: no request in between finds no endpoint."""
    names, failures, over = [f"n{number}.ext.test" for number in range(8)], [], threading.Event()

    def ask(port):
        while not over.is_set():
            answer = http1.get(port, "/", "a.test")
            if answer.status != 200:
                failures.append(answer.status)

    with http1.Upstream() as upstream:
        hosts = [(name, upstream.address) for name in names]
        with Gateway(named(names[0], upstream.port), hosts=hosts, arguments=["--local-endpoints", "on"]) as gateway:
            waiting.until(lambda: http1.get(gateway.port, "/", "a.test").status == 200, 10, "the first name's address")
            asking = [threading.Thread(target=ask, args=[gateway.port]) for _ in range(3)]
            for thread in asking:
                thread.start()
            try:
                for name in names[1:]:
                    gateway.write(named(name, upstream.port))
                    gateway.reload()
            finally:
                over.set()
                for thread in asking:
                    thread.join(60)
            assert name in gateway.admin("/config")[1] + gateway.admin("/endpoints")[1]
    assert not failures, (len(failures), failures[:3])


def test_a_new_route_serves_requests_of_an_old_connection(two):
    with Gateway(routes("one", extra=services(two))) as gateway, Caller(gateway.target) as caller:
        assert caller.status("/two.S/M")[0].value[0] == 12
        gateway.write(routes("one", "two", extra=services(two)))
        gateway.reload()
        waiting.until(lambda: caller.status("/two.S/M")[0].value[0] == 0, 5, "the new route")
        assert len({call.peer for call in two[1].calls}) == 1


def test_a_route_that_went_is_gone(two):
    with Gateway(routes("one", "two", extra=services(two))) as gateway, Caller(gateway.target) as caller:
        caller.unary("/two.S/M")
        gateway.write(routes("one", extra=services(two)))
        gateway.reload()
        waiting.until(lambda: caller.status("/two.S/M")[0].value[0] == 12, 5, "the old route's end")
        caller.unary("/one.S/M")


def test_a_stream_that_runs_is_not_touched(two):
    with Gateway(routes("one", extra=services(two))) as gateway, Caller(gateway.target) as caller:
        asked = threading.Semaphore(0)

        def messages():
            for number in range(4):
                assert asked.acquire(timeout=60)
                yield b"%d" % number

        replies = caller.chat(messages(), "/one.S/Chat")
        asked.release()
        assert next(replies) == b"0"
        gateway.write(routes("two", extra=services(two)))
        gateway.reload()
        for number in (1, 2, 3):
            asked.release()
            assert next(replies) == b"%d" % number
        assert list(replies) == []
        assert caller.status("/one.S/M")[0].value[0] == 12


def test_new_endpoints_are_used(two):
    with Gateway(objects.echo(two[0])) as gateway, Caller(gateway.target) as caller:
        caller.unary()
        gateway.write(objects.echo(two[1]))
        gateway.reload()
        waiting.until(lambda: caller.unary() and two[1].calls, 5, "a call to the new endpoint")
        count = len(two[0].calls)
        for _ in range(10):
            caller.unary()
        assert len(two[0].calls) == count


def ports_config(two, *numbers):
    servers = [
        {"port": {"number": number, "name": f"grpc-{number}", "protocol": "GRPC"}, "hosts": ["*"]}
        for number in numbers
    ]
    return [objects.gateway(servers=servers), objects.virtual_service([objects.rule("one")]), *services(two)]


def test_a_new_port_is_opened_and_a_removed_one_is_closed(two):
    with Gateway(ports_config(two, 8000), ports=[8000, 8001]) as gateway:
        first, second = gateway.map[8000], gateway.map[8001]
        with pytest.raises(OSError):
            http1.connect(second)
        gateway.write(ports_config(two, 8000, 8001))
        gateway.reload()
        with Caller(f"127.0.0.1:{second}") as caller:
            caller.unary()
        gateway.write(ports_config(two, 8001))
        gateway.reload()

        def is_closed():
            try:
                http1.connect(first).close()
                return False
            except OSError:
                return True

        waiting.until(is_closed, 10, "the removed port's end")
        with Caller(f"127.0.0.1:{second}") as caller:
            caller.unary()


def test_connections_of_a_removed_port_are_told_to_go(two):
    with Gateway(ports_config(two, 8000, 8001), ports=[8000, 8001]) as gateway:
        with http2.connect(gateway.map[8001]) as client:
            assert client.exchange(http2.grpc_headers(), http2.message()).grpc_status == 0
            gateway.write(ports_config(two, 8000))
            gateway.reload()
            client.wait(lambda: client.goaways, 10, "GOAWAY")


def test_a_port_that_cannot_be_bound_leaves_the_rest(two):
    with Gateway(ports_config(two, 8000), ports=[8000, 8001]) as gateway:
        with socket.create_server(("0.0.0.0", gateway.map[8001])):
            gateway.write(ports_config(two, 8000, 8001))
            gateway.reload()
            with Caller(gateway.target) as caller:
                caller.unary()


def test_an_invalid_object_keeps_its_last_good_version(two):
    with Gateway(routes("one", extra=services(two))) as gateway, Caller(gateway.target) as caller:
        caller.unary("/one.S/M")
        broken = routes("one", extra=services(two))
        broken[1]["spec"]["http"] = "nonsense"
        broken.append(objects.virtual_service([objects.rule("two")], "fresh", hosts=["fresh.test"]))
        gateway.write(broken)
        gateway.reload()
        caller.unary("/one.S/M")
        with http2.connect(gateway.port) as client:
            def fresh():
                return client.exchange(http2.grpc_headers("/x.S/M", "fresh.test"), http2.message()).grpc_status == 0

            waiting.until(fresh, 5, "the good part of the new files")


@pytest.mark.parametrize("text", ["a: [", "kind: VirtualService\n\tx: 1\n", "\x00\x01"])
def test_a_file_that_is_not_yaml_keeps_everything(two, text):
    with Gateway(routes("one", extra=services(two))) as gateway, Caller(gateway.target) as caller:
        gateway.write(text)
        gateway.reload()
        caller.unary("/one.S/M")
        assert gateway.status("/healthz/ready")[0] == 200


def test_a_missing_file_keeps_everything(two):
    with Gateway(routes("one", extra=services(two))) as gateway, Caller(gateway.target) as caller:
        gateway.file.unlink()
        gateway.reload()
        caller.unary("/one.S/M")


def certificate_config(backend, pair):
    config = objects.echo(backend)
    config[0] = objects.gateway(
        port=443, protocol="HTTPS", hosts=["one.test"], tls={"mode": "SIMPLE", "credentialName": "cert"})
    return [*config, objects.tls_secret("cert", pair)]


def serial(gateway):
    with handshake(gateway.port, "one.test") as connection:
        return int(connection.getpeercert()["serialNumber"], 16)


def test_a_new_certificate_serves_new_handshakes_and_old_connections_go_on(backend):
    old, new = (certificates.authority().issue("one.test") for _ in range(2))
    with Gateway(certificate_config(backend, old), ports=[443]) as gateway:
        with http2.connect(gateway.port, certificates.client_context(), "one.test") as client:
            headers = http2.grpc_headers(authority="one.test", scheme="https")
            assert client.exchange(headers, http2.message()).grpc_status == 0
            assert serial(gateway) == old.serial
            gateway.write(certificate_config(backend, new))
            gateway.reload()
            waiting.until(lambda: serial(gateway) == new.serial, 5, "the new certificate")
            assert client.exchange(headers, http2.message()).grpc_status == 0


def test_a_key_that_does_not_fit_keeps_the_old_certificate(backend):
    old, new = (certificates.authority().issue("one.test") for _ in range(2))
    with Gateway(certificate_config(backend, old), ports=[443]) as gateway:
        gateway.write(certificate_config(backend, certificates.Pair(new.certificate, old.key, None)))
        gateway.reload()
        try:
            assert serial(gateway) == old.serial
        except ssl.SSLError as error:
            raise AssertionError("the old certificate is gone") from error


def test_signals_in_a_row_are_all_harmless(two):
    with Gateway(routes("one", extra=services(two))) as gateway, Caller(gateway.target) as caller:
        for _ in range(100):
            gateway.signal(signal.SIGHUP)
        caller.unary("/one.S/M")


def test_sigusr1_is_harmless(two):
    with Gateway(routes("one", extra=services(two))) as gateway, Caller(gateway.target) as caller:
        gateway.signal(signal.SIGUSR1)
        caller.unary("/one.S/M")


def test_the_admin_page_reloads_too(two):
    with Gateway(routes("one", extra=services(two))) as gateway, Caller(gateway.target) as caller:
        gateway.write(routes("one", "two", extra=services(two)))
        assert gateway.admin("/reload", "POST")[0] in (200, 202)
        waiting.until(lambda: caller.status("/two.S/M")[0].value[0] == 0, 5, "the new route")
        assert gateway.admin("/reload", "GET")[0] == 405


@pytest.fixture
def fifo(tmp_path):
    """A source of definitions that keeps a load waiting until somebody writes."""
    path = tmp_path / "definitions.fifo"
    os.mkfifo(path)
    return path


def slow_gateway(two, tmp_path, fifo, *arguments):
    file = tmp_path / "objects.yaml"
    file.write_text(objects.text(routes("one", extra=services(two))))
    return Gateway([file, fifo], ready=False, arguments=arguments)


def is_alive(gateway):
    """Health is answered; also waits for the listener."""
    def asks():
        try:
            return gateway.status("/healthz/live", seconds=2)[0] == 200
        except ConnectionRefusedError:
            return False
    waiting.until(asks, 10, "an answer of /healthz/live")


def test_a_first_load_that_takes_long_holds_up_neither_health_nor_sigterm(two, tmp_path, fifo):
    with slow_gateway(two, tmp_path, fifo) as gateway:
        is_alive(gateway)
        assert gateway.status("/healthz/ready") == (503, "starting\n")


def test_a_reload_that_takes_long_holds_up_neither_health_nor_sigterm(two, tmp_path, fifo):
    with slow_gateway(two, tmp_path, fifo) as gateway:
        fifo.write_text("")
        gateway.wait_ready()
        with socket.create_connection(("127.0.0.1", gateway.admin_port)) as client:
            client.sendall(b"POST /reload HTTP/1.1\r\nHost: localhost\r\n\r\n")
            for _ in range(3):
                assert gateway.status("/healthz/ready") == (200, "ready\n")
                assert gateway.admin("/routes")[0] == 200
            fifo.write_text("")
            client.settimeout(60)
            assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
            client.sendall(b"POST /reload HTTP/1.1\r\nHost: localhost\r\n\r\n")
            is_alive(gateway)


def test_those_who_wait_for_a_reload_are_limited(two, tmp_path, fifo):
    """Also those who have left: the connections of the admin listener do not bound them."""
    ask = b"POST /reload HTTP/1.1\r\nHost: localhost\r\n\r\n"

    def asks(gateway):
        client = socket.create_connection(("127.0.0.1", gateway.admin_port))
        client.sendall(ask)
        return client

    with slow_gateway(two, tmp_path, fifo) as gateway:
        fifo.write_text("")
        gateway.wait_ready()
        clients = [asks(gateway) for _ in range(70)]
        reached = r'^portico_limit_reached_total\{limit="reload_waits"\}'
        waiting.until(lambda: gateway.metric(reached) >= 1, 20, "those beyond the limit are answered")
        for client in clients:
            client.close()
        for loads in (2, 3):    # the others have asked while the first reload was under way
            fifo.write_text("")
            waiting.until(lambda: gateway.metric(r'^portico_reloads_total\{result="success"') == loads, 20, "a reload")
        with asks(gateway) as client:
            client.settimeout(60)
            fifo.write_text("")
            assert client.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_a_certificate_that_is_a_fifo_is_an_error_and_not_waited_for(two, tmp_path, fifo):
    tls = {"mode": "SIMPLE", "serverCertificate": str(fifo), "privateKey": str(fifo)}
    config = [objects.gateway("secure", 8443, "HTTPS", tls=tls), *routes("one", extra=services(two))]
    with Gateway(config, ports=(8000, 8443)) as gateway:
        assert "it is no regular file" in gateway.admin("/config")[1]


def test_a_load_that_takes_longer_than_it_may_is_given_up(tmp_path):
    rules = [objects.rule("one", match=[{"uri": {"exact": f"/{number}"}}]) for number in range(20_000)]
    file = tmp_path / "objects.json"
    file.write_text("\n---\n".join(json.dumps(each) for each in [objects.gateway(), objects.virtual_service(rules)]))
    done = run("serve", "--config", file, "--load-limit", "1ms")
    assert done.returncode == 2
    assert "the definitions were not loaded within" in done.stderr


def test_a_reload_that_is_given_up_leaves_what_was_loaded_before(two, tmp_path, fifo):
    with slow_gateway(two, tmp_path, fifo, "--load-limit", "2s") as gateway:
        fifo.write_text("")
        gateway.wait_ready()
        (tmp_path / "objects.yaml").write_text(objects.text([objects.gateway()]))
        gateway.signal(signal.SIGHUP)
        waiting.until(lambda: "it is given up" in gateway.said, 20, "the end of patience")
        fifo.write_text("")
        waiting.until(lambda: "were not loaded within" in gateway.admin("/config")[1], 20, "the load's end")
        with Caller(gateway.target) as caller:
            assert caller.status("/one.S/M")[0].value[0] == 0
        assert gateway.metric(r'^portico_reloads_total\{result="failure"') == 1
        gateway.signal(signal.SIGHUP)       # the next one is as any other
        fifo.write_text("")
        waiting.until(lambda: "were not loaded within" not in gateway.admin("/config")[1], 20, "the next load")


def test_a_route_to_the_admin_listener_is_refused(two):
    with Gateway(routes("one", extra=services(two))) as gateway:
        entry = {
            "apiVersion": objects.NETWORKING, "kind": "ServiceEntry", "metadata": {"name": "admin"},
            "spec": {
                "hosts": ["admin.test"], "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
                "resolution": "STATIC",
                "endpoints": [{"address": "127.0.0.1", "ports": {"http": gateway.admin_port}}],
            },
        }
        rules = objects.virtual_service([objects.rule("admin.test")], "admin", hosts=["admin.test"])
        gateway.write([*routes("one", extra=services(two)), entry, rules])
        gateway.reload()
        assert http1.get(gateway.port, "/config", host="admin.test").status == 503
        assert "which is this gateway's own status or admin listener" in gateway.admin("/config")[1]
