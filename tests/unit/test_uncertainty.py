"""How sure a card is: intervals that hold the figure and narrow with nodes, and bins that add up to all rows."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.training.card import markdown
from models.training.examples import Examples
from models.training.scores import auc, calibration_error, score
from models.training.uncertainty import reliability, uncertainty
from tests.unit.test_model_card import FIGURES, PARTS, PROVENANCE

HORIZON, STEPS = 30, 200


def watched(nodes: int, seed: int = 0) -> Examples:
    """Nodes of which every second one fails at its end."""
    node = np.repeat(np.arange(nodes), STEPS)
    step = np.tile(np.arange(STEPS), nodes)
    failed = (node % 2 == 0) & (STEPS - step <= HORIZON)
    failures = tuple((n, STEPS) for n in range(0, nodes, 2))
    return Examples(np.zeros((len(node), 1), np.float32), failed, node, step, failures)


def guess(seen: Examples, seed: int = 1) -> Any:
    noise = np.random.default_rng(seed).random(len(seen.failed))
    return np.clip(np.where(seen.failed, 0.5, 0.1) + 0.3 * noise, 0, 1)


def test_each_interval_holds_its_figure() -> None:
    seen = watched(40)
    p = guess(seen)
    bounds = uncertainty(p, seen, HORIZON, np.random.default_rng(3))["ci95"]
    exact = {"auc": auc(p, seen.failed), "ece": calibration_error(p, seen.failed)}
    exact["brier"] = float(((p - seen.failed) ** 2).mean())
    for name, value in exact.items():
        low, high = bounds[name]
        assert low - 2e-3 <= value <= high + 2e-3, name
        assert low < high


def test_more_nodes_make_it_surer() -> None:
    widths = []
    for nodes in (10, 90):
        seen = watched(nodes)
        low, high = uncertainty(guess(seen), seen, HORIZON, np.random.default_rng(3))["ci95"]["brier"]
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_a_seed_gives_the_same_card() -> None:
    seen = watched(12)
    p = guess(seen)
    first, again = (uncertainty(p, seen, HORIZON, np.random.default_rng(3)) for _ in range(2))
    assert first == again
    json.dumps(first | score(p, seen, HORIZON), allow_nan=False)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=80))
def test_bins_hold_every_row_once(rows: list[tuple[float, bool]]) -> None:
    p, failed = np.array([said for said, _ in rows]), np.array([came for _, came in rows])
    bins = reliability(p, failed)
    assert sum(one["rows"] for one in bins) == len(rows)
    assert sum(one["came"] * one["rows"] for one in bins if one["rows"]) == pytest.approx(failed.sum(), abs=1e-2)
    for number, one in enumerate(bins):
        if one["rows"]:
            assert number / 10 - 1e-5 <= one["said"] <= (number + 1) / 10 + 1e-5
        else:
            assert one["said"] is one["came"] is None


def page(**more: Any) -> str:
    about = {"digest": "d", "form": "mlp", "widths": [3, 1], "horizon_s": 60.0, "window_frames": 60}
    return markdown({**about, "calibration": "Platt", **PROVENANCE, "parts": PARTS, "test": FIGURES | more}, "ours")


def test_the_page_shows_intervals_and_the_calibration() -> None:
    bins = [{"said": None, "came": None, "rows": 0}, {"said": 0.15, "came": 0.125, "rows": 1_200}]
    told = page(ci95={"auc": [0.9, 0.92], "brier": [0.03, 0.04], "ece": [0.001, 0.006]}, reliability=bins)
    assert "| ROC AUC over rows | 0.913 [0.9, 0.92] |" in told
    assert "| 0.0312 [0.03, 0.04] (0.0586) |" in told
    assert "## Calibration" in told
    assert "| 0.150 | 0.125 | 1,200 |" in told


def test_a_card_without_them_has_a_page_as_before() -> None:
    told = page()
    assert "## Calibration" not in told
    assert "| ROC AUC over rows | 0.913 |" in told
