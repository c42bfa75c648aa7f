"""The two folds with their codecs: keys, places, dead letters, and where a restored one goes on."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from connectors.codecs.frames import encode_json_frame
from connectors.codecs.records import decode_command, encode_event, encode_tick
from connectors.kafka import topics
from connectors.kafka.publisher import Outgoing
from models.assessment_state import UnreadableState
from models.foresight import Foresight
from models.incident import IncidentSettings
from models.limits import RANGE_FRAMES
from models.policy_settings import PolicySettings
from models.records import Frame, Incident, Membership, Progress, Tick
from streams.agents.assess import assess_stage, place_of
from streams.agents.decide import decide_stage
from streams.batch import Batch, Partition
from streams.dead_letter import KEY_BYTES_MAX, REASON_CHARS_MAX, VALUE_BYTES_MAX, dead_letter
from streams.fold import Fold, Ordered, Output, Place

START = 1_700_000_000.0
TELEMETRY, EVENTS = Partition(topics.TELEMETRY, 1), Partition(topics.EVENT, 1)


def certain(features: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.full(len(features), 0.9)


ASSESS = assess_stage({}, Foresight(certain, 120.0), IncidentSettings())
DECIDE = decide_stage(PolicySettings(level="migrate", checkpoint="young"))


def apply(fold: Fold, source: Partition, first: int, *rows: tuple[bytes, bytes]) -> Sequence[Output]:
    return fold.apply(Batch(source, first, [key for key, _ in rows], [value for _, value in rows]))


def frame(at: int, node: str = "n1") -> tuple[bytes, bytes]:
    return b"the producer's key", encode_json_frame(Frame(node, START + at, at, {"gpu0.temp_c": 50.0 + at % 7}))


def tick(at: float, *, history: bool = False) -> tuple[bytes, bytes]:
    return b"tick", encode_tick(START + at, history=history)


def ordered(outputs: Sequence[Output]) -> list[Ordered]:
    return [output for output in outputs if isinstance(output, Ordered)]


def aside(outputs: Sequence[Output]) -> list[Outgoing]:
    return [output for output in outputs if isinstance(output, Outgoing)]


def test_an_assessment_has_the_key_of_its_node_and_the_place_of_its_frame() -> None:
    [one] = ordered(apply(ASSESS.restore(1, None), TELEMETRY, 40, frame(1)))
    assert (one.key, one.place) == (b"n1", Place(40, 0))
    assert place_of(one.value) == one.place
    assert json.loads(one.value)["cause"] == {"partition": 1, "offset": 40, "index": 0}


def test_what_a_tick_says_has_keys_of_its_own() -> None:
    fold = ASSESS.restore(1, None)
    apply(fold, TELEMETRY, 0, *(frame(at, node) for at in range(10) for node in ("n1", "n2")))
    told = ordered(apply(fold, TELEMETRY, 20, tick(100)))
    assert [(o.key, o.place) for o in told] == [
        (b"n1", Place(20, 0)),
        (b"n2", Place(20, 1)),
        (b"counts", Place(20, 2)),
    ]


def test_an_incident_goes_to_the_decision_log_by_its_job_or_else_by_its_node() -> None:
    fold = ASSESS.restore(1, None)
    outputs = apply(fold, TELEMETRY, 0, *(frame(at) for at in range(RANGE_FRAMES + 5)))
    [incident] = aside(outputs)
    assert (incident.topic, incident.key, incident.partition) == (topics.EVENT, b"n1", None)


def test_places_rise_without_a_break() -> None:
    fold = ASSESS.restore(1, None)
    rows = [row for at in range(300) for row in (frame(at), frame(at, "n2"), tick(at))]
    places = [o.place for o in ordered(apply(fold, TELEMETRY, 0, *rows, tick(400)))]
    assert places == sorted(set(places))


def test_what_cannot_be_read_goes_aside_with_why_and_where() -> None:
    [letter] = aside(apply(ASSESS.restore(1, None), TELEMETRY, 7, frame(1), (b"k", b"\xff\x00")))
    assert (letter.topic, letter.key, letter.value) == (topics.DEAD_LETTER, b"k", b"\xff\x00")
    headers = dict(letter.headers)
    assert headers.pop("reason").startswith(b"not-a-frame: ")
    assert headers == {"topic": b"telemetry.node.v1", "partition": b"1", "offset": b"8"}


def test_of_a_giant_the_beginning_is_kept_and_its_size_told() -> None:
    letter = dead_letter(TELEMETRY, 3, b"k" * 100_000, b"x" * 8_000_000, "reason" * 10_000)
    assert len(letter.value) == VALUE_BYTES_MAX
    assert len(letter.key) == KEY_BYTES_MAX
    assert dict(letter.headers)["bytes"] == b"8000000"
    assert len(dict(letter.headers)["reason"]) == REASON_CHARS_MAX
    sizes = sum(len(name) + len(value) for name, value in letter.headers)
    assert len(letter.value) + len(letter.key) + sizes < 1_000_000, "Kafka's own bound is a mebibyte"


def test_what_fits_is_kept_whole() -> None:
    letter = dead_letter(TELEMETRY, 3, b"k", b"x" * VALUE_BYTES_MAX, "why \ud800")
    assert len(letter.value) == VALUE_BYTES_MAX
    assert "bytes" not in dict(letter.headers)
    assert dict(letter.headers)["reason"] == rb"why \ud800"


def test_while_history_is_loaded_the_fold_says_so() -> None:
    fold = ASSESS.restore(1, None)
    assert not fold.loading
    apply(fold, TELEMETRY, 0, tick(1, history=True))
    assert fold.loading
    assert ASSESS.restore(1, fold.snapshot()).loading
    apply(fold, TELEMETRY, 1, tick(2))
    assert not fold.loading


def test_a_snapshot_of_something_else_is_refused() -> None:
    with pytest.raises(UnreadableState):
        ASSESS.restore(1, b"not a state")
    with pytest.raises(ValueError, match="version"):
        DECIDE.restore(1, b'{"v":99}')


@pytest.mark.parametrize(
    "value",
    [b"", b"null", b"\xff", b"{}", b'{"cause":{}}', b'{"cause":{"offset":"1","index":0}}', b"[" * 100_000],
)
def test_what_is_not_the_stages_has_no_place(value: bytes) -> None:
    assert place_of(value) is None


def job_of_four() -> list[tuple[bytes, bytes]]:
    events: list[Membership | Progress | Tick | Incident] = [Tick(at=START)]
    for rank in range(4):
        events.append(
            Membership(id=f"m{rank}", job="j", node=f"n{rank}", at=START, state="running", rank=rank, world=4)
        )
        events.append(
            Progress(
                id=f"p{rank}", job="j", node=f"n{rank}", rank=rank, at=START, step=100, loss=1.0, step_s=0.5, load=0.1
            )
        )
    events.append(
        Incident(
            id="i/0",
            job="j",
            node="n2",
            at=START + 1,
            incident="i",
            state="opened",
            probability=0.9,
            deviation=5.0,
            horizon_s=120.0,
        )
    )
    return [(b"j", encode_event(event)) for event in events]


def test_an_incident_becomes_a_command_at_its_place() -> None:
    outputs = apply(DECIDE.restore(1, None), EVENTS, 0, *job_of_four())
    [one] = ordered(outputs)
    command = decode_command(one.value)
    assert (command.action, command.job, command.ranks) == ("CHECKPOINT", "j", (0, 1, 2, 3))
    assert one.key == b"j"
    assert place_of(one.value) == one.place == Place(command.cause.offset, command.cause.index)


@pytest.mark.parametrize("cut", range(1, 10))
def test_a_restored_decision_fold_goes_on_with_the_same_bytes(cut: int) -> None:
    rows = job_of_four()
    whole = DECIDE.restore(1, None)
    expected = apply(whole, EVENTS, 0, *rows)
    first = DECIDE.restore(1, None)
    outputs = list(apply(first, EVENTS, 0, *rows[:cut]))
    second = DECIDE.restore(1, first.snapshot())
    assert [*outputs, *apply(second, EVENTS, cut, *rows[cut:])] == list(expected)
    assert second.snapshot() == whole.snapshot()


@pytest.mark.parametrize("raw", [b"", b"nonsense", b'{"v":1,"kind":["tick"]}', b'{"v":2,"kind":"tick","at":1}'])
def test_nonsense_on_the_decision_log_goes_aside_and_disturbs_nothing(raw: bytes) -> None:
    rows = job_of_four()
    outputs = apply(DECIDE.restore(1, None), EVENTS, 0, *rows[:5], (b"x", raw), *rows[5:])
    [letter] = aside(outputs)
    assert (letter.topic, letter.value, dict(letter.headers)["offset"]) == (topics.DEAD_LETTER, raw, b"5")
    [one] = ordered(outputs)
    assert decode_command(one.value).action == "CHECKPOINT"
