"""A predictor that claims what is true of it, for a policy that believes claims: what knowing the truth would gain.

True is what holds over the whole run: recall, precision and lead times as one would measure them afterwards. A policy
that knew beforehand when a predictor turns would gain more; no rule that learns can follow it, for it has no time to.
"""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np

from experiments.policy_lab.cases import DAY_S, Case
from experiments.policy_lab.profile import Profile
from experiments.policy_lab.runs import Runs

BELIEVES: Final = "believes-claims"
#: Its name where the claims are true.
BELIEVES_TRUTH: Final = "believes-truth"
#: The precision of alarms none of which is true, for a claim of 0 has no odds.
_NONE_TRUE: Final = 1e-6


def truthful(profile: Profile, case: Case) -> tuple[Profile, Case]:
    """The same predictor with true claims: its alarms are the same, at the same times.

    >>> from experiments.policy_lab.cases import CASES
    >>> small = Profile(name="small", nodes=32, mtbf_s=415_584.0, cost_s=10.0)
    >>> truthful(small, CASES["lie10"])[1].claimed_precision
    0.1
    """
    wall_s = profile.days * DAY_S
    spans = np.array(list(case.spans(profile, wall_s)))
    share = (spans[:, 1] - spans[:, 0]) / wall_s
    recall = float(share @ spans[:, 2])
    false_rate = float(share @ spans[:, 3]) + case.storm_alarms / (case.storm_every_days * DAY_S)
    true_rate = recall / profile.mtbf_s
    precision = true_rate / (true_rate + false_rate) if true_rate > 0 else 0.0
    honest = dataclasses.replace(
        case,
        claimed_recall=recall,
        claimed_precision=max(round(precision, 9), _NONE_TRUE),
        lead_scale=1.0,
    )
    return dataclasses.replace(profile, lead_median_s=profile.lead_median_s * case.lead_scale), honest


def beside(runs: Runs, truth: Runs) -> Runs:
    """Put runs of :data:`BELIEVES` under true claims beside the others, as :data:`BELIEVES_TRUTH`.

    Raises
    ------
    ValueError
        When they are not of the same seeds and the same time, and so not paired.
    """
    if (runs.seeds, runs.wall_s) != (truth.seeds, truth.wall_s):
        raise ValueError("runs of other seeds or of another length are not paired")
    return Runs(
        policies=(*runs.policies, BELIEVES_TRUTH),
        seeds=runs.seeds,
        wall_s=runs.wall_s,
        seconds=np.concatenate([runs.seconds, truth.seconds[:1]]),
        counts={name: np.concatenate([each, truth.counts[name][:1]]) for name, each in runs.counts.items()},
    )
