"""Frames as they travel, in two encodings told apart by the first byte.

JSON (``{``), for anybody's producer::

    {"v":1,"node":"n17","ts":1763942400.25,"seq":812,"metrics":{"gpu0.temp_c":71.5}}

packed, for speed: one MessagePack array ``[1, node, ts, seq, schema id, row]`` whose row is little-endian float32 and
whose names come from ``telemetry.schema.v1``. A JSON object with a ``kind`` is a control record.

What is not a finite number is a missing value, counted by reason: text and other types, NaN and infinities, the blank
values of DCGM (2⁶³ range), and counters below zero.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from connectors.errors import InvalidRecord
from models.limits import METRIC_NAME_CHARS_MAX, METRICS_MAX, NODE_NAME_CHARS_MAX, TS_S_MAX
from models.records import Frame
from models.telemetry import Member, ModelChoice, Row, Schema, TelemetryTick, Unreadable

VERSION: Final = 1
BLANK_MIN: Final = 2.0**63 - 2.0**39  # of float32 the next below 2⁶³: DCGM's blanks lie at 2⁶³ − 16 and above
_JSON_START: Final = ord("{")
_PACKED_START: Final = 0x96  # a MessagePack array of six
_PACKED_BYTE: Final = bytes([_PACKED_START])
_PLAIN: Final = {float, int, type(None)}


def encode_schema(schema: Schema) -> bytes:
    """The canonical content of a schema, as it stands on ``telemetry.schema.v1``."""
    units = schema.units or ("",) * len(schema.metrics)
    rows = zip(schema.metrics, units, schema.counters, strict=True)
    metrics = [{"name": n, "unit": u, "kind": "counter" if c else "gauge"} for n, u, c in rows]
    return msgspec.json.encode({"v": VERSION, "metrics": metrics})


def schema_id(schema: Schema) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the canonical content."""
    return hashlib.sha256(encode_schema(schema)).hexdigest()[:16]


class SchemaMetric(msgspec.Struct):
    """A metric of packed frames: its name, its unit, and whether it counts up."""

    name: str
    unit: str
    kind: Literal["gauge", "counter"]


class SchemaRecord(msgspec.Struct):
    """The metrics of packed frames in the order of their rows; the record's key is the digest of its content."""

    v: Literal[1]
    metrics: list[SchemaMetric]


def decode_schema(raw: bytes) -> Schema:
    """Read a record of ``telemetry.schema.v1``; raises :class:`InvalidRecord`."""
    try:
        found = msgspec.json.decode(raw, type=SchemaRecord).metrics
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
        raise InvalidRecord("bad-schema", str(wrong)) from wrong
    names = tuple(m.name for m in found)
    if len(set(names)) != len(names):
        raise InvalidRecord("bad-schema", "names must differ")
    _check_names(names, "bad-schema")
    return Schema(names, tuple(m.kind == "counter" for m in found), tuple(m.unit for m in found))


class _Json(msgspec.Struct):
    v: int
    ts: float
    node: str = ""
    metrics: dict[str, Any] = {}
    kind: str | None = None
    history: bool | None = None
    job: str | None = None
    role: str | None = None
    digest: str | None = None


class _Packed(msgspec.Struct, array_like=True):
    v: int
    node: str
    ts: float
    seq: int
    schema: str
    row: bytes


