"""An account kept as events come is exactly that of all of them at once; parts of the time add up to the whole."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import asdict, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_ledger_sums import BEGAN, JOB, logs, told_once

from connectors.codecs.records import encode_event
from connectors.kafka.topics import EVENT
from infra.observer.account import account_from
from infra.observer.record import LogRecord
from infra.observer.view import View
from infra.sink.telling import Telling
from models import job_account
from models.claims import SETTLED_S
from models.job_account import JobAccount, JobAccounts, account_of
from models.ledger import ledger, ledger_of
from models.policy_settings import PolicySettings
from models.records import Event, Membership, NodeFate, Outcome, Progress
from models.spans import NOBODY, PRECEDENCE, Sharing, Span, by_bucket, share_by_owner

SETTINGS = PolicySettings()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that is 60 s old is folded, every ten events."""
    monkeypatch.setattr(job_account, "PENDING_S", 60.0)
    monkeypatch.setattr(job_account, "WRONG_CLOCKS", 1)
    monkeypatch.setattr(job_account, "TURN", 10)


def long_run(seed: int, hours: float = 3.0) -> list[Event]:
    """A job of three ranks over hours: checkpoints, moves, failures, silences, slow spells, sizes; ends unfinished."""
    draw = random.Random(seed)
    events: list[Event] = []
    at, step, number = BEGAN, 0, 0
    nodes = {0: "n0", 1: "n1", 2: "n2"}
    spares = [f"s{index}" for index in range(4)]

    def outcome(action: str, stage: str, node: str, command: int, **facts: object) -> None:
        events.append(
            Outcome(
                id=f"{command}-{node}-{stage}-{facts.get('rank')}",
                job=JOB,
                command=f"c{command}",
                action=action,  # type: ignore[arg-type]
                node=node,
                stage=stage,  # type: ignore[arg-type]
                at=at,
                **facts,  # type: ignore[arg-type]
            )
        )

    def member(node: str, state: str, rank: int | None = None) -> None:
        events.append(Membership(id=f"m{len(events)}", job=JOB, node=node, at=at, state=state, rank=rank))  # type: ignore[arg-type]

    for rank, node in nodes.items():
        member(node, "running", rank)
    for spare in spares:
        member(spare, "spare")
    while at < BEGAN + 3600 * hours:
        pace = draw.choice((1.0, 1.0, 1.0, 1.0, 2.5, 60.0))
        for _ in range(draw.randrange(5, 120) if pace < 60.0 else 4):
            at, step = at + pace * 5, step + 5
            for rank, node in nodes.items():
                events.append(
                    Progress(
                        id=f"p{rank}-{at}", job=JOB, node=node, rank=rank, at=at + rank / 10, step=step, loss=1.0,
                        step_s=pace, load=0.0,
                    )
                )  # fmt: skip
        number += 1
        match draw.randrange(6):
            case 0 | 1:
                for rank, node in nodes.items():
                    outcome("CHECKPOINT", "accepted", node, number, rank=rank)
                    at += 0.2
                    outcome(
                        "CHECKPOINT",
                        "staged",
                        node,
                        number,
                        rank=rank,
                        step=step,
                        seconds=draw.choice((9.0, 900.0)) * draw.random(),
                    )
                    outcome("CHECKPOINT", "durable", node, number, rank=rank, step=step)
            case 2 | 3:
                rank = draw.randrange(3)
                lost = nodes[rank]
                if draw.random() < 0.5:
                    outcome("MIGRATE", "accepted", lost, number)
                    at += 1
                    if draw.random() < 0.8:
                        outcome("MIGRATE", "done", lost, number, step=step)
                else:
                    events.append(NodeFate(id=f"f{number}", job=JOB, node=lost, at=at, state="failed"))
                    at += draw.random() * 200
                if not spares:
                    at += 400
                    spares.append(f"late{number}")
                    member(spares[0], "spare")
                nodes[rank] = spares.pop(0)
                for stage in ("received", "accepted", "done"):
                    at += 3
                    outcome("RESTORE", stage, nodes[rank], number + 10_000, step=max(0, step - 40))
                    if stage == "accepted":
                        member(nodes[rank], "running", rank)
                step = max(0, step - 40)
            case 4:
                at += draw.random() * 900
            case 5:
                for rank, node in nodes.items():
                    outcome("RESIZE", "accepted", node, number, rank=rank)
                    at += 2
                    outcome("RESIZE", "done", node, number, rank=rank, step=step)
    outcome("MIGRATE", "accepted", nodes[0], 99_999)
    return events


