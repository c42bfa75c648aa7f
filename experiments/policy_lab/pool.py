"""Nodes that leave the job, are tested or repaired, and come back."""

from __future__ import annotations

from experiments.compiled import compiled
from experiments.policy_lab.draws import Draws
from experiments.policy_lab.rule import Rule
from experiments.policy_lab.state import ENDLESS, LEAVING, NEVER, OPEN, VACATED, Memory, World


@compiled
def send_out(state, memory: Memory, back_at: float) -> None:
    """A node is out until ``back_at``; those of a pool that is never empty are not followed."""
    if state.free >= ENDLESS:
        return
    memory.back_at[state.out] = back_at
    state.out += 1
    state.next_back = min(state.next_back, back_at)


@compiled
def empty_slot(world: World, state, memory: Memory, slot: int) -> None:
    """The node of a slot has gone; a spare takes its place if there is one."""
    memory.empty[slot] = True
    state.missing += 1
    if state.free >= ENDLESS:
        _fill(state, memory, slot)
    elif state.free > 0:
        state.free -= 1
        _fill(state, memory, slot)


@compiled
def _fill(state, memory: Memory, slot: int) -> None:
    memory.empty[slot] = False
    memory.tenant[slot] += 1
    state.missing -= 1


@compiled
def node_back(world: World, state, memory: Memory) -> None:
    """The first node that is due comes back: into the job where one is missing, else into the pool."""
    for one in range(state.out):
        if memory.back_at[one] <= state.next_back:
            state.out -= 1
            memory.back_at[one] = memory.back_at[state.out]
            break
    state.next_back = NEVER
    for one in range(state.out):
        state.next_back = min(state.next_back, memory.back_at[one])
    if state.missing == 0:
        state.free += 1
        return
    for slot in range(world.nodes):
        if memory.empty[slot]:
            _fill(state, memory, slot)
            return


@compiled
def vacate(world: World, state, memory: Memory, draws: Draws, alarm: int) -> None:
    """The accused node leaves: a good one comes back after burn-in, a bad one goes to repair when its fault strikes.

    Every open alarm about that node ends with it.
    """
    slot = draws.alarm_slot[alarm]
    back_at = state.at + world.burn_in_s
    for other in range(state.oldest, state.alarm):
        same = draws.alarm_slot[other] == slot and memory.accused[other] == memory.tenant[slot]
        if same and OPEN <= memory.status[other] <= LEAVING:
            memory.status[other] = VACATED
            fault = draws.alarm_fault[other]
            if fault >= 0:
                back_at = max(back_at, draws.fault_at[fault] + draws.repair_s[fault])
    memory.status[alarm] = VACATED
    send_out(state, memory, back_at)
    empty_slot(world, state, memory, slot)


@compiled
def room(world: World, rule: Rule, state) -> int:
    """Return how many nodes may leave now: as many as there are spares, or as a job may shrink by."""
    if rule.elastic:
        return state.free + max(0, world.nodes - state.missing - world.min_nodes)
    return state.free
