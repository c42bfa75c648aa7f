"""The study's parts: no node and no time in two of them, over all shards and both fleets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from experiments.fleet import FleetRecording
from experiments.prediction import plan as plans
from experiments.prediction.plan import FULL, HORIZON, QUICK, Plan
from models.limits import RANGE_FRAMES, WINDOW_FRAMES
from models.training.recording import Part


@pytest.mark.parametrize("plan", [FULL, QUICK, replace(FULL, shards=3)])
def test_no_node_and_no_time_is_in_two_parts(plan: Plan) -> None:
    plan.require_apart()


def test_a_node_in_two_parts_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def shared(self: Plan) -> tuple[Part, Part]:
        return Part("train", np.arange(64), 0, 480), Part("validation", np.arange(60, 70), 600, 900)

    monkeypatch.setattr(Plan, "learning_parts", shared)
    with pytest.raises(ValueError, match=r"train and validation share the nodes \[60, 61"):
        QUICK.require_apart()


def test_a_time_in_two_parts_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def together(self: Plan) -> tuple[Part, Part]:
        return Part("calibration", np.arange(64), 0, 480), Part("test", np.arange(64, 128), 500, 900)

    monkeypatch.setattr(Plan, "judging_parts", together)
    with pytest.raises(ValueError, match=f"{HORIZON + WINDOW_FRAMES} steps must lie between"):
        QUICK.require_apart()


def test_the_test_part_holds_five_thousand_node_days_once_nodes_are_warm() -> None:
    test = FULL.judging_parts()[1]
    days = FULL.shards * len(test.nodes) * (test.end - test.first - RANGE_FRAMES) / 1_440
    assert days > 5_250  # about one in twenty is lost to repair and services


def test_the_fleet_to_judge_on_is_the_preset_as_it_stands() -> None:
    for seed in (1, 2):
        plan = replace(FULL, seed=seed)
        assert plan.judging == plans.prediction_fleet(plan.judging.nodes, plan.judging.seed)
        assert plan.judging.seed != plan.learning.seed


def test_seeds_share_no_fleet() -> None:
    fleets = [
        one for seed in range(5) for one in (replace(QUICK, seed=seed).learning, replace(QUICK, seed=seed).judging)
    ]
    assert len({fleet.seed for fleet in fleets}) == len(fleets)


def test_shards_are_the_fleet_side_by_side() -> None:
    spec = replace(QUICK, shards=2).judging
    whole = next(FleetRecording(spec).blocks(200))
    parts = [next(FleetRecording(spec, (shard, 2)).blocks(200)) for shard in (0, 1)]
    assert np.concatenate(parts, axis=1).tobytes() == whole.tobytes()


@pytest.mark.parametrize("shard", [0, 1])
def test_a_shard_has_the_nodes_that_its_parts_name(shard: int) -> None:
    plan = replace(QUICK, shards=2)
    for spec, parts in ((plan.learning, plan.learning_parts()), (plan.judging, plan.judging_parts())):
        block = next(FleetRecording(spec, (shard, 2)).blocks(1))
        assert block.shape[1] == sum(len(part.nodes) for part in parts) == spec.nodes // 2
