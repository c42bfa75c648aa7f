"""Taking facts in: what each event on the decision log changes in what is known of a job."""

from __future__ import annotations

from dataclasses import replace

from models.alarms import learn_failure
from models.brakes.breaker import goes_out
from models.brakes.storm import one_more
from models.flights import node_fell, note_outcome
from models.job import Job, OpenIncident, Pace, Place
from models.records import Incident, Membership, NodeFate, Outcome, Progress
from models.recovery import health_state
from models.rescue import BEFORE_MOVING, lose, node_failed
from models.resizing import old_numbering
from models.strays import hear_refusal, stray_word
from models.turn import Turn, position


def observe_incident(turn: Turn, event: Incident) -> list[Job]:
    """An incident opens, changes or closes; one that closes calls off its rescue unless the rank is being moved.

    One that an anomaly alone holds open claims no fault: nothing is done about it, and nobody's trust depends on it.
    """
    job = _job_of_incident(turn, event)
    known = job.incidents.get(event.incident)
    if event.state == "closed" or event.reason == "anomaly":
        if known is not None:
            _close(turn, job, event.incident, known)
        return [job]
    if known is None and not (event.history or turn.state.loading) and event.node in job.places:
        job.storm = one_more(job.storm, turn.clock, turn.state.settings)
    evidence = known.evidence if known is not None else ()
    job.incidents[event.incident] = OpenIncident(
        node=event.node,
        opened_at=event.at if known is None or known.history else known.opened_at,
        probability=event.probability,
        peak=event.probability if known is None else max(known.peak, event.probability),
        step_from=event.at if known is None else known.step_from,
        deviation=event.deviation,
        horizon_s=event.horizon_s,
        history=event.history or turn.state.loading,
        evidence=evidence or (*event.evidence, position(turn.cause)),
        told=known is not None and known.told,
        alarm=known is not None and known.alarm,
    )
    return [job]


def _job_of_incident(turn: Turn, event: Incident) -> Job:
    jobs = turn.state.jobs.values()
    holder = next((job for job in jobs if event.incident in job.incidents), None)
    return holder or turn.state.job(event.job or "")


def _close(turn: Turn, job: Job, key: str, incident: OpenIncident) -> None:
    """What became of a vacated node teaches nothing: it might have failed; and history tells no failures."""
    place = job.places.get(incident.node)
    vacated = place is not None and place.state in {"vacated", "failed"}
    if not (incident.told or incident.history or vacated):
        _learn(turn, incident, failed=False, closed=True)
    del job.incidents[key]
    rescue = job.rescues.get(key)
    if rescue is not None and rescue.phase in BEFORE_MOVING:
        del job.rescues[key]


def _learn(turn: Turn, incident: OpenIncident, *, failed: bool, closed: bool = False) -> None:
    theta = turn.state.settings.theta
    following = "failed" if failed else "ok" if closed else health_state(incident.probability, theta)
    turn.state.chain = turn.state.chain.learned(health_state(incident.peak, theta), "stay", following)


def pass_horizons(turn: Turn, job: Job) -> None:
    """At a tick: an incident that lasts a whole horizon without a failure is one step of the health chain."""
    for key, incident in job.incidents.items():
        place = job.places.get(incident.node)
        if incident.told or incident.history or (place is not None and place.state == "vacated"):
            continue
        if turn.at >= incident.step_from + incident.horizon_s:
            _learn(turn, incident, failed=False)
            job.incidents[key] = replace(incident, peak=incident.probability, step_from=turn.at)


def observe_fate(turn: Turn, event: NodeFate) -> list[Job]:
    """A node really failed or recovered: a label for the health chain, and a lost rank if it ran one."""
    jobs = turn.state.jobs.values()
    named = [turn.state.job(event.job)] if event.job is not None else []
    touched = named or [job for job in jobs if event.node in job.places or job.suspects(event.node)]
    for job in touched:
        if event.state == "failed":
            _failed(turn, job, event)
        elif (place := job.places.get(event.node)) is not None and place.state == "failed":
            del job.places[event.node]
            job.seen.pop(event.node, None)
    return touched


