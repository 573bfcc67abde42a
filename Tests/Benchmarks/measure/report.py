"""Results as a table on the terminal, and as Markdown. A result is what `runner` writes as JSON."""

OURS, DIRECT = "portico", "direct"
SHOWN = ("cost", "rate", "mean", "p50", "p99", "spread", "runs", "foreign")


def number(value):
    """Three digits that count, at least."""
    if value is None:
        return "–"
    if value == int(value) and abs(value) < 1000:
        return str(int(value))
    size = abs(value)
    return f"{value:,.0f}" if size >= 1000 else f"{value:.1f}" if size >= 100 else f"{value:.2f}" if size >= 0.1 else \
        f"{value:.4f}"


def best_peer(case):
    """The lowest cost that is not Portico's, or None."""
    costs = [figures["cost"] for name, figures in case["peers"].items()
             if name not in (OURS, DIRECT) and "cost" in figures]
    return min(costs, default=None)


def _cells(name, figures, best, direct):
    if "error" in figures:
        return [name, "failed: " + figures["error"].splitlines()[0][:60]]
    ratio = "–" if not best or name == DIRECT else f"{figures['cost'] / best:.2f}"
    extras = [f"{key} {number(value)}" for key, value in figures.items() if key not in SHOWN]
    if direct and name != DIRECT:
        extras.append(f"added {number(figures['cost'] - direct)} µs")
    if figures.get("foreign", 0) > 0.03:
        extras.append(f"disturbed {figures['foreign']:.0%}")
    low, high = figures["spread"]
    return [name, number(figures["cost"]), f"{number(low)}–{number(high)}", ratio, number(figures.get("rate")),
            number(figures.get("p50")), number(figures.get("p99")), ", ".join(extras)]


def rows(case):
    best = best_peer(case)
    direct = case["peers"].get(DIRECT, {}).get("cost")
    ordered = sorted(case["peers"].items(), key=lambda item: item[1].get("cost", float("inf")))
    head = ["", case["unit"], "min–max", "× best peer", "per second", "p50 µs", "p99 µs", ""]
    return [head] + [_cells(name, figures, best, direct) for name, figures in ordered]


def terminal(case, runs):
    lines = rows(case)
    full = [line for line in lines if len(line) == len(lines[0])]
    widths = [max(len(line[column]) for line in full) for column in range(len(lines[0]))]
    made = [f"\n{case['name']}: {case['title']} (median of {runs} {'run' if runs == 1 else 'runs'})"]
    for line in lines:
        cells = [f"{cell:<{widths[0]}}" if column == 0 else cell if column == 7 or len(line) != len(lines[0])
                 else f"{cell:>{widths[column]}}" for column, cell in enumerate(line)]
        made.append(("  " + "  ".join(cells)).rstrip())
    return "\n".join(made)


def heading(result):
    machine = result["machine"]
    made = [f"{machine['processor']}, {machine['cores']} cores, {machine['system']}, Linux {machine['kernel']}, "
            f"{machine['date']}; gateway on core {machine['gateway core']}, load and backend on core "
            f"{machine['load core']}"]
    made += [f"{name}: {version}" for name, version in result["versions"].items()]
    return made


def markdown(result):
    made = ["<!-- made by Tests/Benchmarks/bench --markdown -->", ""]
    made += [f"- {line}" for line in heading(result)]
    for case in result["cases"]:
        made += ["", f"**{case['name']}**: {case['title']}", ""]
        lines = rows(case)
        for place, line in enumerate(lines):
            made.append("| " + " | ".join(line + [""] * (len(lines[0]) - len(line))) + " |")
            if place == 0:
                made.append("|---|" + "--:|" * (len(line) - 2) + "---|")
    return "\n".join(made) + "\n"
