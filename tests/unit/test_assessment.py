"""The fold over one telemetry partition: verdicts, incidents, late frames, silence, members, and what is counted."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.assessment import Assessor, Conclusion, Telemetry
from models.assessment_state import UnreadableState, state_from_bytes, state_to_bytes
from models.foresight import Foresight
from models.incident import IncidentSettings
from models.limits import INTERVAL_FRAMES_MIN, METRICS_MAX, RANGE_FRAMES, SKEW_S_MAX
from models.records import Assessment, Cause, Counts, Incident
from models.telemetry import Member, Row, Schema, TelemetryTick, Unreadable

START = 1_700_000_000.0
SCHEMA = Schema.of_names(("gpu0.ecc_total", "gpu0.temp_c"))
WARM = RANGE_FRAMES + 1


class Partition:
    """One partition's log and the fold over it; ``probability`` is what the predictor says of every frame."""

    def __init__(self, **incidents: Any) -> None:
        self.probability = 0.1
        self.offset = 0
        self.assessor = Assessor("telemetry", 3, self.foresight(), IncidentSettings(**{"close_frames": 5, **incidents}))
        self.random = np.random.default_rng(0)

    def foresight(self) -> Foresight:
        def probability(features: NDArray[np.float32]) -> NDArray[np.float64]:
            return np.full(len(features), self.probability)

        return Foresight(probability, horizon_s=120.0)

    def put(self, *records: Telemetry) -> list[Conclusion]:
        """Put records on the log; returns what is concluded."""
        numbered = list(enumerate(records, self.offset))
        self.offset += len(records)
        return [conclusion for _, conclusion in self.assessor.apply(numbered)]

    def frame(self, node: str, at: float, schema: Schema = SCHEMA, **values: float) -> Row:
        found = [values.get(m.replace(".", "_"), self.random.normal(50.0)) for m in schema.metrics]
        return Row(node, START + at, schema, np.array(found, np.float64))

    def frames(self, node: str, count: int, since: float = 1.0, schema: Schema = SCHEMA) -> list[Conclusion]:
        """A frame a second."""
        return self.put(*(self.frame(node, since + k, schema) for k in range(count)))

    def tick(self, at: float, *, history: bool = False) -> list[Conclusion]:
        return self.put(TelemetryTick(START + at, history))

    def counts(self) -> Counts:
        """What a tick at the time that it is anyway tells."""
        at = max(self.assessor.state.now - START, 0.0)
        return next(c for c in self.tick(at, history=self.assessor.state.history) if isinstance(c, Counts))

    def restart(self) -> None:
        """Go on from the encoded state, as after a crash."""
        state = state_from_bytes(state_to_bytes(self.assessor.state))
        settings = self.assessor.incidents
        self.assessor = Assessor("telemetry", 3, self.foresight(), settings, state)


def verdicts(conclusions: list[Conclusion]) -> list[str]:
    return [c.verdict for c in conclusions if isinstance(c, Assessment)]


def incidents(conclusions: list[Conclusion]) -> list[Incident]:
    return [c for c in conclusions if isinstance(c, Incident)]


def only(conclusions: list[Conclusion]) -> Assessment:
    [one] = conclusions
    assert isinstance(one, Assessment)
    return one


@pytest.fixture
def partition() -> Partition:
    return Partition()


def test_a_node_warms_and_is_then_healthy(partition: Partition) -> None:
    told = verdicts(partition.frames("n1", WARM))
    assert told == ["warming"] * RANGE_FRAMES + ["healthy"]


def test_an_assessment_says_of_whom_when_why_and_what(partition: Partition) -> None:
    partition.frames("n1", RANGE_FRAMES)
    one = only(partition.put(partition.frame("n1", WARM, gpu0_temp_c=500.0, gpu0_ecc_total=51.0)))
    assert (one.node, one.ts, one.cause) == ("n1", START + WARM, Cause(3, RANGE_FRAMES))
    assert (one.verdict, one.probability, one.incident, one.history) == ("healthy", 0.1, None, False)
    assert one.worst[0] == ("gpu0.temp_c", 50.0)
    assert one.deviation is not None


