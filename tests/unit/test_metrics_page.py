"""/metrics: what Prometheus is told parses, is named by its rules, and is for this machine alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from aiohttp.test_utils import TestClient, TestServer
from observed_story import BEGAN, JOB, Clock, Watched
from prometheus_client.parser import text_string_to_metric_families

from infra.metrics.diagnostics import exposition
from infra.metrics.scrape import INTERVAL_S, REPLAYED_S, Metrics
from infra.observer.view import View
from infra.web.app import build_page
from infra.web.feed import Feed
from models.diagnostics import CAUSES, Diagnosis, Told
from models.policy_settings import PolicySettings

_T = TypeVar("_T")


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def metrics(watched: Watched, clock: Clock) -> Metrics:
    return Metrics(watched, PolicySettings(), lambda: (None, None), clock)


def page(watched: Watched, metrics: Metrics | None, clock: Clock) -> TestClient[Any, Any]:
    feed = Feed(watched, dict, PolicySettings(), lambda: BEGAN, clock)
    return TestClient(TestServer(build_page(feed, None if metrics is None else metrics.text)))


def parsed(text: bytes) -> dict[str, Any]:
    return {family.name: family for family in text_string_to_metric_families(text.decode())}


def samples(text: bytes, name: str) -> dict[tuple[str, ...], float]:
    return {tuple(one.labels.values()): one.value for one in parsed(text)[name].samples}


async def test_prometheus_can_read_the_page(watched: Watched, metrics: Metrics, clock: Clock) -> None:
    async with page(watched, metrics, clock) as client:
        answer = await client.get("/metrics")
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        found = samples(await answer.read(), "forestall_diagnostic")
    wanted = {("probability-stuck", "", cause) for cause in CAUSES["probability-stuck"]}
    wanted |= {(name, JOB, cause) for name in ("recovery-slow", "checkpoint-overhead") for cause in CAUSES[name]}
    assert {tuple(sorted(labels)) for labels in found} == {tuple(sorted(labels)) for labels in wanted}
    assert set(found.values()) == {0.0}


async def test_it_is_for_this_machine_alone_and_only_read(watched: Watched, metrics: Metrics, clock: Clock) -> None:
    async with page(watched, metrics, clock) as client:
        assert (await client.get("/metrics", headers={"Host": "evil.example"})).status == 403
        assert (await client.post("/metrics")).status == 405


async def test_a_page_without_metrics_has_none(watched: Watched, clock: Clock) -> None:
    async with page(watched, None, clock) as client:
        assert (await client.get("/metrics")).status == 404


def test_one_that_holds_is_one_for_its_cause_and_zero_for_the_others() -> None:
    found = [
        Diagnosis(name="recovery-slow", job="llama", cause="state-lag", since=1.0, numbers={"took_seconds": 44.0}),
        Diagnosis(name="recovery-slow", job="bert", numbers={"took_seconds": 2.0}),
    ]
    text = exposition(found)
    family = parsed(text)["forestall_diagnostic"]
    on = [one.labels for one in family.samples if one.value == 1.0]
    assert on == [{"name": "recovery-slow", "job": "llama", "cause": "state-lag"}]
    assert len(family.samples) == 2 * len(CAUSES["recovery-slow"])
    took = parsed(text)["forestall_recovery_slow_took_seconds"]
    assert {one.labels["job"]: one.value for one in took.samples} == {"llama": 44.0, "bert": 2.0}


def test_names_and_labels_follow_the_rules_of_prometheus(metrics: Metrics) -> None:
    for name, family in parsed(metrics.text()).items():
        assert re.fullmatch(r"forestall_[a-z][a-z0-9_]*", name)
        assert not re.search(r"_(ms|s|minutes|percent|mb|kb|total|count|sum|bucket)$", name), (
            "base units; no counters here"
        )
        assert family.type == "gauge"
        assert family.documentation
        for sample in family.samples:
            assert set(sample.labels) <= {"name", "job", "cause"}


def test_a_job_of_a_strange_name_breaks_nothing() -> None:
    job = 'a "b"\n\\c} 1'
    text = exposition([Diagnosis(name="checkpoint-overhead", job=job, numbers={"of_time_ratio": 0.5})])
    (sample,) = parsed(text)["forestall_checkpoint_overhead_of_time_ratio"].samples
    assert (sample.labels["job"], sample.value) == (job, 0.5)


def test_who_scrapes_often_is_told_the_same_for_a_while(watched: Watched, metrics: Metrics, clock: Clock) -> None:
    first = metrics.text()
    assert metrics.text() is first
    assert watched.looks == 1
    clock.now += INTERVAL_S
    metrics.text()
    assert watched.looks == 2


def test_features_are_not_read_again_at_each_scrape_and_never_while_the_view_waits(
    watched: Watched, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from infra.metrics import scrape

    stuck = [Told(f"n{node}", BEGAN + turn, 0.5) for node in range(10) for turn in range(60)]
    monkeypatch.setattr(scrape, "probabilities", lambda _: stuck)
    reads: list[float] = []
    looking = False

    def look(at: Callable[[View], _T]) -> _T:
        nonlocal looking
        looking = True
        told = at(watched.view)
        looking = False
        return told

    def replay() -> Any:
        assert not looking
        reads.append(clock.now)
        return None, None

    monkeypatch.setattr(watched, "look", look)
    metrics = Metrics(watched, PolicySettings(), replay, clock)
    for _ in range(3):
        text = metrics.text()
        clock.now += INTERVAL_S
    assert len(reads) == 1
    assert [one for one in parsed(text)["forestall_diagnostic"].samples if one.value == 1.0]
    clock.now += REPLAYED_S
    metrics.text()
    assert len(reads) == 2
