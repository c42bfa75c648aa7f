"""Whatever stands on the topics, status tells it as JSON and in words; a diagnosis does not depend on their order."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import numpy as np
from any_record import EVENTS, any_record
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.codecs.records import encode_record
from connectors.kafka.topics import COMMAND, EVENT
from infra.metrics.diagnostics import exposition
from infra.observer.record import LogRecord
from infra.status.diagnosing import diagnose
from infra.status.document import document, jobs_of
from infra.status.lines import lines
from infra.status.reading import Position, Reading
from models.decisions import decide, initial_state
from models.diagnostics import CAUSES, Checkpoint, Told, checkpoint_overhead, probability_stuck
from models.policy_settings import PolicySettings
from models.records import Cause, Command, Incident, Membership, NodeFate, Outcome, Progress, Tick

START = 1_700_000_000.0
POLICY = PolicySettings(level="migrate", migration_s=5.0, warm_up_s=0.0)
KINDS: tuple[type[Any], ...] = (*EVENTS, Command, Tick, Membership, Progress, Incident, NodeFate, Outcome)
NAMES: dict[str, tuple[Any, ...]] = {
    "job": ("j", "k"),
    "node": ("n0", "n1", "n2"),
    "incident": ("i0", "i1"),
    "id": tuple("abcdefgh"),
    "command": tuple("abcd"),
    "rank": (0, 1, 2),
    "action": ("CHECKPOINT", "MIGRATE", "RESTORE", "RESIZE"),
}
TIMES = {"at", "issued_at", "expires_at"}


@st.composite
def any_told(draw: st.DrawFn) -> Any:
    """A record among few jobs, nodes and ids, mostly at a sensible time, so that records meet each other."""
    record = draw(any_record(draw(st.sampled_from(KINDS))))
    known = {field.name for field in fields(record)}
    told = {name: draw(st.sampled_from(NAMES[name])) for name in sorted(known & NAMES.keys())}
    if draw(st.integers(0, 9)):
        told |= {name: START + draw(st.integers(0, 3000)) for name in sorted(known & TIMES)}
    return replace(record, **told)


def reading_of(records: list[Any]) -> Reading:
    reading, state = Reading(), initial_state(POLICY)
    for number, record in enumerate(records):
        topic = COMMAND if isinstance(record, Command) else EVENT
        log = LogRecord(topic, 0, number, b"k", encode_record(record), START)
        reading.refusals.note(reading.view.fold(log))
        if topic == EVENT:
            decide(state, record, Cause(0, number))
    reading.states, reading.carried = {0: state}, {0: True}
    reading.positions = [Position(EVENT, 0, len(records), None, None)]
    return reading


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(any_told(), max_size=40))
def test_any_log_is_told(records: list[Any]) -> None:
    reading = reading_of(records)
    assert reading.view.unreadable == 0
    found = diagnose(reading.view, POLICY, jobs_of(reading.states), lambda: (None, None))
    told = json.loads(json.dumps(document(reading, found, START + 3000.0), allow_nan=False))
    assert all(isinstance(line, str) for line in lines(told))
    assert {one["name"] for one in told["diagnostics"]} <= set(CAUSES)
    assert exposition(found)
    for job in told["jobs"]:
        places = [one["node"] for kind in ("ranks", "spares", "vacated", "failed") for one in job[kind]]
        assert len(places) == len(set(places)), "a node stands in one place"
        for command in job["commands"]:
            assert command["stages"]


TOLD = st.builds(
    Told,
    node=st.sampled_from([f"n{number}" for number in range(8)]),
    ts=st.floats(START, START + 100),
    probability=st.sampled_from([0.02, 0.45, 0.5, 0.55, 0.9]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(TOLD, min_size=80, max_size=200), st.randoms(use_true_random=False))
def test_the_order_in_which_assessments_are_read_is_no_matter(told: list[Told], random: Any) -> None:
    mixed = list(told)
    random.shuffle(mixed)
    distinct = len({one.ts for one in told}) == len(told)
    ours, theirs = probability_stuck(told), probability_stuck(mixed)
    assert ours.numbers == theirs.numbers
    if distinct:  # of two at one time, either may be the first
        assert ours == theirs


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.builds(Checkpoint, st.floats(0, 5000), st.floats(0, 500), st.none() | st.integers(0, 10**12))),
    st.randoms(use_true_random=False),
)
def test_the_order_in_which_checkpoints_are_read_is_no_matter(made: list[Checkpoint], random: Any) -> None:
    made = list({one.at: one for one in made}.values())
    mixed = list(made)
    random.shuffle(mixed)
    told: dict[str, Any] = {"begun_at": 0.0, "now": 5000.0, "step_s": 0.5, "mtbf_s": 1e5}
    ours = checkpoint_overhead("j", made, **told)
    assert ours == checkpoint_overhead("j", mixed, **told)
    assert all(np.isfinite(value) for value in ours.numbers.values())