def test_a_warming_node_has_no_probability(partition: Partition) -> None:
    one = only(partition.frames("n1", 1))
    assert (one.verdict, one.probability, one.deviation, one.worst) == ("warming", None, None, ())


def test_a_missing_value_among_the_worst_is_no_nan(partition: Partition) -> None:
    partition.frames("n1", RANGE_FRAMES)
    one = only(partition.put(partition.frame("n1", WARM, gpu0_temp_c=np.nan, gpu0_ecc_total=np.nan)))
    assert all(np.isfinite(z) for _, z in one.worst)


def test_suspicion_becomes_an_incident_and_ends(partition: Partition) -> None:
    partition.frames("n1", WARM)
    partition.probability = 0.8
    risen = partition.frames("n1", 4, since=WARM + 1)
    assert verdicts(risen) == ["suspect", "suspect", "failing", "failing"]
    [opened] = incidents(risen)
    assert (opened.state, opened.node, opened.probability, opened.horizon_s) == ("opened", "n1", 0.8, 120.0)
    assert opened.evidence == (f"telemetry/3/{WARM + 2}",)
    partition.probability = 0.01
    fallen = partition.frames("n1", 6, since=WARM + 10)
    assert verdicts(fallen) == ["failing"] * 5 + ["healthy"]
    assert [i.state for i in incidents(fallen)] == ["changed", "closed"]
    assert {i.incident for i in incidents(fallen)} == {opened.incident}
    assert len({i.id for i in incidents(risen + fallen)}) == 3


def test_an_incident_comes_after_the_assessment_that_made_it(partition: Partition) -> None:
    partition.frames("n1", WARM)
    partition.probability = 0.8
    kinds = [type(c).__name__ for c in partition.frames("n1", 3, since=WARM + 1)]
    assert kinds == ["Assessment"] * 3 + ["Incident"]


def test_an_incidents_id_follows_from_its_place_on_the_log() -> None:
    def opened() -> str:
        partition = Partition()
        partition.frames("n1", WARM)
        partition.probability = 0.8
        return incidents(partition.frames("n1", 3, since=WARM + 1))[0].incident

    assert opened() == opened()


def test_a_warming_node_opens_nothing(partition: Partition) -> None:
    partition.probability = 1.0
    assert not incidents(partition.frames("n1", RANGE_FRAMES))


def test_an_incident_of_the_past_is_marked_as_such(partition: Partition) -> None:
    partition.tick(0, history=True)
    partition.probability = 0.9
    told = partition.frames("n1", WARM + 5)
    assert [i.history for i in incidents(told)] == [True]
    assert all(c.history for c in told if isinstance(c, Assessment))
    partition.tick(WARM + 6, history=False)
    assert not only(partition.put(partition.frame("n1", WARM + 7))).history


def test_a_duplicate_is_counted_and_concludes_nothing(partition: Partition) -> None:
    partition.frames("n1", 20)
    assert partition.put(partition.frame("n1", 20), partition.frame("n1", 15), partition.frame("n1", 20)) == []
    assert partition.counts().duplicates == 3


def test_a_frame_within_the_grace_is_assessed_with_its_own_time(partition: Partition) -> None:
    partition.frames("n1", WARM)
    partition.put(partition.frame("n1", WARM + 2))
    one = only(partition.put(partition.frame("n1", WARM + 1)))
    assert (one.ts, one.verdict) == (START + WARM + 1, "healthy")
    assert only(partition.frames("n1", 1, since=WARM + 3)).ts == START + WARM + 3
    assert partition.counts().late == 0


