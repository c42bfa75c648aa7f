"""The whole explanation of a command or an incident, as JSON values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from connectors.errors import WrongUse
from infra.explain.claim import claim
from infra.explain.deciding import FoldedTo, fold_to
from infra.explain.epochs import Epochs, NotOnLog
from infra.explain.finding import CommandOnLog, IncidentOnLog, commands_on, find, incidents_on
from infra.explain.replaying import Compared, compare_assessment, compare_command, compare_incidents, replayed
from infra.explain.subject import Subject, most_suspect, telemetry_of
from infra.explain.watching import HowFar, Seen, Watching, quiet
from infra.models_in_use import ModelsInUse
from infra.run_log import RunLog
from infra.settings import Settings
from models.explaining.alternatives import Asked, alternatives
from models.records import Command, Incident

_NOTHING: Final[Mapping[str, Any]] = {
    "contributions": [],
    "metrics": [],
    "logit_difference": None,
    "probability": None,
    "baseline": None,
    "model": None,
    "transitions": [],
}


@dataclass(slots=True)
class _Work:
    """What is being explained, and what was found so far; ``missing`` says what could not be recomputed."""

    log: RunLog
    epochs: Epochs
    models: ModelsInUse
    told: HowFar
    records: list[IncidentOnLog] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    decided: FoldedTo | None = None
    subject: Subject | None = None
    seen: Seen | None = None


def explanation(
    log: RunLog, id: str, *, replay: bool, models: ModelsInUse | None = None, told: HowFar = quiet
) -> dict[str, Any]:
    """Why a command was given, or an incident opened, from the log alone.

    Parameters
    ----------
    log : of the run.
    id : of a command, an incident, or one record of an incident.
    replay : whether to say if all of it comes out again as it stands on the log.
    models : where predictors are looked up; by default those that forestall ships, and those on the log.
    told : is told how far the telemetry is read; where it raises ``WrongUse`` no more is read, and what it says is
        told among what is missing.

    Raises
    ------
    WrongUse
        There is nothing of that id, or no worker has told its settings.
    """
    found = find(log, id)
    work = _Work(log, Epochs(log), models or ModelsInUse(Settings(), log.bootstrap), told)
    if isinstance(found, CommandOnLog):
        whole, compared = _of_command(work, found)
    else:
        whole, compared = _of_incident(work, found)
    seen = work.seen
    subject = work.subject
    whole |= dict(_NOTHING) if seen is None or seen.shown is None else claim(seen.node, seen.shown)
    if replay and seen is not None:
        compared = [*compare_assessment(log, seen), *compare_incidents(work.records, seen), *compared]
    whole |= {
        "subject": None if subject is None else asdict(subject),
        "missing": work.missing,
        "replay": replayed(compared, work.missing) if replay else None,
    }
    return {name: whole[name] for name in _ORDER}


def _of_command(work: _Work, found: CommandOnLog) -> tuple[dict[str, Any], list[Compared]]:
    command = found.command
    place = command.cause
    if command.incident is not None:
        before = incidents_on(work.log, place.partition, command.incident)
        work.records = [one for one in before if one.offset <= place.offset]
    compared = []
    try:
        fork = _fork(work, command)
        decided = fold_to(work.log, place.partition, place.offset, fork, command.job, work.epochs)
        compared = [compare_command(found, decided.commands)]
        work.decided = decided
    except NotOnLog as gone:
        work.missing.append(str(gone))
    work.subject = _subject(work, found)
    _watch(work)
    return {
        "id": command.id,
        "kind": "command",
        "action": command.action,
        "job": command.job,
        "node": command.node,
        "spare": command.spare,
        "incident": command.incident,
        "at": command.issued_at,
        "rule": command.reason.rule,
        "numbers": dict(command.reason.numbers),
        "alternatives": _alternatives(
            work, Asked(command.job, command.issued_at, command.action, command.node, command.incident)
        ),
        "evidence": list(command.reason.evidence),
    }, compared


def _fork(work: _Work, command: Command) -> int:
    """Where alternatives begin to differ: at the incident, or after the job's command for a checkpoint before."""
    if work.records:
        return work.records[0].offset
    if command.incident is not None:
        return command.cause.offset
    before = [
        one.command.cause.offset + 1
        for one in commands_on(work.log)
        if one.command.job == command.job
        and one.command.action == "CHECKPOINT"
        and one.command.cause.partition == command.cause.partition
        and one.command.cause.offset < command.cause.offset
    ]
    return max(before, default=0)


