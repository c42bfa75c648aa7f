"""Whatever is told in whatever order, brakes hold, and a job that changes its size keeps its ranks apart.

As in ``test_decisions`` a list of small numbers is a program, here of a cluster whose agents mostly do what they are
told, so that programs go far: nodes are suspected and die, spares come, people speak, and now and then something fails.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest
from decision_log import JOB, UNBRAKED, DecisionLog
from hypothesis import given, settings
from hypothesis import strategies as st

from models.decisions import PolicySettings
from models.records import BreakerReset, Command, NodeFate, OptOut, Outcome, Pause, Tick
from models.resizing import STRAY, SURPLUS
from models.strays import LEFT_BEHIND

#: Nodes that have nothing to do in a smaller job are let go: no brake is about that.
RELEASES = (SURPLUS, STRAY)

Move = Callable[[DecisionLog, int], object]
Told = Callable[[DecisionLog], None]
NODES = (*(f"n{number}" for number in range(6)), *(f"s{number}" for number in range(4)))
WINDOW_S = 300.0
declarations = st.sampled_from([{}, {"min_nodes": 2, "replica_nodes": 1}, {"min_nodes": 2, "replica_nodes": 2}])
program = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 10_000)), min_size=10, max_size=60)


def settings_of(**set_to: Any) -> PolicySettings:
    """Leaving is cheap and every claim is believed, so that what is suspected is left unless a brake holds it."""
    chosen = {
        "level": "migrate",
        "checkpoint": "young",
        "migration": "paper",
        "eta": 0.01,
        "lambda1": 1e-6,
        "migration_s": 0.1,
        "checkpoint_cost_s": 0.1,
        "node_mtbf_days": 0.5,
        "min_gap_s": 0.0,
        **UNBRAKED,
        "breaker_window_s": WINDOW_S,
        **set_to,
    }
    return PolicySettings(**chosen)


def running(log: DecisionLog) -> list[str]:
    return sorted((node for node in log.job.places if log.job.rank_on(node) is not None), key=log.job.rank_on)  # type: ignore[arg-type]


def open_commands(log: DecisionLog) -> list[Command]:
    return [one for one in log.commands if one.id in log.job.in_flight]


def obey(log: DecisionLog, number: int) -> None:
    """Every agent does what it was told, and tells it; in one program of three only the newest command."""
    for command in open_commands(log)[-1 if number % 3 == 0 else 0 :]:
        if command.id in log.job.in_flight:
            carry_out(log, command, number)


def refused(log: DecisionLog, command: Command, node: str) -> bool:
    told = (one for one in log.events if isinstance(one, Outcome) and (one.command, one.node) == (command.id, node))
    return any(one.stage in {"failed", "rejected", "expired"} for one in told)


def carry_out(log: DecisionLog, command: Command, number: int) -> None:
    log.at += 0.01
    late = log.at > command.expires_at
    if command.action in {"CHECKPOINT", "RESIZE"}:
        nodes: dict[Any, str] = {log.job.rank_on(node): node for node in running(log)}
        if command.action == "RESIZE":  # those that had these numbers when it was given
            nodes = dict(zip(command.ranks, log.job.in_flight[command.id].nodes, strict=True))
        for new, rank in enumerate(command.ranks):
            node = nodes.get(rank)
            if node is None or refused(log, command, node):
                continue
            step = command.step or log.job.step or 0
            if command.action == "RESIZE" and number % 2 and not late:
                log.member(node, "running", rank=new, world=command.world)
            stages: Any = ("accepted", "staged", "durable") if command.action == "CHECKPOINT" else ("accepted", "done")
            if late:
                stages = ("expired",)
            for stage in stages:
                log.outcome(command, stage, node, rank, step=step, seconds=0.1)
        return
    assert command.node is not None
    if refused(log, command, command.node):
        return
    if late:
        log.carry_out(command, "expired")
        return
    log.carry_out(command, step=command.step)
    if command.action == "MIGRATE" and number % 2:
        log.member(command.node, "vacated")


def refuse(log: DecisionLog, number: int) -> None:
    """One agent does not do what it was told."""
    waiting = open_commands(log)
    if waiting:
        command = waiting[number % len(waiting)]
        rank = command.ranks[number // 7 % len(command.ranks)]
        node = command.node or {log.job.rank_on(node): node for node in running(log)}.get(rank)
        if node is not None:
            stages: Any = ("failed", "rejected", "expired")
            log.outcome(command, stages[number // 49 % 3], node, rank, reason="why")


def suspect(log: DecisionLog, number: int) -> None:
    names = running(log) or list(NODES)
    log.incident(names[number % len(names)], ("opened", "opened", "changed", "closed")[number // 11 % 4], 0.95)


def die(log: DecisionLog, number: int) -> None:
    names = sorted(log.job.places)
    log.fate(names[number % len(names)])


def spare(log: DecisionLog, number: int) -> None:
    """A node that does no work is at hand, repaired or new."""
    node = NODES[number % len(NODES)]
    if log.job.rank_on(node) is None:
        log.fate(node, "recovered")
        log.member(node, "spare")


def say(log: DecisionLog, number: int) -> None:
    """Somebody pauses, opts a node out, closes the breaker, or takes one of these back."""
    match number % 5:
        case 0 | 1:
            log.pause(on=number % 10 == 0, job=(None, JOB)[number // 10 % 2])
        case 2 | 3:
            log.opt_out(NODES[number // 5 % len(NODES)], out=number % 5 == 2)
        case _:
            log.reset()


MOVES: tuple[Move, ...] = (
    obey,
    obey,
    obey,
    lambda log, number: log.train(1 + number % 3),
    lambda log, number: log.tick((1.0, 20.0, 70.0, 200.0)[number % 4]),
    suspect,
    suspect,
    die,
    spare,
    refuse,
    say,
    lambda log, number: log.restart(),
)


def run(
    moves: Iterable[tuple[int, int]], chosen: PolicySettings, declared: dict[str, int], after: Told = lambda log: None
) -> DecisionLog:
    log = DecisionLog(chosen)
    log.declared = declared
    log.start(6, ("s0", "s1"))
    for checkpoint in log.incident("n0", probability=0.6):
        log.save(checkpoint, step=100)
    for move, number in moves:
        log.at += 0.01
        MOVES[move](log, number)
        after(log)
    return log


@settings(max_examples=150, deadline=None)
@given(program, st.integers(0, 3), declarations)
def test_no_more_nodes_are_ordered_out_than_the_breaker_lets(
    moves: list[tuple[int, int]], bound: int, declared: dict[str, int]
) -> None:
    """Counted by itself: by tick time, of every node ordered out or told to have failed since the last reset."""
    log = run(moves, settings_of(breaker_nodes=bound, breaker_share=0.0), declared)
    ordered: dict[int, list[str]] = {}
    for command in log.commands:
        leaves = command.action == "MIGRATE" and command.reason.rule not in (*RELEASES, LEFT_BEHIND)
        if leaves and command.node is not None:
            ordered.setdefault(command.cause.offset, []).append(command.node)
    outs: dict[str, float] = {}
    now = log.events[0].at
    for offset, event in enumerate(log.events):
        if isinstance(event, Tick):
            now = event.at
        elif isinstance(event, BreakerReset):
            outs.clear()
        elif isinstance(event, NodeFate) and event.state == "failed":
            outs[event.node] = now
        for node in ordered.get(offset, ()):
            outs[node] = now
            assert sum(at > now - WINDOW_S for at in outs.values()) <= bound


@settings(max_examples=100, deadline=None)
@given(program, declarations)
def test_a_paused_fold_commands_nothing_but_to_bring_back_what_is_down(
    moves: list[tuple[int, int]], declared: dict[str, int]
) -> None:
    log = run(moves, settings_of(), declared)
    paused: dict[str | None, bool] = {}
    by_cause: dict[int, set[str]] = {}
    for command in log.commands:
        if command.reason.rule not in RELEASES:
            by_cause.setdefault(command.cause.offset, set()).add(command.action)
    for offset, event in enumerate(log.events):
        if isinstance(event, Pause):
            paused[event.job] = event.paused
        if any(paused.values()):
            assert by_cause.get(offset, set()) <= {"RESTORE"}


@settings(max_examples=100, deadline=None)
@given(program, declarations)
def test_a_node_that_is_opted_out_is_neither_left_nor_taken(
    moves: list[tuple[int, int]], declared: dict[str, int]
) -> None:
    log = run(moves, settings_of(), declared)
    out: set[str] = set()
    named: dict[int, set[str | None]] = {}
    for command in log.commands:
        if command.reason.rule not in RELEASES:
            named.setdefault(command.cause.offset, set()).update((command.node, command.spare))
    for offset, event in enumerate(log.events):
        if isinstance(event, OptOut):
            (out.add if event.out else out.discard)(event.node)
        assert not out & named.get(offset, set())


def sound(log: DecisionLog) -> None:
    """What holds after every event, whatever the sizes."""
    job = log.job
    ranks = [place.rank for place in job.places.values() if place.state == "running"]
    assert job.resizing is not None or len(ranks) == len(set(ranks)), "a rank runs on one node"
    spares = [rescue.spare for rescue in job.rescues.values() if rescue.spare is not None]
    assert len(spares) == len(set(spares)), "two rescues hold one spare"
    for rescue in job.rescues.values():
        if rescue.phase == "lost" and job.resizing is None:
            assert rescue.hold is not None, "it waits in silence"
    resizes = [one for one in job.in_flight.values() if one.action == "RESIZE" and not one.late]
    assert len(resizes) == (job.resizing is not None)
    assert log.settings.elastic or not resizes


@settings(max_examples=150, deadline=None)
@given(program, declarations, st.sampled_from(["paper", "break-even"]))
def test_ranks_stay_apart_and_what_waits_says_so(
    moves: list[tuple[int, int]], declared: dict[str, int], migration: str
) -> None:
    log = run(moves, settings_of(migration=migration), declared, after=sound)
    for command in log.commands:
        if command.action == "RESIZE":
            world = command.world or 0
            assert world >= declared["min_nodes"]
            assert world % declared["replica_nodes"] == 0
            assert len(command.ranks) <= world


@settings(max_examples=60, deadline=None)
@given(program, declarations)
def test_with_spares_and_obedient_agents_a_job_comes_back_to_its_size(
    moves: list[tuple[int, int]], declared: dict[str, int]
) -> None:
    log = run(moves, settings_of(cool_down_s=30.0, node_mtbf_days=30.0), declared)
    log.pause(on=False)
    log.pause(on=False, job=JOB)
    log.reset()
    for node in NODES:
        log.opt_out(node, out=False)
        log.at += 0.01
        if log.job.incidents:
            log.incident(node, "closed", 0.1)
    for _ in range(12):
        log.tick(45.0)  # what was silent has ended
    for extra in range(8):
        log.member(f"x{extra}", "spare")
    for _ in range(25):
        obey(log, 1)
        log.train(12)
    assert log.job.whole
    assert log.job.full_world is None
    assert len(log.job.ranks) == 6
    assert not log.job.rescues


def test_programs_of_this_kind_go_far() -> None:
    """The properties above are about something: sizes change both ways, and the breaker trips."""
    told: Counter[str] = Counter()
    chosen = settings_of(breaker_nodes=2, breaker_share=0.0)
    for seed in range(25):
        luck = random.Random(seed)
        moves = [(luck.randrange(12), luck.randrange(10_000)) for _ in range(60)]
        log = run(moves, replace(chosen), {"min_nodes": 2, "replica_nodes": 1 + seed % 2})
        told.update(command.action for command in log.commands)
        told["grown"] += sum("grow back" in one.reason.rule for one in log.commands if one.action == "RESIZE")
        told["tripped"] += log.state.brakes.tripped is not None
    assert min(told[what] for what in ("MIGRATE", "RESTORE", "RESIZE", "grown", "tripped")) > 0, told


@pytest.mark.parametrize("level", ["observe", "checkpoint", "quarantine"])
def test_below_migrate_no_size_changes(level: str) -> None:
    moves = [(at % 12, at * 977 % 10_000) for at in range(60)]
    log = run(moves, settings_of(level=level), {"min_nodes": 2, "replica_nodes": 1})
    assert not {"RESIZE", "RESTORE", "MIGRATE"} & {command.action for command in log.commands}
