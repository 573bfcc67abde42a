"""The same requests through a real Envoy and through Portico give the same answer, or a difference
that is listed below with its reason. A listed difference that is gone fails too: the list stays true."""

import conftest
import pytest
from cases import CASES

# case -> {what is compared: reason}
DIFFERENCES = {}


def test_there_are_at_least_forty_cases():
    assert len(CASES) >= 40
    assert len({case.name for case in CASES}) == len(CASES)
    assert set(DIFFERENCES) <= {case.name for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_envoy_agrees(proxies, case):
    envoy, portico = (case.send(port) for port in proxies)
    known = DIFFERENCES.get(case.name, {})
    keys = sorted(set(envoy) | set(portico))
    differing = {key for key in keys if envoy.get(key) != portico.get(key)}
    for key in sorted(differing & set(known)):
        conftest.explained.append(
            f"{case.name}: {key}: Envoy {envoy.get(key)!r}, Portico {portico.get(key)!r}: {known[key]}")
    unexplained = {key: {"envoy": envoy.get(key), "portico": portico.get(key)} for key in differing - set(known)}
    assert not unexplained
    assert set(known) <= differing, "no longer differs: remove it from the list"