def _subject(work: _Work, found: CommandOnLog) -> Subject | None:
    """The frame that the command names; of a command without one the most suspect of the job's nodes."""
    command = found.command
    place = telemetry_of(command.reason.evidence)
    if place is not None and work.records:
        node = work.records[0].incident.node
        return Subject(node, *place, f"the incident on {node} that the command answers rests on this frame")
    if work.decided is None:
        return None
    because = "no incident is named" if command.incident is None else "its incident names no telemetry"
    return most_suspect(work.log, work.decided.running, command.issued_at, found.appended, because)


def _of_incident(work: _Work, found: IncidentOnLog) -> tuple[dict[str, Any], list[Compared]]:
    told = found.incident
    every = incidents_on(work.log, found.partition, told.incident)
    work.records = [one for one in every if one.offset <= found.offset]
    place = telemetry_of(told.evidence)
    if place is not None:
        work.subject = Subject(told.node, *place, "the frame at which the incident was told so")
    job = told.job or told.node
    try:
        work.decided = fold_to(work.log, found.partition, found.offset, work.records[0].offset, job, work.epochs)
    except NotOnLog as gone:
        work.missing.append(str(gone))
    _watch(work)
    rule, numbers = _rule(work.epochs.at(found.appended).incidents, told)
    return {
        "id": told.id if told.state != "opened" else told.incident,
        "kind": "incident",
        "action": None,
        "job": told.job,
        "node": told.node,
        "spare": None,
        "incident": told.incident,
        "at": told.at,
        "rule": rule,
        "numbers": numbers,
        "alternatives": _alternatives(work, Asked(job, work.records[0].incident.at, incident=told.incident)),
        "evidence": list(told.evidence),
    }, []


def _watch(work: _Work) -> None:
    """Assess the subject anew, up to its frame, and on to the last of the incident's records that count here."""
    subject = work.subject
    if subject is None:
        return
    ends = [telemetry_of(one.incident.evidence) for one in work.records]
    until = max([subject.offset, *(end[1] for end in ends if end is not None and end[0] == subject.partition)])
    watching = Watching(work.log, subject.partition, subject.node, work.epochs, work.models, work.told)
    try:
        work.seen = watching.up_to(subject.offset, until)
    except (NotOnLog, WrongUse) as gone:
        work.missing.append(str(gone))


def _rule(settings: Any, told: Incident) -> tuple[str, dict[str, float]]:
    numbers = {
        "P": told.probability,
        "theta": settings.theta,
        "deviation": told.deviation,
        "horizon_s": told.horizon_s,
    } | ({} if told.anomaly is None else {"anomaly": told.anomaly})
    if told.reason == "anomaly":
        return f"{told.state}: the anomaly detector has latched; P alone would not say so", numbers
    match told.state:
        case "opened":
            counted = {"open_frames": float(settings.open_frames)}
            return f"opened: P ≥ θ in {settings.open_frames} assessments in a row", numbers | counted
        case "closed":
            counted = {"close_frames": float(settings.close_frames)}
            return f"closed: P < θ/2 in {settings.close_frames} assessments in a row", numbers | counted
        case "changed":
            return f"changed: P has moved by {settings.change_min:g} or more since it was told", numbers


def _alternatives(work: _Work, asked: Asked) -> list[dict[str, Any]]:
    decided = work.decided
    if decided is None or not decided.past:
        return []
    return [asdict(one) for one in alternatives(decided.past, decided.settings, decided.events, asked)]


_ORDER: Final[Sequence[str]] = (
    *("id", "kind", "action", "job", "node", "spare", "incident", "at", "subject", "probability", "model", "baseline"),
    *("contributions", "metrics", "logit_difference", "transitions", "rule", "numbers", "alternatives", "evidence"),
    *("missing", "replay"),
)
