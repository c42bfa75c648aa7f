"""What a back-test tells, as one object for a program and as lines for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from infra.backtest.candidate import changed
from infra.backtest.run import Asked, Replayed
from models.backtest.difference import Difference, told

#: So many differences a person is shown; a program gets all.
SHOWN_MAX = 40


def document(found: Replayed, asked: Asked) -> dict[str, Any]:
    """The result as one object; times are source times in Unix seconds."""
    own, candidate, begin, end = asked.own, asked.candidate, asked.begin, asked.end
    there = found.span_s > 0
    first, last = (found.begun_at, found.ended_at) if there else (None, None)
    return {
        "from": begin if begin is not None else first,
        "to": end if end is not None else last,
        "policy": {
            "checkpoint": candidate.checkpoint,
            "migration": candidate.migration,
            "level": candidate.level,
            "changed": changed(own, candidate),
        },
        "model": found.anew,
        "commands": sum(found.commands.values()),
        "equal": found.equal,
        "differences": [_difference(one) for one in found.differences],
        "failures": [
            {"at": one.at, "job": one.job, "node": one.node, "was_s": _round(one.was_s), "would_s": _round(one.would_s)}
            for one in found.failures
        ],
        "seconds": {
            "expected": _round(sum(one.seconds for one in found.differences)),
            "on_failures": _round(sum(one.seconds for one in found.failures)),
        },
        "assumptions": assumptions(found, asked),
        "events": found.events,
        "wall_s": round(found.wall_s, 3),
        "realtime_factor": round(found.span_s / found.wall_s, 1) if found.wall_s > 0 else 0.0,
    }


def _difference(one: Difference) -> dict[str, Any]:
    was, would = told(one)
    return {
        "at": one.at,
        "job": one.job,
        "was": was,
        "would": would,
        "seconds": _round(one.seconds),
        "command": None if one.was is None else one.was.id,
        "moved_s": None if one.was is None or one.would is None else _round(one.would.issued_at - one.was.issued_at),
    }


def _round(seconds: float) -> float:
    return round(seconds, 3) + 0.0


def assumptions(found: Replayed, asked: Asked) -> list[str]:
    """What the figures rest on, with how often."""
    lines = []
    if found.begins:
        where = ", ".join(f"partition {number} at offset {offset}" for number, offset in sorted(found.begins.items()))
        lines.append(f"the log has lost its beginning ({where}): what was known before is not known here")
    if found.unlike:
        lines.append(
            f"at {found.unlike} records the log does not hold what its own settings command: it was written under "
            "others too, or by another build"
        )
    if found.strange:
        lines.append(f"{found.strange} records among the commands cannot be read, or are not as this build writes them")
    if asked.same and found.anew is None:
        return lines
    if found.anew is not None and found.anew["since"] is not None:
        lines.append(
            f"the telemetry has lost its beginning: incidents begun before {_clock(found.anew['since'])} are as told"
        )
    answered = ", ".join(f"{count} {action}" for action, count in sorted(found.answered.items())) or "none"
    kept = ", ".join(f"{count} of {kind}" for kind, count in sorted(found.kept.items())) or "none"
    return [
        *lines,
        f"commands that only the candidate gives are carried out in the time that the job's own took ({answered})",
        f"outcomes of commands that it does not give mean nothing to it ({found.left_out} left out)",
        f"words about members and failures are kept as told, whoever caused them ({kept} after the first difference)",
        "progress is kept as told; a job that goes back to a newer checkpoint than the log's is further by that",
        "failures come at the log's own prices and by the trust that its alarms earned, not that they claim",
        "what comes after the end of the log is not counted",
    ]


def lines(result: Mapping[str, Any], run: str | None) -> Iterator[str]:
    """The same for a person."""
    where = "your own Kafka" if run is None else f"run {run}"
    when = f"{_clock(result['from'])} to {_clock(result['to'])}"
    yield f"{where}, {when}: {_many(result['commands'], 'command')} on the log"
    yield _policy(result["policy"])
    if result["model"] is not None:
        yield _model(result["model"])
    differences = result["differences"]
    if not differences:
        yield "no difference: the candidate commands the same"
    else:
        yield (
            f"{_many(len(differences), 'difference')}, {_many(result['equal'], 'command')} the same; in expectation "
            f"the candidate {_saves(result['seconds']['expected'])}"
        )
        yield from map(_line, differences[:SHOWN_MAX])
        if len(differences) > SHOWN_MAX:
            yield f"  … and {len(differences) - SHOWN_MAX} more: --json tells all"
    yield from _failed(result)
    if result["assumptions"]:
        yield "this rests on:"
        yield from (f"  - {one}" for one in result["assumptions"])
    yield f"{result['events']} events in {result['wall_s']:.2f} s, {result['realtime_factor']:.0f} × real time"


def _policy(policy: Mapping[str, Any]) -> str:
    if not policy["changed"]:
        return "candidate: the log's own policy"
    parts = ", ".join(f"{key} {was} → {would}" for key, (was, would) in policy["changed"].items())
    return f"candidate: {parts}"


def _model(model: Mapping[str, Any]) -> str:
    return (
        f"telemetry assessed anew by {model['digest'][:16]}: {model['frames']} frames, {model['incidents']} records of "
        f"incidents, in {model['wall_s']:.1f} s"
    )


def _line(one: Mapping[str, Any]) -> str:
    return f"  {_clock(one['at'])}  {one['job']}  {one['seconds']:+.1f} s  was {one['was']}; would be {one['would']}"


def _failed(result: Mapping[str, Any]) -> Iterator[str]:
    failures = result["failures"]
    if failures:
        was_s, would_s = (sum(one[key] for one in failures) for key in ("was_s", "would_s"))
        yield (
            f"{_many(len(failures), 'real failure')} cost {was_s:.1f} s of the job, and would have cost {would_s:.1f} "
            "s under the candidate"
        )


def _many(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")


def _saves(seconds: float) -> str:
    return f"saves {seconds:.1f} s" if seconds >= 0 else f"costs {-seconds:.1f} s"


def _clock(at: float | None) -> str:
    return "nowhere" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
