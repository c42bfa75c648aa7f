"""Points as lines: escapes, what is left out, and the arithmetic of their times."""

from __future__ import annotations

import math

import pytest
from any_record import any_record
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.errors import InvalidRecord
from connectors.influx import points
from connectors.influx.lines import TEXT_BYTES_MAX, line, name, time_ns
from connectors.influx.schema import MEASUREMENTS, OUTCOME_POINT
from models.records import Assessment, Cause, Command, Counts, Incident, Outcome

AT = 1_763_942_400.25


def outcome(**fields: object) -> str:
    return line(OUTCOME_POINT, {"job": "j", "action": "MIGRATE", "node": "n"}, fields, 5)  # type: ignore[arg-type]


def test_a_line_has_tags_fields_and_time_in_the_order_of_the_schema() -> None:
    assert outcome(seconds=0.5, stage="done", rank=3) == (
        'outcome,job=j,action=MIGRATE,node=n stage="done",rank=3i,seconds=0.5 5'
    )


@pytest.mark.parametrize(
    ("text", "written"),
    [("a b", "a\\ b"), ("a,b=c", "a\\,b\\=c"), ("a\\", "a%5C"), ("a\nb", "a%0Ab"), ("ü", "ü"), ("a%5C", "a%255C")],
)
def test_what_would_end_or_bend_a_tag_is_escaped(text: str, written: str) -> None:
    assert name(text) == written


def test_a_tag_that_is_empty_or_not_there_is_left_out() -> None:
    assert line(OUTCOME_POINT, {"job": "", "action": None, "node": "n"}, {"rank": 1}, 5) == "outcome,node=n rank=1i 5"


def test_what_would_end_a_text_is_escaped() -> None:
    assert 'reason="say \\"no\\" \\\\ twice"' in outcome(stage="failed", reason='say "no" \\ twice')
    assert "\n" not in outcome(stage="failed", reason="two\nlines\r\n")


def test_a_giant_text_is_cut_between_characters() -> None:
    written = outcome(reason="ü" * TEXT_BYTES_MAX)
    assert len(written.encode()) < TEXT_BYTES_MAX + 100
    assert "�" not in written


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_left_out(number: float) -> None:
    assert "seconds" not in outcome(stage="done", seconds=number)


def test_an_integer_beyond_64_bits_is_left_out() -> None:
    assert "bytes" not in outcome(stage="done", bytes=2**63)
    assert f"bytes={2**63 - 1}i" in outcome(stage="done", bytes=2**63 - 1)


@given(microseconds=st.integers(0, 4_102_444_800_000_000), place=st.integers(0, 2**63))
def test_a_time_is_exact_to_the_microsecond_and_the_place_fills_the_rest(microseconds: int, place: int) -> None:
    found = time_ns(microseconds / 1_000_000, place)
    assert found == microseconds * 1_000 + place % 1_000


@pytest.mark.parametrize("at", [math.nan, math.inf, 1e12, -1e12])
def test_a_time_that_influxdb_cannot_hold_is_no_point(at: float) -> None:
    with pytest.raises(InvalidRecord):
        time_ns(at, 0)


def assessment(offset: int, index: int = 0, node: str = "n1") -> Assessment:
    return Assessment(node=node, ts=AT, verdict="healthy", cause=Cause(0, offset, index))


def test_two_assessments_of_one_instant_are_two_points() -> None:
    assert points.assessment_point(assessment(812)) != points.assessment_point(assessment(813))
    assert points.assessment_point(assessment(812)).endswith(" 1763942400250000812")


def test_a_record_that_is_written_again_is_the_same_point() -> None:
    told = Outcome(id="o", job="j", command="c", action="MIGRATE", node="n", stage="done", at=AT)
    assert points.outcome_point(told) == points.outcome_point(told)
    again = Outcome(id="p", job="j", command="c", action="MIGRATE", node="n", stage="done", at=AT)
    assert points.outcome_point(told) != points.outcome_point(again)


MAKES = {
    Assessment: points.assessment_point,
    Incident: points.incident_point,
    Command: points.command_point,
    Outcome: points.outcome_point,
}


@given(st.sampled_from(list(MAKES)).flatmap(any_record))
@settings(max_examples=60, deadline=None)
def test_any_record_makes_one_line_of_the_schema_or_is_told_to_have_no_time(record: object) -> None:
    try:
        written = MAKES[type(record)](record)  # type: ignore[operator]
    except InvalidRecord:
        return
    assert "\n" not in written
    measurement = next(one for one in MEASUREMENTS if written.startswith((f"{one.name},", f"{one.name} ")))
    assert all(f"{field.name}=" in written for field in measurement.fields if field.always and field.type == "string")


def test_counts_are_told_with_the_model_by_the_first_digits_of_its_digest() -> None:
    told = Counts(ts=AT, cause=Cause(3, 7), assessed=5, model="d" * 64, missing_values={"a": 2, "b": 3})
    written = points.pipeline_point(told, 3, 0.25)
    assert written.startswith(f"pipeline,partition=3,model={'d' * 16} assessed=5i,")
    assert "missing_values=5i" in written
    assert "delay_s=0.25" in written
