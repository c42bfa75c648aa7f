"""Which model a partition uses: chosen by a record, kept over restarts, and kept when a bad one is chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from connectors.codecs.records import decode_assessment, encode_record
from connectors.errors import Failed
from models.assessment import Assessor, Conclusion, Telemetry
from models.assessment_state import state_from_bytes, state_to_bytes
from models.foresight import Choices, Foresight, Models, Refused, nowhere
from models.incident import IncidentSettings
from models.limits import RANGE_FRAMES
from models.records import Assessment, Counts, Incident, ModelRole
from models.telemetry import ModelChoice, Row, Schema, TelemetryTick
from streams.agents.assess import assess_stage

START = 1_700_000_000.0
SCHEMA = Schema.of_names(("gpu0.temp_c", "power_w"))
WARM = RANGE_FRAMES + 1


def constant(digest: str, value: float, horizon_s: float = 120.0) -> Foresight:
    def probability(features: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.full(len(features), value)

    return Foresight(probability, horizon_s, digest)


GIVEN = constant("given", 0.1)
SHELF = {"high": constant("high", 0.9, 300.0), "low": constant("low", 0.2)}


def from_shelf(digest: str) -> Foresight:
    if digest not in SHELF:
        raise Refused("it is not on the shelf")
    return SHELF[digest]


def choice(digest: str | None, at: float, role: ModelRole = "active") -> ModelChoice:
    return ModelChoice(role, digest, START + at)


def models(fetch: Callable[[str], Foresight] = from_shelf, choices: Choices | None = None) -> Models:
    return Models(GIVEN, fetch, choices or Choices())


def digests(found: Models) -> tuple[str, str | None]:
    return found.active.digest, None if found.shadow is None else found.shadow.digest


def test_without_a_choice_the_settings_hold() -> None:
    assert digests(models()) == ("given", None)
    assert models().refusal is None
    assert models().compared() is None


def test_a_choice_takes_the_place_of_the_model_before_it() -> None:
    found = models()
    assert found.choose(choice("high", 1))
    assert digests(found) == ("high", None)
    assert found.choose(choice("given", 2))
    assert digests(found) == ("given", None)


@pytest.mark.parametrize("at", [1.0, 0.5, -3.0])
def test_what_is_not_newer_says_nothing(at: float) -> None:
    found = models()
    found.choose(choice("high", 1))
    assert not found.choose(choice("low", at))
    assert digests(found) == ("high", None)


def test_the_model_of_the_settings_is_never_looked_up() -> None:
    found = models(nowhere)
    assert found.choose(choice("given", 1))
    assert digests(found) == ("given", None)


def test_what_cannot_be_used_leaves_the_old_one_and_says_so() -> None:
    found = models()
    found.choose(choice("high", 1))
    assert found.choose(choice("x" * 64, 2))
    assert digests(found) == ("high", None)
    assert found.refusal == f"active {'x' * 16}: it is not on the shelf"
    found.choose(choice("low", 3))
    assert (digests(found), found.refusal) == (("low", None), None)


def test_a_refused_first_choice_leaves_the_settings() -> None:
    found = models(nowhere)
    found.choose(choice("high", 1))
    assert digests(found) == ("given", None)
    assert "nowhere to look it up" in str(found.refusal)


def test_a_refused_shadow_leaves_both() -> None:
    found = models()
    found.choose(choice("high", 1, "shadow"))
    found.choose(choice("gone", 2, "shadow"))
    assert digests(found) == ("given", "high")
    assert str(found.refusal).startswith("shadow gone")


def test_a_shadow_comes_and_goes() -> None:
    found = models()
    found.choose(choice("high", 1, "shadow"))
    assert digests(found) == ("given", "high")
    found.choose(choice(None, 2, "shadow"))
    assert digests(found) == ("given", None)


def test_a_shadow_that_becomes_active_is_none_and_is_one_again_when_the_old_one_returns() -> None:
    found = models()
    found.choose(choice("high", 1, "shadow"))
    found.choose(choice("high", 2))
    assert digests(found) == ("high", None)
    found.choose(choice("given", 3))
    assert digests(found) == ("given", "high")


def test_the_shadow_is_compared_and_begins_anew_with_each_choice() -> None:
    found = models()
    found.choose(choice("high", 1, "shadow"))
    features = np.zeros((3, 2), np.float32)
    found.compare(features, np.array([0.1, 0.95, 0.5]), 0.5)
    told = found.compared()
    assert told is not None
    assert (told.digest, told.compared, told.difference) == ("high", 3, pytest.approx(0.8 + 0.05 + 0.4))
    assert (told.active_only, told.shadow_only) == (0, 1)
    found.choose(choice("low", 2, "shadow"))
    found.compare(features[:1], np.array([0.7]), 0.5)
    told = found.compared()
    assert told is not None
    assert (told.compared, told.difference, told.active_only, told.shadow_only) == (1, 0.5, 1, 0)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_the_comparison_does_not_depend_on_how_rows_were_batched(values: list[float], luck: Any) -> None:
    active = np.round(values, 6)
    whole, parts = models(), models()
    for found in (whole, parts):
        found.choose(choice("high", 1, "shadow"))
    whole.compare(np.zeros((len(active), 1), np.float32), active, 0.5)
    shuffled = active.copy()
    luck.shuffle(shuffled)
    cut = luck.randint(0, len(active))
    for some in (shuffled[:cut], shuffled[cut:]):
        parts.compare(np.zeros((len(some), 1), np.float32), some, 0.5)
    assert whole.compared() == parts.compared()


def test_what_is_in_use_must_be_there_after_a_restart() -> None:
    choices = Choices()
    models(choices=choices).choose(choice("high", 1))
    assert digests(models(choices=choices)) == ("high", None)
    with pytest.raises(Refused):
        models(nowhere, choices)


class Partition:
    """One partition's log and the fold over it, with models on a shelf."""

    def __init__(self) -> None:
        self.offset = 0
        self.assessor = Assessor("telemetry", 3, GIVEN, IncidentSettings(open_frames=2), None, from_shelf)
        self.random = np.random.default_rng(0)
        self.at = 0

    def put(self, *records: Telemetry) -> list[Conclusion]:
        numbered = list(enumerate(records, self.offset))
        self.offset += len(records)
        return [conclusion for _, conclusion in self.assessor.apply(numbered)]

    def frames(self, count: int) -> list[Conclusion]:
        rows = []
        for _ in range(count):
            self.at += 1
            rows.append(Row("n1", START + self.at, SCHEMA, self.random.normal(50.0, 1.0, 2)))
        return self.put(*rows)

    def restart(self) -> None:
        state = state_from_bytes(state_to_bytes(self.assessor.state))
        self.assessor = Assessor("telemetry", 3, GIVEN, self.assessor.incidents, state, from_shelf)


