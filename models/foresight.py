"""Which model assesses the nodes of a partition, and which is only scored beside it.

A choice reaches the fold as a record on its own partition. What it names, by digest, never changes, and is looked up.
What cannot be used leaves the model before it in place, and the counts say why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.records import ModelRole, ShadowCounts
from models.telemetry import ModelChoice

_MILLION = 1_000_000


class Refused(ValueError):
    """A model that cannot be used; says why."""


@dataclass(frozen=True, slots=True)
class Foresight:
    """A model as the fold uses it: features ``(rows, features) → (rows,)``, its horizon, and the digest that names it.

    The features are those of ``models/features.py``.
    """

    probability: Callable[[NDArray[np.float32]], NDArray[np.float64]]
    horizon_s: float
    digest: str = ""


#: From a digest to the model that it names; raises :class:`Refused`.
Fetch = Callable[[str], Foresight]


def nowhere(digest: str) -> Foresight:
    """Where nothing can be looked up, only the model that the settings name is there."""
    raise Refused("there is nowhere to look it up")


@dataclass(slots=True)
class Choices:
    """What a partition was told of its models, and how the shadow compares: part of the partition's state.

    ``digests`` holds the choice in use for each role (none for ``active``: the model of the settings), ``since`` when
    the newest was made, ``refusal`` why the newest was not taken. The sum of |ΔP| is kept in millionths, as an
    integer, so that it does not depend on the order of addition.
    """

    digests: dict[ModelRole, str | None] = field(default_factory=dict)
    since: dict[ModelRole, float] = field(default_factory=dict)
    refusal: str | None = None
    compared: int = 0
    millionths: int = 0
    active_only: int = 0
    shadow_only: int = 0


class Models:
    """The models of one partition.

    Parameters
    ----------
    given : the model of the settings, in use until another is chosen.
    fetch : looks others up.
    choices : what the partition was told before; raises :class:`Refused` when what it uses cannot be looked up.
    """

    def __init__(self, given: Foresight, fetch: Fetch, choices: Choices) -> None:
        self._given, self._fetch = given, fetch
        self._choices = choices
        self.active, self.shadow = self._serve()

    def choose(self, choice: ModelChoice) -> bool:
        """Take a choice; whether it says anything new. One that cannot be used is refused, and the reason kept."""
        choices = self._choices
        if choice.ts <= choices.since.get(choice.role, -np.inf):
            return False
        choices.since[choice.role] = choice.ts
        before = choices.digests.get(choice.role)
        choices.digests[choice.role] = choice.digest
        try:
            self.active, self.shadow = self._serve()
        except Refused as wrong:
            choices.digests[choice.role] = before
            choices.refusal = f"{choice.role} {(choice.digest or '')[:16]}: {wrong}"
            return True
        choices.refusal = None
        choices.compared = choices.millionths = choices.active_only = choices.shadow_only = 0
        return True

    def compare(self, features: NDArray[np.float32], active: NDArray[np.float64], theta: float) -> None:
        """Score the shadow, if there is one, on what the active model gave ``active (rows,)`` for."""
        if self.shadow is None or not len(active):
            return
        shadow = np.round(self.shadow.probability(features), 6)
        choices = self._choices
        choices.compared += len(active)
        choices.millionths += int(np.rint(np.abs(active - shadow) * _MILLION).sum())
        choices.active_only += int(((active >= theta) & (shadow < theta)).sum())
        choices.shadow_only += int(((active < theta) & (shadow >= theta)).sum())

    @property
    def refusal(self) -> str | None:
        """Why the newest choice was not taken; None when it was."""
        return self._choices.refusal

    def compared(self) -> ShadowCounts | None:
        """How the shadow compares so far; None without one."""
        if self.shadow is None:
            return None
        c = self._choices
        return ShadowCounts(
            digest=self.shadow.digest,
            compared=c.compared,
            difference=c.millionths / _MILLION,
            active_only=c.active_only,
            shadow_only=c.shadow_only,
        )

    def _serve(self) -> tuple[Foresight, Foresight | None]:
        """The two models that the choices name; a shadow that is the active one is none."""
        active = self._named(self._choices.digests.get("active")) or self._given
        shadow = self._named(self._choices.digests.get("shadow"))
        return active, None if shadow is None or shadow.digest == active.digest else shadow

    def _named(self, digest: str | None) -> Foresight | None:
        if digest is None:
            return None
        return self._given if digest == self._given.digest else self._fetch(digest)
