"""Each policy by name, as numbers for the simulator."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from experiments.policy_lab.cases import Case
from experiments.policy_lab.names import KNOWS_TRUTH
from experiments.policy_lab.profile import Profile
from experiments.policy_lab.rule import (
    CLAIMS,
    EARNED,
    FIXED,
    HAZARD,
    IGNORE,
    LAZY,
    LEAVE_BREAK_EVEN,
    LEAVE_LITERAL,
    LITERAL,
    NO_PACE,
    ORACLE,
    SAVE_AUPY,
    SAVE_EARLY,
    TRUTH,
    Rule,
)
from models.checkpointing.aupy import aupy_interval_s
from models.checkpointing.daly import daly_interval_s
from models.checkpointing.overhead_bounded import OVERHEAD_CAP, overhead_bounded_interval_s
from models.checkpointing.young import young_interval_s

#: An oracle that foresees every failure still saves now and then, as if one in so many came unforeseen.
UNFORESEEN: Final = 0.02
_UNITS_S: Final = {"s": 1.0, "min": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the seed leaves open.

    Parameters
    ----------
    alpha, beta :
        α and β of Eq. 2, per unit of time of each literal reading.
    load :
        I of Eq. 2, in 0…1.
    eta :
        η of Eq. 6.
    """

    alpha: float = 0.5
    beta: float = 0.5
    load: float = 0.5
    eta: float = 0.7


def saves_to_memory(name: str) -> bool:
    """Whether a policy saves to its peers' memory."""
    return name.startswith("in-memory")


def rule_of(name: str, profile: Profile, case: Case, settings: Settings) -> Rule:
    """Return a policy that needs no search.

    Raises
    ------
    KeyError
        If there is none of that name.
    """
    if name.startswith("eq2+6-literal-"):
        unit_s = _UNITS_S[name.removeprefix("eq2+6-literal-")]
        return literal(settings.alpha / unit_s, settings.beta / unit_s, settings.load, settings.eta)
    return _RULES[name](profile, case, settings)


def fixed(interval_s: float) -> Rule:
    """Return a fixed interval that ignores alarms; an infinite one never saves."""
    return Rule(FIXED, interval_s=float(interval_s)) if math.isfinite(interval_s) else Rule(NO_PACE)


def literal(alpha: float, beta: float, load: float, eta: float) -> Rule:
    """Return Eq. 2 with α and β in 1/s, and Eq. 6 with η; an η of 1 never migrates."""
    leave = LEAVE_LITERAL if eta < 1.0 else IGNORE
    return Rule(LITERAL, leave=leave, alpha=float(alpha), beta=float(beta), load=float(load), eta=float(eta))


def _young_s(profile: Profile) -> float:
    return young_interval_s(profile.cost_s, profile.mtbf_s)


def _in_memory(profile: Profile, rule: Rule) -> Rule:
    """Return the rule with checkpoints to storage for the failures that a peer's memory does not survive."""
    if profile.memory_lost == 0.0:
        return rule
    return rule._replace(keep_s=young_interval_s(profile.cost_s, profile.mtbf_s / profile.memory_lost))


def _aupy(profile: Profile, case: Case, _: Settings) -> Rule:
    interval_s = aupy_interval_s(profile.cost_s, profile.mtbf_s, min(case.claims(profile)[0], 1.0 - UNFORESEEN))
    return Rule(FIXED, save=SAVE_AUPY, interval_s=interval_s)


def _oracle(profile: Profile, recall: float) -> Rule:
    return Rule(FIXED, leave=ORACLE, interval_s=aupy_interval_s(profile.cost_s, profile.mtbf_s, recall))


def _true_recall(profile: Profile, case: Case) -> float:
    """Return the share of failures foreseen over the whole run."""
    wall_s = profile.days * 86_400.0
    seen = sum((until - begun) * recall for begun, until, recall, _ in case.spans(profile, wall_s)) / wall_s
    return min(seen, 1.0 - UNFORESEEN)


_DEFAULT: Final = Rule(HAZARD, save=SAVE_EARLY, leave=LEAVE_BREAK_EVEN, trust=EARNED)

_RULES: Final[dict[str, Callable[[Profile, Case, Settings], Rule]]] = {
    "none": lambda *_: Rule(NO_PACE),
    "fixed-10m": lambda *_: fixed(600.0),
    "fixed-30m": lambda *_: fixed(1800.0),
    "fixed-60m": lambda *_: fixed(3600.0),
    "young": lambda profile, *_: fixed(_young_s(profile)),
    "daly": lambda profile, *_: fixed(daly_interval_s(profile.cost_s, profile.mtbf_s)),
    "lazy": lambda profile, *_: Rule(LAZY, interval_s=_young_s(profile), weibull=float(profile.weibull_shape)),
    "overhead-bounded": lambda profile, *_: fixed(overhead_bounded_interval_s(profile.cost_s, OVERHEAD_CAP)),
    "aupy": _aupy,
    "young+eq6": lambda profile, _, settings: Rule(
        FIXED, leave=LEAVE_LITERAL, interval_s=_young_s(profile), eta=float(settings.eta)
    ),
    "hazard": lambda *_: Rule(HAZARD, save=SAVE_EARLY, trust=EARNED),
    "believes-claims": lambda *_: _DEFAULT._replace(trust=CLAIMS),
    "hazard+break-even": lambda *_: _DEFAULT,
    KNOWS_TRUTH: lambda *_: _DEFAULT._replace(trust=TRUTH),
    "in-memory": lambda profile, *_: _in_memory(
        profile, fixed(young_interval_s(profile.memory_cost_s, profile.mtbf_s))
    ),
    "in-memory+break-even": lambda profile, *_: _in_memory(profile, _DEFAULT),
    "elastic": lambda profile, *_: _DEFAULT._replace(elastic=profile.min_nodes is not None),
    "oracle-same-recall": lambda profile, case, _: _oracle(profile, _true_recall(profile, case)),
    "oracle": lambda profile, *_: _oracle(profile, 1.0 - UNFORESEEN),
}
