"""However a telemetry partition is cut into batches, and wherever its fold is stopped and restored: the same bytes."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from connectors.codecs.frames import encode_json_frame, encode_packed_frame, schema_id
from connectors.codecs.records import decode_assessment, encode_member, encode_model_choice, encode_tick
from models.features import FEATURE_NAMES
from models.foresight import Foresight, Refused
from models.incident import IncidentSettings
from models.records import Assessment, Cause, Frame, InventoryModel
from models.telemetry import Schema
from streams.agents.assess import assess_stage
from streams.batch import Batch, Partition
from streams.fold import Fold, Ordered, Output, Place

START = 1_700_000_000.0
STEPS = 300
SOURCE = Partition("telemetry.node.v1", 1)
PLAIN = Schema.of_names(("gpu0.ecc_total", "gpu0.temp_c", "link_crc_total", "power_w"))
TURNED = Schema(PLAIN.metrics[::-1], PLAIN.counters[::-1])
WIDER = Schema.of_names((*PLAIN.metrics, "xid_total"))
SCHEMAS: Mapping[str, Schema] = {schema_id(schema): schema for schema in (PLAIN, TURNED, WIDER)}
NONSENSE = (b"", b"\xff\x00", b"{", b'{"v":9,"node":"n0","ts":1,"metrics":{"a":1}}', b"\x96\x01", b'{"v":1,"kind":"?"}')
Log = list[tuple[bytes, bytes]]


def probability(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """A probability over θ where something is hot, and a little of everything."""
    hot = features[:, FEATURE_NAMES.index("thermal.high3")]
    rest = (features * np.linspace(-0.01, 0.01, features.shape[1], dtype=np.float32)).sum(axis=-1)
    odds: NDArray[np.float64] = np.exp((hot + rest).astype(np.float64) * 2 - 3.0)
    return odds / (1.0 + odds)


def milder(features: NDArray[np.float32]) -> NDArray[np.float64]:
    return probability(features) * 0.75


def fetch(digest: str) -> Foresight:
    if digest != "milder":
        raise Refused("nobody has put it there")
    return Foresight(milder, 240.0, digest)


STAGE = assess_stage(
    SCHEMAS, Foresight(probability, 120.0, "first"), IncidentSettings(open_frames=2, close_frames=3), fetch
)
#: A shadow comes, becomes the active model, a bad one is chosen, the first comes back, and the shadow goes.
CHOICES = {
    60: InventoryModel(role="shadow", digest="milder", at=START),
    257: InventoryModel(role="active", digest="milder", at=START + 1),
    262: InventoryModel(role="active", digest="gone", at=START + 2),
    270: InventoryModel(role="active", digest="first", at=START + 3),
    290: InventoryModel(role="shadow", digest=None, at=START + 4),
}


def log_of(seed: int) -> Log:
    """A disordered log: two encodings, three schemas, differing rates, gaps, late and double frames, nonsense."""
    source = np.random.default_rng(seed)
    nodes = [(f"n{k}", (1, 1, 2, 5)[k % 4], (PLAIN, TURNED, WIDER)[k % 3], k % 2 == 0) for k in range(6)]
    totals = np.zeros((len(nodes), 5))
    log: Log = []
    for step in range(STEPS):
        for at, (name, every, schema, packed) in enumerate(nodes):
            totals[at] += source.poisson(0.2, 5)
            if step % every or source.random() < 0.03:
                continue
            told = WIDER if at == 3 and step > 150 else schema
            log += [(name.encode(), raw) for raw in _frames(name, step, told, totals[at], packed, source)]
        if source.random() < 0.1:
            log.append((b"n1", encode_member(f"n{source.integers(6)}", "job" if step % 3 else None, START + step)))
        if source.random() < 0.1:
            log.append((b"", NONSENSE[source.integers(len(NONSENSE))]))
        if step in CHOICES:
            log += [(b"model", encode_model_choice(CHOICES[step]))] * 2
        log.append((b"tick", encode_tick(START + step, history=step < 100)))
    _disorder(log, source)
    return log


def _frames(
    name: str, step: int, schema: Schema, totals: NDArray[np.float64], packed: bool, source: np.random.Generator
) -> list[bytes]:
    values = np.where(schema.counters, totals[: len(schema.metrics)], source.normal(60.0, 3.0, len(schema.metrics)))
    values[np.array(schema.metrics) == "gpu0.temp_c"] += 40.0 * (255 < step < 265)
    values[source.random(len(values)) < 0.02] = np.nan
    if source.random() < 0.005:
        values[:] = (2.0**63, -1.0, np.inf, 1e12, 0.0)[: len(values)]
    if packed:
        raw = encode_packed_frame(name, START + step, step, schema_id(schema), values.astype(np.float32))
    else:
        known = {m: v for m, v in zip(schema.metrics, values.tolist(), strict=True) if np.isfinite(v)}
        raw = encode_json_frame(Frame(name, START + step, step, known or {"power_w": 1.0}))
    return [raw] * (2 if source.random() < 0.01 else 1)


def _disorder(log: Log, source: np.random.Generator) -> None:
    for _ in range(len(log) // 40):
        one = int(source.integers(0, len(log) - 40))
        other = one + int(source.integers(1, 40))
        log[one], log[other] = log[other], log[one]


def fresh() -> Fold:
    return STAGE.restore(SOURCE.number, None)


def batch(log: Log, first: int, end: int) -> Batch:
    return Batch(SOURCE, first, [key for key, _ in log[first:end]], [value for _, value in log[first:end]])


def told(outputs: Sequence[Output]) -> list[tuple[object, ...]]:
    return [
        (o.place, o.key, o.value) if isinstance(o, Ordered) else (o.topic, o.key, o.value, o.headers) for o in outputs
    ]


def fold_in_parts(log: Log, cuts: int, restarts: float) -> tuple[list[tuple[object, ...]], bytes]:
    sizes = random.Random(cuts)
    fold, outputs, at = fresh(), [], 0
    while at < len(log):
        end = min(len(log), at + sizes.choice((1, 1, 2, 3, 7, 20, 150, 900)))
        outputs += told(fold.apply(batch(log, at, end)))
        at = end
        if sizes.random() < restarts:
            fold = STAGE.restore(SOURCE.number, fold.snapshot())
    return outputs, fold.snapshot()


_whole: dict[int, tuple[Log, list[tuple[object, ...]], bytes]] = {}


def whole(seed: int) -> tuple[Log, list[tuple[object, ...]], bytes]:
    """A log, and what its fold gives when it is taken at one go."""
    if seed not in _whole:
        log, fold = log_of(seed), fresh()
        _whole[seed] = log, told(fold.apply(batch(log, 0, len(log)))), fold.snapshot()
    return _whole[seed]


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2), cuts=st.integers(0, 2**32), restarts=st.sampled_from([0.0, 0.05, 0.5]))
def test_neither_batches_nor_restarts_show_in_the_outputs(seed: int, cuts: int, restarts: float) -> None:
    log, outputs, state = whole(seed)
    found, left = fold_in_parts(log, cuts, restarts)
    assert found == outputs
    assert left == state


@pytest.mark.parametrize("seed", range(3))
def test_record_by_record_is_the_same_too(seed: int) -> None:
    log, outputs, state = whole(seed)
    fold = fresh()
    assert [one for at in range(len(log)) for one in told(fold.apply(batch(log, at, at + 1)))] == outputs
    assert fold.snapshot() == state


def test_the_logs_have_all_that_they_are_to_show() -> None:
    outputs = [one for seed in range(3) for one in whole(seed)[1]]
    values = b"".join(value for *_, value in map(_place_and_value, outputs))
    for word in (b'"model":"first"', b'"model":"milder"', b'nobody has put it there"', b'"shadow":{"digest":"milder"'):
        assert word in values, word
    for word in (b'"unknown"', b'"failing"', b'"warming"', b'"opened"', b'"closed"', b'"job":"job"', b'"blank"'):
        assert word in values, word
    assert {one[0] for one in outputs if isinstance(one[0], str)} == {"control.event.v1", "telemetry.dead-letter.v1"}


def _place_and_value(output: tuple[object, ...]) -> tuple[object, bytes]:
    assert isinstance(output[2], bytes)
    return output[0], output[2]


@settings(max_examples=4, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(seed=st.integers(0, 2), node=st.integers(0, 5))
def test_one_nodes_frames_never_change_what_is_said_of_another(seed: int, node: int) -> None:
    """Without n's frames all others' assessments are as they were, but for the places at which they stand."""
    log, outputs, _ = whole(seed)
    gone = f"n{node}".encode()
    kept = [(key, value) for key, value in log if key != gone or value.startswith(b'{"v":1,"kind"')]
    found = told(fresh().apply(batch(kept, 0, len(kept))))
    assert _sayings(found, but=f"n{node}") == _sayings(outputs, but=f"n{node}")


def _sayings(outputs: list[tuple[object, ...]], but: str) -> list[Assessment]:
    """Assessments of all nodes but one, without what follows from their places on the log."""
    records = [decode_assessment(value) for place, value in map(_place_and_value, outputs) if isinstance(place, Place)]
    return [
        replace(one, cause=Cause(0, 0), incident=None if one.incident is None else "open")
        for one in records
        if isinstance(one, Assessment) and one.node != but
    ]
