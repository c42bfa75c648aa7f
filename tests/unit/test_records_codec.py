"""JSON of the records: back and forth without a difference, and each fault with its reason."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from any_record import EVENTS, INVENTORY, RECORDS, any_record
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.codecs.records import (
    decode_assessment,
    decode_command,
    decode_event,
    decode_inventory,
    encode_assessment,
    encode_command,
    encode_event,
    encode_inventory,
    encode_member,
    encode_record,
    encode_tick,
)
from connectors.errors import InvalidRecord
from models.records import (
    Assessment,
    Cause,
    Command,
    Counts,
    InventoryNode,
    Membership,
    NodeFate,
    Reason,
    Tick,
    command_id,
    digest_id,
)

DECODERS: dict[type[Any], Callable[[bytes], Any]] = {
    **dict.fromkeys(EVENTS, decode_event),
    Assessment: decode_assessment,
    Counts: decode_assessment,
    Command: decode_command,
    **dict.fromkeys(INVENTORY, decode_inventory),
}
TICK = encode_event(Tick(at=5.0))
COMMAND = Command(
    id="c1",
    action="MIGRATE",
    job="llama",
    generation=7,
    issued_at=5.0,
    expires_at=65.0,
    reason=Reason(rule="eq6", numbers={"p": 0.9}, evidence=("control.event.v1/0/12",)),
    cause=Cause(0, 12),
    node="n1",
    spare="s1",
    ranks=(3,),
)


@given(st.sampled_from(RECORDS).flatmap(any_record))
@settings(max_examples=250, deadline=None)
def test_every_record_comes_back_as_it_was(record: Any) -> None:
    raw = encode_record(record)
    found = DECODERS[type(record)](raw)
    assert found == record
    assert encode_record(found) == raw


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_no_kind_of_record_is_left_out(kind: type[Any]) -> None:
    assert kind in DECODERS


def test_the_fields_stand_in_their_order_after_version_and_kind() -> None:
    fate = NodeFate(id="f", job=None, node="n1", at=2.5, state="failed")
    assert encode_event(fate) == b'{"v":1,"kind":"fate","id":"f","job":null,"node":"n1","at":2.5,"state":"failed"}'
    assert encode_command(COMMAND).startswith(b'{"v":1,"id":"c1","action":"MIGRATE","job":"llama","generation":7,')
    counts = Counts(ts=1.0, cause=Cause(0, 3))
    assert encode_assessment(counts).startswith(b'{"v":1,"kind":"counts","ts":1.0,"cause":{"partition":0,"offset":3,')
    node = InventoryNode(node="n1", at=1.0, state="spare", job="llama")
    assert json.loads(encode_inventory(node)) == {
        "v": 1,
        "kind": "node",
        "node": "n1",
        "at": 1.0,
        "state": "spare",
        "job": "llama",
        "rank": None,
        "world": None,
        "min_nodes": None,
        "replica_nodes": None,
    }


def test_control_records_of_the_telemetry_topic_are_exact() -> None:
    assert encode_tick(1.5, history=True) == b'{"v":1,"kind":"tick","ts":1.5,"history":true}'
    assert encode_member("n", None, 2.0) == b'{"v":1,"kind":"member","node":"n","job":null,"ts":2.0}'


@pytest.mark.parametrize("decode", [decode_event, decode_command, decode_inventory, decode_assessment])
@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "not-json"),
        (b"\x96\x01", "not-json"),
        (b"{", "not-json"),
        (TICK[:-1], "not-json"),
        (TICK + b" x", "not-json"),
        (b'{"v":1,"kind":"tick","at":NaN}', "not-json"),
        (b'{"v":1,"kind":"tick","at":1e999}', "not-json"),
        (b'{"v":1,"kind":"\xff"}', "not-json"),
        (b'{"v":1,"kind":"\\ud800"}', "not-json"),
        (b"[" * 100_000, "not-json"),
        (b'{"v":' * 100_000, "not-json"),
        (b"[1]", "not-an-object"),
        (b"1", "not-an-object"),
        (b"null", "not-an-object"),
        (b"{}", "unknown-version"),
        (b'{"v":2,"kind":"tick","at":1}', "unknown-version"),
        (b'{"v":"1","kind":"tick","at":1}', "unknown-version"),
        (b'{"v":true,"kind":"tick","at":1}', "unknown-version"),
        (b'{"v":1.0,"kind":"tick","at":1}', "unknown-version"),
        (b'{"v":[1],"kind":"tick","at":1}', "unknown-version"),
    ],
    ids=lambda value: repr(value[:30]) if isinstance(value, bytes) else None,
)
def test_what_is_no_record_is_refused(decode: Callable[[bytes], Any], raw: bytes, reason: str) -> None:
    with pytest.raises(InvalidRecord) as refused:
        decode(raw)
    assert refused.value.reason == reason


@pytest.mark.parametrize("decode", [decode_event, decode_inventory, decode_assessment])
@pytest.mark.parametrize("kind", ['"order"', "null", "7", '["tick"]', '{"a":1}', '""', "true"])
def test_an_unknown_kind_is_refused_by_naming_the_known(decode: Callable[[bytes], Any], kind: str) -> None:
    with pytest.raises(InvalidRecord, match="is none of") as refused:
        decode(f'{{"v":1,"kind":{kind},"at":1}}'.encode())
    assert refused.value.reason == "unknown-kind"


def test_kinds_of_one_topic_are_unknown_on_another() -> None:
    with pytest.raises(InvalidRecord, match="unknown-kind"):
        decode_assessment(TICK)


WRONG: list[dict[str, Any]] = [
    {"at": "now"},
    {"at": None},
    {"at": [1]},
    {"state": "exploded"},
    {"node": None},
    {"rank": 1.5},
    {"rank": "1"},
    {"world": {}},
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_wrong_field_is_named(wrong: dict[str, Any]) -> None:
    member = Membership(id="m", job="j", node="n", at=1.0, state="running", rank=0, world=4)
    raw = json.dumps(json.loads(encode_event(member)) | wrong).encode()
    with pytest.raises(InvalidRecord, match=next(iter(wrong))) as refused:
        decode_event(raw)
    assert refused.value.reason == "wrong-field"


@pytest.mark.parametrize("field", ["id", "job", "node", "at", "state"])
def test_a_field_that_lacks_is_named(field: str) -> None:
    member = json.loads(encode_event(Membership(id="m", job="j", node="n", at=1.0, state="running")))
    del member[field]
    with pytest.raises(InvalidRecord, match=f"wrong-field.*{field}"):
        decode_event(json.dumps(member).encode())


def test_what_may_be_left_out_has_its_default() -> None:
    raw = b'{"v":1,"kind":"membership","id":"m","job":"j","node":"n","at":1,"state":"spare"}'
    assert decode_event(raw) == Membership(id="m", job="j", node="n", at=1.0, state="spare")


def test_fields_of_a_newer_writer_are_let_through() -> None:
    newer = b'{"v":1,"kind":"tick","at":5.0,"history":false,"mood":{"a":[1]}}'
    assert decode_event(newer) == Tick(at=5.0, history=False)


@given(st.binary(max_size=80) | st.binary(max_size=40).map(lambda tail: TICK[:25] + tail))
@settings(max_examples=200, deadline=None)
def test_no_bytes_do_anything_but_be_read_or_refused(raw: bytes) -> None:
    for decode in (decode_event, decode_command, decode_inventory, decode_assessment):
        with contextlib.suppress(InvalidRecord):
            encode_record(decode(raw))


def test_identifiers_are_those_of_yesterday() -> None:
    """They are on logs that are kept for weeks; another digest would give every command a second identity."""
    assert digest_id("a", None, 1) == "72e79d69636a773d"
    assert command_id("llama", "n1", "MIGRATE", "i1", 7) == digest_id("llama", "n1", "MIGRATE", "i1", 7)
    assert digest_id("ab", "c") != digest_id("a", "bc")
    assert digest_id(None, "a") == digest_id("", "a")
