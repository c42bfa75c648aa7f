"""Whatever happens to a job, in whatever order: what the decide fold may never do, and that it can be stopped anywhere.

A list of small numbers is a program for a cluster: time passes, ranks train, suspicions come and go, nodes die, spares
appear, agents carry commands out, refuse them, or say nothing. Hypothesis writes the programs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import pytest
from decision_log import JOB, DecisionLog
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.decisions import LEVELS, DecisionState, PolicySettings, decide, from_bytes, initial_state, to_bytes
from models.flights import missing_ranks
from models.records import (
    Cause,
    Command,
    Event,
    Outcome,
    Stage,
    Tick,
    command_id,
)

NODES = ("n0", "n1", "n2", "n3", "s0", "s1", "s2")
STAGES: tuple[Stage, ...] = ("received", "accepted", "staged", "durable", "done", "failed", "rejected", "expired")
SECONDS = (0.5, 1.0, 7.0, 35.0, 100.0, 250.0)
PROBABILITIES = (0.1, 0.4, 0.6, 0.8, 0.95)

#: What a job declares that may go on with two of its four nodes.
ELASTIC = {"min_nodes": 2, "replica_nodes": 1}

Move = Callable[[DecisionLog, int], object]
program = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 10_000)), max_size=60)
levels = st.sampled_from(LEVELS)
policies = st.sampled_from(("hazard", "young", "paper"))


def settings_of(level: str, policy: str) -> PolicySettings:
    """A job that fails every few hours, so that regular checkpoints fall into a program's length."""
    return PolicySettings(
        level=level,  # type: ignore[arg-type]
        checkpoint=policy,  # type: ignore[arg-type]
        migration="break-even" if policy == "hazard" else "paper",
        node_mtbf_days=0.5,
        checkpoint_cost_s=0.1,
        alpha=0.05,
        beta=0.02,
        migration_s=0.5,
        lead_median_s=60.0,
        warm_up_s=0.0,
    )


def pick(log: DecisionLog, number: int) -> Command | None:
    """One of the last commands given."""
    recent = log.commands[-6:]
    return recent[number % len(recent)] if recent else None


def node_of(log: DecisionLog, command: Command, rank: int) -> str:
    return command.node or next((node for node in NODES if log.job.rank_on(node) == rank), f"n{rank}")


