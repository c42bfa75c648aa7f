"""Bringing a rank to safety: CHECKPOINT → durable at every rank → MIGRATE → done → RESTORE → done.

::

    saving ── durable ──▶ watching ── the policy says so ──▶ migrating ── done ──▶ lost ──▶ restoring ── done ──▶ ends
      ▲  └─ failed twice ──▶ │  ▲                               │                   ▲  └─ no spare: waits   │
      └─ checkpoint too old ─┘  └──── failed or silent, once ───┘                   └── failed or silent ───┘

A rescue ends too when its incident closes before MIGRATE, and begins at ``lost`` when a node fails unforeseen. What
went wrong, and what held it (``models.brakes``), stands in the reason of the command that follows; ``settled`` is an
incident with which nothing more is done. Ranks that are down come first, then those of the largest expected loss; ranks
of one job go on together, so none is restored before each has a node to go on. A job that waits takes back nodes that
it left on a suspicion; one that may go on smaller does that instead (``models.resizing``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from models.brakes.breaker import goes_out
from models.brakes.gate import held, paused
from models.flights import End, failure_text, node_fell
from models.job import TRIES_MAX, InFlight, Job, Place, Rescue, measured
from models.prices import (
    Checkpoint,
    aupy_checkpoint,
    checkpoint_numbers,
    early_checkpoint,
    expected_loss_s,
    may_shrink,
    suspicion,
)
from models.recovery import Choice, health_state, recovery_policy
from models.saving import gap_passed, order_checkpoint, told
from models.spares import lacking, reserve, spares_of
from models.strays import release_ended
from models.turn import Turn

#: Phases before MIGRATE: the node is left alone again when its incident closes.
BEFORE_MOVING = frozenset({"saving", "watching", "quarantining", "settled"})
SAVE = "save before the node fails, which is worth more than an early checkpoint costs"
SMALLER = "no spare is free: the job goes on smaller"
NO_SPARE = "no spare is free"
BACK = ", on a node that was left on a suspicion: better than to wait"
#: Phases in which the rank does not run.
DOWN = frozenset({"lost", "restoring"})
GAVE_UP = "gave up on a new checkpoint, goes back to the last durable one"


def begin_rescues(turn: Turn, job: Job) -> None:
    """Begin a rescue for each open incident on a node that runs a rank, unless its incident is history."""
    for key, incident in job.incidents.items():
        rank = job.rank_on(incident.node)
        if rank is None or incident.history or key in job.rescues or _rescued(job, incident.node):
            continue
        job.rescues[key] = Rescue(
            key=key, incident=key, node=incident.node, rank=rank, begun_at=turn.at, evidence=incident.evidence
        )


def _rescued(job: Job, node: str) -> bool:
    return any(rescue.node == node for rescue in job.rescues.values())


def advance_rescues(turn: Turn, job: Job) -> None:
    """Take each rescue as far as it goes now: ranks that are down first, then by expected loss."""
    if job.resizing is None:
        _restored_once(job)
    ordered = sorted(job.rescues.values(), key=lambda one: _urgency(turn, job, one))
    for rescue in ordered:
        if rescue.phase == "lost" and (job.resizing is None or rescue.joins):
            reserve(turn, job, rescue)
    for rescue in ordered:
        if job.resizing is not None and not rescue.joins:
            continue
        if rescue.phase == "saving" and rescue.command is None:
            _save(turn, job, rescue)
        elif rescue.phase == "watching":
            _consider(turn, job, rescue, "older")
        elif rescue.phase == "lost":
            _restore(turn, job, rescue)


def _restored_once(job: Job) -> None:
    """A rank that is down has one rescue: that which restores it, else the one that has waited longest.

    It has two where the node fails on which it is just being restored, and tells before that its rank runs: the rescue
    that brought it there goes on, and another begins with the node.
    """
    taken = {one.rank for one in job.rescues.values() if one.phase == "restoring"}
    lost = [one for one in job.rescues.values() if one.phase == "lost"]
    for rescue in sorted(lost, key=lambda one: (one.begun_at, one.key)):
        if rescue.rank in taken:
            del job.rescues[rescue.key]
        taken.add(rescue.rank)


def _urgency(turn: Turn, job: Job, rescue: Rescue) -> tuple[bool, float, float, str]:
    if rescue.phase in DOWN:
        return False, rescue.begun_at, 0.0, rescue.key
    incident = job.incidents.get(rescue.incident or "")
    loss_s = expected_loss_s(job, rescue.incident, turn.state.settings, turn.at)
    return True, -loss_s, 0.0 if incident is None else -incident.probability, rescue.key


def _save(turn: Turn, job: Job, rescue: Rescue) -> None:
    """Order the checkpoint of an alarm, share the one in flight, or find that a fresh one is there."""
    flight = job.checkpoint_in_flight
    if flight is not None:
        rescue.command = flight.id
    elif fresh(turn, job):
        _consider(turn, job, rescue, "durable")
    elif (pause := paused(turn, job)) is not None:
        rescue.wait(pause, turn.clock)
    elif job.whole and job.step is not None and rescue.incident is not None:
        _save_or_watch(turn, job, rescue, rescue.incident)


def _save_or_watch(turn: Turn, job: Job, rescue: Rescue, incident: str) -> None:
    """Where trust is earned an alarm must be worth its checkpoint, or the node be worth leaving; else it is watched.

    A job that never leaves a node, and checkpoints by no trust, passes alarms over.
    """
    settings = turn.state.settings
    rule = "save before the node fails"
    why: Mapping[str, float] | None = None
    if settings.checkpoint in {"hazard", "aupy"}:
        alarm = job.alarms.get(incident)
        if settings.checkpoint == "hazard":
            why = early_checkpoint(job, alarm, settings, turn.at)
        else:
            why = aupy_checkpoint(job, alarm, settings)
        rule = SAVE
        if why is None:
            choice = _choice(turn, job, rescue, incident, "older")
            if not _leaves(turn, job, rescue, choice):
                _consider(turn, job, rescue, "older")
                return
            rule, why = f"save before leaving the node; {choice.rule}", choice.numbers
    elif settings.migration == "never":
        rescue.phase = "watching"
        return
    rescue.wait(None, turn.clock)
    rescue.command = order_checkpoint(
        turn,
        job,
        told(f"alarm ({settings.checkpoint}): {rule}", rescue.failures),
        incident=incident,
        evidence=rescue.evidence,
        why=why,
    )


def _choice(turn: Turn, job: Job, rescue: Rescue, incident: str, checkpoint: Checkpoint) -> Choice:
    settings = turn.state.settings
    stands = suspicion(
        job,
        incident,
        turn.state.chain,
        settings,
        at=turn.at,
        checkpoint=checkpoint,
        free_spares=len(spares_of(turn, job, rescue.tried)),
    )
    return recovery_policy(settings).choose(stands)


def _leaves(turn: Turn, job: Job, rescue: Rescue, choice: Choice) -> bool:
    wished = turn.state.settings.allows("migrate") and choice.move == "migrate" and _has_room(turn, job, rescue)
    return wished and held(turn, job, rescue.node) is None


def _has_room(turn: Turn, job: Job, rescue: Rescue) -> bool:
    """Whether a node could be left: for a spare, or, weighed as the lab weighs it, for a smaller job.

    While a lost rank lacks a spare the job stands still, and leaving a node that runs would only add to what is lost.
    """
    if spares_of(turn, job, rescue.tried) and not lacking(job):
        return True
    others = sum(one.phase == "migrating" and one.spare is None for one in job.rescues.values())
    settings = turn.state.settings
    return settings.migration == "break-even" and may_shrink(job, settings, 1 + others)


def fresh(turn: Turn, job: Job) -> bool:
    """Whether the last durable checkpoint is as good as a new one: nothing unsaved, or none may be taken yet."""
    if job.saved is None:
        return False
    newest = job.saved.generation == job.last_checkpoint_generation
    return job.unsaved_steps == 0 or (newest and not gap_passed(turn, job))


def _consider(turn: Turn, job: Job, rescue: Rescue, checkpoint: Checkpoint) -> None:
    """Choose between staying and leaving, and order what was chosen if level, spares and checkpoint allow it.

    ``checkpoint`` says how its checkpoint stands: just ``durable``, ``older`` than this, or ``given up``.
    """
    rescue.phase, rescue.saves = "watching", 0
    settings = turn.state.settings
    incident = rescue.incident
    if incident is None or incident not in job.incidents or not settings.allows("quarantine"):
        return
    if job.resizing is not None:
        return
    if checkpoint == "older" and fresh(turn, job):
        checkpoint = "durable"
    choice = _choice(turn, job, rescue, incident, checkpoint)
    if choice.move == "stay":
        rescue.wait(None, turn.clock)
        if checkpoint == "given up" and settings.migration == "break-even":
            rescue.phase = "settled"
    elif settings.allows("migrate") and job.saved is None:
        rescue.phase = "settled" if checkpoint == "given up" else "saving"
    elif settings.allows("migrate") and not _has_room(turn, job, rescue):
        rescue.wait(NO_SPARE, turn.clock)
    elif (why := held(turn, job, rescue.node)) is not None:
        rescue.wait(why, turn.clock)
    elif not settings.allows("migrate"):
        _quarantine(turn, job, rescue, choice)
    elif checkpoint == "older":
        rescue.phase = "saving"
        _save(turn, job, rescue)
    elif job.saved is not None:
        _migrate(turn, job, rescue, choice, job.saved.step, checkpoint)


def _quarantine(turn: Turn, job: Job, rescue: Rescue, choice: Choice) -> None:
    rescue.wait(None, turn.clock)
    goes_out(turn.state, rescue.node, turn.clock)
    rescue.phase = "quarantining"
    rescue.command = turn.issue(
        job,
        "QUARANTINE",
        told(f"{choice.rule}; the level allows quarantine only", rescue.failures),
        choice.numbers,
        evidence=rescue.evidence,
        incident=rescue.incident,
        node=rescue.node,
        ranks=(rescue.rank,),
    )


def _migrate(turn: Turn, job: Job, rescue: Rescue, choice: Choice, step: int, checkpoint: Checkpoint) -> None:
    rescue.wait(None, turn.clock)
    rule = told(choice.rule, rescue.failures)
    if checkpoint == "given up":
        rule = f"{rule}; {GAVE_UP}"
    numbers = {**choice.numbers, **checkpoint_numbers(job, turn.state.settings, turn.at), **choice.numbers}
    if len(job.rescues) > 1:
        numbers["expected_loss_s"] = expected_loss_s(job, rescue.incident, turn.state.settings, turn.at)
    rescue.spare = next(iter(spares_of(turn, job, rescue.tried)), None)
    if rescue.spare is None:
        rule = f"{rule}; {SMALLER}"
    goes_out(turn.state, rescue.node, turn.clock)
    rescue.phase = "migrating"
    incident = job.incidents.get(rescue.incident or "")
    rescue.moved_from = None if incident is None else health_state(incident.peak, turn.state.settings.theta)
    rescue.failures = ()
    rescue.command = turn.issue(
        job,
        "MIGRATE",
        rule,
        numbers,
        evidence=rescue.evidence,
        incident=rescue.incident,
        node=rescue.node,
        spare=rescue.spare,
        ranks=(rescue.rank,),
        step=step,
    )


def _restore(turn: Turn, job: Job, rescue: Rescue) -> None:
    """Start a lost rank on a spare from the last durable checkpoint; without a spare it waits for one."""
    if job.saved is None:
        rescue.phase = "settled"
        rescue.wait("no checkpoint is durable at every rank, so that none can be restored", turn.clock)
        return
    if without := lacking(job):
        ranks = ", ".join(map(str, without))
        lacks = NO_SPARE if rescue.spare is None else f"{NO_SPARE} for rank {ranks}, without which none goes on"
        pause = paused(turn, job) if may_shrink(job, turn.state.settings, 0) else None
        rescue.wait(lacks if pause is None else f"{lacks}, and no smaller job: {pause}", turn.clock)
        return
    rescue.wait(None, turn.clock)
    numbers = checkpoint_numbers(job, turn.state.settings, turn.at)
    numbers["waited_s"] = turn.at - rescue.begun_at
    rule = told(
        f"restore the rank from the last durable checkpoint{BACK if rescue.called_back else ''}", rescue.failures
    )
    rescue.phase, rescue.failures = "restoring", ()
    rescue.command = turn.issue(
        job,
        "RESTORE",
        rule,
        numbers,
        evidence=rescue.evidence,
        incident=rescue.incident,
        node=rescue.spare,
        ranks=(rescue.rank,),
        step=job.saved.step,
        world=job.world,
    )


def checkpoint_settled(turn: Turn, job: Job, flight: InFlight, end: End) -> None:
    """Go on with each rescue that waited for a CHECKPOINT: choose, try once more, or give it up and say so."""
    waited = [one for one in job.rescues.values() if one.command == flight.id and one.phase == "saving"]
    for rescue in sorted(waited, key=lambda one: _urgency(turn, job, one)):
        rescue.command = None
        if end == "durable":
            rescue.failures = ()
            _consider(turn, job, rescue, "durable")
            continue
        rescue.saves += 1
        rescue.failures = (*rescue.failures, failure_text(flight, end))
        if rescue.saves >= TRIES_MAX:
            _consider(turn, job, rescue, "given up")


def migrate_ended(turn: Turn, job: Job, flight: InFlight, end: End) -> None:
    """Take in that the rank left its node, or that the node's agent did not do it."""
    rescue = next((one for one in job.rescues.values() if one.node == flight.node), None)
    place = job.places.get(flight.node or "")
    if flight.surplus:
        release_ended(turn, job, flight, end)
        return
    if end == "done" or (place is not None and place.state == "vacated"):
        if flight.done_s is not None:
            job.migrate_s = measured(job.migrate_s, flight.done_s)
        _vacated(turn, job, flight, rescue)
    elif rescue is not None and rescue.command == flight.id:
        if rescue.incident not in job.incidents:  # it closed meanwhile: the node is left alone, until it fails anew
            del job.rescues[rescue.key]
            return
        rescue.command, rescue.spare = None, None
        rescue.migrations += 1
        rescue.failures = (*rescue.failures, failure_text(flight, end))
        rescue.phase = "settled" if rescue.migrations >= TRIES_MAX else "watching"


