"""The parts of the detector: pooling, averages, quantiles, transitions and residuals."""

from __future__ import annotations

import numpy as np
import pytest

from models.detector.arithmetic import move_quantile, pool, weight
from models.detector.detector import Detector
from models.detector.residual import add_products, in_units, residual_matrix, residuals
from models.detector.transitions import VISITS_MAX, surprises


@pytest.mark.parametrize(
    ("metrics", "share", "taken"), [(1, 0.2, 1), (5, 0.2, 1), (6, 0.2, 2), (38, 0.2, 8), (4, 1.0, 4)]
)
def test_the_worst_share_is_pooled_rounded_up(metrics: int, share: float, taken: int) -> None:
    values = np.arange(metrics, dtype=np.float32)[None, ::-1]
    assert pool(values, share)[0] == pytest.approx(np.arange(metrics)[-taken:].mean())


def test_the_order_of_metrics_changes_no_bit() -> None:
    draw = np.random.default_rng(1)
    values = draw.normal(size=(3, 29)).astype(np.float32)
    assert pool(values, 0.4).tobytes() == pool(values[:, draw.permutation(29)], 0.4).tobytes()


def test_a_weight_is_the_share_of_the_memory_and_at_most_all() -> None:
    dt = np.array([60.0, 7200.0])
    assert weight(dt, 3600.0).ravel().tolist() == [pytest.approx(1 / 60), 1.0]


def test_until_its_memory_is_full_an_average_is_the_plain_mean() -> None:
    told, mean = np.zeros((1, 1), np.float32), np.float32(0.0)
    values = [3.0, 5.0, 10.0, 2.0]
    for value in values:
        told += np.float32(60.0)
        mean = mean + weight(np.array([60.0]), 1e6, told)[0, 0] * (value - mean)
    assert mean == pytest.approx(np.mean(values))


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.99])
def test_a_moved_quantile_rests_where_its_share_lies_above(quantile: float) -> None:
    draw = np.random.default_rng(2).exponential(size=20_000).astype(np.float32)
    at, above = np.float32([1.0]), 0
    for number, value in enumerate(draw):
        above += int(value > at[0] and number >= 10_000)
        at = move_quantile(at, np.float32([value]), quantile, np.float32([2000.0]))
    assert above / 10_000 == pytest.approx(1 - quantile, rel=0.15)


def test_a_share_of_a_step_moves_by_that_share() -> None:
    at, value, steps = np.float32([1.0]), np.float32([9.0]), np.float32([100.0])
    whole = np.log(move_quantile(at, value, 0.9, steps)[0])
    quarter = np.log(move_quantile(at, value, 0.9, steps, np.float32([0.25]))[0])
    assert quarter == pytest.approx(whole / 4, rel=1e-3)


class Chain:
    """One metric's transitions over a range of 0…8."""

    def __init__(self) -> None:
        self.state = Detector(1, 1).state
        self.state["low"][:], self.state["high"][:] = 0.0, 8.0

    def tell(self, *values: float, ranged: bool = True) -> list[float]:
        out = []
        for value in values:
            one = np.float32([[value]])
            out.append(float(surprises(self.state, np.array([0]), one, np.array([60.0]), np.array([[ranged]]))[0, 0]))
        return out


def test_a_transition_never_seen_among_many_is_a_surprise_and_the_usual_one_is_none() -> None:
    chain = Chain()
    chain.tell(*[2.5, 3.5] * 200)
    assert chain.tell(2.5, 3.5, 2.5, 3.5) == [0.0] * 4
    assert chain.tell(7.5)[0] > 5


def test_counts_stay_within_a_byte_and_keep_their_proportion() -> None:
    chain = Chain()
    chain.tell(*[2.5, 2.5, 2.5, 3.5] * 400)
    counts = chain.state["counts"][0, 0, 3].astype(int)
    assert counts.sum() <= VISITS_MAX + 1
    assert counts[3] / counts.sum() == pytest.approx(2 / 3, abs=0.05)


@pytest.mark.parametrize("gap", [np.nan, 2.5])
def test_without_a_range_or_a_value_nothing_is_counted(gap: float) -> None:
    chain = Chain()
    assert chain.tell(2.5, gap, 2.5, ranged=bool(np.isnan(gap))) == [0.0] * 3
    assert not chain.state["counts"].any()


def test_a_constant_metric_has_states_beside_its_value() -> None:
    chain = Chain()
    chain.state["low"][:] = chain.state["high"][:] = 4.0
    chain.tell(*[4.0] * 100)
    assert chain.tell(40.0)[0] > 5


def test_residuals_are_those_of_a_regression_on_the_other_metrics() -> None:
    draw = np.random.default_rng(3)
    base = draw.normal(size=4000)
    y = np.stack([base + 0.1 * draw.normal(size=4000) for _ in range(3)] + [draw.normal(size=4000)], axis=1)
    y = y.astype(np.float32)
    q = residual_matrix((y.T @ y / len(y)).astype(np.float32))
    found = residuals(y[:, :], np.broadcast_to(q, (len(y), 4, 4)))
    fit = np.linalg.lstsq(y[:, 1:], y[:, 0], rcond=None)[0]
    expected = y[:, 0] - y[:, 1:] @ fit
    assert np.corrcoef(found[:, 0], expected)[0, 1] > 0.97
    assert found[:, 0].std() < 0.3 * y[:, 0].std()
    assert found[:, 3].std() == pytest.approx(y[:, 3].std(), rel=0.05)


def test_products_become_their_average() -> None:
    y = np.float32([[1.0, 2.0], [3.0, -1.0]])
    matrix = np.zeros((1, 2, 2), np.float32)
    for number, row in enumerate(y, start=1):
        matrix = add_products(matrix, row[None], np.float32([1 / number]))
    np.testing.assert_allclose(matrix[0], y.T @ y / 2)


def test_units_in_the_matrix_are_bounded_and_missing_ones_are_none() -> None:
    assert in_units(np.float32([[1e9, np.nan, -3.0]]), np.float32([[2.0, 1.0, 1.0]])).tolist() == [[10.0, 0.0, -3.0]]
