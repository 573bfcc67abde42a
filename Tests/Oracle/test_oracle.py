"""The same requests through a real Envoy and through Portico give the same answer, or a difference
that is listed below with its reason. A listed difference that is gone fails too: the list stays true."""

import cases
import conftest
import pytest
import secure_cases

CASES = cases.CASES + secure_cases.CASES

# case -> {what is compared: reason}
WORDING = "the reason in the same words with and without a retry before it"
CODE_KEPT = "a reset passes on with the code it came with; Envoy always says INTERNAL_ERROR"
DEADLINE = "an expired deadline is DEADLINE_EXCEEDED, which clients do not retry blindly; Envoy says UNAVAILABLE"
JOINED = "a condition sees repeated lines joined by a comma, as Istio documents; Envoy 1.40 tries each line"

DIFFERENCES = {
    "http1 connection refused": {"body": WORDING},
    "http2 connection refused": {"body": WORDING},
    "http1 header twice is joined": {
        key: JOINED for key in ("status", "headers", "body", "seen", "seen body", "seen headers", "seen trailers")},
    "grpc reset after the first message": {"reset": CODE_KEPT},
    "grpc route timeout": {"grpc-status": DEADLINE, "headers": DEADLINE},
}


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
        conftest.explained.append(
            f"{case.name}: {key}: Envoy {envoy.get(key)!r}, Portico {portico.get(key)!r}: {known[key]}")
    unexplained = {key: {"envoy": envoy.get(key), "portico": portico.get(key)} for key in differing - set(known)}
    assert not unexplained
    assert set(known) <= differing, "no longer differs: remove it from the list"
