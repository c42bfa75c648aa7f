"""Points that InfluxDB will never take, on their way to the dead-letter topic: nothing is dropped without a word."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from connectors.influx.writer import Refused
from connectors.kafka.put import Record, put_all
from connectors.kafka.topics import DEAD_LETTER, INFLUX_KEY
from streams.dead_letter import REASON_CHARS_MAX, VALUE_BYTES_MAX


def burying(brokers: str, bucket: str) -> Callable[[Sequence[Refused]], None]:
    """What puts refused points there, as many a record as fit, and returns once they are safe; ``Unreachable`` else."""

    def bury(refused: Sequence[Refused]) -> None:
        put_all(brokers, DEAD_LETTER, [record for one in refused for record in _records(one, bucket)])

    return bury


def by_reason(refused: Sequence[Refused]) -> list[Refused]:
    """The same lines, those of one reason together."""
    lines: dict[str, tuple[str, ...]] = {}
    for one in refused:
        lines[one.reason] = (*lines.get(one.reason, ()), *one.lines)
    return [Refused(those, reason) for reason, those in lines.items()]


def _records(refused: Refused, bucket: str) -> list[Record]:
    about = [
        ("reason", refused.reason[:REASON_CHARS_MAX].encode(errors="backslashreplace")),
        ("topic", f"influx/{bucket}".encode(errors="backslashreplace")),
    ]
    values = _values(refused.lines)
    return [(INFLUX_KEY, value, [*about, ("points", str(value.count(b"\n")).encode())]) for value in values]


def _values(lines: tuple[str, ...]) -> list[bytes]:
    """Lines in values below the bound on a record, each ended by a line feed."""
    values = [b""]
    for line in lines:
        raw = line.encode() + b"\n"
        if values[-1] and len(values[-1]) + len(raw) > VALUE_BYTES_MAX:
            values.append(b"")
        values[-1] += raw
    return values
