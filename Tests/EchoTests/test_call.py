"""The caller, against the echo server."""

import re
import subprocess

import pytest

from echo import ROOT, Echo, call


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certs")
    subprocess.run([str(ROOT / "certs/make-development-certificates"), str(folder)], check=True, capture_output=True)
    return folder


def test_counts_who_answered():
    with Echo() as echo:
        code, text = call(f"grpc://{echo.address}", "-n", 500, "-c", 10, "--connections", 3)
        assert code == 0
        assert re.search(r"^500 calls in .* over 3 connections: p50 [\d.]+ ms, p99 [\d.]+ ms$", text, re.M)
        assert re.search(r"^  127\.0\.0\.1 +500 +100\.0 %$", text, re.M)
        assert re.search(r"^  grpc-status 0 +500 ", text, re.M)


def test_http1_has_one_call_on_a_connection():
    with Echo() as echo:
        code, text = call(f"http://{echo.address}/hello", "-n", 50, "-c", 4, "--connections", 4)
        assert code == 0 and re.search(r"HTTP status 200 +50 ", text)


def test_a_failed_call_is_a_failure_and_says_why():
    with Echo() as echo:
        code, text = call(f"grpc://{echo.address}", "-n", 3, "-H", "echo-status: 7", "-H", "echo-message: no, é")
        assert code == 1 and "grpc-status 7" in text and "3 × no, é" in text


def test_the_expected_status_is_a_success():
    with Echo() as echo:
        assert call(f"grpc://{echo.address}", "-H", "echo-status: 7", "--expect-status", 7)[0] == 0
        assert call(f"http://{echo.address}/", "-H", "echo-status: 404", "--expect-status", 404)[0] == 0


def test_a_deadline_ends_a_call():
    with Echo() as echo:
        code, text = call(
            f"grpc://{echo.address}", "-n", 2, "-c", 2, "--timeout", "200ms", "-H", "echo-sleep: 60s")
        assert code == 1 and re.search(r"grpc-status 4 +2 ", text)


def test_a_goaway_costs_no_call():
    with Echo() as echo:
        assert call(f"grpc://{echo.address}", "-n", 20, "-H", "echo-goaway: 1")[0] == 0


def test_a_server_that_is_not_there_is_14():
    with Echo() as echo:
        address = echo.address
    code, text = call(f"grpc://{address}", "-n", 2)
    assert code == 1 and re.search(r"grpc-status 14 +2 ", text) and "Connection refused" in text


@pytest.mark.parametrize("arguments", [
    ["ftp://a"], ["grpc://a:b"], ["grpc://a:1", "-H", "x"], ["grpc://a:1", "--timeout", "5"], ["grpc://a:1", "-n", "0"],
])
def test_wrong_arguments_are_named(arguments):
    code, text = call(*arguments)
    assert code == 64 and "Error:" in text


def test_tls(certificates):
    pair = ["--certificate", certificates / "server-ecdsa.pem", "--key", certificates / "server-ecdsa.key"]
    with Echo(*map(str, pair)) as echo:
        trust = ["--cacert", certificates / "ca.pem", "--authority", f"localhost:{echo.port}"]
        assert call(f"grpcs://{echo.address}", "-n", 5, *trust)[0] == 0
        assert call(f"https://{echo.address}/", "-n", 5, *trust)[0] == 0
        code, text = call(f"grpcs://{echo.address}")
        assert code == 1 and "TLS" in text
        assert call(f"grpcs://{echo.address}", "--insecure")[0] == 0
