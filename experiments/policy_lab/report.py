"""A comparison as one page that needs nothing else: figures, goals, intervals, where the seconds went, every number."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from experiments.policy_lab.goals import OURS
from experiments.policy_lab.runs import BUCKETS

_STYLE: Final = Path(__file__).with_name("report.css")
#: Below this share saved a policy stands off the scale, with its figure beside it: −110 % would hide all others.
_FLOOR: Final = -0.4
#: A stack is cut at so many times Young's waste.
_CUT: Final = 2.0
_STEP: Final = 0.2
_WASTED: Final = BUCKETS[1:]

Row = Mapping[str, Any]


def write(result: Mapping[str, Any], folder: Path) -> Path:
    """Write ``report.html`` and ``report.json`` into a folder, made where it is missing; return the page's path.

    Parameters
    ----------
    result : what `forestall lab compare --json` tells, with ``about``, a line on profile and runs, and ``command``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    told = json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / "report.json").write_text(told + "\n", encoding="utf-8")
    path = folder / "report.html"
    path.write_text(page(result), encoding="utf-8")
    return path


def page(result: Mapping[str, Any]) -> str:
    """The page, HTML in one file without scripts or outside references."""
    title = f"Policies on {result['profile']}, predictor {result['case']}"
    best_first = sorted(result["policies"], key=lambda row: -float(row["saved_vs_young"]))
    parts = [_figures(best_first), _goals(result["goals"]), _forest(best_first), _ledger(best_first)]
    body = "\n".join([*filter(None, parts), _table(best_first, result["wall_s"]), _making(result)])
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>
{_STYLE.read_text(encoding="utf-8")}</style>
<header>
<h1>{escape(title)}</h1>
<p class="quiet">{escape(result["about"])}</p>
</header>
<main>
{body}
</main>
</html>
"""


def percent(share: float) -> str:
    """A share as people read it.

    >>> percent(0.3184), percent(-0.002), percent(-1.1)
    ('+31.8 %', '−0.2 %', '−110.0 %')
    """
    return f"{100 * share:+.1f} %".replace("-", "−")


def _figures(rows: Sequence[Row]) -> str:
    by_name = {row["name"]: row for row in rows}
    young = by_name.get("young")
    tiles = []
    for name, label in ((OURS, "saved by the default"), ("best-fixed", "by the best fixed interval")):
        if name in by_name:
            tiles.append((label, percent(by_name[name]["saved_vs_young"]), _interval(by_name[name])))
    if "oracle-same-recall" in by_name:
        oracle = by_name["oracle-same-recall"]
        tiles.append(("by an oracle of the same recall", percent(oracle["saved_vs_young"]), _interval(oracle)))
    if young:
        tiles.append(("wasted under Young", f"{100 * young['waste']:.2f} %", "of the wall time"))
    cells = "".join(
        f"<div><dt>{escape(label)}</dt><dd>{value}<small>{says}</small></dd></div>" for label, value, says in tiles
    )
    return f'<section class="short" aria-label="in short"><dl class="figures">{cells}</dl></section>'


def _interval(row: Row) -> str:
    low, high = row["ci95"]
    return f"{percent(low)} to {percent(high)}"


def _goals(goals: Mapping[str, Row]) -> str:
    if not goals:
        return ""
    items = "".join(_goal(name, goal) for name, goal in goals.items())
    return f"""<section><h2>Goals</h2>
<p class="quiet">As registered before measuring; of each, the bars that these runs measure.</p>
<ol class="goals">{items}</ol></section>"""


def _goal(name: str, goal: Row) -> str:
    word = ("met" if goal["complete"] else "so far met") if goal["met"] else "missed"
    parts = goal.get("parts") or [goal]
    bars = "".join(
        f"<li><span>{escape(part['what'])}</span>"
        f"<b>{part['value']:.3f} {'≥' if part['value'] >= part['bar'] else '<'} {part['bar']:g}</b></li>"
        for part in parts
    )
    style = "met" if goal["met"] else "missed"
    return f'<li><div class="verdict {style}">{escape(name)} <small>{word}</small></div><ul>{bars}</ul></li>'


def _forest(rows: Sequence[Row]) -> str:
    low, high = _scale(rows)
    ticks = list(_ticks(low, high))

    def at(share: float) -> str:
        return f"{100 * (min(max(share, low), high) - low) / (high - low):.2f}%"

    grid = "".join(f'<i class="tick{" zero" if tick == 0 else ""}" style="left:{at(tick)}"></i>' for tick in ticks)
    items = []
    for row in rows:
        saved, (first, last) = row["saved_vs_young"], row["ci95"]
        width = 100 * (min(last, high) - max(first, low)) / (high - low)
        mark = (
            f'<i class="span" style="left:{at(first)};width:{max(width, 0):.2f}%"></i>'
            f'<i class="dot" style="left:{at(saved)}"></i>'
            if saved >= low
            else f'<span class="off">◀ off the scale, {percent(saved)}</span>'
        )
        says = f"<b>{percent(saved)}</b><span>±{50 * (last - first):.1f}</span>"
        items.append(_line(row, f'<div class="track">{grid}{mark}</div>', says))
    labels = "".join(f'<span style="left:{at(tick)}">{100 * tick:g} %</span>' for tick in ticks)
    axis = (
        f'<li class="axis-row"><span class="name"></span><div class="track axis">{labels}</div>'
        f'<span class="says"></span></li>'
    )
    return f"""<section><h2>Waste saved against Young</h2>
