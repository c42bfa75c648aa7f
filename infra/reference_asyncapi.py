"""Writes ``docs/reference/asyncapi.json``: the topics as an AsyncAPI 3 document, made from what the code creates.

``python -m infra.reference`` writes it beside the schemas that it names; a test holds it and the code together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from connectors.kafka import topics
from connectors.kafka.topic_specs import TopicSpec, topic_specs
from infra import reference
from infra.settings import Settings

FILE: Final = reference.FOLDER.parent / "asyncapi.json"
BINDING: Final = "0.5.0"
SCHEMA_FORMAT: Final = "application/schema+json;version=draft-2020-12"
OCTETS: Final = "application/octet-stream"

ABOUT: Final[Mapping[str, str]] = {
    topics.TELEMETRY: "Frames of nodes, JSON or packed, and control records between them",
    topics.SCHEMA: "What packed metrics are, and model artefacts, each named by the digest of its content",
    topics.INVENTORY: "Who runs what, which model is in use, what operators said, what workers decide with",
    topics.ASSESSMENT: "What forestall holds of each node; partition p is made from partition p of the telemetry",
    topics.COMMAND: "What cluster agents are told to do, signed; partition p is made from partition p of the log",
    topics.EVENT: "The decision log: all that decisions are made from, in order",
    topics.SNAPSHOT: "The state of a partition with the offset that it covers",
    topics.DEAD_LETTER: "Records that could not be read, as they were, with the reason in headers",
}

#: What the key of each record is, by topic and kind; None stands for records that carry no kind.
KEYS: Final[Mapping[str, Mapping[str | None, str]]] = {
    topics.TELEMETRY: {None: "the node", "tick": "tick", "member": "the node", "model": "model"},
    topics.SCHEMA: {None: "the schema's id"},
    topics.INVENTORY: {
        "node": "the node",
        "model": "model/ and the role",
        "pause": "pause/ and the job, or * for all",
        "opt-out": "opt-out/ and the node",
        "breaker": "breaker",
        "settings": "settings/, the digest and the time",
    },
    topics.ASSESSMENT: {"assessment": "the node", "counts": "counts"},
    topics.COMMAND: {None: "the job"},
    topics.EVENT: {
        "incident": "the job, or the node where there is none",
        "outcome": "the job",
        "membership": "the job",
        "progress": "the job",
        "fate": "the job, or the node where there is none",
        "tick": "tick",
        "pause": "brake",
        "opt-out": "brake",
        "breaker": "brake",
    },
}

#: Records that are no JSON: name, key, type of content and what they are.
BINARY: Final[Mapping[str, tuple[tuple[str, str, str, str], ...]]] = {
    topics.TELEMETRY: (
        (
            "PackedFrame",
            "the node",
            "application/vnd.msgpack",
            "A frame as one MessagePack array: version, node, ts, seq, schema id, row of little-endian float32",
        ),
    ),
    topics.SCHEMA: (("ModelArtefact", "model/ and the digest", OCTETS, "A model artefact (safetensors)"),),
    topics.SNAPSHOT: (("Snapshot", "source topic/partition/set/slice", OCTETS, "One slice of a state, compressed"),),
    topics.DEAD_LETTER: (
        ("DeadLetter", "the original key", OCTETS, "The original bytes, cut where they are very many"),
    ),
}
DEAD_LETTER_HEADERS: Final = ("reason", "topic", "partition", "offset", "bytes")

#: Which part of forestall does what with each topic; ``receive`` is what it reads.
PARTS: Final[tuple[tuple[str, str, str, str], ...]] = (
    ("produce", "send", topics.TELEMETRY, "Producers of telemetry, forestall's or anybody's"),
    ("produceSchemas", "send", topics.SCHEMA, "Producers of packed frames tell what the rows mean"),
    ("assess", "receive", topics.TELEMETRY, "The worker assesses each frame"),
    ("assessed", "send", topics.ASSESSMENT, "The worker tells what it holds of each node"),
    ("observe", "send", topics.EVENT, "Worker and agents tell incidents, outcomes, progress, fates and ticks"),
    ("decide", "receive", topics.EVENT, "The worker decides from the log alone"),
    ("command", "send", topics.COMMAND, "The worker commands, each record signed"),
    ("obey", "receive", topics.COMMAND, "Cluster agents take the commands that are theirs"),
    ("inform", "send", topics.INVENTORY, "Agents, schedulers and operators tell who runs what and what holds"),
    ("informed", "receive", topics.INVENTORY, "The worker copies it to the partitions that it concerns"),
    ("save", "send", topics.SNAPSHOT, "The worker saves its state"),
    ("restore", "receive", topics.SNAPSHOT, "A worker that takes over reads it"),
    ("refuse", "send", topics.DEAD_LETTER, "The worker puts aside what it cannot read"),
)


def document() -> dict[str, Any]:
    """The whole document; partitions and retention are those of the default settings."""
    channels = {_name(spec.name): _channel(spec) for spec in _specs()}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "forestall",
            "version": "1.0.0",
            "description": "Telemetry in, assessments and signed commands out. Every topic of forestall, with the key "
            "and the JSON Schema of each record; the partitions and retention are those of the default settings.",
        },
        "defaultContentType": "application/json",
        "servers": {
            "own": {
                "host": "{broker}",
                "protocol": "kafka",
                "description": "Your own Kafka, or the embedded one",
                "variables": {"broker": {"description": "host:port, as in --brokers"}},
            }
        },
        "channels": channels,
        "operations": {name: _operation(action, topic, what) for name, action, topic, what in PARTS},
    }


def _specs() -> tuple[TopicSpec, ...]:
    defaults = Settings().topics
    return topic_specs(
        partitions=defaults.partitions,
        replication=defaults.replication,
        telemetry_retention_h=defaults.telemetry_retention_h,
        control_retention_d=defaults.control_retention_d,
    )


def _name(topic: str) -> str:
    """A topic's name as a key of the document.

    >>> _name("telemetry.dead-letter.v1")
    'telemetry-dead-letter-v1'
    """
    return re.sub(r"[^A-Za-z0-9_-]", "-", topic)


def _channel(spec: TopicSpec) -> dict[str, Any]:
    kafka = {
        "topic": spec.name,
        "partitions": spec.partitions,
        "replicas": spec.replication,
        "topicConfiguration": {key: _config(key, value) for key, value in sorted(spec.configs.items())},
        "bindingVersion": BINDING,
    }
    return {
        "address": spec.name,
        "description": ABOUT[spec.name],
        "messages": dict(_messages(spec.name)),
        "bindings": {"kafka": kafka},
    }


def _config(key: str, value: str) -> Any:
    if key == "cleanup.policy":
        return value.split(",")
    return int(value) if value.lstrip("-").isdecimal() else value


def _messages(topic: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for kind, record in reference.KINDS.get(topic, {}).items():
        name = record.__name__
        schema = {"$ref": f"./schemas/{topic}.json#/$defs/{name}"}
        yield (
            name,
            {
                "contentType": "application/json",
                "payload": {"schemaFormat": SCHEMA_FORMAT, "schema": schema},
                **_keyed(KEYS[topic][kind]),
            },
        )
    for name, key, content, what in BINARY.get(topic, ()):
        told: dict[str, Any] = {"contentType": content, "description": what, **_keyed(key)}
        if topic == topics.DEAD_LETTER:
            told["headers"] = {
                "type": "object",
                "properties": {header: {"type": "string"} for header in DEAD_LETTER_HEADERS},
                "required": ["reason", "topic", "partition", "offset"],
            }
        yield name, told


def _keyed(key: str) -> dict[str, Any]:
    return {"bindings": {"kafka": {"key": {"type": "string", "description": key}, "bindingVersion": BINDING}}}


def _operation(action: str, topic: str, what: str) -> dict[str, Any]:
    return {"action": action, "channel": {"$ref": f"#/channels/{_name(topic)}"}, "summary": what}


def text() -> str:
    """The content of the file."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def write(path: Path = FILE) -> None:
    """Write it."""
    path.write_text(text(), encoding="utf-8")
