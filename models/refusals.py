"""What a cluster agent tells of commands that are not authentic: each once, by the digest of its bytes, within a bound.

A stranger who writes to the command topic must not be able to make an agent do anything, take the name of a real
command away, fill its memory, or flood the decision log. So nothing that such a record claims is believed; it is told
under a name of its own, and what is beyond the hour's bound is counted, and told as a number later.
"""

from __future__ import annotations

from collections import OrderedDict, deque

from models.agent_limits import HOUR_S
from models.records import Action, Outcome, digest_id

#: How the name begins under which it is told.
REFUSED = "refused-"
#: Told one by one up to this many an hour.
TOLD_PER_HOUR_MAX = 1_000
#: Remembered, so that one that is read again is not told again: more than an hour can bring.
KEPT_MAX = 2_000
_CLAIM_CHARS_MAX = 64


class Refusals:
    """What ``node`` has refused as not authentic; ``untold`` of it only counted so far."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._told: OrderedDict[str, Outcome] = OrderedDict()
        self._times: deque[float] = deque(maxlen=TOLD_PER_HOUR_MAX)
        self.untold = 0

    def outcomes(self) -> list[Outcome]:
        """Return what is remembered, oldest first."""
        return list(self._told.values())

    def refuse(self, digest: str, claimed: str, job: str, action: Action, at: float, why: str) -> Outcome | None:
        """Return what is to be told of bytes of this digest; None: they were told of, or are only counted now."""
        name = REFUSED + digest
        if name in self._told:
            return None
        if self._is_full(at):
            self.untold += 1
            return None
        return self._outcome(
            name, job, action, at, f"{why}: not carried out; it claims to be {claimed[:_CLAIM_CHARS_MAX]!r}"
        )

    def catch_up(self, at: float) -> Outcome | None:
        """Return the number of those that were only counted, once there is room to tell of it."""
        if not self.untold or self._is_full(at):
            return None
        last = next(reversed(self._told.values()))
        untold, self.untold = self.untold, 0
        name = REFUSED + digest_id("untold", self._node, at)
        return self._outcome(name, last.job, last.action, at, f"{untold} more were refused than are told in an hour")

    def remember(self, outcome: Outcome) -> None:
        """It was told."""
        self._told[outcome.command] = outcome
        self._times.append(outcome.at)
        while len(self._told) > KEPT_MAX:
            self._told.popitem(last=False)

    def _is_full(self, at: float) -> bool:
        return len(self._times) == TOLD_PER_HOUR_MAX and self._times[0] > at - HOUR_S

    def _outcome(self, name: str, job: str, action: Action, at: float, reason: str) -> Outcome:
        return Outcome(
            id=digest_id(name, self._node),
            job=job,
            command=name,
            action=action,
            node=self._node,
            stage="rejected",
            at=at,
            reason=reason,
        )
