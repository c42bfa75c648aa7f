"""Parts of a history: no node and no time in two of them, and a clear word when there is too little."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.limits import RANGE_FRAMES
from models.training.history_split import (
    FAILURES_MIN,
    NODE_SHARES,
    PART_STEPS_MIN,
    TIME_SHARES,
    TooLittle,
    history_split,
    require_failures,
)
from models.training.recording import PARTS, require_apart

GAP = 180
STEPS = 6_000


@given(st.integers(8, 200), st.integers(2_940, 50_000), st.data())
def test_no_node_and_no_time_is_in_two_parts(nodes: int, steps: int, data: st.DataObject) -> None:
    failed = data.draw(st.lists(st.integers(0, nodes - 1), max_size=30))
    parts = history_split(failed, nodes, steps, GAP)
    require_apart(parts, GAP)
    assert [part.name for part in parts] == list(PARTS)
    assert sorted(np.concatenate([part.nodes for part in parts]).tolist()) == list(range(nodes))
    assert parts[-1].end <= steps
    assert min(part.end - part.first for part in parts) >= PART_STEPS_MIN - 1


def test_nodes_that_failed_are_in_every_part_and_so_are_the_others() -> None:
    failed = list(range(20))
    for part, share in zip(history_split(failed, 120, STEPS, GAP), NODE_SHARES, strict=True):
        own = set(part.nodes.tolist())
        assert len(own & set(failed)) == round(20 * share)
        assert len(own - set(failed)) == round(100 * share)


def test_shares_are_shares() -> None:
    assert sum(NODE_SHARES) == pytest.approx(1.0)
    assert sum(TIME_SHARES) == pytest.approx(1.0)


def test_too_few_nodes_are_told_with_what_is_needed() -> None:
    with pytest.raises(TooLittle, match="7 nodes; 8 are needed"):
        history_split([0], 7, STEPS, GAP)


def test_too_short_a_history_is_told_with_what_is_needed() -> None:
    with pytest.raises(TooLittle, match="1,000 sampling intervals; 2,940 are needed"):
        history_split([0], 40, 1_000, GAP)


def test_failures_enough_in_each_part_are_let_through() -> None:
    parts = history_split(list(range(40)), 40, STEPS, GAP)
    failures = [
        (int(part.nodes[0]), part.end - k)
        for part, least in zip(parts, FAILURES_MIN, strict=True)
        for k in range(least)
    ]
    require_failures(parts, failures)
    with pytest.raises(TooLittle, match="train holds 4 and needs 5"):
        require_failures(parts, failures[1:])


def test_a_failure_counts_only_on_a_node_of_the_part_in_its_time_and_once_it_is_warm() -> None:
    parts = history_split(list(range(40)), 40, STEPS, GAP)
    train, other = parts[0], parts[1]
    inside = [(int(train.nodes[0]), train.first + RANGE_FRAMES + k) for k in range(1, 6)]
    rest = [(int(p.nodes[0]), p.end - k) for p in parts[1:] for k in range(2)]
    require_failures(parts, inside + rest)
    for wrong in (
        (int(other.nodes[0]), train.end),
        (int(train.nodes[0]), other.end),
        (int(train.nodes[0]), train.first + RANGE_FRAMES),
    ):
        with pytest.raises(TooLittle, match=r"of 11 failures .*train holds 4 and needs 5"):
            require_failures(parts, [wrong, *inside[1:], *rest])


def test_every_part_that_lacks_is_named_and_how_many_it_takes_in_all() -> None:
    parts = history_split([], 40, STEPS, GAP)
    with pytest.raises(TooLittle) as told:
        require_failures(parts, [])
    for name, least in zip(PARTS, FAILURES_MIN, strict=True):
        assert f"{name} holds 0 and needs {least}" in str(told.value)
    assert "gather a longer history" in str(told.value)
