"""Whatever the broker does, every frame is accounted for and none is sent twice.

Order is kept as long as the client gives nothing back: what it gives back goes before all that is not yet under way.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from memory_link import FakeTime, MemoryLink

from connectors.kafka.telemetry_producer import RETRY_S, TelemetryProducer
from connectors.kafka.topics import EVENT, TELEMETRY
from connectors.ports import AGAIN
from connectors.spool import Spool
from models.records import Frame

NODES = ("n0", "n1", "big")


class BrokerComesAndGoes(RuleBasedStateMachine):
    """Frames of three nodes, of which the broker refuses one's for good; it is away, comes back, and stalls."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.time, self.link = FakeTime(), MemoryLink()
        self.spool = Spool(Path(self.folder.name), 1 << 16)
        self.producer = TelemetryProducer(self.link, self.spool, {TELEMETRY: 1, EVENT: 1}, self.time)
        self.refuse_big = {b"big": "oversize"}
        self.link.refuse = dict(self.refuse_big)
        self.made = 0
        self.gave_back = False

    @rule(node=st.sampled_from(NODES), padding=st.integers(0, 4_000))
    def frame(self, node: str, padding: int) -> None:
        self.producer.frame(Frame(node, 1.0 + self.made, self.made, {"a" + "x" * padding: float(self.made)}))
        self.made += 1

    @rule()
    def tick(self) -> None:
        self.producer.tick(1.0 + self.made, history=False)

    @rule(seconds=st.floats(0, 3))
    def poll(self, seconds: float) -> None:
        self.time.advance(seconds)
        self.producer.poll(0.0)

    @rule(away=st.booleans())
    def go(self, away: bool) -> None:
        self.link.away = away

    @rule(number=st.integers(1, 5))
    def let_some_through(self, number: int) -> None:
        self.link.deliver(number)

    @rule(stalled=st.booleans())
    def stall(self, stalled: bool) -> None:
        self.gave_back |= stalled
        self.link.refuse = self.refuse_big | ({b"n0": AGAIN, b"n1": AGAIN} if stalled else {})

    @invariant()
    def all_is_accounted_for(self) -> None:
        tally = self.producer.tally
        assert tally.adds_up(), tally
        assert tally.produced == self.made
        assert tally.sent <= len(self.link.frames)

    def teardown(self) -> None:
        self.link.away, self.link.refuse = False, self.refuse_big
        for _ in range(8):
            self.time.advance(RETRY_S)
            self.producer.poll(0.0)
        tally = self.producer.close(self.time() + 1.0, keep=False)
        assert tally.adds_up()
        assert (tally.waiting, tally.spooled, tally.sent) == (0, 0, len(self.link.frames))
        numbers = [json.loads(record.value)["seq"] for record in self.link.frames]
        assert len(set(numbers)) == len(numbers), "none twice"
        if not self.gave_back:
            assert numbers == sorted(numbers), "in order"
        self.folder.cleanup()


BrokerComesAndGoes.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestBrokerComesAndGoes = BrokerComesAndGoes.TestCase