def test_a_late_frame_opens_no_incident(partition: Partition) -> None:
    partition.frames("n1", WARM)
    partition.put(partition.frame("n1", WARM + 4))
    partition.probability = 0.9
    late = partition.put(*(partition.frame("n1", WARM + 4 - k / 4) for k in range(1, 8)))
    assert verdicts(late) == ["suspect"] * 7
    assert not incidents(late)


def test_older_than_the_grace_is_late_and_counted(partition: Partition) -> None:
    partition.frames("n1", WARM)
    assert partition.put(partition.frame("n1", 10.5), partition.frame("n1", WARM - 2.5)) == []
    assert partition.counts().late == 2


def test_after_three_missed_intervals_a_node_is_unknown_once(partition: Partition) -> None:
    partition.frames("n1", WARM)
    assert verdicts(partition.tick(WARM + 3)) == []
    silent = partition.tick(WARM + 3.5)
    assert verdicts(silent) == ["unknown"]
    one = silent[0]
    assert isinstance(one, Assessment)
    assert (one.ts, one.probability, one.cause.index) == (START + WARM + 3.5, None, 0)
    assert verdicts(partition.tick(WARM + 5)) == []


def test_silence_is_read_from_ticks_alone(partition: Partition) -> None:
    partition.frames("n1", 20)
    assert verdicts(partition.frames("n2", 1, since=1000.0)) == ["warming"]
    assert verdicts(partition.tick(1000.0)) == ["unknown"]


def test_a_node_comes_back_from_unknown(partition: Partition) -> None:
    partition.frames("n1", WARM)
    partition.tick(WARM + 10)
    assert verdicts(partition.frames("n1", 1, since=WARM + 11)) == ["healthy"]
    assert verdicts(partition.tick(WARM + 20)) == ["unknown"], "and may fall silent again"


def test_a_late_frame_does_not_clear_silence(partition: Partition) -> None:
    partition.frames("n1", WARM)
    assert verdicts(partition.tick(WARM + 10)) == ["unknown"]
    assert verdicts(partition.put(partition.frame("n1", WARM - 0.5))) == ["unknown"]


def test_an_open_incident_outlasts_silence(partition: Partition) -> None:
    partition.frames("n1", WARM)
    partition.probability = 0.9
    partition.frames("n1", 3, since=WARM + 1)
    [silent, _] = partition.tick(WARM + 20)
    assert isinstance(silent, Assessment)
    assert silent.incident is not None
    assert verdicts(partition.frames("n1", 1, since=WARM + 21)) == ["failing"]


def test_several_silent_nodes_and_the_counts_stand_in_order_at_one_tick(partition: Partition) -> None:
    for name in ("b", "a", "c"):
        partition.frames(name, INTERVAL_FRAMES_MIN)
    told = partition.tick(100)
    assert [c.cause.index for c in told if isinstance(c, Assessment | Counts)] == [0, 1, 2, 3]
    assert [c.node for c in told if isinstance(c, Assessment)] == ["b", "a", "c"]


def test_a_tick_of_the_past_does_not_turn_time_back(partition: Partition) -> None:
    partition.tick(100)
    partition.tick(50)
    assert partition.assessor.state.now == START + 100


def test_a_clock_far_ahead_is_unknown_and_corrected_by_a_true_frame(partition: Partition) -> None:
    partition.tick(1)
    partition.frames("n1", 20)
    partition.frames("n1", 1, since=5000.0)
    assert verdicts(partition.tick(21)) == ["unknown"]
    assert verdicts(partition.frames("n1", 1, since=22.0)) == ["warming"], "its past is forgotten"
    assert verdicts(partition.frames("n1", WARM, since=23.0))[-1] == "healthy"
    assert partition.counts().late == 0


def test_a_clock_a_little_ahead_is_left_alone(partition: Partition) -> None:
    partition.tick(1)
    partition.frames("n1", 20, since=SKEW_S_MAX - 100)
    assert verdicts(partition.tick(2)) == []


