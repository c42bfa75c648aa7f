"""The goals G1 to G7 as they were registered before anything was measured, and what runs say of each.

A goal is one or several bars, each on a figure of one place: a profile, a case of the predictor, a real trace or not. A
call that ran some of the places measures the bars that stand there; a goal is told as ``complete`` when all of its bars
were measured. Where there are several, its own value and bar are those of the bar with the least margin.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from experiments.policy_lab.names import KNOWS_TRUTH
from experiments.policy_lab.runs import Runs
from experiments.policy_lab.statistics import Estimate, saved, share_of_gain, waste_of

OURS: Final = "hazard+break-even"
AMPLE: Final = "llama3-16k-ample"
SCARCE: Final = "llama3-16k"
SMALL: Final = "small-256"
#: Regret and the share kept are asked of both.
REGRET_PROFILES: Final = (SCARCE, SMALL)
REGRET_CASES: Final = (
    "honest",
    "weak",
    "lie10",
    "lie05",
    "fa1",
    "fa10",
    "burst",
    "turn",
    "turn0",
    "cycle",
    "short",
)
_DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is measured."""

    profile: str
    case: str = "honest"
    traced: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a goal.

    Parameters
    ----------
    measure : ``saved`` is the waste saved against the other policy; ``low`` the lower 95 % end of that; ``share`` the
        part of the other policy's gain over Young.
    """

    goal: str
    place: Place
    measure: Literal["saved", "low", "share"]
    policy: str
    against: str
    bar: float

    @property
    def what(self) -> str:
        """In words."""
        place = ", ".join([self.place.profile, self.place.case, *(["real trace"] if self.place.traced else [])])
        words = {"saved": "waste saved against", "low": "lower 95 % end against", "share": "share of the gain of"}
        return f"{place}: {self.policy}, {words[self.measure]} {self.against}"

    def told_by(self, runs: Runs) -> bool:
        """Whether the policies that it compares were run."""
        return {self.policy, self.against, "young"} <= set(runs.policies)

    def of(self, runs: Runs) -> Estimate | None:
        """The figure; nothing where a share of a gain is asked that is too small to have one."""
        waste, against = waste_of(runs, self.policy), waste_of(runs, self.against)
        if self.measure != "share":
            return saved(waste, against)
        young = waste_of(runs, "young")
        return share_of_gain(waste, against, young) if worth_knowing(saved(against, young)) else None


#: What the truth must be worth before a share of it is asked for: the 1 % that regret may cost.
WORTH: Final = 0.01


def worth_knowing(gain: Estimate) -> bool:
    """Whether there is a gain of which a share can be kept, beyond the bound of regret and beyond doubt."""
    return gain.low > WORTH


#: Shares that must be kept of what a policy gains that knows the truth.
KEPT: Final = {"honest": 0.90, "weak": 0.80}


def _regret() -> Iterable[Bar]:
    for profile in REGRET_PROFILES:
        for case in REGRET_CASES:
            yield Bar("G4", Place(profile, case), "low", OURS, "young", -0.01)
            if case in KEPT:
                yield Bar("G4", Place(profile, case), "share", OURS, KNOWS_TRUTH, KEPT[case])


def _shares_of_the_others() -> Iterable[Bar]:
    for profile in REGRET_PROFILES:
        for case in REGRET_CASES:
            if case not in KEPT:
                yield Bar("G4", Place(profile, case), "share", OURS, KNOWS_TRUTH, KEPT["honest"])


#: Every bar, in the order of the goals.
BARS: Final[tuple[Bar, ...]] = (
    Bar("G1", Place(AMPLE), "saved", OURS, "young", 0.30),
    Bar("G1", Place(AMPLE), "saved", OURS, "best-fixed", 0.30),
    Bar("G1", Place(AMPLE), "share", OURS, "oracle-same-recall", 0.80),
    Bar("G1", Place(SCARCE), "saved", OURS, "young", 0.18),
    Bar("G1", Place(SCARCE), "share", OURS, "oracle-same-recall", 0.88),
    Bar("G2", Place(AMPLE, traced=True), "saved", OURS, "young", 0.25),
    Bar("G2", Place(AMPLE, traced=True), "share", OURS, "oracle-same-recall", 0.75),
    Bar("G3", Place(AMPLE, "weak"), "saved", OURS, "young", 0.07),
    *_regret(),
    Bar("G5", Place(SMALL), "saved", "hazard", "young", 0.15),
    Bar("G6", Place(AMPLE), "saved", "in-memory+break-even", "in-memory", 0.20),
    Bar("G7", Place(SCARCE), "saved", "elastic", "young", 0.40),
)

#: Told beside G4 and no part of it: the share kept where the predictor lies, storms or turns. The bars on shares are
#: those of the two predictors that can be trusted with something, for which they were derived; who lies must cost
#: nothing, and no rule that learns from closed alarms keeps pace with who knows beforehand when a predictor turns.
BESIDE: Final[tuple[Bar, ...]] = tuple(_shares_of_the_others())


def policies_at(place: Place) -> tuple[str, ...]:
    """The policies that the bars of a place need, Young first.

    >>> policies_at(Place("llama3-16k-ample", "weak"))
    ('young', 'hazard+break-even')
    """
    named = ["young"]
    for bar in (*BARS, *BESIDE):
        if bar.place == place:
            named += [bar.policy, bar.against]
    return tuple(dict.fromkeys(named))


def places() -> tuple[Place, ...]:
    """Every place that has a bar, in order."""
    return tuple(dict.fromkeys(bar.place for bar in BARS))


def goals(measured: Mapping[Place, Runs]) -> dict[str, dict[str, Any]]:
    """Every goal of which the runs measure a bar, as JSON values."""
    told: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys(bar.goal for bar in BARS):
        bars = [bar for bar in BARS if bar.goal == name]
        parts = _parts(bars, measured)
        if parts:
            told[name] = goal(parts, complete=len(_ran(bars, measured)) == len(bars))
            more = _parts([bar for bar in BESIDE if bar.goal == name], measured)
            told[name] |= {"beside": more} if more else {}
    return told


def _ran(bars: Iterable[Bar], measured: Mapping[Place, Runs]) -> list[Bar]:
    return [bar for bar in bars if bar.place in measured and bar.told_by(measured[bar.place])]


def _parts(bars: Iterable[Bar], measured: Mapping[Place, Runs]) -> list[dict[str, Any]]:
    found = [(bar, bar.of(measured[bar.place])) for bar in _ran(bars, measured)]
    return [_part(bar, estimate) for bar, estimate in found if estimate is not None]


def goal(parts: list[dict[str, Any]], complete: bool) -> dict[str, Any]:
    """One goal from its measured bars.

    >>> goal([{"what": "a", "value": 0.5, "bar": 0.3}, {"what": "b", "value": 0.9, "bar": 0.88}], True)["what"]
    'b'
    """
    least = min(parts, key=lambda part: part["value"] - part["bar"])
    told = {**least, "met": all(part["value"] >= part["bar"] for part in parts)}
    return {**told, "complete": complete, **({"parts": parts} if len(parts) > 1 or not complete else {})}


def _part(bar: Bar, estimate: Estimate) -> dict[str, Any]:
    value = estimate.low if bar.measure == "low" else estimate.value
    return {"what": bar.what, "value": round(value, _DIGITS), "bar": bar.bar, "ci95": estimate.interval}
