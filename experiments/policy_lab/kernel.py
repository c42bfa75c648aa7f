"""The simulator: one job, event by event, under one policy.

What can happen: a mode ends, a checkpoint becomes durable, a node comes back, an alarm's horizon is over, a fault
strikes, an alarm comes, a checkpoint is due. Time goes from one to the next; what a policy does depends only on what
has happened, an oracle's excepted.
"""

from __future__ import annotations

from experiments.compiled import compiled, entry
from experiments.policy_lab.beliefs import Belief, beliefs
from experiments.policy_lab.deciding import begin_move, decide, end_move, resized, swap_accused
from experiments.policy_lab.learning import close_oldest, learn_failure
from experiments.policy_lab.pace import pace
from experiments.policy_lab.pool import call_back, empty_slot, node_back, send_out
from experiments.policy_lab.progress import (
    begin_keep,
    begin_save,
    enter,
    lose_work,
    make_durable,
    pass_time,
    run_on,
    unsaved_s,
)
from experiments.policy_lab.rule import LEAVE_BREAK_EVEN, ORACLE, Rule
from experiments.policy_lab.state import (
    AGAIN,
    DETECT,
    KEEP,
    LEAVING,
    LEFT_ALONE,
    MOVE,
    NEVER,
    NEW,
    NOBODY,
    OPEN,
    PLANNED,
    RESTART,
    RUN,
    SAVE,
    WAIT,
    Run,
    World,
)
from models import trust as trusted
from models.checkpointing import hazard, young
from models.recovery import resize
from models.trust import Trust

no_trust = compiled(trusted.no_trust)
is_dense = compiled(trusted.is_dense)
whole_replicas = compiled(resize.whole_replicas)
early_price_s = compiled(hazard.early_price_s)
young_interval_s = compiled(young.young_interval_s)

#: Rounding that ∫λ dt and planned times may be short by.
SLACK = 1e-9
#: An oracle's checkpoint is durable so long before the failure (s).
MARGIN_S = 0.5


@entry
def simulate_run(worlds, rules, states, run: Run) -> None:
    """Simulate one run; ``states`` (1,) and ``run`` are new, and filled."""
    world, rule, state = worlds[0], rules[0], states[0]
    _begin(world, state)
    trust = no_trust()
    belief = beliefs(world, rule, trust)
    while state.at < world.wall_s:
        rate, until = pace(world, rule, belief, state, run)
        until = min(until, _next(world, state, run))
        if state.mode == RUN:
            until = min(until, _next_save(world, rule, state, run, rate))
        pass_time(world, state, run, max(until, state.at), rate)
        trust = _happens(world, rule, belief, state, run, trust)
        belief = beliefs(world, rule, trust)
        if state.mode == RUN and state.at < world.wall_s:
            _act(world, rule, belief, state, run)


@compiled
def _begin(world: World, state) -> None:
    state.mode_ends = NEVER
    state.durable_at = NEVER
    state.kept_at = NEVER
    state.next_back = NEVER
    state.near = -NEVER
    state.nearer = -NEVER
    state.nearest = -NEVER
    state.free = world.spares
    state.active = world.nodes


@compiled
def _next(world: World, state, run: Run) -> float:
    """Return when the next thing happens that does not depend on the pace."""
    at = min(world.wall_s, state.mode_ends, state.durable_at, state.kept_at, state.next_back)
    if state.fault < run.faults.size:
        at = min(at, run.faults[state.fault].at)
    if state.alarm < run.alarms.size:
        at = min(at, run.alarms[state.alarm].at)
    if state.oldest < state.alarm:
        at = min(at, run.alarms[state.oldest].at + world.horizon_s)
    return at


@compiled
def _next_save(world: World, rule: Rule, state, run: Run, rate: float) -> float:
    """Return when the next checkpoint is due; none begins while one is being written."""
    at = NEVER
    if rate > 0.0 and state.durable_at == NEVER:
        at = state.at + max(0.0, 1.0 - state.integral) / rate
    if state.kept_at == NEVER:
        at = min(at, state.at + max(0.0, rule.keep_s - state.kept_for))
    if rule.leave == ORACLE:
        for alarm in range(state.oldest, state.alarm):
            if run.alarms[alarm].status == PLANNED:
                at = min(at, max(state.at, _plan(world, run, alarm)))
    return at


@compiled
def _plan(world: World, run: Run, alarm: int) -> float:
    return run.faults[run.alarms[alarm].fault].at - world.cost_s - world.durable_s - MARGIN_S


@compiled
def _happens(world: World, rule: Rule, belief: Belief, state, run: Run, trust: Trust) -> Trust:
    """Take in everything that happens now; return the trust after it."""
    if state.mode_ends <= state.at:
        _end_mode(world, rule, belief, state, run)
    make_durable(state)
    while state.next_back <= state.at:
        node_back(world, state, run)
        state.review = AGAIN
        if state.mode == WAIT:
            _restart(world, rule, belief, state, run)
    while state.oldest < state.alarm and run.alarms[state.oldest].at + world.horizon_s <= state.at:
        trust = close_oldest(world, state, run, trust)
    while state.fault < run.faults.size and run.faults[state.fault].at <= state.at:
        trust = _strike(world, state, run, trust)
    while state.alarm < run.alarms.size and run.alarms[state.alarm].at <= state.at:
        _raise(world, state, run)
    return trust


