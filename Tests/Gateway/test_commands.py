"""`portico check`, `routes`, `explain` and `diff`: what they print and how they exit."""

import json
import re

import pytest

from peers import objects
from peers.gateway import run
from peers.objects import SEEDS

GOOD = """apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 8000, name: http, protocol: HTTP}
    hosts: ["*"]
"""
WRONG_FIELD = GOOD.replace("selector:", "selektor:")
FIELDS = {"code", "severity", "message", "hint", "file", "line", "column", "object", "path", "related"}


@pytest.fixture
def write(tmp_path):
    def made(text, name="objects.yaml"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return made


@pytest.mark.parametrize("files", [
    ["main-server.yaml", "main-server.endpoints.yaml"], ["hello-world-http.yaml"], ["grpc-test-namespace.yaml"],
    ["canary-mesh.yaml", "canary-edge.yaml"], ["three-replicas.yaml"],
])
def test_the_seeds_are_clean(files):
    result = run("check", *[SEEDS / file for file in files])
    assert result.returncode == 0, result.stdout + result.stderr
    assert "error:" not in result.stdout + result.stderr


def test_a_clean_file_exits_zero(write):
    assert run("check", write(GOOD)).returncode == 0


def test_an_unknown_field_is_an_error_with_its_place_and_the_nearest_name(write):
    path = write(WRONG_FIELD)
    result = run("check", path)
    assert result.returncode == 1
    output = result.stdout + result.stderr
    assert re.search(rf"{re.escape(str(path))}:5:3: error: spec\.selektor: .*selector", output), output


def test_yaml_within_a_text_is_read_up_to_a_limit(write):
    topology = "gatewayTopology: {numTrustedProxies: 1}\n#"
    for octets, is_read in ((65_536, True), (65_537, False)):
        edge = objects.gateway()
        text = topology + "x" * (octets - len(topology))
        edge["metadata"]["annotations"] = {"proxy.istio.io/config": text}
        output = run("check", write(objects.text([edge]))).stdout
        said = 'metadata.annotations["proxy.istio.io/config"]: more than 65536 octets are not read'
        assert (said not in output) == is_read, output


def test_all_problems_of_all_files_in_one_run(write):
    first = write(WRONG_FIELD, "a.yaml")
    wrong = GOOD.replace("protocol: HTTP", "protocol: HTPP").replace("number: 8000", "number: many")
    second = write(wrong.replace("name: edge", "name: other"), "b.yaml")
    output = run("check", first, second).stdout
    assert "a.yaml:5:3:" in output
    assert len(re.findall(r"b\.yaml:7:\d+: error", output)) == 2


@pytest.mark.parametrize("text, place", [
    ("a: 1\na: 2\n", ":2:1:"), ("a: [\n", ":"), ("kind: Gateway\n", ":1:"), ("- 1\n", ":1:1:"),
    (GOOD.replace("hosts:", "hosts: 5 #"), ":8:"), ("a: &x [*x]\n", ":1:"), ("\t- x\n", ":1:"),
])
def test_broken_documents_are_errors_with_a_place(write, text, place):
    path = write(text)
    result = run("check", path)
    assert result.returncode == 1, result.stdout
    assert f"{path}{place}" in result.stdout + result.stderr


def test_an_alias_bomb_is_refused_quickly(write):
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    result = run("check", write("\n".join(lines)), seconds=5)
    assert result.returncode == 1


@pytest.mark.parametrize("text", [
    GOOD.replace("\n", "\r\n"), "\ufeff" + GOOD, "---\n" + GOOD + "---\n---\n" + GOOD.replace("edge", "other"),
    json.dumps(objects.gateway()), json.dumps(objects.gateway(), indent=4),
])
def test_forms_of_yaml_that_are_fine(write, text):
    result = run("check", write(text))
    assert "error:" not in result.stdout, result.stdout


def test_partial_service_names_are_reported_with_the_full_name(write):
    routes = objects.virtual_service([objects.rule("reviews.prod")])
    reviews = objects.service("reviews", namespace="prod")
    result = run("check", write(GOOD + "---\n" + objects.text([routes, reviews])))
    assert "reviews.prod.svc.cluster.local" in result.stdout + result.stderr


def test_json_output(write):
    path = write(WRONG_FIELD)
    result = run("check", "--output", "json", path)
    assert result.returncode == 1
    problems = json.loads(result.stdout)
    assert isinstance(problems, list) and problems
    problem = next(each for each in problems if each["path"] == "spec.selektor")
    assert set(problem) == FIELDS
    assert problem["severity"] == "error"
    assert (problem["file"], problem["line"], problem["column"]) == (str(path), 5, 3)
    assert problem["object"] == {"kind": "Gateway", "namespace": "default", "name": "edge"}
    assert problem["code"] and problem["message"]
    for related in problem["related"]:
        assert set(related) == {"file", "line", "column", "message"}


def test_json_output_of_a_clean_file_is_an_empty_array(write):
    result = run("check", "--output", "json", write(GOOD))
    assert result.returncode == 0
    assert [each for each in json.loads(result.stdout) if each["severity"] == "error"] == []


def test_what_cannot_run_exits_two(tmp_path):
    result = run("check", tmp_path / "nowhere.yaml")
    assert result.returncode == 2
    assert "nowhere.yaml" in result.stderr + result.stdout


def test_standard_input(write):
    result = run("check", "-", stdin=WRONG_FIELD)
    assert result.returncode == 1
    assert "spec.selektor" in result.stdout + result.stderr


def test_routes_prints_the_tree():
    result = run("routes", SEEDS / "main-server.yaml", SEEDS / "main-server.endpoints.yaml")
    assert result.returncode == 0
    for word in ("8888", "/main.MainService", "main-server", "127.0.1.1:8888", "127.0.1.2:8888"):
        assert word in result.stdout, result.stdout


def test_routes_of_the_canary_show_weights_subsets_and_the_timeout():
    result = run("routes", SEEDS / "canary-mesh.yaml", SEEDS / "canary-edge.yaml")
    for word in ("50051", "version", "/helloworld.Greeter/SayHello", "10", "90", "5", "127.0.4.1:50051", "127.0.4.2"):
        assert word in result.stdout, result.stdout


def test_routes_as_json():
    result = run("routes", "--output", "json", SEEDS / "three-replicas.yaml")
    assert result.returncode == 0
    text = json.dumps(json.loads(result.stdout))
    for number in (1, 2, 3):
        assert f"127.0.5.{number}" in text


def test_the_order_of_files_does_not_matter():
    files = [SEEDS / "canary-mesh.yaml", SEEDS / "canary-edge.yaml"]
    assert run("routes", *files).stdout == run("routes", *reversed(files)).stdout


SECRET = """apiVersion: v1
kind: Secret
metadata: {name: s}
stringData: {password: 8675309, token: !hunter2 x, list: [hunter3]}
data: {tls.crt: "hunter4!"}
"""


@pytest.mark.parametrize("text", [
    SECRET, SECRET + "extra: *hunter5\n", SECRET.replace("Secret", "secret"), SECRET.replace("kind: Secret\n", ""),
])
def test_no_report_shows_what_a_secret_holds(write, text):
    for form in ["text", "json"]:
        result = run("check", "--output", form, write(text))
        assert "hunter" not in result.stdout + result.stderr
        assert "8675309" not in result.stdout + result.stderr


def test_a_chart_that_was_not_rendered_is_one_error_for_each_template(tmp_path):
    chart = tmp_path / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: shop\nversion: 1.0.0\n")
    (chart / "values.yaml").write_text("gateway: {enabled: true}\n")
    (chart / "templates/routes.yaml").write_text(
        "{{- if .Values.gateway.enabled }}\n" + GOOD.replace("edge", "{{ .Release.Name }}") + "{{- end }}\n")
    (chart / "templates/names.yaml").write_text(GOOD.replace("name: edge", "name: {{ include \"name\" . }}"))
    (chart / "templates/variables.yaml").write_text(GOOD.replace("name: edge", "name: '${NAME}'"))
    result = run("check", chart)
    errors = [line for line in result.stdout.splitlines() if " error: " in line]
    assert len(errors) == 3 and all("template text" in line and "helm template" in line for line in errors), errors
    assert len([line for line in result.stdout.splitlines() if " note: " in line]) == 2


def test_many_directives_are_refused_quickly(write):
    text = "".join(f"%TAG !a{number}! b\n" for number in range(200_000))
    result = run("check", write(text), seconds=5)
    assert result.returncode == 1
    assert ":9:1: error:" in result.stdout


CANARY = [SEEDS / "canary-mesh.yaml", SEEDS / "canary-edge.yaml"]


def test_explain_names_the_rule_and_where_it_leads():
    result = run("explain", "--grpc", "http://any:50051/helloworld.Greeter/SayHello", *CANARY)
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r'rule default/k8s-combat-edge/0 \(.*:21:5\): no, not "header version is "200""', result.stdout)
    assert "\n-> 90 of 100 " in result.stdout and "127.0.4.2:50051" in result.stdout
    other = run("explain", "-H", "version: 200", "http://any:50051/anything", *CANARY, "--output", "json")
    found = json.loads(other.stdout)
    assert found["served"] is True and found["route"] == "default/k8s-combat-edge/0"
    assert found["steps"][-1].strip() == "127.0.4.2:50051"


