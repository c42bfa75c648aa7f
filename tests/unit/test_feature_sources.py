"""Which metric a pooled feature was taken from, and the last transitions of each metric."""

from __future__ import annotations

import numpy as np
import pytest

from models.cohort import Cohort
from models.explaining.sources import NOBODY, feature_sources
from models.explaining.transitions import Transition, TransitionWatch, state_range
from models.features import FEATURE_NAMES
from models.limits import MARKOV_PRIOR, MARKOV_STATES, MARKOV_WINDOW, RANGE_FRAMES

GAUGES = (*(f"gpu{i}.temp_c" for i in range(4)), "power_w", "mem_used", "m07")
COUNTERS = ("gpu0.ecc_total", "gpu1.ecc_total", "link_crc_total")
METRICS = tuple(sorted(GAUGES + COUNTERS))
COUNTED = tuple(metric in COUNTERS for metric in METRICS)
ROW = np.array([0])
T = 1_700_000_000.0


class Node:
    """One node whose metrics a test sets frame by frame."""

    def __init__(self, seed: int = 1) -> None:
        self.cohort = Cohort(METRICS, COUNTED)
        self.cohort.add()
        self.random = np.random.default_rng(seed)
        self.totals = dict.fromkeys(COUNTERS, 0.0)
        self.ts = T
        self.watch = TransitionWatch()

    def frames(self, count: int, **add: float) -> Node:
        """So many frames of noise; what is added to a metric is named by its letters alone."""
        more = {metric: add.get(metric.replace(".", "_"), 0.0) for metric in METRICS}
        for _ in range(count):
            self.ts += 1.0
            for metric in COUNTERS:
                self.totals[metric] += more[metric]
            values = [self.totals[m] if m in COUNTERS else 60.0 + self.random.normal(0, 1.0) + more[m] for m in METRICS]
            self.watch.begin(self.cohort, 0)
            self.cohort.advance(ROW, np.array([self.ts]), np.array([values]))
            self.watch.note(self.cohort, 0, self.ts)
        return self

    def source(self, feature: str) -> str | None:
        place = int(feature_sources(self.cohort, 0)[FEATURE_NAMES.index(feature)])
        return None if place == NOBODY else METRICS[place]


@pytest.fixture(scope="module")
def warm() -> Node:
    return Node().frames(RANGE_FRAMES + 20)


def test_there_is_one_for_each_feature(warm: Node) -> None:
    found = feature_sources(warm.cohort, 0)
    assert len(found) == len(FEATURE_NAMES)
    assert found.min() >= NOBODY
    assert found.max() < len(METRICS)


def test_what_is_hot_is_named_in_every_feature_of_heat() -> None:
    node = Node().frames(RANGE_FRAMES + 20).frames(5, gpu2_temp_c=30.0)
    hot = [f"thermal.{what}" for what in ("high3", "high6", "climb", "spread", "step")]
    for feature in [*hot, "temperature.off1", "temperature.off3"]:
        assert node.source(feature) == "gpu2.temp_c", feature
    second = node.source("thermal.second_high6")
    assert second != "gpu2.temp_c"
    assert second in GAUGES[:4]
    deviation = dict(zip(METRICS, node.cohort.chains.deviation(ROW)[0], strict=True))
    assert node.source("thermal.deviation") == max(GAUGES[:4], key=deviation.__getitem__)
    assert node.source("node.deviation") == max(METRICS, key=deviation.__getitem__)


def test_what_falls_is_named_where_lows_are_pooled() -> None:
    node = Node().frames(RANGE_FRAMES + 20).frames(5, power_w=-30.0)
    assert {node.source(f"power.{what}") for what in ("low3", "fall")} == {"power_w"}
    assert node.source("power.off1") == "power_w", "of either sign"


def test_counted_events_are_put_down_to_their_counters() -> None:
    node = Node().frames(RANGE_FRAMES + 20).frames(1, gpu1_ecc_total=5.0, gpu0_ecc_total=1.0)
    assert node.source("memory_errors.most3") == "gpu1.ecc_total"
    assert node.source("memory_errors.rest3") == "gpu0.ecc_total"
    assert node.source("memory_errors.moved3") == "gpu1.ecc_total"
    assert node.source("link.most3") is None, "nothing was counted there"


