"""What a policy does about open alarms: save now, leave the node, or neither."""

from __future__ import annotations

from experiments.compiled import compiled
from experiments.policy_lab.beliefs import Belief, probability
from experiments.policy_lab.pool import room, vacate
from experiments.policy_lab.progress import begin_save, enter, unsaved_s
from experiments.policy_lab.rule import (
    IGNORE,
    LEAVE_BREAK_EVEN,
    LEAVE_LITERAL,
    ORACLE,
    SAVE_AUPY,
    SAVE_EARLY,
    Rule,
)
from experiments.policy_lab.state import (
    AGAIN,
    LEAVING,
    LEFT_ALONE,
    MOVE,
    NEVER,
    OPEN,
    PLANNED,
    Run,
    World,
)
from models import hazard_rate, lead
from models.checkpointing import aupy, hazard, young
from models.recovery import break_even, resize

young_interval_s = compiled(young.young_interval_s)
aupy_saves = compiled(aupy.aupy_saves)
early_price_s = compiled(hazard.early_price_s)
early_saves = compiled(hazard.early_saves)
lead_survival = compiled(lead.lead_survival)
lead_mean_s = compiled(lead.lead_mean_s)
still_to_come = compiled(hazard_rate.still_to_come)
failure_cost_s = compiled(break_even.failure_cost_s)
poisson_at_least = compiled(break_even.poisson_at_least)
spare_price_s = compiled(break_even.spare_price_s)
worth_leaving = compiled(break_even.worth_leaving)
whole_replicas = compiled(resize.whole_replicas)
growth_gain_s = compiled(resize.growth_gain_s)
shrink_price_s = compiled(resize.shrink_price_s)


@compiled
def decide(world: World, rule: Rule, belief: Belief, state, run: Run) -> None:
    """Decide upon every alarm that is open, and begin what follows of it.

    While a checkpoint is being written none can begin: the decision waits until it is durable, unless that one is
    so fresh that a migration may start from it.
    """
    unsaved = unsaved_s(state)
    writing = state.durable_at < NEVER
    if writing and unsaved > world.cost_s:
        return
    saving, leaving = _wishes(world, rule, belief, state, run, unsaved)
    state.review = 0
    price_s = early_price_s(unsaved, young_interval_s(world.cost_s, world.mtbf_s), world.cost_s)
    if rule.elastic and _grows(world, state, price_s):
        state.growing = 1
    if leaving or state.growing:
        if writing or unsaved <= price_s:
            state.work -= unsaved
            begin_move(world, state)
        else:
            begin_save(world, state, run)
    elif saving and not writing:
        begin_save(world, state, run)


@compiled
def _wishes(world: World, rule: Rule, belief: Belief, state, run: Run, unsaved: float):
    """Return whether an alarm is worth a checkpoint, and how many nodes are to be left."""
    saving, leaving = False, 0
    for alarm in range(state.oldest, state.alarm):
        status = run.alarms[alarm].status
        if status != OPEN and not (state.review == AGAIN and status in (LEFT_ALONE, PLANNED)):
            continue
        free = room(world, rule, state) - leaving
        if free > 0 and leaves(world, rule, belief, state, run, alarm, unsaved, free):
            run.alarms[alarm].status = LEAVING
            leaving += 1
            continue
        if status != OPEN:
            continue
        run.alarms[alarm].status = LEFT_ALONE
        saving |= _saves(world, rule, belief, state, run, alarm, unsaved)
        if rule.leave == ORACLE and run.alarms[alarm].fault >= 0:
            run.alarms[alarm].status = PLANNED
    return saving, leaving


@compiled
def _saves(world: World, rule: Rule, belief: Belief, state, run: Run, alarm: int, unsaved: float) -> bool:
    if rule.save == IGNORE:
        return False
    chance = probability(rule, belief, run, alarm)
    if rule.save == SAVE_AUPY:
        return aupy_saves(unsaved, world.cost_s, chance)
    price_s = early_price_s(unsaved, young_interval_s(world.cost_s, world.mtbf_s), world.cost_s)
    coming = _coming(world, belief, state, run, alarm, chance, world.cost_s + world.durable_s)
    return rule.save == SAVE_EARLY and early_saves(coming, unsaved, price_s)


