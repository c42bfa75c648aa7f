"""Window statistics: what they mean, what a missing value does to them, and that rows never touch."""

from __future__ import annotations

import numpy as np
import pytest

from models.limits import Z_MAX
from models.windows import (
    CUSUM_ALLOWANCE,
    CUSUM_FRAME_MAX,
    CUSUM_FRAMES,
    RECENT_FRAMES,
    SPANS,
    Floats,
    WindowStatistics,
    window_statistics,
)

NAN = np.nan
FRAMES = 60


def of(*values: float, centre: float = 0.0, scale: float = 1.0) -> WindowStatistics:
    """Of one metric; what is not given of the window's start is at the baseline."""
    window = np.full((1, 1, FRAMES), centre, np.float32)
    if values:
        window[0, 0, -len(values) :] = values[-FRAMES:]
    return window_statistics(window, np.float32([[centre]]), np.float32([[scale]]))


def means(found: WindowStatistics) -> list[float]:
    return [float(mean) for mean in found.means[:, 0, 0]]


def test_the_means_are_over_the_last_frames() -> None:
    line = [0.5 * k for k in range(FRAMES)]
    assert means(of(*line)) == pytest.approx([np.mean(line[-span:]) for span in SPANS])


def test_all_is_told_against_the_baseline() -> None:
    raw, known = of(*[2.0] * 20), of(*[107.0] * 20, centre=101.0, scale=3.0)
    for name in WindowStatistics.__slots__:
        assert getattr(raw, name) == pytest.approx(getattr(known, name)), name


def test_what_lies_at_the_baseline_is_all_nought() -> None:
    calm = of(centre=7.25)
    for name in WindowStatistics.__slots__:
        assert not getattr(calm, name).any(), name


def test_a_runaway_value_counts_as_so_many_scales() -> None:
    found = of(1e6, 1e6, 1e6)
    assert means(found)[0] == Z_MAX
    assert found.step[0, 0] == Z_MAX


def test_a_jump_is_the_largest_recent_step_and_its_sign_does_not_matter() -> None:
    assert of(0, 0, -9, -9, -8).step[0, 0] == 9.0
    assert of(9, *[9.0] * RECENT_FRAMES).step[0, 0] == 0.0


def test_the_spread_is_that_of_the_population() -> None:
    values = np.random.default_rng(0).normal(size=FRAMES)
    assert of(*values).spread[0, 0] == pytest.approx(np.std(values), rel=1e-5)


def page(values: list[float]) -> float:
    """Page's one-sided sum by its recursion, begun anew at the first of the frames looked back on."""
    total = 0.0
    for value in values:
        total = max(0.0, total + min(max(value, -CUSUM_FRAME_MAX), CUSUM_FRAME_MAX) - CUSUM_ALLOWANCE)
    return total


@pytest.mark.parametrize("seed", range(5))
def test_climb_and_fall_are_the_sums_of_page(seed: int) -> None:
    values = np.random.default_rng(seed).normal(0.5, 4, FRAMES).astype(np.float32)
    found = of(*values.tolist())
    last = values[-CUSUM_FRAMES:].tolist()
    assert found.climb[0, 0] == pytest.approx(page(last), rel=1e-5)
    assert found.fall[0, 0] == pytest.approx(page([-v for v in last]), rel=1e-5)


@pytest.mark.parametrize("seen", [(1.0, 3.0, 5.0), (1.0, NAN, 3.0, NAN, 5.0), (NAN, 1.0, 3.0, NAN, 5.0)])
def test_missing_values_are_left_out_of_the_means(seen: tuple[float, ...]) -> None:
    found = of(*[NAN] * FRAMES, *seen)
    assert means(found)[1:] == pytest.approx([3.0] * (len(SPANS) - 1))
    assert found.spread[0, 0] == pytest.approx(np.std([1.0, 3.0, 5.0]))
    assert found.missing[0, 0] == pytest.approx(1 - 3 / FRAMES)


def test_what_is_missing_of_late_is_told_apart() -> None:
    assert of(NAN, *[0.0] * RECENT_FRAMES).missing_recent[0, 0] == 0.0
    assert of(NAN, NAN, 0.0, 0.0).missing_recent[0, 0] == pytest.approx(2 / RECENT_FRAMES)


def test_a_step_over_a_hole_is_no_step() -> None:
    assert of(*[NAN] * 10, 0.0, NAN, 100.0, NAN).step.tolist() != [[100.0]]
    assert of(0.0, NAN, 10.0, 11.0).step[0, 0] == 1.0


def test_a_hole_neither_climbs_nor_falls() -> None:
    assert of(3.0, NAN, NAN, 3.0).climb[0, 0] == pytest.approx(2 * 3.0 - 4 * CUSUM_ALLOWANCE)


def test_nothing_seen_tells_nothing_but_that() -> None:
    found = of(*[NAN] * FRAMES)
    assert np.isnan([*means(found), found.spread[0, 0], found.step[0, 0]]).all()
    assert (found.climb[0, 0], found.fall[0, 0]) == (0.0, 0.0)
    assert (found.missing[0, 0], found.missing_recent[0, 0]) == (1.0, 1.0)


def test_large_values_without_own_units_do_not_overflow() -> None:
    found = of(*(1e18 * (-1) ** k for k in range(FRAMES)))
    for name in WindowStatistics.__slots__:
        assert np.isfinite(getattr(found, name)).all(), name


def holed(rows: int, metrics: int, seed: int) -> Floats:
    random = np.random.default_rng(seed)
    window = random.normal(size=(rows, metrics, FRAMES)).astype(np.float32)
    window[random.random(window.shape) < 0.02] = NAN
    window[:: max(2, rows // 3)] = random.normal(size=(metrics, FRAMES))
    return window


def statistics(window: Floats) -> WindowStatistics:
    metrics = window.shape[1]
    centre = np.broadcast_to(np.linspace(-1, 1, metrics, dtype=np.float32), window.shape[:2])
    scale = np.broadcast_to(np.linspace(0.5, 2, metrics, dtype=np.float32), window.shape[:2])
    return window_statistics(window, centre, scale)


@pytest.mark.parametrize("metrics", [1, 3, 32])
def test_a_row_gives_the_same_bits_alone_and_in_any_company(metrics: int) -> None:
    window = holed(17, metrics, metrics)
    together = statistics(window)
    for row in range(len(window)):
        alone = statistics(window[[row]])
        for name in WindowStatistics.__slots__:
            assert getattr(alone, name).tobytes() == getattr(together, name)[..., [row], :].tobytes(), (row, name)


def test_the_window_is_not_changed() -> None:
    window = holed(4, 2, 0)
    before = window.tobytes()
    statistics(window)
    assert window.tobytes() == before


@pytest.mark.parametrize("metrics", [0, 3])
def test_no_rows_give_no_statistics(metrics: int) -> None:
    assert statistics(np.empty((0, metrics, FRAMES), np.float32)).means.shape == (len(SPANS), 0, metrics)
