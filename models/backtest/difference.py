"""Where two policies part: a command that one gave and the other did not, gave elsewhere, or gave at another time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from models.records import Command

#: Two commands of one kind are one decision, taken earlier or later, when they lie at most this far apart (s).
NEAR_S = 10.0


@dataclass(slots=True, kw_only=True)
class Difference:
    """What the log holds (``was``) and what the candidate would have done (``would``) about one thing.

    One of the two is None where only the other gave a command. What the candidate's choice saves (+) or costs (−), by
    expectation (``models.backtest.worth``): ``price_s`` at once, ``exposed_s`` until the job's next difference.
    """

    at: float
    job: str
    was: Command | None
    would: Command | None
    price_s: float = 0.0
    exposed_s: float = 0.0

    @property
    def seconds(self) -> float:
        """Both together."""
        return self.price_s + self.exposed_s

    @property
    def given(self) -> Command:
        """The command, or the one of the two that the log holds."""
        command = self.was or self.would
        if command is None:
            raise ValueError("a difference is about at least one command")
        return command


def same_order(one: Command, other: Command) -> bool:
    """Whether both tell the same agents to do the same kind of thing; what they name in it may differ."""
    return _order(one) == _order(other)


def _order(command: Command) -> tuple[object, ...]:
    node = None if command.action == "RESTORE" else command.node  # the spare is its own affair
    return command.job, command.action, node, command.ranks


def same(was: Command, would: Command, shift: int) -> bool:
    """Whether both have the same effect by the same rule; the candidate counts the job's steps ``shift`` higher.

    The numbers beside the rule may differ, and so may ids, which count what was commanded before.
    """
    step = None if would.step is None else would.step - shift
    ours = was.reason.rule, was.node, was.spare, was.ranks, was.step, was.world
    return ours == (would.reason.rule, would.node, would.spare, would.ranks, step, would.world)


def paired(was: Sequence[Command], would: Sequence[Command]) -> Iterator[tuple[Command | None, Command | None]]:
    """The commands given at one record by the log and by the candidate, those of the same order together."""
    left = list(would)
    for command in was:
        twin = next((one for one in left if same_order(command, one)), None)
        if twin is not None:
            left.remove(twin)
        yield command, twin
    for command in left:
        yield None, command


def halves(one: Difference, other: Difference) -> bool:
    """Whether one holds what the log gave, the other what the candidate did, and both are the same decision."""
    apart = (one.was is None) != (other.was is None) and (one.would is None) != (other.would is None)
    return apart and near(one.given, other.given)


def near(one: Command, other: Command) -> bool:
    """Whether two commands are one decision that was taken at another time."""
    ours, theirs = _order(one)[:3], _order(other)[:3]
    return ours == theirs and abs(one.issued_at - other.issued_at) <= NEAR_S


def words(command: Command | None) -> str:
    """A command in one line.

    >>> words(None)
    'nothing'
    """
    if command is None:
        return "nothing"
    what: str = command.action
    if command.action in {"MIGRATE", "QUARANTINE", "DRAIN"}:
        what += f" {command.node}" + (f" to {command.spare}" if command.spare is not None else "")
    elif command.action == "RESTORE":
        what += f" rank {', '.join(map(str, command.ranks))} on {command.node}"
    elif command.action == "RESIZE":
        what += f" to {command.world} ranks"
    if command.step is not None:
        what += f" from step {command.step}"
    return f"{what}: {command.reason.rule}"


def told(difference: Difference) -> tuple[str, str]:
    """Both sides in words; where they are the same thing at another time, the second says by how much."""
    was, would = difference.was, difference.would
    apart_s = 0.0 if was is None or would is None else would.issued_at - was.issued_at
    when = f", {abs(apart_s):.1f} s {'later' if apart_s > 0 else 'earlier'}" if apart_s else ""
    if words(was) == words(would):
        return words(was), f"the same{when or ', by other numbers'}"
    return words(was), words(would) + when
