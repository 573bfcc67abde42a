"""certs/make-development-certificates: what it makes, keeps and refuses."""

import base64
import pathlib
import stat
import subprocess

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "certs" / "make-development-certificates"
MADE = ["server-ecdsa", "server-rsa", "client"]


def run(*arguments, code=0):
    done = subprocess.run([SCRIPT, *map(str, arguments)], capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


def openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def folder(tmp_path):
    run(tmp_path)
    return tmp_path


def test_everything_is_signed_by_the_ca_and_keys_are_for_their_owner_only(folder):
    for name in MADE:
        openssl("verify", "-x509_strict", "-CAfile", folder / "ca.pem", folder / f"{name}.pem")
    for key in folder.glob("*.key"):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(list(folder.glob("*.key"))) == 4


def test_servers_have_the_names_and_key_types(folder):
    for kind, algorithm in [("ecdsa", "id-ecPublicKey"), ("rsa", "rsaEncryption")]:
        text = openssl("x509", "-in", folder / f"server-{kind}.pem", "-noout", "-text")
        assert algorithm in text
        for name in ["DNS:localhost", "DNS:*.example.test", "IP Address:127.0.0.1"]:
            assert name in text


def test_a_second_run_keeps_everything(folder):
    before = contents(folder)
    assert run(folder).startswith("nothing to do")
    assert contents(folder) == before


def test_a_further_name_and_renew_make_new_servers_with_the_same_ca(folder):
    before = contents(folder)
    run(folder, "--name", "shop.example.org", "--name", "10.1.2.3")
    text = openssl("x509", "-in", folder / "server-rsa.pem", "-noout", "-ext", "subjectAltName")
    assert "DNS:shop.example.org" in text and "IP Address:10.1.2.3" in text
    assert contents(folder)["ca.key"] == before["ca.key"]
    assert contents(folder)["client.pem"] == before["client.pem"]
    run(folder, "--renew")
    assert contents(folder)["client.pem"] != before["client.pem"]
    openssl("verify", "-CAfile", folder / "ca.pem", folder / "client.pem")


def test_a_key_that_does_not_belong_is_replaced(folder):
    (folder / "client.key").write_bytes((folder / "server-rsa.key").read_bytes())
    assert run(folder).strip().endswith(": client")


@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
def test_the_secret_is_kubernetes_yaml_and_nothing_else(folder, kind):
    secret = yaml.safe_load(run(folder, "--secret", "demo-tls", "--namespace", "shop", "--type", kind))
    assert (secret["apiVersion"], secret["kind"], secret["type"]) == ("v1", "Secret", "kubernetes.io/tls")
    assert secret["metadata"] == {"name": "demo-tls", "namespace": "shop"}
    data = {name: base64.b64decode(text, validate=True) for name, text in secret["data"].items()}
    assert data == {
        "tls.crt": (folder / f"server-{kind}.pem").read_bytes(),
        "tls.key": (folder / f"server-{kind}.key").read_bytes(),
    }


@pytest.mark.parametrize("arguments", [
    ["--name", "two words"], ["--name"], ["--days", "0"], ["--secret", "A"], ["--secret", "a", "--namespace", "b: c"],
    ["--type", "dsa"], ["--what"], ["one", "two"], ["--name", "a,DNS:b"],
])
def test_nonsense_is_refused(tmp_path, arguments):
    done = subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 2 and "make-development-certificates:" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_foreign_ca_is_left_alone(tmp_path):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=mine",
            "-keyout", tmp_path / "ca.key", "-out", tmp_path / "ca.pem")
    before = contents(tmp_path)
    assert "name another folder" in run(tmp_path, code=2)
    assert contents(tmp_path) == before
