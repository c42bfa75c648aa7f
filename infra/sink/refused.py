"""Points that InfluxDB will never take, on their way to the dead-letter topic: nothing is dropped without a word."""

from __future__ import annotations

from collections.abc import Callable

from connectors.influx.writer import Refused
from connectors.kafka.put import put
from connectors.kafka.topics import DEAD_LETTER
from streams.dead_letter import REASON_CHARS_MAX, VALUE_BYTES_MAX

KEY = b"influx"


def burying(brokers: str, bucket: str) -> Callable[[Refused], None]:
    """What puts refused points there, as many a record as fit, and returns once they are safe; ``Unreachable`` else."""

    def bury(refused: Refused) -> None:
        for value in _values(refused.lines):
            headers = [
                ("reason", refused.reason[:REASON_CHARS_MAX].encode(errors="backslashreplace")),
                ("topic", f"influx/{bucket}".encode(errors="backslashreplace")),
                ("points", str(value.count(b"\n")).encode()),
            ]
            put(brokers, DEAD_LETTER, KEY, value, headers)

    return bury


def _values(lines: tuple[str, ...]) -> list[bytes]:
    """Lines in values below the bound on a record, each ended by a line feed."""
    values = [b""]
    for line in lines:
        raw = line.encode() + b"\n"
        if values[-1] and len(values[-1]) + len(raw) > VALUE_BYTES_MAX:
            values.append(b"")
        values[-1] += raw
    return values
