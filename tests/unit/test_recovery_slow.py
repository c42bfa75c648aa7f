"""A foreseen recovery that is slow: where its seconds went is split without a rest, and the largest part is named."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.diagnostics import CAUSES, Move, Recovery, recovery_slow
from models.diagnostics.recovery_slow import LOOKED_BACK_S, SLOW_S_MIN, spent

USUAL_S, THETA = 20.0, 0.5


def recovery(*moves: Move, ended_at: float | None = 100.0, probability: float = 0.9, **more: Any) -> Recovery:
    told = {"job": "llama", "node": "n3", "begun_at": 0.0, "probability": probability}
    return Recovery(**{**told, "moves": moves, "ended_at": ended_at, **more})


def judged(*recoveries: Recovery, now: float = 200.0) -> Any:
    return recovery_slow("llama", recoveries, now=now, usual_s=USUAL_S, theta=THETA)


MIGRATED = Move(issued_at=0.0, received_at=0.1, accepted_at=0.2, ended_at=2.0)
WAITED = recovery(MIGRATED, Move(issued_at=90.0, received_at=90.1, accepted_at=90.1, ended_at=100.0))
BUSY = recovery(MIGRATED, Move(issued_at=2.0, received_at=2.1, accepted_at=92.0, ended_at=100.0))
LATE = recovery(
    Move(issued_at=0.0, received_at=45.0, accepted_at=45.0, ended_at=47.0),
    Move(issued_at=47.0, received_at=95.0, accepted_at=95.0, ended_at=100.0),
)
SLOW = recovery(MIGRATED, Move(issued_at=2.0, received_at=2.1, accepted_at=2.1, ended_at=100.0))
#: Nothing was ordered yet, and nothing is done.
STILL_WAITS = recovery(MIGRATED, ended_at=None)
NOT_HEARD = recovery(Move(issued_at=0.0), ended_at=None)
INJECTED = [
    (WAITED, "contention"),
    (BUSY, "contention"),
    (STILL_WAITS, "contention"),
    (LATE, "state-lag"),
    (NOT_HEARD, "state-lag"),
    (SLOW, "effect"),
]


@pytest.mark.parametrize(("slow", "cause"), INJECTED)
def test_an_injected_cause_is_named(slow: Recovery, cause: str) -> None:
    found = judged(slow)
    assert (found.holds, found.cause, found.since) == (True, cause, 0.0)
    assert found.numbers["took_seconds"] >= 100.0
    assert found.numbers[f"{cause.replace('-', '_')}_seconds"] > 50.0
    assert "n3" in found.saying


def test_every_cause_was_injected() -> None:
    assert {cause for _, cause in INJECTED} == set(CAUSES["recovery-slow"])


@pytest.mark.parametrize(
    "well",
    [
        recovery(MIGRATED, Move(issued_at=2.0, received_at=2.1, accepted_at=2.1, ended_at=9.0), ended_at=9.0),
        recovery(MIGRATED, ended_at=2 * USUAL_S),
        recovery(*WAITED.moves, probability=0.4),  # nobody foresaw it, so it may be slow
    ],
)
def test_a_quick_or_an_unforeseen_one_is_quiet(well: Recovery) -> None:
    found = judged(well)
    assert not found.holds
    assert found.since is None
    assert found.numbers["recoveries"] == 1.0


def test_without_recoveries_there_is_nothing_to_say() -> None:
    found = judged()
    assert (found.holds, dict(found.numbers)) == (False, {"recoveries": 0.0, "usual_seconds": USUAL_S})


def test_what_is_over_for_an_hour_says_nothing_of_now() -> None:
    assert judged(WAITED, now=100.0 + LOOKED_BACK_S).holds
    assert not judged(WAITED, now=101.0 + LOOKED_BACK_S).holds


def test_a_short_one_is_not_slow_where_usual_is_next_to_nothing() -> None:
    quick = recovery(MIGRATED, ended_at=SLOW_S_MIN)
    assert not recovery_slow("llama", [quick], now=50.0, usual_s=0.01, theta=THETA).holds


def test_the_slowest_is_told_and_how_many_there_were_at_once() -> None:
    beside = recovery(MIGRATED, node="n4", ended_at=30.0)
    after = recovery(MIGRATED, node="n5", begun_at=150.0, ended_at=160.0)
    found = judged(beside, WAITED, after)
    assert found.numbers["together"] == 2.0
    assert "beside 1 more" in found.saying


TIMES = st.floats(0, 1000)


@given(
    st.lists(st.tuples(TIMES, st.none() | TIMES, st.none() | TIMES, st.none() | TIMES), max_size=4),
    TIMES,
)
def test_the_parts_are_never_negative_and_never_more_than_the_whole(
    told: list[tuple[float, float | None, float | None, float | None]], began: float
) -> None:
    """Whatever clocks say: moves in order of issue, stages in any order or missing."""
    moves = tuple(Move(issued_at=a, received_at=b, accepted_at=c, ended_at=d) for a, b, c, d in sorted(told, key=str))
    parts = spent(recovery(*moves, begun_at=began, ended_at=None), 2000.0)
    assert set(parts) == set(CAUSES["recovery-slow"])
    assert all(seconds >= 0.0 for seconds in parts.values())


def test_the_parts_add_up_to_the_whole() -> None:
    for one, _ in INJECTED:
        whole = (one.ended_at or 200.0) - one.begun_at
        assert sum(spent(one, 200.0).values()) == pytest.approx(whole)
