"""Transition deviation: surprise against what the chain itself expects, bounded below and above."""

from __future__ import annotations

import numpy as np
import pytest

from models.limits import (
    DEVIATION_MAX,
    MARKOV_MEMORY_VISITS,
    MARKOV_PRIOR,
    MARKOV_STATES,
    MARKOV_WINDOW,
)
from models.markov import Chains, node_deviation, quantise

ROW = np.array([0])


def feed(chains: Chains, *states: int) -> Chains:
    for state in states:
        chains.advance(ROW, np.array([[state]], np.int8))
    return chains


def deviation(chains: Chains) -> float:
    return float(chains.deviation(ROW)[0, 0])


def cycle(length: int, *states: int) -> list[int]:
    return [states[k % len(states)] for k in range(length)]


def test_states_are_equal_widths_over_the_range_and_one_more_on_either_side() -> None:
    values = np.array([[-0.001, 0.0, 0.124, 0.126, 0.999, 1.0, 1.001, np.nan]], np.float32)
    low, high = np.zeros((1, 1), np.float32), np.ones((1, 1), np.float32)
    assert quantise(values, low, high).tolist() == [[0, 1, 1, 2, 8, 8, 9, -1]]


@pytest.mark.parametrize("value", [-1e30, 1e30])
def test_far_values_are_the_states_out_of_range(value: float) -> None:
    zero, one = np.zeros((1, 1), np.float32), np.ones((1, 1), np.float32)
    assert quantise(np.full((1, 1), value, np.float32), zero, one)[0, 0] == (0 if value < 0 else MARKOV_STATES - 1)


def test_a_chain_says_nothing_until_its_window_is_full() -> None:
    chains = feed(Chains.empty(1, 1), *cycle(MARKOV_WINDOW, 1, 2))
    assert deviation(chains) == 0.0
    assert feed(chains, 9).surprises[0, 0, -1] > 0
    assert deviation(chains) != 0.0


def test_a_missing_value_is_no_transition() -> None:
    chains = feed(Chains.empty(1, 1), 3, -1, 4, -1, -1, 5)
    assert chains.counts.sum() == 0
    assert feed(chains, 6).counts[0, 0, 5, 6] == 1


def test_a_deterministic_chain_is_calm_sensitive_and_bounded() -> None:
    chains = feed(Chains.empty(1, 1), *cycle(2000, 1, 2, 3))
    calm = abs(deviation(chains))
    assert calm < 0.2
    feed(chains, 7)
    once = deviation(chains)
    assert once > 0.5 > 2 * calm, "one impossible step must be felt"
    feed(chains, *cycle(MARKOV_WINDOW, 9, 0, 5, 8))
    assert once < deviation(chains) <= DEVIATION_MAX
    assert np.isfinite(chains.surprises).all()


def test_the_smoothing_is_the_floor_of_a_probability() -> None:
    chains = feed(Chains.empty(1, 1), *cycle(5000, 1, 1))
    feed(chains, 5)
    steady = MARKOV_MEMORY_VISITS
    least = MARKOV_PRIOR / (steady + MARKOV_PRIOR * MARKOV_STATES)
    assert chains.surprises[0, 0, -1] == pytest.approx(-np.log(least), rel=1e-3)


def test_old_visits_are_forgotten_and_the_total_stays() -> None:
    chains = feed(Chains.empty(1, 1), *cycle(4000, 1, 1))
    assert chains.visits[0, 0, 1] == pytest.approx(MARKOV_MEMORY_VISITS, abs=1.5)
    chains = feed(Chains.empty(1, 1), *cycle(600, 1, 1), *cycle(6000, 2, 1))
    assert chains.counts[0, 0, 1, 1] < 1.0, "what it did long ago"
    assert chains.counts[0, 0, 1, 2] > MARKOV_MEMORY_VISITS - 2


def test_a_change_of_habit_is_felt_and_then_becomes_habit() -> None:
    chains = feed(Chains.empty(1, 1), *cycle(900, 1, 2))
    feed(chains, *cycle(MARKOV_WINDOW, 6, 5))
    assert deviation(chains) > 1.5
    feed(chains, *cycle(3000, 6, 5))
    assert abs(deviation(chains)) < 1.0


def test_the_entropy_rate_of_a_known_chain_is_learned() -> None:
    """From state 1 it goes on evenly to 1 or 2, from 2 always back: rate ⅔·ln 2 nats."""
    random = np.random.default_rng(0)
    states, state = [], 1
    for _ in range(6000):
        state = 1 if state == 2 else int(random.integers(1, 3))
        states.append(state)
    chains = feed(Chains.empty(1, 1), *states)
    visits = chains.visits[0, 0]
    rate = float((visits / visits.sum()) @ chains.expected[0, 0])
    floor = 0.09  # what the smoothing adds over so short a memory
    assert 2 / 3 * np.log(2) - 0.03 < rate < 2 / 3 * np.log(2) + floor
    assert abs(deviation(chains)) < 2.0


def test_an_ordinary_noisy_chain_stays_calm() -> None:
    random = np.random.default_rng(1)
    chains = Chains.empty(1, 1)
    seen = []
    for step in range(3000):
        feed(chains, int(np.clip(random.normal(4.5, 1.5), 1, 8)))
        if step > 1500:
            seen.append(deviation(chains))
    assert np.mean(np.abs(seen) > 3) < 0.01
    assert abs(np.mean(seen)) < 0.3


def test_rows_and_metrics_do_not_touch() -> None:
    random = np.random.default_rng(2)
    states = random.integers(-1, 10, (400, 6, 3)).astype(np.int8)
    together, rows = Chains.empty(6, 3), np.arange(6)
    for step in states:
        together.advance(rows, step)
    for row in range(6):
        alone = Chains.empty(1, 3)
        for step in states:
            alone.advance(ROW, step[[row]])
        for name, array in alone.arrays().items():
            assert array[0].tobytes() == together.arrays()[name][row].tobytes(), (row, name)
        assert alone.deviation(ROW).tobytes() == together.deviation(rows)[[row]].tobytes()


def test_a_nodes_deviation_is_the_mean_of_its_worst_three() -> None:
    assert node_deviation(np.array([[1.0, 9.0, -4.0, 6.0, 3.0]], np.float32)).tolist() == [6.0]
    assert node_deviation(np.array([[2.0]], np.float32)).tolist() == [2.0]
