"""The verdict of a diagnostic, and which causes each may name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

#: name → the causes that it may name, the first that applies; a runbook page of the name tells what to do about each.
CAUSES: Final[Mapping[str, tuple[str, ...]]] = {
    "probability-stuck": ("scaling", "weights", "bias", "calibration", "unexplained"),
    "recovery-slow": ("contention", "state-lag", "effect"),
    "checkpoint-overhead": ("serialisation", "rate"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What one diagnostic found.

    Parameters
    ----------
    name : which signature; a key of :data:`CAUSES`.
    job : the job that it concerns; None for the predictor, which all jobs share.
    cause : which of its causes; None where it does not hold.
    since : source time from which on it holds (s), None where it does not.
    numbers : what it was judged by; each name ends in its unit (``_seconds``, ``_ratio``, ``_bytes``) or is a count.
    saying : the same in one sentence, with what follows.
    """

    name: str
    job: str | None = None
    cause: str | None = None
    since: float | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)
    saying: str = ""

    def __post_init__(self) -> None:
        if self.name not in CAUSES or self.cause not in (None, *CAUSES[self.name]):
            raise ValueError(f"{self.name} has no cause {self.cause}")

    @property
    def holds(self) -> bool:
        """Whether something is wrong."""
        return self.cause is not None

    @property
    def runbook(self) -> str:
        """The page that says what to do.

        >>> Diagnosis(name="recovery-slow").runbook
        'docs/runbooks/recovery-slow.md'
        """
        return f"docs/runbooks/{self.name}.md"