def told(conclusions: list[Conclusion]) -> list[float | None]:
    return [c.probability for c in conclusions if isinstance(c, Assessment)]


def counts(conclusions: list[Conclusion]) -> Counts:
    [found] = [c for c in conclusions if isinstance(c, Counts)]
    return found


@pytest.fixture
def warm() -> Partition:
    partition = Partition()
    partition.frames(WARM)
    return partition


def test_frames_after_the_record_are_assessed_by_the_new_model(warm: Partition) -> None:
    assert told(warm.frames(2)) == [0.1, 0.1]
    said = counts(warm.put(choice("low", 1)))
    assert (said.model, said.models, said.refused) == ("low", 1, None)
    assert told(warm.frames(2)) == [0.2, 0.2]


def test_that_is_told_with_a_time_even_before_the_first_tick(warm: Partition) -> None:
    said = counts(warm.put(choice("low", 7)))
    assert said.ts == START + 7
    assert decode_assessment(encode_record(said)) == said
    warm.put(TelemetryTick(START + 500))
    assert counts(warm.put(choice("high", 8))).ts == START + 500


def test_an_incident_is_opened_by_the_new_model_with_its_horizon(warm: Partition) -> None:
    warm.put(choice("high", 1))
    [incident] = [c for c in warm.frames(3) if isinstance(c, Incident)]
    assert (incident.state, incident.horizon_s, incident.probability) == ("opened", 300.0, 0.9)


def test_an_open_incident_goes_on_under_another_model(warm: Partition) -> None:
    warm.put(choice("high", 1))
    warm.frames(3)
    warm.put(choice("given", 2))
    found = [c for c in warm.frames(31) if isinstance(c, Incident)]
    assert [c.state for c in found] == ["changed", "closed"]


def test_a_bad_one_changes_nothing_but_what_is_said(warm: Partition) -> None:
    said = counts(warm.put(choice("gone", 1)))
    assert (said.model, said.models) == ("given", 1)
    assert "not on the shelf" in str(said.refused)
    assert told(warm.frames(1)) == [0.1]
    assert counts(warm.put(TelemetryTick(START + 900))).refused == said.refused


def test_a_second_copy_is_counted_and_else_nothing(warm: Partition) -> None:
    warm.put(choice("low", 1))
    assert warm.put(choice("low", 1)) == []
    assert counts(warm.put(TelemetryTick(START + 900))).models == 2


def test_models_outlive_a_restart(warm: Partition) -> None:
    warm.put(choice("low", 1), choice("high", 2, "shadow"))
    warm.frames(4)
    warm.put(choice("gone", 3))
    before = counts(warm.put(TelemetryTick(START + 900)))
    warm.restart()
    after = counts(warm.put(TelemetryTick(START + 900)))
    assert (after.model, after.refused, after.shadow) == (before.model, before.refused, before.shadow)
    assert after.shadow is not None
    assert (after.shadow.compared, after.shadow.shadow_only) == (4, 4)
    assert told(warm.frames(1)) == [0.2]
    assert not warm.put(choice("low", 1)), "what was known before is still known"


def test_a_shadow_changes_no_assessment_and_opens_no_incident() -> None:
    alone, shadowed = Partition(), Partition()
    shadowed.put(choice("high", 1, "shadow"))
    alone.put(TelemetryTick(START))
    assert alone.frames(WARM + 5) == shadowed.frames(WARM + 5)
    said = counts(shadowed.put(TelemetryTick(START + 900)))
    assert said.shadow is not None
    assert said.shadow.compared == 5 + WARM - RANGE_FRAMES


def test_nodes_that_are_not_warm_are_not_compared() -> None:
    partition = Partition()
    partition.put(choice("high", 1, "shadow"))
    partition.frames(RANGE_FRAMES)
    said = counts(partition.put(TelemetryTick(START + 900)))
    assert said.shadow is not None
    assert said.shadow.compared == 0


def test_a_snapshot_whose_model_is_gone_says_what_to_do(warm: Partition) -> None:
    warm.put(choice("high", 1))
    state = state_to_bytes(warm.assessor.state)
    assess_stage({}, GIVEN, IncidentSettings(), from_shelf).restore(3, state)
    with pytest.raises(Failed, match=r"telemetry\.node\.v1/3 uses is not to be had.*forestall model activate"):
        assess_stage({}, GIVEN, IncidentSettings()).restore(3, state)
