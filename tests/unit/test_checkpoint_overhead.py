"""Checkpoints above a fifth of a job's time: too many of them, or each takes too long; else nothing is said."""

from __future__ import annotations

from typing import Any

import pytest

from models.diagnostics import CAUSES, Checkpoint, checkpoint_overhead
from models.diagnostics.checkpoint_overhead import CHECKPOINTS_MIN, OVERHEAD_MAX, WINDOW_S

MB = 1_000_000


def judged(
    every_s: float,
    cost_s: float,
    size: int | None = 500 * MB,
    *,
    wall_s: float = 1800.0,
    step_s: float = 0.5,
    mtbf_s: float = 86_400.0,
) -> Any:
    count = int(wall_s / every_s)
    made = [Checkpoint(every_s * (number + 0.5), cost_s, size) for number in range(count)]
    return checkpoint_overhead("llama", made, begun_at=0.0, now=wall_s, step_s=step_s, mtbf_s=mtbf_s)


def test_a_quick_one_much_too_often_is_the_rate() -> None:
    found = judged(every_s=5.0, cost_s=2.0)
    assert (found.holds, found.cause) == (True, "rate")
    assert found.numbers["of_time_ratio"] == pytest.approx(0.4)
    assert found.numbers["young_interval_seconds"] == pytest.approx((2 * 2.0 * 86_400) ** 0.5)
    assert found.since == 2.5
    assert "one each 588 s loses least" in found.saying


def test_one_that_takes_far_longer_than_its_bytes_should_is_the_serialisation() -> None:
    found = judged(every_s=60.0, cost_s=20.0)
    assert (found.holds, found.cause) == (True, "serialisation")
    assert "20.00 s for 500.0 MB" in found.saying


def test_where_even_the_best_rate_would_cost_a_fifth_it_is_the_serialisation() -> None:
    found = judged(every_s=300.0, cost_s=100.0, size=100_000 * MB, mtbf_s=500.0)
    assert found.numbers["young_of_time_ratio"] > OVERHEAD_MAX
    assert found.numbers["cost_seconds"] < found.numbers["expected_cost_seconds"]
    assert found.cause == "serialisation"


@pytest.mark.parametrize(("cost_s", "cause"), [(9.0, "rate"), (11.0, "serialisation")])
def test_where_bytes_are_not_told_the_steps_are_the_measure(cost_s: float, cause: str) -> None:
    found = judged(every_s=20.0, cost_s=cost_s, size=None)
    assert found.cause == cause
    assert "size_bytes" not in found.numbers


def test_every_cause_was_named() -> None:
    assert set(CAUSES["checkpoint-overhead"]) == {"rate", "serialisation"}


@pytest.mark.parametrize(("every_s", "cost_s"), [(60.0, 2.0), (60.0, 11.9), (5.0, 0.9)])
def test_below_a_fifth_is_quiet_whatever_it_is_made_of(every_s: float, cost_s: float) -> None:
    found = judged(every_s, cost_s)
    assert not found.holds
    assert found.since is None
    assert found.numbers["of_time_ratio"] == pytest.approx(cost_s / every_s)


def test_two_are_no_rate() -> None:
    made = [Checkpoint(float(at), 30.0, None) for at in range(CHECKPOINTS_MIN)]
    told: dict[str, Any] = {"begun_at": 0.0, "now": 60.0, "step_s": 0.1, "mtbf_s": 1e6}
    assert checkpoint_overhead("j", made, **told).holds
    assert not checkpoint_overhead("j", made[:-1], **told).holds


def test_only_the_last_hour_counts() -> None:
    old = [Checkpoint(float(at), 60.0, None) for at in range(0, 3600, 60)]
    told: dict[str, Any] = {"begun_at": 0.0, "step_s": 0.1, "mtbf_s": 1e6}
    assert checkpoint_overhead("j", old, now=3600.0, **told).holds
    assert not checkpoint_overhead("j", old, now=3600.0 + WINDOW_S, **told).holds


def test_two_at_one_time_of_which_one_told_its_bytes() -> None:
    made = [Checkpoint(5.0, 30.0, size) for size in (None, 7, None)]
    assert checkpoint_overhead("j", made, begun_at=0.0, now=60.0, step_s=0.1, mtbf_s=1e6).holds


def test_a_job_that_has_not_begun_says_nothing() -> None:
    made = [Checkpoint(5.0, 1.0, None)] * 5
    found = checkpoint_overhead("j", made, begun_at=10.0, now=10.0, step_s=0.1, mtbf_s=1e6)
    assert (found.holds, found.saying) == (False, "too few checkpoints yet")
