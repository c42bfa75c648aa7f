"""What the diagnostics judge by, taken from the topics: checkpoints with their cost, recoveries with their stages."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from observed_story import BAD, BEGAN, JOB, SPARE, rescue

from connectors.codecs.records import encode_record
from connectors.kafka.topics import ASSESSMENT, COMMAND, EVENT
from infra.observer.record import LogRecord
from infra.observer.view import View
from infra.status.diagnosing import as_told, diagnose, jobs
from infra.status.stories import began_at, checkpoints, probabilities, recoveries, told_until
from models.diagnostics import CAUSES
from models.job import Job
from models.policy_settings import PolicySettings
from models.records import (
    Assessment,
    Cause,
    Command,
    Incident,
    Membership,
    NodeFate,
    Outcome,
    Progress,
    Reason,
    command_id,
)

NOTHING: Any = (None, None)


class Log:
    """Records put on a view one after the other; each helper is one thing that happens at ``at`` seconds."""

    def __init__(self) -> None:
        self.view, self._ids = View(), count()

    def put(self, topic: str, record: object, at: float) -> None:
        self.view.fold(LogRecord(topic, 0, next(self._ids), JOB.encode(), encode_record(record), at))

    def _event(self, kind: type[Any], at: float, **facts: Any) -> None:
        self.put(EVENT, kind(id=f"e{next(self._ids)}", job=JOB, at=at, **facts), at)

    def runs(self, node: str, rank: int, at: float) -> None:
        self._event(Membership, at, node=node, state="running", rank=rank, world=4)

    def trains(self, at: float, step_s: float = 0.5) -> None:
        self._event(Progress, at, node="n1", rank=0, step=int(at), loss=1.0, step_s=step_s, load=0.1)

    def suspects(self, node: str, at: float, probability: float, state: Any = "opened") -> None:
        told: dict[str, Any] = {"incident": f"i-{node}", "state": state, "probability": probability}
        self._event(Incident, at, node=node, deviation=4.0, horizon_s=600.0, **told)

    def fails(self, node: str, at: float) -> None:
        self._event(NodeFate, at, node=node, state="failed")

    def orders(self, action: Any, at: float, node: str | None = None, incident: str | None = None, **more: Any) -> str:
        generation = next(self._ids)
        told: dict[str, Any] = {"ranks": (2,), "incident": incident, "node": node, **more}
        name = command_id(JOB, node, action, incident, generation)
        reason, cause = Reason(rule="test"), Cause(0, generation)
        facts: dict[str, Any] = {"generation": generation, "issued_at": at, "expires_at": at + 60, **told}
        self.put(COMMAND, Command(id=name, action=action, job=JOB, reason=reason, cause=cause, **facts), at)
        return name

    def obeys(self, command: str, action: Any, node: str, stages: dict[str, float], **more: Any) -> None:
        for stage, at in stages.items():
            told: dict[str, Any] = {"command": command, "action": action, "node": node, "stage": stage}
            self._event(Outcome, at, **told, **more)

    def saves(self, at: float, seconds: float, size: int | None = None) -> None:
        name = self.orders("CHECKPOINT", at, ranks=(0, 1))
        for rank, share in ((0, 0.5), (1, 1.0)):
            more = {"rank": rank, "step": 7, "bytes": size, "seconds": share * seconds}
            self.obeys(name, "CHECKPOINT", f"n{rank}", {"staged": at + seconds, "durable": at + 2 * seconds}, **more)


@pytest.fixture
def log() -> Log:
    return Log()


def test_the_story_of_a_rescue_is_one_quick_recovery() -> None:
    view = View()
    for record in rescue(seconds=60):
        view.fold(record)
    (found,) = recoveries(view.jobs[JOB])
    assert (found.node, found.job) == (BAD, JOB)
    assert found.probability > 0.5
    assert [move.issued_at for move in found.moves] == sorted(move.issued_at for move in found.moves)
    assert found.ended_at is not None
    assert not any(one.holds for one in jobs(view, PolicySettings(), {}))
    assert began_at(view.jobs[JOB]) == BEGAN
    assert told_until(view.jobs[JOB]) >= BEGAN + 59
    assert SPARE not in {one.node for one in recoveries(view.jobs[JOB])}


def test_a_checkpoint_costs_what_its_slowest_rank_stood_still(log: Log) -> None:
    log.saves(10.0, 4.0, 500)
    log.orders("CHECKPOINT", 20.0)  # nobody has heard of it yet
    assert checkpoints(log.view.jobs[JOB]) == [(10.0, 4.0, 500)]


def test_too_many_checkpoints_are_diagnosed_from_the_log(log: Log) -> None:
    log.trains(0.0)
    for at in range(0, 600, 6):
        log.saves(float(at), 2.0, 500_000_000)
    log.trains(600.0)
    _, found = jobs(log.view, PolicySettings(), {})
    assert (found.name, found.cause) == ("checkpoint-overhead", "rate")


def test_a_rank_that_waited_for_a_spare_is_contention(log: Log) -> None:
    log.trains(0.0)
    log.runs("n2", 2, 0.0)
    log.suspects("n2", 100.0, 0.6)
    log.suspects("n2", 110.0, 0.9, "changed")
    migrate = log.orders("MIGRATE", 120.0, "n2", "i-n2")
    log.obeys(migrate, "MIGRATE", "n2", {"received": 120.1, "accepted": 120.1, "done": 122.0})
    log.suspects("n2", 130.0, 0.1, "closed")
    restore = log.orders("RESTORE", 900.0, "n9", "i-n2")
    log.obeys(restore, "RESTORE", "n9", {"received": 900.1, "accepted": 900.1, "done": 905.0})
    log.trains(910.0)
    (found,) = recoveries(log.view.jobs[JOB])
    assert found.probability == 0.9
    assert (found.begun_at, found.ended_at) == (120.0, 905.0)
    diagnosis, _ = jobs(log.view, PolicySettings(), {})
    assert (diagnosis.name, diagnosis.cause) == ("recovery-slow", "contention")
    assert diagnosis.numbers["contention_seconds"] == pytest.approx(778.0, abs=0.5)


def test_an_agent_that_hears_late_is_state_lag(log: Log) -> None:
    log.trains(0.0)
    log.suspects("n2", 100.0, 0.9)
    migrate = log.orders("MIGRATE", 120.0, "n2", "i-n2")
    log.obeys(migrate, "MIGRATE", "n2", {"received": 700.0, "accepted": 700.0, "done": 701.0})
    restore = log.orders("RESTORE", 702.0, "n9", "i-n2")
    log.obeys(restore, "RESTORE", "n9", {"received": 703.0, "accepted": 703.0, "done": 705.0})
    diagnosis, _ = jobs(log.view, PolicySettings(), {})
    assert (diagnosis.cause, diagnosis.since) == ("state-lag", 120.0)


def test_a_node_that_failed_under_its_alarm_counts_from_its_failure(log: Log) -> None:
    log.trains(0.0)
    log.runs("n2", 2, 0.0)
    log.suspects("n2", 100.0, 0.9)
    log.fails("n2", 150.0)
    restore = log.orders("RESTORE", 650.0, "n9")
    log.obeys(restore, "RESTORE", "n9", {"received": 650.1, "accepted": 650.1, "done": 655.0})
    (found,) = recoveries(log.view.jobs[JOB])
    assert (found.begun_at, found.ended_at, found.probability) == (150.0, 655.0, 0.9)
    assert jobs(log.view, PolicySettings(), {})[0].cause == "contention"


def test_a_failure_that_nobody_foresaw_is_none_of_these(log: Log) -> None:
    log.trains(0.0)
    log.runs("n2", 2, 0.0)
    log.suspects("n2", 100.0, 0.9)
    log.suspects("n2", 140.0, 0.1, "closed")
    log.fails("n2", 150.0)
    log.orders("RESTORE", 650.0, "n9")
    assert recoveries(log.view.jobs[JOB]) == []


def moved_away(log: Log) -> None:
    """A rank was vacated in time, and nobody has a place for it."""
    log.trains(0.0)
    log.runs("n2", 2, 0.0)
    log.suspects("n2", 100.0, 0.9)
    migrate = log.orders("MIGRATE", 120.0, "n2", "i-n2")
    log.obeys(migrate, "MIGRATE", "n2", {"received": 120.0, "accepted": 120.0, "done": 121.0})


def test_a_job_that_goes_on_smaller_has_recovered(log: Log) -> None:
    moved_away(log)
    resize = log.orders("RESIZE", 122.0, ranks=(0, 1, 3), world=3)
    for rank, at in enumerate((130.0, 131.0, 129.0)):
        log.obeys(resize, "RESIZE", f"n{rank}", {"received": 122.1, "accepted": 122.1, "done": at}, rank=rank)
    log.trains(3000.0)
    (found,) = recoveries(log.view.jobs[JOB])
    assert found.ended_at == 129.0
    assert not jobs(log.view, PolicySettings(), {})[0].holds


def test_a_rank_that_somebody_else_started_again_has_recovered(log: Log) -> None:
    moved_away(log)
    log.runs("n7", 2, 140.0)
    log.trains(3000.0)
    assert recoveries(log.view.jobs[JOB])[0].ended_at == 140.0


def test_a_rank_that_nobody_starts_again_has_not(log: Log) -> None:
    moved_away(log)
    log.runs("n1", 1, 140.0)  # another one
    log.trains(3000.0)
    assert recoveries(log.view.jobs[JOB])[0].ended_at is None
    assert jobs(log.view, PolicySettings(), {})[0].cause == "contention"


def test_a_node_that_was_not_left_after_all_recovered_from_nothing(log: Log) -> None:
    log.trains(0.0)
    log.runs("n2", 2, 0.0)
    log.suspects("n2", 100.0, 0.9)
    migrate = log.orders("MIGRATE", 120.0, "n2", "i-n2")
    log.obeys(migrate, "MIGRATE", "n2", {"received": 120.1, "rejected": 120.2})
    log.trains(3000.0)
    assert recoveries(log.view.jobs[JOB])[0].ended_at == 120.2
    assert not jobs(log.view, PolicySettings(), {})[0].holds


def test_a_failure_after_its_migration_began_is_told_once(log: Log) -> None:
    moved_away(log)
    log.fails("n2", 125.0)
    assert len(recoveries(log.view.jobs[JOB])) == 1


def test_what_the_job_has_measured_is_what_is_usual(log: Log) -> None:
    log.trains(0.0)
    log.suspects("n2", 100.0, 0.9)
    migrate = log.orders("MIGRATE", 120.0, "n2", "i-n2")
    log.obeys(migrate, "MIGRATE", "n2", {"received": 120.0, "accepted": 120.0, "done": 121.0})
    restore = log.orders("RESTORE", 121.0, "n9", "i-n2")
    log.obeys(restore, "RESTORE", "n9", {"received": 121.0, "accepted": 121.0, "done": 180.0})
    assert not jobs(log.view, PolicySettings(migration_s=140.0), {})[0].holds
    known = {JOB: Job(name=JOB, migrate_s=1.0, restore_s=4.0)}
    found = jobs(log.view, PolicySettings(migration_s=140.0), known)[0]
    assert (found.cause, found.numbers["usual_seconds"]) == ("effect", 5.0)


def test_a_job_that_has_told_no_progress_is_not_judged(log: Log) -> None:
    log.runs("n2", 2, 0.0)
    assert jobs(log.view, PolicySettings(), {}) == []


def told(log: Log, nodes: int, turns: int, probability: float) -> None:
    for turn in range(turns):
        for node in range(nodes):
            name = f"n{node}"
            one = Assessment(
                node=name, ts=BEGAN + turn, verdict="healthy", cause=Cause(0, turn), probability=probability
            )
            log.put(ASSESSMENT, one, BEGAN + turn)


def test_p_is_judged_from_the_assessments_and_the_model_asked_only_where_it_is_stuck(log: Log) -> None:
    asked: list[bool] = []

    def replay() -> Any:
        asked.append(True)
        return NOTHING

    told(log, 16, 40, 0.03)
    assert not diagnose(log.view, PolicySettings(), {}, replay)[0].holds
    assert asked == []
    told(log, 16, 90, 0.5)
    found = diagnose(log.view, PolicySettings(), {}, replay)[0]
    assert (found.name, found.cause) == ("probability-stuck", "unexplained")
    assert asked == [True]


def test_of_a_large_fleet_every_node_is_heard(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    from infra.status import stories

    told(log, 30, 10, 0.4)
    monkeypatch.setattr(stories, "PROBABILITIES_MAX", 60)
    found = probabilities(log.view.fleet)
    assert len(found) == 60
    assert {one.node for one in found} == {f"n{number}" for number in range(30)}
    assert {one.ts for one in found} == {BEGAN + 8, BEGAN + 9}, "the newest two of each"


def test_a_program_is_told_all_of_a_diagnosis(log: Log) -> None:
    log.trains(0.0)
    for one in map(as_told, diagnose(log.view, PolicySettings(), {}, lambda: NOTHING)):
        assert one["name"] in CAUSES
        assert one["holds"] is (one["cause"] is not None)
        assert one["runbook"].endswith(f"{one['name']}.md")
        assert isinstance(one["numbers"], dict)
