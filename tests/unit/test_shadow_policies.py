"""Candidates that fold the log as it grows: told by job, deterministic, bounded, and seen by page and sink."""

from __future__ import annotations

from dataclasses import replace

import pytest
from backtested import OWN, beside, carry_out
from decision_log import JOB, DecisionLog

from connectors.codecs.records import encode_event
from connectors.kafka.topics import EVENT
from infra.observer import LogRecord, View
from models.backtest import shadow
from models.backtest.shadow import ShadowPolicies, ShadowPolicy
from models.policy_settings import PolicySettings

CANDIDATES = {"paper": replace(OWN, checkpoint="paper"), "same": OWN, "watch": replace(OWN, level="observe")}


@pytest.fixture(scope="module")
def story() -> DecisionLog:
    log = DecisionLog(OWN).start(ranks=2, spares=("s0", "s1"))
    carry_out(log, log.train(60))
    carry_out(log, log.incident("n1", probability=0.6))
    carry_out(log, log.train(20))
    carry_out(log, log.fate("n1"))
    carry_out(log, log.train(60))
    return log


def folded(story: DecisionLog, candidates: dict[str, PolicySettings] = CANDIDATES) -> ShadowPolicies:
    shadows = ShadowPolicies(OWN, candidates)
    for offset, event in enumerate(story.events):
        shadows.take(3, offset, event)
    return shadows


def test_each_candidate_is_told_for_each_job_as_a_backtest_finds_it(story: DecisionLog) -> None:
    told = {one.policy: one for one in folded(story).compared()}
    assert list(told) == ["paper", "same", "watch"]
    assert told["same"] == ShadowPolicy(JOB, "same", len(story.commands), 0, 0.0)
    assert (told["watch"].commands, told["watch"].differences) == (0, len(story.commands))
    found = beside(story.events, OWN, CANDIDATES["paper"])
    assert told["paper"].differences == len(found.differences) > 0
    assert told["paper"].seconds == pytest.approx(sum(one.seconds for one in found.differences), abs=1e-9)
    assert told["paper"].commands == found.state.jobs[JOB].generation


def test_an_event_that_comes_again_changes_nothing(story: DecisionLog) -> None:
    shadows = folded(story)
    before = shadows.compared()
    for offset, event in enumerate(story.events):
        shadows.take(3, offset, event)
    assert shadows.compared() == before


def test_partitions_are_folds_of_their_own(story: DecisionLog) -> None:
    both = ShadowPolicies(OWN, CANDIDATES)
    for offset, event in enumerate(story.events):
        both.take(0, offset, replace(event, job="other") if getattr(event, "job", None) else event)
        both.take(1, offset, event)
    told = both.compared()
    assert [one.job for one in told] == [JOB] * 3 + ["other"] * 3
    assert told[:3] == folded(story).compared()


def test_few_differences_are_kept_and_all_are_counted(story: DecisionLog, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = folded(story).compared()
    monkeypatch.setattr(shadow, "KEPT_MAX", 1)
    few = folded(story)
    assert few.compared() == whole
    kept = few._folds[3].comparisons["watch"]
    assert len(kept.differences) == 1
    assert len(kept.failures) <= 1


def test_the_view_of_page_and_metrics_tells_of_them(story: DecisionLog) -> None:
    view = View(ShadowPolicies(OWN, CANDIDATES))
    for offset, event in enumerate(story.events):
        view.fold(LogRecord(EVENT, 3, offset, b"gpt", encode_event(event), appended=event.at))
    told = view.overview()["shadow_policies"]
    assert [one["policy"] for one in told] == ["paper", "same", "watch"]
    assert told[0]["job"] == JOB
    assert View().overview()["shadow_policies"] == []
