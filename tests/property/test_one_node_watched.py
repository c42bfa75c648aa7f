"""One node's frames and the control records alone give what the whole partition gave, whatever came between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest
from telemetry_log import SCHEMA, START, records
from worker_process import lively_artefact

from connectors.artefacts import load_artefact
from connectors.codecs.frames import FrameDecoder, encode_json_frame, schema_id
from connectors.codecs.records import encode_member, encode_model_choice
from connectors.kafka import topics
from infra.explain import watching
from infra.explain.epochs import Epochs, NotOnLog
from infra.explain.watching import Seen, Watching
from infra.kept_settings import KeptSettings
from infra.wiring import foresight_of
from models.assessment import Assessor
from models.explaining.contributions import contributions
from models.features import columns_of
from models.foresight import Foresight, Refused
from models.incident import IncidentSettings
from models.mlp import Predictor
from models.policy_settings import PolicySettings
from models.records import Assessment, Frame, Incident, InventoryModel

NODES, STEPS = 3, 330
INCIDENTS = IncidentSettings(theta=0.5, open_frames=2, close_frames=4)
#: Another model is chosen, and the worker started with other settings, at these steps.
CHOSEN, RESTARTED = 290, 310
LATER = IncidentSettings(theta=0.02, open_frames=1, close_frames=4)


@dataclass
class MemoryMessage:
    at: int
    raw: bytes
    appended: float

    def offset(self) -> int:
        return self.at

    def value(self) -> bytes:
        return self.raw

    def timestamp(self) -> tuple[int, int]:
        return 1, round(self.appended * 1000)


class MemoryLog:
    """A telemetry partition."""

    bootstrap = "nowhere:9092"

    def __init__(self, messages: list[MemoryMessage]) -> None:
        self.messages = messages

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        assert (topic, partition) == (topics.TELEMETRY, 0)
        return 0, len(self.messages)

    def records(self, topic: str, partition: int, start: int, end: int) -> Iterator[MemoryMessage]:
        return iter(self.messages[start:end])


class TwoEpochs(Epochs):
    def __init__(self, model: str, since: float) -> None:
        self._since = [0.0, since]
        self._kept = [KeptSettings(PolicySettings(), one, model) for one in (INCIDENTS, LATER)]


class MemoryModels:
    """The artefact of the settings, and another."""

    def __init__(self, first: Predictor, other: Predictor) -> None:
        self.known = {first.digest: first, other.digest: other}

    def predictor(self, digest: str) -> Predictor:
        return self.known[digest]


@cache
def models(folder: Any) -> MemoryModels:
    return MemoryModels(load_artefact(lively_artefact(folder / "lively.safetensors")), load_artefact())


def telemetry(other: str) -> list[MemoryMessage]:
    """The disordered stream, with members, a choice of model, a node whose name needs escapes, one that has them."""
    raws: list[tuple[bytes, float]] = [(encode_member(f"n{node}", "job", START), START) for node in range(NODES)]
    step = 0
    for what, _, value in records(NODES, STEPS, 5):
        raws.append((value, START + step))
        if what == "tick":
            step += 1
            strange = Frame('a"n0', START + step, step, {"gpu0.temp_c": 60.0 + step % 7})
            raws.append((encode_json_frame(strange), START + step))
            plain = encode_json_frame(replace(strange, node="p0"))
            raws.append((plain.replace(b'"p0"', b'"p\\u0030"') if step % 2 else plain, START + step))
        if what == "tick" and step == CHOSEN:
            choice = InventoryModel(role="shadow", digest=other, at=START + step)
            raws.append((encode_model_choice(choice), START + step))
    return [MemoryMessage(at, raw, appended) for at, (raw, appended) in enumerate(raws)]


def whole(log: MemoryLog, known: MemoryModels, model: str) -> dict[int, list[Any]]:
    """What the fold over the whole partition concludes, by offset."""

    def fetch(digest: str) -> Foresight:
        if digest not in known.known:
            raise Refused("unknown")
        return foresight_of(known.predictor(digest))

    decoder = FrameDecoder({schema_id(SCHEMA): SCHEMA})
    seam = next(one.at for one in log.messages if one.appended >= START + RESTARTED)
    decoded = list(enumerate(decoder.decode_batch([one.raw for one in log.messages])))
    found: dict[int, list[Any]] = {}
    state = None
    for settings, part in ((INCIDENTS, decoded[:seam]), (LATER, decoded[seam:])):
        given = foresight_of(known.predictor(model))
        assessor = Assessor(topics.TELEMETRY, 0, given, settings, state, fetch)
        for offset, conclusion in assessor.apply(part):
            found.setdefault(offset, []).append(conclusion)
        state = assessor.state
    return found


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[MemoryLog, MemoryModels, str]]:
    known = models(tmp_path_factory.mktemp("models"))
    model, other = known.known
    log = MemoryLog(telemetry(other))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watching, "reader", lambda _: nullcontext())
        patch.setattr(watching, "SchemaTable", lambda *_: {schema_id(SCHEMA): SCHEMA})
        yield log, known, model


def watch(told: tuple[MemoryLog, MemoryModels, str], node: str, offset: int, until: int | None = None) -> Seen:
    log, known, model = told
    epochs = TwoEpochs(model, START + RESTARTED)
    return Watching(log, 0, node, epochs, known).up_to(offset, until)  # type: ignore[arg-type]


@pytest.mark.parametrize("node", ["n0", "n2", 'a"n0', "p0"])
def test_one_node_alone_is_concluded_on_as_among_all(told: tuple[MemoryLog, MemoryModels, str], node: str) -> None:
    log, known, model = told
    everything = [one for several in whole(log, known, model).values() for one in several]
    mine = [one for one in everything if isinstance(one, Assessment | Incident) and one.node == node]
    assessed = {one.cause.offset: one for one in mine if isinstance(one, Assessment)}
    seen = watch(told, node, min(assessed), len(log.messages) - 1)
    assert seen.assessments == assessed
    assert seen.incidents == {one.id: one for one in mine if isinstance(one, Incident)}
    if node == "n0":
        assert {one.state for one in seen.incidents.values()} >= {"opened", "closed"}


def test_what_is_shown_is_of_the_frame_and_its_model_gives_its_p(told: tuple[MemoryLog, MemoryModels, str]) -> None:
    log, known, model = told
    opened = [one for several in whole(log, known, model).values() for one in several if isinstance(one, Incident)]
    last = [one for one in opened if one.node == "n1" and one.state == "opened"][-1]
    offset = int(last.evidence[0].rsplit("/", 1)[1])
    shown = watch(told, "n1", offset).shown
    assert shown is not None
    features = shown.features[None, columns_of(shown.predictor.feature_names)]
    assert shown.predictor.digest == model
    assert round(float(shown.predictor.probability(features)[0]), 6) == last.probability
    assert len(shown.healthy) >= 10
    usual = shown.predictor.logit(shown.healthy)
    assert (shown.predictor.calibration(usual) < INCIDENTS.theta / 2).all()
    assert contributions(shown.predictor, features[0], shown.healthy[0]).any()
    raw = [one for one in log.messages if one.at == offset]
    assert raw
    assert {metric.name for metric in shown.metrics} == set(SCHEMA.metrics)


def test_a_frame_that_is_not_there_is_said_to_be_gone(told: tuple[MemoryLog, MemoryModels, str]) -> None:
    with pytest.raises(NotOnLog, match="is not there"):
        watch(told, "n0", 10**9)


def test_of_a_node_that_has_sent_nothing_nothing_is_shown(told: tuple[MemoryLog, MemoryModels, str]) -> None:
    seen = watch(told, "nobody", 700)
    assert (seen.shown, seen.assessments, seen.incidents) == (None, {}, {})


def test_a_metric_that_was_just_sent_has_the_value_that_was_sent(told: tuple[MemoryLog, MemoryModels, str]) -> None:
    log, _, _ = told
    offset = [
        one.at for one in log.messages if b'"n0"' in one.raw and b'"metrics"' in one.raw and b'a\\"' not in one.raw
    ][-1]
    sent = json.loads(log.messages[offset].raw)["metrics"]
    shown = watch(told, "n0", offset).shown
    assert shown is not None
    for metric in shown.metrics:
        if metric.name.startswith("gpu") and metric.name in sent:
            assert metric.value == pytest.approx(sent[metric.name], rel=1e-5)
            assert metric.usual == pytest.approx(70.0, abs=2.0)
