"""The ledgers of all jobs on a log, and of the fleet: what ``forestall ledger`` tells."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from connectors.codecs.records import decode_event
from connectors.errors import InvalidRecord, WrongUse
from connectors.kafka.topics import EVENT
from infra.observer.account import account_from
from infra.observer.fleet import natural_key
from infra.run_log import RunLog
from models.job_account import JobAccount, JobAccounts
from models.policy_settings import PolicySettings
from models.records import Event
from models.spans import PRECEDENCE

ROWS_MAX = 12


def ledgers(
    log: RunLog, settings: PolicySettings, job: str | None, since: float = -math.inf, until: float = math.inf
) -> dict[str, Any]:
    """The ledger of ``job``, or of every job and of the fleet; raises ``WrongUse`` for a job that the log has not."""
    accounts = JobAccounts(since, until)
    for event in _events(log):
        accounts.take(event)
    taken = accounts.by_job
    if job is not None and job not in taken:
        known = ", ".join(sorted(taken, key=natural_key))
        raise WrongUse(f"the log tells of no job {job!r}; it tells of: {known or 'none'}")
    names = sorted(taken, key=natural_key) if job is None else [job]
    jobs = [_job(taken[name], settings) for name in names]
    begun = [one for one in jobs if one is not None]
    told: dict[str, Any] = {"run": log.run, "jobs": begun}
    return told if job is not None else {**told, "fleet": fleet(begun)}


def _events(log: RunLog) -> Iterator[Event]:
    for number in log.partitions(EVENT):
        for message in log.records(EVENT, number):
            try:
                yield decode_event(bytes(message.value() or b""))
            except InvalidRecord:
                continue


def _job(account: JobAccount, settings: PolicySettings) -> dict[str, Any] | None:
    folds = account.folds()
    told = account_from(folds, settings)
    if told is None or folds.claims.first_at is None or folds.claims.last_at is None:
        return None
    begun, ended = max(folds.claims.first_at, folds.claims.since), min(folds.claims.last_at, folds.claims.until)
    return {"job": account.job, "from": begun, "to": ended, **told, "late": account.late}


def fleet(jobs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All jobs together: their seconds added up, and the nodes' time, in node-seconds.

    ``ettr`` weighs each job by the node-seconds that it ran; ``spare_s`` is what spares waited idle.
    """
    rows = [row for job in jobs for row in job["nodes"] if row["node"]]
    running = {job["job"]: sum(row["running_s"] for row in job["nodes"]) for job in jobs}
    whole_s = sum(running.values())
    return {
        "jobs": len(jobs),
        "nodes": len({row["node"] for row in rows}),
        "wall_s": sum(job["wall_s"] for job in jobs),
        "buckets": {name: sum(job["buckets"][name] for job in jobs) for name in PRECEDENCE},
        "waste_s": sum(job["waste_s"] for job in jobs),
        "running_node_s": whole_s,
        "spare_node_s": sum(row["spare_s"] for row in rows),
        "out_node_s": sum(row["out_s"] for row in rows),
        "ettr": sum(job["ettr"] * running[job["job"]] for job in jobs) / whole_s if whole_s > 0 else None,
        "saved_likely_s": sum(job["saved"]["likely_s"] for job in jobs),
        **{name: sum(row[name] for row in rows) for name in ("incidents", "failures", "foreseen", "left")},
        "false_alarms": sum(row["false_alarms"] for row in rows),
    }


def lines(told: Mapping[str, Any]) -> Iterator[str]:
    """The same for a person."""
    yield f"run {told['run']}" if told["run"] else "the log of your own Kafka"
    if not told["jobs"]:
        yield "no job has begun here"
    for job in told["jobs"]:
        yield ""
        yield from _job_lines(job)
    if "fleet" in told and told["jobs"]:
        yield ""
        yield from _fleet_lines(told["fleet"])


def _job_lines(job: Mapping[str, Any]) -> Iterator[str]:
    yield f"{job['job']}: {job['wall_s']:.1f} s, of which {job['ettr']:.1%} productive"
    for bucket in reversed(PRECEDENCE):
        seconds = job["buckets"][bucket]
        if seconds:
            yield f"  {bucket:<11}{seconds:>12.1f} s  {seconds / job['wall_s']:>6.1%}"
    saved = job["saved"]
    yield (
        f"  against static Young: {saved['likely_s']:+.1f} s ({saved['low_s']:+.1f} to {saved['high_s']:+.1f} "
        f"with a chance of {saved['level']:.0%}), if"
    )
    yield from (f"    {one}" for one in saved["assumptions"])
    if job["saying"]:
        yield f"  {job['saying']}"
    yield f"  {'node':<20}{'caused':>10}{'ran':>12}{'spare':>12}{'out':>12}  incidents, failures, false alarms"
    rows = [row for row in job["nodes"] if row["node"]]
    for row in rows[:ROWS_MAX]:
        yield (
            f"  {row['node']:<20}{row['caused_s']:>8.1f} s{row['running_s']:>10.1f} s{row['spare_s']:>10.1f} s"
            f"{row['out_s']:>10.1f} s  {row['incidents']}, {row['failures']}, {row['false_alarms']}"
        )
    if len(rows) > ROWS_MAX:
        yield f"  and {len(rows) - ROWS_MAX} nodes more: --json has them"
    if job["late"]:
        yield f"  {job['late']} events came too late to be put in order, or once more, and were passed over"


def _fleet_lines(told: Mapping[str, Any]) -> Iterator[str]:
    ettr = "" if told["ettr"] is None else f", of which {told['ettr']:.1%} productive"
    jobs = "1 job" if told["jobs"] == 1 else f"{told['jobs']} jobs"
    yield f"fleet: {jobs} on {told['nodes']} nodes; {told['running_node_s']:.0f} node-seconds ran{ettr}"
    yield f"  spares waited idle for {told['spare_node_s']:.0f} node-seconds; {told['out_node_s']:.0f} were out"
    yield (
        f"  {told['incidents']} incidents, {told['false_alarms']} of them false; {told['failures']} failures of "
        f"running nodes, {told['foreseen']} of them foreseen; {told['left']} nodes left in time"
    )
    yield f"  against static Young, all jobs: {told['saved_likely_s']:+.1f} s"
