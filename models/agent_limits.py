"""What a cluster agent lets nobody order, whoever signed it: commands out of their time, and too many of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from models.records import Action, Command

#: A command that may be carried out for longer than this is refused (s).
LIFETIME_SECONDS_MAX = 900.0
HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class AgentLimits:
    """The node owner's limits.

    ``skew_s`` is how far ahead (s) the clock of whoever issues commands may be; the others are how many commands of a
    kind are accepted in any hour: ``checkpoints_per_hour``, and ``disruptions_per_hour`` of all other actions.
    """

    skew_s: float = 60.0
    disruptions_per_hour: int = 6
    checkpoints_per_hour: int = 240

    def out_of_time(self, command: Command, at: float) -> str | None:
        """Why a command that has not expired may not be carried out at ``at`` (Unix s), by its times alone.

        A comparison with what is no number is false, so each says what has to hold.
        """
        if not command.issued_at - at <= self.skew_s:
            return (
                f"it is dated {command.issued_at - at:.1f} s ahead, more than agent.skew_s ({self.skew_s:g} s): "
                "a clock is wrong"
            )
        life_s = command.expires_at - command.issued_at
        if not life_s <= LIFETIME_SECONDS_MAX:
            return f"it would live for {life_s:.0f} s, longer than {LIFETIME_SECONDS_MAX:.0f} s"
        return None

    def too_many(self, action: Action, at: float, accepted: Iterable[tuple[Action, float]]) -> str | None:
        """Why one more command of this kind may not be accepted, given the actions and times of those that were."""
        is_checkpoint = action == "CHECKPOINT"
        limit = self.checkpoints_per_hour if is_checkpoint else self.disruptions_per_hour
        recent = sum((one == "CHECKPOINT") == is_checkpoint and when > at - HOUR_S for one, when in accepted)
        if recent < limit:
            return None
        name = "agent.checkpoints_per_hour" if is_checkpoint else "agent.disruptions_per_hour"
        return f"{recent} were accepted in the last hour; {name} is {limit}"
