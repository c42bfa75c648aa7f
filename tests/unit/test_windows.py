"""Window statistics: what they mean, what a missing value does to them, and that rows never touch."""

from __future__ import annotations

import numpy as np
import pytest

from models.windows import Floats, WindowStatistics, window_statistics

NAN = np.nan
FRAMES = 60


def of(*values: float) -> WindowStatistics:
    return window_statistics(np.array([[values]], np.float32))


def test_a_line_is_all_trend() -> None:
    line = of(*(2.0 * k for k in range(FRAMES)))
    assert line.mean[0, 0] == pytest.approx(59.0)
    assert line.trend[0, 0] == pytest.approx(2.0 * FRAMES)
    assert line.step_max[0, 0] == 2.0
    assert line.missing[0, 0] == 0.0


def test_a_constant_has_neither_spread_nor_trend_nor_step() -> None:
    flat = of(*[7.25] * FRAMES)
    assert [float(a[0, 0]) for a in (flat.mean, flat.std, flat.trend, flat.step_max)] == [7.25, 0.0, 0.0, 0.0]


def test_a_jump_is_the_largest_step_and_its_sign_does_not_matter() -> None:
    assert of(0, 0, -9, -9, -8).step_max[0, 0] == 9.0


def test_the_spread_is_that_of_the_population() -> None:
    values = [1.0, 4.0, 2.0, 9.0]
    assert of(*values).std[0, 0] == pytest.approx(np.std(values))


@pytest.mark.parametrize("seen", [(1.0, 3.0, 5.0), (1.0, NAN, 3.0, NAN, 5.0), (NAN, NAN, 1.0, 3.0, 5.0, NAN)])
def test_missing_values_are_left_out_of_mean_and_spread(seen: tuple[float, ...]) -> None:
    found = of(*seen)
    assert found.mean[0, 0] == pytest.approx(3.0)
    assert found.std[0, 0] == pytest.approx(np.std([1.0, 3.0, 5.0]))
    assert found.missing[0, 0] == pytest.approx(sum(np.isnan(seen)) / len(seen))


def test_the_trend_goes_through_holes_at_the_times_that_were_seen() -> None:
    found = of(0.0, NAN, NAN, 3.0, 4.0, NAN)
    assert found.trend[0, 0] == pytest.approx(6.0)


def test_a_step_over_a_hole_is_no_step() -> None:
    assert np.isnan(of(0.0, NAN, 100.0, NAN).step_max[0, 0])
    assert of(0.0, NAN, 100.0, 101.0).step_max[0, 0] == 1.0


def test_nothing_seen_tells_nothing_but_that() -> None:
    found = of(NAN, NAN, NAN)
    assert np.isnan([found.mean[0, 0], found.std[0, 0], found.trend[0, 0], found.step_max[0, 0]]).all()
    assert found.missing[0, 0] == 1.0


def test_one_value_has_a_mean_and_no_trend() -> None:
    found = of(NAN, 4.0, NAN)
    assert (found.mean[0, 0], found.std[0, 0]) == (4.0, 0.0)
    assert np.isnan(found.trend[0, 0])


def test_large_values_without_own_units_do_not_overflow() -> None:
    found = of(*(1e18 * (-1) ** k for k in range(FRAMES)))
    assert np.isfinite([found.mean[0, 0], found.std[0, 0], found.trend[0, 0], found.step_max[0, 0]]).all()


def holed(rows: int, metrics: int, seed: int) -> Floats:
    random = np.random.default_rng(seed)
    window = random.normal(size=(rows, metrics, FRAMES)).astype(np.float32)
    window[random.random(window.shape) < 0.02] = NAN
    window[:: max(2, rows // 3)] = random.normal(size=(metrics, FRAMES))
    return window


@pytest.mark.parametrize("metrics", [1, 3, 32])
def test_a_row_gives_the_same_bits_alone_and_in_any_company(metrics: int) -> None:
    window = holed(17, metrics, metrics)
    together = window_statistics(window)
    for row in range(len(window)):
        alone = window_statistics(window[[row]])
        for name in WindowStatistics.__slots__:
            assert getattr(alone, name).tobytes() == getattr(together, name)[[row]].tobytes(), (row, name)


def test_the_window_is_not_changed() -> None:
    window = holed(4, 2, 0)
    before = window.tobytes()
    window_statistics(window)
    assert window.tobytes() == before


@pytest.mark.parametrize("holes", [False, True])
def test_no_rows_give_no_statistics(holes: bool) -> None:
    assert window_statistics(np.empty((0, 3, FRAMES), np.float32)).mean.shape == (0, 3)