def one_stage(log: DecisionLog, number: int) -> None:
    command = pick(log, number)
    if command is not None and command.ranks:
        rank = command.ranks[number // 7 % len(command.ranks)]
        stage = STAGES[number // 49 % len(STAGES)]
        step = command.step or (log.job.step or 0) + number // 3000
        log.outcome(command, stage, node_of(log, command, rank), rank, step=step, seconds=0.5, reason="why")


def all_done(log: DecisionLog, number: int) -> None:
    command = pick(log, number)
    for rank in command.ranks if command else ():
        assert command is not None
        for stage in STAGES[:5]:
            step = command.step or (log.job.step or 0)
            log.outcome(command, stage, node_of(log, command, rank), rank, step=step, seconds=0.5)


def train(log: DecisionLog, number: int) -> None:
    log.at += 0.5
    log.progress((log.job.step or 0) + number % 5, load=0.5)


def suspect(log: DecisionLog, number: int) -> None:
    node = NODES[number % len(NODES)]
    state = ("opened", "changed", "closed")[number // 7 % 3]
    log.incident(node, state, PROBABILITIES[number // 21 % 5], history=number % 13 == 0)


def member(log: DecisionLog, number: int) -> None:
    node = NODES[number % len(NODES)]
    if log.job.rank_on(node) is None:
        log.member(node, "spare")
    elif number % 5 == 0:
        log.member(node, "vacated")


def say(log: DecisionLog, number: int) -> None:
    """Somebody pauses, opts a node out, closes the breaker, or takes one of these back."""
    match number % 4:
        case 0:
            log.pause(on=number % 8 == 0, job=(None, JOB)[number // 8 % 2])
        case 1 | 2:
            log.opt_out(NODES[number // 4 % len(NODES)], out=number % 4 == 1)
        case _:
            log.reset()


MOVES: tuple[Move, ...] = (
    lambda log, number: log.tick(SECONDS[number % len(SECONDS)]),
    lambda log, _: log.tick(1.0),
    train,
    train,
    suspect,
    suspect,
    one_stage,
    one_stage,
    all_done,
    lambda log, number: log.fate(NODES[number % len(NODES)]) if number % 3 == 0 else member(log, number),
    lambda log, number: log.tick(1.0, history=number % 4 == 0),
    say,
)


def run(
    moves: Iterable[tuple[int, int]],
    policy: PolicySettings,
    declared: dict[str, int] | None = None,
    after: Callable[[DecisionLog], None] = lambda log: None,
) -> DecisionLog:
    log = DecisionLog(policy)
    log.declared = declared or {}
    log.start(spares=("s0",))
    for move, number in moves:
        log.at += 0.01
        MOVES[move](log, number)
        assert_reservations(log)
        after(log)
    return log


def assert_reservations(log: DecisionLog) -> None:
    """No two rescues hold the same spare, and none holds a spare that runs a rank of another."""
    rescues = list(log.job.rescues.values())
    held = [rescue.spare for rescue in rescues if rescue.spare is not None]
    assert len(held) == len(set(held))
    assert len({rescue.node for rescue in rescues}) == len(rescues), "a node has one rescue at a time"


def assert_addressed(command: Command) -> None:
    assert command.ranks
    if command.action == "CHECKPOINT":
        assert (command.node, command.spare, command.step, command.world) == (None, None, None, None)
    elif command.action == "RESIZE":
        assert (command.node, command.spare) == (None, None)
        assert list(command.ranks) == sorted(set(command.ranks))
        assert command.step is not None
        assert (command.world or 0) >= len(command.ranks)
    else:
        assert command.node is not None
        assert len(command.ranks) == 1
        assert command.action == "QUARANTINE" or command.step is not None
        assert (command.world is not None) == (command.action == "RESTORE")
        assert command.spare is None or command.action == "MIGRATE"
        assert command.spare != command.node


def assert_explained(command: Command, event: Event, settings_: PolicySettings) -> None:
    assert command.reason.rule
    assert command.reason.numbers
    assert all(math.isfinite(value) for value in command.reason.numbers.values())
    assert command.reason.evidence[-1] == f"control.event.v1/0/{command.cause.offset}"
    assert command.issued_at == event.at
    assert command.expires_at == event.at + settings_.command_ttl_s
    assert command.id == command_id(JOB, command.node, command.action, command.incident, command.generation)


@settings(max_examples=150, deadline=None)
@given(program, levels, policies)
def test_each_command_is_addressed_explained_and_counted(moves: list[tuple[int, int]], level: str, policy: str) -> None:
    log = run(moves, settings_of(level, policy))
    assert [command.generation for command in log.commands] == list(range(1, len(log.commands) + 1))
    assert not any(command.action == "RESIZE" for command in log.commands), "it declares nothing"
    for command in log.commands:
        assert_addressed(command)
        assert_explained(command, log.events[command.cause.offset], log.settings)
    by_cause = [(command.cause.offset, command.cause.index) for command in log.commands]
    assert by_cause == sorted(set(by_cause))
    assert all(index == 0 or (offset, index - 1) in by_cause for offset, index in by_cause)


@settings(max_examples=100, deadline=None)
@given(program, levels, policies)
def test_the_level_bounds_what_is_ordered(moves: list[tuple[int, int]], level: str, policy: str) -> None:
    allowed = {
        "observe": set(),
        "checkpoint": {"CHECKPOINT"},
        "quarantine": {"CHECKPOINT", "QUARANTINE"},
        "migrate": {"CHECKPOINT", "MIGRATE", "RESTORE", "RESIZE"},
    }[level]
    assert {command.action for command in run(moves, settings_of(level, policy), ELASTIC).commands} <= allowed


@settings(max_examples=150, deadline=None)
@given(program, policies)
def test_no_rank_is_moved_without_a_checkpoint_that_every_rank_called_durable(
    moves: list[tuple[int, int]], policy: str
) -> None:
    log = run(moves, settings_of("migrate", policy), ELASTIC)
    for command in log.commands:
        if command.action in {"MIGRATE", "RESTORE", "RESIZE"}:
            before = log.events[: command.cause.offset + 1]
            assert command.step in durable_steps(before, log.commands)


def durable_steps(events: Iterable[Event], commands: Iterable[Command]) -> set[int | None]:
    """Steps that all ranks of some CHECKPOINT acknowledged as durable, by a count of its own."""
    once = {event.id: event for event in reversed(list(events)) if isinstance(event, Outcome)}
    found: set[int | None] = set()
    for command in commands:
        told = [one for one in once.values() if one.command == command.id and one.stage in {"durable", "done"}]
        steps = {one.step for one in told}
        if command.action == "CHECKPOINT" and {one.rank for one in told} >= set(command.ranks) and len(steps) == 1:
            found |= steps
    return found


@settings(max_examples=100, deadline=None)
@given(program, policies)
def test_one_checkpoint_at_a_time_and_only_one_move_of_a_rank(moves: list[tuple[int, int]], policy: str) -> None:
    log = DecisionLog(settings_of("migrate", policy)).start(spares=("s0",))
    for move, number in moves:
        log.at += 0.01
        MOVES[move](log, number)
        flights = [flight for flight in log.job.in_flight.values() if not flight.late]
        assert sum(flight.action == "CHECKPOINT" for flight in flights) <= 1
        restores = [flight.ranks for flight in flights if flight.action == "RESTORE"]
        assert len(restores) == len(set(restores))
        for flight in flights:
            assert log.state.loading or flight.action != "CHECKPOINT" or missing_ranks(flight)


def begins_a_past(event: Event, state: DecisionState) -> bool:
    """A tick of history in the present is no repetition: somebody loads a past, be it the same one again."""
    return isinstance(event, Tick) and bool(event.history) and not state.loading


@settings(max_examples=100, deadline=None)
@example([(2, 0), (10, 0)], "young", [], [(14, 0)])
@given(
    program,
    policies,
    st.lists(st.integers(0, 400), max_size=8),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), max_size=20),
)
def test_restores_and_duplicates_anywhere_change_no_byte(
    moves: list[tuple[int, int]], policy: str, restarts: list[int], repeats: list[tuple[int, int]]
) -> None:
    chosen = settings_of("migrate", policy)
    log = run(moves, chosen, ELASTIC)
    state, found = initial_state(chosen), []
    for offset, event in enumerate(log.events):
        state, commands = decide(state, event, Cause(0, offset))
        found += commands
        for after, earlier in repeats:
            if after % len(log.events) == offset:
                known = earlier % (offset + 1)
                if begins_a_past(log.events[known], state):
                    continue
                state, none = decide(state, log.events[known], Cause(0, 1_000_000 + known))
                assert none == ()
        if offset in {one % len(log.events) for one in restarts}:
            state = from_bytes(to_bytes(state), chosen)
    assert found == log.commands
    assert to_bytes(state) == to_bytes(log.state)


@settings(max_examples=60, deadline=None)
@given(program, policies)
def test_while_history_is_loaded_nothing_is_ordered(moves: list[tuple[int, int]], policy: str) -> None:
    log = DecisionLog(settings_of("migrate", policy)).start(spares=("s0",))
    log.tick(history=True)
    for move, number in moves:
        if move in {0, 1, 10}:
            log.tick(SECONDS[number % len(SECONDS)], history=True)
        else:
            MOVES[move](log, number)
    assert log.commands == []


@settings(max_examples=60, deadline=None)
@given(program, policies)
def test_every_command_in_flight_ends_when_time_passes(moves: list[tuple[int, int]], policy: str) -> None:
    """Agents that have fallen silent for good leave nothing awaited, and cause no endless stream of commands."""
    log = run(moves, settings_of("migrate", policy), ELASTIC)
    given_so_far = len(log.commands)
    log.tick(1.0)
    for _ in range(60):
        log.tick(60.0)
    assert not [flight for flight in log.job.in_flight.values() if flight.issued_at < log.at - 600.0]
    assert len(log.commands) - given_so_far <= 30


@pytest.mark.parametrize("policy", ["hazard", "young"])
def test_the_programs_reach_a_whole_rescue(policy: str) -> None:
    """The properties above are about something: a plain program goes all the way."""
    moves = [(3, 4), (1, 0), (4, 86), (8, 0), (8, 1), (8, 2)]
    log = run(moves, settings_of("migrate", policy))
    assert [command.action for command in log.commands] == ["CHECKPOINT", "MIGRATE", "RESTORE"]
