"""Which nodes a lost rank could go on with, and which one is kept for it."""

from __future__ import annotations

from models.job import TRIES_MAX, Job, Rescue
from models.prices import may_shrink
from models.turn import Turn


def spares_of(turn: Turn, job: Job, tried: tuple[str, ...] = ()) -> list[str]:
    """Return the spares, by name, that are not suspected, opted out, reserved, at work elsewhere, or tried in vain.

    A node that was left because it filled no whole replica is one too.
    """
    there = [node for node, place in job.places.items() if place.state == "spare" or place.left == "surplus"]
    return [node for node in sorted(there) if not job.suspects(node) and _at_hand(turn, node, tried)]


def _at_hand(turn: Turn, node: str, tried: tuple[str, ...]) -> bool:
    if node in tried or node in turn.state.reserved() or turn.state.brakes.opted_out(node) is not None:
        return False
    return all(other.rank_on(node) is None for other in turn.state.jobs.values())


def _left_on_suspicion(turn: Turn, job: Job, tried: tuple[str, ...]) -> list[str]:
    """Return the nodes that forestall left, and that did not fail since; what others vacated is not taken back."""
    there = [node for node, place in job.places.items() if place.left == "suspected"]
    return [node for node in sorted(there) if _at_hand(turn, node, tried)]


def lacking(job: Job) -> list[int]:
    """Return the lost ranks, ascending, for which no node is kept."""
    return sorted(one.rank for one in job.rescues.values() if one.phase == "lost" and one.spare is None)


def reserve(turn: Turn, job: Job, rescue: Rescue) -> None:
    """Keep a spare for a lost rank; a job that would wait takes back a node that was left on a suspicion only.

    A rank that has waited for a cool-down takes what it tried in vain once more: better than to wait for ever.
    """
    place, settings = job.places.get(rescue.spare or ""), turn.state.settings
    there = place is not None and (place.state == "spare" or place.left is not None)
    if there and turn.state.brakes.opted_out(rescue.spare or "") is None:
        return
    rescue.spare, rescue.called_back = None, False
    if job.saved is None:
        return
    cool_down_s = max(settings.cool_down_s, settings.command_ttl_s)
    if rescue.hold is not None and turn.clock >= rescue.hold.since + cool_down_s:
        rescue.tried = ()
    rescue.spare = next(iter(spares_of(turn, job, rescue.tried)), None)
    waits = not may_shrink(job, settings, 0) or job.resizes >= TRIES_MAX
    if rescue.spare is None and waits and settings.migration == "break-even":
        rescue.spare = next(iter(_left_on_suspicion(turn, job, rescue.tried)), None)
        rescue.called_back = rescue.spare is not None
