"""The scenarios: what is asked of every peer, and what is measured. Letters as in issue 3."""

import dataclasses
from collections.abc import Callable

from . import attackers, attacks, connections, load, machine, relay, reload, site as sites, streams
from .load import Load
from .site import Job

WARM_SHARE, WARM_MOST = 10, 20_000


@dataclasses.dataclass
class Case:
    """One row of bars: `measure(gateway, site)` gives `cost` (lower is better) and figures beside it."""

    letter: str
    title: str
    unit: str
    job: Job
    measure: Callable
    direct: bool = False  # also without a gateway: `gateway` is then None
    name: str = ""  # letter, and what tells the cases of one letter apart
    only: tuple = ()  # the peers whose configurations have what it takes; empty: all


@dataclasses.dataclass(frozen=True)
class Size:
    """How much of everything. `scale` 1 is the full measurement."""

    scale: float = 1.0
    big_octets: int = 50_000_000
    routes: tuple = (10_000, 100_000)
    services: tuple = (1, 1_000, 100_000)
    attacks: tuple = tuple(attackers.ATTACKS)

    def of(self, full, least=1):
        return max(least, round(full * self.scale))


QUICK = Size(0.01, 1_000_000, (500,), (1, 100), ("ping",))


def _share(load_spec, gateway, job=Job()):
    """A slow gateway gets fewer requests, if there are many: its figure is as good, and the hour is short."""
    if not gateway or load_spec.requests < 10_000:
        return load_spec
    share = gateway.share * (gateway.table_share if job.routes > 10_000 else 1)
    return load_spec.times(round(load_spec.requests * share))


