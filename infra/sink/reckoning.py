"""How many points the topics should have yielded, counted from the log alone, and how many InfluxDB really holds.

The two counts share nothing with the way of the points but the schema's names, so their difference is a real loss.
Records that were written twice count once: by the place of their cause, or by their id.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from confluent_kafka import Message

from connectors.errors import Failed
from connectors.influx.outbox import Positions
from connectors.influx.schema import GRID_S, MEASUREMENTS
from connectors.kafka.log import bounds, partition_count, read_range, reader
from connectors.kafka.topics import ASSESSMENT, COMMAND, EVENT
from infra.influx.api import InfluxApi, said

RECORDS_A_TURN: Final = 50_000
#: Progress over less than this is none.
BEGUN_S: Final = 0.001
Seen = dict[str, set[Any]]


@dataclass(slots=True)
class _Jobs:
    """What of the decision log decides when ledgers are told: a job's partition, its progress, the time of the grid."""

    home: dict[str, int] = field(default_factory=dict)
    progress: dict[str, tuple[float, float]] = field(default_factory=dict)
    grid: dict[int, float] = field(default_factory=dict)

    def begun(self, partition: int) -> list[str]:
        """The jobs of a partition that have made some progress."""
        spans = self.progress.items()
        return [job for job, (first, end) in spans if end - first > BEGUN_S and self.home[job] == partition]


def expected(brokers: str, begin: Positions, shadows: int = 0) -> dict[str, int]:
    """Points by measurement that the records from ``begin`` to the end of the log should yield.

    Parameters
    ----------
    begin : (topic, partition) → first offset; of what is not named, all
    shadows : how many candidates run in the shadow
    """
    seen: Seen = {measurement.name: set() for measurement in MEASUREMENTS}
    jobs = _Jobs()
    with reader(brokers) as consumer:
        for topic in (EVENT, COMMAND, ASSESSMENT):
            for partition in range(partition_count(consumer, topic)):
                low, high = bounds(consumer, topic, partition)
                first = begin.get((topic, partition), low)
                start = low if topic == EVENT else max(low, first)
                for at in range(start, high, RECORDS_A_TURN):
                    for message in read_range(consumer, topic, partition, at, min(at + RECORDS_A_TURN, high)):
                        _see(topic, partition, message, first, seen, jobs)
    counts = {name: len(found) for name, found in seen.items()}
    counts["fleet"] = counts["pipeline"]
    counts["shadow_policy"] = counts["ledger"] * shadows
    return counts


def _see(topic: str, partition: int, message: Message, first: int, seen: Seen, jobs: _Jobs) -> None:
    try:
        told = json.loads(message.value() or b"")
    except ValueError:
        return
    counted = (message.offset() or 0) >= first
    if topic == EVENT:
        _see_event(told, partition, counted, seen, jobs)
    elif counted and topic == COMMAND:
        seen["command"].add(told["id"])
    elif counted and told["kind"] == "assessment" and not told.get("history"):
        seen["assessment"].add(_cause(told))
    elif counted and told["kind"] == "counts" and told["assessed"]:
        seen["pipeline"].add(_cause(told))


def _cause(told: Mapping[str, Any]) -> tuple[int, ...]:
    cause = told["cause"]
    return cause["partition"], cause["offset"], cause["index"]


def _see_event(told: Mapping[str, Any], partition: int, counted: bool, seen: Seen, jobs: _Jobs) -> None:
    kind, job = told["kind"], told.get("job")
    if kind == "tick" and not told.get("history"):
        at = told["at"] // GRID_S
        if at > jobs.grid.get(partition, 0.0):
            jobs.grid[partition] = at
            seen["ledger"].update((one, at) for one in jobs.begun(partition) if counted)
    if job is not None and kind in {"incident", "outcome", "membership", "progress", "fate"}:
        jobs.home.setdefault(job, partition)
    if job is not None and kind == "progress":
        first, end = jobs.progress.get(job, (told["at"], told["at"]))
        jobs.progress[job] = min(first, told["at"]), max(end, told["at"])
    if counted and (kind == "outcome" or (kind == "incident" and not told.get("history"))):
        seen[kind].add(told["id"])


def held(api: InfluxApi, org: str, bucket: str) -> dict[str, int]:
    """Points by measurement that the server holds, as it counts them itself; raises what ``api`` raises."""
    which = " or ".join(f'(r._measurement == "{one.name}" and r._field == "{one.counted}")' for one in MEASUREMENTS)
    flux = (
        f"from(bucket: {json.dumps(bucket)}) |> range(start: 0, stop: 2262-01-01T00:00:00Z)"
        f' |> filter(fn: (r) => {which}) |> count() |> group(columns: ["_measurement"]) |> sum()'
    )
    body = json.dumps({"query": flux, "dialect": {"header": True, "annotations": []}}).encode()
    status, answer = api.try_to("POST", "/api/v2/query", body, {"org": org})
    if status != 200:
        raise Failed(f"InfluxDB does not count its points: {status} {said(answer)}")
    counts = Counter[str]()
    for row in _rows(answer.decode()):
        counts[row["_measurement"]] += int(row["_value"])
    return {measurement.name: counts[measurement.name] for measurement in MEASUREMENTS}


def _rows(text: str) -> Iterator[dict[str, str]]:
    """The rows of an answer, whose tables follow each other with a header each."""
    header: Sequence[str] = ()
    for cells in csv.reader(io.StringIO(text)):
        if "_measurement" in cells:
            header = cells
        elif cells:
            yield dict(zip(header, cells, strict=True))
