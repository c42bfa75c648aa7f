"""Features of a node: pooled by what metrics tell of, blind to their order and to what was never seen."""

from __future__ import annotations

import numpy as np
import pytest

from models.features import MARKOV_FEATURES, SECOND, STATISTICS, WINDOW_NAMES, pool_features, signal_columns
from models.limits import WINDOW_FRAMES
from models.markov import node_deviation
from models.signals import SIGNALS
from models.windows import SPANS, window_statistics

METRICS = ("gpu0.temp_c", "gpu1.temp_c", "gpu0.ecc_total", "cpu_load", "m07")


def features(
    last: list[float], metrics: tuple[str, ...] = METRICS, told: list[bool] | None = None, seed: int = 0
) -> dict[str, float]:
    """Features of one row whose windows end with these values throughout the longest span, after noise.

    The noise is drawn from the seed, the same for a metric wherever it stands; so are the deviations.
    """
    window = np.stack([_window(metric, value, seed) for metric, value in zip(metrics, last, strict=True)])[None]
    deviation = np.float32([[len(metric) for metric in metrics]])
    known = np.array([told or [True] * len(metrics)])
    calm = np.zeros((1, len(metrics)), np.float32)
    found = pool_features(window_statistics(window, calm, calm + 1), known, deviation, signal_columns(metrics))
    return dict(zip(WINDOW_NAMES, found[0].tolist(), strict=True))


def _window(metric: str, last: float, seed: int) -> np.ndarray:
    random = np.random.default_rng([seed, *metric.encode()])
    window = random.normal(size=WINDOW_FRAMES).astype(np.float32)
    window[:3] = np.nan
    window[-max(SPANS) :] = last
    return window


def squashed(value: float) -> float:
    return float(np.sign(value) * np.log1p(abs(value)))


@pytest.mark.parametrize("span", SPANS)
def test_each_group_tells_its_largest_and_smallest_mean(span: int) -> None:
    found = features([3.0, -2.0, 1.0, 0.5, 0.0])
    assert found[f"thermal.high{span}"] == pytest.approx(squashed(3.0))
    assert found[f"thermal.low{span}"] == pytest.approx(squashed(2.0))
    assert found[f"memory_errors.high{span}"] == pytest.approx(squashed(1.0))
    assert found[f"compute.low{span}"] == pytest.approx(squashed(-0.5))


def test_the_second_largest_tells_one_noisy_metric_from_many_that_agree() -> None:
    one, both = features([9.0, 0.0, 0.0, 0.0, 0.0]), features([9.0, 9.0, 0.0, 0.0, 0.0])
    assert one["thermal.high6"] == both["thermal.high6"]
    assert (one["thermal.second_high6"], both["thermal.second_high6"]) == pytest.approx((0.0, squashed(9.0)))
    assert one["thermal.second_climb"] < both["thermal.second_climb"]


def test_a_group_of_one_metric_has_no_second() -> None:
    found = features([9.0] * 5)
    assert [found[f"compute.second_{name}"] for name in SECOND] == [0.0] * len(SECOND)


def test_the_order_of_metrics_does_not_matter() -> None:
    z = [3.0, -2.0, 1.0, 0.5, 0.0]
    straight = features(z)
    for order in ([4, 3, 2, 1, 0], [2, 0, 4, 1, 3]):
        assert features([z[i] for i in order], tuple(METRICS[i] for i in order)) == straight


@pytest.mark.parametrize("metric", ["gpu7.temp_c", "nvlink0_crc", "zzz"])
@pytest.mark.parametrize("z", [np.nan, 0.0, 40.0])
def test_a_metric_without_own_units_counts_for_nothing(metric: str, z: float) -> None:
    below = [-3.0, -2.0, -1.0, -0.5, -0.1]
    told = [True] * len(METRICS) + [False]
    with_it, without = features([*below, z], (*METRICS, metric), told), features(below)
    assert with_it.pop("node.deviation") >= without.pop("node.deviation")  # the chains are told apart from units
    assert with_it == without


def test_a_group_without_metrics_is_nought() -> None:
    found = features([3.0] * 5)
    assert [found[f"power.{statistic}"] for statistic in STATISTICS] == [0.0] * len(STATISTICS)


def test_a_missing_value_leaves_the_rest_of_its_group() -> None:
    assert features([np.nan, 2.0, 0.0, 0.0, 0.0])["thermal.high6"] == pytest.approx(squashed(2.0))
    assert features([np.nan, np.nan, 0.0, 0.0, 0.0])["thermal.high6"] == 0.0
    assert features([np.nan, 2.0, 0.0, 0.0, 0.0])["thermal.missing_recent"] == pytest.approx(squashed(1.0))


def test_what_is_missing_of_a_node_is_what_no_metric_has() -> None:
    assert features([0.0] * 5)["node.missing"] == pytest.approx(squashed(3 / WINDOW_FRAMES))
    assert features([0.0] * 5)["node.missing_recent"] == 0.0
    assert features([np.nan] * 5)["node.missing_recent"] == pytest.approx(squashed(1.0))


def test_a_node_of_which_nothing_is_known_is_all_nought_but_for_its_deviation() -> None:
    found = features([9.0] * 5, told=[False] * 5)
    deviation = node_deviation(np.float32([[len(metric) for metric in METRICS]]))[0]
    assert found.pop("node.deviation") == pytest.approx(squashed(deviation))
    assert set(found.values()) == {0.0}


def test_the_markov_features_are_the_deviations() -> None:
    assert set(MARKOV_FEATURES) == {f"{signal}.deviation" for signal in SIGNALS} | {"node.deviation"}
    assert features([0.0] * 5)["thermal.deviation"] == pytest.approx(squashed(len("gpu0.temp_c")))


def test_runaway_values_are_squashed_and_finite() -> None:
    found = features([1e6, -1e6, np.inf, 0.0, 0.0])
    assert np.isfinite(list(found.values())).all()


def test_names_are_unique_and_cover_every_group() -> None:
    assert len(set(WINDOW_NAMES)) == len(WINDOW_NAMES) == len(SIGNALS) * (len(STATISTICS) + len(SECOND)) + 3


def test_each_metric_is_in_exactly_one_group() -> None:
    columns = np.concatenate(signal_columns(METRICS))
    assert sorted(columns.tolist()) == list(range(len(METRICS)))


def test_a_row_does_not_depend_on_its_company() -> None:
    random = np.random.default_rng(3)
    window = random.normal(size=(9, len(METRICS), WINDOW_FRAMES)).astype(np.float32)
    window[random.random(window.shape) < 0.01] = np.nan
    deviation = random.normal(size=(9, len(METRICS))).astype(np.float32)
    told, columns = random.random((9, len(METRICS))) < 0.8, signal_columns(METRICS)
    calm = np.zeros((9, len(METRICS)), np.float32)
    together = pool_features(window_statistics(window, calm, calm + 1), told, deviation, columns)
    for row in range(9):
        at = [row]
        seen = window_statistics(window[at], calm[at], calm[at] + 1)
        assert pool_features(seen, told[at], deviation[at], columns).tobytes() == together[at].tobytes()
