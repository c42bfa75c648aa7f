"""Writes ``docs/reference/schemas``: the JSON Schema of each topic's values, made from the types that encode them.

Run it as ``python -m infra.reference`` after changing a record; a test holds the files and the code together.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from connectors.codecs.frames import SchemaRecord
from connectors.codecs.records import ASSESSMENT_KINDS, EVENT_KINDS, INVENTORY_KINDS, VERSION
from connectors.kafka import topics
from models.limits import METRIC_NAME_CHARS_MAX, METRICS_MAX, NODE_NAME_CHARS_MAX, TS_S_MAX
from models.records import Command, Frame
from models.telemetry import Member, ModelChoice, TelemetryTick

FOLDER: Final[Path] = Path(__file__).parent.parent / "docs" / "reference" / "schemas"
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

#: The types on each topic by ``kind``; None stands for records that carry no kind.
KINDS: Final[Mapping[str, Mapping[Any, type]]] = {
    topics.TELEMETRY: {None: Frame, "tick": TelemetryTick, "member": Member, "model": ModelChoice},
    topics.SCHEMA: {None: SchemaRecord},
    topics.INVENTORY: INVENTORY_KINDS,
    topics.ASSESSMENT: ASSESSMENT_KINDS,
    topics.COMMAND: {None: Command},
    topics.EVENT: EVENT_KINDS,
}


def schema_of(topic: str) -> dict[str, Any]:
    """The JSON Schema of a topic's JSON values."""
    kinds = KINDS[topic]
    _, components = msgspec.json.schema_components(kinds.values(), ref_template="#/$defs/{name}")
    for kind, record in kinds.items():
        _add_head(components[record.__name__], kind)
    if topic == topics.TELEMETRY:
        _relax_frame(components["Frame"])
    if topic == topics.COMMAND:
        _add_seal(components["Command"])
    return {
        "$schema": DIALECT,
        "title": topic,
        "oneOf": [{"$ref": f"#/$defs/{record.__name__}"} for record in kinds.values()],
        "$defs": dict(sorted(components.items())),
    }


def _add_head(component: dict[str, Any], kind: str | None) -> None:
    """Each record begins with its version and, where a topic has several, its kind."""
    head = {"v": {"const": VERSION}} | ({} if kind is None else {"kind": {"const": kind}})
    component["properties"] = head | {k: v for k, v in component["properties"].items() if k != "v"}
    component["required"] = [*head, *(name for name in component["required"] if name != "v")]


def _add_seal(component: dict[str, Any]) -> None:
    """A command on the topic ends in its seal (``connectors/signing/seal.py``)."""
    seal = {
        "previous": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "key_id": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
        "signature": {"type": "string", "pattern": "^[A-Za-z0-9+/]{86}==$"},
    }
    component["properties"] |= seal
    component["required"] += list(seal)


def _relax_frame(component: dict[str, Any]) -> None:
    """What anybody's producer may send: a sequence number is not needed, and a missing value may be null."""
    component["description"] = "One node's metrics at one source timestamp; a missing value is left out or null."
    fields = component["properties"]
    fields["kind"] = False
    fields["ts"] |= {"exclusiveMinimum": 0, "exclusiveMaximum": TS_S_MAX}
    fields["node"] |= {"minLength": 1, "maxLength": NODE_NAME_CHARS_MAX}
    fields["metrics"] = {
        "type": "object",
        "propertyNames": {"maxLength": METRIC_NAME_CHARS_MAX},
        "additionalProperties": {"type": ["number", "null"]},
        "minProperties": 1,
        "maxProperties": METRICS_MAX,
    }
    component["required"].remove("seq")


def texts() -> dict[str, str]:
    """The content of each file by its name."""
    return {f"{topic}.json": json.dumps(schema_of(topic), indent=2, ensure_ascii=False) + "\n" for topic in KINDS}


def write(folder: Path) -> None:
    """Write every file, and remove those of topics that are no more."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = texts()
    for stale in {path.name for path in folder.glob("*.json")} - wanted.keys():
        (folder / stale).unlink()
    for name, text in wanted.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    from infra import reference_asyncapi
    from infra.metrics import reference as metrics

    write(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
    if len(sys.argv) == 1:
        metrics.write()
        reference_asyncapi.write()