def test_explain_of_what_is_not_served_exits_one():
    result = run("explain", "http://any:1/", *CANARY)
    assert result.returncode == 1 and "no listener for port 1: there are *:50051" in result.stdout
    main = [SEEDS / "main-server.yaml", SEEDS / "main-server.endpoints.yaml"]
    port = re.search(r"listener \*:(\d+) plain text", run("routes", *main).stdout)[1]
    result = run("explain", f"http://any:{port}/unknown", *main)
    assert result.returncode == 1 and "404: no" in result.stdout, result.stdout


def test_explain_matches_the_path_that_the_gateway_would_match():
    result = run("explain", "http://any:50051/x/%2e%2e/helloworld.Greeter/%53ayHello", *CANARY)
    assert result.returncode == 0 and "yes, path is /helloworld.Greeter/SayHello" in result.stdout


def test_explain_asks_the_server_of_the_tls_name(write):
    server = {"credentialName": "c", "mode": "SIMPLE"}
    path = write(objects.text([
        objects.gateway(servers=[{
            "port": {"number": 443, "name": "https", "protocol": "HTTPS"}, "hosts": ["a.test"], "tls": server}]),
        objects.virtual_service([objects.rule("echo")], hosts=("a.test",)), objects.service("echo")]))
    assert "TLS a.test of Gateway" in run("explain", "https://a.test/", path).stdout
    closed = run("explain", "https://192.0.2.1/", path)
    assert closed.returncode == 1 and "no TLS server for the name ''" in closed.stdout
    assert "TLS a.test" in run("explain", "--server-name", "a.test", "https://192.0.2.1/", path).stdout


