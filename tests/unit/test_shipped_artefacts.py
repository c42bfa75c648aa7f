"""The artefacts that come with forestall fit it, have their cards, and foresee the demonstration's fault."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from connectors.artefacts import load_artefact, require_features, shipped_artefact
from experiments.fleet import NAMES, Fleet, FleetRecording, ScriptedFault, scripted_fleet
from models.cohort import Cohort
from models.features import FEATURE_NAMES, columns_of
from models.limits import WINDOW_FRAMES
from models.mlp import Predictor

ONSET, LEAD, NODES, FAILING = 500, 90, 16, 2


@pytest.mark.parametrize(("name", "layers"), [("default", 2), ("eq1", 1)])
def test_a_shipped_artefact_fits_and_has_its_card(name: str, layers: int) -> None:
    path = shipped_artefact(name)
    predictor = load_artefact(path)
    require_features(predictor, FEATURE_NAMES, WINDOW_FRAMES)
    assert len(predictor.layers) == layers
    about = json.loads(path.with_suffix(".json").read_text())
    page = path.with_suffix(".md").read_text()
    assert about["digest"] == predictor.digest
    assert about["horizon_s"] == predictor.horizon_s
    for fact in (predictor.digest, predictor.provenance["regenerate"], 'accuracy of "never"', "lives faster"):
        assert fact in page


def test_the_default_is_the_one_that_is_loaded() -> None:
    assert load_artefact().digest == load_artefact(shipped_artefact("default")).digest


def watched(predictor: Predictor, seed: int) -> NDArray[np.float64]:
    """P of each node at each step of the demonstration, ``(steps, nodes)``; NaN where silent or not warm."""
    fleet = Fleet(scripted_fleet(NODES, seed, ScriptedFault(f"n{FAILING:02d}", "hbm", ONSET, LEAD)))
    cohort = Cohort(NAMES, FleetRecording.counters)
    rows = cohort.add(NODES)
    seen = np.full((ONSET + LEAD, NODES), np.nan)
    for step in range(len(seen)):
        values = next(fleet).astype(np.float64)
        told = ~np.isnan(values).all(axis=1)
        observed = cohort.advance(rows[told], np.full(told.sum(), 1e9 + step), values[told])
        own = observed.features[observed.warm][:, columns_of(predictor.feature_names)]
        seen[step, rows[told][observed.warm]] = predictor.probability(own)
    return seen


@pytest.mark.parametrize("seed", [2, 5, 7])
def test_the_failing_node_of_the_demonstration_is_foreseen_and_the_others_are_left_alone(seed: int) -> None:
    probability = watched(load_artefact(), seed)
    failing = probability[ONSET:, FAILING]
    over = np.lib.stride_tricks.sliding_window_view(failing >= 0.7, 3).all(axis=1)
    assert over.argmax() + 2 <= 20
    assert over.any()
    quiet = np.delete(probability[300:], FAILING, axis=1)
    assert np.nanmean(quiet < 0.2) > 0.98
    assert not np.lib.stride_tricks.sliding_window_view(quiet >= 0.7, 3, axis=0).all(axis=-1).any()


def test_the_literal_equation_is_chosen_by_its_name() -> None:
    assert load_artefact(Path("eq1")).is_literal
    assert not load_artefact(Path("default")).is_literal
