"""Figures of a predictor, on stories small enough to count by hand."""

from __future__ import annotations

import numpy as np
import pytest

from models.incident import IncidentSettings, Latch
from models.training.examples import Examples
from models.training.scores import (
    BUDGETS,
    DAY_INTERVALS,
    Episode,
    Timeline,
    alarms,
    at_budget,
    auc,
    calibration_error,
    curve,
    judged,
    latched,
    score,
    within_budget,
)


def story(
    probabilities: dict[int, list[float]], failures: tuple[tuple[int, int], ...] = ()
) -> tuple[np.ndarray, Examples]:
    node = np.concatenate([np.full(len(p), n) for n, p in probabilities.items()])
    step = np.concatenate([np.arange(len(p)) for p in probabilities.values()])
    failed = np.array([any(n == m and 0 < at - s <= 20 for m, at in failures) for n, s in zip(node, step, strict=True)])
    seen = Examples(np.zeros((len(node), 0), np.float32), failed, node, step, failures)
    return np.concatenate([np.array(p) for p in probabilities.values()]), seen


def quiet(length: int, *high: range) -> list[float]:
    return [0.9 if any(step in span for span in high) else 0.1 for step in range(length)]


def test_an_alarm_opens_at_the_third_frame_over() -> None:
    p, seen = story({4: quiet(50, range(10, 12), range(20, 30))})
    assert latched(Timeline.of(p, seen), 0.5) == [Episode(4, 22, 29)]


def test_a_short_dip_does_not_end_an_alarm_and_a_long_one_does() -> None:
    p, seen = story({0: quiet(120, range(10, 20), range(40, 50), range(90, 100))})
    assert latched(Timeline.of(p, seen), 0.5) == [Episode(0, 12, 49), Episode(0, 92, 99)]


def test_nodes_are_kept_apart_whatever_the_order_of_rows() -> None:
    p, seen = story({0: quiet(50, range(48, 50)), 1: quiet(50, range(1))})
    assert latched(Timeline.of(p, seen), 0.5) == []
    order = np.random.default_rng(0).permutation(len(p))
    mixed = Examples(seen.features, seen.failed[order], seen.node[order], seen.step[order], ())
    p, _ = story({0: quiet(50, range(10, 20)), 1: quiet(50)})
    assert latched(Timeline.of(p[order], mixed), 0.5) == [Episode(0, 12, 19)]


def test_a_node_with_too_few_rows_has_no_alarm() -> None:
    p, seen = story({0: [0.9, 0.9]})
    assert latched(Timeline.of(p, seen), 0.5) == []


def test_alarms_are_scored_by_what_came_of_them() -> None:
    p, seen = story(
        {0: quiet(60, range(20, 60)), 1: quiet(100, range(20, 30)), 2: quiet(60, range(50, 60)), 3: quiet(60)},
        failures=((0, 60), (2, 60), (3, 60)),
    )
    found = alarms(p, seen, 0.5, horizon=20)
    assert found.leads == ((0, 38), (2, 8), (3, 0))
    assert found.usable == (38,)  # node 2 was alarmed 8 steps ahead, too late to use
    assert found.recall == pytest.approx(1 / 3)
    assert found.precision == pytest.approx(2 / 3)
    assert found.false_per_day == pytest.approx(1 / (280 / DAY_INTERVALS))


def test_an_alarm_that_was_over_long_before_foresaw_nothing() -> None:
    p, seen = story({0: quiet(200, range(20, 40))}, failures=((0, 200),))
    found = alarms(p, seen, 0.5, horizon=20)
    assert (found.recall, found.precision) == (0, 0)


def test_the_budget_picks_the_lowest_threshold_that_keeps_it() -> None:
    rng = np.random.default_rng(1)
    noisy = {n: rng.uniform(0, 0.6, 400).tolist() for n in range(1, 6)}
    p, seen = story({0: quiet(100, range(40, 100)), **noisy}, failures=((0, 100),))
    strict, loose = within_budget(p, seen, 0.0, 20), within_budget(p, seen, 1e9, 20)
    assert (strict.recall, strict.false_per_day) == (1, 0)
    assert loose.threshold < strict.threshold
    assert within_budget(np.full(len(p), 0.5), seen, 0.0, 20).threshold == float("inf")


