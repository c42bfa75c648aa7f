"""Training whose loss is no number any more: what is told of it can still be read by everybody on the log."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from connectors.codecs.records import decode_event, encode_event
from connectors.errors import InvalidRecord
from infra.agent.rank_server import loss_of
from infra.observer.view import View
from infra.up.progress import status
from models.records import Progress
from tests.observed_story import BEGAN, EVENT, JOB, Story, progress

DIVERGED = Progress(id="p", job=JOB, node="n01", rank=0, at=BEGAN + 2, step=25, loss=None, step_s=0.1, load=0.2)


@pytest.mark.parametrize("told", [float("nan"), float("inf"), float("-inf"), None, "nan"])
def test_what_is_no_number_is_told_as_none(told: object) -> None:
    assert loss_of(told) is None


@pytest.mark.parametrize(("told", "loss"), [(0.25, 0.25), (3, 3.0), (0.0, 0.0), ("1.5", 1.5)])
def test_a_number_stays_one(told: object, loss: float) -> None:
    assert loss_of(told) == loss


@pytest.mark.parametrize("told", ["low", [1.0], {}])
def test_what_is_neither_is_a_fault_of_the_rank(told: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        loss_of(told)


def test_progress_without_a_loss_goes_over_the_log_unchanged() -> None:
    raw = encode_event(DIVERGED)
    assert json.loads(raw)["loss"] is None
    assert decode_event(raw) == DIVERGED


def test_the_other_numbers_of_progress_must_be_there() -> None:
    without = json.loads(encode_event(DIVERGED)) | {"step": None}
    with pytest.raises(InvalidRecord, match="step"):
        decode_event(json.dumps(without).encode())


def test_the_job_goes_on_and_its_curve_ends_where_the_numbers_did() -> None:
    view, told = View(), Story()
    for record in (progress(0, "n01", BEGAN, 0), progress(0, "n01", BEGAN + 1, 1), DIVERGED):
        view.fold(told.append(EVENT, record, record.at, JOB))
    job = view.jobs[JOB]
    assert (view.unreadable, job.step_max) == (0, 25)
    assert len(job.losses) == 2
    shown = json.loads(json.dumps(job.to_json(), allow_nan=False))
    assert (shown["step"], shown["ranks"][0]["step"], shown["ranks"][0]["loss"]) == (25, 25, None)
    assert "at step 25, loss " in status(view, JOB)


def test_a_job_that_never_had_a_loss_is_told_without_one() -> None:
    view, told = View(), Story()
    view.fold(told.append(EVENT, replace(DIVERGED, at=BEGAN), BEGAN, JOB))
    assert view.jobs[JOB].to_json()["losses"] == []
    assert status(view, JOB) == "0 frames assessed"
