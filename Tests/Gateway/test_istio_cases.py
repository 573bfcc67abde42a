"""The cases that tell Istio's rules apart (Tests/Fixtures/cases.md), as they are written there, with traffic."""

import collections
import contextlib

import pytest

from peers import http1, istio, istio_actions, istio_binding, istio_listeners, istio_policies, istio_rules, objects
from peers.gateway import Gateway, run

CASES = (
    istio_binding.CASES + istio_rules.CASES + istio_actions.CASES + istio_listeners.CASES + istio_policies.CASES)


@pytest.fixture(scope="module")
def backends():
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(http1.Upstream(istio.replying(name))) for name in ("a", "b")}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.number)
def test_portico_answers_as_istio_does(backends, case):
    with Gateway(case.objects(backends), ports=case.ports, arguments=istio.ARGUMENTS) as gateway:
        try:
            case.asserts(gateway.map, backends)
        except AssertionError as error:
            raise AssertionError(f"{error}; {gateway.said}") from None


@pytest.mark.parametrize(("number", "made", "field"), istio_rules.UNREADABLE, ids=lambda value: str(value)[:3])
def test_what_is_refused_when_it_is_read(number, made, field, tmp_path):
    file = tmp_path / "objects.yaml"
    file.write_text(objects.text([made, istio.gateway()]))
    ended = run("check", *istio.ARGUMENTS, file)
    assert ended.returncode == 1 and field in ended.stdout + ended.stderr, number


# case 58
def test_two_equal_weights_get_about_half_each(backends):
    rule = istio.to(objects.to("a", weight=1), objects.to("b", weight=1))
    with Gateway(istio.Case("58", [istio.routes(rule)]).objects(backends), ports=[80],
                 arguments=istio.ARGUMENTS) as gateway:
        drawn = collections.Counter(istio.asks("a").ask(gateway.port)["by"] for _ in range(100))
        assert drawn["a"] + drawn["b"] == 100 and drawn["a"] > 20 and drawn["b"] > 20


def test_every_number_is_there_once():
    names = [case.number for case in CASES]
    assert len(set(names)) == len(names)
