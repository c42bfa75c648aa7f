"""The drill of a job without a spare: it goes on smaller when a node dies, grows back, and its loss goes on. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import Any

from models.records import Event, Membership, Progress

#: Steps over which a loss is averaged.
WINDOW = 25


def worlds_of(events: Iterable[Event], job: str) -> list[int]:
    """Return the sizes that the job took, one after the other, as its nodes told of them."""
    told = [
        (one.at, one.world)
        for one in events
        if isinstance(one, Membership) and one.job == job and one.state == "running" and one.world is not None
    ]
    found: list[int] = []
    for _, world in sorted(told):
        if world not in found[-1:]:
            found.append(world)
    return found


def turns_of(events: Iterable[Event], job: str) -> list[int]:
    """Return the steps at which the job first trained in another size than before."""
    ordered = sorted((one for one in events if isinstance(one, Membership | Progress)), key=lambda one: one.at)
    world, turns, turned = 0, [], False
    for one in ordered:
        if one.job != job:
            continue
        if isinstance(one, Membership):
            if one.state == "running" and one.world is not None and one.world != world:
                turned, world = world != 0, one.world
        elif turned:
            turns.append(one.step)
            turned = False
    return turns


def loss_report(losses: Mapping[int, float], turns: Iterable[int], steady: Mapping[int, float]) -> dict[str, Any]:
    """Return how the loss went on over the changes of size.

    Parameters
    ----------
    losses, steady : by step, of this run and of one that kept its size and was never killed
    turns : steps at which the size changed

    Examples
    --------
    >>> falling = {step: 4.0 - step / 100 for step in range(1, 201)}
    >>> loss_report(falling, [100], falling)["goes_on"], loss_report(falling | {100: 9.0}, [100], falling)["goes_on"]
    (True, False)
    """
    at = [{"step": step, **_around(losses, step)} for step in turns]
    common = losses.keys() & steady.keys()
    first, last = (
        fmean(some) for some in (_window(losses, min(losses), WINDOW), _window(losses, max(losses), -WINDOW))
    )
    return {
        "first": round(first, 4),
        "last": round(last, 4),
        "turns": at,
        "difference_max": max((abs(losses[step] - steady[step]) for step in common), default=None),
        "goes_on": last < first and all(one["after"] <= one["before"] + _noise(losses) for one in at),
    }


def _around(losses: Mapping[int, float], step: int) -> dict[str, float]:
    before, after = _window(losses, step - 1, -WINDOW), _window(losses, step, WINDOW)
    return {"before": round(fmean(before), 4), "after": round(fmean(after), 4)}


def _window(losses: Mapping[int, float], start: int, steps: int) -> list[float]:
    """The losses of so many steps from ``start`` on, or back."""
    low, high = (start, start + steps) if steps > 0 else (start + steps + 1, start + 1)
    return [losses[step] for step in range(low, high) if step in losses] or [float("nan")]


def _noise(losses: Mapping[int, float]) -> float:
    """Twice the mean change from one step to the next: what is less is no jump."""
    changes = [abs(losses[step + 1] - loss) for step, loss in losses.items() if step + 1 in losses]
    return 2.0 * fmean(changes) if changes else 0.0
