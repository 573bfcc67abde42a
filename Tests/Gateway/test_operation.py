"""Starting and failing to start: one sentence that says what to do, and an exit code."""

import os
import pathlib
import resource
import socket
import subprocess
import threading

import pytest

from peers import http1, objects, waiting
from peers.gateway import BINARY, Gateway, run


def serve(*arguments, environment=None, limit=None, stdin=None):
    """`portico serve` that is expected to end by itself."""
    def before():
        if limit:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

    status = f"127.0.0.1:{waiting.free_port()}"
    admin = f"127.0.0.1:{waiting.free_port()}"
    return subprocess.run(
        [str(BINARY), "serve", "--status", status, "--admin", admin, *map(str, arguments)], capture_output=True,
        text=True, timeout=120, env={**os.environ, **(environment or {})}, preexec_fn=before, input=stdin)


def sentence(result, *words):
    """It failed, did not crash, and said these words, without a Swift trace."""
    assert result.returncode > 0, result
    for word in words:
        assert word in result.stderr, result.stderr
    assert "Fatal error" not in result.stderr
    assert len(result.stderr.strip().splitlines()) <= 12, result.stderr


@pytest.fixture
def file(tmp_path, web):
    path = tmp_path / "objects.yaml"
    path.write_text(objects.text(objects.echo(web, protocol="HTTP", protocol_name="http")))
    return path


def test_a_port_in_use(file):
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = taken.getsockname()[1]
        sentence(serve("--config", file, "--listen-map", f"8000={port}"), str(port), "in use")


def test_a_status_port_in_use(file):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        arguments = ["--config", str(file), "--listen-map", f"8000={waiting.free_port()}"]
        result = subprocess.run(
            [str(BINARY), "serve", *arguments, "--status", f"127.0.0.1:{port}"], capture_output=True, text=True,
            timeout=120)
        sentence(result, str(port), "in use")


def test_a_missing_file(tmp_path):
    sentence(serve("--config", tmp_path / "nowhere.yaml"), "nowhere.yaml")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(file):
    file.chmod(0)
    sentence(serve("--config", file), "ermission")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may bind every port")
def test_a_port_that_needs_a_privilege(file):
    sentence(serve("--config", file, "--listen-map", "8000=80"), "80", "ermission")


def says(words, *arguments):
    """`portico serve` says these words on standard error, whether it then ends or serves what is left."""
    command = [str(BINARY), "serve", "--status", f"127.0.0.1:{waiting.free_port()}", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(iter(process.stderr.readline, "")), daemon=True)
        reader.start()
        try:
            waiting.until(lambda: all(word in "".join(lines) for word in words), 5, f"{words} in {lines}")
        finally:
            process.kill()
            reader.join(120)


def test_yaml_that_is_none(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("a: [\n")
    says(["bad.yaml:", "error"], "--config", path)


def test_no_config_at_all():
    sentence(serve(), "--config")


@pytest.mark.parametrize("arguments", [
    ("--workers", "0"), ("--workers", "x"), ("--workers", "257"), ("--listen-map", "nonsense"),
    ("--listen-map", "8000=99999"), ("--drain", "soon"), ("--load-limit", "soon"), ("--local-endpoints", "maybe"),
    ("--log-format", "xml"), ("--no-such-flag",), ("--label", "nonsense"),
])
def test_a_wrong_flag_is_named(file, arguments):
    sentence(serve("--config", file, *arguments), arguments[0].lstrip("-"))


def test_an_empty_folder_is_said_to_be_empty(tmp_path):
    with_nothing = tmp_path / "empty"
    with_nothing.mkdir()
    says([str(with_nothing)], "--config", with_nothing)


def test_folders_are_read_recursively_and_standard_input_too(tmp_path, web):
    config = objects.echo(web, protocol="HTTP", protocol_name="http")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "one.yaml").write_text(objects.text(config[:1]))
    (tmp_path / "deep" / "er" / "two.yml").write_text(objects.text(config[1:]))
    (tmp_path / "deep" / "notes.txt").write_text("not: [yaml")
    with Gateway([tmp_path]) as gateway:
        assert http1.get(gateway.port).status == 200


def test_several_config_paths(tmp_path, web):
    config = objects.echo(web, protocol="HTTP", protocol_name="http")
    first, second = tmp_path / "one.yaml", tmp_path / "two.yaml"
    first.write_text(objects.text(config[:2]))
    second.write_text(objects.text(config[2:]))
    with Gateway([first, second]) as gateway:
        assert http1.get(gateway.port).status == 200


def test_a_bad_object_hurts_only_itself(web):
    config = objects.echo(web, protocol="HTTP", protocol_name="http")
    bad = objects.virtual_service([objects.rule("echo")], "bad", hosts=["bad.test"])
    bad["spec"]["http"][0]["mach"] = []
    with Gateway([*config, bad]) as gateway:
        assert http1.get(gateway.port).status == 200
        waiting.until(lambda: any("mach" in line for line in gateway.errors + gateway.output), 5, "the report")


def test_flags_are_environment_variables_too(file):
    result = serve("--config", file, environment={"PORTICO_WORKERS": "nonsense"})
    sentence(result, "workers")


def test_too_few_file_descriptors_is_one_sentence(file):
    try:
        result = serve("--config", file, "--listen-map", f"8000={waiting.free_port()}", limit=12)
    except subprocess.TimeoutExpired:
        return  # it manages with twelve
    sentence(result, "file")


def test_version():
    result = run("version")
    assert result.returncode == 0 and result.stdout.strip()


def test_help_names_the_commands():
    result = run("--help")
    assert result.returncode == 0
    for word in ("serve", "check", "routes", "version"):
        assert word in result.stdout


def test_no_descriptor_is_lost_over_many_connections(web):
    config = objects.echo(web, protocol="HTTP", protocol_name="http")
    with Gateway(config) as gateway:
        http1.get(gateway.port)
        before = gateway.open_files()
        for _ in range(100):
            http1.get(gateway.port)
        clients = [http1.connect(gateway.port) for _ in range(100)]
        for client in clients:
            client.close()
        waiting.until(lambda: gateway.open_files() <= before + 3, 5, "all descriptors to be closed")


def test_core_dumps_have_no_memory_for_keys_are_in_it():
    with Gateway([objects.gateway()]) as gateway:
        filter = pathlib.Path(f"/proc/{gateway.process.pid}/coredump_filter").read_text()
        assert int(filter, 16) == 0x10


def test_core_dumps_have_memory_when_asked():
    own = pathlib.Path("/proc/self/coredump_filter").read_text()
    with Gateway([objects.gateway()], arguments=["--core-dump-memory", "on"]) as gateway:
        assert pathlib.Path(f"/proc/{gateway.process.pid}/coredump_filter").read_text() == own
