"""What stands in InfluxDB: every measurement with its tags and fields, and the buckets. No point holds anything else.

Tags are few and bounded: nodes, jobs, actions, partitions, models and policies. Whatever grows without end, such as
the ids of incidents and commands, is a field. The reference page is made from these tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from connectors.kafka.topics import ASSESSMENT, COMMAND, EVENT
from models.records import Stage, Verdict

FieldType = Literal["float", "integer", "string", "boolean"]
Tag = Literal["node", "job", "model", "action", "policy", "partition"]

#: What each tag names, and what bounds how many values it has.
TAGS: Final[Mapping[Tag, str]] = MappingProxyType(
    {
        "node": "a machine of the cluster",
        "job": "a training run; left out where there is none",
        "model": "the model in use: the first 16 digits of its digest",
        "action": "CHECKPOINT, QUARANTINE, DRAIN, MIGRATE, RESIZE or RESTORE",
        "policy": "a candidate that runs in the shadow, by its name",
        "partition": "a partition of the topic, 0 to 1023",
    }
)

#: Verdicts by how serious they are, for colours and thresholds.
VERDICT_CODES: Final[Mapping[Verdict, int]] = MappingProxyType(
    {"healthy": 0, "warming": 1, "unknown": 2, "suspect": 3, "failing": 4}
)
#: Stages in the order in which an agent enters them; those that end badly are negative.
STAGE_CODES: Final[Mapping[Stage, int]] = MappingProxyType(
    {"received": 1, "accepted": 2, "staged": 3, "durable": 4, "done": 5, "failed": -1, "expired": -2, "rejected": -3}
)
STATE_CODES: Final[Mapping[str, int]] = MappingProxyType({"closed": 0, "changed": 1, "opened": 2})
#: Seconds of source time between two points of a ledger, and of a candidate in the shadow.
GRID_S: Final = 10
MODEL_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class Field:
    """One value of a point; ``unit`` is empty where it has none, and ``always`` says that no point lacks it."""

    name: str
    type: FieldType
    what: str
    unit: str = ""
    always: bool = False


@dataclass(frozen=True, slots=True)
class Measurement:
    """A kind of point: what it tells, its tags and fields, and the topic that it is made from."""

    name: str
    what: str
    topic: str
    tags: tuple[Tag, ...]
    fields: tuple[Field, ...]

    @property
    def counted(self) -> str:
        """A field that each point has, by which points are counted."""
        return next(field.name for field in self.fields if field.always)


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where points lie, and for how long."""

    name: str
    retention_s: int
    what: str


_DAY_S = 86_400
RAW: Final = Bucket("forestall", 14 * _DAY_S, "every point as it was written")
HOURLY: Final = Bucket("forestall_hourly", 730 * _DAY_S, "hourly means, extremes and counts, made by tasks")
BUCKETS: Final = (RAW, HOURLY)

_EVERY_GRID = f"one every {GRID_S} s of source time"
_DELAY = Field("delay_s", "float", "from source time to the broker's append time; left out of what is not live", "s")

