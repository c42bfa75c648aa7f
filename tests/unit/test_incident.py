"""Incidents: how suspicion opens, is latched, and closes."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from models.incident import IncidentSettings, Latch

SETTINGS = IncidentSettings(theta=0.5, open_frames=3, close_frames=5, change_min=0.1)


def run(latch: Latch, probabilities: Iterable[float]) -> list[str]:
    """What became of the latch at each frame; an opened incident is named, a closed one let go, as the fold does."""
    told = []
    for probability in probabilities:
        transition = latch.advance(probability, SETTINGS)
        told.append(transition or "-")
        if transition == "opened":
            latch.incident = "i1"
        if transition == "closed":
            latch.incident = None
    return told


def test_it_opens_after_enough_frames_in_a_row() -> None:
    assert run(Latch(), [0.9, 0.9, 0.9]) == ["-", "-", "opened"]


def test_one_calm_frame_begins_the_count_anew() -> None:
    assert run(Latch(), [0.9, 0.9, 0.1, 0.9, 0.9, 0.5]) == ["-"] * 5 + ["opened"]


def test_theta_itself_is_suspicious() -> None:
    assert run(Latch(), [0.5] * 3)[-1] == "opened"
    assert run(Latch(), [0.4999] * 30) == ["-"] * 30


def test_it_closes_only_below_half_of_theta_and_only_in_a_row() -> None:
    latch = Latch()
    run(latch, [0.9] * 3)
    assert "closed" not in run(latch, [0.3] * 50), "between θ/2 and θ it is latched"
    assert "closed" not in run(latch, [0.2, 0.2, 0.2, 0.2, 0.26] * 10)
    assert run(latch, [0.24] * 5)[-1] == "closed"


def test_a_wavering_probability_is_one_incident() -> None:
    latch = Latch()
    told = run(latch, [0.9, 0.9, 0.9, *[0.3, 0.6, 0.2, 0.55] * 20])
    assert told.count("opened") == 1
    assert "closed" not in told


def test_a_change_is_told_once_and_only_when_it_is_worth_it() -> None:
    latch = Latch()
    run(latch, [0.6] * 3)
    assert run(latch, [0.65, 0.69, 0.71, 0.72, 0.8, 0.82]) == ["-", "-", "changed", "-", "-", "changed"]


def test_each_word_of_an_incident_has_its_own_number() -> None:
    latch = Latch()
    serials = []
    for probability in [0.6, 0.6, 0.6, 0.9, 0.7, *[0.1] * 5]:
        if run(latch, [probability]) != ["-"]:
            serials.append(latch.serial)
    assert serials == [0, 1, 2, 3, 4]


def test_a_closed_incident_may_open_again_from_nought() -> None:
    latch = Latch()
    run(latch, [0.9] * 3 + [0.1] * 5)
    assert (latch.incident, latch.run) == (None, 0)
    assert run(latch, [0.9] * 3) == ["-", "-", "opened"]
    assert latch.serial == 0


@pytest.mark.parametrize("frames", [1, 4])
def test_opening_takes_as_many_frames_as_are_set(frames: int) -> None:
    latch, settings = Latch(), IncidentSettings(open_frames=frames)
    told = [latch.advance(0.9, settings) for _ in range(frames)]
    assert told == [None] * (frames - 1) + ["opened"]


def told_of(latch: Latch, frames: Iterable[tuple[float, bool]]) -> list[str]:
    """As ``run``, of (probability, anomalous); with the reason behind each change."""
    told = []
    for probability, anomalous in frames:
        transition = latch.advance(probability, SETTINGS, anomalous=anomalous)
        told.append(f"{transition} by {latch.reason}" if transition else "-")
        if transition == "opened":
            latch.incident = "i1"
        if transition == "closed":
            latch.incident = None
    return told


def test_an_anomaly_opens_for_that_reason_and_closes_with_it() -> None:
    frames = [(0.0, False), (0.0, True), (0.0, True), (0.0, False), (0.0, False)]
    assert told_of(Latch(), frames) == ["-", "opened by anomaly", "-", "closed by anomaly", "-"]


def test_an_anomaly_becomes_a_claim_when_the_probability_rises_and_stays_one_incident() -> None:
    frames = [(0.0, True), (0.9, True), (0.9, True), (0.9, True), *[(0.0, True)] * 5, (0.0, False)]
    told = told_of(Latch(), frames)
    assert told[0] == "opened by anomaly"
    assert told[3] == "changed by probability"
    assert told[8] == "changed by anomaly"
    assert told[9] == "closed by anomaly"
    assert sum(each.startswith("opened") for each in told) == 1


def test_a_claim_is_not_closed_by_the_end_of_an_anomaly() -> None:
    frames = [(0.9, True)] * 4 + [(0.9, False)] * 10
    assert not any(each.startswith("closed") for each in told_of(Latch(), frames))


def test_a_claim_after_an_anomaly_of_the_past_is_a_claim() -> None:
    latch = Latch()
    told_of(latch, [(0.0, True), (0.0, False)])
    assert told_of(latch, [(0.9, False)] * 3)[-1] == "opened by probability"
