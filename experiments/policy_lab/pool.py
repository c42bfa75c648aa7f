"""Nodes that leave the job, are tested or repaired, and come back."""

from __future__ import annotations

from experiments.compiled import compiled
from experiments.policy_lab.rule import Rule
from experiments.policy_lab.state import ENDLESS, LEAVING, LEFT_ALONE, NEVER, OPEN, VACATED, Run, World


@compiled
def send_out(state, run: Run, back_at: float) -> None:
    """A node is out until ``back_at``; those of a pool that is never empty are not followed."""
    if state.free >= ENDLESS:
        return
    run.back_at[state.out] = back_at
    state.out += 1
    state.next_back = min(state.next_back, back_at)


@compiled
def empty_slot(world: World, state, run: Run, slot: int) -> None:
    """The node of a slot has gone; a spare takes its place if there is one."""
    run.slots[slot].empty = True
    state.missing += 1
    if state.free >= ENDLESS:
        _fill(state, run, slot)
    elif state.free > 0:
        state.free -= 1
        _fill(state, run, slot)


@compiled
def _fill(state, run: Run, slot: int) -> None:
    run.slots[slot].empty = False
    run.slots[slot].tenant += 1
    state.missing -= 1


@compiled
def node_back(world: World, state, run: Run) -> None:
    """The first node that is due comes back: into the job where one is missing, else into the pool."""
    _take_out(state, run, state.next_back)
    if state.missing == 0:
        state.free += 1
    else:
        _fill_first(world, state, run)


@compiled
def _take_out(state, run: Run, back_at: float) -> None:
    for one in range(state.out):
        if run.back_at[one] == back_at:
            state.out -= 1
            run.back_at[one] = run.back_at[state.out]
            break
    state.next_back = NEVER
    for one in range(state.out):
        state.next_back = min(state.next_back, run.back_at[one])


@compiled
def _fill_first(world: World, state, run: Run) -> int:
    for slot in range(world.nodes):
        if run.slots[slot].empty:
            _fill(state, run, slot)
            return slot
    return -1


@compiled
def call_back(world: World, state, run: Run) -> None:
    """A job that would wait takes vacated nodes back from burn-in, those that did not fail meanwhile.

    A node that is only suspected is better than none. Its alarm is open again, and its fault, if any, still in it.
    """
    for alarm in range(state.oldest, state.alarm):
        fault = run.alarms[alarm].fault
        failed = fault >= 0 and run.faults[fault].at <= state.at
        if state.missing > 0 and run.alarms[alarm].status == VACATED and run.alarms[alarm].back_at > 0.0 and not failed:
            if not _is_out(state, run, run.alarms[alarm].back_at):
                continue
            _take_out(state, run, run.alarms[alarm].back_at)
            slot = _fill_first(world, state, run)
            run.alarms[alarm].status = LEFT_ALONE
            run.alarms[alarm].slot = slot
            run.alarms[alarm].accused = run.slots[slot].tenant
            if fault >= 0:
                run.faults[fault].slot = slot
                run.faults[fault].blamed = run.slots[slot].tenant


@compiled
def _is_out(state, run: Run, back_at: float) -> bool:
    out = False
    for one in range(state.out):
        out |= run.back_at[one] == back_at
    return out


@compiled
def vacate(world: World, state, run: Run, alarm: int) -> None:
    """The accused node leaves: a good one comes back after burn-in, a bad one goes to repair when its fault strikes.

    Every open alarm about that node ends with it.
    """
    slot = run.alarms[alarm].slot
    back_at = state.at + world.burn_in_s
    for other in range(state.oldest, state.alarm):
        same = run.alarms[other].slot == slot and run.alarms[other].accused == run.slots[slot].tenant
        if same and OPEN <= run.alarms[other].status <= LEAVING:
            run.alarms[other].status = VACATED
            fault = run.alarms[other].fault
            if fault >= 0:
                back_at = max(back_at, run.faults[fault].at + run.faults[fault].repair_s)
    run.alarms[alarm].status = VACATED
    run.alarms[alarm].back_at = back_at
    send_out(state, run, back_at)
    empty_slot(world, state, run, slot)


@compiled
def room(world: World, rule: Rule, state) -> int:
    """Return how many nodes may leave now: as many as there are spares, or as a job may shrink by."""
    if rule.elastic:
        return state.free + max(0, world.nodes - state.missing - world.min_nodes)
    return state.free
