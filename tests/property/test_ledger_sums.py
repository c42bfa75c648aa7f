"""Whatever a log tells, and in whatever order: each second of a job is in exactly one bucket."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from models.ledger import job_summary, ledger
from models.records import Event, Incident, Membership, NodeFate, Outcome, Progress
from models.spans import PRECEDENCE, Span, share_out

JOB = "gpt"
BEGAN = 1_763_942_400.0
nodes = st.sampled_from(("n0", "n1", "s0", "s1"))
times = st.floats(0.0, 500.0).map(lambda seconds: BEGAN + seconds)
seconds = st.none() | st.floats(0.0, 100.0)
names = st.integers(0, 30).map(str)
steps = st.integers(0, 500)

progresses = st.builds(
    Progress,
    id=names.map("p{}".format),
    job=st.just(JOB),
    node=nodes,
    rank=st.integers(0, 2),
    at=times,
    step=steps,
    loss=st.just(1.0),
    step_s=st.floats(0.0, 20.0),
    load=st.just(0.0),
)
outcomes = st.builds(
    Outcome,
    id=names.map("o{}".format),
    job=st.just(JOB),
    command=st.integers(0, 4).map(str),
    action=st.sampled_from(("CHECKPOINT", "MIGRATE", "RESTORE", "QUARANTINE")),
    node=nodes,
    stage=st.sampled_from(("received", "accepted", "staged", "durable", "done", "failed", "rejected", "expired")),
    at=times,
    rank=st.none() | st.integers(0, 2),
    step=st.none() | steps,
    seconds=seconds,
)
memberships = st.builds(
    Membership,
    id=names.map("m{}".format),
    job=st.just(JOB),
    node=nodes,
    at=times,
    state=st.sampled_from(("running", "spare", "vacated")),
    rank=st.none() | st.integers(0, 2),
)
fates = st.builds(
    NodeFate,
    id=names.map("f{}".format),
    job=st.sampled_from((JOB, None, "other")),
    node=nodes,
    at=times,
    state=st.sampled_from(("failed", "recovered")),
)
incidents = st.builds(
    Incident,
    id=names.map("i{}".format),
    job=st.just(JOB),
    node=nodes,
    at=times,
    incident=nodes,
    state=st.sampled_from(("opened", "changed", "closed")),
    probability=st.floats(0.0, 1.0),
    deviation=st.just(1.0),
    horizon_s=st.just(60.0),
)
logs = st.lists(st.one_of(progresses, progresses, outcomes, outcomes, memberships, fates, incidents), max_size=60)
buckets = st.sampled_from(PRECEDENCE)
spans = st.lists(st.builds(Span, buckets, times, times), max_size=30)


def told_once(events: list[Event]) -> list[Event]:
    """The first event of each id; the rest of the same id would contradict it."""
    return list({event.id: event for event in reversed(events)}.values())  # type: ignore[union-attr]


@settings(max_examples=300, deadline=None)
@given(logs)
def test_buckets_sum_to_wall_exactly(events: list[Event]) -> None:
    found = ledger(events, JOB)
    assert set(found.buckets) == set(PRECEDENCE)
    assert all(value >= 0.0 for value in found.buckets.values())
    assert sum(found.buckets.values()) == found.wall_s
    assert 0.0 <= found.ettr <= 1.0


@settings(max_examples=150, deadline=None)
@given(logs, st.randoms(use_true_random=False))
def test_the_order_of_the_log_and_repeats_change_nothing(events: list[Event], random: object) -> None:
    events = told_once(events)
    shuffled = [*events, *events[::3]]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert ledger(shuffled, JOB) == ledger(events, JOB)
    assert job_summary(shuffled, JOB) == job_summary(events, JOB)


@settings(max_examples=200, deadline=None)
@given(logs)
def test_a_summary_never_loses_more_than_was_done(events: list[Event]) -> None:
    found = job_summary(events, JOB)
    assert found.lost_steps >= 0
    assert found.lost_steps == 0 or found.restarts > 0
    assert found.steps >= 0


@settings(max_examples=200, deadline=None)
@given(spans, times, st.floats(0.0, 600.0))
def test_sharing_out_gives_the_first_claim_all_of_its_time(claims: list[Span], start: float, length: float) -> None:
    """The bucket that has precedence has every second that it claims, counted here by cutting the line at all ends."""
    end = start + length
    found = share_out(claims, start, end)
    assert sum(found.values()) >= 0.0
    inside = [(max(start, one.start), min(end, one.end)) for one in claims if one.bucket == PRECEDENCE[0]]
    ends = sorted({point for one in inside for point in one if one[0] < one[1]})
    covered = sum(
        high - low
        for low, high in itertools.pairwise(ends)
        if any(first <= low and high <= last for first, last in inside)
    )
    assert abs(found[PRECEDENCE[0]] - covered) < 1e-4
