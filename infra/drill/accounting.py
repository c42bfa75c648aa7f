"""What an arm came to: commands and their ends, effects counted at the executors, checkpoints that were lost. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from models.records import TERMINAL_STAGES, Command, Outcome


@dataclass(frozen=True, slots=True)
class Start:
    """One start of a rank's process, as the process itself wrote it down; ``resume`` None: from the very beginning."""

    node: str
    rank: int
    world: int
    resume: int | None


@dataclass(frozen=True, slots=True)
class Durable:
    """A checkpoint that every rank told of as durable, and where, in the order of the ranks."""

    command: str
    step: int
    uris: tuple[str, ...]


def starts_of(lines: Iterable[str]) -> list[Start]:
    """Read what the witness wrote: ``node rank world resume`` a line, ``-`` for none.

    >>> starts_of(["n02 2 4 -", "n04 2 4 160"])[1]
    Start(node='n04', rank=2, world=4, resume=160)
    """
    found = []
    for line in lines:
        node, rank, world, resume = line.split()
        found.append(Start(node, int(rank), int(world), None if resume == "-" else int(resume)))
    return found


def acknowledged(commands: Iterable[Command], outcomes: Iterable[Outcome]) -> int:
    """Return the number of commands that have come to an end at every agent that was to carry them out.

    A command for one node ends with a terminal outcome of it; one for ranks with one of each of them.
    """
    ended: dict[str, set[int | None]] = {}
    for one in outcomes:
        if one.stage in TERMINAL_STAGES:
            ended.setdefault(one.command, set()).add(one.rank)
    return sum(_is_over(command, ended.get(command.id, set())) for command in commands)


def _is_over(command: Command, ended: set[int | None]) -> bool:
    if command.node is not None or not command.ranks:
        return bool(ended)
    return set(command.ranks) <= ended


def double_effects(
    commands: Sequence[Command], outcomes: Iterable[Outcome], starts: Sequence[Start], world: int
) -> int:
    """Return how many effects there were beyond one for each command.

    Counted are starts of a rank on a node from a checkpoint, against the RESTOREs and RESIZEs that ordered it; starts
    from the very beginning, against one for each of the ``world`` ranks; and second answers: a rank that wrote two
    checkpoints for one command, an agent that carried one out twice.
    """
    return _starts_beyond(commands, starts, world) + _answers_beyond(outcomes)


def _starts_beyond(commands: Sequence[Command], starts: Sequence[Start], world: int) -> int:
    seen: Counter[tuple[str, int, int | None]] = Counter(
        (one.node, one.rank, one.resume) for one in starts if one.resume is not None
    )
    allowed: Counter[tuple[str, int, int | None]] = Counter()
    resized: Counter[int | None] = Counter()
    for command in commands:
        if command.action == "RESTORE" and command.node is not None:
            allowed.update((command.node, rank, command.step) for rank in command.ranks)
        elif command.action == "RESIZE":
            resized[command.step] += len(command.ranks)
    beyond = seen - allowed
    by_step: Counter[int | None] = Counter()
    for (_, _, step), number in beyond.items():
        by_step[step] += number
    first = Counter(one.rank for one in starts if one.resume is None)
    again = first - Counter(range(world))
    return sum((by_step - resized).values()) + sum(again.values())


def _answers_beyond(outcomes: Iterable[Outcome]) -> int:
    answers: dict[tuple[str, str, int | None, str], set[tuple[int | None, str]]] = {}
    for one in outcomes:
        if one.stage in {"staged", "durable", "done"}:
            key = (one.command, one.node, one.rank, one.stage)
            answers.setdefault(key, set()).add((one.step, one.id))
    return sum(len(told) - 1 for told in answers.values())


def durable_checkpoints(commands: Iterable[Command], outcomes: Sequence[Outcome]) -> list[Durable]:
    """Return the checkpoints that every rank of their command told of as durable, in the order of the commands."""
    told: dict[str, dict[int, Outcome]] = {}
    for one in outcomes:
        if one.action == "CHECKPOINT" and one.stage == "durable" and one.rank is not None:
            told.setdefault(one.command, {}).setdefault(one.rank, one)
    found = []
    for command in commands:
        ranks = told.get(command.id, {})
        steps = {one.step for one in ranks.values() if one.step is not None}
        if command.action == "CHECKPOINT" and ranks.keys() >= set(command.ranks) and len(steps) == 1:
            uris = tuple(ranks[rank].uri or "" for rank in sorted(ranks))
            found.append(Durable(command.id, steps.pop(), uris))
    return found


def unmet_restores(outcomes: Iterable[Outcome], commands: Iterable[Command]) -> int:
    """Return how many RESTOREs went on from another step than that of the checkpoint they named."""
    wanted = {one.id: one.step for one in commands if one.action == "RESTORE"}
    done = {one.command: one.step for one in outcomes if one.action == "RESTORE" and one.stage == "done"}
    return sum(step is not None and (done[key] or 0) < step for key, step in wanted.items() if key in done)
