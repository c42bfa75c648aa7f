"""What was read, as one object for a program: jobs, brakes, workers, assessments, refusals, diagnostics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from infra.observer.fleet import natural_key
from infra.observer.view import View
from infra.status.diagnosing import as_told
from infra.status.reading import Reading
from models.brakes.breaker import standing
from models.decision_state import DecisionState
from models.diagnostics import Diagnosis
from models.flights import WHOLE_NODE
from models.job import InFlight, Job, Place, Rescue
from models.policy_settings import PolicySettings
from models.prices import checkpoint_cost_s, durable_s, migration_s, mtbf_s, unforeseen_hazard
from models.trust import believed, believed_recall


def document(reading: Reading, diagnoses: Sequence[Diagnosis], at: float) -> dict[str, Any]:
    """All that ``forestall status --json`` tells; ``at`` is the clock's time (s), all others are source times."""
    states = reading.states
    return {
        "at": at,
        "as_of": max((state.now for state in states.values() if state.now is not None), default=None),
        "loading_history": any(state.loading for state in states.values()),
        "policy": _policy(reading),
        "jobs": [_job(job, state) for _, state in sorted(states.items()) for job in _sorted(state)],
        "brakes": _brakes(states),
        "workers": _workers(reading),
        "health": reading.view.health(),
        "assessments": _assessments(reading.view, at),
        "models": reading.view.models(),
        "refused": reading.refusals.to_json(),
        "dead_letters": reading.dead_letters,
        "diagnostics": [as_told(one) for one in diagnoses],
    }


def jobs_of(states: Mapping[int, DecisionState]) -> dict[str, Job]:
    """Every job by its name: each lies on one partition."""
    return {job.name: job for state in states.values() for job in _sorted(state)}


def _sorted(state: DecisionState) -> Iterator[Job]:
    """The jobs of a partition that anybody belongs to; suspicion of nodes of no job is under the name ''."""
    return (state.jobs[name] for name in sorted(state.jobs) if name and state.jobs[name].places)


def _policy(reading: Reading) -> dict[str, Any] | None:
    """What the workers decide by, in words; None when none has left a state."""
    settings = reading.decided_by()
    if settings is None:
        return None
    return {"level": settings.level, "checkpoint": settings.checkpoint, "migration": settings.migration}


def _job(job: Job, state: DecisionState) -> dict[str, Any]:
    places = sorted(job.places.items(), key=lambda pair: natural_key(pair[0]))
    reserved = {rescue.spare: rescue.key for rescue in job.rescues.values() if rescue.spare is not None}
    return {
        "job": job.name,
        "step": job.step,
        "step_s": job.step_s,
        "told_at": job.told_at,
        "world": job.world,
        "whole": job.whole,
        "resized_from": job.full_world,
        "min_nodes": job.min_nodes,
        "replica_nodes": job.replica_nodes,
        "saved": None if job.saved is None else {"step": job.saved.step, "at": job.saved.at},
        "unsaved_s": job.unsaved_s,
        "ranks": [_rank(job, node, place) for node, place in places if place.state == "running"],
        "spares": [
            {"node": node, "since": place.at, "reserved_for": reserved.get(node)}
            for node, place in places
            if place.state == "spare"
        ],
        "vacated": [
            {"node": node, "since": place.at, "why": place.left} for node, place in places if place.state == "vacated"
        ],
        "failed": [{"node": node, "since": place.at} for node, place in places if place.state == "failed"],
        "waiting": list(_waiting(job)),
        "incidents": [
            {"id": key, "node": one.node, "since": one.opened_at, "probability": one.probability, "peak": one.peak}
            for key, one in job.incidents.items()
        ],
        "commands": [_flight(flight) for flight in job.in_flight.values()],
        "trust": _trust(job),
        "prices": _prices(job, state.settings),
    }


def _rank(job: Job, node: str, place: Place) -> dict[str, Any]:
    pace = None if place.rank is None else job.paces.get(place.rank)
    told = None if pace is None or pace.node != node else pace
    return {
        "rank": place.rank,
        "node": node,
        "since": place.at,
        "step": None if told is None else told.step,
        "told_at": None if told is None else told.at,
    }


