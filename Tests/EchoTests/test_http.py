"""The echo server over HTTP/1.1 and as a plain HTTP/2 server."""

import http.client
import socket
import subprocess

import pytest

from echo import BINARY, Echo


@pytest.fixture(scope="module")
def echo():
    with Echo("--hostname", "web-1") as server:
        yield server


@pytest.fixture
def connection(echo):
    connection = http.client.HTTPConnection("127.0.0.1", echo.port, timeout=60)
    yield connection
    connection.close()


def get(connection, method="GET", path="/hello/you", body=None, headers=None, **rest):
    connection.request(method, path, body=body, headers=headers or {}, **rest)
    response = connection.getresponse()
    return response, response.read()


def exchange(echo, octets):
    """What comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", echo.port), timeout=60) as peer:
        peer.sendall(octets)
        received = b""
        while piece := peer.recv(65_536):
            received += piece
        return received


def test_says_what_came(connection):
    response, body = get(connection, headers={"X-Color": "blue"})
    assert (response.status, response.getheader("x-echo-host")) == (200, "web-1")
    assert body.startswith(b"GET /hello/you\n") and b"\nx-color: blue\n" in body


@pytest.mark.parametrize("size", [0, 1, 1_000_000])
def test_sends_a_body_back_and_keeps_the_connection(connection, size):
    for _ in range(3):
        response, body = get(connection, "POST", body=bytes(size))
        assert body.endswith(b"\n\n" + bytes(size)) and int(response.getheader("content-length")) == len(body)


def test_sends_a_chunked_body_back(connection):
    response, body = get(connection, "PUT", body=iter([b"one", b"two"]), encode_chunked=True,
                         headers={"transfer-encoding": "chunked"})
    assert response.getheader("transfer-encoding") == "chunked" and body.endswith(b"\n\nonetwo")


def test_head_has_no_body(connection):
    for _ in range(2):
        response, body = get(connection, "HEAD")
        assert (response.status, body) == (200, b"")


def test_status_size_and_sleep(connection):
    response, body = get(connection, headers={"echo-status": "503", "echo-size": "1000", "echo-sleep": "50ms"})
    assert response.status == 503 and body.endswith(b"0" * 1000)


def test_answers_pipelined_requests_in_order(echo):
    first = b"GET /1 HTTP/1.1\r\nhost: a\r\necho-sleep: 100ms\r\n\r\n"
    second = b"GET /2 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
    answer = exchange(echo, first + second)
    assert answer.count(b"HTTP/1.1 200 OK") == 2 and answer.index(b"GET /1") < answer.index(b"GET /2")


def test_continues_when_expected(echo):
    head = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n"
    assert exchange(echo, head + b"ok").startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


def test_refuses_what_is_no_request(echo):
    assert exchange(echo, b"\x16\x03\x01hello").startswith(b"HTTP/1.1 400 Bad Request\r\n")


def test_reset_breaks_the_connection(echo):
    with pytest.raises(ConnectionResetError):
        exchange(echo, b"GET / HTTP/1.1\r\nhost: a\r\necho-reset: 8\r\n\r\n")


def test_a_client_that_does_not_read_does_not_make_memory_grow():
    with Echo() as echo, socket.create_connection(("127.0.0.1", echo.port)) as peer:
        peer.settimeout(1)
        peer.sendall(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + bytes(65_536) + b"\r\n"
        with pytest.raises(TimeoutError):
            for _ in range(4000):
                peer.sendall(chunk)
        assert echo.resident_kilobytes() < 65_536


def test_plain_http2(echo):
    done = subprocess.run(
        ["curl", "-sS", "-i", "--http2-prior-knowledge", f"http://{echo.address}/x", "--data", "abc"],
        capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith("HTTP/2 200") and "x-echo-host: web-1" in done.stdout
    assert done.stdout.endswith("\n\nabc")


def test_a_port_in_use_is_said_in_one_sentence(echo):
    done = subprocess.run([str(BINARY), "serve", "--listen", echo.address], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert f"cannot listen on {echo.address}: Address already in use" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["--data", "hello"]])
def test_a_long_answer_by_http2_comes_whole(echo, arguments):
    """It is sent in parts: the next one is made when one has gone out, however it went out."""
    done = subprocess.run(
        ["curl", "--silent", "--http2-prior-knowledge", "--max-time", "30", "-H", "echo-size: 1000000", *arguments,
         f"http://127.0.0.1:{echo.port}/x"], capture_output=True, timeout=120)
    assert done.returncode == 0 and done.stdout.endswith(b"0" * 900_000) and len(done.stdout) > 1_000_000
