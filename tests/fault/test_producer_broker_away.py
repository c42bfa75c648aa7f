"""The broker stops, is killed, or stays away: no frame is lost, none comes twice, and every one is accounted for."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from own_broker import OwnBroker, own_broker_in, until
from topic_reader import TopicReader

from connectors.codecs.frames import FrameDecoder
from connectors.kafka.links import BulkLink, LiveLink
from connectors.kafka.telemetry_producer import Tally, TelemetryProducer
from connectors.kafka.topics import EVENT, TELEMETRY
from connectors.ports import AGAIN, Link, Outbound
from connectors.spool import Spool
from models.records import Frame
from models.telemetry import Row

pytestmark = [
    pytest.mark.broker,
    # kafka-python leaves the sockets of refused connections to the garbage collector
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[OwnBroker]:
    with own_broker_in(tmp_path) as own:
        yield own


class Sending:
    """A producer that sends numbered frames of one node."""

    def __init__(self, brokers: str, spool: Path) -> None:
        self.producer = TelemetryProducer(
            LiveLink(brokers), Spool(spool, 1 << 20), {TELEMETRY: 2, EVENT: 2}, time.monotonic
        )
        self.made = 0

    def one(self) -> None:
        self.producer.frame(Frame("n1", 1_000.0 + self.made, self.made, {"m": float(self.made)}))
        self.made += 1
        self.producer.poll(0.02)

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Go on sending until something holds."""

        def after_one_more() -> bool:
            self.one()
            return holds()

        until(after_one_more, what)

    def close(self, *, wait_s: float = 30.0) -> Tally:
        return self.producer.close(time.monotonic() + wait_s, keep=True)


def numbers(brokers: str) -> list[int]:
    """The numbers of the frames on the log, in its order."""
    reader = TopicReader(brokers, TELEMETRY, from_start=True)
    rows = [FrameDecoder({}).decode(read.value) for read in reader.new()]
    reader.close()
    return [int(row.values[0]) for row in rows if isinstance(row, Row)]


def test_a_broker_that_stops_for_a_while(own_broker: OwnBroker, tmp_path: Path) -> None:
    sending = Sending(own_broker.bootstrap, tmp_path / "spool")
    sending.until(lambda: sending.producer.tally.sent >= 20, "frames are acknowledged")
    os.kill(own_broker.pid, signal.SIGSTOP)
    sending.until(lambda: sending.producer.tally.spooled >= 50, "the spool is used")
    os.kill(own_broker.pid, signal.SIGCONT)
    sending.until(lambda: sending.producer.tally.spooled == 0, "the spool is empty again")
    tally = sending.close()
    assert (tally.sent, tally.spooled, tally.dropped) == (sending.made, 0, {})
    assert numbers(own_broker.bootstrap) == list(range(sending.made))


def test_a_broker_that_is_killed_and_started_again(own_broker: OwnBroker, tmp_path: Path) -> None:
    sending = Sending(own_broker.bootstrap, tmp_path / "spool")
    sending.until(lambda: sending.producer.tally.sent >= 20, "frames are acknowledged")
    own_broker.kill()
    sending.until(lambda: sending.producer.tally.spooled >= 50, "the spool is used")
    own_broker.start()
    sending.until(lambda: sending.producer.tally.spooled == 0, "the spool is empty again")
    tally = sending.close()
    assert (tally.sent, tally.spooled, tally.dropped) == (sending.made, 0, {})
    assert numbers(own_broker.bootstrap) == list(range(sending.made))


def test_a_producer_that_ends_while_the_broker_is_away_leaves_the_rest_to_the_next(
    own_broker: OwnBroker, tmp_path: Path
) -> None:
    first = Sending(own_broker.bootstrap, tmp_path / "spool")
    first.until(lambda: first.producer.tally.sent >= 20, "frames are acknowledged")
    own_broker.kill()
    first.until(lambda: first.producer.tally.spooled >= 30, "the spool is used")
    tally = first.close(wait_s=0.5)
    assert tally.adds_up()
    assert tally.sent + tally.spooled == first.made
    own_broker.start()
    second = Sending(own_broker.bootstrap, tmp_path / "spool")
    second.made = first.made
    second.until(lambda: second.producer.tally.sent > tally.spooled, "what was left is sent")
    after = second.close()
    assert after.restored == tally.spooled
    assert after.adds_up()
    found = numbers(own_broker.bootstrap)
    assert sorted(set(found)) == list(range(second.made)), "nothing is lost"
    assert found == sorted(found)


@pytest.mark.parametrize("make_link", [LiveLink, BulkLink])
def test_a_link_closes_soon_while_the_broker_is_away_and_says_what_is_open(
    own_broker: OwnBroker, make_link: Callable[[str], Link]
) -> None:
    link = make_link(own_broker.bootstrap)
    link.send(0, Outbound(TELEMETRY, b"k", b"v"))
    settled: list[tuple[int, str]] = []
    until(lambda: bool(settled.extend(link.settled(0.1)) or settled), "the first is acknowledged")
    os.kill(own_broker.pid, signal.SIGSTOP)
    for token in range(1, 4):
        link.send(token, Outbound(TELEMETRY, b"k", b"v"))
    link.close(0.2)
    assert sorted(link.settled(0.0)) == [(token, AGAIN) for token in range(1, 4)]
