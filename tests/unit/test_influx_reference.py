"""The page about InfluxDB is made from the schema, and the schema keeps to its own rules."""

from __future__ import annotations

import pytest

from connectors.influx.schema import BUCKETS, MEASUREMENTS, STAGE_CODES, TAGS, VERDICT_CODES, Measurement
from connectors.kafka import topics
from infra.influx import reference


def test_the_page_is_what_the_schema_says() -> None:
    """If this fails, the schema has changed: run ``python -m infra.influx.reference`` and commit what it writes."""
    assert reference.FILE.read_text(encoding="utf-8") == reference.page().rstrip() + "\n"


@pytest.mark.parametrize("one", MEASUREMENTS, ids=lambda one: one.name)
def test_tags_are_bounded_and_names_are_unique(one: Measurement) -> None:
    assert set(one.tags) <= set(TAGS)
    names = [*one.tags, *(field.name for field in one.fields)]
    assert len(names) == len(set(names))
    assert one.topic in topics.ALL
    assert one.counted in names


def test_each_measurement_and_bucket_has_a_name_of_its_own() -> None:
    assert len({one.name for one in MEASUREMENTS}) == len(MEASUREMENTS) == 8
    assert [bucket.name for bucket in BUCKETS] == ["forestall", "forestall_hourly"]


def test_codes_tell_apart() -> None:
    for codes in (VERDICT_CODES, STAGE_CODES):
        assert len(set(codes.values())) == len(codes)
