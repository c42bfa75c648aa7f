"""Line protocol, version 2: one point a line, its time in nanoseconds; and the time that a point has.

A point is the same whenever it is made of the same record, and two records never make the same point of a series: its
time is the record's source time in whole microseconds, and the place of the record fills the nanoseconds below.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Final

from connectors.errors import InvalidRecord
from connectors.influx.schema import FieldType, Measurement

Value = float | int | str | bool
US: Final = 1_000_000
NS_A_US: Final = 1_000
#: Nanoseconds of a time are a signed integer of 64 bits.
AT_S_MAX: Final = 9_223_372_036.0
#: InfluxDB's own bound on a string is 64 KiB; no text of ours needs more than this.
TEXT_BYTES_MAX: Final = 16_384
_INTEGER_MAX: Final = 2**63 - 1
#: What a name cannot hold: a backslash escapes what follows it, and a line ends at the end of a line.
_UNFIT: Final = re.compile(r"[\x00-\x1f\x7f\\%]")
_APART: Final = re.compile(r"([ ,=])")


def time_ns(at: float, place: int) -> int:
    """The time of a point: ``at`` (Unix seconds) to the microsecond, and the place in its thousand below that.

    A float64 holds today's seconds to a quarter of a microsecond, so microseconds are exact where nanoseconds are not.

    >>> time_ns(1763942400.25, 2_812)
    1763942400250000812

    Raises
    ------
    InvalidRecord
        It is no time that InfluxDB can hold.
    """
    if not -AT_S_MAX < at < AT_S_MAX:  # nor NaN
        raise InvalidRecord("no-such-time", f"{at} is no time from 1678 to 2262")
    return round(at * US) * NS_A_US + place % NS_A_US


def line(measurement: Measurement, tags: Mapping[str, str | None], fields: Mapping[str, Value | None], at: int) -> str:
    """One point; ``at`` is its time in nanoseconds. What is None, or a number that is none, is left out.

    Tags and fields stand in the order of the schema, and what the schema does not name is not written.
    """
    named = "".join(f",{tag}={name(text)}" for tag in measurement.tags if (text := tags.get(tag)))
    written = []
    for field in measurement.fields:
        value = fields.get(field.name)
        shown = None if value is None else _shown(field.type, value)
        if shown is not None:
            written.append(f"{field.name}={shown}")
    return f"{measurement.name}{named} {','.join(written)} {at}"


def name(text: str) -> str:
    r"""A tag's value as it stands in a line.

    >>> print(name("rack 4,n=17"), name("a\\b"), name("50%"))
    rack\ 4\,n\=17 a%5Cb 50%25
    """
    if _UNFIT.search(text):
        text = _UNFIT.sub(lambda found: f"%{ord(found[0]):02X}", text)
    return _APART.sub(r"\\\1", text)


def _shown(kind: FieldType, value: Value) -> str | None:
    if kind == "string":
        return _text(str(value))
    if kind == "boolean":
        return "true" if value else "false"
    if kind == "integer":
        number = int(value)
        return f"{number}i" if -_INTEGER_MAX <= number <= _INTEGER_MAX else None
    number_ = float(value)
    return repr(number_) if math.isfinite(number_) else None


def _text(text: str) -> str:
    raw = text.encode(errors="replace")
    if len(raw) > TEXT_BYTES_MAX:
        text = raw[:TEXT_BYTES_MAX].decode(errors="ignore")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'.replace("\r", " ").replace("\n", " ").replace("\x00", " ")
