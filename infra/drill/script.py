"""The script of kills: which rank is struck, how late in Young's interval, and with what warning. Pure, by seed."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

#: Young's interval in a drill (s), seconds of a step at least, and so the steps of an interval.
INTERVAL_S, STEP_S = 15.0, 0.1
INTERVAL_STEPS = INTERVAL_S / STEP_S
#: From its death on a node takes so long to be repaired (s).
REPAIR_S = 20.0
#: Intervals that a job without a spare takes to be struck, shrink, grow back and go on.
ELASTIC_INTERVALS = 5.0
#: One kill in so many comes without a sign.
SUDDEN_ONE_IN = 3
#: A kill comes at this share of Young's interval after his last checkpoint, at least and at most.
LATE_MIN, LATE_MAX = 0.75, 0.9
#: Beyond this the next checkpoint may come first.
LATEST = 0.97
#: Seconds from the first sign to the kill, as a share of Young's interval.
LEAD_SHARES = (0.7, 0.85)
#: Intervals in which the first kill, and each further one, has to have begun; and what is left after the last.
FIRST_INTERVALS, EACH_INTERVALS, REST_INTERVALS = 2.0, 1.4, 1.1
#: Intervals of work before the first sign: either arm has a checkpoint by then.
BEFORE_INTERVALS = 1.2
#: Intervals of new work between a kill and the next first sign: no kill meets the recovery from the one before.
APART_INTERVALS = 0.2


@dataclass(frozen=True, slots=True)
class Strike:
    """One kill: the node of ``rank`` shows signs for ``lead_s`` (0: none), then dies.

    ``late`` is the share of Young's interval that has passed since his last checkpoint when it dies.
    """

    rank: int
    lead_s: float
    late: float

    @property
    def sudden(self) -> bool:
        """Whether no sign comes before it."""
        return self.lead_s == 0.0


def script_of(kills: int, ranks: int, seed: int, interval_s: float) -> tuple[Strike, ...]:
    """Return the kills of a seed, one third of them sudden.

    Parameters
    ----------
    interval_s : Young's interval, of which leads are a share (s)

    Examples
    --------
    >>> [strike.sudden for strike in script_of(3, 4, 7, 16.0)].count(True)
    1
    """
    draw = random.Random(seed)  # noqa: S311 - a script, no secret
    sudden = set(draw.sample(range(kills), kills // SUDDEN_ONE_IN))
    return tuple(
        Strike(
            rank=draw.randrange(ranks),
            lead_s=0.0 if number in sudden else round(interval_s * draw.uniform(*LEAD_SHARES), 1),
            late=round(draw.uniform(LATE_MIN, LATE_MAX), 3),
        )
        for number in range(kills)
    )


def steps_needed(kills: int, interval_steps: float) -> int:
    """Return the steps of a job in which every kill of a script has its place, whenever Young checkpoints."""
    return math.ceil(interval_steps * (FIRST_INTERVALS + EACH_INTERVALS * (kills - 1) + REST_INTERVALS))


def latest_step(number: int, interval_steps: float) -> int:
    """Return the step by which the ``number``-th kill, counted from 0, begins even if it is not late in an interval."""
    return math.floor(interval_steps * (FIRST_INTERVALS + EACH_INTERVALS * number))


def comes_late(passed: float, lead_intervals: float, late: float) -> bool:
    """Whether a strike that begins now kills late in Young's interval.

    Parameters
    ----------
    passed : share of the interval that has passed since Young's last checkpoint
    lead_intervals : intervals from the first sign to the kill
    late : the least share wanted

    Examples
    --------
    >>> comes_late(0.2, 0.7, 0.85), comes_late(0.1, 0.7, 0.85), comes_late(0.6, 0.7, 0.85)
    (True, False, False)
    """
    then = passed + lead_intervals
    return late <= then - math.floor(then) <= LATEST
