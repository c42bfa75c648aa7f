"""The seen-set after a crash at any byte: everything before the last whole line is there, and it goes on from there."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.seen_set import SeenSet
from models.command_protocol import CommandProtocol, Delivered, Finished, Record
from models.records import Cause, Command, NodeFate, Reason, command_id


def order(generation: int) -> Command:
    return Command(
        id=command_id("job", "n1", "MIGRATE", None, generation),
        action="MIGRATE",
        job="job",
        generation=generation,
        issued_at=0.0,
        expires_at=60.0,
        reason=Reason(rule="ünïcode\n", numbers={"p": 0.5}, evidence=("a/0/1",)),
        cause=Cause(0, generation),
        node="n1",
    )


def story(seen: SeenSet, count: int) -> CommandProtocol:
    protocol = CommandProtocol("n1")
    for generation in range(1, count + 1):
        command = order(generation)
        made = protocol.handle(Delivered(command, 1.0, 0), Finished(command.id, 2.0, 9))
        records = [one for one in made if isinstance(one, Record)]
        seen.append(records)
        seen.settle([records[0].outcome.id])
    seen.append_fate(NodeFate(id="f", job="job", node="n1", at=3.0, state="failed"))
    return protocol


@given(st.integers(0, 3), st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_a_file_cut_anywhere_opens_holds_a_prefix_and_can_be_appended(count: int, cut: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "commands.jsonl")
        whole = SeenSet(path)
        story(whole, count)
        whole.close()
        data = path.read_bytes()
        kept = data[: cut % (len(data) + 1)]
        path.write_bytes(kept)
        lines = kept.count(b"\n")
        again = SeenSet(path)
        stages = [one.outcome.stage for one in again.records if isinstance(one, Record)]
        assert stages == (["received", "accepted", "done"] * count)[: len(stages)]
        assert path.read_bytes().count(b"\n") == lines
        before = len(again.records)
        story(again, 1)
        again.close()
        third = SeenSet(path)
        assert len(third.records) == before + 3
        third.close()


@given(st.integers(1, 4))
@settings(max_examples=10, deadline=None)
def test_compaction_keeps_each_command_s_stage_and_all_that_waits(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "commands.jsonl")
        seen = SeenSet(path)
        protocol = story(seen, count)
        waiting = {one.id for one in seen.pending()}
        size = path.stat().st_size
        seen.compact(protocol.records())
        assert path.stat().st_size < size
        seen.append_fate(NodeFate(id="g", job="job", node="n1", at=4.0, state="failed"))
        seen.close()
        again = SeenSet(path)
        assert {one.id for one in again.pending()} == waiting | {"g"}
        restored = CommandProtocol("n1", again.records)
        assert [restored.stage(order(n).id) for n in range(1, count + 1)] == ["done"] * count
        assert restored.handle(Delivered(order(1), 1.0, 0)) == []
        again.close()
