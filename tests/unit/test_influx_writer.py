"""Each answer of InfluxDB, and what becomes of the lines."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from influx_fake import FakeInflux, fake_influx

from connectors.errors import WrongUse
from connectors.influx.token_file import read_token, write_token
from connectors.influx.writer import Address, Delivered, InfluxWriter, NotNow, deliver, pause_s

NOW = 1_763_942_400.0


@pytest.fixture
def served() -> Iterator[tuple[FakeInflux, InfluxWriter]]:
    with fake_influx() as (fake, url):
        writer = InfluxWriter(Address(url, "our org", "bucket"), lambda: "secret-token", lambda: NOW)
        yield fake, writer
        writer.close()


def lines(count: int, first: int = 0) -> list[str]:
    return [f"assessment,node=n v=1 {at}" for at in range(first, first + count)]


Served = tuple[FakeInflux, InfluxWriter]


def test_a_write_is_one_compressed_request_in_nanoseconds(served: Served) -> None:
    fake, writer = served
    assert deliver(lines(3), writer.post) == Delivered(3)
    [(path, headers, sent)] = fake.requests
    assert path == "/api/v2/write?org=our+org&bucket=bucket&precision=ns"
    assert headers["Authorization"] == "Token secret-token"
    assert headers["Content-Encoding"] == "gzip"
    assert sent == lines(3)


def test_nothing_is_no_request(served: Served) -> None:
    fake, writer = served
    assert deliver([], writer.post) == Delivered(0)
    assert fake.requests == []


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("where", [0, 1, 7, 99])
def test_a_bad_line_is_found_alone_and_all_others_are_stored(served: Served, status: int, where: int) -> None:
    fake, writer = served
    fake.bad_status = status
    sent = lines(100)
    sent[where] = f"bad {where}"
    found = deliver(sent, writer.post)
    assert found.written == 99
    assert [one.lines for one in found.refused] == [(f"bad {where}",)]
    assert found.refused[0].reason.startswith(str(status))
    assert len(fake.points) == 99


def test_several_bad_lines_are_each_found(served: Served) -> None:
    fake, writer = served
    found = deliver([*lines(5), "bad 1", *lines(5, 5), "bad 2", "bad 3"], writer.post)
    assert (found.written, [one.lines[0] for one in found.refused]) == (10, ["bad 1", "bad 2", "bad 3"])
    assert len(fake.points) == 10


@pytest.mark.parametrize("words", [b"partial write: dropped=40", b"partial write: dropped 40 points outside retention"])
def test_what_is_dropped_whole_is_not_asked_again(served: Served, words: bytes) -> None:
    fake, writer = served
    fake.answers = [(422, {}, b'{"message":"' + words + b'"}')]
    found = deliver(lines(40), writer.post)
    assert found.written == 0
    assert [len(one.lines) for one in found.refused] == [40]
    assert len(fake.requests) == 1


def test_what_is_too_large_is_halved(served: Served) -> None:
    fake, writer = served
    fake.answers = [(413, {}, b"")]
    assert deliver(lines(10), writer.post) == Delivered(10)
    assert [len(sent) for _, _, sent in fake.requests] == [10, 5, 5]


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (401, "influx.token_file"),
        (403, "may not write"),
        (404, "influx.bucket"),
        (500, "500"),
        (503, "503"),
        (301, "301"),
    ],
)
def test_other_answers_keep_everything_and_say_why(served: Served, status: int, says: str) -> None:
    fake, writer = served
    fake.answers = [(status, {}, b'{"message":"so it is"}')]
    with pytest.raises(NotNow, match=says) as found:
        deliver(lines(3), writer.post)
    assert found.value.denied == (status in {401, 403, 404})
    assert "secret-token" not in str(found.value)
    assert "so it is" in str(found.value)


def test_200_is_no_promise_of_influxdb(served: Served) -> None:
    fake, writer = served
    fake.answers = [(200, {}, b"<html>a proxy's page")]
    with pytest.raises(NotNow):
        deliver(lines(1), writer.post)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("Mon, 24 Nov 2025 00:00:30 GMT", 30.0), ("100000", 600.0), ("Sun, 23 Nov 2025 00:00:00 GMT", 0.0)],
)
def test_retry_after_is_seconds_or_a_date_and_is_bounded(served: Served, header: str, seconds: float) -> None:
    fake, writer = served
    fake.answers = [(429, {"Retry-After": header}, b"")]
    with pytest.raises(NotNow) as found:
        deliver(lines(1), writer.post)
    assert pause_s(found.value, 1) == seconds


def test_no_answer_is_not_now_and_the_next_try_may_succeed() -> None:
    with fake_influx() as (_, url):
        pass
    writer = InfluxWriter(Address(url, "o", "b"), lambda: "t", lambda: NOW)
    with pytest.raises(NotNow, match="no answer"):
        deliver(lines(1), writer.post)


def test_a_connection_that_idled_away_is_made_anew_at_once(served: Served) -> None:
    fake, writer = served
    fake.answers = [(204, {"Connection": "close"}, b""), (204, {}, b"")]
    assert deliver(lines(1), writer.post) == deliver(lines(1), writer.post) == Delivered(1)


@pytest.mark.parametrize("url", ["influx:8086", "ftp://x", "http://", "http://x:0", "http://x:port"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(WrongUse, match=r"influx\.url"):
        Address(url, "o", "b").parts()


def test_a_token_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "token"
    write_token(path, "abc==")
    assert read_token(path) == "abc=="
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    with pytest.raises(WrongUse, match="chmod 600") as found:
        read_token(path)
    assert "abc" not in str(found.value)


@pytest.mark.parametrize("content", [b"", b"\n", b"two words\n", b"\xff\xfe"])
def test_a_file_without_a_token_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    os.chmod(path, 0o600)
    with pytest.raises(WrongUse):
        read_token(path)


def test_no_file_is_told_with_the_cure() -> None:
    with pytest.raises(WrongUse, match="forestall influx apply"):
        read_token(None)
