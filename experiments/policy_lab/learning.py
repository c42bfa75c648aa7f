"""What a policy learns as alarms end and nodes fail."""

from __future__ import annotations

from experiments.compiled import compiled
from experiments.policy_lab.draws import Draws
from experiments.policy_lab.state import (
    ABSENT,
    CAME_TRUE,
    LEAVING,
    OPEN,
    VACATED,
    Memory,
    World,
)
from models import trust as trusted
from models.trust import Trust

counted = compiled(trusted.counted)
closed_alarm = compiled(trusted.closed_alarm)
hidden_truth = compiled(trusted.hidden_truth)
seen_failure = compiled(trusted.seen_failure)
seen_lead = compiled(trusted.seen_lead)


@compiled
def learn_failure(world: World, state, memory: Memory, draws: Draws, trust: Trust, slot: int) -> Trust:
    """Return the trust after the node of a slot failed: every open alarm about it came true."""
    foreseen = 0.0
    for alarm in range(state.oldest, state.alarm):
        same = draws.alarm_slot[alarm] == slot and memory.accused[alarm] == memory.tenant[slot]
        if same and OPEN <= memory.status[alarm] <= LEAVING:
            memory.status[alarm] = CAME_TRUE
            trust = closed_alarm(trust, memory.dense[alarm], 1.0)
            trust = seen_lead(trust, state.at - draws.alarm_at[alarm], world.claimed_median_s)
            foreseen = 1.0
    return seen_failure(trust, foreseen)


@compiled
def close_oldest(world: World, state, memory: Memory, draws: Draws, trust: Trust) -> Trust:
    """Return the trust after the oldest alarm was closed, its horizon over."""
    alarm = state.oldest
    state.oldest += 1
    status, dense = memory.status[alarm], memory.dense[alarm]
    if status == ABSENT or status == CAME_TRUE:
        return trust
    if status != VACATED:
        return closed_alarm(trust, dense, 0.0)
    if not draws.alarm_found[alarm]:
        truth = hidden_truth(trust.dense if dense else trust.sparse)
        return seen_failure(closed_alarm(trust, dense, truth), truth)
    fault_at = draws.fault_at[draws.alarm_fault[alarm]]
    if fault_at <= state.at:
        trust = seen_lead(trust, fault_at - draws.alarm_at[alarm], world.claimed_median_s)
    return seen_failure(closed_alarm(trust, dense, 1.0), 1.0)