def _vacated(turn: Turn, job: Job, flight: InFlight, rescue: Rescue | None) -> None:
    node = flight.node or ""
    running = job.rank_on(node)
    rank = flight.ranks[0] if running is None else running
    known = job.places.get(node)
    if known is None or known.state != "failed":
        job.places[node] = Place("vacated", turn.at, left="suspected")
    node_fell(job, node)
    if rescue is None:
        renumbered = running is None and (job.resizing is not None or job.full_world is not None)
        if rank in job.ranks or renumbered:
            return
        key = flight.incident or flight.id  # a late answer: its incident closed meanwhile, but the rank is gone
        rescue = Rescue(key=key, incident=flight.incident, node=node, rank=rank, begun_at=turn.at)
        job.rescues[key] = rescue
    if rescue.phase not in {"lost", "restoring"}:
        lose(turn, job, rescue)


def lose(turn: Turn, job: Job, rescue: Rescue) -> None:
    """The rank does not run any more: it is to be restored."""
    job.paces.pop(rescue.rank, None)
    rescue.phase, rescue.command, rescue.begun_at = "lost", None, turn.at


def restore_ended(turn: Turn, job: Job, flight: InFlight, end: End) -> None:
    """Take in that the rank runs on its spare, or choose another spare."""
    down = [one for one in job.rescues.values() if one.phase in DOWN]
    rescue = next((one for one in down if one.command == flight.id), None)
    if rescue is None and job.resizing is None:  # a late answer
        rescue = next((one for one in down if one.rank == flight.ranks[0]), None)
    if rescue is None:
        return
    if end == "done" and (rescue.command == flight.id or rescue.phase == "lost"):
        if flight.done_s is not None:
            job.restore_s = measured(job.restore_s, flight.done_s)
        for node, place in job.places.items():
            if place.rank == rescue.rank and place.state == "running" and job.resizing is None:
                job.places[node] = Place("vacated", turn.at)  # a rank runs on one node only: its newest
        job.places[flight.node or ""] = Place("running", turn.at, rank=rescue.rank, world=job.world)
        job.resizes = 0
        _learn_migrated(turn, rescue)
        if rescue.called_back:
            _suspected_anew(job, flight.node or "")
        del job.rescues[rescue.key]
    elif end != "done" and rescue.command == flight.id:
        rescue.tried = (*rescue.tried, flight.node or "")
        rescue.failures = (*rescue.failures, failure_text(flight, end))
        rescue.phase, rescue.command, rescue.spare = "lost", None, None