ASSESSMENT_POINT: Final = Measurement(
    "assessment",
    "what forestall holds of a node; the past that is loaded at the start is left out",
    ASSESSMENT,
    ("node", "job"),
    (
        Field("verdict", "string", "warming, healthy, suspect, failing or unknown", always=True),
        Field("verdict_code", "integer", "0 healthy, 1 warming, 2 unknown, 3 suspect, 4 failing", always=True),
        Field("probability", "float", "calibrated P(the node fails within the model's horizon)"),
        Field("deviation", "float", "transition deviation, in standard deviations"),
        Field("anomaly", "float", "anomaly score over the node's own threshold; 1 is an alarm"),
        Field("incident", "string", "id of the open incident"),
        Field("worst_metric", "string", "the metric of largest robust z"),
        Field("worst_z", "float", "its robust z"),
        Field("worst", "string", "the worst metrics, each with its z"),
        _DELAY,
        Field("frame", "string", "topic/partition/offset of the frame, or tick, that it rests on", always=True),
    ),
)
INCIDENT_POINT: Final = Measurement(
    "incident",
    "an episode of suspicion on a node opens, changes or closes; those of the past that is loaded are left out",
    EVENT,
    ("node", "job"),
    (
        Field("state", "string", "opened, changed or closed", always=True),
        Field("state_code", "integer", "2 opened, 1 changed, 0 closed", always=True),
        Field("incident", "string", "its id, for `forestall explain`", always=True),
        Field("reason", "string", "what holds it open: probability or anomaly", always=True),
        Field("probability", "float", "calibrated P(the node fails within the horizon)"),
        Field("deviation", "float", "transition deviation, in standard deviations"),
        Field("anomaly", "float", "anomaly score over the node's own threshold"),
        Field("horizon_s", "float", "the model's horizon", "s"),
    ),
)
COMMAND_POINT: Final = Measurement(
    "command",
    "what cluster agents were told to do",
    COMMAND,
    ("job", "action", "node"),
    (
        Field("id", "string", "its id, for `forestall explain`", always=True),
        Field("rule", "string", "the rule that it was given by", always=True),
        Field("numbers", "string", "the numbers of that rule, as a JSON object", always=True),
        Field("generation", "integer", "the how-manieth command of the job", always=True),
        Field("incident", "string", "id of the incident behind it"),
        Field("spare", "string", "the node that takes over"),
        Field("ranks", "string", "the ranks concerned, with commas between"),
        Field("step", "integer", "the checkpoint's step"),
        Field("world", "integer", "how many ranks there are from then on"),
        Field("ttl_s", "float", "how long it may be carried out", "s"),
        _DELAY,
    ),
)
OUTCOME_POINT: Final = Measurement(
    "outcome",
    "a stage that a cluster agent, or a rank at it, entered with a command",
    EVENT,
    ("job", "action", "node"),
    (
        Field("stage", "string", "received, accepted, staged, durable, done, failed, expired or rejected", always=True),
        Field(
            "stage_code",
            "integer",
            "1 received, 2 accepted, 3 staged, 4 durable, 5 done, -1 failed, -2 expired, -3 rejected",
            always=True,
        ),
        Field("command", "string", "id of the command", always=True),
        Field("rank", "integer", "the rank, where it is a rank's"),
        Field("step", "integer", "the step that was saved or gone on from"),
        Field("seconds", "float", "how long the stage took; staged: the job stood still for it", "s"),
        Field("bytes", "integer", "size of what was written", "bytes"),
        Field("reason", "string", "why it failed or was refused"),
    ),
)
_BUCKETS_OF_TIME = {
    "productive": "training",
    "checkpoint": "standing still for a checkpoint",
    "recomputed": "steps done again",
    "detection": "failed and not yet noticed",
    "restart": "from RESTORE to the first new step, and the job's own start",
    "migration": "from MIGRATE, or a failure noticed, to RESTORE",
    "waiting": "a rank is down and no spare is free",
    "degraded": "slower than the job's own pace",
}
LEDGER_POINT: Final = Measurement(
    "ledger",
    f"where a job's time went so far, each second in one bucket, and what acting cost and saved; {_EVERY_GRID}",
    EVENT,
    ("job",),
    (
        Field("wall_s", "float", "wall time since the job began; the buckets add up to it", "s", always=True),
        *(Field(f"{name}_s", "float", what, "s", always=True) for name, what in _BUCKETS_OF_TIME.items()),
        Field("waste_s", "float", "wall time that was not productive", "s", always=True),
        Field("ettr", "float", "effective training time ratio: productive / wall", always=True),
        Field("cost_s", "float", "what acting cost: checkpoints, moves, waiting, work done again", "s", always=True),
        Field("nodes_left", "integer", "nodes that were left in time", always=True),
        Field(
            "unforeseen_s", "float", "estimate: what losing those nodes unforeseen would have cost", "s", always=True
        ),
        Field("unforeseen_low_s", "float", "its lower end", "s", always=True),
        Field("unforeseen_high_s", "float", "its upper end", "s", always=True),
        Field("saved_s", "float", "against static Young, likely; below 0 acting has cost more", "s", always=True),
        Field("saved_low_s", "float", "its lower end", "s", always=True),
        Field("saved_high_s", "float", "its upper end", "s", always=True),
    ),
)
FLEET_POINT: Final = Measurement(
    "fleet",
    "the nodes of a partition at a tick of it, by their newest verdict; the sum over partitions is the fleet",
    ASSESSMENT,
    ("partition",),
    (
        Field("nodes", "integer", "nodes that were heard of, or that a job of the partition told of", always=True),
        *(Field(verdict, "integer", f"nodes whose verdict is {verdict}", always=True) for verdict in VERDICT_CODES),
        Field("in_incident", "integer", "nodes with an open incident", always=True),
        Field("worst_probability", "float", "the highest fault probability of a node"),
        Field("health", "float", "fleet health number of these nodes, 0 to 100: 100 × the mean worth of a node"),
    ),
)
PIPELINE_POINT: Final = Measurement(
    "pipeline",
    "what a telemetry partition has seen since its log began, at each tick; nothing is dropped uncounted",
    ASSESSMENT,
    ("partition", "model"),
    (
        Field("assessed", "integer", "frames that were assessed", "frames", always=True),
        Field("history", "integer", "frames of the past that was loaded", "frames", always=True),
        Field("late", "integer", "frames older than the window", "frames", always=True),
        Field("duplicates", "integer", "frames that came twice", "frames", always=True),
        Field("dead_letters", "integer", "records that could not be read", "records", always=True),
        Field("ticks", "integer", "ticks of source time", "records", always=True),
        Field("missing_values", "integer", "values that frames lacked", "values", always=True),
        Field("refused", "string", "why the newest choice of a model was not taken"),
        Field("shadow_model", "string", "digest of the model in the shadow"),
        Field("shadow_compared", "integer", "assessments of both models", "assessments"),
        Field("shadow_difference", "float", "mean of |P − P of the shadow|"),
        Field("shadow_active_only", "integer", "alarms of the active model alone", "assessments"),
        Field("shadow_only", "integer", "alarms of the shadow alone", "assessments"),
        _DELAY,
    ),
)
SHADOW_POLICY_POINT: Final = Measurement(
    "shadow_policy",
    f"how a policy that commands nothing compares with the one that does, so far; {_EVERY_GRID}",
    EVENT,
    ("job", "policy"),
    (
        Field("commands", "integer", "commands that it would have given", "commands", always=True),
        Field("differences", "integer", "in which it differs from what was commanded", "commands", always=True),
        Field("seconds", "float", "estimate of what the differences would have saved the job", "s", always=True),
    ),
)

MEASUREMENTS: Final = (
    ASSESSMENT_POINT,
    INCIDENT_POINT,
    COMMAND_POINT,
    OUTCOME_POINT,
    LEDGER_POINT,
    FLEET_POINT,
    PIPELINE_POINT,
    SHADOW_POLICY_POINT,
)
