"""How each topic is laid out (design, section 2): partitions, cleanup, retention, clean-up of what is compacted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from connectors.kafka import topics

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MIB = 1_048_576
SNAPSHOT_BYTES_MAX = 8 * MIB

#: Stamped by the broker: times of records are in their values, and retention must not follow a replayed past.
_STAMPED = {"message.timestamp.type": "LogAppendTime"}
_COMPACT = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.1", "delete.retention.ms": str(HOUR_MS)}


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """What one topic has to be; ``configs`` are Kafka's own topic settings."""

    name: str
    partitions: int
    replication: int
    configs: Mapping[str, str] = field(default_factory=dict)


def topic_specs(
    *, partitions: int, replication: int, telemetry_retention_h: float, control_retention_d: float
) -> tuple[TopicSpec, ...]:
    """Return the eight topics.

    Partition p of the telemetry feeds partition p of the assessments, and p of the decision log feeds p of the
    commands, so those four have ``partitions`` each; snapshots lie in the partition of their source.
    """
    telemetry = _deleted(round(telemetry_retention_h * HOUR_MS))
    control = _deleted(round(control_retention_d * DAY_MS))
    snapshot = _COMPACT | {"max.message.bytes": str(SNAPSHOT_BYTES_MAX), "segment.bytes": str(2 * SNAPSHOT_BYTES_MAX)}
    layout = {
        topics.TELEMETRY: (partitions, telemetry),
        topics.SCHEMA: (1, _COMPACT),
        topics.INVENTORY: (1, _COMPACT),
        topics.ASSESSMENT: (partitions, telemetry),
        topics.COMMAND: (partitions, control),
        topics.EVENT: (partitions, control),
        topics.SNAPSHOT: (partitions, snapshot),
        topics.DEAD_LETTER: (1, control),
    }
    return tuple(
        TopicSpec(name, count, replication, MappingProxyType(dict(layout_configs)))
        for name, (count, layout_configs) in layout.items()
    )


def _deleted(retention_ms: int) -> dict[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": str(retention_ms), **_STAMPED}
