"""Scores without point-adjustment, the peers, and the trials of a lasting fault and a quiet fleet."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from experiments.detection.folder import Half, Machine
from experiments.detection.peers import scores, transitions
from experiments.detection.protocol import (
    average_precision,
    episodes,
    events,
    lowest_threshold,
    mean,
    score_machine,
)
from experiments.detection.trials import inject, lasting, span, summary


def flags(*ones: int, length: int = 400) -> np.ndarray:
    out = np.zeros(length, bool)
    out[list(ones)] = True
    return out


@pytest.mark.parametrize("seed", range(5))
def test_auc_pr_is_the_average_precision_of_scikit_learn_ties_included(seed: int) -> None:
    draw = np.random.default_rng(seed)
    label, score = draw.random(500) < 0.1, np.round(draw.random(500), 1 + seed % 3)
    assert average_precision(label, score) == pytest.approx(average_precision_score(label, score))


def test_events_are_runs_of_labels_also_at_the_ends() -> None:
    assert events(flags(0, 1, 7, 399)) == [(0, 2), (7, 8), (399, 400)]


def test_an_alarm_latches_and_fires_again_while_still_over() -> None:
    assert episodes(np.ones(150, bool), 60) == [0, 60, 120]
    assert episodes(flags(10, 30, 69, 70), 60) == [10, 70]


def test_one_hit_recalls_its_event_only_and_marks_no_other_row() -> None:
    label = flags(*range(100, 110), *range(200, 210))
    over = flags(105, 300)
    found = score_machine(label, over.astype(float), over, 60.0)
    assert (found.event_recall, found.event_precision) == (0.5, 0.5)
    assert found.false_per_day == pytest.approx(1 / (400 / 1440))
    assert found.auc_pr < 0.15


def test_an_alarm_whose_latch_reaches_into_an_event_is_true_only_if_it_is_still_over_there() -> None:
    label = flags(*range(100, 110))
    assert score_machine(label, np.zeros(400), flags(80, 104), 60.0).false_per_day == 0
    early = score_machine(label, np.zeros(400), flags(80), 60.0)
    assert early.false_per_day > 0
    assert early.event_recall == 0


def test_the_latch_is_an_hour_at_any_interval() -> None:
    over = np.ones(48, bool)
    assert score_machine(flags(length=48), np.zeros(48), over, 300.0).false_per_day == pytest.approx(4 / (4 / 24))


def test_a_machine_without_events_counts_for_its_false_alarms_only() -> None:
    none = score_machine(flags(), np.zeros(400), flags(5), 60.0)
    some = score_machine(flags(5), flags(5).astype(float), flags(5), 60.0)
    told = mean([none, some])
    assert told["auc_pr"] == told["event_recall"] == 1.0
    assert told["false_episodes_per_day"] == pytest.approx(none.false_per_day / 2, abs=1e-3)


def test_the_threshold_is_the_lowest_with_at_most_one_episode_a_day() -> None:
    score = np.random.default_rng(2).random(10 * 1440)
    bar = lowest_threshold(score, 60.0)
    assert len(episodes(score > bar, 60)) <= 10
    lower = np.sort(score[score < bar])[-40]
    assert len(episodes(score > lower, 60)) > 10


def machine(rows: int = 2000, metrics: int = 8) -> Machine:
    draw = np.random.default_rng(3)
    train, test = draw.normal(size=(2, rows, metrics)) * (1 + np.arange(metrics))
    train[:, 0] = test[:, 0] = 4.0
    test[900:920, 4:] += 60.0
    label = np.zeros(rows, bool)
    label[900:920] = True
    seconds = np.full(rows, 300.0)
    return Machine("a", tuple(f"m{m}" for m in range(metrics)), Half(train, seconds), Half(test, seconds), label)


def test_every_peer_but_chance_finds_what_is_plain_and_none_needs_all_values() -> None:
    one = machine()
    one.test.values[5:9, 2] = np.nan
    one.train.values[:, 1] = one.test.values[:, 1] = np.nan
    found = scores(one, 1400, 300.0, seed=1)
    assert len(found) == 7
    for name, score in found.items():
        assert np.isfinite(score).all(), name
        got = average_precision(one.label, score[2000:])
        assert (got > 0.5) is (name != "random"), (name, got)


def test_peers_score_by_the_past_only() -> None:
    """What comes later changes no score before it."""
    whole, cut = machine(), machine()
    cut.test.values[1500:] += 1000.0
    before, after = scores(whole, 1400, 300.0, 1), scores(cut, 1400, 300.0, 1)
    for name in before:
        np.testing.assert_array_equal(before[name][:3500], after[name][:3500], err_msg=name)


def test_a_seed_makes_a_peer_and_another_seed_another() -> None:
    one = machine()
    first, again, other = (scores(one, 1400, 300.0, seed) for seed in (1, 1, 2))
    for name in ("isolation forest", "random"):
        np.testing.assert_array_equal(first[name], again[name])
        assert (first[name] != other[name]).any()


def test_a_value_never_seen_has_a_state_outside() -> None:
    values = np.tile([[1.0], [2.0]], (200, 1))
    values[350:360] = 50.0
    score = transitions(values, 300)
    assert score[352] > 3 * score[:340].max()


@pytest.mark.parametrize("kind", ["step", "ramp"])
def test_a_lasting_fault_lies_on_the_six_widest_metrics_for_four_days(kind: str) -> None:
    one = machine()
    during = span(one, 300.0)
    assert (during.start, during.stop) == (500, 500 + 4 * 288)
    added = inject(one, kind, 300.0) - one.test.values
    assert np.flatnonzero(added.any(axis=0)).tolist() == [2, 3, 4, 5, 6, 7]
    assert not added[: during.start].any()
    assert not added[during.stop :].any()
    np.testing.assert_allclose(added[during.stop - 1, 2:], 10 * one.train.values[:, 2:].std(axis=0))
    quarter = added[during.start + 71, 2:] / added[during.stop - 1, 2:]
    np.testing.assert_allclose(quarter, 1.0 if kind == "step" else 0.25)


def test_a_short_half_ends_the_fault() -> None:
    assert span(machine(rows=400), 300.0) == slice(100, 400)


def incidents(*spans: tuple[int, int], length: int = 1000) -> np.ndarray:
    out = np.zeros(length, np.int64)
    for number, (start, end) in enumerate(spans, start=1):
        out[start:end] = number
    return out


def test_what_is_told_of_a_lasting_fault() -> None:
    during = slice(100, 500)
    told = lasting(incidents((106, 600)), during, "step", 300.0)
    assert told == {"hours": 0.5, "covered": 1.0, "incidents": 1.0, "open_before": 0.0}
    told = lasting(incidents((90, 200), (300, 500)), during, "step", 300.0)
    assert (told["hours"], told["incidents"], told["open_before"]) == (0.0, 2.0, 1.0)
    assert told["covered"] == pytest.approx(1 - 100 / 388)


def test_a_fault_never_noticed_is_told_so() -> None:
    told = lasting(incidents((600, 700)), slice(100, 388), "ramp", 300.0)
    assert told == {"hours": 24.0, "covered": 0.0, "incidents": 0.0, "open_before": 0.0}


def test_the_summary_is_the_median_and_the_worse_of_both_kinds() -> None:
    def each(hours: float, covered: float, incidents: float) -> dict[str, float]:
        return {"hours": hours, "covered": covered, "incidents": incidents, "open_before": 0.0}

    step = [each(0.0, 1.0, 1.0)] * 3
    ramp = [each(2.0, 0.9, 1.0), each(3.0, 0.8, 2.0), each(50.0, 0.1, 2.0)]
    told = summary({"step": step, "ramp": ramp})
    assert told == {"step_hours": 0.0, "ramp_hours": 3.0, "covered": 0.8, "incidents": 2.0, "open_before": 0.0}
