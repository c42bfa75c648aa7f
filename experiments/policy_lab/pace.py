"""How often a job saves now, by its policy."""

from __future__ import annotations

from experiments.compiled import compiled
from experiments.policy_lab.beliefs import Belief, probability, recall_at
from experiments.policy_lab.rule import FIXED, LAZY, LITERAL, NO_PACE, TRUTH, Rule
from experiments.policy_lab.state import LEAVING, NEVER, OPEN, RUN, Run, World
from models import hazard_rate, lead
from models.checkpointing import hazard, lazy, young

lead_survival = compiled(lead.lead_survival)
lead_density = compiled(lead.lead_density)
lead_peak = compiled(lead.lead_peak)
base_hazard = compiled(hazard_rate.base_hazard)
alarm_hazard = compiled(hazard_rate.alarm_hazard)
hazard_rate_of_checkpoints = compiled(hazard.hazard_rate_of_checkpoints)
lazy_interval_s = compiled(lazy.lazy_interval_s)
young_interval_s = compiled(young.young_interval_s)

#: While alarms are open the hazard is followed in steps of this share of Young's interval.
STEP = 1.0 / 20.0
#: Unless all of them together add less than this share to the base hazard.
NEGLIGIBLE = 0.01


@compiled
def pace(world: World, rule: Rule, belief: Belief, state, run: Run):
    """Return the rate of checkpoints (1/s) of a job at work, and until when it holds (s)."""
    if state.mode != RUN or rule.pace == NO_PACE:
        return 0.0, NEVER
    if rule.pace == FIXED:
        return 1.0 / rule.interval_s, NEVER
    if rule.pace == LAZY:
        return 1.0 / lazy_interval_s(rule.interval_s, state.began - state.failed_at, rule.weibull), NEVER
    if rule.pace == LITERAL:
        return rule.alpha * _largest(rule, belief, state, run) + rule.beta * rule.load, NEVER
    base = _base(world, rule, belief, run, state.at)
    if _foretold(rule, belief, state, run) * lead_peak(belief.median_s, world.sigma) < NEGLIGIBLE * base:
        return hazard_rate_of_checkpoints(base, world.cost_s), NEVER
    step_s = STEP * young_interval_s(world.cost_s, world.mtbf_s)
    hazard = base + _hazard(world, rule, belief, state, run, state.at + 0.5 * step_s)
    return hazard_rate_of_checkpoints(hazard, world.cost_s), state.at + step_s


@compiled
def _largest(rule: Rule, belief: Belief, state, run: Run) -> float:
    """Return the largest P of the open alarms; 0 when there is none."""
    largest = 0.0
    for alarm in range(state.oldest, state.alarm):
        if OPEN <= run.alarms[alarm].status <= LEAVING:
            largest = max(largest, probability(rule, belief, run, alarm))
    return largest


@compiled
def _foretold(rule: Rule, belief: Belief, state, run: Run) -> float:
    """Return how many failures the open alarms foretell; none where none is believed."""
    total = 0.0
    if rule.trust != TRUTH and max(belief.sparse, belief.dense) == 0.0:
        return total
    for alarm in range(state.oldest, state.alarm):
        if OPEN <= run.alarms[alarm].status <= LEAVING:
            total += probability(rule, belief, run, alarm)
    return total


@compiled
def _base(world: World, rule: Rule, belief: Belief, run: Run, at: float) -> float:
    helped = lead_survival(world.cost_s + world.durable_s, belief.median_s, world.sigma)
    return base_hazard(recall_at(rule, belief, run, at), helped, world.mtbf_s)


@compiled
def _hazard(world: World, rule: Rule, belief: Belief, state, run: Run, at: float) -> float:
    total = 0.0
    for alarm in range(state.oldest, state.alarm):
        if OPEN <= run.alarms[alarm].status <= LEAVING:
            chance = probability(rule, belief, run, alarm)
            age_s = at - run.alarms[alarm].at + world.cost_s + world.durable_s
            if chance > 0.0:
                density = lead_density(age_s, belief.median_s, world.sigma)
                total += alarm_hazard(chance, density, lead_survival(age_s, belief.median_s, world.sigma))
    return total
