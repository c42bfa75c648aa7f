"""How samples arrive: clocks that are off, late frames, and what a recording lacks of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from experiments.fleet import Delivery, Fleet, FleetRecording, FleetSpec
from experiments.fleet.delivery import IN_TIME, LATE_MAX, Arrival, delays, too_late
from infra.fleet_source import FleetSource
from models.limits import INTERVALS_LATE_MAX

SPEC = FleetSpec(nodes=40, seed=3, interval_s=10.0, late_share=0.1, skew_s=0.5)
STEPS = 200


def delivered(spec: FleetSpec, steps: int = STEPS) -> list[list[Arrival]]:
    fleet, delivery = Fleet(spec), Delivery(spec)
    return [delivery.due(step, next(fleet)) for step in range(steps)]


def test_in_order_every_sample_comes_at_its_step_with_its_time() -> None:
    spec = replace(SPEC, late_share=0.0, skew_s=0.0)
    samples = Fleet(spec).block(20)
    for step, arrivals in enumerate(delivered(spec, 20)):
        assert [one.row for one in arrivals] == np.flatnonzero(~np.isnan(samples[step]).all(axis=1)).tolist()
        assert {one.ts_s for one in arrivals} == {step * 10.0}
        assert all(one.values.tobytes() == samples[step, one.row].tobytes() for one in arrivals)


def test_every_sample_comes_once_and_as_it_was_however_late() -> None:
    samples = Fleet(SPEC).block(STEPS)
    arrivals = [one for step in delivered(SPEC, STEPS + LATE_MAX) for one in step if one.step < STEPS]
    assert len({(one.row, one.step) for one in arrivals}) == len(arrivals)
    assert len(arrivals) == (~np.isnan(samples).all(axis=2)).sum()
    assert all(one.values.tobytes() == samples[one.step, one.row].tobytes() for one in arrivals)


def test_a_late_sample_comes_behind_newer_ones_of_its_node() -> None:
    overtaken, newest = 0, np.full(SPEC.nodes, -1)
    for step, arrivals in enumerate(delivered(SPEC)):
        assert len(arrivals) >= 20
        for one in arrivals:
            assert step - LATE_MAX <= one.step <= step
            overtaken += one.step < newest[one.row]
            newest[one.row] = max(newest[one.row], one.step)
    assert overtaken > 0.05 * SPEC.nodes * STEPS


def test_as_many_are_late_as_was_asked_for_and_half_of_them_by_one_interval() -> None:
    late = np.stack([delays(SPEC, step) for step in range(1_000)])
    assert (late > 0).mean() == pytest.approx(SPEC.late_share, abs=0.01)
    assert (late == 1).sum() / (late > 0).sum() == pytest.approx(0.5, abs=0.05)
    assert (late <= INTERVALS_LATE_MAX)[late > 0].mean() == pytest.approx(IN_TIME, abs=0.05)
    assert late.max() <= LATE_MAX


def test_clocks_are_off_by_node_and_keep_their_rate() -> None:
    stamps = np.full((STEPS, SPEC.nodes), np.nan)
    for arrivals in delivered(SPEC, STEPS):
        for one in arrivals:
            stamps[one.step, one.row] = one.ts_s
    off = stamps - 10.0 * np.arange(STEPS)[:, None]
    assert np.nanstd(np.nanmean(off, axis=0)) == pytest.approx(SPEC.skew_s, rel=0.4)
    drifted = np.nanmax(off, axis=0) - np.nanmin(off, axis=0)
    assert drifted.max() < 10 * STEPS * 1e-4
    assert drifted.min() > 0
    assert (np.diff(stamps, axis=0)[~np.isnan(np.diff(stamps, axis=0))] > 0).all()


def test_what_comes_too_late_for_a_window_is_missing_in_a_recording_and_nothing_else_is() -> None:
    samples = Fleet(SPEC).block(600)
    recorded = np.concatenate(list(FleetRecording(SPEC).blocks(600)))
    gone = too_late(SPEC, 0, 600)
    assert gone.mean() == pytest.approx(SPEC.late_share * (1 - IN_TIME), abs=0.01)
    assert np.isnan(recorded[gone]).all()
    assert recorded[~gone].tobytes() == samples[~gone].tobytes()


def test_delivery_changes_no_sample() -> None:
    plain = replace(SPEC, late_share=0.0, skew_s=0.0)
    assert Fleet(SPEC).block(100).tobytes() == Fleet(plain).block(100).tobytes()


@pytest.mark.parametrize("wrong", [{"late_share": 1.2}, {"skew_s": -0.1}, {"skew_s": 10.0}])
def test_nonsense_is_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        replace(SPEC, **wrong)  # type: ignore[arg-type]


def frames(disorder: bool) -> list[list[tuple[str, float, int, bytes]]]:
    source = FleetSource(30, 1_800_000_000.0, 2.0, with_history=False, disorder=disorder)
    moments = source.live(1_800_000_000.0)
    return [
        [(frame.node, frame.ts, frame.seq, frame.row.tobytes()) for frame in next(moments).take()]  # type: ignore[union-attr]
        for _ in range(150)
    ]


def test_a_source_with_disorder_sends_the_same_samples_in_another_order_with_other_stamps() -> None:
    ordered, disordered = frames(disorder=False), frames(disorder=True)
    by_step = {(node, seq): (ts, row) for moment in ordered for node, ts, seq, row in moment}
    met = [(by_step[node, seq], ts, row) for moment in disordered for node, ts, seq, row in moment]
    assert all(row == kept for (_, kept), _, row in met)
    assert all(abs(ts - stamp) < 1.0 for (stamp, _), ts, _ in met)
    assert any(ts != stamp for (stamp, _), ts, _ in met)
    assert all(seq == step for step, moment in enumerate(ordered) for _, _, seq, _ in moment)
    late = [step - seq for step, moment in enumerate(disordered) for _, _, seq, _ in moment if seq < step]
    assert late
    assert len(met) >= len(by_step) - 30 * LATE_MAX


def test_a_recording_is_of_the_very_samples_that_a_source_sends() -> None:
    """What the producers send, put in its place by step, is the recording, but for what comes too late for a window."""
    source = FleetSource(30, 1_800_000_000.0, 2.0, with_history=False, disorder=True)
    spec = source.spec
    recorded = np.concatenate(list(FleetRecording(spec).blocks(150)))
    rows = {name: row for row, name in enumerate(spec.names)}
    sent = np.full_like(recorded, np.nan)
    moments = source.live(1_800_000_000.0)
    for step in range(150 + LATE_MAX):
        for frame in next(moments).take():
            if frame.seq < 150 and step - frame.seq <= INTERVALS_LATE_MAX:
                sent[frame.seq, rows[frame.node]] = frame.row  # type: ignore[union-attr]
    assert sent.tobytes() == recorded.tobytes()


def test_shards_of_a_recording_are_parts_of_it() -> None:
    spec = replace(SPEC, nodes=150)
    whole = np.concatenate(list(FleetRecording(spec).blocks(100)))
    parts = [np.concatenate(list(FleetRecording(spec, (number, 2)).blocks(100))) for number in range(2)]
    assert np.concatenate(parts, axis=1).tobytes() == whole.tobytes()
