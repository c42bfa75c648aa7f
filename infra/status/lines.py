"""The same for people: what is wrong first, then who runs what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

#: More ranks, commands or refusals than this are counted, not listed.
LISTED_MAX = 24


def lines(told: Mapping[str, Any]) -> Iterator[str]:
    """The object of ``infra/status/document.py`` in words; ages are against its own time of the newest tick."""
    at = told["as_of"] if told["as_of"] is not None else told["at"]
    yield from _head(told)
    yield from _diagnostics(told["diagnostics"], at)
    yield from _brakes(told["brakes"], at)
    for job in told["jobs"]:
        yield ""
        yield from _job(job, at)
    if told["refused"]:
        yield ""
        yield "not carried out"
        for one in told["refused"][:LISTED_MAX]:
            yield f"  {one['count']:>5} {one['stage']:<9} {one['reason']}  (last: {one['node']}, {_ago(at, one['at'])})"


def _head(told: Mapping[str, Any]) -> Iterator[str]:
    policy, workers, seen = told["policy"], told["workers"], told["assessments"]
    if policy is None:
        yield "no worker has left a state here yet"
    else:
        yield f"level {policy['level']}; checkpoint {policy['checkpoint']}, migration {policy['migration']}"
    if told["loading_history"]:
        yield "a past is being loaded: nothing is commanded until the present begins"
    behind = "no worker was ever here" if not workers["seen"] else f"{workers['lag']:,} records behind"
    age = "none yet" if seen["age_s"] is None else f"newest {seen['age_s']:.1f} s old"
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in seen["verdicts"].items())
    yield f"workers: {behind}; assessments: {age}{f'; {verdicts}' if verdicts else ''}"
    yield from _health(told["health"])
    models = told["models"]
    if models["active"]:
        yield f"model: {', '.join(digest[:16] for digest in models['active'])}"
    yield from (f"model refused: {why}" for why in models["refused"])
    if workers["uncommitted"] is not None:
        yield workers["uncommitted"]
    yield from (f"partition {number}: {why}" for number, why in workers["unread"].items())
    if told["dead_letters"]:
        yield f"dead letters: {told['dead_letters']} (docs/runbooks/dead-letters-rise.md)"


def _health(health: Mapping[str, Any]) -> Iterator[str]:
    if health["number"] is not None:
        terms = " + ".join(f"{one['nodes']} {one['state']} worth {one['worth']:.2f}" for one in health["terms"])
        yield f"fleet health {health['number']:.1f} of 100: {terms}, of {health['nodes']} nodes"


def _diagnostics(found: list[Mapping[str, Any]], at: float) -> Iterator[str]:
    wrong = [one for one in found if one["holds"]]
    yield f"diagnostics: {'nothing is wrong' if not wrong else ''}".rstrip()
    for one in wrong:
        of = "" if one["job"] is None else f" of {one['job']}"
        yield f"  {one['name']}{of}, {one['cause']}, since {_ago(at, one['since'])}: {one['saying']}"
        yield f"    what to do: {one['runbook']}"


def _brakes(brakes: Mapping[str, Any], at: float) -> Iterator[str]:
    for job, word in brakes["pauses"].items():
        of = "everything" if job == "*" else job
        yield f"paused: {of}, since {_ago(at, word['since'])} by {word['by']}: {word['why']}"
    for node, word in brakes["opt_outs"].items():
        yield f"opted out: {node}, since {_ago(at, word['since'])} by {word['by']}: {word['why']}"
    for one in brakes["breakers"]:
        trip = one["tripped"]
        if trip is not None:
            yield (
                f"breaker OPEN since {_ago(at, trip['at'])}: {trip['outs']} of {trip['fleet']} nodes out, "
                f"{trip['bound']} may be; forestall resume --breaker closes it"
            )
    for one in brakes["storms"]:
        yield f"a storm of incidents on {one['job']} since {_ago(at, one['since'])}: no node is left meanwhile"


def _job(job: Mapping[str, Any], at: float) -> Iterator[str]:
    step = "no step yet" if job["step"] is None else f"step {job['step']:,}, {job['step_s']:.3g} s each"
    saved = job["saved"]
    safe = "nothing saved yet" if saved is None else f"saved at step {saved['step']:,} {_ago(at, saved['at'])}"
    whole = "" if job["whole"] else "; NOT WHOLE"
    smaller = "" if job["resized_from"] is None else f"; smaller than its {job['resized_from']}"
    yield f"{job['job']}: {step}; {safe}, {job['unsaved_s']:.1f} s unsaved{whole}{smaller}"
    ranks = sorted(job["ranks"], key=lambda one: (one["rank"] is None, one["rank"] or 0))
    for one in ranks[:LISTED_MAX]:
        told = "" if one["told_at"] is None else f", step {one['step']:,} told {_ago(at, one['told_at'])}"
        yield f"  rank {one['rank']} on {one['node']} since {_ago(at, one['since'])}{told}"
    if len(ranks) > LISTED_MAX:
        yield f"  and {len(ranks) - LISTED_MAX} ranks more"
    for name in ("spares", "vacated", "failed"):
        if job[name]:
            yield f"  {name}: {', '.join(_node(one, at) for one in job[name])}"
    for one in job["waiting"]:
        who = "the job" if one["rank"] is None else f"rank {one['rank']} of {one['node']} ({one['phase']})"
        yield f"  waits since {_ago(at, one['since'])}: {who}: {one['why']}"
    for one in job["incidents"]:
        yield f"  incident on {one['node']} since {_ago(at, one['since'])}: P {one['probability']:.2f}"
    for one in job["commands"][:LISTED_MAX]:
        yield f"  {one['action']} {one['generation']} given {_ago(at, one['issued_at'])}: {_stages(one)}"
    yield from _worth(job)


def _worth(job: Mapping[str, Any]) -> Iterator[str]:
    prices, trust = job["prices"], job["trust"]
    named = (("C", "checkpoint_cost_s"), ("W", "durable_s"), ("M", "migration_s"))
    costs = ", ".join(
        f"{name} {prices[key]:.3g} s{'' if key in prices['measured'] else ' (as set)'}" for name, key in named
    )
    yield f"  prices: {costs}; an alarm is believed at P {trust['sparse']:.2f}, in a storm at {trust['dense']:.2f}"


def _stages(command: Mapping[str, Any]) -> str:
    if command["failure"] is not None:
        return str(command["failure"])
    told = ", ".join(_stage(one) for one in command["stages"])
    return f"{told}{' (late)' if command['late'] else ''}"


def _stage(one: Mapping[str, Any]) -> str:
    stage = one["stage"] or "not heard of"
    return stage if one["rank"] is None else f"rank {one['rank']} {stage}"


def _node(one: Mapping[str, Any], at: float) -> str:
    more = f", for {one['reserved_for']}" if one.get("reserved_for") else ""
    return f"{one['node']} since {_ago(at, one['since'])}{more}"


def _ago(at: float, since: float) -> str:
    """How long ago, in the unit that fits.

    >>> _ago(100.0, 88.0), _ago(4000.0, 400.0)
    ('12 s ago', '60 min ago')
    """
    seconds = max(0.0, at - since)
    if seconds < 120:
        return f"{seconds:.0f} s ago"
    return f"{seconds / 60:.0f} min ago" if seconds < 7200 else f"{seconds / 3600:.1f} h ago"
