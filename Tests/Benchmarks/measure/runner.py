"""Runs the cases: every peer in turn, then again, so that a slow minute of the machine hits all."""

import statistics
import time

from . import machine, peers, report, scenarios


class Direct:
    """No gateway: h2load talks to the backend."""

    process = None

    def __init__(self, *_):
        pass

    def __enter__(self):
        return None

    def __exit__(self, *_):
        pass


def _once(kind, case, site):
    with kind(case.job, site) as gateway:
        busy, start = machine.busy_seconds(machine.GATEWAY_CORE), time.monotonic()
        used = gateway.process.processor_seconds() if gateway else 0
        figures = case.measure(gateway, site)
        used = gateway.process.processor_seconds() - used if gateway else 0
        busy = machine.busy_seconds(machine.GATEWAY_CORE) - busy
        # What others did on the gateway's core: if it is much, the machine was not quiet.
        foreign = max(0.0, busy - used) / (time.monotonic() - start)
        return figures | {"foreign": 0.0 if machine.GATEWAY_CORE == machine.LOAD_CORE else foreign}


def _median(runs):
    figures = {key: statistics.median(run[key] for run in runs) for key in runs[0] if all(key in run for run in runs)}
    costs = [run["cost"] for run in runs]
    return {**figures, "spread": [min(costs), max(costs)], "runs": costs}


def measure(case, names, runs, site, progress):
    names = [name for name in names if case.only in ("", name)]
    kinds = ({report.DIRECT: Direct} if case.direct else {}) | {name: peers.ALL[name] for name in names}
    done, errors = {name: [] for name in kinds}, {}
    for turn in range(runs):
        for name, kind in kinds.items():
            if name in errors:
                continue
            progress(f"{case.name}: run {turn + 1} of {runs}, {name}")
            try:
                done[name].append(_once(kind, case, site))
            except (RuntimeError, OSError, TimeoutError) as error:
                errors[name] = str(error) or type(error).__name__
    progress("")
    results = {name: {"error": errors[name]} if name in errors else _median(found) for name, found in done.items()}
    return {"letter": case.letter, "name": case.name, "title": case.title, "unit": case.unit, "peers": results}


def selected(letters, size):
    return [case for case in scenarios.all_cases(size) if case.letter in letters]
