"""Many endpoints with health checks in one gateway: seconds of processor by thread, and resident memory."""

import asyncio
import multiprocessing
import os
import pathlib
import re
import socket
import time

from peers import objects, waiting
from peers.gateway import Gateway

SERVICES, ENDPOINTS = int(os.environ.get("SERVICES", 100)), int(os.environ.get("ENDPOINTS", 100))
INTERVAL = int(os.environ.get("INTERVAL", 10))
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
COUNT = r'^portico_health_checks_total\{.*result="%s"\} (\d+)'


async def answer(reader, writer):
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(ANSWER)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def serve(door):
    async def run():
        await (await asyncio.start_server(answer, sock=door)).serve_forever()

    asyncio.run(run())


class Endpoints:
    """One process that answers on all addresses of 127.0.0.0/8."""

    def __init__(self, port=0):
        door = socket.socket()
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
        door.bind(("0.0.0.0", port))
        door.listen(4096)
        self.port = door.getsockname()[1]
        self.process = multiprocessing.Process(target=serve, args=(door,), daemon=True)
        self.process.start()
        door.close()

    def stop(self):
        self.process.kill()
        self.process.join()


def config(port, is_checked):
    yield objects.gateway(protocol="HTTP")
    for number in range(SERVICES):
        name = f"s{number}"
        service = objects.service(name, port=80, protocol_name="http")
        if is_checked:
            service["metadata"]["annotations"] = {
                "portico.dev/health-check": "http", "portico.dev/health-check-path": "/health",
                "portico.dev/health-check-interval": f"{INTERVAL}s", "portico.dev/health-check-timeout": "2s"}
        made = objects.endpoint_slice(name, "127.0.0.1", port, port_name="http")
        first = number * ENDPOINTS
        made["endpoints"] = [
            {"addresses": [f"127.{1 + each // 62_500}.{each // 250 % 250}.{each % 250 + 1}"],
             "conditions": {"ready": True}} for each in range(first, first + ENDPOINTS)]
        yield from (service, made, objects.virtual_service(
            [objects.rule(name)], name=name, hosts=[f"{name}.test"]))


def spent(gateway):
    """Seconds of processor of each thread, by name."""
    found = {}
    for task in pathlib.Path(f"/proc/{gateway.process.pid}/task").iterdir():
        name, fields = (task / "comm").read_text().strip(), (task / "stat").read_text().rpartition(")")[2].split()
        seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        found[name] = found.get(name, 0) + seconds
    return found


def counted(gateway, result):
    return sum(int(each) for each in re.findall(COUNT % result, gateway.metrics(), re.M))


def measured(gateway, what, seconds):
    """What the gateway does in some seconds."""
    before, begin = spent(gateway), time.monotonic()
    passed, failed = counted(gateway, "passed"), counted(gateway, "failed")
    waiting.until(lambda: time.monotonic() > begin + seconds, seconds + 10, "some seconds")
    after, took = spent(gateway), time.monotonic() - begin
    parts = {name: 100 * (value - before.get(name, 0)) / took for name, value in after.items()}
    named = ", ".join(f"{name} {share:.1f}" for name, share in sorted(parts.items(), key=lambda each: -each[1])[:4])
    checks = (counted(gateway, "passed") - passed + counted(gateway, "failed") - failed) / took
    print(f"{what}: {checks:.0f} checks/s, {sum(parts.values()):.1f} % of a core ({named}), "
          f"{gateway.memory_octets() >> 20} MiB", flush=True)


def main():
    number = SERVICES * ENDPOINTS
    endpoints = Endpoints()
    with Gateway(list(config(endpoints.port, False)), arguments=["--load-limit", "120s"]) as gateway:
        print(f"{SERVICES} Services with {ENDPOINTS} endpoints each, not checked: {gateway.memory_octets() >> 20} MiB")
    with Gateway(list(config(endpoints.port, True)), arguments=["--load-limit", "120s"]) as gateway:
        begin = time.monotonic()
        waiting.until(lambda: counted(gateway, "passed") >= number, 200, "the first check of each endpoint")
        print(f"each was checked after {time.monotonic() - begin:.1f} s, with "
              f"{sum(spent(gateway).values()):.1f} s of processor since the start")
        measured(gateway, "all are well", INTERVAL)
        endpoints.stop()
        measured(gateway, "all of them fail", 4 * INTERVAL)
        measured(gateway, "all have failed", INTERVAL)
        again = Endpoints(endpoints.port)
        measured(gateway, "all come back", 4 * INTERVAL)
        again.stop()
        print(f"lines on standard error: {len(gateway.errors)}")


if __name__ == "__main__":
    main()
