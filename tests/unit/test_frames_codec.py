"""Frames in both encodings: what is read, what is a missing value, and what is refused with which reason."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.codecs.frames import (
    FrameDecoder,
    decode_schema,
    encode_json_frame,
    encode_packed_frame,
    encode_schema,
    schema_id,
)
from connectors.codecs.records import encode_member, encode_tick
from connectors.errors import InvalidRecord
from models.limits import METRIC_NAME_CHARS_MAX, METRICS_MAX, NODE_NAME_CHARS_MAX
from models.records import Frame
from models.telemetry import Member, Row, Schema, TelemetryTick, Unreadable

TS = 1_763_942_400.25
SCHEMA = Schema(("b", "a_total"), (False, True), ("C", "1"))
ID = schema_id(SCHEMA)
NAN = float("nan")


@pytest.fixture
def decoder() -> FrameDecoder:
    return FrameDecoder({ID: SCHEMA})


def json_frame(metrics: str, node: str = '"n17"', ts: str = "1763942400.25", v: str = "1") -> bytes:
    return f'{{"v":{v},"node":{node},"ts":{ts},"seq":812,"metrics":{metrics}}}'.encode()


def packed(values: Sequence[float], node: str = "n17", ts: float = TS, schema: str = ID) -> bytes:
    return encode_packed_frame(node, ts, 812, schema, np.array(values, np.float32))


def read(decoder: FrameDecoder, raw: bytes) -> Row:
    row = decoder.decode(raw)
    assert isinstance(row, Row)
    return row


def values(row: Row) -> dict[str, float]:
    return dict(zip(row.schema.metrics, row.values.tolist(), strict=True))


def reason(decoder: FrameDecoder, raw: bytes) -> str:
    with pytest.raises(InvalidRecord) as refused:
        decoder.decode(raw)
    return refused.value.reason


def test_the_example_of_the_design_is_read(decoder: FrameDecoder) -> None:
    row = read(decoder, b'{"v":1,"node":"n17","ts":1763942400.25,"seq":812,"metrics":{"gpu0.temp_c":71.5}}')
    assert (row.node, row.ts, values(row), row.missing) == ("n17", TS, {"gpu0.temp_c": 71.5}, ())


def test_both_encodings_give_the_same(decoder: FrameDecoder) -> None:
    one = read(decoder, encode_json_frame(Frame("n17", TS, 812, {"b": -1.5, "a_total": 3.0})))
    other = read(decoder, packed([-1.5, 3.0]))
    assert (one.node, one.ts, values(one)) == (other.node, other.ts, values(other))
    assert one.schema.counters == (True, False), "of JSON by the name"
    assert other.schema is SCHEMA, "of packed frames by what the schema says"


def test_a_missing_value_is_left_out_of_json(decoder: FrameDecoder) -> None:
    raw = encode_json_frame(Frame("n17", TS, 812, {"b": NAN, "a_total": 3.0}))
    assert values(read(decoder, raw)) == {"a_total": 3.0}


def test_json_metrics_are_in_the_order_of_their_names(decoder: FrameDecoder) -> None:
    one, other = read(decoder, json_frame('{"b":2,"a":1}')), read(decoder, json_frame('{"a":1,"b":2}'))
    assert one.schema.metrics == other.schema.metrics == ("a", "b")
    assert one.values.tolist() == other.values.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("value", "missing"),
    [
        ("null", "not-finite"),
        ("NaN", "not-finite"),
        ("Infinity", "not-finite"),
        ("-Infinity", "not-finite"),
        ("1e39", "not-finite"),
        ("-1e39", "not-finite"),
        ("9" * 400, "not-finite"),
        ("9223372036854775792", "blank"),
        ("9223372036854775795", "blank"),
        ("9223372036854775807", "blank"),
        ("-9223372036854775808", "blank"),
        ('"71.5"', "not-a-number"),
        ('"nan"', "not-a-number"),
        ('"N/A"', "not-a-number"),
        ('""', "not-a-number"),
        ("true", "not-a-number"),
        ("false", "not-a-number"),
        ("[1.0]", "not-a-number"),
        ("[]", "not-a-number"),
        ('{"value":1}', "not-a-number"),
    ],
)
@pytest.mark.parametrize("company", ["", ',"c":1.5', ',"c":"word"'])
def test_what_is_no_measurement_is_a_counted_missing_value(
    decoder: FrameDecoder, value: str, missing: str, company: str
) -> None:
    row = read(decoder, json_frame(f'{{"m":{value}{company}}}'))
    assert np.isnan(values(row)["m"])
    words = company.count("word") + (missing == "not-a-number")
    expected = {"not-a-number": words, missing: words if missing == "not-a-number" else 1}
    assert dict(row.missing) == {name: count for name, count in expected.items() if count}


@pytest.mark.parametrize("value", ["0", "-0.0", "1e-300", "-273.15", "3e38", "9.2e18", "1e19", "18446744073709551616"])
def test_what_is_a_measurement_is_kept(decoder: FrameDecoder, value: str) -> None:
    row = read(decoder, json_frame(f'{{"m":{value}}}'))
    assert (row.values[0], row.missing) == (float(value), ())


def test_a_counter_below_nought_is_missing_and_a_gauge_is_not(decoder: FrameDecoder) -> None:
    row = read(decoder, json_frame('{"errors_total":-1,"temp":-1}'))
    assert np.isnan(values(row)["errors_total"])
    assert values(row)["temp"] == -1.0
    assert row.missing == (("negative-counter", 1),)
    assert read(decoder, packed([-5.0, -1.0])).missing == (("negative-counter", 1),)


@pytest.mark.parametrize(
    ("value", "missing"),
    [(NAN, "not-finite"), (np.inf, "not-finite"), (-np.inf, "not-finite"), (2.0**63, "blank"), (-(2.0**63), "blank")],
)
def test_a_packed_value_that_is_no_measurement_is_missing(decoder: FrameDecoder, value: float, missing: str) -> None:
    row = read(decoder, packed([value, 7.0]))
    assert np.isnan(row.values[0])
    assert (row.values[1], row.missing) == (7.0, ((missing, 1),))


def test_a_value_is_counted_under_one_reason_only(decoder: FrameDecoder) -> None:
    row = read(decoder, json_frame(f'{{"a_total":-Infinity,"b_total":{-(2**63)},"c_total":-1,"d":null,"e":"x"}}'))
    assert sum(count for _, count in row.missing) == 5
    assert np.isnan(row.values).all()


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", "not-a-frame"),
        (b"\x00" * 100, "not-a-frame"),
        (b"\xff\xfe{", "not-a-frame"),
        (b"null", "not-a-frame"),
        (b"[1]", "not-a-frame"),
        (b" {}", "not-a-frame"),
        (b"{", "not-json"),
        (b"{" * 100_000, "not-json"),
        (json_frame('{"m":1}')[:-3], "not-json"),
        (json_frame('{"m":1}') + b"x", "not-json"),
        (json_frame('{"m":' + "[" * 100_000 + "]" * 100_000 + "}"), "not-json"),
        (b'{"v":1,"node":"\xff","ts":1,"metrics":{"m":1}}', "not-json"),
        (json_frame('{"m":1}', node=r'"\ud800"'), "not-json"),
        (json_frame(r'{"\udfff":NaN}'), "not-json"),
        (json_frame('{"m":' + "9" * 5000 + "}"), "not-json"),
        (b"{}", "wrong-field"),
        (json_frame('{"m":1}', v='"1"'), "wrong-field"),
        (json_frame('{"m":1}', v="true"), "wrong-field"),
        (json_frame('{"m":1}', node="17"), "wrong-field"),
        (json_frame('{"m":1}', node="null"), "wrong-field"),
        (json_frame('{"m":1}', ts='"now"'), "wrong-field"),
        (json_frame('{"m":1}', ts="9" * 400), "wrong-field"),
        (json_frame("[1]"), "wrong-field"),
        (json_frame('{"m":1}', v="2"), "unknown-version"),
        (json_frame('{"m":1}', v="0"), "unknown-version"),
        (json_frame('{"m":1}', v="9" * 300), "unknown-version"),
        (json_frame('{"m":1}', node='""'), "bad-node"),
        (json_frame('{"m":1}', node='"' + "n" * (NODE_NAME_CHARS_MAX + 1) + '"'), "bad-node"),
        (b'{"v":1,"ts":1,"metrics":{"m":1}}', "bad-node"),
        (json_frame('{"m":1}', ts="0"), "bad-time"),
        (json_frame('{"m":1}', ts="-5"), "bad-time"),
        (json_frame('{"m":1}', ts="1763942400250"), "bad-time"),
        (json_frame('{"m":1}', ts="NaN"), "bad-time"),
        (json_frame('{"m":1}', ts="Infinity"), "bad-time"),
        (json_frame("{}"), "bad-metrics"),
        (b'{"v":1,"node":"n","ts":1}', "bad-metrics"),
        (json_frame(json.dumps({f"m{k}": 1 for k in range(METRICS_MAX + 1)})), "bad-metrics"),
        (json_frame(json.dumps({"m" * (METRIC_NAME_CHARS_MAX + 1): 1})), "bad-metrics"),
        (b'{"v":1,"kind":"mode","ts":1}', "unknown-kind"),
        (b'{"v":1,"kind":"model","ts":1}', "wrong-field"),
        (b'{"v":1,"kind":"model","role":"active","digest":null,"ts":1}', "wrong-field"),
        (b'{"v":1,"kind":"model","role":"both","digest":"d","ts":1}', "wrong-field"),
        (b'{"v":1,"kind":"model","role":"shadow","digest":"d","ts":-1}', "bad-time"),
        (b'{"v":1,"kind":"member","ts":1}', "unknown-kind"),
        (b'{"v":2,"kind":"tick","ts":1}', "unknown-version"),
        (b'{"v":1,"kind":"tick","ts":-1}', "bad-time"),
        (b'{"v":1,"kind":"tick","ts":1,"history":"yes"}', "wrong-field"),
        (b'{"v":1,"kind":["tick"],"ts":1}', "wrong-field"),
        (b"\x96", "bad-packed-frame"),
        (b"\x96\x01\xa1n", "bad-packed-frame"),
        (packed([1.0, 2.0])[:-1], "bad-packed-frame"),
        (packed([1.0, 2.0]) + b"x", "bad-packed-frame"),
        (b"\x96\x01\xa1\xff\xcb" + b"\x41" * 8 + b"\x01\xa1z\xc4\x00", "bad-packed-frame"),
        (msgspec.msgpack.encode((1, "n", "now", 1, ID, b"")), "bad-packed-frame"),
        (msgspec.msgpack.encode((2, "n", TS, 1, ID, b"\x00" * 8)), "unknown-version"),
        (packed([1.0, 2.0], node=""), "bad-node"),
        (packed([1.0, 2.0], ts=NAN), "bad-time"),
        (packed([1.0, 2.0], schema="0" * 16), "unknown-schema"),
        (packed([1.0]), "bad-row"),
        (packed([1.0, 2.0, 3.0]), "bad-row"),
        (packed([]), "bad-row"),
        (msgspec.msgpack.encode((1, "n", TS, 1, ID, b"\x00" * 7)), "bad-row"),
    ],
    ids=lambda value: repr(value[:40]) if isinstance(value, bytes) else value,
)
def test_what_cannot_be_read_is_refused_with_its_reason(decoder: FrameDecoder, raw: bytes, expected: str) -> None:
    assert reason(decoder, raw) == expected


def test_a_giant_is_refused_or_read_but_does_no_harm(decoder: FrameDecoder) -> None:
    assert reason(decoder, json_frame('{"m":"' + "x" * 8_000_000)) == "not-json"
    assert read(decoder, json_frame('{"m":"' + "x" * 8_000_000 + '","n":1}')).missing == (("not-a-number", 1),)


def test_the_largest_that_is_allowed_is_read(decoder: FrameDecoder) -> None:
    names = [f"{k:0{METRIC_NAME_CHARS_MAX}}" for k in range(METRICS_MAX)]
    row = read(decoder, json_frame(json.dumps(dict.fromkeys(names, 1.5)), node='"' + "n" * NODE_NAME_CHARS_MAX + '"'))
    assert row.values.tolist() == [1.5] * METRICS_MAX


def test_unknown_fields_are_let_through(decoder: FrameDecoder) -> None:
    assert read(decoder, b'{"v":1,"node":"n","ts":1,"metrics":{"m":1},"rack":"r7","more":{"x":[]}}').node == "n"


def test_control_records_are_told_apart(decoder: FrameDecoder) -> None:
    assert decoder.decode(encode_tick(TS, history=True)) == TelemetryTick(TS, history=True)
    assert decoder.decode(b'{"v":1,"kind":"tick","ts":5}') == TelemetryTick(5.0, history=None)
    assert decoder.decode(encode_member("n17", "llama", TS)) == Member("n17", "llama", TS)
    assert decoder.decode(encode_member("n17", None, TS)) == Member("n17", None, TS)


def test_a_schema_that_comes_later_is_found() -> None:
    known: dict[str, Schema] = {}
    decoder = FrameDecoder(known)
    assert reason(decoder, packed([1.0, 2.0])) == "unknown-schema"
    known[ID] = SCHEMA
    assert read(decoder, packed([1.0, 2.0])).node == "n17"


def test_more_layouts_than_are_remembered_are_read_all_the_same(decoder: FrameDecoder) -> None:
    for k in range(METRICS_MAX + 20):
        assert read(decoder, json_frame(f'{{"m{k}":{k}}}')).values.tolist() == [float(k)]


MIXED = (
    packed([1.0, 2.0]),
    b"nonsense",
    json_frame('{"m":"x"}'),
    packed([NAN, -2.0], node="n2"),
    encode_tick(TS, history=False),
    packed([1.0]),
    b"",
    packed([2.0**63, 5.0], node="n3"),
    encode_member("n1", None, TS),
    packed([1.0, 2.0], schema="f" * 16),
)


@given(st.lists(st.sampled_from(MIXED), max_size=30))
@settings(max_examples=40, deadline=None)
def test_many_at_once_are_read_as_each_alone(raws: list[bytes]) -> None:
    decoder = FrameDecoder({ID: SCHEMA})
    assert list(map(_told, decoder.decode_batch(raws))) == [_alone(decoder, raw) for raw in raws]


def _alone(decoder: FrameDecoder, raw: bytes) -> Any:
    try:
        return _told(decoder.decode(raw))
    except InvalidRecord as wrong:
        return Unreadable(wrong.reason, str(wrong))


def _told(record: object) -> Any:
    if isinstance(record, Row):
        return record.node, record.ts, record.schema, record.values.tobytes(), record.missing
    return record


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda tail: packed([1.0, 2.0])[:20] + tail))
@settings(max_examples=200, deadline=None)
def test_no_bytes_do_anything_but_be_read_or_refused(raw: bytes) -> None:
    [found] = FrameDecoder({ID: SCHEMA}).decode_batch([raw])
    assert isinstance(found, Row | TelemetryTick | Member | Unreadable)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    node=st.text(min_size=1, max_size=10) | ANY_JSON,
    ts=st.floats(1, 4e9) | ANY_JSON,
    metrics=st.dictionaries(st.text(max_size=8), ANY_JSON, max_size=6) | ANY_JSON,
)
@settings(max_examples=150, deadline=None)
def test_any_json_is_read_or_refused_and_features_are_finite_or_missing(node: Any, ts: Any, metrics: Any) -> None:
    raw = json.dumps({"v": 1, "node": node, "ts": ts, "metrics": metrics}).encode()
    [found] = FrameDecoder({}).decode_batch([raw])
    if isinstance(found, Row):
        assert not np.isinf(found.values).any()
        assert np.isnan(found.values).sum() == sum(count for _, count in found.missing)
        found.node.encode()
        "".join(found.schema.metrics).encode()


def test_a_schema_is_named_by_its_content() -> None:
    assert decode_schema(encode_schema(SCHEMA)) == SCHEMA
    assert len(ID) == 16
    assert len({schema_id(s) for s in (SCHEMA, Schema(SCHEMA.metrics, (True, True)), Schema(("b",), (False,)))}) == 3
    assert encode_schema(Schema(("m",), (True,))) == b'{"v":1,"metrics":[{"name":"m","unit":"","kind":"counter"}]}'


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff",
        b"[]",
        b'{"v":1,"metrics":[]}',
        b'{"v":2,"metrics":[{"name":"m","unit":"","kind":"gauge"}]}',
        b'{"v":1,"metrics":[{"name":"m","unit":"","kind":"histogram"}]}',
        b'{"v":1,"metrics":[{"name":"m","unit":"","kind":"gauge"},{"name":"m","unit":"","kind":"gauge"}]}',
        b'{"v":1,"metrics":[{"name":"%s","unit":"","kind":"gauge"}]}' % (b"m" * (METRIC_NAME_CHARS_MAX + 1)),
    ],
)
def test_what_is_no_schema_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidRecord) as refused:
        decode_schema(raw)
    assert refused.value.reason == "bad-schema"


def test_a_number_beyond_all_floats_is_one_missing_value_not_a_lost_frame(decoder: FrameDecoder) -> None:
    row = decoder.decode(json_frame('{"a":1e999,"b":2.5}'))
    assert isinstance(row, Row)
    assert np.isnan(row.values[0])
    assert row.values[1] == 2.5
    assert row.missing == (("not-finite", 1),)