def _suspected_anew(job: Job, node: str) -> None:
    """A rank is back on a node that it left: the alarms about it stand again."""
    for key, alarm in job.alarms.items():
        if alarm.node == node and alarm.left:
            job.alarms[key] = replace(alarm, left=False)


def _learn_migrated(turn: Turn, rescue: Rescue) -> None:
    if rescue.moved_from is not None:
        turn.state.chain = turn.state.chain.learned(rescue.moved_from, "migrate", "ok")


def node_failed(turn: Turn, job: Job, node: str, rank: int | None, key: str) -> None:
    """A node failed for good: its rank is lost and needs a spare; whatever was under way with it is over."""
    for rescue in job.rescues.values():
        if rescue.spare == node:
            rescue.spare = None
            if rescue.phase == "restoring":
                rescue.failures = (*rescue.failures, f"the spare {node} failed")
                rescue.phase, rescue.command = "lost", None
    if rank is None:
        return
    of_it = (one for one in job.rescues.values() if one.node == node and (one.rank == rank or one.phase not in DOWN))
    rescue_of_it = next(of_it, None)  # not that of a rank which ran there before, and is down yet
    if rescue_of_it is None:
        rescue_of_it = Rescue(key=key, incident=None, node=node, rank=rank, begun_at=turn.at)
        job.rescues[key] = rescue_of_it
    if rescue_of_it.phase not in {"lost", "restoring"}:
        rescue_of_it.failures = (*rescue_of_it.failures, f"node {node} failed")
        lose(turn, job, rescue_of_it)


def quarantine_ended(turn: Turn, job: Job, flight: InFlight, end: End) -> None:
    """However a quarantine ended, nothing more is done with its incident."""
    for rescue in job.rescues.values():
        if rescue.command == flight.id:
            rescue.phase, rescue.command = "settled", None
