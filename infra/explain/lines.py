"""An explanation for a person who was woken by it: what, why, what moved it, what else could have been done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

METRICS_TOLD: Final = 3
NUMBERS_TOLD: Final = 9
TRANSITIONS_TOLD: Final = 3
_LABEL: Final = 11
#: What a person asks for first: the claim and what it is trusted, then the two sides of the rule, then the prices.
_FIRST: Final = (
    *("P", "claim", "theta", "eta", "staying_s", "leaving_s", "saves_s", "C(1-x)2", "integral", "lambda"),
    *("waited_s", "unsaved_s", "C", "M", "spare_s"),
)


def lines(told: Mapping[str, Any]) -> Iterator[str]:
    """About twenty lines."""
    yield _title(told)
    yield _labelled("because", told["rule"])
    yield _labelled("numbers", _numbers(told["numbers"]))
    yield from _claim(told)
    yield from _transitions(told)
    yield from _alternatives(told["alternatives"])
    yield _labelled("evidence", "  ".join(told["evidence"]) or "none")
    for missing in told["missing"]:
        yield _labelled("missing", missing)
    if told["replay"] is not None:
        yield from _replay(told["replay"])


def _title(told: Mapping[str, Any]) -> str:
    what = told["action"] or "INCIDENT"
    where = f" {told['node']}" if told["node"] else ""
    spare = f" → {told['spare']}" if told["spare"] else ""
    at = datetime.fromtimestamp(told["at"], UTC).isoformat(" ", "milliseconds").removesuffix("+00:00")
    return f"{what}{where}{spare} · job {told['job'] or 'none'} · {at} UTC · {told['kind']} {told['id']}"


def _labelled(label: str, text: str) -> str:
    return f"{label:<{_LABEL}}{text}"


def _numbers(numbers: Mapping[str, float]) -> str:
    ordered = [*(name for name in _FIRST if name in numbers), *(name for name in numbers if name not in _FIRST)]
    shown = ", ".join(f"{name} {_figure(numbers[name])}" for name in ordered[:NUMBERS_TOLD])
    more = len(numbers) - NUMBERS_TOLD
    return f"{shown}{f' (and {more} more: --json)' if more > 0 else ''}"


def _figure(value: float | None) -> str:
    """Four digits at most, and no exponents where a person would write none.

    >>> _figure(0.000866), _figure(7551.42), _figure(1.5495e12), _figure(None)
    ('0.000866', '7,551', '1.549e+12', '–')
    """
    if value is None:
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}" if abs(value) < 1e9 else f"{value:.4g}"
    return f"{value:.3g}"


def _claim(told: Mapping[str, Any]) -> Iterator[str]:
    subject, baseline = told["subject"], told["baseline"]
    if subject is None or baseline is None:
        yield _labelled("P", "no telemetry explains it: see what is missing" if told["missing"] else "none was told")
        return
    yield _labelled("looked at", subject["why"])
    rise = f"logit {told['logit_difference']:+.2f} from there"
    yield _labelled(
        "P", f"{told['probability']:.3f}; as usual it is {baseline['probability']:.3f} ({baseline['what']}); {rise}"
    )
    top = told["metrics"][:METRICS_TOLD]
    width = max((len(one["metric"]) for one in top), default=0)
    for number, one in enumerate(top):
        yield _labelled("moved by" if number == 0 else "", f"{one['contribution']:+6.2f}  {_metric(one, width)}")


def _metric(one: Mapping[str, Any], width: int) -> str:
    by = ", ".join(one["features"])
    if one["value"] is None and one["usual"] is None:
        return f"{one['metric']:<{width}}  {by}"
    unit = f" {one['unit']}" if one["unit"] else ""
    far = f", {_figure(one['extreme'])} at the farthest ({one['z']:+.1f} σ)" if one["z"] is not None else ""
    return f"{one['metric']:<{width}}  {_figure(one['value'])}{unit}, usual {_figure(one['usual'])}{far}; {by}"


def _transitions(told: Mapping[str, Any]) -> Iterator[str]:
    top = told["transitions"][:TRANSITIONS_TOLD]
    width = max((len(one["metric"]) for one in top), default=0)
    for number, one in enumerate(top):
        before = told["at"] - one["at"]
        went = f"from {_range(one['from_range'])} to {_range(one['to_range'])}"
        text = f"p {one['p']:.4f}  {one['metric']:<{width}}  {went}, {before:.1f} s before"
        yield _labelled("improbable" if number == 0 else "", text)


def _range(ends: Sequence[float | None]) -> str:
    """
    >>> _range([None, 1.0]), _range([1.0, 2.0]), _range([2.0, None])
    ('below 1', '1…2', 'above 2')
    """
    low, high = ends
    if low is None:
        return f"below {_figure(high)}"
    return f"above {_figure(low)}" if high is None else f"{_figure(low)}…{_figure(high)}"


def _alternatives(alternatives: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Those that would have done the same, in one line for each kind."""
    label = "others"
    for kind in ("checkpoint", "migration"):
        would: dict[str, list[str]] = {}
        for one in alternatives:
            if one["kind"] == kind:
                would.setdefault(one["would"], []).append(one["policy"])
        for what, policies in would.items():
            yield _labelled(label, f"{kind} {', '.join(policies)}: {what}")
            label = ""


def _replay(replay: Mapping[str, Any]) -> Iterator[str]:
    what = ", ".join(one["what"] for one in replay["compared"])
    if replay["equal"]:
        yield _labelled("replay", f"equal: recomputed from the log, byte for byte: {what}")
    elif replay["equal"] is None:
        yield _labelled("replay", f"cannot be told: something that is needed is gone (see missing); came out: {what}")
    else:
        yield _labelled("replay", "NOT EQUAL: the log gives something else than what stands on it")
        for words in replay["differs"]:
            yield _labelled("", words)
