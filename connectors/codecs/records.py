"""JSON of everything on the topics but frames: version 1, one object a record, told apart by ``kind``.

Decoding is strict: an unknown version or kind, a missing or wrongly typed field is an :class:`InvalidRecord`
that says where. Unknown extra fields are let through, so that a newer writer of the same version can be read.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from connectors.errors import InvalidRecord
from models.records import (
    Assessment,
    BreakerReset,
    Command,
    Counts,
    Event,
    Incident,
    InventoryBreaker,
    InventoryModel,
    InventoryNode,
    InventoryOptOut,
    InventoryPause,
    InventorySettings,
    Membership,
    NodeFate,
    OptOut,
    Outcome,
    Pause,
    Progress,
    Tick,
)

VERSION = 1
EVENT_KINDS: dict[str, type[Event]] = {
    "incident": Incident,
    "outcome": Outcome,
    "membership": Membership,
    "progress": Progress,
    "fate": NodeFate,
    "tick": Tick,
    "pause": Pause,
    "opt-out": OptOut,
    "breaker": BreakerReset,
}
ASSESSMENT_KINDS: dict[str, type[Assessment] | type[Counts]] = {"assessment": Assessment, "counts": Counts}
InventoryBrake = InventoryPause | InventoryOptOut | InventoryBreaker
Inventory = InventoryNode | InventoryModel | InventoryBrake | InventorySettings
INVENTORY_KINDS: dict[str, type[Inventory]] = {
    "node": InventoryNode,
    "model": InventoryModel,
    "pause": InventoryPause,
    "opt-out": InventoryOptOut,
    "breaker": InventoryBreaker,
    "settings": InventorySettings,
}
_KIND_OF: dict[type, str] = {
    record: kind for kinds in (EVENT_KINDS, ASSESSMENT_KINDS, INVENTORY_KINDS) for kind, record in kinds.items()
}
_encoder = msgspec.json.Encoder()
_T = TypeVar("_T")


def _head(kind: str | None) -> bytes:
    return f'{{"v":{VERSION},'.encode() + (f'"kind":"{kind}",'.encode() if kind else b"")


_HEADS = {record: _head(kind) for record, kind in _KIND_OF.items()} | {Command: _head(None)}


_PROGRESS_HEAD = _HEADS[Progress]
_progress = msgspec.json.Decoder(Progress)


def encode_record(record: object) -> bytes:
    """Any record of a topic: its fields in their declared order after the version and the kind."""
    return _HEADS[type(record)] + _encoder.encode(record)[1:]


def _object(raw: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        raise InvalidRecord("not-json", str(wrong)) from wrong
    if not isinstance(value, dict):
        raise InvalidRecord("not-an-object", f"a JSON {type(value).__name__}")
    version = value.pop("v", None)
    if type(version) is not int or version != VERSION:
        raise InvalidRecord("unknown-version", f"this build reads version {VERSION}")
    return value


def _convert(value: dict[str, Any], into: type[_T]) -> _T:
    try:
        return msgspec.convert(value, into)
    except msgspec.ValidationError as wrong:
        raise InvalidRecord("wrong-field", str(wrong)) from wrong


def _decode_kind(raw: bytes, kinds: dict[str, type[_T]]) -> _T:
    value = _object(raw)
    kind = value.pop("kind", None)
    if not isinstance(kind, str) or kind not in kinds:
        raise InvalidRecord("unknown-kind", f"{kind!r} is none of {', '.join(kinds)}")
    return _convert(value, kinds[kind])


def encode_event(event: Event) -> bytes:
    """One record of the decision log."""
    return encode_record(event)


def decode_event(raw: bytes) -> Event:
    """Read one record of the decision log; raises :class:`InvalidRecord`.

    Most are progress as :func:`encode_event` writes it; that is read at once.
    """
    if raw.startswith(_PROGRESS_HEAD):
        try:
            return _progress.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass  # what is wrong with it is found below
    return _decode_kind(raw, EVENT_KINDS)


def encode_command(command: Command) -> bytes:
    """One record of the command topic."""
    return encode_record(command)


def decode_command(raw: bytes) -> Command:
    """Read a command; raises :class:`InvalidRecord`."""
    return _convert(_object(raw), Command)


def encode_inventory(told: Inventory) -> bytes:
    """One record of the inventory."""
    return encode_record(told)


def decode_inventory(raw: bytes) -> Inventory:
    """Read an inventory record; raises :class:`InvalidRecord`."""
    return _decode_kind(raw, INVENTORY_KINDS)


def brake_key(told: InventoryBrake) -> bytes:
    """The key on the inventory under which the newest word on a brake stands.

    >>> brake_key(InventoryPause(job=None, at=1.0, paused=True, by="ann", why="storage"))
    b'pause/*'
    """
    match told:
        case InventoryPause():
            return f"pause/{told.job or '*'}".encode()
        case InventoryOptOut():
            return f"opt-out/{told.node}".encode()
        case InventoryBreaker():
            return b"breaker"


def encode_assessment(assessment: Assessment | Counts) -> bytes:
    """One record of the assessment topic."""
    return encode_record(assessment)


def decode_assessment(raw: bytes) -> Assessment | Counts:
    """Read a record of the assessment topic; raises :class:`InvalidRecord`."""
    return _decode_kind(raw, ASSESSMENT_KINDS)


def encode_tick(ts: float, *, history: bool | None = None) -> bytes:
    """The control record that carries source time on the telemetry topic."""
    return _encoder.encode({"v": VERSION, "kind": "tick", "ts": ts, "history": history})


def encode_member(node: str, job: str | None, ts: float) -> bytes:
    """The control record that tells a telemetry partition which job a node works for (None: for none)."""
    return _encoder.encode({"v": VERSION, "kind": "member", "node": node, "job": job, "ts": ts})


def encode_model_choice(told: InventoryModel) -> bytes:
    """The control record that tells a telemetry partition which model is used in a role."""
    return _encoder.encode({"v": VERSION, "kind": "model", "role": told.role, "digest": told.digest, "ts": told.at})
