"""What a policy holds of the predictor: by its claims, by what it earned, or by the truth."""

from __future__ import annotations

from typing import NamedTuple

from experiments.compiled import compiled
from experiments.policy_lab.rule import EARNED, TRUTH, Rule
from experiments.policy_lab.state import Run, World
from models import trust as trusted
from models.trust import Trust

compiled(trusted.true_share)
believed = compiled(trusted.believed)
believed_recall = compiled(trusted.believed_recall)
stretch = compiled(trusted.stretch)


class Belief(NamedTuple):
    """The chance that a sparse and a dense alarm is true, the share of failures foreseen, the median lead (s)."""

    sparse: float
    dense: float
    recall: float
    median_s: float


@compiled
def beliefs(world: World, rule: Rule, trust: Trust) -> Belief:
    """Return what the policy holds now."""
    if rule.trust == EARNED:
        median_s = world.claimed_median_s * stretch(trust)
        return Belief(believed(trust.sparse, False), believed(trust.dense, True), believed_recall(trust), median_s)
    median_s = world.claimed_median_s * (world.true_scale if rule.trust == TRUTH else 1.0)
    return Belief(world.claimed_precision, world.claimed_precision, world.claimed_recall, median_s)


@compiled
def probability(rule: Rule, belief: Belief, run: Run, alarm: int) -> float:
    """Return P, the chance that an alarm is true."""
    if rule.trust == TRUTH:
        return run.alarms[alarm].truth
    return belief.dense if run.alarms[alarm].dense else belief.sparse


@compiled
def recall_at(rule: Rule, belief: Belief, run: Run, at: float) -> float:
    """Return r, the share of failures that an alarm precedes."""
    if rule.trust == TRUTH:
        recall = 0.0
        for phase in range(run.phases.size):
            if run.phases[phase].at <= at:
                recall = run.phases[phase].recall
        return recall
    return belief.recall
