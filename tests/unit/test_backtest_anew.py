"""Another model's incidents in place of the log's: where each stands, and who is told of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from backtested import OWN, carry_out, kinds
from decision_log import DecisionLog

from connectors.artefacts import load_artefact, shipped_artefact
from connectors.errors import WrongUse
from infra.backtest.assessing import digest_of, find_artefact
from models.backtest.anew import Told, told_anew
from models.backtest.beside import Beside
from models.backtest.comparison import Comparison
from models.records import Event, Incident, Tick


@pytest.fixture
def story() -> DecisionLog:
    """An alarm that comes true, then one that is trusted for it: a node is left."""
    log = DecisionLog(OWN).start(ranks=4, spares=("s0", "s1", "s2"))
    carry_out(log, log.train(60))
    carry_out(log, log.incident("n1", probability=0.6))
    carry_out(log, log.train(30))
    carry_out(log, log.fate("n1"))
    carry_out(log, log.train(40))
    carry_out(log, log.incident("n2", probability=0.6) + log.incident("n2", "changed", probability=0.95))
    carry_out(log, log.train(40))
    return log


def incidents(events: Sequence[Event]) -> list[Incident]:
    return [event for event in events if isinstance(event, Incident)]


def anew(events: Sequence[Event], found: Sequence[Incident], since: float = -math.inf) -> list[Told]:
    there = {one.id for one in incidents(events)}
    return list(told_anew(enumerate(events), found, there, since))


def folded(told: Sequence[Told]) -> Comparison:
    comparison = Comparison(OWN, 0)
    folds = Beside(OWN, 0, {"candidate": comparison})
    for one in told:
        folds.take_apart(one.offset, one.log, one.candidate)
    return comparison


def test_the_same_model_changes_nothing(story: DecisionLog) -> None:
    told = anew(story.events, incidents(story.events))
    assert told == [Told(offset, event, event) for offset, event in enumerate(story.events)]
    assert folded(told).differences == []


def test_a_model_that_sees_nothing_leaves_no_node(story: DecisionLog) -> None:
    told = anew(story.events, [])
    assert [one.candidate for one in told if isinstance(one.log, Incident)] == [None] * 3
    found = folded(told)
    assert ("MIGRATE", "nothing") in kinds(found.differences)
    assert not found.state.jobs["gpt"].incidents
    assert ("nothing", "MIGRATE") not in kinds(found.differences)


def test_an_incident_of_its_own_comes_before_the_first_tick_of_its_time(story: DecisionLog) -> None:
    first = incidents(story.events)[0]
    own = replace(first, id="x/0", incident="x", node="n3", at=first.at + 3.2)
    told = anew(story.events, [*incidents(story.events), own])
    place = next(at for at, one in enumerate(told) if one.log is None)
    assert told[place].candidate == own
    after = told[place + 1].log
    assert isinstance(after, Tick)
    assert after.at >= own.at
    assert told[place].offset == told[place + 1].offset
    before = [one.log.at for one in told[:place] if isinstance(one.log, Tick)]
    assert max(before) < own.at
    assert [one.log for one in told if one.log is not None] == story.events
    assert folded(told).state.jobs["gpt"].incidents["x"].node == "n3"


def test_one_that_the_log_has_stands_where_the_log_has_it_with_its_own_content(story: DecisionLog) -> None:
    there = incidents(story.events)
    milder = [replace(one, probability=0.55) for one in there]
    told = anew(story.events, milder)
    assert len(told) == len(story.events)
    assert [one.candidate for one in told if isinstance(one.log, Incident)] == milder
    assert [one.log for one in told] == story.events


def test_what_began_before_the_telemetry_stays_as_it_was(story: DecisionLog) -> None:
    there = incidents(story.events)
    early = [one for one in there if one.node == "n1"]
    since = early[0].at + 1.0
    told = anew(story.events, [replace(early[0], id="y/0", incident="y")], since)
    pairs = [(one.log, one.candidate) for one in told if isinstance(one.log, Incident)]
    assert pairs == [(early[0], early[0])] + [(one, None) for one in there if one.node == "n2"]
    assert all(one.log is not None for one in told)


def test_a_model_is_found_by_name_file_or_folder(tmp_path: Path) -> None:
    content = find_artefact(Path("eq1"))
    assert digest_of(content) == load_artefact(Path("eq1")).digest
    with pytest.raises(WrongUse, match="there are: none"):
        find_artefact(tmp_path)
    (tmp_path / "one.safetensors").write_bytes(content)
    assert find_artefact(tmp_path) == find_artefact(tmp_path / "one.safetensors") == content
    (tmp_path / "two.safetensors").write_bytes(shipped_artefact().read_bytes())
    with pytest.raises(WrongUse, match=r"one\.safetensors, two\.safetensors"):
        find_artefact(tmp_path)
    with pytest.raises(WrongUse, match="no such file"):
        find_artefact(tmp_path / "three.safetensors")
