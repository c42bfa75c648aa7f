"""Fitting: numpy gives what torch gives, the same seed gives the same bytes, and the test part is not looked at."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the train extra")

from connectors.artefacts import load_artefact, require_features, save_artefact  # noqa: E402
from infra.cli.main import main  # noqa: E402
from models.calibration import Isotonic, Platt, fit_platt  # noqa: E402
from models.features import FEATURE_NAMES  # noqa: E402
from models.limits import WINDOW_FRAMES  # noqa: E402
from models.mlp import Layer, Predictor  # noqa: E402
from models.training.examples import Examples  # noqa: E402
from models.training.fit import (  # noqa: E402
    Recipe,
    build,
    choose_calibration,
    fit,
    imbalance_weight,
    layers_of,
    side_by_side_layers,
    torch_probability,
)
from models.training.hinges import Pieces  # noqa: E402

pytestmark = pytest.mark.torch

FRAME: dict[str, Any] = {"feature_names": ("a", "b", "c"), "horizon_s": 20.0, "window": 60, "provenance": {"seed": "1"}}


def part(seed: int, rows: int = 4_000) -> Examples:
    """Rows whose chance of failure is a bent function of the first two features."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, 3)).astype(np.float32) * np.float32([1, 10, 0]) + np.float32([0, 5, 2])
    p = 1 / (1 + np.exp(-(3 * np.abs(x[:, 0]) + 0.2 * (x[:, 1] - 5) - 4)))
    return Examples(x, rng.random(rows) < p, rng.integers(0, 40, rows), np.arange(rows), ())


@pytest.fixture(scope="module")
def parts() -> dict[str, Examples]:
    return {name: part(seed) for seed, name in enumerate(("train", "validation", "calibration"))}


@pytest.mark.parametrize("form", ["mlp", "logistic"])
def test_numpy_gives_what_torch_gives(form: Any) -> None:
    rng = np.random.default_rng(3)
    names = tuple(f"f{n}" for n in range(58))
    network = build(Recipe(form=form, seed=4), 58)
    predictor = Predictor(
        layers=layers_of(network),
        feature_names=names,
        mean=rng.standard_normal(58),
        std=rng.uniform(0.1, 2, 58),
        clip=5.0,
        horizon_s=120.0,
        window=60,
    )
    features = (rng.standard_normal((500, 58)) * 3).astype(np.float32)
    assert predictor.probability(features) == pytest.approx(torch_probability(network, predictor, features), abs=1e-6)
    assert len(predictor.layers) == (2 if form == "mlp" else 1)


def test_pieces_are_a_layer_of_the_network_that_is_served(parts: dict[str, Examples]) -> None:
    recipe = Recipe(seed=4, hidden=(6, 5), epochs=2, members=2, quantiles=(0, 0.1, 0.5, 0.9, 1))
    served = fit(recipe, parts, FRAME)
    first = served.layers[0].weight
    assert len(served.layers) == 4
    assert ((first == 0) | (first == 1)).all()
    assert (first.sum(axis=1) == 1).all(), "hinges of one feature each"
    x = np.clip((parts["calibration"].features - served.mean) / served.std, -served.clip, served.clip)
    pieces = Pieces(normalised(parts["train"], served)[::7], recipe.quantiles)
    each = []
    for seed in (4, 5):
        network = build(replace(recipe, seed=seed), 3, pieces)
        hinges, after = pieces.folded(layers_of(network)[0], 3)
        folded = replace_layers(served, (hinges, after, *layers_of(network)[1:]))
        told = network(torch.from_numpy(x.astype(np.float32))).detach().numpy()[:, 0]
        assert folded.logit(parts["calibration"].features) == pytest.approx(told, abs=1e-4)
        each.append(told)
    assert np.std(each[0] - each[1]) > 1e-2


def test_a_batch_does_not_change_what_pieces_give(parts: dict[str, Examples]) -> None:
    served = fit(Recipe(seed=4, hidden=(6, 5), epochs=1, quantiles=(0, 0.5, 1)), parts, FRAME)
    rows = parts["calibration"].features[:70]
    assert served.probability(rows).tobytes() == b"".join(served.probability(row[None]).tobytes() for row in rows)


def test_log_odds_are_fitted_to_beliefs_as_they_stand(parts: dict[str, Examples]) -> None:
    def believed(one: Examples) -> Examples:
        p = 1 / (1 + np.exp(-(3 * np.abs(one.features[:, 0]) - 4)))
        return replace(one, believed=p.astype(np.float32))

    told = {name: believed(one) for name, one in parts.items()}
    recipe = Recipe(hidden=(16,), certain=0.01, epochs=12, batch=128, quantiles=(0, 0.1, 0.25, 0.5, 0.75, 0.9, 1))
    predictor = fit(recipe, told, FRAME)
    truth = np.log(told["calibration"].target / (1 - told["calibration"].target))
    assert np.abs(predictor.logit(told["calibration"].features) - np.clip(truth, -4.6, 4.6)).mean() < 0.2


def normalised(one: Examples, served: Predictor) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.clip((one.features - served.mean) / served.std, -served.clip, served.clip).astype(np.float32)


def replace_layers(predictor: Predictor, layers: tuple[Layer, ...]) -> Predictor:
    return Predictor(
        layers=layers,
        mean=predictor.mean,
        std=predictor.std,
        clip=predictor.clip,
        **FRAME,
    )


