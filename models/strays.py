"""Ranks that a RESIZE has left behind are ended, once their node is heard of (decision record 025).

A cluster agent that was not there while its job went on smaller comes back, and its rank still runs under a number that
another has now. It would answer checkpoints by that number, and be there when the job is as large again: a rank on two
machines. So what did not come along is remembered, counts for nothing, and is ended by a MIGRATE without a spare.
"""

from __future__ import annotations

from dataclasses import replace

from models.brakes.gate import paused
from models.flights import End
from models.job import InFlight, Job, Place, Stray
from models.records import Membership, Outcome
from models.turn import Turn

LEFT_BEHIND = "its job went on without it, under other numbers"


def fell_behind(turn: Turn, job: Job, node: str, was: Place | None, *, refused: bool) -> None:
    """Remember what ran on a node that did not come along; one that refused runs it still, one that is silent may."""
    if was is not None and was.state == "running" and was.rank is not None:
        job.strays[node] = Stray(was.rank, was.world, turn.clock if refused else None)


def stray_word(turn: Turn, job: Job, event: Membership) -> bool:
    """Whether a word that a node runs a rank is of one that was left behind: it is to be ended, its agent is there.

    Not one that has come along after all, to a rank that is lost and for which nothing is under way.
    """
    stray = job.strays.get(event.node)
    if stray is None or event.state != "running" or event.rank is None:
        return False
    if (event.rank, event.world) != (stray.rank, stray.world) and _is_lacking(job, event):
        del job.strays[event.node]
        return False
    due = turn.clock if stray.due is None else stray.due
    job.strays[event.node] = Stray(event.rank, event.world, due)
    return True


def _is_lacking(job: Job, event: Membership) -> bool:
    restored = any(one.rank == event.rank and one.phase == "restoring" for one in job.rescues.values())
    return job.resizing is None and event.world == job.world and event.rank not in job.ranks and not restored


def hear_refusal(turn: Turn, job: Job, event: Outcome) -> None:
    """A node refuses the command that would have ended or renumbered its rank: it is there, and so is the rank."""
    stray = job.strays.get(event.node)
    if stray is None or stray.due is not None or event.stage not in {"expired", "rejected"}:
        return
    if event.action in {"RESIZE", "MIGRATE"}:
        job.strays[event.node] = replace(stray, due=turn.clock)


def end_strays(turn: Turn, job: Job) -> None:
    """Order what was left behind to be ended; a pause of the job holds that, and an opt-out of the node."""
    for node in list(job.strays):
        place = job.places.get(node)
        if place is None or place.state != "failed":
            del job.strays[node]
    if job.resizing is not None or job.saved is None or not turn.state.settings.allows("migrate"):
        return
    due = [node for node, stray in job.strays.items() if stray.due is not None and turn.clock >= stray.due]
    for node in due if paused(turn, job) is None else ():
        if turn.state.brakes.opted_out(node) is None and not _is_released(job, node):
            _release(turn, job, node, job.saved.step)


def _is_released(job: Job, node: str) -> bool:
    flights = (one for one in job.in_flight.values() if one.action == "MIGRATE" and one.node == node)
    return any(not flight.late for flight in flights)


def _release(turn: Turn, job: Job, node: str, step: int) -> None:
    stray = job.strays[node]
    numbers = {"world": float(job.world or 0)}
    command = turn.issue(job, "MIGRATE", LEFT_BEHIND, numbers, node=node, ranks=(stray.rank,), step=step)
    job.in_flight[command].surplus = True
    job.strays[node] = replace(stray, due=None)


def release_ended(turn: Turn, job: Job, flight: InFlight, end: End) -> None:
    """Take in that a node was let go and is at hand; one that refuses is told again after a cool-down.

    One that is silent is told again when it is heard of.
    """
    node, settings = flight.node or "", turn.state.settings
    place, stray = job.places.get(node), job.strays.get(node)
    if end == "done":
        if job.strays.pop(node, None) is not None and place is not None and place.state == "failed":
            job.places[node] = Place("vacated", turn.at, left="surplus")
    elif place is not None and (place.left == "surplus" or stray is not None):
        job.places[node] = Place("failed", turn.at)
        again = turn.clock + max(settings.cool_down_s, settings.command_ttl_s)
        rank, world = (flight.ranks[0], None) if stray is None else (stray.rank, stray.world)
        job.strays[node] = Stray(rank, world, None if end == "late" else again)
