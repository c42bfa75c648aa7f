"""The recorded decision log under its own policy and under others: what differs is as it was when it was looked at."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from backtested import OWN, kinds
from test_golden_logs import read

from connectors.codecs.records import decode_command, decode_event
from models.backtest.beside import Beside
from models.backtest.comparison import Comparison
from models.policy_settings import PolicySettings
from models.records import Command

FOLDER = Path(__file__).parent


def folded(candidate: PolicySettings) -> Comparison:
    """The commands are those that were recorded, not those of a fold beside it."""
    given: dict[int, list[Command]] = {}
    for line in (FOLDER / "commands.jsonl").read_bytes().splitlines():
        command = decode_command(line.split(b"\t", 2)[2])
        given.setdefault(command.cause.offset, []).append(command)
    found = Comparison(candidate, 0, exact=candidate == OWN)
    folds = Beside(OWN, 0, {"candidate": found})
    for offset, (_, raw) in enumerate(read(FOLDER / "decisions.log")):
        assert list(folds.take(offset, decode_event(raw), given.get(offset, []))) == given.get(offset, [])
    return found


def test_the_recorded_log_under_its_own_policy_has_no_difference() -> None:
    found = folded(OWN)
    assert found.differences == []
    assert found.equal == found.commands.total() == 8


def test_the_paper_policy_saves_only_on_alarms_there_and_loses_more_in_the_failure() -> None:
    found = folded(replace(OWN, checkpoint="paper"))
    assert Counter(kinds(found.differences)) == {
        ("CHECKPOINT", "nothing"): 4,
        ("CHECKPOINT", "CHECKPOINT"): 1,
        ("RESTORE", "RESTORE"): 1,
        ("MIGRATE", "MIGRATE"): 1,
        ("nothing", "CHECKPOINT"): 1,
        ("RESTORE", "nothing"): 1,
    }
    (failure,) = found.failures
    assert (failure.node, failure.was_s, failure.would_s) == ("n1", 240.0, pytest.approx(269.0))


def test_who_never_leaves_a_node_differs_from_the_migration_on() -> None:
    found = folded(replace(OWN, migration="never"))
    assert kinds(found.differences)[:2] == [("MIGRATE", "nothing"), ("RESTORE", "nothing")]
    assert sum(one.seconds for one in found.differences) == pytest.approx(-14.48, abs=0.01)
