"""A predictor whose numbers are not those of a predictor is told by what is wrong with them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from connectors.artefacts import load_artefact
from connectors.errors import WrongUse
from infra.wiring import require_fit
from models.calibration import Isotonic, Platt
from models.mlp import Layer, Predictor
from models.soundness import unsound

SHIPPED = load_artefact()


def spoiled(**changes: Any) -> Predictor:
    return replace(SHIPPED, **changes)


def test_the_shipped_ones_are_sound() -> None:
    assert unsound(SHIPPED) == []
    require_fit(SHIPPED)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_weight_that_is_no_number_is_told_with_its_layer(value: float) -> None:
    first = SHIPPED.layers[0]
    weight = first.weight.copy()
    weight[3, 5] = value
    broken = spoiled(layers=(Layer(weight, first.bias), *SHIPPED.layers[1:]))
    assert unsound(broken) == ["weight.0 holds 1 values that are no finite number"]
    with pytest.raises(WrongUse, match=r"cannot be used: weight\.0"):
        require_fit(broken)


@pytest.mark.parametrize("horizon", [0.0, -5.0, np.nan, np.inf])
def test_a_horizon_is_above_zero(horizon: float) -> None:
    assert any("horizon" in fault for fault in unsound(spoiled(horizon_s=horizon)))


def test_every_fault_is_told() -> None:
    faults = unsound(spoiled(horizon_s=-1.0, clip=0.0, mean=np.full_like(SHIPPED.mean, np.nan)))
    assert [fault.split()[0] for fault in faults] == ["mean", "its", "its"]


@pytest.mark.parametrize(
    "calibration",
    [Platt(1.0, np.nan), Isotonic((0.0, 1.0), (0.2, 1.5)), Isotonic((0.0, 1.0, 2.0), (0.1, np.nan, 0.9))],
)
def test_a_calibration_gives_probabilities(calibration: Platt | Isotonic) -> None:
    assert unsound(spoiled(calibration=calibration)) == ["its calibration gives values that are no probability"]


def test_a_calibration_rises() -> None:
    falling = Isotonic((0.0, 1.0), (0.2, 0.8))
    object.__setattr__(falling, "probabilities", (0.8, 0.2))
    assert unsound(spoiled(calibration=falling)) == ["its calibration falls where the logit rises"]