def _under_load(load_spec, per=1e6, column=None, job=Job()):
    """Processor time of the gateway for each request, times `per`."""
    def measure(gateway, site):
        spec = _share(load_spec, gateway, job)
        if gateway:
            load.run(spec.times(min(WARM_MOST, spec.requests // WARM_SHARE)), site, gateway.port)
        before = gateway.process.processor_seconds() if gateway else 0
        found = load.run(spec, site, gateway.port if gateway else site.backend)
        used = (gateway.process.processor_seconds() - before if gateway else 0) / spec.requests
        figures = {"cost": used * per, "rate": spec.requests / found.pop("seconds"), **found}
        if column:  # something else is the point: it becomes the cost
            figures |= {"processor µs": used * 1e6, "cost": figures[column]}
        return figures

    return measure


def _logging(load_spec):
    def measure(gateway, site):
        before = gateway.logged()
        figures = _under_load(load_spec)(gateway, site)
        spec = _share(load_spec, gateway)
        lines = spec.requests + min(WARM_MOST, spec.requests // WARM_SHARE)
        machine.run_on(0.5)  # some write what they have only now and then
        size = (gateway.logged() - before) / lines
        if size < 20:
            raise RuntimeError(f"the access log grew by {size:.1f} octets per request")
        return figures | {"octets of log each": size}

    return measure


def _unary(clients, streams_each, requests, **more):
    return Load(clients, streams_each, requests, sites.METHOD, "small", **more)


def requests(size):
    """a–e, h, m: many small requests."""
    per_request = "µs/request"
    many = size.of(200_000)
    plain = _unary(32, 16, many)
    yield Case("a", "gRPC unary, 32 connections × 16 streams, clear text", per_request, Job(), _under_load(plain))
    yield Case("b", "the same over TLS 1.3", per_request, Job(tls=True),
               _under_load(_unary(32, 16, many, tls=True)))
    yield Case("c", "gRPC unary, 64 connections × 1 stream", per_request, Job(), _under_load(_unary(64, 1, many)))
    yield Case("d", "gRPC unary, 1 connection × 1 stream: mean time of the whole path", "µs mean time", Job(),
               _under_load(_unary(1, 1, size.of(20_000)), column="mean"), direct=True)
    yield Case("e", "gRPC unary, 1 connection × 100 streams", per_request, Job(), _under_load(_unary(1, 100, many)))
    # The answer repeats the request's head, which every gateway writes differently: padded, all are equal.
    one = Load(64, 1, many, "/hello", None, ("echo-size: 1024",), http1=True)
    yield Case("h", "HTTP/1.1 keep-alive in and out, 64 connections, answers of 1 kB", per_request, Job(http1=True),
               _under_load(one))
    yield Case("m", "as a, with an access log into a file", per_request, Job(log=True), _logging(plain))


def messages(size):
    """f: big messages, either way."""
    count = size.of(20, 4)
    per = 1e9 / size.big_octets
    for tls in (False, True):
        for way in ("down", "up"):
            path, body = ("/main.MainService/Big", "small") if way == "down" else (sites.METHOD, "big")
            name = f"f {'TLS' if tls else 'clear'} {way}"
            spec = Load(4, 1, count, path, body, tls=tls)
            yield Case("f", f"messages of {size.big_octets // 1_000_000} MB {way}stream, "
                       f"{'TLS 1.3' if tls else 'clear text'}, 4 connections", "s/GB", Job(tls=tls),
                       _under_load(spec, per), name=name)


def chats(size):
    """g: streams of small messages."""
    yield Case("g", "bidirectional streams of 100 messages of 100 octets, 16 connections × 16 streams", "µs/message",
               Job(echo=True), lambda gateway, _: streams.chat(gateway, 16, 16, size.of(200_000, 1600)))


def tables(size):
    """i: many routes."""
    for count in size.routes:
        many = size.of(100_000)
        spec = dataclasses.replace(_unary(32, 16, many), path=f"/r{count - 1}/Get")

        def measure(gateway, site, spec=spec, count=count):
            site.offer(spec.path, site.small)
            return _under_load(spec, job=Job(routes=count))(gateway, site) | {"MB": gateway.process.memory() / 1e6}

        yield Case("i", f"as a, with {count:,} routes by prefix, the last one asked for", "µs/request",
                   Job(routes=count), measure, name=f"i {count}")


def idleness(size):
    """j: memory."""
    count = size.of(3000)
    for tls in (False, True):
        job = Job(tls=tls)
        yield Case("j", f"memory per idle HTTP/2 connection, {count:,} of them, {'TLS 1.3' if tls else 'clear text'}",
                   "kB/connection", job,
                   lambda gateway, _, job=job: connections.idle_memory(gateway, job, count),
                   name=f"j {'TLS' if tls else 'clear'}")


def handshakes(size):
    """k: TLS handshakes."""
    for resumed in (False, True):
        kind = "resumed" if resumed else "full"
        yield Case("k", f"{kind} TLS 1.3 handshakes (ECDSA P-256), one after the other", "µs/handshake", Job(tls=True),
                   lambda gateway, _, resumed=resumed: connections.handshakes(gateway, size.of(2000, 40), resumed),
                   name=f"k {kind}")


def reloads(size):
    """l: new configuration under load."""
    for count in size.services:
        job, seconds = Job(hosts=count), 5 if count < 10_000 else 15

        def measure(gateway, site, job=job, seconds=seconds):
            machine.run_on(0.5)
            return reload.measure(gateway, site, job, seconds)

        yield Case("l", f"one VirtualService more, beside {count:,}: time until it answers, under 800 requests/s", "s",
                   job, measure, name=f"l {count}")


def assaults(size):
    """n: attacks."""
    for attack in size.attacks:
        what = attackers.ATTACKS[attack].__doc__.splitlines()[0].rstrip(".")
        yield Case(
            "n", f"p99 of a client beside an attack: {what}", "× of before", Job(attacked=True),
            lambda gateway, site, attack=attack: attacks.measure(gateway, site, attack, size.of(1000, 25)),
            name=f"n {attack}", only=("portico",))


def relays(size):
    """o: octets that are relayed."""
    octets = size.of(1_000_000_000)
    for kind, title in (("tcp", "clear text"), ("tls", "TLS that is passed on by its server name")):
        job = Job(relay=kind)
        yield Case("o", f"a gigabyte relayed as octets over 4 connections, {title}", "s/GB", job,
                   lambda gateway, _, job=job: relay.measure(gateway, job, 4, octets), name=f"o {kind}",
                   only=("haproxy", "portico"))


def both_sides(size):
    """p: TLS towards the client and towards the backend."""
    many = size.of(200_000)
    yield Case("p", "as b, with TLS 1.3 towards the backend, too, whose certificate is verified", "µs/request",
               Job(tls=True, upstream_tls=True), _under_load(_unary(32, 16, many, tls=True)),
               only=("envoy", "haproxy", "nginx", "nghttpx", "portico"))


def all_cases(size):
    groups = (requests, messages, chats, tables, idleness, handshakes, reloads, assaults, relays, both_sides)
    cases = [case for group in groups for case in group(size)]
    for case in cases:
        case.name = case.name or case.letter
    return sorted(cases, key=lambda case: case.letter)


LETTERS = "abcdefghijklmnop"
QUICK_LETTERS = "abcdefhjkmnop"