def test_members_give_frames_and_incidents_their_job(partition: Partition) -> None:
    partition.put(Member("n1", "llama", START))
    partition.frames("n1", WARM)
    partition.probability = 0.9
    told = partition.frames("n1", 3, since=WARM + 1)
    assert {c.job for c in told if isinstance(c, Assessment | Incident)} == {"llama"}
    partition.put(Member("n1", None, START + 1))
    assert only(partition.frames("n1", 1, since=WARM + 9)).job is None


def test_older_word_of_membership_changes_nothing(partition: Partition) -> None:
    partition.put(Member("n1", "new", START + 10), Member("n1", "old", START))
    assert only(partition.frames("n1", 1)).job == "new"
    partition.put(Member("n1", "same time", START + 10))
    assert only(partition.frames("n1", 1, since=2)).job == "same time"


WIDER = Schema.of_names(("gpu0.ecc_total", "gpu0.temp_c", "gpu0.xid_total"))


def test_a_node_that_begins_to_tell_more_stays_assessed(partition: Partition) -> None:
    partition.frames("n1", WARM)
    partition.probability = 0.9
    partition.frames("n1", 3, since=WARM + 1)
    assert verdicts(partition.frames("n1", 2, since=WARM + 4, schema=WIDER)) == ["failing"] * 2
    assert partition.assessor.state.nodes["n1"].cohort.metrics == WIDER.metrics


def test_a_node_that_tells_less_misses_those_values(partition: Partition) -> None:
    partition.frames("n1", WARM, schema=WIDER)
    less = Schema.of_names(("gpu0.temp_c",))
    assert verdicts(partition.frames("n1", 1, since=WARM + 1, schema=less)) == ["healthy"]
    cohort = partition.assessor.state.nodes["n1"].cohort
    assert np.isnan(cohort.state["window"][0, :, -1]).tolist() == [True, False, True]


def test_the_order_of_a_schema_does_not_matter() -> None:
    straight, turned = Partition(), Partition()
    backwards = Schema(SCHEMA.metrics[::-1], SCHEMA.counters[::-1])
    for at in range(1, WARM + 20):
        values = straight.random.normal(50.0, 2.0, 2)
        straight.put(Row("n1", START + at, SCHEMA, values))
        schema, order = (backwards, values[::-1]) if at % 2 == 0 else (SCHEMA, values)
        turned.put(Row("n1", START + at, schema, order.copy()))
    assert state_to_bytes(straight.assessor.state) == state_to_bytes(turned.assessor.state)


def test_metrics_beyond_the_limit_are_not_read(partition: Partition) -> None:
    for part in range(4):
        names = tuple(f"m{part}_{k:03}" for k in range(400))
        partition.frames("n1", 1, since=part + 1, schema=Schema.of_names(names))
    assert len(partition.assessor.state.nodes["n1"].cohort.metrics) == METRICS_MAX


def test_names_that_never_repeat_leave_no_cohorts_behind(partition: Partition) -> None:
    for at in range(1, 40):
        partition.frames("n1", 1, since=at, schema=Schema.of_names((f"m{at:03}",)))
    assert len(partition.assessor.state.cohorts) == 1


def test_the_kind_of_a_metric_is_the_one_that_was_told_first(partition: Partition) -> None:
    partition.frames("n1", 5, schema=Schema(("a",), (True,)))
    partition.frames("n1", 5, since=6, schema=Schema(("a",), (False,)))
    assert partition.assessor.state.nodes["n1"].cohort.counters.tolist() == [True]


def test_nodes_with_the_same_metrics_share_a_cohort(partition: Partition) -> None:
    partition.put(*(partition.frame(f"n{k}", 1) for k in range(5)), partition.frame("x", 1, WIDER))
    assert sorted(cohort.size for cohort in partition.assessor.state.cohorts.values()) == [1, 5]


