"""A story of the decide fold, folded again beside candidates."""

from __future__ import annotations

from collections.abc import Sequence

from decision_log import DecisionLog

from models.backtest.beside import Beside
from models.backtest.comparison import Comparison
from models.backtest.difference import Difference
from models.decisions import decide, initial_state
from models.policy_settings import PolicySettings
from models.records import Cause, Command, Event

OWN = PolicySettings(level="migrate", node_mtbf_days=0.05, checkpoint_cost_s=0.2, migration_s=45.0)


def beside(
    events: Sequence[Event],
    own: PolicySettings,
    candidate: PolicySettings,
    gone: str | None = None,
    apart: bool = False,
) -> Comparison:
    """Fold the events under both; the log's commands are those of its own policy, but for the one that is ``gone``.

    ``apart``: with two folds from the first record on, even where one would do.
    """
    comparison = Comparison(candidate, 0, exact=candidate == own)
    folds = Beside(own, 0, {"candidate": comparison})
    if apart:
        comparison.part_from(folds.state)
    state = initial_state(own)
    for offset, event in enumerate(events):
        state, given = decide(state, event, Cause(0, offset))
        folds.take(offset, event, [one for one in given if one.id != gone])
    return comparison


def carry_out(story: DecisionLog, commands: list[Command]) -> None:
    """Every command that is given is done, and so are those that follow from it."""
    while commands:
        command = commands.pop(0)
        if command.action == "CHECKPOINT":
            commands += story.save(command, step=(story.job.step or 0) + 2)
        else:
            commands += story.carry_out(command, step=story.job.step, seconds=60.0)
        commands += story.tick(0.5)


def kinds(differences: Sequence[Difference]) -> list[tuple[str, str]]:
    """The action on the log and the candidate's, of each difference."""
    return [
        (one.was.action if one.was else "nothing", one.would.action if one.would else "nothing") for one in differences
    ]
