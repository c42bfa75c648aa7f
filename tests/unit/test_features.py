"""Features of a node: pooled by what metrics tell of, blind to their order and to what was never seen."""

from __future__ import annotations

import numpy as np
import pytest

from models.features import FEATURE_NAMES, STATISTICS, pool_features, signal_columns
from models.limits import WINDOW_FRAMES
from models.signals import SIGNALS
from models.windows import window_statistics

METRICS = ("gpu0.temp_c", "gpu1.temp_c", "gpu0.ecc_total", "cpu_load", "m07")


def features(
    z: list[float], metrics: tuple[str, ...] = METRICS, told: list[bool] | None = None, seed: int = 0
) -> dict[str, float]:
    """Features of one row with these z; the window is drawn from the seed, the same for a metric wherever it stands."""
    window = np.stack([_window(metric, seed) for metric in metrics])[None]
    known = np.array([told or [True] * len(metrics)])
    found = pool_features(
        np.array([z], np.float32),
        window_statistics(window),
        known,
        np.array([2.5], np.float32),
        signal_columns(metrics),
    )
    return dict(zip(FEATURE_NAMES, found[0].tolist(), strict=True))


def _window(metric: str, seed: int) -> np.ndarray:
    random = np.random.default_rng([seed, *metric.encode()])
    window = random.normal(size=WINDOW_FRAMES).astype(np.float32)
    window[:3] = np.nan
    return window


def squashed(value: float) -> float:
    return float(np.sign(value) * np.log1p(abs(value)))


def test_each_group_tells_its_largest_and_smallest_z() -> None:
    found = features([3.0, -2.0, 1.0, 0.5, 0.0])
    assert found["thermal.high"] == pytest.approx(squashed(3.0))
    assert found["thermal.low"] == pytest.approx(squashed(2.0))
    assert found["memory_errors.high"] == pytest.approx(squashed(1.0))
    assert found["compute.low"] == pytest.approx(squashed(-0.5))


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
    assert features([*below, z], (*METRICS, metric), told) == features(below)


def test_a_group_without_metrics_is_nought() -> None:
    found = features([3.0] * 5)
    assert [found[f"power.{statistic}"] for statistic in STATISTICS] == [0.0] * len(STATISTICS)


def test_a_missing_value_leaves_the_rest_of_its_group() -> None:
    assert features([np.nan, 2.0, 0.0, 0.0, 0.0])["thermal.high"] == pytest.approx(squashed(2.0))
    assert features([np.nan, np.nan, 0.0, 0.0, 0.0])["thermal.high"] == 0.0


def test_what_is_missing_of_a_node_is_what_no_metric_has() -> None:
    assert features([0.0] * 5)["node.missing"] == pytest.approx(squashed(3 / WINDOW_FRAMES))


def test_a_node_of_which_nothing_is_known_is_all_nought_but_for_its_deviation() -> None:
    found = features([9.0] * 5, told=[False] * 5)
    assert found.pop("node.deviation") == pytest.approx(squashed(2.5))
    assert set(found.values()) == {0.0}


def test_runaway_values_are_squashed_and_finite() -> None:
    found = features([1e6, -1e6, np.inf, 0.0, 0.0])
    assert found["thermal.high"] == pytest.approx(np.log1p(1e6))


def test_names_are_unique_and_cover_every_group() -> None:
    assert len(set(FEATURE_NAMES)) == len(FEATURE_NAMES) == len(SIGNALS) * len(STATISTICS) + 2


def test_each_metric_is_in_exactly_one_group() -> None:
    columns = np.concatenate(signal_columns(METRICS))
    assert sorted(columns.tolist()) == list(range(len(METRICS)))


def test_a_row_does_not_depend_on_its_company() -> None:
    random = np.random.default_rng(3)
    window = random.normal(size=(9, len(METRICS), WINDOW_FRAMES)).astype(np.float32)
    z, deviation = random.normal(size=(9, len(METRICS))).astype(np.float32), random.normal(size=9).astype(np.float32)
    told, columns = random.random((9, len(METRICS))) < 0.8, signal_columns(METRICS)
    together = pool_features(z, window_statistics(window), told, deviation, columns)
    for row in range(9):
        at = [row]
        alone = pool_features(z[at], window_statistics(window[at]), told[at], deviation[at], columns)
        assert alone.tobytes() == together[at].tobytes()
