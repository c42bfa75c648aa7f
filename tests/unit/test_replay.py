"""Replay: source times, the order of machines, what a row may hold, and the message when it may not."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from recording import numbered, write_folder, write_half

from connectors.codecs.frames import FrameDecoder, encode_packed_frame
from connectors.errors import WrongUse
from connectors.ports import Moment, RowFrame
from connectors.sources.replay import ORIGIN_TS, Replay
from models.telemetry import Row

EXTRACT = Path(__file__).parent.parent / "data" / "smd"


def frames(moments: list[Moment]) -> list[RowFrame]:
    found = [frame for moment in moments for frame in moment.take()]
    assert all(isinstance(frame, RowFrame) for frame in found)
    return [frame for frame in found if isinstance(frame, RowFrame)]


def test_the_extract_of_real_machines_is_read_whole() -> None:
    replay = Replay(EXTRACT, speed=600)
    past, live = frames(list(replay.history())), frames(list(replay.live(0.0)))
    assert len(past) == 2 * 594
    assert len(past) + len(live) == 600 + 594 + 600 + 602
    assert {frame.node for frame in past} == {"machine-1-4", "machine-3-2"}
    (schema,) = replay.schemas
    assert schema.metrics == tuple(f"m{n:02d}" for n in range(38))
    assert {frame.row.shape for frame in past + live} == {(38,)}
    assert {frame.row.dtype for frame in past + live} == {np.dtype(np.float32)}


def test_values_are_those_of_the_file() -> None:
    first = next(iter(Replay(EXTRACT).history())).take()[0]
    assert isinstance(first, RowFrame)
    with gzip.open(EXTRACT / "machine-1-4.train.csv.gz", "rt") as file:
        cells = file.read().splitlines()[1].split(",")[1:]
    assert first.row.tolist() == [np.float32(cell) for cell in cells]


def test_source_time_counts_rows_from_2020_and_test_follows_train(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": (numbered(3), numbered(4, first=100))}, interval_s=30)
    replay = Replay(tmp_path)
    past, live = frames(list(replay.history())), frames(list(replay.live(0.0)))
    assert [frame.ts for frame in past] == [ORIGIN_TS + 30 * n for n in range(3)]
    assert [frame.ts for frame in live] == [ORIGIN_TS + 30 * n for n in range(3, 7)]
    assert [frame.row[0] for frame in past + live] == [0, 1, 2, 100, 101, 102, 103]
    assert [frame.seq for frame in past + live] == list(range(7))


def test_without_a_dataset_file_a_row_is_a_minute(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": (numbered(2), numbered(1))})
    assert [moment.ts - ORIGIN_TS for moment in Replay(tmp_path).history()] == [0, 60]


@pytest.mark.parametrize(("speed", "gap"), [(1, 30.0), (600, 0.05), (0.5, 60.0)])
def test_live_moments_are_due_at_the_speed(tmp_path: Path, speed: float, gap: float) -> None:
    write_folder(tmp_path, {"a": (numbered(2), numbered(3))}, interval_s=30)
    replay = Replay(tmp_path, speed)
    assert [moment.due_s for moment in replay.history()] == [0.0, 0.0]
    assert [moment.due_s for moment in replay.live(123.0)] == pytest.approx([0.0, gap, 2 * gap])


def test_machines_of_other_lengths_are_merged_in_order_of_time(tmp_path: Path) -> None:
    write_folder(tmp_path, {"b": (numbered(5), numbered(1)), "a": (numbered(3), numbered(4))})
    replay = Replay(tmp_path)
    past, live = list(replay.history()), list(replay.live(0.0))
    order = [(int((f.ts - ORIGIN_TS) / 60), f.node) for f in frames(past + live)]
    assert order == sorted(order)
    assert [len(moment.take()) for moment in past] == [2, 2, 2]
    assert [(f.node, int((f.ts - ORIGIN_TS) / 60)) for f in frames(live) if f.node == "b"] == [
        ("b", 3),
        ("b", 4),
        ("b", 5),
    ], "from the first test row on, everything is live"


def test_live_without_history_skips_the_past(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": (numbered(3), numbered(2))})
    assert [moment.ts - ORIGIN_TS for moment in Replay(tmp_path).live(0.0)] == [180, 240]


def test_a_folder_without_test_rows_has_no_live_part(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": (numbered(3), [])})
    replay = Replay(tmp_path)
    assert (len(list(replay.history())), list(replay.live(0.0))) == (3, [])


def test_machines_may_have_other_metrics_than_each_other(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": (numbered(2), numbered(1))}, metrics=2)
    write_folder(tmp_path, {"b": (numbered(2, 5), numbered(1, 5))}, metrics=5)
    replay = Replay(tmp_path)
    assert [len(schema.metrics) for schema in replay.schemas] == [2, 5]
    for frame in frames(list(replay.history())):
        assert frame.row.shape == (len(frame.schema.metrics),)
        assert frame.schema in replay.schemas


def test_blocks_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [(f.node, f.ts, f.row.tobytes()) for f in frames(list(Replay(EXTRACT).history()))]
    monkeypatch.setattr("connectors.sources.replay.BLOCK_BYTES", 700)
    assert [(f.node, f.ts, f.row.tobytes()) for f in frames(list(Replay(EXTRACT).history()))] == whole


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("", "not-finite"),
        ("nan", "not-finite"),
        ("inf", "not-finite"),
        ("-inf", "not-finite"),
        ("1e308", "not-finite"),
        ("9223372036854775794", "blank"),
        ("9223372036854775792", "blank"),
    ],
)
def test_what_is_no_measurement_arrives_as_missing_and_the_rest_as_it_is(
    tmp_path: Path, cell: str, reason: str
) -> None:
    write_folder(tmp_path, {"a": ([f"{cell},2.5", "1,3.5"], numbered(1))})
    replay = Replay(tmp_path)
    first, second = frames(list(replay.history()))
    decoder = FrameDecoder({"s": first.schema})
    row = decoder.decode(encode_packed_frame(first.node, first.ts, first.seq, "s", first.row))
    assert isinstance(row, Row)
    assert np.isnan(row.values[0])
    assert row.values[1] == 2.5
    assert row.missing == ((reason, 1),)
    assert second.row.tolist() == [1.0, 3.5]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("1,2,3", "4 columns, the header has 3"),
        ("1", "2 columns, the header has 3"),
        ("1,hot", "could not convert string to float: 'hot'"),
        ("1,N/A", "N/A"),
    ],
)
@pytest.mark.parametrize("at", [0, 7, 2_500])
def test_a_bad_row_names_folder_file_and_line(tmp_path: Path, row: str, words: str, at: int) -> None:
    rows = numbered(3_000)
    rows[at] = row
    write_folder(tmp_path, {"a": (rows, numbered(1))})
    with pytest.raises(WrongUse) as fault:
        list(Replay(tmp_path).history())
    assert str(fault.value).startswith(f"{tmp_path / 'a.train.csv.gz'}, line {at + 2}: ")
    assert words in str(fault.value)


def test_an_empty_line_is_a_bad_row(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": (numbered(2), numbered(1))})
    write_half(tmp_path / "a.train.csv.gz", "t,m00,m01", ["0,1,2", "", "2,1,2"])
    with pytest.raises(WrongUse, match=r"line 3: 1 columns"):
        list(Replay(tmp_path).history())


def test_rows_before_the_bad_block_are_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.sources.replay.BLOCK_BYTES", 20)
    write_folder(tmp_path, {"a": ([*numbered(50), "x,1"], numbered(1))})
    history = Replay(tmp_path).history()
    assert [next(history).take()[0].seq for _ in range(48)] == list(range(48))
    with pytest.raises(WrongUse, match="line 52"):
        list(history)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match=r"there is no folder .*nowhere"):
        Replay(tmp_path / "nowhere")


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match=r"holds no NAME\.train\.csv\.gz"):
        Replay(tmp_path)


def test_a_missing_half_is_named(tmp_path: Path) -> None:
    write_folder(tmp_path, {name: (numbered(1), numbered(1)) for name in "abc"})
    (tmp_path / "a.test.csv.gz").unlink()
    (tmp_path / "c.train.csv.gz").unlink()
    with pytest.raises(WrongUse, match=r"lacks a\.test\.csv\.gz, c\.train\.csv\.gz"):
        Replay(tmp_path)


def test_halves_with_other_metrics_are_refused(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": (numbered(1), numbered(1))})
    write_half(tmp_path / "a.test.csv.gz", "t,m00,other,label", ["0,1,2,0"])
    with pytest.raises(WrongUse, match=r"a\.test\.csv\.gz has other metrics than a\.train\.csv\.gz"):
        Replay(tmp_path)


@pytest.mark.parametrize("head", ["", "t", "t,label", "t,m00,m00", "t,,m01", "t," + "m" * 257])
def test_a_header_without_metrics_is_refused(tmp_path: Path, head: str) -> None:
    write_folder(tmp_path, {"a": (numbered(1), numbered(1))})
    write_half(tmp_path / "a.train.csv.gz", head, [])
    with pytest.raises(WrongUse, match=r"a\.train\.csv\.gz, line 1"):
        Replay(tmp_path)


def test_what_is_not_gzip_is_named(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": (numbered(1), numbered(1))})
    (tmp_path / "a.train.csv.gz").write_text("t,m00,m01\n0,1,2\n")
    with pytest.raises(WrongUse, match=r"a\.train\.csv\.gz cannot be read: Not a gzipped file"):
        Replay(tmp_path)


def test_a_file_cut_short_is_named_with_the_line_it_came_to(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": ([f"{n * 0.123456789},{n * 7.7}" for n in range(5_000)], numbered(1))})
    path = tmp_path / "a.train.csv.gz"
    path.write_bytes(path.read_bytes()[:-2_000])
    with pytest.raises(WrongUse, match=r"a\.train\.csv\.gz, after line \d+: cannot be read: Compressed file ended"):
        list(Replay(tmp_path).history())


@pytest.mark.parametrize("interval", ["0", "-1", '"60"', "nan", "inf", "true"])
def test_an_impossible_interval_is_refused_with_its_value(tmp_path: Path, interval: str) -> None:
    write_folder(tmp_path, {"a": (numbered(1), numbered(1))})
    (tmp_path / "dataset.toml").write_text(f"interval_s = {interval}\n")
    with pytest.raises(WrongUse, match=r"dataset\.toml: interval_s is"):
        Replay(tmp_path)


def test_a_dataset_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": (numbered(1), numbered(1))})
    (tmp_path / "dataset.toml").write_text("interval_s = = 3\n")
    with pytest.raises(WrongUse, match=r"dataset\.toml cannot be read"):
        Replay(tmp_path)