def test_auc_of_known_orders() -> None:
    failed = np.array([False, False, True, True])
    assert auc(np.array([0.1, 0.2, 0.3, 0.4]), failed) == 1
    assert auc(np.array([0.4, 0.3, 0.2, 0.1]), failed) == 0
    assert auc(np.full(4, 0.5), failed) == 0.5
    assert auc(np.array([0.1, 0.3, 0.3, 0.4]), failed) == pytest.approx(0.875)


def test_calibration_error_of_known_cases() -> None:
    failed = np.array([True] * 3 + [False] * 7)
    assert calibration_error(np.full(10, 0.3), failed) == pytest.approx(0)
    assert calibration_error(np.full(10, 0.8), failed) == pytest.approx(0.5)
    assert calibration_error(np.ones(10), failed) == pytest.approx(0.7)


def test_accuracy_stands_beside_that_of_never() -> None:
    p, seen = story({0: quiet(100)}, failures=((0, 100),))
    figures = score(p, seen, 20)
    assert figures["accuracy"] == figures["accuracy_of_never"] == pytest.approx(0.8)
    assert figures["brier_of_base_rate"] == pytest.approx(0.16)
    assert set(figures["at_budget"]) == {f"{budget:g}" for budget in BUDGETS}
    assert figures["at_threshold"]["0.5"]["median_lead_intervals"] is None


def by_latch(probability: np.ndarray, threshold: float) -> list[tuple[int, int]]:
    """Node and opening of each incident, as the pipeline's own latch tells it."""
    opened = []
    for node, told in enumerate(probability.T):
        latch, settings = Latch(), IncidentSettings(theta=threshold)
        for step, p in enumerate(told):
            if np.isnan(p):
                continue
            transition = latch.advance(float(p), settings)
            if transition == "opened":
                latch.incident = "x"
                opened.append((node, step))
            elif transition == "closed":
                latch.incident = None
    return opened


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("threshold", [0.3, 0.6])
def test_alarms_are_the_incidents_of_the_pipeline(seed: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    slow = np.cumsum(rng.normal(0, 0.35, (400, 6)), axis=0)
    probability = (1 / (1 + np.exp(-slow))).astype(np.float32)
    probability[rng.random(probability.shape) < 0.1] = np.nan
    found = latched(Timeline(probability, 0, np.arange(6), ()), threshold)
    assert [(e.node, e.start) for e in found] == by_latch(probability, threshold)
    assert found, "the story has alarms"


def test_an_alarm_before_a_failure_after_the_end_is_no_false_one() -> None:
    p, seen = story({0: quiet(60, range(40, 60))})
    line = Timeline.of(p, seen)
    assert judged(line, 0.5, 20).false == 1
    late = Timeline(line.probability, line.first, line.node, (), later=((0, 70),))
    assert (judged(late, 0.5, 20).false, judged(late, 0.5, 20).leads) == (0, ())


def test_a_lead_is_usable_from_the_asked_number_of_steps_on() -> None:
    p, seen = story({0: quiet(60, range(50, 60))}, failures=((0, 60),))
    assert [alarms(p, seen, 0.5, 20, lead).recall for lead in (8, 9)] == [1, 0]


def test_a_curve_ends_where_there_are_too_many_false_alarms() -> None:
    rng = np.random.default_rng(3)
    p, seen = story({n: np.repeat(rng.uniform(0, 1, 100), 4).tolist() for n in range(8)})
    line = Timeline.of(p, seen)
    found = curve(line, 20, beyond=2.0)
    rates = [one.false_per_day for one in found]
    assert rates[0] == 0
    assert rates[-1] > 2.0 >= max(rates[:-1])
    assert [one.threshold for one in found] == sorted((one.threshold for one in found), reverse=True)
    for budget in (0.5, 1.0, 2.0):
        best = at_budget(found, line, budget, 20)
        coarse = max(one.false_per_day for one in found if one.false_per_day <= budget)
        assert coarse <= best.false_per_day <= budget


def test_a_timeline_is_the_same_for_rows_in_any_order() -> None:
    p, seen = story({5: quiet(50, range(10, 20)), 2: quiet(40)}, failures=((5, 40),))
    order = np.random.default_rng(1).permutation(len(p))
    mixed = Examples(seen.features, seen.failed[order], seen.node[order], seen.step[order], seen.failures)
    a, b = Timeline.of(p, seen), Timeline.of(p[order], mixed)
    assert a.probability.tobytes() == b.probability.tobytes()
    assert a.node.tolist() == [2, 5]
    assert a.days == pytest.approx(90 / DAY_INTERVALS)
