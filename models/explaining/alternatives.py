"""What the other built-in policies would have done: the same events, folded on from the same past under each of them.

The past ends where the decision began: at the incident, or after the job's checkpoint before. What follows on the log
is the world as it went under the policy in use, so an alternative is heard up to its first answer and no further.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

from models.decision_state import from_bytes
from models.decisions import decide
from models.policy_settings import CheckpointName, MigrationName, PolicySettings
from models.records import Action, Cause, Command, Event

#: So long after the event an alternative is listened to (s).
SETTLE_S: Final = 60.0
#: Closer than this is at the same time (s).
INSTANT_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Asked:
    """What is compared: a command, or (``action`` None) whatever is commanded because of an incident."""

    job: str
    at: float
    action: Action | None = None
    node: str | None = None
    incident: str | None = None


@dataclass(frozen=True, slots=True)
class Alternative:
    """What another policy would have done; ``seconds`` later (earlier, below 0) than it was, None: it would not."""

    policy: str
    kind: Literal["checkpoint", "migration"]
    would: str
    seconds: float | None


def alternatives(
    past: bytes, settings: PolicySettings, events: Sequence[tuple[Cause, Event]], asked: Asked
) -> list[Alternative]:
    """Fold ``events`` on from ``past`` under each policy but the one in use (``settings``).

    Where the events end before an alternative has settled, it is told for how long it was heard.
    """
    heard_s = min(SETTLE_S, max((event.at for _, event in events), default=asked.at) - asked.at)
    found = []
    for kind, name, other in _others(settings):
        answers = [one for one in _commands(past, other, events, asked.job) if _answers(one, asked)]
        found.append(_told(name, kind, answers, asked, heard_s))
    return found


def _others(settings: PolicySettings) -> Iterator[tuple[Literal["checkpoint", "migration"], str, PolicySettings]]:
    for checkpoint in get_args(CheckpointName):
        if checkpoint != settings.checkpoint:
            yield "checkpoint", checkpoint, replace(settings, checkpoint=checkpoint)
    for migration in get_args(MigrationName):
        if migration != settings.migration:
            yield "migration", migration, replace(settings, migration=migration)


def _commands(
    past: bytes, settings: PolicySettings, events: Sequence[tuple[Cause, Event]], job: str
) -> Iterator[Command]:
    state = from_bytes(past, settings)
    for cause, event in events:
        state, commands = decide(state, event, cause)
        yield from (command for command in commands if command.job == job)


def _told(
    name: str,
    kind: Literal["checkpoint", "migration"],
    answers: Sequence[Command],
    asked: Asked,
    heard_s: float,
) -> Alternative:
    if not answers:
        what = "no command about it" if asked.action is None else f"no {asked.action}"
        return Alternative(name, kind, f"{what} within {heard_s:.0f} s", None)
    told = answers if asked.action is None else answers[:1]
    would = "; ".join(f"{_what(one)} {_when(one, asked)}" for one in told)
    return Alternative(name, kind, would, answers[0].issued_at - asked.at)


def _answers(command: Command, asked: Asked) -> bool:
    if asked.action is None:
        return command.incident == asked.incident
    if command.action != asked.action:
        return False
    return command.node == asked.node or command.action == "RESTORE"


def _what(command: Command) -> str:
    """The command in few words.

    >>> from models.records import Reason
    >>> about = {"id": "c", "job": "j", "generation": 1, "issued_at": 0.0, "expires_at": 0.0, "cause": Cause(0, 0)}
    >>> _what(Command(action="MIGRATE", node="n1", spare="n2", reason=Reason(rule=""), **about))
    'MIGRATE n1 → n2'
    """
    words = [command.action, *([command.node] if command.node else [])]
    return " ".join(words) + (f" → {command.spare}" if command.spare else "")


def _when(command: Command, asked: Asked) -> str:
    seconds = command.issued_at - asked.at
    if abs(seconds) < INSTANT_S:
        return "at once" if asked.action is None else "at the same time"
    return f"{abs(seconds):.1f} s {'later' if seconds > 0 else 'earlier'}"