@compiled
def _end_mode(world: World, rule: Rule, belief: Belief, state, run: Run) -> None:
    mode = state.mode
    if mode == SAVE:
        state.durable_at = state.at + world.durable_s
        run_on(state)
        if state.growing or _is_leaving(state, run):
            begin_move(world, state)
    elif mode == KEEP:
        state.kept_at = state.at + world.keep_durable_s
        run_on(state)
    elif mode == MOVE:
        end_move(world, rule, state, run)
        run_on(state)
    elif mode == DETECT:
        _restart(world, rule, belief, state, run)
    elif mode == RESTART:
        state.began = state.at
        run_on(state)


@compiled
def _is_leaving(state, run: Run) -> bool:
    leaving = False
    for alarm in range(state.oldest, state.alarm):
        leaving |= run.alarms[alarm].status == LEAVING
    return leaving


@compiled
def _restart(world: World, rule: Rule, belief: Belief, state, run: Run) -> None:
    """Restart if every slot has a node, or if the job may go on smaller; else wait."""
    swap_accused(world, rule, belief, state, run)
    smaller = rule.elastic and whole_replicas(world.nodes - state.missing, world.replica_nodes) >= world.min_nodes
    if rule.leave == LEAVE_BREAK_EVEN and not smaller:
        call_back(world, state, run)
    if state.missing == 0 or smaller:
        resized(world, rule, state)
        enter(state, RESTART, world.restart_s)
    elif state.mode != WAIT:
        state.waits += 1.0
        enter(state, WAIT, NEVER)


@compiled
def _strike(world: World, state, run: Run, trust: Trust) -> Trust:
    """A fault strikes: its node fails if it is still in the job, and the job goes back to what it saved."""
    fault = state.fault
    state.fault += 1
    slot, blamed = run.faults[fault].slot, run.faults[fault].blamed
    if blamed == NOBODY or (blamed < 0 and state.mode == WAIT and not world.idle_fails):
        return trust
    state.foreseen += blamed >= 0
    if run.slots[slot].empty or (blamed >= 0 and blamed != run.slots[slot].tenant):
        return trust
    trust = learn_failure(world, state, run, trust, slot)
    state.failures += 1.0
    send_out(state, run, state.at + run.faults[fault].repair_s)
    empty_slot(world, state, run, slot)
    for alarm in range(state.oldest, state.alarm):
        if run.alarms[alarm].status == LEAVING:
            run.alarms[alarm].status = OPEN
    state.growing = 0
    lose_work(state, run.faults[fault].memory_luck < world.memory_lost)
    state.failed_at = state.at
    if state.mode != WAIT:
        enter(state, DETECT, world.detection_s)
    return trust


@compiled
def _raise(world: World, state, run: Run) -> None:
    """An alarm comes; one about a slot without a node, or a node that is idle and shows nothing, is none."""
    alarm = state.alarm
    state.alarm += 1
    slot, fault = run.alarms[alarm].slot, run.alarms[alarm].fault
    if run.slots[slot].empty:
        return
    if state.mode == WAIT and not world.idle_fails:
        if fault >= 0:
            run.faults[fault].blamed = NOBODY
        return
    run.alarms[alarm].status = OPEN
    run.alarms[alarm].accused = run.slots[slot].tenant
    run.alarms[alarm].dense = is_dense(state.at, state.near)
    state.near, state.nearer, state.nearest = state.nearer, state.nearest, state.at
    state.review = max(state.review, NEW)
    state.alarms += 1.0
    if fault >= 0:
        run.faults[fault].blamed = run.slots[slot].tenant
    else:
        state.false_alarms += 1.0


@compiled
def _act(world: World, rule: Rule, belief: Belief, state, run: Run) -> None:
    """Do what is due: decide upon alarms, save by the pace, save to storage, save as an oracle planned."""
    if state.review:
        decide(world, rule, belief, state, run)
    if state.mode == RUN and rule.leave == ORACLE:
        _carry_out_plans(world, state, run)
    if state.mode == RUN and state.integral >= 1.0 - SLACK and state.durable_at == NEVER:
        begin_save(world, state, run)
    if state.mode == RUN and state.kept_for >= rule.keep_s - SLACK and state.kept_at == NEVER:
        begin_keep(world, state, run)


@compiled
def _carry_out_plans(world: World, state, run: Run) -> None:
    for alarm in range(state.oldest, state.alarm):
        if run.alarms[alarm].status == PLANNED and _plan(world, run, alarm) <= state.at + SLACK:
            run.alarms[alarm].status = LEFT_ALONE
            unsaved = unsaved_s(state)
            price_s = early_price_s(unsaved, young_interval_s(world.cost_s, world.mtbf_s), world.cost_s)
            in_time = _plan(world, run, alarm) + MARGIN_S > state.at
            if in_time and unsaved > price_s and state.durable_at == NEVER and state.mode == RUN:
                begin_save(world, state, run)
