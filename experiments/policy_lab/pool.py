"""Nodes that leave the job, are tested or repaired, and come back."""

from __future__ import annotations

from experiments.compiled import compiled
from experiments.policy_lab.rule import Rule
from experiments.policy_lab.state import ENDLESS, LEAVING, NEVER, OPEN, VACATED, Run, World


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
    for one in range(state.out):
        if run.back_at[one] <= state.next_back:
            state.out -= 1
            run.back_at[one] = run.back_at[state.out]
            break
    state.next_back = NEVER
    for one in range(state.out):
        state.next_back = min(state.next_back, run.back_at[one])
    if state.missing == 0:
        state.free += 1
        return
    for slot in range(world.nodes):
        if run.slots[slot].empty:
            _fill(state, run, slot)
            return


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
    send_out(state, run, back_at)
    empty_slot(world, state, run, slot)


@compiled
def room(world: World, rule: Rule, state) -> int:
    """Return how many nodes may leave now: as many as there are spares, or as a job may shrink by."""
    if rule.elastic:
        return state.free + max(0, world.nodes - state.missing - world.min_nodes)
    return state.free
