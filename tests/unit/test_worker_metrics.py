"""What a worker tells of the lanes that it holds: real folds, real lanes, no broker."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from memory_publisher import MemoryPublisher
from prometheus_client.parser import text_string_to_metric_families
from signing_keys import shared_sealer

from connectors.codecs.records import encode_event
from connectors.kafka import topics
from infra.metrics.families import exposition
from infra.metrics.worker import WorkerMetrics, steady
from infra.metrics.written import Written
from models.foresight import Foresight
from models.incident import IncidentSettings
from models.policy_settings import PolicySettings
from models.records import Event, Incident, Membership, NodeFate, Outcome, Pause, Progress, Tick
from streams.agents.assess import assess_stage
from streams.agents.decide import decide_stage
from streams.batch import Batch
from streams.lane import NOTHING, Lane, Restored

T = 1_763_942_400.0
POLICY = PolicySettings(
    level="migrate", breaker_nodes=1, breaker_share=0.0, warm_up_s=0.0, node_mtbf_days=0.005, checkpoint_cost_s=0.2
)


class Worker:
    """One lane of each stage, on a publisher of memory."""

    def __init__(self) -> None:
        self.written, self.now = Written(), 100.0
        assess = assess_stage(
            {}, Foresight(lambda x: x[:, 0] * 0.0 + 0.4, 120.0), IncidentSettings(), heard=self.written.assessed
        )
        decide = decide_stage(POLICY, shared_sealer(), self.written.decided, self.written.observed)
        self.publisher: Any = MemoryPublisher()
        self.lanes = [
            Lane(stage, 0, Restored(stage.restore(0, None), 0, NOTHING), self.publisher, "s", 100.0, lambda: T + 40.0)
            for stage in (assess, decide)
        ]
        self.metrics = WorkerMetrics(self, self.written, lambda: {self.lanes[1].source: 500}, lambda: self.now)

    def held(self) -> list[Lane]:
        return self.lanes

    def send(self, *values: bytes) -> None:
        lane = self.lanes[0]
        lane.take(Batch(lane.source, lane.next_offset, [b"n1"] * len(values), list(values)))

    def tell(self, *events: Event) -> None:
        lane = self.lanes[1]
        lane.take(Batch(lane.source, lane.next_offset, [b"demo"] * len(events), [encode_event(e) for e in events]))

    def told(self) -> dict[tuple[Any, ...], float]:
        text = exposition("worker", self.metrics).decode()
        return {
            (one.name, *sorted(one.labels.values())): one.value
            for family in text_string_to_metric_families(text)
            for one in family.samples
        }


@pytest.fixture
def worker() -> Worker:
    return Worker()


def story() -> list[Event]:
    """A job of two ranks with a spare, of which one node is suspected."""
    ranks = [Membership(id=f"m{n}", job="demo", node=f"n{n}", at=T, state="running", rank=n, world=2) for n in range(2)]
    spare = Membership(id="m9", job="demo", node="n9", at=T, state="spare")
    suspected = Incident(
        id="i1", job="demo", node="n1", at=T, incident="i", state="opened", probability=0.95, deviation=3.0,
        horizon_s=600.0,
    )  # fmt: skip
    going = [event for second in range(1, 30) for event in trained(second)]
    return [Tick(at=T), *ranks, spare, suspected, *going]


def trained(second: int) -> list[Event]:
    at = T + second
    ranks: list[Event] = [
        Progress(
            id=f"p{n}-{second}",
            job="demo",
            node=f"n{n}",
            rank=n,
            at=at,
            step=10 * second,
            loss=1.0,
            step_s=0.1,
            load=0.1,
        )
        for n in range(2)
    ]
    return [*ranks, Tick(at=at)]


def test_what_is_decided_is_counted_and_said_with_its_ids(worker: Worker, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "forestall.worker")
    worker.tell(*story())
    told = worker.told()
    assert told["forestall_commands_total", "CHECKPOINT"] == 1
    assert told["forestall_incidents_open", "demo"] == 1
    assert told["forestall_incident_probability_ratio", "demo", "n1"] == 0.95
    assert told["forestall_command_delay_seconds_count",] == 1
    assert 0.0 < told["forestall_command_delay_seconds_sum",] <= 40.0
    assert told["forestall_lag_records", "0", topics.EVENT] == 500 - len(story())
    assert told["forestall_command_unanswered_seconds", "0"] >= 0
    [line] = [one for one in caplog.records if "CHECKPOINT" in one.getMessage()]
    assert (line.job, line.action) == ("demo", "CHECKPOINT")  # type: ignore[attr-defined]
    assert line.command in line.getMessage()  # type: ignore[attr-defined]


def test_refusals_begin_at_0_and_are_counted_by_a_bounded_reason(worker: Worker) -> None:
    assert worker.told()["forestall_refusals_total", "clock", "rejected"] == 0
    refused = Outcome(
        id="o", job="demo", command="c", action="MIGRATE", node="n1", stage="rejected", at=T,
        reason="it is dated 99.0 s ahead",
    )  # fmt: skip
    worker.tell(refused)
    told = worker.told()
    assert told["forestall_refusals_total", "clock", "rejected"] == 1
    assert told["forestall_outcomes_total", "MIGRATE", "rejected"] == 1


def test_brakes_are_told(worker: Worker) -> None:
    worker.tell(*story(), Pause(id="p", at=T + 4, job=None, paused=True, by="me", why="night"))
    told = worker.told()
    assert (told["forestall_pauses", "0", "all"], told["forestall_pauses", "0", "job"]) == (1, 0)
    assert (told["forestall_breaker_tripped", "0"], told["forestall_breaker_utilisation_ratio", "0"]) == (0, 0)
    fates = [NodeFate(id=f"f{n}", job="demo", node=f"n{n}", at=T + 5, state="failed") for n in range(2)]
    worker.tell(*fates)
    told = worker.told()
    assert (told["forestall_breaker_tripped", "0"], told["forestall_breaker_utilisation_ratio", "0"]) == (1, 2)


def test_telemetry_is_counted_by_what_became_of_it(worker: Worker) -> None:
    frame = b'{"v":1,"node":"n1","ts":%.1f,"seq":1,"metrics":{"gpu0.temp_c":50.0}}'
    worker.send(frame % T, frame % (T + 1), b"?", b'{"v":1,"kind":"tick","ts":%.1f}' % (T + 2))
    told = worker.told()
    assert told["forestall_frames_total", "0", "assessed"] == 2
    assert told["forestall_frames_total", "0", "dead_letters"] == 1
    assert told["forestall_dead_letters_total", "not-a-frame", topics.TELEMETRY] == 1
    assert told["forestall_assessment_delay_seconds_count",] == 2
    assert told["forestall_assessment_delay_seconds_bucket", "60"] == 2
    assert told["forestall_assessment_delay_seconds_bucket", "30"] == 0
    assert told["forestall_nodes", "0"] == 1
    assert told["forestall_lane_state", "0", "live", topics.TELEMETRY] == 1


def test_a_past_that_is_loaded_has_no_delay(worker: Worker) -> None:
    frame = b'{"v":1,"node":"n1","ts":%.1f,"seq":1,"metrics":{"gpu0.temp_c":50.0}}'
    worker.send(b'{"v":1,"kind":"tick","ts":%.1f,"history":true}' % T, frame % (T + 1))
    told = worker.told()
    assert told["forestall_frames_total", "0", "history"] == 1
    assert told["forestall_assessment_delay_seconds_count",] == 0
    assert told["forestall_lane_state", "0", "loading", topics.TELEMETRY] == 1


def test_a_snapshot_has_an_age_and_a_size(worker: Worker) -> None:
    assert not [key for key in worker.told() if key[0].startswith("forestall_snapshot")]
    worker.tell(*story())
    lane = worker.lanes[1]
    lane.snapshot(104.0, 3.0)
    worker.publisher.confirm()
    lane.snapshot(104.0, 3.0)
    worker.now = 109.0
    told = worker.told()
    assert told["forestall_snapshot_age_seconds", "0", topics.EVENT] == 5.0
    assert told["forestall_snapshot_bytes", "0", topics.EVENT] > 100


def test_a_state_that_changes_under_a_look_is_looked_at_again() -> None:
    turns = iter([RuntimeError("dictionary changed size"), RuntimeError("again"), None])

    def read() -> int:
        wrong = next(turns)
        if wrong is not None:
            raise wrong
        return 7

    assert steady(read) == 7
    with pytest.raises(RuntimeError):
        steady(lambda: (_ for _ in ()).throw(RuntimeError("always")))
