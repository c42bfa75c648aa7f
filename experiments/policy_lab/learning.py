"""What a policy learns as alarms end and nodes fail."""

from __future__ import annotations

from experiments.compiled import compiled
from experiments.policy_lab.state import (
    ABSENT,
    CAME_TRUE,
    LEAVING,
    OPEN,
    VACATED,
    Run,
    World,
)
from models import trust as trusted
from models.trust import Trust

for _called in (trusted.counted, trusted.true_share):
    compiled(_called)
believed_recall = compiled(trusted.believed_recall)
closed_alarm = compiled(trusted.closed_alarm)
foretold = compiled(trusted.foretold)
hidden_truth = compiled(trusted.hidden_truth)
seen_failure = compiled(trusted.seen_failure)
seen_lead = compiled(trusted.seen_lead)


@compiled
def learn_failure(world: World, state, run: Run, trust: Trust, slot: int) -> Trust:
    """Return the trust after the node of a slot failed: the open alarms about it came true, if not by chance."""
    others = 0
    for alarm in range(state.oldest, state.alarm):
        others += _is_open(run, alarm) and not _accuses(run, alarm, slot)
    truth = foretold(believed_recall(trust), others, world.nodes)
    foreseen = 0.0
    for alarm in range(state.oldest, state.alarm):
        if _is_open(run, alarm) and _accuses(run, alarm, slot):
            run.alarms[alarm].status = CAME_TRUE
            trust = closed_alarm(trust, run.alarms[alarm].dense, truth, False)
            trust = seen_lead(trust, state.at - run.alarms[alarm].at, world.claimed_median_s)
            foreseen = truth
    return seen_failure(trust, foreseen)


@compiled
def _is_open(run: Run, alarm: int) -> bool:
    return OPEN <= run.alarms[alarm].status <= LEAVING


@compiled
def _accuses(run: Run, alarm: int, slot: int) -> bool:
    return run.alarms[alarm].slot == slot and run.alarms[alarm].accused == run.slots[slot].tenant


@compiled
def close_oldest(world: World, state, run: Run, trust: Trust) -> Trust:
    """Return the trust after the oldest alarm was closed, its horizon over."""
    alarm = state.oldest
    state.oldest += 1
    status, dense = run.alarms[alarm].status, run.alarms[alarm].dense
    if status in (ABSENT, CAME_TRUE):
        return trust
    if status != VACATED:
        return closed_alarm(trust, dense, 0.0, False)
    if not run.alarms[alarm].found:
        truth = hidden_truth(trust.dense if dense else trust.sparse)
        return seen_failure(closed_alarm(trust, dense, 0.0, True), truth)
    fault_at = run.faults[run.alarms[alarm].fault].at
    if fault_at <= state.at:
        trust = seen_lead(trust, fault_at - run.alarms[alarm].at, world.claimed_median_s)
    return seen_failure(closed_alarm(trust, dense, 1.0, False), 1.0)