@pytest.mark.parametrize("arguments, word", [
    (["explain", "any:50051"], "write a URL"), (["explain", "http:///x"], "write a URL"),
    (["explain", "http://a:0/"], "write a URL"), (["explain", "http://a:65536/"], "write a URL"),
    (["explain", "http://u@a/"], "write a URL"), (["explain", "http://a/%00"], "write a URL"),
    (["explain", "http://a/", "-H", "x"], "'name: value'"), (["explain", "http://a/", "--server-name", "b"], "https"),
    (["diff"], "OLD and NEW"), (["diff", "x", "y"], "OLD and NEW"),
    (["diff", "--kubeconfig", "x"], "nothing to compare"),
])
def test_wrong_arguments_of_explain_and_diff_are_refused_with_what_to_write(arguments, word):
    paths = [] if arguments[:2] == ["diff", "--kubeconfig"] else CANARY[:1]
    result = run(*arguments, *paths)
    if arguments == ["diff", "x", "y"]:
        result = run(*arguments, CANARY[0])
    assert result.returncode == 64 and word in result.stderr, result.stderr


def test_diff_shows_what_differs_and_exits_one(write):
    edge = CANARY[1].read_text()
    old, new = write(edge, "old.yaml"), write(edge.replace("weight: 90", "weight: 70"), "new.yaml")
    result = run("diff", old, new)
    assert result.returncode == 1, result.stdout + result.stderr
    lines = result.stdout.splitlines()
    assert any(re.match(r"-\s+-> 90 of 100 ", line) for line in lines)
    assert any(re.match(r"\+\s+-> 70 of 80 ", line) for line in lines)
    assert lines[-1] == "2 lines added, 2 removed; 0 new problems"
    found = json.loads(run("diff", old, new, "--output", "json").stdout)
    assert found["routes"][0]["within"][-1].startswith("rule default/k8s-combat-edge/1")


def test_diff_of_the_same_is_empty_and_exits_zero():
    result = run("diff", CANARY[1], CANARY[1])
    assert result.returncode == 0 and result.stdout.startswith("no difference")


def test_diff_names_new_problems_and_files_that_cannot_be_read(write):
    old, new = write(GOOD, "old.yaml"), write(WRONG_FIELD, "new.yaml")
    result = run("diff", old, new)
    assert result.returncode == 1 and "new problems:" in result.stdout and "selektor" in result.stdout
    assert "problems that are gone:" in run("diff", new, old).stdout
    missing = run("diff", old, new.parent / "nowhere")
    assert missing.returncode == 2 and "nowhere" in missing.stdout