def nearly_in_order(events: list[Event], seed: int, reach_s: float) -> list[Event]:
    """As agents tell them: each somewhat late, some of them twice."""
    draw = random.Random(seed)
    again = [event for event in events if draw.random() < 0.1]
    return sorted([*events, *again], key=lambda event: event.at + draw.random() * reach_s)  # type: ignore[union-attr]


@pytest.mark.parametrize("seed", range(6))
def test_kept_as_they_come_is_all_at_once_exactly(seed: int, hasty: None) -> None:
    events = long_run(seed)
    kept = JobAccount(JOB)
    for event in nearly_in_order(events, seed, 40.0):
        kept.take(event)
    whole = account_of(events, JOB)
    assert kept.folds().claims.shares.settled > BEGAN + SETTLED_S, "the test is of a time that was settled"  # type: ignore[union-attr]
    assert account_from(kept.folds(), SETTINGS) == account_from(whole, SETTINGS)


@pytest.mark.parametrize("seed", range(3))
def test_it_is_so_at_every_moment(seed: int, hasty: None) -> None:
    events = nearly_in_order(long_run(seed, 1.5), seed, 30.0)
    kept = JobAccount(JOB)
    for number, event in enumerate(events):
        kept.take(event)
        if number % 611 == 0 or number == len(events) - 1:
            assert account_from(kept.folds(), SETTINGS) == account_from(account_of(events[: number + 1], JOB), SETTINGS)


def test_looking_changes_nothing(hasty: None) -> None:
    events = long_run(1, 1.0)
    looked, left = JobAccount(JOB), JobAccount(JOB)
    for number, event in enumerate(events):
        looked.take(event)
        left.take(event)
        if number % 50 == 0:
            looked.folds()
    assert account_from(looked.folds(), SETTINGS) == account_from(left.folds(), SETTINGS)


def test_what_comes_far_too_late_is_counted_and_passed_over(hasty: None) -> None:
    events = long_run(2, 1.0)
    kept = JobAccount(JOB)
    for event in [*events[5:], *events[:5]]:
        kept.take(event)
    assert kept.late == 5
    assert ledger_of(kept.folds()) == ledger(events[5:], JOB)


def test_a_clock_that_runs_ahead_does_not_make_all_others_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_account, "TURN", 10)
    events = long_run(3, 1.0)
    wrong = Progress(
        id="wrong", job=JOB, node="n9", rank=9, at=BEGAN + 1e9, step=1, loss=1.0, step_s=1.0, load=0.0
    )  # fmt: skip
    kept = JobAccount(JOB)
    for event in [events[0], wrong, *events[1:]]:
        kept.take(event)
    assert kept.late == 0


@settings(max_examples=150, deadline=None)
@given(logs, st.lists(st.floats(-50.0, 600.0), max_size=4))
def test_adjoining_parts_add_up_to_the_whole(events: list[Event], cuts: list[float]) -> None:
    events = told_once(events)
    ends = [float("-inf"), *sorted(BEGAN + cut for cut in cuts), float("inf")]
    parts = [ledger(events, JOB, since, until) for since, until in itertools.pairwise(ends)]
    whole = ledger(events, JOB)
    assert sum(part.wall_s for part in parts) == whole.wall_s
    for bucket in PRECEDENCE:
        assert sum(part.buckets[bucket] for part in parts) == whole.buckets[bucket]


@settings(max_examples=150, deadline=None)
@given(logs, st.integers(0, 60))
def test_cut_anywhere_it_still_adds_up_and_wall_time_never_shrinks(events: list[Event], cut: int) -> None:
    events = told_once(events)
    before, after = ledger(events[:cut], JOB), ledger(events, JOB)
    assert sum(before.buckets.values()) == before.wall_s <= after.wall_s


