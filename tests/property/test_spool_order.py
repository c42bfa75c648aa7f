"""Whatever is done to a spool, what comes out is what went in, in order, less what was counted as dropped."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from connectors.ports import Outbound
from connectors.spool import Spool

BOUND = 1 << 16


class SpoolInUse(RuleBasedStateMachine):
    """Records are numbered; what was forgotten as delivered never comes again, and numbers only grow."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.spool = Spool(Path(self.folder.name), BOUND)
        self.taken: list[int] = []
        self.last = -1
        self.made = self.delivered = self.dropped_before = 0

    @rule(size=st.integers(0, 9_000))
    def append(self, size: int) -> None:
        self.spool.append(Outbound("t", b"%d" % self.made, b"x" * size, is_frame=True))
        self.made += 1

    @rule(limit=st.integers(1, 9))
    def take(self, limit: int) -> None:
        taken = [int(record.key) for record in self.spool.take(limit)]
        if self.taken:
            assert taken == []
            return
        assert bool(taken) == bool(len(self.spool))
        assert [self.last, *taken] == sorted({self.last, *taken})
        self.taken = taken

    @rule()
    def forget(self) -> None:
        self.spool.forget()
        self.delivered += len(self.taken)
        self.last = max([self.last, *self.taken])
        self.taken = []

    @rule()
    def restart(self) -> None:
        self.dropped_before += self.spool.dropped.total()
        self.spool.close()
        self.spool = Spool(Path(self.folder.name), BOUND)
        self.taken = []

    @invariant()
    def every_record_is_accounted_for(self) -> None:
        dropped = self.dropped_before + self.spool.dropped.total()
        assert self.made == len(self.spool) + self.delivered + dropped
        assert self.spool.frames == len(self.spool)
        assert self.spool.size <= BOUND

    def teardown(self) -> None:
        self.forget()
        while len(self.spool):
            self.take(9)
            self.forget()
        self.every_record_is_accounted_for()
        self.spool.close()
        self.folder.cleanup()


SpoolInUse.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestSpoolInUse = SpoolInUse.TestCase
