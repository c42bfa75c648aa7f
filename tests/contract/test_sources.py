"""What every source of telemetry promises (connectors/ports.py), for each of them and for recordings of any shape."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recording import numbered, write_folder

from connectors.codecs.frames import FrameDecoder, encode_json_frame, encode_packed_frame, schema_id
from connectors.ports import Moment, RowFrame, Source
from connectors.sources.host import Host
from connectors.sources.replay import Replay
from infra.fleet_source import FleetSource
from models.records import Frame
from models.telemetry import Row

START = 1_800_000_000.0
EXTRACT = Path(__file__).parent.parent / "data" / "smd"


class TickingClock:
    """A wall clock that a test looks at: each look is a moment later."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        self.now += 0.01
        return self.now


SOURCES: dict[str, Callable[[], Source]] = {
    "host": lambda: Host(TickingClock(), node="here"),
    "replay": lambda: Replay(EXTRACT, speed=600),
    "fleet": lambda: FleetSource(200, START),
    "fleet without a past": lambda: FleetSource(5, START, with_history=False),
}
LIVE_MOMENTS = 40


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest) -> Source:
    return SOURCES[request.param]()


Sent = list[tuple[Moment, Sequence[Frame | RowFrame]]]


def read(source: Source, live_moments: int = LIVE_MOMENTS) -> tuple[Sent, Sent]:
    """The past and some of the present, each moment taken when it comes; the wait ends with the past."""
    past = [(moment, moment.take()) for moment in source.history()]
    source.release()
    live = [(moment, moment.take()) for moment in itertools.islice(source.live(START), live_moments)]
    return past, live


def check_promises(source: Source, live_moments: int = LIVE_MOMENTS) -> tuple[Sent, Sent]:
    """All of them; returns what was read."""
    past, live = read(source, live_moments)
    ids = {schema_id(schema): schema for schema in source.schemas}
    decoder = FrameDecoder(ids)
    newest: dict[str, float] = {}
    before = 0.0
    for moment, frames in past + live:
        assert moment.ts >= before, "time never goes back"
        before = moment.ts
        assert len({frame.node for frame in frames}) == len(frames), "a node has one frame a moment"
        for frame in frames:
            assert frame.ts > newest.get(frame.node, 0.0), "a node's time only goes on"
            newest[frame.node] = frame.ts
            if isinstance(frame, RowFrame):
                assert frame.schema in source.schemas, "its schema was told beforehand"
                assert frame.row.shape == (len(frame.schema.metrics),)
                raw = encode_packed_frame(frame.node, frame.ts, frame.seq, schema_id(frame.schema), frame.row)
            else:
                raw = encode_json_frame(frame)
            row = decoder.decode(raw)
            assert isinstance(row, Row)
            assert (row.node, row.ts) == (frame.node, frame.ts)
    assert {moment.due_s for moment, _ in past} <= {0.0}, "the past is due at once"
    due = [moment.due_s for moment, _ in live]
    assert due == sorted(due)
    assert not due or due[0] >= 0.0
    return past, live


def test_it_keeps_its_promises(source: Source) -> None:
    past, live = check_promises(source)
    assert live, "each of these has a present"
    if past:
        assert live[0][0].ts > past[-1][0].ts


def test_its_sequence_counts_a_nodes_frames_up(source: Source) -> None:
    past, live = read(source)
    last: dict[str, int] = {}
    for _, frames in past + live:
        for frame in frames:
            assert frame.seq > last.get(frame.node, -1)
            last[frame.node] = frame.seq


def test_a_wall_clock_source_is_due_when_it_is_stamped(source: Source) -> None:
    _, live = read(source, 5)
    for moment, _ in live:
        if source.brings_ticks:
            assert moment.ts < START, "recorded times are its own"
        else:
            assert moment.ts - START == pytest.approx(moment.due_s)


lengths = st.tuples(st.integers(0, 40), st.integers(0, 40))


@settings(max_examples=60, deadline=None)
@given(
    machines=st.dictionaries(st.sampled_from(["a", "b-1", "m.3", "zz"]), lengths, min_size=1),
    metrics=st.integers(1, 60),
    interval_s=st.sampled_from([0.5, 1.0, 15.0, 60.0, 3_600.0]),
    speed=st.floats(0.1, 1e6),
)
def test_recordings_of_any_shape(
    machines: dict[str, tuple[int, int]], metrics: int, interval_s: float, speed: float
) -> None:
    halves = {
        name: (numbered(train, metrics), numbered(test, metrics, first=train))
        for name, (train, test) in machines.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        write_folder(Path(folder), halves, metrics, interval_s)
        source = Replay(Path(folder), speed)
        past, live = check_promises(source, 1_000)
    expected = {name: train + test for name, (train, test) in machines.items()}
    found: dict[str, list[float]] = {name: [] for name in machines}
    for moment, frames in past + live:
        for frame in frames:
            assert isinstance(frame, RowFrame)
            assert np.all(frame.row == frame.seq), "the row is that of its number"
            assert frame.ts == moment.ts == 1_577_836_800.0 + frame.seq * interval_s
            found[frame.node].append(frame.ts)
    assert {name: len(times) for name, times in found.items()} == expected, "every row comes once"
    shortest = min((train for train, test in machines.values() if test), default=None)
    assert len(past) == (max(train for train, _ in machines.values()) if shortest is None else shortest)