<p class="quiet">1 − the ratio of mean wastes over paired seeds; the line is the 95 % interval. Left of 0 a policy \
wastes more than Young.</p>
<ol class="rows">{"".join(items)}{axis}</ol></section>"""


def _scale(rows: Sequence[Row]) -> tuple[float, float]:
    """The ends of the axis: 0 always on it, nothing below the floor."""
    lows = [row["ci95"][0] for row in rows if row["saved_vs_young"] >= _FLOOR]
    return max(min([-0.1, *lows]), _FLOOR), max([0.1, *(row["ci95"][1] for row in rows)]) + 0.02


def _ticks(low: float, high: float) -> Iterator[float]:
    tick = -(-low // _STEP) * _STEP
    while tick <= high:
        yield round(tick, 6) + 0.0
        tick += _STEP


def _line(row: Row, drawing: str, says: str) -> str:
    style = ' class="ours"' if row["name"] == OURS else ""
    return f'<li{style}><span class="name">{escape(row["name"])}</span>{drawing}<span class="says">{says}</span></li>'


def _ledger(rows: Sequence[Row]) -> str:
    young = next((row["waste"] for row in rows if row["name"] == "young"), max(row["waste"] for row in rows))
    cut = min(_CUT * young, max(row["waste"] for row in rows))
    items = [_line(row, _stack(row, cut), f"<b>{100 * row['waste']:.2f} %</b>") for row in rows]
    legend = "".join(f'<li><i style="background:var(--{bucket})"></i>{bucket}</li>' for bucket in _WASTED)
    return f"""<section><h2>Where the wasted time goes</h2>
<p class="quiet">Each second of the job is in exactly one bucket; what is productive is left out. Shares of the wall \
time, to {100 * cut:.1f} %.</p>
<ul class="legend">{legend}</ul>
<ol class="rows">{"".join(items)}</ol></section>"""


def _stack(row: Row, cut: float) -> str:
    wall = sum(row["ledger"].values())
    fits = row["waste"] <= cut * (1 + 1e-9)
    scale = 100 / (cut if fits else row["waste"])
    bars = "".join(
        f'<i style="width:{scale * row["ledger"][bucket] / wall:.2f}%;background:var(--{bucket})"'
        f' title="{bucket} {100 * row["ledger"][bucket] / wall:.2f} %"></i>'
        for bucket in _WASTED
        if row["ledger"][bucket] > 0
    )
    spoken = ", ".join(f"{bucket} {100 * row['ledger'][bucket] / wall:.2f} %" for bucket in _WASTED)
    more = "" if fits else '<span class="cut" title="longer than the scale: drawn whole, not to scale">▸</span>'
    return f'<div class="stack" role="img" aria-label="{spoken}">{bars}{more}</div>'


def _table(rows: Sequence[Row], wall_s: float) -> str:
    counts = list(rows[0]["counts"])
    heads = ["policy", "waste", "saved", "95 % interval", "one run ±", *BUCKETS, *(_words(name) for name in counts)]
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    lines = []
    for row in rows:
        ledger = [f"{100 * row['ledger'][bucket] / wall_s:.2f}" for bucket in BUCKETS]
        numbers = [f"{row['counts'][name]:,.1f}" for name in counts]
        shown = [
            f"{100 * row['waste']:.2f}",
            percent(row["saved_vs_young"]),
            _interval(row),
            f"{100 * row['noise']:.1f}",
        ]
        cells = "".join(f"<td>{cell}</td>" for cell in (*shown, *ledger, *numbers))
        style = ' class="ours"' if row["name"] == OURS else ""
        lines.append(f'<tr{style}><th scope="row">{escape(row["name"])}</th>{cells}</tr>')
    return f"""<section><h2>Every number</h2>
<p class="quiet">Means over the seeds. Waste, buckets and one run's standard deviation in per cent (the latter of \
Young's waste); counts are of one run.</p>
<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead>
<tbody>{"".join(lines)}</tbody></table></div></section>"""


def _words(name: str) -> str:
    return name.replace("_", " ")


def _making(result: Mapping[str, Any]) -> str:
    return f"""<section><h2>How it was made</h2>
<p class="quiet">The same command gives the same numbers on one machine. They are those of a simulator; the \
predictor's recall, precision and lead times are assumed, as the profile and the case say.</p>
<code class="command">{escape(result["command"])}</code></section>"""
