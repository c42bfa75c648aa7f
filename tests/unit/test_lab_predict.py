"""``forestall lab predict`` and ``ablate`` from end to end, on a fleet that is small enough for a test."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("torch", reason="the study trains")
pytest.importorskip("sklearn", reason="the study has a peer")

from experiments.prediction.ablation import GROUPS
from infra.cli.main import main
from models.signals import SIGNALS


def told(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["lab", *words, "--quick", "--json"]) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_predict_tells_every_predictor_and_the_ceiling(capsys: pytest.CaptureFixture[str]) -> None:
    result = told(capsys, "predict")
    assert [one["name"] for one in result["models"]] == ["eq1", "mlp", "mlp+markov", "boosting"]
    for one in (*result["models"], result["ceiling"]):
        assert set(one["usable_recall"]) == {"0.002", "0.01", "0.05"}
        for budget, recall in one["usable_recall"].items():
            low, high = one["usable_recall_ci95"][budget]
            assert 0 <= low <= recall <= high <= 1
            assert one["false_episodes"][budget] <= float(budget) * result["node_days"]
        assert 0 <= one["ece"] <= 1
        assert 0 <= one["brier"] <= 1
    assert result["failures"] > 0
    assert 0.5 < result["never_accuracy"] < 1
    assert max(result["ceiling"]["usable_recall"].values()) > 0
    assert {"split", "trained", "rule", "measured_s"} <= set(result)


def test_ablate_tells_each_way_with_and_without_a_group(capsys: pytest.CaptureFixture[str]) -> None:
    result = told(capsys, "ablate")
    assert [(row["normalisation"], row["dropped"]) for row in result["rows"]] == [
        (way, dropped) for way in ("adaptive", "own", "fleet") for dropped in (None, GROUPS[0])
    ]
    for row in result["rows"]:
        assert {"usable_recall", "ece", "auc"} <= set(row)
        assert 0.3 < row["auc"] <= 1


def test_the_groups_to_leave_out_are_those_of_the_fleet() -> None:
    assert set(GROUPS) == set(SIGNALS) - {"other"}


@pytest.mark.parametrize("command", ["predict", "ablate"])
def test_a_seed_below_nought_is_wrong_use(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["lab", command, "--seed", "-1"])
    assert left.value.code == 2
    assert "-1" in capsys.readouterr().err