def _waiting(job: Job) -> Iterator[dict[str, Any]]:
    """Who waits for what, and since when: the job as a whole, and each rank that is on its way."""
    if job.hold is not None:
        yield {"rank": None, "node": None, "phase": None, "why": job.hold.why, "since": job.hold.since}
    for rescue in job.rescues.values():
        if rescue.hold is not None or rescue.phase != "settled":
            yield {
                "rank": rescue.rank,
                "node": rescue.node,
                "phase": rescue.phase,
                "why": _why(job, rescue),
                "since": rescue.begun_at if rescue.hold is None else rescue.hold.since,
            }


def _why(job: Job, rescue: Rescue) -> str:
    if rescue.hold is not None:
        return rescue.hold.why
    flight = job.in_flight.get(rescue.command or "")
    if flight is not None:
        return f"{flight.action} {flight.generation}"
    return {"watching": "leaving is not worth its price yet", "lost": "a spare"}.get(rescue.phase, rescue.phase)


def _flight(flight: InFlight) -> dict[str, Any]:
    ranks = [WHOLE_NODE] if flight.node is not None else list(flight.ranks)
    return {
        "id": flight.id,
        "action": flight.action,
        "generation": flight.generation,
        "incident": flight.incident,
        "node": flight.node,
        "issued_at": flight.issued_at,
        "expires_at": flight.expires_at,
        "late": flight.late,
        "failure": flight.failure,
        "stages": [{"rank": None if rank == WHOLE_NODE else rank, "stage": flight.stages.get(rank)} for rank in ranks],
    }


def _trust(job: Job) -> dict[str, Any]:
    """What alarms have earned: P that is acted upon, for single alarms and in a storm, and the share foreseen."""
    return {
        "sparse": believed(job.trust.sparse),
        "dense": believed(job.trust.dense, dense=True),
        "recall": believed_recall(job.trust),
        "counts": {name: counts._asdict() for name, counts in job.trust._asdict().items()},
    }


def _prices(job: Job, settings: PolicySettings) -> dict[str, Any]:
    """C, W, M and μ (s), and which of them this job has measured."""
    measured = {
        "checkpoint_cost_s": job.cost_s,
        "durable_s": job.durable_s,
        "migration_s": None if job.migrate_s is None or job.restore_s is None else job.migrate_s + job.restore_s,
    }
    return {
        "checkpoint_cost_s": checkpoint_cost_s(job, settings),
        "durable_s": durable_s(job, settings),
        "migration_s": migration_s(job, settings),
        "mtbf_s": mtbf_s(job, settings),
        "unforeseen_hazard_per_s": unforeseen_hazard(job, settings),
        "measured": [name for name, value in measured.items() if value is not None],
    }


def _brakes(states: Mapping[int, DecisionState]) -> dict[str, Any]:
    pauses: dict[str, Any] = {}
    opt_outs: dict[str, Any] = {}
    breakers = []
    storms = []
    for number, state in sorted(states.items()):
        pauses |= {job: asdict(word) for job, word in state.brakes.pauses.items() if word.holds}
        opt_outs |= {node: asdict(word) for node, word in state.brakes.opt_outs.items() if word.holds}
        stands, tripped = standing(state), state.brakes.tripped
        breakers.append(
            {"partition": number, **stands._asdict(), "tripped": None if tripped is None else asdict(tripped)}
        )
        storms += [{"job": job.name, "since": job.storm.since} for job in _sorted(state) if job.storm.since is not None]
    return {"pauses": pauses, "opt_outs": opt_outs, "breakers": breakers, "storms": storms}


def _workers(reading: Reading) -> dict[str, Any]:
    lags = [one.lag for one in reading.positions]
    return {
        "lag": sum(lag for lag in lags if lag is not None),
        "seen": any(lag is not None for lag in lags),
        "partitions": [{**asdict(one), "lag": one.lag} for one in reading.positions],
        "uncommitted": reading.uncommitted,
        "not_carried": sorted(number for number, carried in reading.carried.items() if not carried),
        "unread": {str(number): why for number, why in reading.unread.items()},
    }


def _assessments(view: View, at: float) -> dict[str, Any]:
    """The newest word on each node that the tail told of, counted by verdict, and how old the newest is (s)."""
    latest = [one for node in view.fleet.nodes.values() if (one := node.latest()) is not None]
    newest = max((one.ts for one in latest), default=None)
    return {
        "nodes": len(latest),
        "verdicts": dict(sorted(Counter(one.verdict for one in latest).items())),
        "last_at": newest,
        "age_s": None if newest is None else round(at - newest, 3),
        "counts": view.counted(),
        "latency_ms": view.latency_ms()["assessment"],
    }
