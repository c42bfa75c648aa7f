"""What a worker tells of itself, read from its lanes at a scrape; nothing here runs on the hot path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol, TypeVar

from connectors.kafka import topics
from infra.metrics.catalogue import NODES_MAX
from infra.metrics.families import Scrape
from infra.metrics.written import Written
from models.brakes.breaker import standing
from models.brakes.state import EVERY_JOB
from models.decision_state import DecisionState
from streams.agents.assess import AssessFold
from streams.agents.decide import DecideFold
from streams.batch import Partition
from streams.lane import Lane

FATES: Final = ("assessed", "history", "late", "duplicates", "dead_letters")
_TURNS: Final = 5
_T = TypeVar("_T")


class Held(Protocol):
    """The lanes of a worker."""

    def held(self) -> list[Lane]:
        """Those in work."""


class WorkerMetrics:
    """Fills a scrape with a worker's numbers.

    Parameters
    ----------
    lanes : its lanes.
    written : what went by.
    ends : the log's ends, as they were last seen.
    monotonic : seconds that never go back, the lanes' clock.
    """

    def __init__(
        self,
        lanes: Held,
        written: Written,
        ends: Callable[[], Mapping[Partition, int]],
        monotonic: Callable[[], float],
    ) -> None:
        self._lanes, self._written, self._ends, self._monotonic = lanes, written, ends, monotonic

    def __call__(self, scrape: Scrape) -> None:
        """Everything."""
        held, ends, now = self._lanes.held(), self._ends(), self._monotonic()
        for lane in held:
            _lane(scrape, lane, ends.get(lane.source), now)
            if isinstance(lane.fold, AssessFold):
                _assess(scrape, str(lane.source.number), lane.fold)
            if isinstance(lane.fold, DecideFold):
                _decide(scrape, str(lane.source.number), lane.fold.state)
        for name, topic in (
            ("forestall_assessment_delay_seconds", topics.TELEMETRY),
            ("forestall_command_delay_seconds", topics.EVENT),
        ):
            if told := [lane.tally.delays for lane in held if lane.source.topic == topic]:
                scrape.delays(name, told)
        self._flown_by(scrape)

    def _flown_by(self, scrape: Scrape) -> None:
        written = self._written
        for action, count in list(written.commands.items()):
            scrape.add("forestall_commands_total", count, action)
        for name, counted in (
            ("forestall_incidents_total", written.incidents),
            ("forestall_dead_letters_total", written.dead_letters),
            ("forestall_outcomes_total", written.outcomes),
            ("forestall_refusals_total", written.refusals),
        ):
            for labels, count in list(counted.items()):
                scrape.add(name, count, *labels)


def _lane(scrape: Scrape, lane: Lane, end: int | None, now: float) -> None:
    place, tally = (lane.source.topic, str(lane.source.number)), lane.tally
    scrape.add("forestall_lane_records_total", tally.records, *place)
    scrape.add("forestall_lane_outputs_total", tally.written, *place, "written")
    scrape.add("forestall_lane_outputs_total", tally.repeated, *place, "repeated")
    loading = lane.fold.loading
    scrape.add("forestall_lane_state", float(loading), *place, "loading")
    scrape.add("forestall_lane_state", float(not loading), *place, "live")
    scrape.add("forestall_lane_position_records", lane.next_offset, *place)
    if end is not None:
        scrape.add("forestall_lag_records", max(0, end - lane.next_offset), *place)
    if tally.snapshot_at is not None:
        scrape.add("forestall_snapshot_age_seconds", max(0.0, now - tally.snapshot_at), *place)
        scrape.add("forestall_snapshot_bytes", tally.snapshot_bytes, *place)


def _assess(scrape: Scrape, partition: str, fold: AssessFold) -> None:
    state, models = fold.assessor.state, fold.assessor.models
    for fate in FATES:
        scrape.add("forestall_frames_total", state.counts.get(fate, 0), partition, fate)
    scrape.add("forestall_nodes", len(state.nodes), partition)
    scrape.add("forestall_model_info", 1.0, partition, models.active.digest[:16])
    scrape.add("forestall_model_refused", float(models.refusal is not None), partition)


def _decide(scrape: Scrape, partition: str, state: DecisionState) -> None:
    stands = steady(lambda: standing(state))
    scrape.add("forestall_breaker_tripped", float(state.brakes.tripped is not None), partition)
    used = stands.outs / stands.bound if stands.bound else float(stands.outs > 0)
    scrape.add("forestall_breaker_utilisation_ratio", used, partition)
    holds = [job for job, word in list(state.brakes.pauses.items()) if word.holds]
    scrape.add("forestall_pauses", sum(job != EVERY_JOB for job in holds), partition, "job")
    scrape.add("forestall_pauses", sum(job == EVERY_JOB for job in holds), partition, "all")
    scrape.add("forestall_opt_outs", sum(word.holds for word in list(state.brakes.opt_outs.values())), partition)
    scrape.add("forestall_command_unanswered_seconds", steady(lambda: _unanswered_s(state)), partition)
    _incidents(scrape, state)


def _unanswered_s(state: DecisionState) -> float:
    """Age by the fold's own time of the oldest command of which no agent was heard."""
    flights = (one for job in list(state.jobs.values()) for one in list(job.in_flight.values()))
    waiting = [one.issued_at for one in flights if not one.stages and one.failure is None]
    return max(0.0, (state.now or 0.0) - min(waiting)) if waiting and state.now is not None else 0.0


def _incidents(scrape: Scrape, state: DecisionState) -> None:
    told = 0
    for name, job in list(state.jobs.items()):
        live = [one for one in list(job.incidents.values()) if not one.history]
        if not name and not live:
            continue
        scrape.add("forestall_incidents_open", len(live), name)
        for one in live[: max(0, NODES_MAX - told)]:
            scrape.add("forestall_incident_probability_ratio", one.probability, one.node, name)
        told += len(live)


def steady(read: Callable[[], _T]) -> _T:
    """What ``read`` makes of a state that the loop may be changing: asked again where it changed meanwhile."""
    for _ in range(_TURNS - 1):
        try:
            return read()
        except RuntimeError:  # a mapping changed its size under an iteration
            continue
    return read()
