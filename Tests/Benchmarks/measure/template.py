"""The peers' configuration files are templates, so that one file shows all a peer is told.

    {{name}}            the value of `name`
    %if name … %end     only if `name` is true; `%if not name` the opposite; may be nested
    %each routes … %end once per item of the list `routes`, whose keys are then names
"""

import re


def fill(text, values):
    return "\n".join(_lines(iter(text.split("\n")), values))


def _lines(lines, values):
    made = []
    for line in lines:
        words = line.split()
        if words[:1] == ["%end"]:
            raise ValueError("%end without a beginning")
        if words[:1] == ["%if"]:
            inner = _collect(lines)
            if bool(values[words[-1]]) != (words[1] == "not"):
                made += _lines(iter(inner), values)
        elif words[:1] == ["%each"]:
            inner = _collect(lines)
            for item in values[words[1]]:
                made += _lines(iter(inner), {**values, **item})
        else:
            made.append(re.sub(r"\{\{(\w+)\}\}", lambda found: str(values[found[1]]), line))
    return made


def _collect(lines):
    """The lines up to the matching %end."""
    inner, depth = [], 1
    for line in lines:
        word = line.split()[:1]
        depth += (word in (["%if"], ["%each"])) - (word == ["%end"])
        if depth == 0:
            return inner
        inner.append(line)
    raise ValueError("%if or %each without %end")