@compiled
def _coming(world: World, belief: Belief, state, run: Run, alarm: int, chance: float, seconds: float) -> float:
    """Return the chance that the accused node fails, and not within the next ``seconds``."""
    age_s = state.at - run.alarms[alarm].at
    now = lead_survival(age_s, belief.median_s, world.sigma)
    return still_to_come(chance, now, lead_survival(age_s + seconds, belief.median_s, world.sigma))


@compiled
def leaves(
    world: World,
    rule: Rule,
    belief: Belief,
    state,
    run: Run,
    alarm: int,
    unsaved: float,
    free: int,
) -> bool:
    """Whether the policy would leave the accused node now, ``free`` nodes being at hand."""
    if rule.leave == IGNORE:
        return False
    if rule.leave == ORACLE:
        fault = run.alarms[alarm].fault
        return fault >= 0 and run.faults[fault].at - state.at > world.cost_s + world.migration_s
    chance = probability(rule, belief, run, alarm)
    if rule.leave == LEAVE_LITERAL:
        return chance > rule.eta
    interval_s = young_interval_s(world.cost_s, world.mtbf_s)
    price_s = world.migration_s + early_price_s(unsaved, interval_s, world.cost_s)
    coming = _coming(world, belief, state, run, alarm, chance, world.cost_s + world.migration_s)
    return worth_leaving(coming, _failure_s(world, belief, chance), price_s + _spare_s(world, rule, chance, free))


@compiled
def _failure_s(world: World, belief: Belief, chance: float) -> float:
    return failure_cost_s(
        chance,
        world.durable_s,
        young_interval_s(world.cost_s, world.mtbf_s),
        world.cost_s,
        lead_mean_s(belief.median_s, world.sigma),
        world.detection_s,
        world.restart_s,
    )


@compiled
def _spare_s(world: World, rule: Rule, chance: float, free: int) -> float:
    if rule.elastic:
        dry = poisson_at_least(free, world.horizon_s / world.mtbf_s)
        return shrink_price_s(chance, dry, world.replica_nodes, world.nodes, world.horizon_s)
    return spare_price_s(chance, free, world.horizon_s, world.mtbf_s)


@compiled
def _grows(world: World, state, price_s: float) -> bool:
    more = whole_replicas(world.nodes - state.missing, world.replica_nodes) - state.active
    return more > 0 and growth_gain_s(more, world.nodes, world.mtbf_s) > world.migration_s + price_s


@compiled
def begin_move(world: World, state) -> None:
    """Stand still for a planned migration."""
    enter(state, MOVE, world.migration_s)


@compiled
def end_move(world: World, rule: Rule, state, run: Run) -> None:
    """The accused nodes are left, as far as there is room; a job that may shrink or grow has its new size."""
    for alarm in range(state.oldest, state.alarm):
        if run.alarms[alarm].status == LEAVING:
            if room(world, rule, state) > 0:
                vacate(world, state, run, alarm)
                state.migrations += 1.0
            else:
                run.alarms[alarm].status = LEFT_ALONE
    state.growing = 0
    resized(world, rule, state)


@compiled
def resized(world: World, rule: Rule, state) -> None:
    """The job runs on what is there."""
    if rule.elastic:
        state.active = whole_replicas(world.nodes - state.missing, world.replica_nodes)


@compiled
def swap_accused(world: World, rule: Rule, belief: Belief, state, run: Run) -> None:
    """A job that restarts anyway leaves accused nodes at the price of a spare alone."""
    if rule.leave == IGNORE or state.missing > 0:
        return
    for alarm in range(state.oldest, state.alarm):
        if (
            OPEN <= run.alarms[alarm].status <= PLANNED
            and state.free > 0
            and _swaps(world, rule, belief, state, run, alarm)
        ):
            vacate(world, state, run, alarm)


@compiled
def _swaps(world: World, rule: Rule, belief: Belief, state, run: Run, alarm: int) -> bool:
    if rule.leave == ORACLE:
        return run.alarms[alarm].fault >= 0
    chance = probability(rule, belief, run, alarm)
    if rule.leave != LEAVE_BREAK_EVEN:
        return chance > rule.eta
    coming = _coming(world, belief, state, run, alarm, chance, 0.0)
    price_s = _spare_s(world, rule, chance, state.free)
    return worth_leaving(coming, _failure_s(world, belief, chance), price_s)
