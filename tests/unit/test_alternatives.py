"""What other policies would have done: folded on from the same past, told by what and when."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from decision_log import JOB, DecisionLog

from models.decision_state import to_bytes
from models.explaining.alternatives import SETTLE_S, Alternative, Asked, alternatives
from models.policy_settings import PolicySettings
from models.records import Cause, Command, Event

RANKS = 2


class Fork:
    """A story, the state of its fold at some moment, and the events from there on."""

    def __init__(self, story: DecisionLog) -> None:
        self.story = story
        self.past = to_bytes(story.state)
        self._from = len(story.events)

    @property
    def events(self) -> list[tuple[Cause, Event]]:
        return [(Cause(0, at), event) for at, event in enumerate(self.story.events)][self._from :]

    def told(self, asked: Asked, settings: PolicySettings | None = None) -> dict[tuple[str, str], Alternative]:
        found = alternatives(self.past, settings or self.story.settings, self.events, asked)
        return {(one.kind, one.policy): one for one in found}


def asked_of(command: Command) -> Asked:
    return Asked(JOB, command.issued_at, command.action, command.node, command.incident)


def trained(seconds: int = 60, **set_to: Any) -> DecisionLog:
    """A job under way, its checkpoints cheap and its nodes failing often."""
    settings = {"node_mtbf_days": 0.02, "checkpoint_cost_s": 0.2, "migration_s": 5.0, "restart_s": 900.0}
    story = DecisionLog(**{"checkpoint": "young", "migration": "break-even", **settings, **set_to})
    story.start(ranks=RANKS)
    carry_out(story, story.train(seconds))
    return story


def carry_out(story: DecisionLog, commands: list[Command]) -> None:
    while commands:
        command = commands.pop(0)
        if command.action == "CHECKPOINT":
            commands += story.save(command, step=(story.job.step or 0) + 1)
        else:
            commands += story.carry_out(command, step=story.job.step, seconds=2.0)


def suspected(story: DecisionLog) -> tuple[Fork, list[Command]]:
    """The fork at an incident on n1, and what the story commands for it."""
    fork, before = Fork(story), len(story.commands)
    carry_out(story, story.incident("n1", probability=0.9))
    carry_out(story, story.train(int(SETTLE_S)))
    return fork, story.commands[before:]


def test_every_policy_but_the_one_in_use_is_asked() -> None:
    fork, commands = suspected(trained())
    told = fork.told(asked_of(commands[0]))
    checkpoint = {name for kind, name in told if kind == "checkpoint"}
    assert checkpoint == {"hazard", "daly", "paper", "lazy", "aupy", "overhead-bounded"}
    assert {name for kind, name in told if kind == "migration"} == {"paper", "never"}


def test_who_never_leaves_a_node_does_not_and_others_do_just_so() -> None:
    fork, commands = suspected(trained())
    migrate = next(one for one in commands if one.action == "MIGRATE")
    told = fork.told(asked_of(migrate))
    never = told["migration", "never"]
    assert (never.would, never.seconds) == (f"no MIGRATE within {SETTLE_S:.0f} s", None)
    daly = told["checkpoint", "daly"]
    assert (daly.would, daly.seconds) == ("MIGRATE n1 → s0 at the same time", 0.0)


def test_a_regular_checkpoint_is_dated_by_each_rate() -> None:
    """From the job's checkpoint before: who counts more checkpoints an hour would have ordered it earlier."""
    story = trained(1)
    while not story.commands:
        story.train(1)
    carry_out(story, [story.commands[-1]])
    fork, before = Fork(story), len(story.commands)
    while len(story.commands) == before:
        story.train(1)
    command = story.commands[before]
    carry_out(story, [command])
    story.train(int(SETTLE_S))
    told = fork.told(asked_of(command))
    assert told["checkpoint", "daly"].seconds == pytest.approx(0.0, abs=2.0)
    assert told["migration", "never"].would == "CHECKPOINT at the same time"
    eager = fork.told(asked_of(command), PolicySettings(**{**asdict(story.settings), "alpha": 1.0, "beta": 1.0}))
    bounded = eager["checkpoint", "overhead-bounded"]
    assert bounded.seconds is not None
    assert bounded.seconds < -2.0
    assert bounded.would == f"CHECKPOINT {-bounded.seconds:.1f} s earlier"


def test_of_an_incident_all_that_would_come_of_it_is_told() -> None:
    fork, _ = suspected(trained())
    incident = next(iter(fork.story.events[fork._from :]))
    told = fork.told(Asked(JOB, incident.at, incident="incident-n1"))
    daly = told["checkpoint", "daly"].would
    assert daly.startswith("MIGRATE n1 → s0 at once; RESTORE s0")
    assert told["migration", "never"].would == "no command about it within 60 s"


def test_where_the_log_ends_earlier_an_alternative_is_heard_for_so_long_only() -> None:
    fork, commands = suspected(trained())
    migrate = next(one for one in commands if one.action == "MIGRATE")
    fork.story.events = [event for event in fork.story.events if event.at <= migrate.issued_at + 7.5]
    assert fork.told(asked_of(migrate))["migration", "never"].would == "no MIGRATE within 7 s"


def test_the_past_is_left_as_it_was_and_asking_twice_tells_the_same() -> None:
    fork, commands = suspected(trained())
    asked = asked_of(commands[0])
    assert fork.told(asked) == fork.told(asked)


def test_a_level_that_commands_nothing_stays_so() -> None:
    fork, commands = suspected(trained())
    observing = PolicySettings(**{**asdict(fork.story.settings), "level": "observe"})
    told = fork.told(asked_of(commands[0]), observing)
    assert {one.would for one in told.values()} == {f"no {commands[0].action} within 60 s"}
