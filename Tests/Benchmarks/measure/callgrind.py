"""Portico under valgrind's callgrind: what a stretch of its life took, counted and not timed.

Instructions are those in user space, of all threads. An allocation is a call of malloc or one of its kin;
what the C library allocates for its own use, inside such a call or elsewhere, is not counted. A reference count is a
call of the Swift runtime that adds or takes a reference.
"""

import collections
import dataclasses
import re
import subprocess

from . import machine, peers

# Each of these makes one allocation, itself or through another of them: what counts is the call from outside.
ALLOCATORS = {
    "malloc", "calloc", "realloc", "reallocarray", "aligned_alloc", "memalign", "posix_memalign",
    "swift_slowAlloc", "swift_allocObject", "_swift_allocObject_"}
COUNTS_REFERENCES = re.compile(r"_?swift_(bridgeObject|unknownObject|nonatomic_)?[Rr]e(tain|lease)(_n)?_?$")


@dataclasses.dataclass
class Profile:
    instructions: int
    allocators: collections.Counter  # function: how often it called for memory
    counters: collections.Counter  # function: how often it added or took a reference

    def __sub__(self, other):
        return Profile(
            self.instructions - other.instructions, _less(self.allocators, other.allocators),
            _less(self.counters, other.counters))


def _less(calls, others):
    left = calls.copy()
    left.subtract(others)
    return left


def _allocates(function):
    return function in ALLOCATORS or function.startswith("operator new")


def read(text):
    """A file of callgrind's; the format is in valgrind's manual, chapter "Callgrind Format Specification"."""
    names, calls, counters = {}, collections.Counter(), collections.Counter()
    here = there = ("", "")  # (object, function): the one whose lines these are, and the one it calls
    for line in text.splitlines():
        found = re.match(r"(c?)(ob|fn)=\((\d+)\)(?: (.*))?$", line)
        if found:
            called, kind, number, name = found.groups()
            # A name stands where its number comes first. 'name'2 is a deeper call of a recursion.
            name = names.setdefault((kind, number), re.sub(r"'\d+$", "", name or "?"))
            before = there if called else here
            pair = (name, before[1]) if kind == "ob" else (before[0], name)
            here, there = (here, pair) if called else (pair, (pair[0], ""))
        elif line.startswith("calls="):
            in_libc = "/libc.so" in here[0] and "/libc.so" in there[0]
            count = int(line[len("calls="):].split()[0])
            if _allocates(there[1]) and not _allocates(here[1]) and not in_libc:
                calls[here[1]] += count
            if COUNTS_REFERENCES.match(there[1]) and not COUNTS_REFERENCES.match(here[1]):
                counters[here[1]] += count
            there = (here[0], "")
    total = re.search(r"^summary: (\d+)", text, re.MULTILINE)
    if not total:
        raise RuntimeError("callgrind's file has no summary")
    return Profile(int(total[1]), calls, counters)


def annotatable(text):
    """Without the calls that began before this stretch, as of the worker's loop: callgrind_annotate takes what
    they cost for the caller's own, which then hides everybody else."""
    return re.sub(r"^calls=0 .*\n.*\n", "", text, flags=re.MULTILINE)


class Counted(peers.Portico):
    """Portico, counted from `start` on; each `stretch` ends one count and begins the next."""

    def command(self, job):
        # Debian 12's valgrind gives up on the debug information of this compiler; names stay without it.
        program = self.folder / "portico"
        subprocess.run(["strip", "--strip-debug", "-o", program, self.binary()], check=True)
        self.file, self.stretches = self.folder / "callgrind", 0
        return [
            # Long copies by one repeated instruction are counted once for each octet, which says nothing.
            "env", "GLIBC_TUNABLES=glibc.cpu.x86_rep_movsb_threshold=1000000000",
            "valgrind", "--tool=callgrind", f"--callgrind-out-file={self.file}", "--instr-atstart=no",
            "--dump-line=no", f"--vgdb-prefix={self.folder}/vgdb", "--vgdb-poll=500",
            program, *super().command(job)[1:]]

    def start(self):
        self._tell("instrumentation", "on")

    def stretch(self):
        self._tell("dump")
        self.stretches += 1
        self.newest = self.file.with_name(f"callgrind.{self.stretches}")
        return read(self.newest.read_text())

    def _tell(self, *command):
        """valgrind looks for commands only while the program runs, so it is given something to do: an idle
        program would have to be woken with ptrace, which containers may forbid."""
        asking = subprocess.Popen(
            ["vgdb", f"--pid={self.process.child.pid}", f"--vgdb-prefix={self.folder}/vgdb", "--max-invoke-ms=0",
             *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

        def is_answered():
            machine.accepts(self.admin)
            return asking.poll() is not None

        try:
            machine.wait_for(f"valgrind's answer to {command}", is_answered, 30)
            said = asking.stdout.read()
            if asking.returncode:
                raise RuntimeError(f"vgdb: {said}\n{self.process.tail()}")
        finally:
            asking.kill()
            asking.wait()
            asking.stdout.close()