class FrameDecoder:
    """Reads telemetry records; remembers the layouts it has met.

    Parameters
    ----------
    schemas : packed frames' schemas by id; looked up at each frame, so it may be filled meanwhile.
    """

    def __init__(self, schemas: Mapping[str, Schema]) -> None:
        self.schemas = schemas
        self._json = msgspec.json.Decoder(_Json)
        self._packed = msgspec.msgpack.Decoder(_Packed)
        self._layouts: dict[tuple[str, ...], tuple[Schema, NDArray[np.intp]]] = {}

    def decode(self, raw: bytes) -> Row | TelemetryTick | Member | ModelChoice:
        """Read one record; raises :class:`InvalidRecord` with the reason under which it is counted."""
        first = raw[0] if raw else -1
        if first == _PACKED_START:
            return self._from_packed(raw)
        if first == _JSON_START:
            return self._from_json(raw)
        raise InvalidRecord("not-a-frame", "neither a JSON object nor a packed frame")

    def decode_batch(self, raws: Sequence[bytes]) -> list[Row | TelemetryTick | Member | ModelChoice | Unreadable]:
        """Read many records at once, each as :meth:`decode` would; what cannot be read is told in its place."""
        out: list[Any] = [None] * len(raws)
        packed: dict[int, tuple[Schema, list[int], list[_Packed]]] = {}
        for at, raw in enumerate(raws):
            try:
                if raw[:1] == _PACKED_BYTE:
                    head, schema = self._unpack(raw)
                    _, places, heads = packed.setdefault(id(schema), (schema, [], []))
                    places.append(at)
                    heads.append(head)
                else:
                    out[at] = self.decode(raw)
            except InvalidRecord as wrong:
                out[at] = Unreadable(wrong.reason, str(wrong))
        for schema, places, heads in packed.values():
            for at, row in zip(places, _rows_of(schema, heads), strict=True):
                out[at] = row
        return out

    def _from_packed(self, raw: bytes) -> Row:
        head, schema = self._unpack(raw)
        return next(_rows_of(schema, [head]))

    def _unpack(self, raw: bytes) -> tuple[_Packed, Schema]:
        try:
            head = self._packed.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
            raise InvalidRecord("bad-packed-frame", str(wrong)) from wrong
        _check(head.v, head.node, head.ts)
        schema = self.schemas.get(head.schema)
        if schema is None:
            raise InvalidRecord("unknown-schema", f"no schema {head.schema!r} on telemetry.schema.v1")
        if len(head.row) != 4 * len(schema.metrics):
            raise InvalidRecord("bad-row", f"{len(head.row)} bytes for {len(schema.metrics)} metrics")
        return head, schema

    def _from_json(self, raw: bytes) -> Row | TelemetryTick | Member | ModelChoice:
        record = self._parse(raw)
        if record.kind is None:
            _check(record.v, record.node, record.ts)
            return self._row(record)
        _check(record.v, record.node or "-", record.ts)
        if record.kind == "tick":
            return TelemetryTick(record.ts, record.history)
        if record.kind == "member" and record.node:
            return Member(record.node, record.job, record.ts)
        if record.kind == "model":
            return _choice(record)
        raise InvalidRecord("unknown-kind", f"{record.kind!r} is neither tick nor member nor model")

    def _parse(self, raw: bytes) -> _Json:
        try:
            return self._json.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._parse_lenient(raw)

    def _parse_lenient(self, raw: bytes) -> _Json:
        """What Python's own encoder writes is not always JSON (NaN, Infinity), and 1e400 is an infinity too."""
        try:
            record = json.loads(raw)
            json.dumps(record, ensure_ascii=False).encode()  # half a surrogate pair could not be written out again
            return msgspec.convert(record, _Json)
        except msgspec.ValidationError as wrong:
            raise InvalidRecord("wrong-field", str(wrong)) from wrong
        except (ValueError, RecursionError) as wrong:
            raise InvalidRecord("not-json", str(wrong)) from wrong

    def _row(self, record: _Json) -> Row:
        names = tuple(record.metrics)
        layout = self._layouts.get(names)
        if layout is None:
            layout = self._learn_layout(names)
        schema, order = layout
        found = list(record.metrics.values())
        values, words = _numbers(found)
        row = Row(record.node, record.ts, schema, values[order])
        sound = not words and values.min() >= 0 and values.max() < BLANK_MIN
        return row if sound else _clean(row, words)

    def _learn_layout(self, names: tuple[str, ...]) -> tuple[Schema, NDArray[np.intp]]:
        _check_names(names, "bad-metrics")
        ordered = tuple(sorted(names))
        layout = Schema.of_names(ordered), np.array([names.index(n) for n in ordered], np.intp)
        if len(self._layouts) < METRICS_MAX:
            self._layouts[names] = layout
        return layout