@settings(max_examples=150, deadline=None)
@given(logs)
def test_nodes_and_nobody_together_cause_all_of_it(events: list[Event]) -> None:
    found = account_from(account_of(events, JOB), SETTINGS)
    if found is None:
        return
    for bucket, seconds in found["buckets"].items():
        assert sum(row["seconds"].get(bucket, 0.0) for row in found["nodes"]) == seconds
    for row in found["nodes"]:
        assert row["foreseen"] <= row["failures"]
        assert min(row["running_s"], row["spare_s"], row["out_s"]) >= 0.0
    saved = found["saved"]
    assert saved["low_s"] <= saved["high_s"]


spans = st.lists(
    st.builds(
        Span,
        st.sampled_from(PRECEDENCE),
        st.floats(0.0, 100.0),
        st.floats(0.0, 100.0),
        st.sampled_from(("", "a", "b")),
    ),
    max_size=20,
)


@settings(max_examples=200, deadline=None)
@given(spans, st.lists(st.floats(0.0, 100.0), max_size=5))
def test_settling_anywhere_changes_no_second(claims: list[Span], cuts: list[float]) -> None:
    sharing = Sharing(0.0)
    sharing.spans = list(claims)
    for cut in sorted(cuts):
        sharing.settle(cut)
    found = sharing.shared(100.0)
    whole = share_by_owner(claims, 0.0, 100.0)
    assert {key: value for key, value in found.items() if value} == {
        key: value for key, value in whole.items() if value
    }
    assert sum(by_bucket(found).values()) == 100.0
    assert NOBODY in found or not whole.get(NOBODY)


def test_a_job_of_a_day_keeps_little(hasty: None) -> None:
    kept = JobAccount(JOB)
    for event in long_run(4, 24.0):
        kept.take(event)
    assert len(kept._pending) < 200
    claims = kept._folds.claims
    assert claims.shares is not None
    assert len(claims.shares.spans) < 500
    assert asdict(ledger_of(kept.folds()))["wall_s"] > 86_000


def by_ledger(events: list[Event]) -> JobAccount:
    accounts = JobAccounts()
    for event in events:
        accounts.take(event)
    return accounts.by_job[JOB]


def by_page(events: list[Event]) -> JobAccount:
    view = View()
    for offset, event in enumerate(events):
        view.fold(LogRecord(EVENT, 0, offset, b"k", encode_event(event), BEGAN))
    return view.accounts()[JOB]


def by_sink(events: list[Event]) -> JobAccount:
    telling = Telling(SETTINGS)
    for offset, event in enumerate(events):
        telling.take(LogRecord(EVENT, 0, offset, b"k", encode_event(event), BEGAN))
    return telling._jobs.of(JOB)


@pytest.mark.parametrize("reader", [by_ledger, by_page, by_sink])
def test_a_fate_of_no_job_that_is_read_first_concerns_the_job_that_is_heard_of_later(
    reader: Callable[[list[Event]], JobAccount],
) -> None:
    events = [replace(one, job=None) if isinstance(one, NodeFate) else one for one in long_run(1)]
    fates: list[Event] = [one for one in events if isinstance(one, NodeFate)]
    assert fates
    account = reader([*fates, *(one for one in events if not isinstance(one, NodeFate))])
    assert account_from(account.folds(), SETTINGS) == account_from(account_of(events, JOB), SETTINGS)


def test_a_copy_stays_as_it_was_and_what_it_folds_is_not_folded_again(
    hasty: None,
) -> None:
    events = long_run(5, 1.0)
    kept = JobAccount(JOB)
    for event in events[:-200]:
        kept.take(event)
    before = kept.copied()
    assert before.folds() is kept.folds()
    still = kept.copied()
    for event in events[-200:]:
        kept.take(event)
    assert account_from(still.folds(), SETTINGS) == account_from(account_of(events[:-200], JOB), SETTINGS)
    assert account_from(kept.folds(), SETTINGS) == account_from(account_of(events, JOB), SETTINGS)
