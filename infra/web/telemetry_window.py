"""The last values of one node's metrics, read from the telemetry topic for who looks at that node."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from confluent_kafka import Consumer, TopicPartition

from connectors.codecs.frames import FrameDecoder
from connectors.errors import InvalidRecord, WrongUse
from connectors.kafka.log import bounds, reader
from connectors.kafka.schemas import SchemaTable
from connectors.kafka.topics import TELEMETRY
from infra import clock
from models.limits import WINDOW_FRAMES
from models.telemetry import Row

#: Four windows: a fault is seen against what was usual.
FRAMES_MAX: Final = 4 * WINDOW_FRAMES
#: So many records of the partition are read at most, from its end backwards; a turn is twice as long as the one before.
RECORDS_MAX: Final = 120_000
FIRST_TURN: Final = 4_000
METRICS_TOLD_MAX: Final = 128
POLL: Final = 2_000
PATIENCE_S: Final = 6.0


def window_of(brokers: str, node: str, number: int) -> dict[str, Any]:
    """The node's frames on partition ``number``: ``{"node", "partition", "window", "ts", "metrics"}``.

    ``window`` is how many frames the model reads, ``ts`` are source times (s), each of ``metrics`` has ``name``,
    ``unit``, ``counter`` and ``values``.

    Raises
    ------
    WrongUse
        None of the last ``RECORDS_MAX`` records of its partition is a frame of that node.
    Unreachable
        The broker does not answer.
    """
    with reader(brokers) as consumer, reader(brokers) as schemas:
        decoder = FrameDecoder(SchemaTable(schemas, clock.monotonic))
        rows = list(_rows(_raw(consumer, number, node.encode()), decoder))
    if not rows:
        raise WrongUse(f"the last {RECORDS_MAX:,} records of {TELEMETRY}/{number} hold no frame of {node}")
    return {"node": node, "partition": number, "window": WINDOW_FRAMES, **told(rows)}


def told(rows: Sequence[Row]) -> dict[str, Any]:
    """Columns of the frames in the order of their times; a value that is missing is None.

    >>> from models.telemetry import Schema
    >>> import numpy as np
    >>> schema = Schema(("a",), (False,), ("C",))
    >>> told([Row("n", 2.0, schema, np.array([4.0])), Row("n", 1.0, schema, np.array([float("nan")]))])
    {'ts': [1.0, 2.0], 'metrics': [{'name': 'a', 'unit': 'C', 'counter': False, 'values': [None, 4.0]}]}
    """
    ordered = sorted(rows, key=lambda row: row.ts)
    schema = ordered[-1].schema
    metrics = []
    units = schema.units or ("",) * len(schema.metrics)
    for name, counter, unit in list(zip(schema.metrics, schema.counters, units, strict=True))[:METRICS_TOLD_MAX]:
        values = [_value(row, name) for row in ordered]
        metrics.append({"name": name, "unit": unit, "counter": bool(counter), "values": values})
    return {"ts": [round(row.ts, 3) for row in ordered], "metrics": metrics}


def _value(row: Row, name: str) -> float | None:
    try:
        value = float(row.values[row.schema.metrics.index(name)])
    except ValueError:
        return None
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _rows(raws: Sequence[bytes], decoder: FrameDecoder) -> Sequence[Row]:
    found = []
    for raw in raws:
        try:
            row = decoder.decode(raw)
        except InvalidRecord:
            continue
        if isinstance(row, Row):
            found.append(row)
    return found[-FRAMES_MAX:]


def _raw(consumer: Consumer, number: int, key: bytes) -> list[bytes]:
    """The node's newest records, read backwards in turns that grow until there are enough."""
    low, end = bounds(consumer, TELEMETRY, number)
    found: list[bytes] = []
    turn, begun, least = FIRST_TURN, clock.monotonic(), max(low, end - RECORDS_MAX)
    while end > least and len(found) < FRAMES_MAX and clock.monotonic() - begun < PATIENCE_S:
        start = max(least, end - turn)
        found = _between(consumer, number, start, end, key, begun + PATIENCE_S) + found
        end, turn = start, turn * 2
    return found


def _between(consumer: Consumer, number: int, start: int, end: int, key: bytes, until: float) -> list[bytes]:
    consumer.assign([TopicPartition(TELEMETRY, number, start)])
    found: list[bytes] = []
    while clock.monotonic() < until:
        for message in consumer.consume(POLL, 0.2):
            if message.error() is not None:
                if message.offset() is not None and message.offset() >= end:
                    return found
                continue
            if message.offset() >= end:
                return found
            if message.key() == key:
                found.append(message.value() or b"")
            if message.offset() >= end - 1:
                return found
    return found