def _choice(record: _Json) -> ModelChoice:
    if record.role == "active" and record.digest:
        return ModelChoice("active", record.digest, record.ts)
    if record.role == "shadow":
        return ModelChoice("shadow", record.digest, record.ts)
    raise InvalidRecord("wrong-field", "a model has the role active, with a digest, or shadow")


def _rows_of(schema: Schema, heads: Sequence[_Packed]) -> Iterator[Row]:
    """The rows of packed frames of one schema; values that are no measurement are looked for in all of them at once."""
    matrix = np.frombuffer(b"".join([head.row for head in heads]), "<f4").reshape(len(heads), -1).astype(np.float64)
    counters = np.array(schema.counters)
    measured = (np.abs(matrix) < BLANK_MIN) & ~(counters & (matrix < 0))
    sound = np.logical_and.reduce(measured, axis=1)
    for head, values, good in zip(heads, matrix, sound, strict=True):
        row = Row(head.node, head.ts, schema, values)
        yield row if good else _clean(row)


def _numbers(found: list[Any]) -> tuple[NDArray[np.float64], int]:
    """JSON values as floats, and how many are neither numbers nor null: NumPy alone would read "71.5" and true."""
    if set(map(type, found)) <= _PLAIN:
        with contextlib.suppress(OverflowError):
            return np.array(found, np.float64), 0
    words = sum(v is not None and not _is_number(v) for v in found)
    return np.array([_number(v) for v in found], np.float64), words


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _number(value: Any) -> float:
    try:
        return float(value) if _is_number(value) else np.nan
    except OverflowError:
        return np.inf


def _clean(row: Row, words: int = 0) -> Row:
    """The row with NaN for every value that is no measurement, counted by reason; ``words`` of them are not numbers."""
    values = row.values
    size = np.abs(values)
    endless = ~(size <= np.finfo(np.float32).max)
    blank = (size >= BLANK_MIN) & (size <= 2.0**63)
    negative = np.array(row.schema.counters) & (values < 0) & ~endless & ~blank
    counts = {
        "not-a-number": words,
        "not-finite": int(endless.sum()) - words,
        "blank": int(blank.sum()),
        "negative-counter": int(negative.sum()),
    }
    missing = tuple((reason, count) for reason, count in counts.items() if count)
    return replace(row, values=np.where(endless | blank | negative, np.nan, values), missing=missing)


def _check(version: int, node: str, ts: float) -> None:
    if version != VERSION:
        raise InvalidRecord("unknown-version", f"version {version}; this build reads {VERSION}")
    if not 0 < len(node) <= NODE_NAME_CHARS_MAX:
        raise InvalidRecord("bad-node", f"a node's name has 1 to {NODE_NAME_CHARS_MAX} characters")
    if not 0 < ts < TS_S_MAX:
        raise InvalidRecord("bad-time", f"ts {ts} is no Unix time in seconds")


def _check_names(names: tuple[str, ...], reason: str) -> None:
    if not 0 < len(names) <= METRICS_MAX:
        raise InvalidRecord(reason, f"{len(names)} metrics; 1 to {METRICS_MAX} are read")
    if max(map(len, names)) > METRIC_NAME_CHARS_MAX:
        raise InvalidRecord(reason, f"a metric's name has up to {METRIC_NAME_CHARS_MAX} characters")


def encode_json_frame(frame: Frame) -> bytes:
    """A frame as JSON; missing values are left out."""
    metrics = {name: value for name, value in frame.metrics.items() if value == value}
    return msgspec.json.encode({"v": VERSION, "node": frame.node, "ts": frame.ts, "seq": frame.seq, "metrics": metrics})


def encode_packed_frame(node: str, ts: float, seq: int, schema_id: str, row: NDArray[np.float32]) -> bytes:
    """A frame as one MessagePack array; ``row`` is float32 in the order of the schema, missing values NaN."""
    return msgspec.msgpack.encode((VERSION, node, float(ts), seq, schema_id, row.astype("<f4", copy=False).tobytes()))
