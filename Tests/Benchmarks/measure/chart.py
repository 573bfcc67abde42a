"""The results as an SVG: a panel of bars per case, the shortest bar is the best."""

import textwrap
from xml.sax.saxutils import escape

from . import report

COLUMNS, PANEL, LABEL, BAR, GAP = 2, 460, 70, 16, 5
OURS, THEIRS, FAINT, INK = "#d9480f", "#9aa5b1", "#e4e7eb", "#1f2933"


def svg(result):
    panels = [_panel(case) for case in result["cases"]]
    panels = [panel for panel in panels if panel]
    tallest = [max(height for height, _ in panels[place:place + COLUMNS]) for place in range(0, len(panels), COLUMNS)]
    width, height = COLUMNS * (PANEL + 20) + 20, sum(tallest) + 70
    made = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="system-ui, sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        _text(20, 26, "What it costs, lower is better", 16, "bold"),
    ]
    top = 40
    for place, (_, body) in enumerate(panels):
        left = 20 + place % COLUMNS * (PANEL + 20)
        made.append(f'<g transform="translate({left} {top})">{body}</g>')
        if place % COLUMNS == COLUMNS - 1:
            top += tallest[place // COLUMNS]
    made += [_text(20, height - 12, report.heading(result)[0], 10, fill="#7b8794"), "</svg>"]
    return "\n".join(made) + "\n"


def _text(x, y, text, size=12, weight="normal", anchor="start", fill=INK):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" '
            f'fill="{fill}">{escape(text)}</text>')


def _panel(case):
    """(height, elements), or None if nothing was measured."""
    costs = sorted((figures["cost"], name) for name, figures in case["peers"].items() if "cost" in figures)
    if not costs:
        return None
    most = max(costs)[0] or 1
    room = PANEL - LABEL - 70
    titles = textwrap.wrap(f"{case['name']}: {case['title']}", 62)
    made = [_text(0, 16 + 14 * line, title, 11, "bold") for line, title in enumerate(titles)]
    top = 12 + 14 * len(titles)
    for cost, name in costs:
        fill = OURS if name == report.OURS else FAINT if name == report.DIRECT else THEIRS
        long = max(1.0, room * max(cost, 0) / most)
        made.append(_text(LABEL - 8, top + 12, name, anchor="end", weight="bold" if fill == OURS else "normal"))
        made.append(f'<rect x="{LABEL}" y="{top}" width="{long:.1f}" height="{BAR}" rx="2" fill="{fill}"/>')
        made.append(_text(LABEL + long + 6, top + 12, report.number(cost)))
        top += BAR + GAP
    made.append(_text(LABEL, top + 11, case["unit"], 10, fill="#7b8794"))
    return top + 30, "".join(made)
