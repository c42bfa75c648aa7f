"""Artefacts: what is written is read back, and what was changed or does not fit is refused by name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from connectors.artefacts import load_artefact, require_features, save_artefact
from connectors.errors import WrongUse
from models.calibration import Calibration, Isotonic, Platt, fit_isotonic, fit_platt
from models.mlp import Layer, Predictor

NAMES = ("thermal.high", "link.mean", "node.deviation")


def predictor(calibration: Calibration | None = None) -> Predictor:
    rng = np.random.default_rng(0)
    return Predictor(
        layers=(
            Layer(rng.standard_normal((4, 3)), rng.standard_normal(4)),
            Layer(rng.standard_normal((1, 4)), np.zeros(1)),
        ),
        feature_names=NAMES,
        mean=np.zeros(3),
        std=np.ones(3),
        clip=8.0,
        horizon_s=120.0,
        window=60,
        calibration=calibration or Platt(0.9, -0.1),
        provenance={"seed": "7"},
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    where = tmp_path / "sub" / "model.safetensors"
    save_artefact(predictor(), where)
    return where


def rewrite(path: Path, **changes: object) -> None:
    """Change the metadata of an artefact as somebody would who does not know of the digest."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as content:
        about = json.loads(content.metadata()["forestall"])
    save_file(load_file(path), path, {"forestall": json.dumps(about | changes)})


@pytest.mark.parametrize("calibration", [Platt(0.5, 1.5), Isotonic((-1.0, 0.0, 2.0), (0.1, 0.1, 0.8))])
def test_a_predictor_comes_back_as_it_was(tmp_path: Path, calibration: Calibration) -> None:
    before = predictor(calibration)
    save_artefact(before, tmp_path / "a.safetensors")
    after = load_artefact(tmp_path / "a.safetensors")
    features = np.random.default_rng(1).standard_normal((9, 3)).astype(np.float32)
    assert after.digest == before.digest
    assert after.calibration == calibration
    assert (after.horizon_s, after.window, after.provenance) == (120.0, 60, {"seed": "7"})
    assert after.probability(features).tobytes() == before.probability(features).tobytes()


def test_the_same_predictor_gives_the_same_file(tmp_path: Path) -> None:
    for name in "ab":
        save_artefact(predictor(), tmp_path / f"{name}.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


def test_anything_that_differs_changes_the_digest() -> None:
    base = predictor()
    changed = [
        replace(base, horizon_s=60.0),
        replace(base, clip=7.0),
        replace(base, window=59),
        replace(base, mean=np.array([0, 0, 1e-9])),
        replace(base, calibration=Platt()),
        replace(base, provenance={"seed": "8"}),
        replace(base, feature_names=("a", "b", "c")),
    ]
    assert len({base.digest, *(p.digest for p in changed)}) == 8


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match=r"gone\.safetensors: there is no such file"):
        load_artefact(tmp_path / "gone.safetensors")


def test_a_changed_weight_is_refused(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(WrongUse, match="changed after training"):
        load_artefact(path)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"horizon_s": 240.0}, "changed after training"),
        ({"format": 2}, "format 2, this forestall reads 1"),
        ({"calibration": {"form": "Beta"}}, "unknown calibration 'Beta'"),
        ({"feature_names": ["a", "b"]}, "does not fit together"),
        ({"window": None}, "changed after training"),
    ],
)
def test_changed_metadata_is_refused(path: Path, changes: dict[str, object], says: str) -> None:
    rewrite(path, **changes)
    with pytest.raises(WrongUse, match=says):
        load_artefact(path)


@pytest.mark.parametrize("content", [b"", b"no tensors here", b"\xff" * 400])
def test_what_is_no_safetensors_file_is_refused(tmp_path: Path, content: bytes) -> None:
    where = tmp_path / "x.safetensors"
    where.write_bytes(content)
    with pytest.raises(WrongUse, match="not a readable safetensors file"):
        load_artefact(where)


def test_a_truncated_file_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(WrongUse, match="not a readable safetensors file"):
        load_artefact(path)


def test_a_strangers_safetensors_file_is_refused(tmp_path: Path) -> None:
    save_file({"w": np.zeros(3)}, tmp_path / "x.safetensors")
    with pytest.raises(WrongUse, match="none of forestall's"):
        load_artefact(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    ("names", "window", "says"),
    [
        (("thermal.high", "link.mean"), 60, "reads node.deviation, which this forestall does not compute"),
        (("link.mean", "thermal.high", "node.deviation"), 60, "another order, from place 0"),
        (NAMES, 30, "window is 60 frames, here it is 30"),
    ],
)
def test_what_does_not_fit_is_named(names: tuple[str, ...], window: int, says: str) -> None:
    require_features(predictor(), NAMES, 60)
    with pytest.raises(WrongUse, match=says):
        require_features(predictor(), names, window)


def test_a_predictor_may_read_some_of_the_features() -> None:
    require_features(predictor(), ("disk.mean", *NAMES), 60)
    with pytest.raises(WrongUse, match="another order"):
        require_features(predictor(), ("disk.mean", *reversed(NAMES)), 60)


def test_a_predictor_that_does_not_hang_together_is_refused() -> None:
    with pytest.raises(ValueError, match="must lead from 3 features to 1"):
        replace(predictor(), layers=predictor().layers[:1])
    with pytest.raises(ValueError, match="standard deviation above 0"):
        replace(predictor(), std=np.zeros(3))
    with pytest.raises(ValueError, match="cannot have a bias"):
        Layer(np.zeros((2, 3)), np.zeros(3))
    with pytest.raises(ValueError, match="features of shape"):
        predictor().probability(np.zeros((2, 4)))


def test_platt_finds_the_law_that_made_the_outcomes() -> None:
    rng = np.random.default_rng(5)
    logit = rng.standard_normal(40_000) * 2
    failed = rng.random(40_000) < 1 / (1 + np.exp(-(0.6 * logit - 1.2)))
    fitted = fit_platt(logit, failed)
    assert (fitted.slope, fitted.intercept) == pytest.approx((0.6, -1.2), abs=0.05)
    knots = fit_isotonic(logit, failed)
    assert knots(np.array([0.0]))[0] == pytest.approx(1 / (1 + np.exp(1.2)), abs=0.04)


def test_calibration_refuses_what_it_cannot_use() -> None:
    with pytest.raises(ValueError, match="both outcomes"):
        fit_platt(np.zeros(3), np.zeros(3, bool))
    with pytest.raises(ValueError, match="at least two different"):
        fit_isotonic(np.zeros(3), np.array([True, False, True]))
    with pytest.raises(ValueError, match="keeps the order"):
        Platt(-1.0)
    with pytest.raises(ValueError, match="rising in logit"):
        Isotonic((1.0, 0.0), (0.1, 0.2))


def test_a_reversed_predictor_is_calibrated_to_its_base_rate() -> None:
    logit = np.array([-2.0, -1.0, 1.0, 2.0] * 50)
    fitted = fit_platt(logit, logit < 0)
    assert fitted.slope == 0
    assert fitted(logit) == pytest.approx(0.5)
