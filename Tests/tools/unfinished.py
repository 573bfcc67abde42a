"""unfinished.py FILE: what a run of `swift test` began and did not end, when it was stopped because it took too long.

The tests' process writes in blocks: what ended last may be named, too.
"""

import re
import sys
from pathlib import Path

EVENT = re.compile(r'^\S Test (".+"|\S+\(.*\))(?: with \d+ test cases?)? (started\.|(?:passed|failed) after )')


def unfinished(lines: list[str]) -> list[str]:
    """The tests, in the order in which they began; none when the run has come to its end."""
    begun: dict[str, None] = {}
    for line in lines:
        if line[2:].startswith("Test run with"):
            return []
        event = EVENT.match(line)
        if event is None:
            continue
        if event[2] == "started.":
            begun[event[1]] = None
        else:
            begun.pop(event[1], None)
    return list(begun)


def main() -> None:
    path = Path(sys.argv[1])
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    names = unfinished(lines)
    if names:
        print(f"{len(names)} Swift tests have begun and have not ended; the first ones are:")
        print("\n".join(f"  {name}" for name in names[:40]))


if __name__ == "__main__":
    main()
