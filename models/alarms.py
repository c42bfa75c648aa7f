"""Earning trust: each alarm of a job is watched until it has come true or its horizon is over.

An alarm is an incident on a node that runs a rank of the job, whatever was claimed. It ends:

- its node is told to have failed within the horizon → it came true, if not by chance, and its lead time is known;
- the horizon is over, the rank still where it was → it was false;
- the horizon is over, the rank gone meanwhile, no failure told → nobody knows: burn-in found nothing, and both are
  possible. Burn-in finds a fault by a fate ``failed`` of the node that was left; ``recovered``, or silence, is nothing
  found.

A past teaches nothing: who loads one sends telemetry, not fates, so that each of its alarms would seem false.
"""

from __future__ import annotations

from dataclasses import replace

from models.job import Alarm, Job
from models.prices import claimed_median_s
from models.trust import (
    DENSE_ALARMS,
    believed_recall,
    closed_alarm,
    foretold,
    hidden_truth,
    is_dense,
    seen_failure,
    seen_lead,
)
from models.turn import Turn


def watch_alarms(turn: Turn, job: Job) -> None:
    """Count the alarms that are new, note which nodes were left, and at a tick end those whose horizon is over."""
    if turn.state.loading:
        return
    for key, incident in job.incidents.items():
        if not (incident.history or incident.alarm) and job.rank_on(incident.node) is not None:
            job.incidents[key] = replace(incident, alarm=True)
            alarm = Alarm(node=incident.node, at=incident.opened_at, horizon_s=incident.horizon_s, dense=False)
            if turn.at < alarm.at + alarm.horizon_s:  # else it was over before a rank ran there
                _raise(job, key, alarm)
    for key, alarm in list(job.alarms.items()):
        if job.rank_on(alarm.node) is None and not alarm.left:
            job.alarms[key] = alarm = replace(alarm, left=True)
        if turn.tick and turn.at >= alarm.at + alarm.horizon_s:
            del job.alarms[key]
            _over(job, alarm)


def _raise(job: Job, key: str, alarm: Alarm) -> None:
    before = job.alarmed_at[-(DENSE_ALARMS - 1) :]
    dense = len(before) == DENSE_ALARMS - 1 and is_dense(alarm.at, before[0])
    job.alarms[key] = replace(alarm, dense=dense)
    job.alarmed_at = (*before, alarm.at)[-(DENSE_ALARMS - 1) :]
    job.horizon_s = alarm.horizon_s


def _over(job: Job, alarm: Alarm) -> None:
    """The horizon of an alarm passed without a word of its node's failure."""
    if not alarm.left:
        job.trust = closed_alarm(job.trust, alarm.dense, truth=0.0, unfound=False)
        return
    truth = hidden_truth(job.trust.dense if alarm.dense else job.trust.sparse)
    job.trust = seen_failure(closed_alarm(job.trust, alarm.dense, truth=0.0, unfound=True), truth)


def learn_failure(turn: Turn, job: Job, node: str, at: float, *, ran: bool) -> None:
    """A node failed at ``at``, running a rank or left before: its alarms came true, if not by chance.

    A failure that a left node's job was spared counts as one, foreseen. One of a node that neither ran a rank nor was
    left on an alarm is none of the job's.
    """
    if turn.state.loading:
        return
    alarms = {key: alarm for key, alarm in job.alarms.items() if alarm.node == node}
    truth = _truth(job, node) if ran else 1.0
    for key, alarm in alarms.items():
        del job.alarms[key]
        lead_s = min(max(at - alarm.at, 0.0), alarm.horizon_s)
        median_s = claimed_median_s(turn.state.settings, alarm.horizon_s)
        job.trust = seen_lead(closed_alarm(job.trust, alarm.dense, truth, unfound=False), lead_s, median_s)
    if ran or alarms:
        job.trust = seen_failure(job.trust, truth if alarms else 0.0)


def _truth(job: Job, node: str) -> float:
    """Return the chance that the alarm about a node foretold its failure, others standing about other nodes."""
    others = sum(not alarm.left and alarm.node != node for alarm in job.alarms.values())
    return foretold(believed_recall(job.trust), others, max(1, len(job.ranks)))
