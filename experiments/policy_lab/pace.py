"""How often a job saves now, by its policy."""

from __future__ import annotations

from experiments.compiled import compiled
from experiments.policy_lab.beliefs import Belief, probability, recall_at
from experiments.policy_lab.draws import Draws
from experiments.policy_lab.rule import FIXED, LAZY, LITERAL, NO_PACE, Rule
from experiments.policy_lab.state import LEAVING, NEVER, OPEN, RUN, Memory, World
from models import hazard_rate, lead
from models.checkpointing import hazard, lazy, young

lead_survival = compiled(lead.lead_survival)
lead_density = compiled(lead.lead_density)
base_hazard = compiled(hazard_rate.base_hazard)
alarm_hazard = compiled(hazard_rate.alarm_hazard)
hazard_rate_of_checkpoints = compiled(hazard.hazard_rate_of_checkpoints)
lazy_interval_s = compiled(lazy.lazy_interval_s)
young_interval_s = compiled(young.young_interval_s)

#: While alarms are open the hazard is followed in steps of this share of Young's interval.
STEP = 1.0 / 40.0


@compiled
def pace(world: World, rule: Rule, belief: Belief, state, memory: Memory, draws: Draws):
    """Return the rate of checkpoints (1/s) of a job at work, and until when it holds (s)."""
    if state.mode != RUN or rule.pace == NO_PACE:
        return 0.0, NEVER
    if rule.pace == FIXED:
        return 1.0 / rule.interval_s, NEVER
    if rule.pace == LAZY:
        return 1.0 / lazy_interval_s(rule.interval_s, state.began - state.failed_at, rule.shape), NEVER
    if rule.pace == LITERAL:
        return rule.alpha * _largest(rule, belief, state, memory, draws) + rule.beta * rule.load, NEVER
    if _largest(rule, belief, state, memory, draws) == 0.0:
        return hazard_rate_of_checkpoints(_base(world, rule, belief, draws, state.at), world.cost_s), NEVER
    step_s = STEP * young_interval_s(world.cost_s, world.mtbf_s)
    hazard = _hazard(world, rule, belief, state, memory, draws, state.at + 0.5 * step_s)
    return hazard_rate_of_checkpoints(hazard, world.cost_s), state.at + step_s


@compiled
def _largest(rule: Rule, belief: Belief, state, memory: Memory, draws: Draws) -> float:
    """Return the largest P of the open alarms; 0 when there is none."""
    largest = 0.0
    for alarm in range(state.oldest, state.alarm):
        if OPEN <= memory.status[alarm] <= LEAVING:
            largest = max(largest, probability(rule, belief, memory, draws, alarm))
    return largest


@compiled
def _base(world: World, rule: Rule, belief: Belief, draws: Draws, at: float) -> float:
    helped = lead_survival(world.cost_s + world.durable_s, belief.median_s, world.sigma)
    return base_hazard(recall_at(rule, belief, draws, at), helped, world.mtbf_s)


@compiled
def _hazard(world: World, rule: Rule, belief: Belief, state, memory: Memory, draws: Draws, at: float) -> float:
    total = _base(world, rule, belief, draws, at)
    for alarm in range(state.oldest, state.alarm):
        if OPEN <= memory.status[alarm] <= LEAVING:
            chance = probability(rule, belief, memory, draws, alarm)
            age_s = at - draws.alarm_at[alarm] + world.cost_s + world.durable_s
            if chance > 0.0:
                density = lead_density(age_s, belief.median_s, world.sigma)
                total += alarm_hazard(chance, density, lead_survival(age_s, belief.median_s, world.sigma))
    return total