@pytest.mark.parametrize("form", ["mlp", "logistic"])
def test_the_same_seed_gives_the_same_bytes(form: Any, parts: dict[str, Examples]) -> None:
    recipe = Recipe(form=form, seed=5, epochs=3)
    first, second = fit(recipe, parts, FRAME), fit(recipe, parts, FRAME)
    assert first.digest == second.digest
    assert fit(replace(recipe, seed=6), parts, FRAME).digest != first.digest


def test_the_test_part_is_not_looked_at(parts: dict[str, Examples]) -> None:
    recipe = Recipe(seed=5, epochs=2)
    assert fit(recipe, parts | {"test": part(99)}, FRAME).digest == fit(recipe, parts, FRAME).digest


def test_the_mlp_learns_what_the_logistic_form_cannot(parts: dict[str, Examples]) -> None:
    held = part(50)
    brier = {}
    for form in ("mlp", "logistic"):
        predictor = fit(Recipe(form=form, batch=256), parts, FRAME)  # type: ignore[arg-type]
        brier[form] = float(((predictor.probability(held.features) - held.failed) ** 2).mean())
    base = float(held.failed.mean() * (1 - held.failed.mean()))
    assert brier["mlp"] < 0.8 * brier["logistic"]
    assert brier["logistic"] < base


def test_calibration_of_the_literal_form_is_folded_in(parts: dict[str, Examples]) -> None:
    predictor = fit(Recipe(form="logistic", epochs=2), parts, FRAME)
    assert predictor.is_literal
    assert predictor.calibration == Platt()
    held = parts["calibration"]
    again = fit_platt(predictor.logit(held.features), held.failed)
    assert (again.slope, again.intercept) == pytest.approx((1, 0), abs=1e-6)


def test_fitting_stops_when_validation_no_longer_gains(parts: dict[str, Examples]) -> None:
    contrary = replace(parts["train"], failed=~parts["train"].failed)
    told: list[int] = []
    fit(Recipe(epochs=30, patience=2), parts | {"validation": contrary}, FRAME, lambda epoch, *_: told.append(epoch))
    assert len(told) < 8


def test_the_calibration_that_loses_less_is_chosen() -> None:
    rng = np.random.default_rng(8)
    logit = rng.uniform(-4, 4, 20_000)
    held = Examples(np.zeros((20_000, 0)), rng.random(20_000) < 1 / (1 + np.exp(-logit)), np.arange(20_000), logit, ())
    assert isinstance(choose_calibration(logit, held), Platt)
    steps = replace(held, failed=rng.random(20_000) < np.where(logit > 0, 0.6, 0.05))
    assert isinstance(choose_calibration(logit, steps), Isotonic)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_rows_of_one_outcome_cannot_train(share: float) -> None:
    with pytest.raises(ValueError, match="rows of both outcomes"):
        imbalance_weight(share)


def test_the_command_writes_an_artefact_that_the_worker_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--quick", "--model", "logistic", "--out", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    predictor = load_artefact(tmp_path / "logistic.safetensors")
    require_features(predictor, FEATURE_NAMES, WINDOW_FRAMES)
    assert told["digest"] == predictor.digest
    assert told["test"]["accuracy_of_never"] > 0.5
    assert json.loads((tmp_path / "logistic.json").read_text())["digest"] == predictor.digest
    page = (tmp_path / "logistic.md").read_text()
    assert predictor.digest in page
    assert 'accuracy of "never"' in page
    assert "forestall train --source fleet --out DIR --model logistic --seed 1 --quick" in page


@pytest.mark.parametrize(("words", "says"), [(["--seed", "-1"], "--seed -1"), (["--out", __file__], "is a file")])
def test_wrong_use_of_the_command_is_named(
    words: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--out", str(tmp_path), *words]) == 2
    assert says in capsys.readouterr().err


def test_running_needs_no_torch() -> None:
    code = "import sys, models.mlp, connectors.artefacts as a; a.load_artefact(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_saving_and_loading_keeps_a_fitted_predictor(tmp_path: Path, parts: dict[str, Examples]) -> None:
    predictor = fit(Recipe(epochs=2), parts, FRAME)
    save_artefact(predictor, tmp_path / "a.safetensors")
    held = parts["calibration"].features
    assert (
        load_artefact(tmp_path / "a.safetensors").probability(held).tobytes() == predictor.probability(held).tobytes()
    )


def test_several_networks_made_one_give_the_mean_of_their_log_odds() -> None:
    recipes = [Recipe(seed=seed, hidden=(7, 4)) for seed in range(3)]
    networks = [layers_of(build(recipe, 5)) for recipe in recipes]
    x = np.random.default_rng(2).standard_normal((40, 5))
    law: dict[str, Any] = FRAME | {"feature_names": tuple("abcde"), "mean": np.zeros(5), "std": np.ones(5), "clip": 5.0}
    each = [Predictor(layers=layers, **law).logit(x) for layers in networks]
    together = Predictor(layers=side_by_side_layers(networks), **law).logit(x)
    assert together == pytest.approx(np.mean(each, axis=0), abs=1e-12)


def test_members_learn_from_seeds_of_their_own(parts: dict[str, Examples]) -> None:
    one = fit(Recipe(seed=4, hidden=(5,), epochs=1), parts, FRAME)
    three = fit(Recipe(seed=4, hidden=(5,), epochs=1, members=3), parts, FRAME)
    assert three.layers[0].weight.shape == (15, 3)
    assert three.layers[0].weight[:5].tobytes() == one.layers[0].weight.tobytes()
    assert three.layers[0].weight[5:10].tobytes() != one.layers[0].weight.tobytes()