def _failed(turn: Turn, job: Job, event: NodeFate) -> None:
    for key, incident in job.incidents.items():
        if incident.node == event.node and not (incident.told or incident.history):
            _learn(turn, incident, failed=True)
            job.incidents[key] = replace(incident, told=True)
    rank = job.rank_on(event.node)
    known = job.places.get(event.node)
    if known is None or known.state in {"vacated", "failed"} or event.at >= known.at:
        learn_failure(turn, job, event.node, event.at, ran=rank is not None)
    if known is not None and not turn.state.loading and (event.at >= known.at or known.state in {"vacated", "failed"}):
        goes_out(turn.state, event.node, turn.clock)
    if known is not None and event.at >= known.at:
        job.strays.pop(event.node, None)
    if known is not None and known.left is not None:
        job.places[event.node] = replace(known, left=None)  # it is not taken back any more
    if known is None or known.state in {"vacated", "failed"} or event.at < known.at:
        return
    job.places[event.node] = Place("failed", event.at)
    job.seen.pop(event.node, None)
    node_fell(job, event.node)
    if rank is not None:
        job.failed_at = event.at
    if turn.may_act and turn.state.settings.allows("migrate"):
        node_failed(turn, job, event.node, rank, key=f"failed-{event.id}")


def observe_membership(turn: Turn, event: Membership) -> list[Job]:
    """A node runs a rank, waits as a spare, or was vacated; an older word than the one that is known is ignored."""
    job = turn.state.job(event.job)
    known = job.places.get(event.node)
    if stray_word(turn, job, event) or (known is not None and event.at < known.at):
        return [job]
    job.seen.setdefault(event.node, turn.clock)
    if event.min_nodes is not None and event.replica_nodes is not None:
        job.min_nodes, job.replica_nodes = max(1, event.min_nodes), max(1, event.replica_nodes)
    if event.state == "running" and old_numbering(job, event):
        return [job]
    left = known.left if known is not None and event.state == known.state == "vacated" else None
    job.places[event.node] = Place(event.state, event.at, event.rank, event.world, left)
    if event.state == "running" and event.rank is not None:
        _runs(job, event.node, event.rank, event.at)
    elif event.state == "vacated":
        node_fell(job, event.node)
        _left(turn, job, event.node)
    elif event.state == "spare":
        for rescue in job.rescues.values():
            rescue.tried = tuple(node for node in rescue.tried if node != event.node)
    return [job]


def _runs(job: Job, node: str, rank: int, at: float) -> None:
    """A rank runs on one node only: its newest; a lost one that runs again is lost no more.

    That holds, too, for one that was lost without a checkpoint to restore (``settled``, and of no incident).
    """
    for other, place in job.places.items():
        if other != node and place.state == "running" and place.rank == rank and place.at <= at:
            job.places[other] = Place("vacated", at)
    for rescue in [one for one in job.rescues.values() if one.rank == rank]:
        if rescue.phase == "lost" or (rescue.phase == "settled" and rescue.incident is None):
            del job.rescues[rescue.key]


def _left(turn: Turn, job: Job, node: str) -> None:
    """A node was vacated: by an order of ours that was thought to have failed, or by somebody else."""
    for rescue in [one for one in job.rescues.values() if one.node == node and one.phase in BEFORE_MOVING]:
        if rescue.migrations > 0:
            lose(turn, job, rescue)
        else:
            del job.rescues[rescue.key]


def observe_progress(turn: Turn, event: Progress) -> list[Job]:
    """A rank tells how far it is; what is older than its last word, or comes from where it ran before, is ignored."""
    job = turn.state.job(event.job)
    known = job.paces.get(event.rank)
    place = job.places.get(event.node)
    moved = place is not None and place.state != "running" and event.at <= place.at
    moved = moved or event.node in job.strays
    if moved or (known is not None and event.at <= known.at) or _of_other_number(job, event):
        return []
    if job.first_step is None or _began_anew(turn, job, event):
        job.first_step, job.saved = event.step, None
    job.paces[event.rank] = Pace(event.node, event.at, event.step, event.step_s, event.load)
    return []


def _of_other_number(job: Job, event: Progress) -> bool:
    """Whether a rank speaks by a number that is not, or not yet, the one it is known by: a RESIZE is under way."""
    if job.resizing is None and job.full_world is None:
        return False
    rank = job.rank_on(event.node)
    return rank is not None and rank != event.rank


def _began_anew(turn: Turn, job: Job, event: Progress) -> bool:
    """Whether the job goes on below its own durable checkpoint, long after it: somebody started it from elsewhere."""
    if job.saved is None or job.down or event.step >= job.saved.step:
        return False
    return event.at > job.saved.at + turn.state.settings.stalled_after_s


def observe_outcome(turn: Turn, event: Outcome) -> list[Job]:
    """A command entered a stage at one cluster agent."""
    job = turn.state.job(event.job)
    note_outcome(job, event)
    hear_refusal(turn, job, event)
    return [job]
