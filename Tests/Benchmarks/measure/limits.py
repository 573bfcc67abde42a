"""The guard: what a request may take, in ../limits.toml, and what it takes today."""

import dataclasses
import math
import pathlib
import platform
import re
import shutil
import subprocess
import tomllib

from . import callgrind, load, site as sites
from .load import Load
from .site import Job

FILE = pathlib.Path(__file__).resolve().parents[1] / "limits.toml"
LONG = 4  # a long count has so many times the requests of a short one
KEPT = sites.ROOT / ".build/guard"
BIG_OCTETS = 1_000_000  # so that a request with a big body is a MB
ROOM = {"instructions": 1.12, "allocations": 1.25, "references": 1.12}
# As the octets come in pieces, a buffer more or less, and a turn of the loop.
SLACK = {"allocations": {"request": 0.05, "MB": 4}, "references": {"request": 0.5, "MB": 40}}


@dataclasses.dataclass(frozen=True)
class Case:
    title: str
    unit: str
    job: Job
    load: Load


def _unary(**more):
    return Load(8, 16, 768, sites.METHOD, "small", **more)


def _big(way, **more):
    path, body = ("/main.MainService/Big", "small") if way == "down" else (sites.METHOD, "big")
    return Load(4, 1, 8, path, body, **more)


CASES = {
    "unary": Case("gRPC unary, 8 connections × 16 streams, clear text", "request", Job(), _unary()),
    "policies": Case(
        "unary, and its rule rewrites the path and has four header operations", "request", Job(policies=True),
        Load(8, 16, 768, sites.METHOD.replace("main.", "outer."), "small")),
    "unary-tls": Case("the same over TLS 1.3", "request", Job(tls=True), _unary(tls=True)),
    "http1": Case("HTTP/1.1 keep-alive in and out, 16 connections, answers of 1 kB", "request", Job(http1=True),
                  Load(16, 1, 512, "/hello", None, ("echo-size: 1024",), http1=True)),
    "big-down": Case("messages of 1 MB to the client, clear text", "MB", Job(), _big("down")),
    "big-up": Case("messages of 1 MB from the client, clear text", "MB", Job(), _big("up")),
    "big-down-tls": Case("messages of 1 MB to the client, TLS 1.3", "MB", Job(tls=True), _big("down", tls=True)),
}


@dataclasses.dataclass
class Figures:
    """Per request, or per MB."""

    instructions: float
    allocations: float
    references: float
    allocators: list  # (function, allocations), the greatest first
    counters: list = dataclasses.field(default_factory=list)  # (function, reference counts), the greatest first


def measure(name, scale=1):
    """Loads of n and then 2n requests: their difference has no start, no connections and no first times in it.

    callgrind's file of the second one is kept.
    """
    case = CASES[name]
    once = case.load.times(case.load.requests * scale)
    twice = once.times(once.requests * 2)
    with sites.Site(BIG_OCTETS) as place, callgrind.Counted(case.job, place) as gateway:
        gateway.start()
        # The first fills pools and buffers, as far as the largest of the others does.
        profiles = [_stretch(gateway, place, spec) for spec in (twice, once, twice)]
        KEPT.mkdir(parents=True, exist_ok=True)
        kept(name).write_text(callgrind.annotatable(gateway.newest.read_text()))
    more = profiles[2] - profiles[1]
    allocators, counters = (
        [(function, calls / once.requests) for function, calls in who.most_common()]
        for who in (more.allocators, more.counters))
    # What a pool still had to learn in the shorter load can make it less than none.
    allocations, references = (max(0, sum(calls for _, calls in who)) for who in (allocators, counters))
    return Figures(more.instructions / once.requests, allocations, references, allocators, counters)


def measure_fairly(name, known):
    """A short count; if it is above a limit, up to three long ones say whether that was chance.

    Chance only adds: a load that comes in smaller pieces takes more turns. What costs more is above its limit each
    time.
    """
    figures = measure(name)
    for _ in range(3):
        if not exceeded(name, figures, known):
            break
        figures = measure(name, LONG)
    return figures


def _stretch(gateway, place, spec):
    load.run(spec, place, gateway.port)
    return gateway.stretch()


def kept(name):
    return KEPT / f"{name}.callgrind"


def read(text):
    """The limits; those of a case that has none yet are zero."""
    nothing = {"measured": 0, "limit": 0}
    known = tomllib.loads(text)
    return known | {name: {key: nothing for key in ROOM} | known.get(name, {}) for name in CASES}


def foreign(known):
    """Why the limits mean nothing here, if they do not."""
    here = platform.machine()
    if here == known["architecture"]:
        return ""
    return f"the limits were counted on {known['architecture']}, this machine is {here}"


def exceeded(name, figures, limits):
    """A sentence for each figure above its limit."""
    case, found = CASES[name], []
    for key in ROOM:
        value, line = getattr(figures, key), limits[name][key]
        if value > line["limit"]:
            found.append(
                f"{name} ({case.title}): {key} per {case.unit} rose from {shown(line['measured'])}, when the limit was "
                f"set, to {shown(value)}; the limit is {shown(line['limit'])}.")
    for key, who, does in (
            ("allocations", figures.allocators, "allocates"), ("references", figures.counters, "counts references")):
        if found and getattr(figures, key) > limits[name][key]["limit"]:
            most = [(function, calls) for function, calls in who[:4] if calls > 0]
            named = ", ".join(f"{readable(function)} ({calls:.2f})" for function, calls in most)
            found.append(f"Who {does}: {named}.")
    if found:
        found += [
            f"To look: callgrind_annotate {kept(name).relative_to(sites.ROOT)} | swift demangle --simplified | less",
            f"(the whole load; --tree=caller shows who calls). When it is right to take more: make guard CASES={name} "
            "UPDATE=1 writes a new limit; the commit says why."]
    return "\n".join(found)


def shown(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def readable(function):
    """A Swift name as it was written, where the toolchain is there to say."""
    if not function.startswith("$s") or not shutil.which("swift"):
        return function
    done = subprocess.run(
        ["swift", "demangle", "--simplified", "--compact", function], capture_output=True, text=True, timeout=20)
    return done.stdout.strip() or function


def limit(name, key, value):
    """With room for what differs from run to run: 1 % of instructions, 5 % of those of a big body."""
    value *= ROOM[key]
    if key in SLACK:
        return round(value + SLACK[key][CASES[name].unit], 2)
    step = 10 ** max(0, math.floor(math.log10(value)) - 2)  # three digits are enough
    return math.ceil(value / step - 0.001) * step


def updated(text, figures):
    """The file with new figures for the cases in `figures`; everything else of it stays, comments too."""
    for name in figures:
        if f"[{name}]" not in text:
            text += f"\n[{name}]\n" + "".join(f"{key} = \n" for key in ROOM)
    lines, name = [], None
    for line in text.split("\n"):
        section = re.match(r"\[(.+)\]", line)
        name = section[1] if section else name
        key = re.match(rf"({'|'.join(ROOM)}) = ", line)
        if key and name in figures:
            value, digits = getattr(figures[name], key[1]), 0 if key[1] == "instructions" else 2
            line = (f"{key[1]} = {{ measured = {value:_.{digits}f}, "
                    f"limit = {limit(name, key[1], value):_.{digits}f} }}")
        lines.append(line)
    return "\n".join(lines)
