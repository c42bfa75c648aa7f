"""How honest the predictor is: what it claims of itself, and what is true, phase by phase."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from experiments.policy_lab.profile import Profile

DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A time in which the predictor stays the same.

    Parameters
    ----------
    days : how long; the last phase of a case lasts on.
    recall, precision : None: as the profile has them.
    false_per_hour : false alarms an hour over the whole job; None: as many as the precision says.
    """

    days: float = math.inf
    recall: float | None = None
    precision: float | None = None
    false_per_hour: float | None = None

    def truth(self, profile: Profile) -> tuple[float, float]:
        """Return the recall, and the rate of false alarms (1/s)."""
        recall = profile.recall if self.recall is None else self.recall
        if self.false_per_hour is not None:
            return recall, self.false_per_hour / 3600.0
        precision = profile.precision if self.precision is None else self.precision
        return recall, recall / profile.mtbf_s * (1.0 - precision) / precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a predictor claims, and what is true.

    Parameters
    ----------
    claimed_recall, claimed_precision : None: as the profile has them.
    phases : the truth, one after the other; ``repeated``: over and over.
    lead_scale : true lead times as multiples of the claimed ones.
    storm_alarms, storm_every_days, storm_s : so many false alarms more within ``storm_s``, each so many days.
    """

    name: str
    phases: tuple[Phase, ...] = (Phase(),)
    repeated: bool = False
    claimed_recall: float | None = None
    claimed_precision: float | None = None
    lead_scale: float = 1.0
    storm_alarms: int = 0
    storm_every_days: float = 7.0
    storm_s: float = 3600.0

    def claims(self, profile: Profile) -> tuple[float, float]:
        """Return the recall and the precision that the predictor claims."""
        recall = profile.recall if self.claimed_recall is None else self.claimed_recall
        return recall, profile.precision if self.claimed_precision is None else self.claimed_precision

    def spans(self, profile: Profile, wall_s: float) -> Iterator[tuple[float, float, float, float]]:
        """Yield (from, until, recall, false alarms a second) over the run, in order, storms left out."""
        begun, index = 0.0, 0
        while begun < wall_s:
            last = index == len(self.phases) - 1 and not self.repeated
            phase = self.phases[index % len(self.phases)]
            until = wall_s if last else min(wall_s, begun + phase.days * DAY_S)
            yield (begun, until, *phase.truth(profile))
            begun, index = until, index + 1


_STORM_OF_LIES = Phase(recall=0.0, false_per_hour=4.0)

#: The eleven cases of honest, weak, lying, bursting and turning predictors, by name.
CASES: Final = {
    case.name: case
    for case in (
        Case(name="honest"),
        Case(name="weak", phases=(Phase(recall=0.4, precision=0.3),)),
        Case(name="lie10", phases=(Phase(precision=0.10),), claimed_precision=0.9),
        Case(name="lie05", phases=(Phase(precision=0.05),), claimed_precision=0.9),
        Case(name="fa1", phases=(Phase(recall=0.0, false_per_hour=1.0),), claimed_precision=0.9),
        Case(name="fa10", phases=(Phase(recall=0.0, false_per_hour=10.0),), claimed_precision=0.9),
        Case(name="burst", storm_alarms=50),
        Case(name="turn", phases=(Phase(days=20.0), Phase(precision=0.05))),
        Case(name="turn0", phases=(Phase(days=20.0), _STORM_OF_LIES)),
        Case(
            name="cycle",
            phases=(Phase(days=5.0), Phase(days=5.0, recall=0.0, false_per_hour=4.0)),
            repeated=True,
        ),
        Case(name="short", lead_scale=0.1),
    )
}
