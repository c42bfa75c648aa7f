"""The script of a drill: by seed, a third of it sudden, late in Young's interval, and always with room."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.drill.script import (
    EACH_INTERVALS,
    LATE_MIN,
    LATEST,
    LEAD_SHARES,
    Strike,
    comes_late,
    latest_step,
    script_of,
    steps_needed,
)

SEEDS = st.integers(0, 2**32)
KILLS = st.integers(1, 60)


@given(SEEDS, KILLS, st.integers(2, 16), st.floats(1.0, 1000.0))
def test_a_script_follows_from_its_seed_and_a_third_of_it_is_sudden(
    seed: int, kills: int, ranks: int, interval_s: float
) -> None:
    script = script_of(kills, ranks, seed, interval_s)
    assert script == script_of(kills, ranks, seed, interval_s)
    assert sum(strike.sudden for strike in script) == kills // 3
    assert {strike.rank for strike in script} <= set(range(ranks))
    for strike in script:
        assert LATE_MIN <= strike.late < LATEST
        low, high = (interval_s * share for share in LEAD_SHARES)
        assert strike.sudden or low - 0.1 <= strike.lead_s <= high + 0.1


def test_another_seed_is_another_script() -> None:
    assert script_of(20, 4, 1, 16.0) != script_of(20, 4, 2, 16.0)


@given(SEEDS, KILLS, st.floats(20.0, 2000.0))
def test_every_kill_has_its_place_before_the_job_ends(seed: int, kills: int, interval_steps: float) -> None:
    """Even where each kill begins at the last moment there is time for its lead, and for a little more."""
    last = latest_step(kills - 1, interval_steps)
    assert last + LEAD_SHARES[1] * interval_steps + 0.2 * interval_steps < steps_needed(kills, interval_steps)
    begins = [latest_step(number, interval_steps) for number in range(kills)]
    assert all(later - sooner >= EACH_INTERVALS * interval_steps - 1 for sooner, later in pairwise(begins))


@given(st.floats(0.0, 5.0), st.floats(0.0, 2.0), st.floats(LATE_MIN, 0.9))
def test_a_strike_that_comes_late_kills_between_its_share_and_the_next_checkpoint(
    passed: float, lead: float, late: float
) -> None:
    share = (passed + lead) % 1.0
    assert comes_late(passed, lead, late) == (late <= share <= LATEST)


@pytest.mark.parametrize("passed", [0.0, 0.5, 0.97001, 0.9999])
def test_a_sudden_strike_waits_until_it_is_late(passed: float) -> None:
    assert not comes_late(passed, 0.0, 0.8)


def test_what_has_no_lead_is_sudden() -> None:
    assert Strike(rank=1, lead_s=0.0, late=0.8).sudden
    assert not Strike(rank=1, lead_s=0.1, late=0.8).sudden
