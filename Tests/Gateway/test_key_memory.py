"""Private keys in the memory of the process: what is left of their texts once OpenSSL holds them."""

import base64
import json
import os
import re
import ssl
import struct

import pytest

from peers import certificates, objects, waiting
from peers.gateway import Gateway
from peers.kubernetes import ApiServer
from test_tls import handshake

WINDOW = 32  # octets
PAGE = os.sysconf("SC_PAGE_SIZE")


def present(pagemap, start, end):
    """The runs of pages from `start` to `end` that are in memory, as (start, end)."""
    entries = struct.unpack(f"{(end - start) // PAGE}Q", os.pread(pagemap.fileno(), (end - start) // PAGE * 8,
                                                                  start // PAGE * 8))
    run = None
    for number, entry in enumerate([*entries, 0]):
        is_there = entry >> 62 != 0  # in memory, or swapped out
        if is_there and run is None:
            run = number
        elif not is_there and run is not None:
            yield start + run * PAGE, start + number * PAGE
            run = None


def memory(pid):
    """All that the process may write to and has: heaps, stacks, data of libraries."""
    found = []
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as octets, \
            open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pagemap:
        for line in maps:
            region = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if not region or "[v" in line:
                continue
            for start, end in present(pagemap, *(int(number, 16) for number in region.groups())):
                found.append(os.pread(octets.fileno(), end - start, start))
    return found


def pieces(text):
    """Parts of a text, such that three lines of it have one."""
    return [text[start:start + WINDOW] for start in range(0, len(text) - WINDOW + 1, 64)]


def traces(key):
    """What would give a key away, by the form that it is in."""
    lines = [line for line in key.splitlines() if line and not line.startswith(b"-----")]
    return {
        # The beginnings are the same for all keys of a kind.
        "PEM": [line[8:8 + WINDOW] for line in lines[1:-1]],
        "Base64": pieces(base64.b64encode(key))[3:],
        # Behind the modulus, which is in the certificate too.
        "DER": pieces(base64.b64decode(b"".join(lines))[320:]),
    }


def count(gateway, pairs):
    regions = memory(gateway.process.pid)
    assert sum(map(len, regions)) > 1 << 20
    return {
        name: {form: sum(region.count(piece) for piece in all_pieces for region in regions)
               for form, all_pieces in traces(pair.key).items()}
        for name, pair in pairs.items()
    }


NOTHING = {"PEM": 0, "Base64": 0, "DER": 0}


def server(name, **tls):
    return {"port": {"number": 443, "name": f"https-{name}", "protocol": "HTTPS"}, "hosts": [f"{name}.test"],
            "tls": {"mode": "SIMPLE", **tls}}


@pytest.fixture
def pairs():
    names = ["data", "text", "files", "applied", "quoted"]
    return {name: certificates.authority().issue(f"{name}.test", algorithm="rsa") for name in names}


def config(pairs, folder):
    """One key for each way in which it may come: `data`, `stringData` as a block and quoted, files, and with kubectl's
    annotation, which has it a second time."""
    secrets = {name: objects.tls_secret(name, pairs[name]) for name in ("data", "applied")}
    secrets["applied"]["metadata"]["annotations"] = {
        "kubectl.kubernetes.io/last-applied-configuration": json.dumps(secrets["applied"])}
    quoted = objects.tls_secret("quoted", pairs["quoted"])
    del quoted["data"]
    quoted["stringData"] = {"tls.crt": pairs["quoted"].certificate.decode(), "tls.key": pairs["quoted"].key.decode()}
    for name, octets in (("c.pem", pairs["files"].certificate), ("c.key", pairs["files"].key)):
        (folder / name).write_bytes(octets)
    gateway = objects.gateway(servers=[
        *[server(name, credentialName=name) for name in pairs if name != "files"],
        server("files", serverCertificate=str(folder / "c.pem"), privateKey=str(folder / "c.key"))])
    def indented(octets):
        return "".join(f"    {line}\n" for line in octets.decode().splitlines())

    block = ("apiVersion: v1\nkind: Secret\nmetadata: {name: text}\nstringData:\n"
             f"  tls.crt: |\n{indented(pairs['text'].certificate)}  tls.key: |\n{indented(pairs['text'].key)}")
    return "---\n".join([objects.text([gateway, *secrets.values(), quoted]), block])


def serves(gateway, name, pair):
    with handshake(gateway.map[443], f"{name}.test") as connection:
        return ssl.DER_cert_to_PEM_cert(connection.getpeercert(binary_form=True)).encode() == pair.certificate


def test_no_text_of_a_key_is_left_after_a_load(pairs, tmp_path):
    text = config(pairs, tmp_path)
    file = tmp_path / "objects.yaml"
    file.write_text(text)
    with Gateway([file], ports=[443]) as gateway:
        for _ in range(2):
            assert all(serves(gateway, name, pair) for name, pair in pairs.items())
            assert count(gateway, pairs) == dict.fromkeys(pairs, NOTHING)
            gateway.reload()
        # A Secret that breaks keeps its certificate, without its text.
        gateway.write(text.replace("name: data\n", "name: data\n  labels: 3\n"), file)
        gateway.reload()
        assert all(serves(gateway, name, pair) for name, pair in pairs.items())
        assert count(gateway, pairs) == dict.fromkeys(pairs, NOTHING)


def test_nothing_is_left_of_a_secret_that_is_gone(pairs, tmp_path):
    file = tmp_path / "objects.yaml"
    file.write_text(config(pairs, tmp_path))
    with Gateway([file], ports=[443]) as gateway:
        assert serves(gateway, "data", pairs["data"])
        kept = {"files": pairs["files"]}
        rest = objects.gateway(servers=[
            server("files", serverCertificate=str(tmp_path / "c.pem"), privateKey=str(tmp_path / "c.key"))])
        gateway.write([rest], file)
        gateway.reload()
        assert all(serves(gateway, name, pair) for name, pair in kept.items())
        assert count(gateway, pairs) == dict.fromkeys(pairs, NOTHING)


def test_the_search_finds_what_is_there(tmp_path):
    """The regions and pieces are the right ones: an access log's key of no Secret is found."""
    pair = certificates.authority().issue("x.test", algorithm="rsa")
    body = b"".join(pair.key.splitlines()[1:-1]).decode()
    rule = objects.rule("echo", match=[{"headers": {"x": {"exact": body}}}])
    with Gateway([objects.gateway(), objects.virtual_service([rule])]) as gateway:
        assert count(gateway, {"x": pair})["x"]["PEM"] > 0


def test_no_text_of_a_clusters_secret_is_left_in_the_client(tmp_path):
    """Its PEM is kept with the cluster's objects; nothing is left of the form in which the server sends it."""
    first, second = (certificates.authority().issue("data.test", algorithm="rsa") for _ in range(2))
    with ApiServer(tmp_path) as api:
        api.put(objects.gateway(servers=[server("data", credentialName="data")]), objects.tls_secret("data", first))
        empty = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "nothing"}}]
        with Gateway(empty, ports=[443], arguments=["--kubeconfig", api.kubeconfig()]) as gateway:
            waiting.until(lambda: serves(gateway, "data", first), 10, "the certificate")
            assert count(gateway, {"data": first})["data"]["Base64"] == 0
            api.put(objects.tls_secret("data", second))
            waiting.until(lambda: serves(gateway, "data", second), 10, "the new certificate")
            assert count(gateway, {"old": first, "new": second}) == {
                "old": NOTHING, "new": {**count(gateway, {"new": second})["new"], "Base64": 0, "DER": 0}}
            api.delete("Secret", "data")
            gone = "the last good certificate is still served"
            waiting.until(lambda: gone in gateway.admin("/config")[1], 10, "the removal")
            assert count(gateway, {"old": first, "new": second}) == {"old": NOTHING, "new": NOTHING}
