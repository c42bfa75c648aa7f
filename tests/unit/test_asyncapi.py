"""The AsyncAPI document is what the code creates and reads, and is one by the specification's own schema."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

from connectors.kafka import topics
from infra import reference, reference_asyncapi
from infra.cli.topics import specs_of
from infra.settings import load
from streams.batch import Partition
from streams.dead_letter import VALUE_BYTES_MAX, dead_letter

SCHEMA = Path(__file__).parents[1] / "data" / "asyncapi" / "asyncapi-3.0.0.json"


def published() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(reference_asyncapi.FILE.read_text(encoding="utf-8"))
    return found


def validator() -> Draft7Validator:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    parts = [(name, Resource(part, DRAFT7)) for name, part in schema["definitions"].items()]
    return Draft7Validator(schema, registry=Registry().with_resources(parts))


def faults(document: dict[str, Any]) -> list[str]:
    return [fault.message for fault in validator().iter_errors(document)]


def test_the_file_is_what_the_code_says() -> None:
    """If this fails, a topic or a record has changed: run ``python -m infra.reference`` and commit what it writes."""
    assert reference_asyncapi.FILE.read_text(encoding="utf-8") == reference_asyncapi.text()


def test_it_is_an_asyncapi_document() -> None:
    assert faults(published()) == []


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (("asyncapi",), "2.6.0"),
        (("info",), {"title": "forestall"}),
        (("channels", "control-command-v1", "bindings", "kafka", "partitions"), 0),
        (("channels", "control-command-v1", "bindings", "kafka", "topicConfiguration", "cleanup.policy"), ["keep"]),
        (("channels", "control-command-v1", "address"), 7),
        (("operations", "decide", "action"), "read"),
        (("operations", "decide", "topic"), "x"),
    ],
)
def test_what_is_none_is_found(path: tuple[str, ...], wrong: object) -> None:
    document = copy.deepcopy(published())
    part = document
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = wrong
    assert faults(document)


def test_every_topic_is_a_channel_as_the_broker_gets_it() -> None:
    channels = {channel["address"]: channel for channel in published()["channels"].values()}
    assert list(channels) == list(topics.ALL)
    for spec in specs_of(load(None, [], None)):
        kafka = channels[spec.name]["bindings"]["kafka"]
        told = kafka["topicConfiguration"]
        assert (kafka["topic"], kafka["partitions"], kafka["replicas"]) == (
            spec.name,
            spec.partitions,
            spec.replication,
        )
        assert {k: ",".join(v) if isinstance(v, list) else str(v) for k, v in told.items()} == dict(spec.configs)


@pytest.mark.parametrize("topic", sorted(reference.KINDS))
def test_every_record_has_its_message_with_a_key_and_a_schema_that_is_there(topic: str) -> None:
    (channel,) = [one for one in published()["channels"].values() if one["address"] == topic]
    for kind, record in reference.KINDS[topic].items():
        message = channel["messages"][record.__name__]
        path, pointer = message["payload"]["schema"]["$ref"].split("#")
        schema = json.loads((reference_asyncapi.FILE.parent / path).read_text(encoding="utf-8"))
        assert pointer.removeprefix("/$defs/") in schema["$defs"]
        assert message["bindings"]["kafka"]["key"]["description"] == reference_asyncapi.KEYS[topic][kind]
    assert set(reference_asyncapi.KEYS[topic]) == set(reference.KINDS[topic])


def test_every_operation_is_on_a_channel_and_every_channel_has_who_writes_it() -> None:
    document = published()
    refs = {name: one["channel"]["$ref"].removeprefix("#/channels/") for name, one in document["operations"].items()}
    assert set(refs.values()) == set(document["channels"])
    writers = {refs[name] for name, one in document["operations"].items() if one["action"] == "send"}
    assert writers == set(document["channels"])


def test_the_headers_of_a_dead_letter_are_told() -> None:
    record = dead_letter(Partition("t", 0), 1, b"k", b"x" * (VALUE_BYTES_MAX + 1), "why")
    (channel,) = [one for one in published()["channels"].values() if one["address"] == topics.DEAD_LETTER]
    told = channel["messages"]["DeadLetter"]["headers"]["properties"]
    assert {name for name, _ in record.headers} == set(told)


def test_the_page_of_the_topics_names_each_fixed_key() -> None:
    page = (reference_asyncapi.FILE.parent / "topics.md").read_text(encoding="utf-8")
    keys = [key for kinds in reference_asyncapi.KEYS.values() for key in kinds.values()]
    fixed = {key for key in keys if re.fullmatch(r"[a-z-]+", key)}
    assert fixed >= {"tick", "model", "counts", "brake", "breaker"}
    for key in fixed:
        assert f"`{key}`" in page, key
