"""Writes ``docs/reference/influx.md`` from the schema: ``python -m infra.influx.reference``; a test holds both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from connectors.influx.schema import BUCKETS, MEASUREMENTS, TAGS, Field, Measurement

FILE: Final = Path(__file__).parents[2] / "docs" / "reference" / "influx.md"
_DAY_S: Final = 86_400
_HEAD: Final = """\
# What stands in InfluxDB

Made from `connectors/influx/schema.py` by `python -m infra.influx.reference`; do not edit it by hand.
[How to set it up](../how-to/influx.md).

**A point's time** is the source time of its record in whole microseconds; the nanoseconds below come of what names the
record: the offset and index of its cause, or its id. So two records never fall on one point, and a record that is
written again is the same point ([decision 034](../decisions/034-points-and-their-outbox.md)).

**Tags** are bounded; ids, stages, ranks and verdicts are fields. A field that a record has no value for is left out,
and so is a number that is none. In a tag, a backslash, a percent sign and control characters stand as `%5C` and so on.
"""


def page() -> str:
    """The text of the page."""
    return "\n".join([_HEAD, *_buckets(), *_tags(), *(line for one in MEASUREMENTS for line in _measurement(one))])


def _buckets() -> Iterator[str]:
    yield from ("## Buckets", "", "| bucket | kept | what |", "|---|---|---|")
    yield from (f"| `{one.name}` | {one.retention_s // _DAY_S} days | {one.what} |" for one in BUCKETS)
    yield ""


def _tags() -> Iterator[str]:
    yield from ("## Tags", "", "| tag | what |", "|---|---|")
    yield from (f"| `{tag}` | {what} |" for tag, what in TAGS.items())
    yield ""


def _measurement(one: Measurement) -> Iterator[str]:
    tags = ", ".join(f"`{tag}`" for tag in one.tags)
    yield from (f"## {one.name}", "", f"{one.what[0].upper()}{one.what[1:]}. From `{one.topic}`; tags {tags}.", "")
    yield from ("| field | type | unit | meaning |", "|---|---|---|---|")
    yield from (_row(field) for field in one.fields)
    yield ""


def _row(field: Field) -> str:
    seldom = "" if field.always else " (not always there)"
    what = field.what.replace("|", "\\|")
    return f"| `{field.name}` | {field.type} | {field.unit or '–'} | {what}{seldom} |"


if __name__ == "__main__":
    FILE.write_text(page().rstrip() + "\n", encoding="utf-8")
