"""The card of an artefact holds what the artefact holds, and its page shows every figure and no other."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from models.calibration import Platt
from models.mlp import Layer, Predictor
from models.training.card import card, markdown

FEATURES = ("mean", "slope", "spread")
PROVENANCE = {
    "data": "a fleet of 48 nodes",
    "split": "by node and by time",
    "seed": "11",
    "made_with": "Python, numpy, torch",
    "regenerate": "forestall train --seed 11",
}
PARTS = {
    "train": {"nodes": 32, "steps": "0–899", "rows": 28_800, "failures": 20, "positive_share": 0.125},
    "test": {"nodes": 16, "steps": "1600–2299", "rows": 11_200, "failures": 8, "positive_share": 0.0625},
}


def alarms(threshold: float | None, lead: float | None) -> dict[str, float | None]:
    return {
        "threshold": threshold,
        "usable_recall": 0.5882,
        "precision": 0.75,
        "false_episodes_per_node_day": 1.25,
        "median_lead_intervals": lead,
    }


FIGURES: dict[str, Any] = {
    "rows": 11_200,
    "nodes": 16,
    "node_days": 7.8,
    "failures": 8,
    "auc": 0.9126,
    "brier": 0.03125,
    "brier_of_base_rate": 0.05859,
    "ece": 0.0042,
    "accuracy": 0.96875,
    "accuracy_of_never": 0.9375,
    "at_threshold": {"0.5": alarms(0.5, 61.0), "0.7": alarms(0.7, 48.5)},
    "at_budget": {"0.1": alarms(None, None)},
}


def predictor(*widths: int, **changes: Any) -> Predictor:
    random = np.random.default_rng(5)
    sizes = (len(FEATURES), *widths, 1)
    layers = tuple(
        Layer(random.normal(size=(outputs, inputs)), random.normal(size=outputs)) for inputs, outputs in pairwise(sizes)
    )
    given: dict[str, Any] = {"clip": 8.0, "horizon_s": 180.0, "window": 64, "provenance": PROVENANCE, **changes}
    scale = {"mean": np.zeros(3), "std": np.ones(3)}
    return Predictor(layers=layers, feature_names=FEATURES, calibration=Platt(), **scale, **given)


@pytest.fixture
def about() -> dict[str, Any]:
    return card(predictor(4), PARTS, FIGURES)


def test_the_card_tells_what_the_predictor_is(about: dict[str, Any]) -> None:
    made = predictor(4)
    assert about["digest"] == made.digest
    assert (about["form"], about["widths"]) == ("mlp", [3, 4, 1])
    assert (about["horizon_s"], about["window_frames"]) == (180.0, 64)
    assert about["calibration"] == "Platt"
    assert {name: about[name] for name in PROVENANCE} == PROVENANCE
    assert (about["parts"], about["test"]) == (PARTS, FIGURES)


def test_a_card_is_of_its_predictor_alone() -> None:
    assert card(predictor(4), {}, {})["digest"] != card(predictor(4, horizon_s=181.0), {}, {})["digest"]


def test_one_layer_is_the_literal_form_and_its_calibration_stands_in_the_weights() -> None:
    about = card(predictor(), PARTS, FIGURES)
    assert (about["form"], about["widths"]) == ("logistic (Eq. 1)", [3, 1])
    assert about["calibration"] == "folded into the weights"


def test_a_card_is_json_and_comes_back_whole(about: dict[str, Any]) -> None:
    assert json.loads(json.dumps(about, allow_nan=False)) == about


def cells(page: str, first: str) -> list[str]:
    """The cells of the one row that begins with ``first``."""
    [row] = [line for line in page.splitlines() if line.startswith(f"| {first} |")]
    return [cell.strip() for cell in row.strip("|").split("|")][1:]


def test_the_page_shows_each_figure_where_it_belongs(about: dict[str, Any]) -> None:
    page = markdown(about, "mlp")
    assert page.startswith("# Model card: mlp\n")
    assert "fails within 180 s), from 3 features of a window of 64 frames." in page
    assert cells(page, "form") == ["mlp, widths 3 → 4 → 1"]
    assert cells(page, "digest") == [f"`{about['digest']}`"]
    assert cells(page, "made again by") == ["`forestall train --seed 11`"]
    assert cells(page, "train") == ["32", "0–899", "28,800", "20", "12.50%"]
    assert cells(page, "test") == ["16", "1600–2299", "11,200", "8", "6.25%"]
    assert cells(page, "accuracy at P ≥ .5") == ["0.9688"]
    assert cells(page, 'accuracy of "never"') == ["0.9375"]
    assert cells(page, "ROC AUC over rows") == ["0.913"]
    assert cells(page, "Brier score (of the base rate alone)") == ["0.0312 (0.0586)"]
    assert cells(page, "expected calibration error") == ["0.0042"]
    assert "7.8 node-days with 8 failures were tested" in page


def test_a_row_of_alarms_is_in_the_order_of_its_heading(about: dict[str, Any]) -> None:
    page = markdown(about, "mlp")
    [heading] = [line for line in page.splitlines() if line.startswith("| alarms |")]
    assert [cell.strip() for cell in heading.strip("|").split("|")][1:] == [
        "threshold",
        "usable recall",
        "precision",
        "false episodes a node-day",
        "median lead, intervals",
    ]
    assert cells(page, "P ≥ 0.5") == ["0.5", "0.5882", "0.75", "1.25", "61"]
    assert cells(page, "P ≥ 0.7") == ["0.7", "0.5882", "0.75", "1.25", "48.5"]


def test_what_no_threshold_reached_is_a_dash_and_not_a_number(about: dict[str, Any]) -> None:
    assert cells(markdown(about, "mlp"), "at most false a node-day 0.1") == ["–", "0.5882", "0.75", "1.25", "–"]


def test_every_table_has_as_many_cells_as_its_heading(about: dict[str, Any]) -> None:
    """Else it would be shown as text where people read it."""
    width = 0
    for line in markdown(about, "mlp").splitlines():
        if not line.startswith("|"):
            width = 0
            continue
        width = width or line.count("|")
        assert line.count("|") == width, line
