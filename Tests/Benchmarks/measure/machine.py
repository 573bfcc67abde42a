"""The machine: which core is whose, processes and what they have used, free ports, who disturbs."""

import ctypes
import os
import pathlib
import platform
import resource
import signal
import socket
import subprocess
import time

OPEN_FILES = 65536


def _cores():
    """(the gateway's, the load's and the backends'): the first two this process may use."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[min(1, len(allowed) - 1)]


GATEWAY_CORE, LOAD_CORE = _cores()


def description():
    """What the figures depend on, for the report."""
    model = "unknown processor"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return {
        "processor": model, "cores": os.cpu_count(), "kernel": platform.release(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", "Linux"),
        "gateway core": GATEWAY_CORE, "load core": LOAD_CORE, "load average at start": os.getloadavg()[0],
        "date": time.strftime("%Y-%m-%d"),
    }


def free_port():
    with socket.socket() as any_socket:
        any_socket.bind(("127.0.0.1", 0))
        return any_socket.getsockname()[1]


def wait_for(what, holds, seconds=20, pause=0.02):
    """Until it holds; looked at every `pause` seconds."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s for {what}")
        time.sleep(pause)


def run_on(seconds):
    """Lets what is measured run: the time is a part of the measurement, and nothing is waited for."""
    end = time.monotonic() + seconds
    wait_for("the clock", lambda: time.monotonic() >= end, seconds + 10, pause=0.005)


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def raise_file_limit():
    """For connections by the thousand, here and in what is started."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if most == resource.RLIM_INFINITY else min(OPEN_FILES, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def busy_seconds(core):
    """What all processes together have used of a core (/proc/stat, in ticks of 10 ms)."""
    for line in pathlib.Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _wait, irq, softirq = map(int, fields[:7])
            return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _prepare(core, yields):
    """In a child, before it runs: pinned, and it gets SIGTERM when this process dies."""
    os.sched_setaffinity(0, {core})
    # Also where the benchmark runs under `chrt`: Linux stops real-time processes that leave nothing of their core for
    # 50 ms of each second (sched(7), sched_rt_runtime_us), and a gateway under attack is one.
    if yields or core == GATEWAY_CORE != LOAD_CORE:
        is_in_front = os.sched_getscheduler(0) != os.SCHED_OTHER
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        if is_in_front and not yields:
            os.setpriority(os.PRIO_PROCESS, 0, -20)  # in front of ordinary ones all the same
    if yields:  # others on this core come first
        os.nice(10)
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


class Process:
    """A process (with its descendants) on one core; what it prints is in `output`.

    With `yields` it gets what others leave of the core.
    """

    def __init__(self, command, core, folder, name, environment=None, yields=False):
        self.name, self.output = name, pathlib.Path(folder) / f"{name}.out"
        self.output.unlink(missing_ok=True)
        with self.output.open("ab") as file:
            self.child = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})}, start_new_session=True, cwd=folder,
                preexec_fn=lambda: _prepare(core, yields))

    def wait_for_port(self, port, seconds=20):
        def holds():
            if self.child.poll() is not None:
                raise RuntimeError(f"{self.name} ended with {self.child.returncode}:\n{self.tail()}")
            return accepts(port)

        wait_for(f"{self.name} on port {port}", holds, seconds)

    def tail(self):
        return self.output.read_text(errors="replace")[-2000:]

    def family(self):
        """Its process identifier and those of all descendants alive."""
        found, waiting = [], [self.child.pid]
        while waiting:
            pid = waiting.pop()
            found.append(pid)
            for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
                try:
                    waiting += map(int, task.read_text().split())
                except OSError:
                    pass  # the thread ended meanwhile
        return found

    def processor_seconds(self):
        """User and system time of the family, all threads, ended ones too.

        The clock of a process (clock_getcpuclockid(3)) says what fields utime and stime of
        /proc/PID/stat say, but in nanoseconds instead of ticks of 10 ms.
        """
        total = 0
        for pid in self.family():
            try:
                total += time.clock_gettime_ns((~pid << 3) | 2)
                # Children that ended and were waited for: cutime and cstime, behind the name in brackets.
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                total += (int(fields[13]) + int(fields[14])) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")
            except OSError:
                pass  # it ended meanwhile
        return total / 1e9

    def memory(self):
        """Octets of resident memory that no file stands behind."""
        total = 0
        for pid in self.family():
            try:
                status = pathlib.Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            for line in status.splitlines():
                if line.startswith(("RssAnon:", "RssShmem:")):
                    total += int(line.split()[1]) * 1024
        return total

    def stop(self):
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(2)
            except subprocess.TimeoutExpired:
                pass
        # Its own session: workers that outlive their master go too.
        try:
            os.killpg(self.child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.child.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
