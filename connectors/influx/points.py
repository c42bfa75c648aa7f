"""The points of a record: pure, so that the same record makes the same point wherever it is read again.

The nanoseconds of a point come of what names the record for good: the place of its cause on the log it was made from,
or its id. A worker that comes back may write a record again at another offset; it makes the same point all the same.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

from connectors.influx import schema
from connectors.influx.lines import Value, line, time_ns
from connectors.kafka.topics import TELEMETRY
from models.records import Assessment, Cause, Command, Counts, Incident, Outcome, Verdict


def place_of_cause(cause: Cause) -> int:
    """What names an output for good: outputs of one input follow each other."""
    return cause.offset + cause.index


def place_of_id(id_: str) -> int:
    """What names a record that may be written again at another offset."""
    return zlib.crc32(id_.encode())


def assessment_point(told: Assessment, delay_s: float | None = None) -> str:
    """A live assessment."""
    worst = told.worst[0] if told.worst else (None, None)
    fields = {
        "verdict": told.verdict,
        "verdict_code": schema.VERDICT_CODES[told.verdict],
        "probability": told.probability,
        "deviation": told.deviation,
        "anomaly": told.anomaly,
        "incident": told.incident,
        "worst_metric": worst[0],
        "worst_z": worst[1],
        "worst": ", ".join(f"{metric} {z:+.1f}" for metric, z in told.worst) or None,
        "delay_s": delay_s,
        "frame": f"{TELEMETRY}/{told.cause.partition}/{told.cause.offset}",
    }
    at = time_ns(told.ts, place_of_cause(told.cause))
    return line(schema.ASSESSMENT_POINT, {"node": told.node, "job": told.job}, fields, at)


def incident_point(told: Incident) -> str:
    """An incident as it opens, changes or closes."""
    fields = {
        "state": told.state,
        "state_code": schema.STATE_CODES[told.state],
        "incident": told.incident,
        "reason": told.reason,
        "probability": told.probability,
        "deviation": told.deviation,
        "anomaly": told.anomaly,
        "horizon_s": told.horizon_s,
    }
    tags = {"node": told.node, "job": told.job}
    return line(schema.INCIDENT_POINT, tags, fields, time_ns(told.at, place_of_id(told.id)))


def command_point(told: Command, delay_s: float | None = None) -> str:
    """A command."""
    fields: dict[str, Value | None] = {
        "id": told.id,
        "rule": told.reason.rule,
        "numbers": json.dumps(dict(told.reason.numbers), separators=(",", ":")),
        "generation": told.generation,
        "incident": told.incident,
        "spare": told.spare,
        "ranks": ",".join(map(str, told.ranks)) or None,
        "step": told.step,
        "world": told.world,
        "ttl_s": told.expires_at - told.issued_at,
        "delay_s": delay_s,
    }
    tags = {"job": told.job, "action": told.action, "node": told.node}
    return line(schema.COMMAND_POINT, tags, fields, time_ns(told.issued_at, place_of_cause(told.cause)))


def outcome_point(told: Outcome) -> str:
    """A stage that was entered."""
    fields = {
        "stage": told.stage,
        "stage_code": schema.STAGE_CODES[told.stage],
        "command": told.command,
        "rank": told.rank,
        "step": told.step,
        "seconds": told.seconds,
        "bytes": told.bytes,
        "reason": told.reason,
    }
    tags = {"job": told.job, "action": told.action, "node": told.node}
    return line(schema.OUTCOME_POINT, tags, fields, time_ns(told.at, place_of_id(told.id)))


def pipeline_point(told: Counts, partition: int, delay_s: float | None = None) -> str:
    """What a telemetry partition has seen so far."""
    shadow = told.shadow
    fields: dict[str, Any] = {
        "assessed": told.assessed,
        "history": told.history,
        "late": told.late,
        "duplicates": told.duplicates,
        "dead_letters": told.dead_letters,
        "ticks": told.ticks,
        "missing_values": sum(told.missing_values.values()),
        "refused": told.refused,
        "delay_s": delay_s,
    }
    if shadow is not None:
        fields |= {
            "shadow_model": shadow.digest,
            "shadow_compared": shadow.compared,
            "shadow_difference": shadow.difference / shadow.compared if shadow.compared else None,
            "shadow_active_only": shadow.active_only,
            "shadow_only": shadow.shadow_only,
        }
    tags = {"partition": str(partition), "model": told.model[: schema.MODEL_DIGITS]}
    return line(schema.PIPELINE_POINT, tags, fields, time_ns(told.ts, place_of_cause(told.cause)))


def fleet_point(
    told: Counts, partition: int, verdicts: Mapping[Verdict, int], told_of: Mapping[str, float | int | None]
) -> str:
    """The nodes of a partition at a tick; ``told_of`` are the fields beside the numbers of verdicts."""
    counted = {str(verdict): verdicts.get(verdict, 0) for verdict in schema.VERDICT_CODES}
    at = time_ns(told.ts, place_of_cause(told.cause))
    fields = {"nodes": sum(verdicts.values()), **counted, **told_of}
    return line(schema.FLEET_POINT, {"partition": str(partition)}, fields, at)


def ledger_point(job: str, account: Mapping[str, Any], at: float) -> str:
    """A job's account (``infra/observer/account.py``) at a time of the grid."""
    lost = account["counterfactual"]
    likely, low, high = (sum(one["total"][key] for one in lost) for key in ("likely_s", "low_s", "high_s"))
    saved = account["saved"]
    fields = {
        "wall_s": account["wall_s"],
        **{f"{bucket}_s": seconds for bucket, seconds in account["buckets"].items()},
        "waste_s": account["waste_s"],
        "ettr": account["ettr"],
        "cost_s": account["cost_s"],
        "nodes_left": len(lost),
        "unforeseen_s": likely,
        "unforeseen_low_s": low,
        "unforeseen_high_s": high,
        "saved_s": saved["likely_s"],
        "saved_low_s": saved["low_s"],
        "saved_high_s": saved["high_s"],
    }
    return line(schema.LEDGER_POINT, {"job": job}, fields, time_ns(at, 0))


def shadow_policy_point(job: str, policy: str, fields: Mapping[str, float | int], at: float) -> str:
    """How a candidate compares, at a time of the grid."""
    return line(schema.SHADOW_POLICY_POINT, {"job": job, "policy": policy}, fields, time_ns(at, 0))
