"""Bringing a rank to safety: CHECKPOINT → durable at every rank → MIGRATE → done → RESTORE → done.

::

    saving ── durable ──▶ watching ── the policy says so ──▶ migrating ── done ──▶ lost ──▶ restoring ── done ──▶ ends
      ▲  └─ failed twice ──▶ │  ▲                               │                   ▲  └─ no spare: waits   │
      └─ checkpoint too old ─┘  └──── failed or silent, once ───┘                   └── failed or silent ───┘

A rescue ends too when its incident closes before MIGRATE, and begins at ``lost`` when a node fails unforeseen. What
went wrong stands in the reason of the command that follows; ``settled`` is an incident with which nothing more is done.
"""

from __future__ import annotations

from collections.abc import Mapping

from models.flights import End, failure_text
from models.job import InFlight, Job, Place, Rescue, measured
from models.prices import Checkpoint, aupy_checkpoint, checkpoint_numbers, early_checkpoint, suspicion
from models.recovery import Choice, health_state, recovery_policy
from models.saving import gap_passed, order_checkpoint, told
from models.turn import Turn

#: A checkpoint, and a migration, is tried once more and then given up.
TRIES_MAX = 2
#: Phases before MIGRATE: the node is left alone again when its incident closes.
BEFORE_MOVING = frozenset({"saving", "watching", "quarantining", "settled"})
SAVE = "save before the node fails, which is worth more than an early checkpoint costs"
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
    """Take each rescue as far as it goes now, the one with the largest fault probability first."""
    for rescue in sorted(job.rescues.values(), key=lambda one: (-_probability(job, one), one.key)):
        if rescue.phase == "saving" and rescue.command is None:
            _save(turn, job, rescue)
        elif rescue.phase == "watching":
            _consider(turn, job, rescue, "older")
        elif rescue.phase == "lost":
            _restore(turn, job, rescue)


def _probability(job: Job, rescue: Rescue) -> float:
    incident = job.incidents.get(rescue.incident or "")
    return 1.0 if incident is None else incident.probability


def _save(turn: Turn, job: Job, rescue: Rescue) -> None:
    """Order the checkpoint of an alarm, share the one in flight, or find that a fresh one is there."""
    flight = job.checkpoint_in_flight
    if flight is not None:
        rescue.command = flight.id
    elif _fresh(turn, job):
        _consider(turn, job, rescue, "durable")
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
        free_spares=len(free_spares(turn, job, rescue)),
    )
    return recovery_policy(settings).choose(stands)


def _leaves(turn: Turn, job: Job, rescue: Rescue, choice: Choice) -> bool:
    may = turn.state.settings.allows("migrate") and bool(free_spares(turn, job, rescue))
    return may and choice.move == "migrate"


def _fresh(turn: Turn, job: Job) -> bool:
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
    if checkpoint == "older" and _fresh(turn, job):
        checkpoint = "durable"
    choice = _choice(turn, job, rescue, incident, checkpoint)
    if choice.move == "stay":
        if checkpoint == "given up" and settings.migration == "break-even":
            rescue.phase = "settled"
    elif not settings.allows("migrate"):
        _quarantine(turn, job, rescue, choice)
    elif job.saved is None:
        rescue.phase = "settled" if checkpoint == "given up" else "saving"
    elif free_spares(turn, job, rescue):
        if checkpoint == "older":
            rescue.phase = "saving"
            _save(turn, job, rescue)
        else:
            _migrate(turn, job, rescue, choice, job.saved.step, checkpoint)


def _quarantine(turn: Turn, job: Job, rescue: Rescue, choice: Choice) -> None:
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
    rule = told(choice.rule, rescue.failures)
    if checkpoint == "given up":
        rule = f"{rule}; {GAVE_UP}"
    numbers = {**choice.numbers, **checkpoint_numbers(job, turn.state.settings, turn.at), **choice.numbers}
    rescue.spare = _first(free_spares(turn, job, rescue))
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


def free_spares(turn: Turn, job: Job, rescue: Rescue) -> list[str]:
    """Return the spares, by name, that are not suspected, reserved, at work elsewhere, or tried in vain."""
    reserved = turn.state.reserved()
    found = []
    for node in sorted(job.places):
        if job.places[node].state != "spare" or job.suspects(node) or node in rescue.tried:
            continue
        if node not in reserved and all(other.rank_on(node) is None for other in turn.state.jobs.values()):
            found.append(node)
    return found


def _first(spares: list[str]) -> str | None:
    return spares[0] if spares else None


def _restore(turn: Turn, job: Job, rescue: Rescue) -> None:
    """Start a lost rank on a spare from the last durable checkpoint; without a spare it waits for one."""
    if job.saved is None:
        rescue.phase = "settled"
        return
    place = job.places.get(rescue.spare or "")
    if place is None or place.state != "spare":
        rescue.spare = None
        rescue.spare = _first(free_spares(turn, job, rescue))
    if rescue.spare is None:
        return
    numbers = checkpoint_numbers(job, turn.state.settings, turn.at)
    numbers["waited_s"] = turn.at - rescue.begun_at
    rule = told("restore the rank from the last durable checkpoint", rescue.failures)
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
    )


def checkpoint_settled(turn: Turn, job: Job, flight: InFlight, end: End) -> None:
    """Go on with each rescue that waited for a CHECKPOINT: choose, try once more, or give it up and say so."""
    for rescue in [one for one in job.rescues.values() if one.command == flight.id and one.phase == "saving"]:
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
    node, rank = flight.node or "", flight.ranks[0]
    job.places[node] = Place("vacated", turn.at)
    if rescue is None:
        if rank in job.ranks:
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
    down = (one for one in job.rescues.values() if one.phase in {"lost", "restoring"})
    rescue = next((one for one in down if one.rank == flight.ranks[0]), None)
    if rescue is None:
        return
    if end == "done" and (rescue.command == flight.id or rescue.phase == "lost"):
        if flight.done_s is not None:
            job.restore_s = measured(job.restore_s, flight.done_s)
        job.places[flight.node or ""] = Place("running", turn.at, rank=rescue.rank, world=_world(job))
        _learn_migrated(turn, rescue)
        del job.rescues[rescue.key]
    elif end != "done" and rescue.command == flight.id:
        rescue.tried = (*rescue.tried, flight.node or "")
        rescue.failures = (*rescue.failures, failure_text(flight, end))
        rescue.phase, rescue.command, rescue.spare = "lost", None, None


def _world(job: Job) -> int | None:
    return max((place.world for place in job.places.values() if place.world is not None), default=None)


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
    rescue_of_it = next((one for one in job.rescues.values() if one.node == node), None)
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