def test_every_record_is_in_exactly_one_count(partition: Partition) -> None:
    partition.tick(0, history=True)
    records: list[Telemetry] = [Unreadable("not-json"), Member("n1", "j", START), TelemetryTick(START, history=True)]
    for at in range(1, 60):
        records += [partition.frame("n1", at), partition.frame("n2", at)]
        records += [partition.frame("n1", at), partition.frame("n2", at - 20.5 if at > 30 else at)]
        records.append(TelemetryTick(START + at, history=at < 30))
    partition.put(*records)
    counts = partition.counts()
    told = counts.assessed + counts.history + counts.late + counts.duplicates
    told += counts.dead_letters + counts.ticks + counts.members
    assert told == partition.offset == len(records) + 2
    assert min(counts.assessed, counts.history, counts.late, counts.duplicates, counts.dead_letters) > 0


def test_missing_values_are_counted_by_their_reason(partition: Partition) -> None:
    row = Row("n1", START, SCHEMA, np.array([1.0, np.nan]), (("blank", 1),))
    worse = Row("n1", START + 1, SCHEMA, np.array([np.nan, np.nan]), (("blank", 1), ("not-finite", 1)))
    partition.put(row, worse)
    assert partition.counts().missing_values == {"blank": 2, "not-finite": 1}


def test_counts_outlive_a_restart(partition: Partition) -> None:
    partition.frames("n1", 30)
    partition.put(Unreadable("not-json"), Member("n1", "j", START))
    partition.restart()
    counts = partition.counts()
    assert (counts.assessed, counts.dead_letters, counts.members) == (30, 1, 1)


def test_an_unreadable_record_is_passed_on_in_its_place(partition: Partition) -> None:
    told = partition.put(partition.frame("n1", 1), Unreadable("not-json", "why"), partition.frame("n1", 2))
    assert [type(c).__name__ for c in told] == ["Assessment", "Unreadable", "Assessment"]


def test_a_restart_in_the_middle_of_an_incident_changes_nothing() -> None:
    straight, restarted = Partition(), Partition()
    told: list[list[Conclusion]] = []
    for partition in (straight, restarted):
        found = partition.frames("n1", WARM)
        partition.probability = 0.9
        for at in range(1, 11):
            if partition is restarted:
                partition.restart()
            found += partition.frames("n1", 1, since=WARM + at)
            partition.probability = 0.9 if at < 4 else 0.0
        told.append(found + partition.tick(WARM + 11))
    assert told[0] == told[1]
    assert [i.state for i in incidents(told[0])] == ["opened", "changed", "closed"]


def test_the_caches_of_a_node_are_not_part_of_its_state(partition: Partition) -> None:
    partition.frames("n1", 20, schema=Schema(SCHEMA.metrics[::-1], SCHEMA.counters[::-1]))
    partition.frames("n1", 2, since=21)
    before = state_to_bytes(partition.assessor.state)
    partition.restart()
    assert partition.assessor.state.nodes["n1"].source is None
    assert state_to_bytes(partition.assessor.state) == before


@pytest.mark.parametrize("spoil", [b"", b"\x00" * 8, b"\x05" + b"\x00" * 7 + b"{}   ", b"x" * 100])
def test_what_is_no_state_is_refused(spoil: bytes) -> None:
    with pytest.raises(UnreadableState, match="begin"):
        state_from_bytes(spoil)


@pytest.mark.parametrize(("key", "value"), [("format", 99), ("shape", [1, 2, 3])])
def test_a_state_of_another_build_is_refused_with_both_versions(partition: Partition, key: str, value: Any) -> None:
    raw = state_to_bytes(partition.assessor.state)
    size = int.from_bytes(raw[:8], "little")
    head = json.loads(raw[8 : 8 + size]) | {key: value}
    text = json.dumps(head).encode()
    with pytest.raises(UnreadableState, match=f"{value}".replace("[", r"\[")):
        state_from_bytes(len(text).to_bytes(8, "little") + text + raw[8 + size :])


def test_nothing_put_nothing_concluded(partition: Partition) -> None:
    assert partition.put() == []
