"""The same requests through a real Envoy and through Portico give the same answer, or a difference
that `differences` lists with its reason. A listed difference that is gone fails too: the list stays true."""

import cases
import client_cases
import policies
import policy_cases
import pytest
import secure_cases
import web_cases
from differences import DIFFERENCES, explained

CASES = (
    cases.CASES + secure_cases.CASES + client_cases.CASES + policies.CASES + policy_cases.CASES + web_cases.CASES)


def test_there_are_at_least_forty_cases():
    assert len(CASES) >= 40
    assert len({case.name for case in CASES}) == len(CASES)
    assert set(DIFFERENCES) <= {case.name for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_envoy_agrees(proxies, case):
    envoy, portico = (case.send(ports[case.secure]) for ports in proxies)
    known = DIFFERENCES.get(case.name, {})
    keys = sorted(set(envoy) | set(portico))
    differing = {key for key in keys if envoy.get(key) != portico.get(key)}
    for key in sorted(differing & set(known)):
        explained.append(
            f"{case.name}: {key}: Envoy {envoy.get(key)!r}, Portico {portico.get(key)!r}: {known[key]}")
    unexplained = {key: {"envoy": envoy.get(key), "portico": portico.get(key)} for key in differing - set(known)}
    assert not unexplained
    assert set(known) <= differing, "no longer differs: remove it from the list"