def test_what_is_of_the_node_or_of_nobody_has_none(warm: Node) -> None:
    for feature in ("node.missing", "node.gone4", "node.far", "node.stay", "node.held", "disk.high3", "fan.off1"):
        assert warm.source(feature) is None, feature
    assert warm.source("power.second_high6") is None, "there is one metric of power"
    assert warm.source("power.high3") == "power_w"


def test_before_a_metric_has_own_units_it_is_named_nowhere() -> None:
    node = Node().frames(20)
    assert {node.source(name) for name in FEATURE_NAMES if not name.startswith("node.")} == {None}


@pytest.mark.parametrize("seed", range(3))
def test_the_metric_alone_gives_the_feature(seed: int) -> None:
    """Of a group's features those pooled by the largest are just what the named metric shows by itself."""
    node = Node(seed).frames(RANGE_FRAMES + 30).frames(3, gpu1_temp_c=seed * 4.0)
    features = node.cohort.features(ROW)[0]
    alone = {}
    for metric in GAUGES:
        rows = [METRICS.index(metric)]
        other = Cohort((metric,), (False,))
        other.add()
        for name, array in other.arrays().items():
            known = node.cohort.arrays()[name]
            if not name.startswith(("detector.", "evidence.")):
                array[0] = known[0] if known[0].shape == array[0].shape else known[0][rows]
        alone[metric] = other.features(ROW)[0]
    checked = 0
    for at, name in enumerate(FEATURE_NAMES):
        group, _, statistic = name.partition(".")
        metric = node.source(name)
        if group in {"thermal", "power", "memory"} and not statistic.startswith(("second", "off")):
            assert metric is not None, name
            np.testing.assert_allclose(alone[metric][at], features[at], rtol=1e-6, err_msg=name)
            checked += 1
    assert checked == 3 * 15


def told(node: Node, most: int = 1_000) -> list[Transition]:
    return node.watch.most_improbable(node.cohort, 0, most)


def test_a_jump_out_of_the_usual_range_is_the_most_improbable_transition() -> None:
    node = Node().frames(RANGE_FRAMES + 100).frames(1, gpu3_temp_c=30.0)
    first, *others = told(node)
    assert (first.metric, first.target, first.at) == ("gpu3.temp_c", MARKOV_STATES - 1, node.ts)
    assert first.p < 0.1
    assert [one.p for one in others] == sorted(one.p for one in others)
    assert len(told(node, 4)) == 4


def test_the_probabilities_are_those_of_the_chain_before_the_transition() -> None:
    """Counted by hand: visits of each state before, smoothed, forgotten by nobody within so few frames."""
    node, counts = Node(), np.zeros((MARKOV_STATES, MARKOV_STATES))
    column, moves, last = METRICS.index("power_w"), [], -1
    for _ in range(RANGE_FRAMES + 60):
        node.frames(1)
        state = int(node.cohort.chains.last[0, column])
        if last >= 0 and state >= 0:
            row = counts[last] + MARKOV_PRIOR
            moves.append((node.ts, last, state, row[state] / row.sum()))
            counts[last, state] += 1
        last = state
    found = sorted((t.at, t.source, t.target, t.p) for t in told(node) if t.metric == "power_w")
    assert [one[:3] for one in found] == [one[:3] for one in moves[-MARKOV_WINDOW:]]
    np.testing.assert_allclose([one[3] for one in found], [one[3] for one in moves[-MARKOV_WINDOW:]], rtol=1e-5)


def test_a_state_lies_where_its_values_are() -> None:
    node = Node().frames(RANGE_FRAMES + 50)
    column = METRICS.index("mem_used")
    low, high = state_range(node.cohort, 0, column, int(node.cohort.chains.last[0, column]))
    value = node.cohort.state["window"][0, column, -1] * node.cohort.state["unit"][0, column]
    value += node.cohort.state["anchor"][0, column]
    assert (-np.inf if low is None else low) - 1e-3 <= value <= (np.inf if high is None else high) + 1e-3
    ends = [state_range(node.cohort, 0, column, state) for state in range(MARKOV_STATES)]
    assert ends[0][0] is None
    assert ends[-1][1] is None
    assert [one[1] for one in ends[:-1]] == [one[0] for one in ends[1:]]


def test_metrics_that_come_later_have_no_transition_from_before() -> None:
    watch, node = TransitionWatch(), Node().frames(RANGE_FRAMES + 20)
    assert watch.most_improbable(node.cohort, 0, 5) == []
    watch.note(node.cohort, 0, T)
    assert watch.most_improbable(node.cohort, 0, 5) == [], "nothing was begun"
