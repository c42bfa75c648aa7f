"""What a drill came to, as the one JSON object of ``forestall drill --json``, and as lines for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from infra.drill import accounting
from infra.drill.elastic import loss_report, turns_of, worlds_of
from infra.drill.plan import ArmRecord, Struck
from models.ledger import job_summary, ledger

#: A kill that comes at this share of Young's interval, or later, is a late one.
LATE = 0.7


def arm_report(record: ArmRecord, job: str, ranks: int) -> dict[str, Any]:
    """One arm: where its time went, what it did again, and what became of its commands."""
    spent, done = ledger(record.events, job), job_summary(record.events, job)
    return {
        "wall_s": round(spent.wall_s, 3),
        "lost_steps": done.lost_steps,
        "downtime_s": round(spent.downtime_s, 3),
        "ledger": {"wall_s": spent.wall_s, "buckets": dict(spent.buckets), "ettr": round(spent.ettr, 4)},
        "steps": done.steps,
        "repeated_steps": record.repeated_steps,
        "restarts": done.restarts,
        "checkpoints": record.checkpoints,
        "commands": len(record.commands),
        "acknowledged": accounting.acknowledged(record.commands, record.outcomes),
        "by_action": _by_action(record),
        "double_effects": accounting.double_effects(record.commands, record.outcomes, record.starts, ranks),
        "lost_checkpoints": record.lost_checkpoints,
        "kills": [_kill(one) for one in record.struck],
        "logs": str(record.logs),
    }


def drill_report(
    arms: Mapping[str, dict[str, Any]], weights: Mapping[str, str | None], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """The whole drill; ``weights`` are the final ones of each run by name, the run that was never killed included."""
    kills = arms["young"]["kills"]
    digests = set(weights.values())
    return {
        "kills": len(kills),
        "sudden": sum(kill["sudden"] for kill in kills),
        "late": sum(kill["passed"] >= LATE for kill in kills),
        "young": arms["young"],
        "forestall": arms["forestall"],
        "commands": sum(arm["commands"] for arm in arms.values()),
        "acknowledged": sum(arm["acknowledged"] for arm in arms.values()),
        "double_effects": sum(arm["double_effects"] for arm in arms.values()),
        "lost_checkpoints": sum(arm["lost_checkpoints"] for arm in arms.values()),
        "weights_equal": len(digests) == 1 and None not in digests,
        "weights": dict(weights),
        "settings": dict(settings),
    }


def elastic_report(
    record: ArmRecord, job: str, ranks: int, steady: Mapping[int, float], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """The drill of a job without a spare: its sizes, its loss beside a ``steady`` run's, its commands."""
    return {
        "worlds": worlds_of(record.events, job),
        "loss": loss_report(record.losses, turns_of(record.events, job), steady),
        **arm_report(record, job, ranks),
        "settings": dict(settings),
    }


def elastic_faults(report: Mapping[str, Any], ranks: int) -> list[str]:
    """What must hold of it and does not, in words."""
    found = _faults_of_counts(report)
    wanted = [ranks, ranks - 1, ranks]
    if report["worlds"] != wanted:
        found.append(f"the job was of the sizes {report['worlds']}, not {wanted}")
    if not report["loss"]["goes_on"]:
        found.append(f"the loss did not go on over the changes of size: {report['loss']}")
    return found


def elastic_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """For a person."""
    loss = report["loss"]
    yield f"ranks             {' → '.join(map(str, report['worlds']))}"
    yield f"loss              {loss['first']} at first, {loss['last']} at last"
    for turn in loss["turns"]:
        yield f"  at step {turn['step']:>6}  {turn['before']} before, {turn['after']} after"
    yield f"lost steps        {report['lost_steps']}"
    yield f"downtime          {report['downtime_s']:.1f} s of {report['wall_s']:.1f} s"
    yield f"commands          {report['commands']}, {report['acknowledged']} of them came to an end"
    yield f"double effects    {report['double_effects']}"
    yield f"lost checkpoints  {report['lost_checkpoints']}"


def faults_of(report: Mapping[str, Any]) -> list[str]:
    """What must hold and does not, in words."""
    young, ours = report["young"], report["forestall"]
    found = _faults_of_counts(report)
    if not report["weights_equal"]:
        found.append(f"the final weights differ: {report['weights']}")
    if ours["lost_steps"] >= young["lost_steps"]:
        found.append(f"forestall lost {ours['lost_steps']} steps, Young {young['lost_steps']}")
    return found


def _faults_of_counts(report: Mapping[str, Any]) -> list[str]:
    found = []
    if report["acknowledged"] != report["commands"] or not report["commands"]:
        found.append(f"{report['acknowledged']} of {report['commands']} commands came to an end")
    if report["double_effects"]:
        found.append(f"{report['double_effects']} effects beyond one for each command")
    if report["lost_checkpoints"]:
        found.append(f"{report['lost_checkpoints']} checkpoints were told durable and cannot be loaded")
    return found


def lines_of(report: Mapping[str, Any]) -> Iterator[str]:
    """For a person."""
    told = f"{report['sudden']} without a sign, {report['late']} late in Young's interval"
    yield f"kills             {report['kills']}, {told}"
    yield f"{'':17} {'Young':>10} {'forestall':>10}"
    for name, key, unit in (
        ("lost steps", "lost_steps", ""),
        ("downtime", "downtime_s", " s"),
        ("wall time", "wall_s", " s"),
        ("checkpoints", "checkpoints", ""),
        ("restarts", "restarts", ""),
    ):
        cells = [report[arm][key] for arm in ("young", "forestall")]
        shown = [f"{cell:.1f}{unit}" if isinstance(cell, float) else f"{cell}{unit}" for cell in cells]
        yield f"{name:17} {shown[0]:>10} {shown[1]:>10}"
    yield f"commands          {report['commands']}, {report['acknowledged']} of them came to an end"
    yield f"double effects    {report['double_effects']}"
    yield f"lost checkpoints  {report['lost_checkpoints']}"
    same = "are equal, bit for bit, to those of a run that was never killed"
    yield f"final weights     {same if report['weights_equal'] else 'DIFFER'}"


def _by_action(record: ArmRecord) -> dict[str, int]:
    actions = [command.action for command in record.commands]
    return {action: actions.count(action) for action in sorted(set(actions))}


def _kill(one: Struck) -> dict[str, Any]:
    return {
        "rank": one.strike.rank,
        "node": one.node,
        "sudden": one.strike.sudden,
        "lead_s": one.strike.lead_s,
        "begun_at_step": one.begun_at_step,
        "killed_at_step": one.killed_at_step,
        "passed": one.passed,
        "hit": one.hit,
    }
