"""The simulated fleet as a source: where its past ends, and that its fault begins when the wait is over."""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np
import pytest

from connectors.ports import Moment, RowFrame
from experiments.fleet import FleetSpec
from infra.fleet_source import (
    HISTORY_FRAMES_MAX,
    LEAD_S,
    ONSET_S,
    FleetSource,
    failing_node,
    history_steps,
)

START = 1_800_000_000.0


def rows(moment: Moment) -> list[RowFrame]:
    return [frame for frame in moment.take() if isinstance(frame, RowFrame)]


@pytest.mark.parametrize("nodes", [1, 3, 16, 1_000])
def test_the_past_is_bounded(nodes: int) -> None:
    steps = history_steps(nodes)
    assert 0 < steps * nodes <= HISTORY_FRAMES_MAX
    assert steps <= 1500


def test_live_follows_the_past_without_gap_or_overlap() -> None:
    source = FleetSource(400, START, interval_s=2.0)
    past = [moment.ts for moment in source.history() if rows(moment) or True]
    live = list(itertools.islice(source.live(START), 3))
    assert past[-1] == START - 2.0
    assert np.diff(past).tolist() == [2.0] * (len(past) - 1)
    assert live[0].ts == START


def test_live_moments_are_due_when_they_are_stamped() -> None:
    source = FleetSource(4, START, interval_s=0.5, with_history=False)
    assert list(source.history()) == []
    seen = []
    for moment in itertools.islice(source.live(START), 4):
        seen.append((moment.ts - START, moment.due_s))
        moment.take()
    assert seen == [(0.0, 0.0), (0.5, 0.5), (1.0, 1.0), (1.5, 1.5)]


def test_its_present_cannot_begin_elsewhere_than_its_past_ends() -> None:
    with pytest.raises(ValueError, match="ends at"):
        next(FleetSource(4, START).live(START + 1))
    assert next(FleetSource(4, START, with_history=False).live(START + 1)).ts == START + 1


def test_a_silent_node_gives_no_frame_and_a_lost_value_is_nan() -> None:
    source = FleetSource(200, START)
    past = [rows(moment) for moment in source.history()]
    assert any(len(frames) < 200 for frames in past), "some samples are lost"
    assert all(not np.isnan(frame.row).all() for frames in past for frame in frames)
    assert any(np.isnan(frame.row).any() for frames in past for frame in frames)


def test_two_runs_give_the_same_samples() -> None:
    first, second = (
        [(f.node, f.row.tobytes()) for m in FleetSource(40, START).history() for f in rows(m)] for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize("waited", [0, 1, 37, 64, 130])
def test_the_fault_begins_after_the_release_and_not_before(waited: int) -> None:
    source = FleetSource(8, START, with_history=False)
    moments = source.live(START)
    for moment in itertools.islice(moments, waited):
        moment.take()
    source.release()
    failure = START + waited + ONSET_S + LEAD_S
    seen = defaultdict(list)
    for moment in itertools.islice(moments, round(ONSET_S + LEAD_S) + 30):
        for frame in rows(moment):
            seen[frame.node].append(frame.ts)
    assert failure - 5 < max(seen["n02"]) < failure
    assert max(seen["n03"]) >= failure + 20


@pytest.mark.parametrize("waited", [5, 63, 64, 90])
def test_until_the_fault_begins_every_sample_is_as_without_it(waited: int) -> None:
    def samples(release_at: int | None) -> list[list[tuple[str, float, bytes]]]:
        source = FleetSource(8, START, with_history=False)
        found = []
        for step, moment in enumerate(itertools.islice(source.live(START), waited + round(ONSET_S) + 20)):
            if step == release_at:
                source.release()
            found.append([(frame.node, frame.ts, frame.row.tobytes()) for frame in rows(moment)])
        return found

    calm, failing = samples(None), samples(waited)
    onset = waited + round(ONSET_S)
    assert failing[:onset] == calm[:onset]
    assert failing[onset:] != calm[onset:]
    others = [[frame for frame in moment if frame[0] != "n02"] for moment in failing]
    assert others == [[frame for frame in moment if frame[0] != "n02"] for moment in calm]


def test_a_moment_that_waited_for_the_release_is_of_the_new_fleet() -> None:
    source = FleetSource(4, START, with_history=False)
    moments = source.live(START)
    pending = next(moments)
    source.release()
    pending.take()
    assert next(moments).ts == START + 1.0


@pytest.mark.parametrize(("nodes", "name"), [(1, "n00"), (2, "n01"), (3, "n02"), (16, "n02")])
def test_the_third_node_fails_or_the_last_of_fewer(nodes: int, name: str) -> None:
    assert failing_node(FleetSpec(nodes=nodes).names) == name
