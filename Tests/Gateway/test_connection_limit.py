"""All places for clients' connections are taken: idle ones make room, and everything else goes on."""

import socket

from peers import http1, http2, objects, waiting
from peers.gateway import Gateway

REACHED = r'^portico_limit_reached_total\{limit="downstream_connections"\}'
EVICTED = r'^portico_connections_refused_total\{reason="too_many_connections"\}'
OPEN = r'^portico_connections\{side="downstream"\}'


def config(web):
    return objects.echo(web, protocol="HTTP", protocol_name="http")


def silent(gateway, count):
    return [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(count)]


def get(client):
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    return client.response().status


def close(clients):
    for client in clients:
        client.close()


def test_a_client_that_never_spoke_makes_room_first_and_then_who_is_idle_longest(web):
    with Gateway(config(web), arguments=["--max-connections", "20"]) as gateway:
        kept = [http1.connect(gateway.port) for _ in range(3)]
        assert [get(client) for client in kept] == [200] * 3
        quiet = silent(gateway, 17)
        waiting.until(lambda: gateway.metric(OPEN) == 20, 10, "all places to be taken")
        assert gateway.metric(REACHED) == 0
        new = []
        for _ in range(17):
            new.append(http1.connect(gateway.port))
            assert get(new[-1]) == 200
        assert gateway.metric(EVICTED) == 17 and gateway.metric(OPEN) == 20
        assert [get(client) for client in kept[1:]] == [200] * 2
        with http1.connect(gateway.port) as last:
            assert get(last) == 200
            kept[0].socket.settimeout(60)
            assert kept[0].socket.recv(1) == b""
        assert [get(client) for client in kept[1:]] == [200] * 2
        assert "too_many_connections" in gateway.access_log("too_many_connections")
        close(quiet + kept + new)


def test_an_idle_client_of_http2_is_told(backend):
    with Gateway(objects.echo(backend), arguments=["--max-connections", "1"]) as gateway:
        with http2.connect(gateway.port) as first:
            assert first.exchange(http2.grpc_headers(), http2.message()).grpc_status == 0
            with http2.connect(gateway.port) as second:
                assert second.exchange(http2.grpc_headers(), http2.message()).grpc_status == 0
                first.wait_closed()
                assert first.goaways


def test_without_an_idle_client_the_next_one_waits_in_the_kernel(backend):
    with Gateway(objects.echo(backend), workers=2, arguments=["--max-connections", "3"]) as gateway:
        clients = [http2.connect(gateway.port) for _ in range(3)]
        streams = [client.open(http2.grpc_headers(), end=False) for client in clients]
        waiting.until(lambda: gateway.metric("portico_requests_active") == 3, 10, "all to come")
        with http1.connect(gateway.port) as waiter:
            waiter.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            waiting.until(lambda: gateway.metric(REACHED) >= 2, 10, "the listener to rest twice")
            assert gateway.metric(OPEN) == 3 and gateway.metric(EVICTED) == 0
            clients[0].send_data(streams[0].number, http2.message(), end=True)
            clients[0].wait(lambda: streams[0].over)
            assert streams[0].grpc_status == 0
            assert waiter.response().status > 0
        for client in clients:
            client.close()


def test_silent_clients_beyond_the_limit_of_open_files_take_nothing_from_others(web):
    """A13: health, reload, a kept client and a new connection to an endpoint."""
    objects_ = config(web)
    with Gateway(objects_, workers=2, open_files=256) as gateway, http1.connect(gateway.port) as kept:
        assert get(kept) == 200
        clients = silent(gateway, 400)
        waiting.until(lambda: gateway.metric(EVICTED) >= 300, 20, "most of them to be closed")
        assert gateway.status("/healthz/ready")[0] == 200
        gateway.write(objects_)
        gateway.reload()
        assert gateway.metric(r'^portico_reloads_total\{result="failure"\}') == 0
        assert get(kept) == 200
        assert gateway.open_files() < 256
        assert gateway.metric("^portico_accept_failures_total") == 0
        with http1.connect(gateway.port) as new:
            assert get(new) == 200
        close(clients)


OWN = r'^portico_limit_reached_total\{limit="listener_connections"\}'


def server(port):
    return {"port": {"number": port, "name": f"http-{port}", "protocol": "HTTP"}, "hosts": ["*"]}


def test_a_listener_that_is_full_rests_and_the_others_go_on(backend):
    objects_ = [objects.gateway(servers=[server(8080), server(8081)]), objects.virtual_service([objects.rule("echo")]),
                *objects.served_by("echo", backend)]
    arguments = ["--max-connections-per-listener", "3"]
    with Gateway(objects_, ports=[8080, 8081], workers=2, arguments=arguments) as gateway:
        with http2.connect(gateway.map[8081]) as idle:
            assert idle.exchange(http2.grpc_headers(), http2.message()).grpc_status == 0
            clients = [http2.connect(gateway.map[8080]) for _ in range(3)]
            streams = [client.open(http2.grpc_headers(), end=False) for client in clients]
            waiting.until(lambda: gateway.metric("portico_requests_active") == 3, 10, "all to come")
            with http1.connect(gateway.map[8080]) as waiter:
                waiter.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                waiting.until(lambda: gateway.metric(OWN) >= 2, 10, "the listener to rest twice")
                # The other listener: its idle client stays, and a new one is served.
                with http2.connect(gateway.map[8081]) as other:
                    assert other.exchange(http2.grpc_headers(), http2.message()).grpc_status == 0
                assert idle.exchange(http2.grpc_headers(), http2.message()).grpc_status == 0
                assert gateway.metric(EVICTED) == 0 and gateway.metric(REACHED) == 0
                clients[0].send_data(streams[0].number, http2.message(), end=True)
                clients[0].wait(lambda: streams[0].over)
                assert waiter.response().status > 0
            for client in clients:
                client.close()


def test_an_idle_client_of_a_full_listener_makes_room(web):
    arguments = ["--max-connections-per-listener", "2"]
    with Gateway(config(web), arguments=arguments) as gateway:
        kept = [http1.connect(gateway.port) for _ in range(2)]
        assert [get(client) for client in kept] == [200] * 2
        for _ in range(5):
            with http1.connect(gateway.port) as new:
                assert get(new) == 200
        assert gateway.metric(OPEN) <= 2 and gateway.metric(OWN) >= 1 and gateway.metric(EVICTED) >= 1
        close(kept)
