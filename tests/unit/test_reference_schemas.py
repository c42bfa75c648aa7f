"""The published JSON Schemas are those of the code, and real records hold to them."""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from any_record import INVENTORY, RECORDS, any_record
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from signing_keys import sealed

from connectors.codecs.frames import encode_json_frame, encode_schema
from connectors.codecs.records import encode_member, encode_model_choice, encode_record, encode_tick
from connectors.kafka import topics
from infra import reference
from models.records import Assessment, Command, Counts, Frame, InventoryModel
from models.telemetry import Schema

TOPIC_OF: dict[type[Any], str] = {
    Assessment: topics.ASSESSMENT,
    Counts: topics.ASSESSMENT,
    Command: topics.COMMAND,
    **dict.fromkeys(INVENTORY, topics.INVENTORY),
}


@cache
def validator(topic: str) -> Draft202012Validator:
    """Of the file as it is published."""
    return Draft202012Validator(json.loads((reference.FOLDER / f"{topic}.json").read_text(encoding="utf-8")))


def faults(topic: str, raw: bytes) -> list[str]:
    return [fault.message for fault in validator(topic).iter_errors(json.loads(raw))]


def test_the_files_are_what_the_code_says() -> None:
    """If this fails, a record has changed: run ``python -m infra.reference`` and commit what it writes."""
    found = {path.name: path.read_text(encoding="utf-8") for path in reference.FOLDER.glob("*.json")}
    assert found == reference.texts()


@pytest.mark.parametrize("topic", sorted(reference.KINDS))
def test_each_file_is_a_schema(topic: str) -> None:
    Draft202012Validator.check_schema(validator(topic).schema)


def test_every_topic_with_json_values_has_one() -> None:
    assert set(topics.ALL) - set(reference.KINDS) == {topics.SNAPSHOT, topics.DEAD_LETTER}


@given(st.sampled_from(RECORDS).flatmap(any_record))
@settings(max_examples=100, deadline=None)
def test_real_records_hold_to_their_schema(record: Any) -> None:
    raw = sealed(record) if isinstance(record, Command) else encode_record(record)
    assert faults(TOPIC_OF.get(type(record), topics.EVENT), raw) == []


@given(any_record(Command))
@settings(max_examples=5, deadline=None)
def test_a_command_without_its_seal_is_none(command: Command) -> None:
    assert faults(topics.COMMAND, sealed(command)) == []
    assert faults(topics.COMMAND, encode_record(command))


@pytest.mark.parametrize(
    "raw",
    [
        encode_json_frame(Frame("n17", 1763942400.25, 812, {"gpu0.temp_c": 71.5, "x": float("nan")})),
        b'{"v":1,"node":"n","ts":1,"metrics":{"a":null,"b":2}}',
        encode_tick(5.0, history=True),
        encode_member("n", None, 5.0),
        encode_member("n", "llama", 5.0),
        encode_model_choice(InventoryModel(role="active", digest="d" * 64, at=5.0)),
        encode_model_choice(InventoryModel(role="shadow", digest=None, at=5.0)),
    ],
)
def test_telemetry_holds_to_its_schema(raw: bytes) -> None:
    assert faults(topics.TELEMETRY, raw) == []


def test_schema_records_hold_to_their_schema() -> None:
    assert faults(topics.SCHEMA, encode_schema(Schema(("a", "b_total"), (False, True), ("C", "")))) == []


@pytest.mark.parametrize(
    ("topic", "raw"),
    [
        (topics.TELEMETRY, b'{"v":2,"node":"n","ts":1,"metrics":{"a":1}}'),
        (topics.TELEMETRY, b'{"v":1,"node":"","ts":1,"metrics":{"a":1}}'),
        (topics.TELEMETRY, b'{"v":1,"node":"n","ts":1,"metrics":{}}'),
        (topics.TELEMETRY, b'{"v":1,"node":"n","ts":1,"metrics":{"a":"hot"}}'),
        (topics.TELEMETRY, b'{"v":1,"node":"n","ts":1763942400250,"metrics":{"a":1}}'),
        (topics.TELEMETRY, b'{"v":1,"kind":"model","ts":1}'),
        (topics.SCHEMA, b'{"v":1,"metrics":[{"name":"a","unit":"","kind":"histogram"}]}'),
        (topics.EVENT, b'{"v":1,"kind":"order","at":1}'),
        (topics.EVENT, b'{"v":1,"at":1}'),
        (topics.EVENT, b'{"v":1,"kind":"tick"}'),
        (topics.INVENTORY, b'{"v":1,"kind":"node","node":"n","at":1,"state":"asleep","job":"j"}'),
        (topics.ASSESSMENT, b'{"v":1,"kind":"counts","ts":"now"}'),
        (topics.COMMAND, b'{"v":1,"id":"c"}'),
    ],
)
def test_what_is_no_such_record_does_not(topic: str, raw: bytes) -> None:
    assert faults(topic, raw)


def test_a_file_of_a_topic_that_is_no_more_is_removed(tmp_path: Path) -> None:
    (tmp_path / "old.topic.v1.json").write_text("{}")
    reference.write(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(reference.texts())


def test_the_schemas_do_not_change_what_they_are_made_from() -> None:
    before = copy.deepcopy(reference.texts())
    assert reference.texts() == before
